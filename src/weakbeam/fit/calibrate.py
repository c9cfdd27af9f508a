"""Calibrate an instrument by a measured scan of a region that is nearly perfect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from weakbeam.analysis.photon_transfer import (
    PhotonTransfer,
    above_least,
    darkest_frames,
    photon_transfer,
)
from weakbeam.assemble import Setup, assemble_all
from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.bars import Progress, teller
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.oblique_acceptance import ObliqueAcceptance
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.fit.calibration import aperture_cut, fit_curves
from weakbeam.fit.calibration_result import Calibration, ScanOfMotors
from weakbeam.fit.curve_model import ANGLES, Blocks, CurveModel, Priors
from weakbeam.fit.frame_noise import IDEAL_SIGMA
from weakbeam.fit.sharp_edge import find_sharp_edge
from weakbeam.io.foreign import Source, read_scan
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.scan_motors import base_name
from weakbeam.measured.cells import Block, CellScan, Region, gather_cells
from weakbeam.measured.perfect_region import FoundRegion, find_perfect_region

THEIRS = {"phi": ("phi", "mu"), "chi": ("chi",), "two_theta": ("obpitch",)}
"""Names of the motors at the beamline; in the symmetric geometry μ rocks as φ does."""

USUAL = Priors()

_POINTS = 80_000
"""Values of the acceptance that one evaluation of the curves takes, about."""

_FEWEST_BLOCKS, _MOST_BLOCKS = 16, 144
_FEWEST_FRAMES = 5
_SOME = 12
_NEAR_PX = 20
_CUTS = 3
"""How often the aperture is looked for, each time with the fit of the one before."""


def calibrate(
    scan: Source | MeasuredScan,
    experiment: Experiment | None = None,
    region: tuple[int, int, int, int] | None = None,
    *,
    priors: Priors = USUAL,
    motors: Mapping[str, str] | None = None,
    workers: int | None = None,
    progress: Progress | bool | None = None,
) -> Calibration:
    """Zero offsets and optics from the curves of a region that is nearly perfect.

    Parameters
    ----------
    scan : path, sequence of paths or MeasuredScan
        A scan of φ, χ or 2θ, or several of them: a file of ours or of a beamline, EDF images, or
        what :func:`weakbeam.read_scan` has read.
    experiment : Experiment, optional
        What is known of crystal and instrument. By default that of a simulated file, or the
        built-in one. Its first reflection is taken.
    region : (int, int, int, int), optional
        First and last row, first and last column, from 0, the last ones excluded. By default the
        largest rectangle whose curves are alike.
    priors : Priors
        How well all that is known beforehand.
    motors : mapping of str to str, optional
        What the scan calls ``phi``, ``chi`` and ``two_theta``; a minus sign before the name of one
        that turns the other way. By default ``phi`` or ``mu``, ``chi`` and ``obpitch``.
    workers : int, optional
        Threads that unpack frames.
    progress : callable or bool, optional
        Told which share of the work is newly done; True shows a bar.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If the scan cannot be read or moves none of these motors, the region is not in the image, or
        none is given and none is nearly perfect.
    RunError
        If frames cannot be read, or hold no light.
    """
    measured = scan if isinstance(scan, MeasuredScan) else read_scan(scan)
    if measured.along and not measured.parts:
        moving = (*measured.positions, *measured.along)
        measured = read_scan(measured.path, measured.entry, measured.detector or None, moving)
    own = own_experiment(measured)
    experiment = experiment or own or Experiment()
    setup = _setup(experiment, measured, own is not None)
    tell = teller(progress, 1.0)
    (numbers,) = np.nonzero(measured.valid)
    positions, names = motor_positions(measured, setup, motors or {})

    def blocks() -> Iterable[Block]:
        place = np.full(measured.frames, -1)
        place[numbers] = np.arange(len(numbers))
        for which, frames in read_blocks(measured, workers=workers):
            there = place[which] >= 0
            if there.any():
                yield place[which][there], frames[there]
            if tell is not None:
                tell(0.7 * len(which) / measured.frames)

    some = numbers[np.unique(np.linspace(0, len(numbers) - 1, _SOME).astype(np.int64))]
    cells = gather_cells(
        blocks, len(numbers), measured.shape, read_frames_of(measured, some), region
    )
    moved = ScanOfMotors(positions[numbers], names, dict(measured.units))
    result = calibrate_cells(cells, moved, experiment, setup, priors, chosen=region is not None)
    if tell is not None:
        tell(0.3)
    return replace(result, source=measured.where, notes=(*measured.warnings, *result.notes))


def calibrate_frames(
    frames: NDArray[Any],
    positions: Floats,
    experiment: Experiment,
    region: tuple[int, int, int, int] | None = None,
    priors: Priors = USUAL,
) -> Calibration:
    """The same of frames in memory.

    Parameters
    ----------
    frames : (n, rows, columns) ndarray
        Counts.
    positions : (n, 3) ndarray
        Where φ, χ and 2θ stood, from the Bragg setting (rad), as they were read.
    experiment, region, priors
        As for :func:`calibrate`.

    Returns
    -------
    Calibration
    """
    count = len(frames)
    some = frames[np.unique(np.linspace(0, count - 1, _SOME).astype(np.int64))]
    shape = int(frames.shape[1]), int(frames.shape[2])

    def blocks() -> Iterable[Block]:
        return [(np.arange(count), frames)]

    cells = gather_cells(blocks, count, shape, some, region)
    setup = assemble_all(experiment.model_copy(update={"defects": ()}))[0]
    moved = ScanOfMotors(np.asarray(positions, dtype=np.float64), {}, {})
    return calibrate_cells(cells, moved, experiment, setup, priors, chosen=region is not None)


def motor_positions(
    scan: MeasuredScan, setup: Setup, named: Mapping[str, str]
) -> tuple[Floats, dict[str, tuple[str, int]]]:
    """Where φ, χ and 2θ stood, from the Bragg setting (rad), (frames, 3), and their names.

    Raises
    ------
    InputError
        If a motor has no such positions, another motor moves as well, or none of these does.
    """
    for name in named:
        if name not in ANGLES:
            raise InputError("motors", name, f"must be one of {', '.join(ANGLES)}")
    positions, names = np.zeros((scan.frames, 3)), dict[str, tuple[str, int]]()
    for column, name in enumerate(ANGLES):
        wanted = named.get(name)
        way = -1 if wanted is not None and wanted.startswith("-") else 1
        theirs = THEIRS[name] if wanted is None else (wanted.lstrip("-"),)
        found = next((m for m in scan.positions if m in theirs or base_name(m) in theirs), None)
        if found is None:
            if wanted is not None:
                there = ", ".join(scan.positions)
                raise InputError("motors", wanted, f"does not move in {scan.where}: {there} do")
            continue
        if scan.units[found] != "deg":
            unit = scan.units[found] or "no unit"
            raise InputError("motors", found, f"has positions in {unit}; angles are needed")
        names[name] = found, way
        bragg = setup.bragg_position(name)
        positions[:, column] = way * np.radians(scan.positions[found]) - bragg
    others = set(scan.positions) - {found for found, _ in names.values()}
    if others or not names:
        moves = ", ".join(scan.positions)
        raise InputError(
            "motors",
            moves,
            f"{scan.where} must move phi, chi or two_theta and nothing else: tell in `motors` "
            "which of its motors are these",
        )
    return positions, names


def calibrate_cells(
    cells: CellScan,
    moved: ScanOfMotors,
    experiment: Experiment,
    setup: Setup,
    priors: Priors,
    chosen: bool,
) -> Calibration:
    """Calibrate by the cells of a scan, all of them if the region was chosen."""
    positions = moved.positions
    moving = tuple(name for name, x in zip(ANGLES, positions.T, strict=True) if np.ptp(x) > 0.0)
    if len(positions) < _FEWEST_FRAMES or not moving:
        raise InputError(
            "scan",
            f"{len(positions)} frames",
            f"must be {_FEWEST_FRAMES} or more of a moving motor",
        )
    acceptance = setup.acceptance
    assert isinstance(acceptance, SymmetricAcceptance | ObliqueAcceptance)
    everywhere = slice(0, cells.shape[0]), slice(0, cells.shape[1])
    darkest = darkest_frames(np.median(cells.counts, axis=(1, 2)))
    noise = _noise(cells, everywhere, np.zeros((0, len(positions))), darkest)
    found = FoundRegion(everywhere, np.ones(cells.shape, bool))
    if not chosen:
        angles = np.stack([positions[:, ANGLES.index(name)] for name in moving])
        variance = noise.variance(above_least(cells.counts, darkest, 0))
        found = find_perfect_region(cells, angles, variance, cells.pixels)
    mean = cells.counts[(slice(None), *found.cells)].mean(axis=(1, 2))
    peak = peak_of(mean, positions)
    model = CurveModel(
        acceptance=acceptance,
        motors=setup.geometry.motor_vectors,
        positions=positions,
        start=np.where(is_far(peak, positions), -peak, 0.0),
        moving=moving,
        priors=priors,
    )
    start = np.zeros(len(model.names))
    start[:3] = (-peak - model.start) / model.scales[:3]
    curve, changes = _expected(model, start)
    # By the curve to expect: of frames that are equally dark noise would choose the least.
    darkest = darkest_frames(curve)
    noise = _noise(cells, found.cells, changes, darkest)
    blocks = _blocks(cells, found.cells, noise, darkest)

    def variance_of(counts: Floats) -> Floats:
        return noise.variance(above_least(counts, darkest, 1))

    fit, cut = fit_curves(model, blocks, variance_of, start), None
    for _ in range(_CUTS):
        found_cut = aperture_cut(fit)
        if found_cut is None or found_cut == cut:
            break
        cut = found_cut
        narrow = model.with_aperture(cut[0], cut[1] / cut[0])
        fit = fit_curves(narrow, blocks, variance_of, start)
    return Calibration(
        fit=fit,
        noise=noise,
        darkest=darkest,
        cut=cut,
        given=acceptance.optics,
        priors=priors,
        edge=find_sharp_edge(cells.image),
        cells=cells,
        found=found,
        chosen=chosen,
        experiment=experiment,
        moved=moved,
        bragg={name: setup.bragg_position(name) for name in ANGLES},
    )


def own_experiment(scan: MeasuredScan) -> Experiment | None:
    """The experiment of a simulated scan; None of another."""
    from weakbeam.io.reading import is_own_file, read_configuration

    if not scan.path.is_file() or not is_own_file(scan.path):
        return None
    try:
        return Experiment.from_toml_text(read_configuration(scan.path), str(scan.path))
    except (InputError, KeyError):
        return None


def _setup(experiment: Experiment, scan: MeasuredScan, own: bool) -> Setup:
    """The reflection that a scan is of, without defects."""
    from weakbeam.run.acquisition import acquisitions_of

    setups = assemble_all(experiment.model_copy(update={"defects": ()}))
    if not own:
        return setups[0]
    every = acquisitions_of(setups)
    return every[(int(scan.entry.partition(".")[0]) - 1) % len(every)].setup


def peak_of(curve: Floats, positions: Floats) -> Floats:
    """Where the curve is brightest: centre of what is above half of its maximum, (3,)."""
    height = curve - np.quantile(curve, 0.05)
    weight = np.maximum(height - 0.5 * height.max(), 0.0)
    if not weight.sum() > 0.0:
        raise RunError("the region has no light that changes over the scan")
    return np.asarray(weight @ positions / weight.sum())


def is_far(peak: Floats, positions: Floats) -> NDArray[np.bool_]:
    """Whether a motor's readings have nothing to do with the Bragg setting that is known."""
    return np.asarray(np.abs(peak) > np.maximum(0.5 * np.ptp(positions, axis=0), 1e-4))


