"""The dislocations of a measured stack: from a file to a fit."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble import Setup
from weakbeam.assemble.placed import PlacedDislocation
from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.bars import Progress, teller
from weakbeam.crystal.lattice import unit
from weakbeam.crystal.slip import burgers_vector
from weakbeam.defects.loop_types import LoopType, three_floats
from weakbeam.defects.types import UNSEEN, DislocationType, dislocation_types, seen_distortion
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.experiment.curved import Loop
from weakbeam.experiment.populations import Wall
from weakbeam.fit.bad_pixels import full_count
from weakbeam.fit.calibrate import is_far, motor_positions, own_experiment, peak_of
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_loop import SWOLLEN
from weakbeam.fit.frame_means import put_together
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise, estimate_noise
from weakbeam.fit.stack_curves import resolved
from weakbeam.fit.stack_data import Frames, FramesInMemory, StackData
from weakbeam.fit.stack_fit import SearchOptions
from weakbeam.fit.stack_journal import Journal
from weakbeam.fit.stack_model import StackModel
from weakbeam.fit.stack_result import StackResult
from weakbeam.fit.stack_search import StackSearch
from weakbeam.fit.stack_start import odd_pixels
from weakbeam.identify.library.candidates import identify_table, types_of
from weakbeam.imaging.motors import ANGLES
from weakbeam.io.foreign import Source, read_scan
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.provenance import program_version
from weakbeam.run.render import Renderer

Start = str | os.PathLike[str] | Sequence[Mapping[str, Any]]

USUAL = SearchOptions()

_KEPT_BYTES = 800 * 2**20
_SOME = 8


@dataclass(frozen=True, eq=False)
class FramesOfScan:
    """Frames of a file, read when they are asked for.

    Parameters
    ----------
    scan : MeasuredScan
        The file.
    numbers : (frames,) ndarray of int
        Which of its frames.
    """

    scan: MeasuredScan
    numbers: Ints

    def some(self, numbers: Ints) -> NDArray[Any]:
        """See :meth:`weakbeam.fit.stack_data.Frames.some`."""
        return read_frames_of(self.scan, self.numbers[numbers])


def fit_scan(
    scan: Source | MeasuredScan,
    experiment: Experiment | None = None,
    start: Start | None = None,
    *,
    motors: Mapping[str, str] | None = None,
    options: SearchOptions = USUAL,
    workers: int | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress | bool | None = None,
    state: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> StackResult:
    """How many dislocations a stack shows, which, and where, with what else is not known of it.

    Parameters
    ----------
    scan : path, sequence of paths or MeasuredScan
        A scan of φ, χ, 2θ or several of them: a file of ours or of a beamline, EDF images, or what
        :func:`weakbeam.read_scan` has read.
    experiment : Experiment, optional
        What is known of crystal and instrument, best by :func:`weakbeam.calibrate`; its
        ``[identify]`` tells the candidates, ``[identify.nuisance]`` what else is fitted. By default
        that of a simulated file. Its own defects are left out.
    start : path or sequence of mappings, optional
        Dislocations to refine, instead of searching: an experiment file with ``[[defects]]``, a
        table (.csv, .json) of an earlier fit, or its rows.
    motors : mapping of str to str, optional
        What the scan calls ``phi``, ``chi`` and ``two_theta``, as of :func:`weakbeam.calibrate`.
    options : SearchOptions
        How dislocations are sought.
    workers : int, optional
        Threads.
    tell : callable, optional
        Told what is done, a line at a time.
    progress : callable or bool, optional
        True draws a bar; a function is told the share that is newly done.
    state : path, optional
        Folder in which every step is kept until the fit is done.
    resume : bool
        Whether to go on with a fit that ended early, by what `state` holds of it: its result is
        that which it would have had.

    Returns
    -------
    StackResult

    Raises
    ------
    InputError
        If the scan cannot be read, a motor moves that is none of these, frames do not have the
        shape of the experiment's images, or there is nothing to search in.
    RunError
        If frames cannot be read or hold no light.
    """
    measured = scan if isinstance(scan, MeasuredScan) else read_scan(scan)
    own = own_experiment(measured)
    known = experiment or own
    if known is None:
        raise InputError("experiment", None, "is missing: it tells crystal and instrument")
    renderer = Renderer(known, workers)
    setup = renderer.setups[0]
    if measured.shape != renderer.shape:
        shape = "{} x {}".format(*renderer.shape)
        raise InputError(
            "experiment",
            shape,
            "frames have {} x {} pixels: camera.pixels and camera.region must be theirs".format(
                *measured.shape
            ),
        )
    (numbers,) = np.nonzero(measured.valid)
    positions = _positions(measured, setup, motors or {}, numbers)
    frames = frames_of(measured, numbers, workers)
    zeros = zeros_of(frames, positions)
    positions = positions - zeros
    data = stack_data(frames, positions, setup, measured.used)
    result = fit_data(
        data,
        known,
        renderer,
        start,
        options=options,
        workers=workers,
        tell=tell,
        progress=progress,
        state=state,
        resume=resume,
    )
    notes = list(measured.warnings)
    for motor, zero in zip(ANGLES, zeros, strict=True):
        if zero:
            reading = math.degrees(zero + setup.bragg_position(motor))
            notes.append(
                f"{motor} does not read its angle from the Bragg setting: it is counted from where "
                f"the stack is brightest, {reading:.5g} deg"
            )
    return replace(result, source=measured.where, notes=tuple(notes))


def fit_data(
    data: StackData,
    experiment: Experiment,
    renderer: Renderer | None = None,
    start: Start | None = None,
    *,
    options: SearchOptions = USUAL,
    workers: int | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress | bool | None = None,
    state: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> StackResult:
    """The same of a stack that has been read.

    Parameters
    ----------
    data : StackData
        The stack.
    experiment : Experiment
        Crystal and instrument.
    renderer : Renderer, optional
        Of that experiment.
    start, options, workers, tell, progress, state, resume
        As for :func:`fit_scan`.

    Returns
    -------
    StackResult
    """
    renderer = renderer or Renderer(experiment, workers)
    priors = NuisancePriors.of(identify_table(experiment).nuisance)
    model = StackModel(renderer, data.positions, priors, workers)
    if priors.bad_pixels:
        data = replace(data, good=data.good & ~odd_pixels(data))
    if not data.good.any():
        raise RunError("the stack has no pixel that counts")
    types = shown_types(experiment, renderer)
    lines = None if start is None else started(start, model)
    if lines is None and not np.ptp(data.positions, axis=0).any():
        raise InputError(
            "start",
            None,
            "is missing: frames without a moving motor are not searched, only refined",
        )
    journal = None
    if state is not None:
        journal = Journal.of(state, fingerprint(data, experiment, options, lines), resume)
    data = put_together(data, resolved(model, data.positions))
    if data.settings is not None:
        model = StackModel(renderer, data.positions, priors, workers, data.settings)
    search = StackSearch(
        model, data, types, options, tell, journal=journal, progress=teller(progress, 1.0)
    )
    found = search.detect() if lines is None else search.refine(lines)
    if journal is not None:
        journal.remove()
    return StackResult(found, experiment)


def fingerprint(
    data: StackData,
    experiment: Experiment,
    options: SearchOptions,
    lines: Sequence[FittedDefect] | None,
) -> str:
    """What tells fits apart, by some of the frames and all else that they begin with."""
    some = np.unique(np.linspace(0, len(data) - 1, _SOME).astype(np.intp))
    told = hashlib.sha256(program_version().encode())
    told.update(np.ascontiguousarray(data.frames.some(some)).tobytes())
    told.update(np.ascontiguousarray(data.positions).tobytes())
    told.update(np.ascontiguousarray(data.good).tobytes())
    told.update(f"{data.noise} {data.full} {np.mean(data.dark)} {options}".encode())
    told.update(experiment.to_toml().encode())
    for line in lines or ():
        told.update(f"{line.label} {line.values.tolist()}".encode())
    told.update(str(lines is None).encode())
    return told.hexdigest()


def frames_of(scan: MeasuredScan, numbers: Ints, workers: int | None = None) -> Frames:
    """Frames of a file: in memory, or read as they are needed if they are many."""
    size = len(numbers) * math.prod(scan.shape) * scan.frame_dtype.itemsize
    if size > _KEPT_BYTES:
        return FramesOfScan(scan, numbers)
    stack = np.empty((scan.frames, *scan.shape), scan.frame_dtype)
    for which, frames in read_blocks(scan, workers=workers):
        stack[which] = frames
    return FramesInMemory(stack[numbers])


def zeros_of(frames: Frames, positions: Floats) -> Floats:
    """Where the stack is brightest, for motors whose readings are far from the Bragg setting (rad).

    Zero for the others.
    """
    moving = np.ptp(positions, axis=0) > 0.0
    if not moving.any():
        return np.zeros(3)
    curve = np.array([frames.some(np.array([k])).mean() for k in range(len(positions))])
    peak = peak_of(curve, positions)
    return np.where(moving & is_far(peak, positions), peak, 0.0)


def stack_data(
    frames: Frames, positions: Floats, setup: Setup, used: NDArray[np.bool_]
) -> StackData:
    """A stack with what the camera or the frames themselves tell of their noise."""
    count = len(positions)
    some = frames.some(np.unique(np.linspace(0, count - 1, _SOME).astype(np.intp)))
    brightest = some[int(np.argmax(some.mean(axis=(1, 2))))]
    detector = setup.detector
    if detector.model is not None:
        noise = Noise.of_camera(detector.model, detector.exposure)
        bins = detector.readout.binning**2
        noise = Noise(noise.gain, noise.floor * bins)
        dark: Floats | float = detector.dark
        largest = detector.largest
        full = math.inf if largest is None else float(largest)
    else:
        noise, dark, full = estimate_noise(some, np.broadcast_to(used, some.shape)), 0.0, math.inf
    seen = full_count(brightest)
    return StackData(frames, positions, noise, used, dark, min(full, seen or math.inf))


def shown_types(experiment: Experiment, renderer: Renderer) -> tuple[DislocationType, ...]:
    """Candidates that the reflection shows, twins but the first of them left out."""
    types, setup = types_of(experiment), renderer.setups[0]
    normal = unit(setup.crystal.cell.plane_normal(setup.hkl))
    seen = seen_distortion(types, [normal], setup.crystal.medium)
    return tuple(
        kind
        for kind, change in zip(types, np.ravel(seen), strict=True)
        if change > UNSEEN and not any(number < kind.number for number in kind.same_as)
    )


def _positions(
    scan: MeasuredScan, setup: Setup, motors: Mapping[str, str], numbers: Ints
) -> Floats:
    """Where φ, χ and 2θ stood in the frames that count, from the Bragg setting (rad)."""
    if scan.positions:
        return motor_positions(scan, setup, motors)[0][numbers]
    at = [setup.positions[motor] for motor in ANGLES]
    if any(len(values) > 1 for values in at):
        raise InputError("scan", scan.where, "has no positions of its motors")
    return np.tile([float(values[0]) for values in at], (len(numbers), 1))


# ---------------------------------------------------------------- lists to begin with


def started(start: Start, model: StackModel) -> list[FittedDefect]:
    """Defects of a list: an experiment file, a table of an earlier fit, or its rows.

    Raises
    ------
    InputError
        If the list cannot be read, or has something else than straight dislocations with a plane,
        round loops and walls.
    """
    if isinstance(start, str | os.PathLike):
        path = Path(start)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("start", str(path), f"cannot be read ({error})") from None
        if path.suffix == ".toml":
            return _of_experiment(Experiment.from_toml_text(text, str(path)), model)
        if path.suffix not in (".csv", ".json"):
            raise InputError("start", str(path), "must end in .toml, .csv or .json")
        try:
            if path.suffix == ".csv":
                rows: Sequence[Mapping[str, Any]] = list(csv.DictReader(text.splitlines()))
            else:
                rows = json.loads(text)["dislocations"]
        except (ValueError, KeyError, TypeError):
            raise InputError("start", str(path), "is no table of a fit") from None
    else:
        path, rows = Path("start"), start
    return [_of_row(row, f"start[{k}]", model) for k, row in enumerate(rows)]


def _of_row(row: Mapping[str, Any], key: str, model: StackModel) -> FittedDefect:
    def indices(name: str) -> tuple[int, int, int]:
        value = row[name]
        parts = value.split() if isinstance(value, str) else value
        h, k, l_ = (int(part) for part in parts)
        return h, k, l_

    try:
        what, burgers = row.get("kind") or "line", indices("burgers")
        if what not in ("line", "loop", "wall"):
            raise InputError(f"{key}.kind", what, "must be line, loop or wall")
        plane = indices("plane") if row["plane"] or what != "loop" else None
        character = 0.0 if what == "loop" else float(row["character_deg"])
        radius = float(row["radius_um"]) if what == "loop" else 0.0
        spacing = float(row["spacing_um"]) if what == "wall" else 0.0
        position = np.array([float(row[name]) for name in ("x_um", "y_um", "z_um")])
    except InputError:
        raise
    except (KeyError, TypeError, ValueError):
        wanted = "plane, burgers, character_deg, x_um, y_um and z_um; a loop radius_um, a wall "
        raise InputError(key, None, f"must have {wanted}spacing_um") from None
    if what == "loop":
        return model.loop(_loop_type(plane, burgers, key, model), position, radius)
    if what == "wall":
        return model.wall(_type(plane, burgers, character, key, model), position, spacing)
    return model.line(_type(plane, burgers, character, key, model), position, turning=True)


def _of_experiment(experiment: Experiment, model: StackModel) -> list[FittedDefect]:
    from weakbeam.assemble import assemble

    setup = assemble(experiment)
    lines = []
    for number, placed in enumerate(setup.defects.placed):
        if placed.kind == "grid":
            continue
        key = f"start.defects[{number}]"
        table = experiment.defects[number] if number < len(experiment.defects) else None
        if isinstance(table, Loop | Wall):
            lines.append(_of_row(_row_of(table, key), key, model))
            continue
        if not isinstance(placed, PlacedDislocation) or placed.plane is None:
            raise InputError(
                key,
                placed.kind,
                "must be a straight dislocation with its plane, a round loop or a wall",
            )
        line = placed.line.turned(setup.sample_from_crystal.T)
        kind = _type(placed.plane, placed.burgers, 0.0, key, model)
        along_b = unit(np.array(kind.burgers_vector))
        along, edge = float(line.line @ along_b), float(line.line @ np.array(kind.edge))
        psi = math.degrees(math.atan2(along, edge))
        lines.append(model.line(kind.turned(psi), placed.line.position, turning=True))
    return lines


def _row_of(table: Loop | Wall, key: str) -> dict[str, Any]:
    """A loop or a wall of an experiment as a row of a table."""
    x, y, z = table.position_um
    row: dict[str, Any] = {"kind": table.kind, "plane": table.plane, "burgers": table.burgers}
    row |= {"x_um": x, "y_um": y, "z_um": z}
    if isinstance(table, Loop):
        if table.radius_um is None:
            raise InputError(key, "loop", "must be round: with plane or normal, and radius_um")
        # With a normal and no plane it is taken as prismatic.
        return row | {"radius_um": table.radius_um / SWOLLEN}
    one_sided = table.order == "one-sided" and table.count is None and table.stacking == "wall"
    if table.plane is None or table.psi_deg is None or not one_sided:
        allowed = "must be infinite and one-sided, with plane and angle, stacked along its normal"
        raise InputError(key, "wall", allowed)
    return row | {"character_deg": table.psi_deg, "spacing_um": table.spacing_um}


def _loop_type(plane: Any, burgers: Any, key: str, model: StackModel) -> LoopType:
    crystal = model.setup.crystal
    vector = burgers_vector(crystal.cell, crystal.centring, burgers)
    normal = unit(vector) if plane is None else unit(crystal.cell.plane_normal(plane))
    return LoopType(plane, burgers, three_floats(vector), three_floats(normal))


def _type(
    plane: Any, burgers: Any, character: float, key: str, model: StackModel
) -> DislocationType:
    crystal = model.setup.crystal
    try:
        kind = dislocation_types(crystal.cell, crystal.centring, [(plane, burgers)], [0.0])[0]
    except ValueError as error:
        raise InputError(key, f"{list(plane)} {list(burgers)}", str(error)) from None
    return kind.turned(character)
