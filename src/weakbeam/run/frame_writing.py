"""The frames and maps of a run, written into its file entry by entry."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats
from weakbeam.imaging.contract import Progress
from weakbeam.io.scanfile import ScanFile
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.engines import EngineAt, Engines
from weakbeam.run.entries import EntryPlan
from weakbeam.run.frames import camera_frames
from weakbeam.run.maps import CountedSums, ScanSums, factor_sums, scan_maps

_DARK_BYTES = 64 * 2**20
"""Memory for the frames without light, or of uniform light, that are made at once."""


class Deformation(NamedTuple):
    """The projected deformation of a reflection at the height at which its scan begins."""

    mean_q: Floats
    """q averaged over the rays of each stored pixel, (3, rows, columns)."""
    masked: int
    """Rays that do not diffract."""
    sampling_error: float
    """Rms error of the images by sampling, relative to them; NaN where pixels are points."""
    tolerance: float
    """How many times larger than usual steps of q along a ray may be."""


def deformation_of(acquisition: Acquisition, engines: Engines) -> Deformation:
    """The projected deformation where a scan begins."""
    setup = acquisition.setup
    engine = engines.at(setup, acquisition.first_height)
    q, masked = engine.mean_q()
    return Deformation(setup.detector.readout.mean(q), masked, engine.reached, engine.loosened)


class WrittenEntries(NamedTuple):
    """What writing the frames has told of them."""

    deformations: dict[int, Deformation]
    """By the index of the first entry of each reflection."""
    saturated: int
    """Saturated pixels of all frames."""


def write_entries(
    plans: list[EntryPlan],
    file: ScanFile,
    workers: int | None,
    progress: Progress | None,
    images: NDArray[Any] | None,
) -> WrittenEntries:
    """Write the frames that are missing, entry by entry, and the maps.

    Parameters
    ----------
    plans : list of EntryPlan
        All entries of the file.
    file : ScanFile
        The file, open for writing.
    workers, progress, images
        As for :func:`weakbeam.record`.

    Returns
    -------
    WrittenEntries
    """
    deformations, saturated, engines = dict[int, Deformation](), 0, Engines(workers)
    errors: dict[Setup, float] = {}
    for plan in plans:
        if plan.companion:
            _write_companion(plan, plan.companion, file, workers)
            continue
        if plan.shows_its_reflection:
            # Before the frames: they begin at the same height, with the same engine.
            deformations[plan.index] = deformation_of(plan.acquisition, engines)
            errors[plan.setup] = deformations[plan.index].sampling_error
        if not plan.perfect:
            file.write_sampling_error(plan.index, errors.get(plan.setup, math.nan))
        engine_at = engines.of(plan.setup, plan.perfect)
        sums, full = _write_frames(plan, plans, file, engine_at, workers, progress, images)
        saturated += full
        if sums is not None:
            file.write_maps(plan.index, scan_maps(plan.acquisition, sums))
    return WrittenEntries(deformations, saturated)


def _write_frames(
    plan: EntryPlan,
    plans: list[EntryPlan],
    file: ScanFile,
    engine_at: EngineAt,
    workers: int | None,
    progress: Progress | None,
    images: NDArray[Any] | None,
) -> tuple[ScanSums | None, int]:
    """Write the frames of an entry that are missing.

    Returns
    -------
    sums : ScanSums or None
        Of the whole scan, if it has maps.
    saturated : int
        Saturated pixels of its frames, but for a perfect crystal.
    """
    setup, scan = plan.setup, plan.acquisition.scan
    wants_maps = bool(scan.moving) and not plan.perfect
    done = file.frames_done(plan.index)
    counted = None
    # Counts have no other source; and where frames do not come from factors, or each has a field of
    # its own, they are the cheaper one.
    from_frames = setup.detector.model is not None or scan.moving == ("z",) or not setup.factorises
    if from_frames and not plan.perfect:
        counted = CountedSums(plan.acquisition, workers)
        counted.add_stored(file.path, plan.index, file.frames_written(plan.index))
    if images is not None and not plan.perfect:
        start = sum(earlier.frames for earlier in plans[: plan.index])
        frames = images.reshape(-1, *images.shape[-2:])[start : start + scan.frames]
        batches = iter([(scan.places, frames)])
    else:
        batches = camera_frames(plan.acquisition, engine_at, plan.index, workers, progress, ~done)
    for numbers, frames in batches:
        file.write_frames(plan.index, numbers, frames)
        if counted is not None:
            counted.add(numbers, frames)
    if counted is not None:
        return (counted.sums if wants_maps else None), counted.saturated
    return (factor_sums(plan.acquisition, engine_at) if wants_maps else None), 0


def _write_companion(
    plan: EntryPlan, kind: Literal["dark", "flat"], file: ScanFile, workers: int | None
) -> None:
    """Write the frames of a dark or flat scan that are missing."""
    missing = np.flatnonzero(~file.frames_done(plan.index))
    at_once = max(1, _DARK_BYTES // (8 * math.prod(plan.setup.detector.readout.shape)))
    for start in range(0, len(missing), at_once):
        numbers = missing[start : start + at_once]
        frames = plan.setup.detector.companions(kind, plan.index, numbers, workers)
        file.write_frames(plan.index, numbers, frames)