def _expected(model: CurveModel, start: Floats) -> tuple[Floats, Floats]:
    """The curve to expect, and what a turn of the lattice adds to it, for each moving motor."""
    curve, slopes = model.derivatives(start, np.zeros((1, 1, 5)))
    return curve[0], np.stack([slopes[ANGLES.index(motor), 0] for motor in model.moving])


def _noise(cells: CellScan, part: Region, changes: Floats, darkest: Ints) -> PhotonTransfer:
    """Gain and noise from the pairs of pixels in some cells."""
    (rows, columns), (r, c) = part, cells.pair_cells
    here = (r >= rows.start) & (r < rows.stop) & (c >= columns.start) & (c < columns.stop)
    # Of many pixels around each pair: where a curve is noise, so are the variances by it.
    near = max(1, round(_NEAR_PX / cells.side))
    curves = scipy.ndimage.uniform_filter(cells.counts[(slice(None), *part)], (0, near, near))
    curves = curves[:, r[here] - rows.start, c[here] - columns.start]
    curves = above_least(curves, darkest, 0)
    repeated = np.broadcast_to(changes[:, :, None], (*changes.shape, int(here.sum())))
    noise = photon_transfer(cells.pairs[:, :, here], curves, repeated)
    if noise.noiseless:
        return replace(noise, floor=(IDEAL_SIGMA * float(np.abs(curves).max())) ** 2)
    return noise


def _blocks(cells: CellScan, part: Region, noise: PhotonTransfer, darkest: Ints) -> Blocks:
    """Put the cells of a region together in blocks."""
    rows, columns = (np.arange(edges.start, edges.stop) for edges in part)
    frames = len(cells.counts)
    most = int(np.clip(_POINTS // (4 * frames), _FEWEST_BLOCKS, _MOST_BLOCKS))
    share = math.sqrt(most / (len(rows) * len(columns)))
    parts = [
        np.array_split(some, min(len(some), max(1, round(share * len(some)))))
        for some in (rows, columns)
    ]
    counts, places, size, pixels = [], list[list[float]](), list[list[float]](), []
    for r in parts[0]:
        for c in parts[1]:
            here = np.ix_(r, c)
            weight = cells.pixels[here]
            total = float(weight.sum())
            curves = cells.counts[:, r[:, None], c]
            counts.append((curves * weight).sum(axis=(1, 2)) / total)
            pixels.append(total)
            places.append([_middle(r, rows), _middle(c, columns)])
            size.append([2.0 * len(r) / len(rows), 2.0 * len(c) / len(columns)])
    curves = np.stack(counts)
    mean = curves.mean(axis=0)
    # A block's own counts would count for more where noise has made them fewer.
    steady = np.stack([np.polyval(np.polyfit(mean, curve, 1), mean) for curve in curves])
    variance = noise.variance(above_least(steady, darkest, 1)) / np.array(pixels)[:, None]
    return Blocks(curves, variance, np.array(places), np.array(size), np.array(pixels))


def _middle(part: Ints, whole: Ints) -> float:
    return float((2.0 * part.mean() - whole[0] - whole[-1]) / len(whole))
