"""Scans whose drift is measured and taken out before their frames are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from weakbeam.analysis.drift import Drift
from weakbeam.analysis.survey import FrameSurvey
from weakbeam.core.arrays import Floats
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.measured.drift import GroupSums, aligned_scan
from weakbeam.measured.gathering import lost_frames, rows_of, taken_frames


def align_scan(
    scan: MeasuredScan,
    level: float | Floats | None = None,
    workers: int | None = None,
    tell: Callable[[float], None] | None = None,
) -> tuple[MeasuredScan, FrameSurvey | None, Drift | None]:
    """Read all frames, measure the drift of the image, and take it out if it is significant.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    level : float or (rows, columns) ndarray, optional
        Level without light, if it is known.
    workers : int, optional
        Threads that unpack frames.
    tell : callable, optional
        Told which share of this is newly done.

    Returns
    -------
    scan : MeasuredScan
        With a remark on what was done; its frames are moved back where they are read.
    survey : FrameSurvey or None
        Sums and extremes of the frames as the camera read them; None where nothing is taken out.
    drift : Drift or None
        What was measured; None where the frames show too little to tell.

    Raises
    ------
    RunError
        If frames cannot be read, or are no scan.
    """
    taken = taken_frames(scan)
    survey = FrameSurvey(scan.shape, taken.frames, scan.dtype, taken.used)
    groups = GroupSums(scan, rows_of(taken), taken.numbers, to_align=True)
    every = slice(0, scan.shape[0])
    for numbers, frames in taken.blocks(every, workers):
        survey.add(numbers, frames, every)
        groups.add(numbers, frames, every)
        if tell is not None:
            tell(len(numbers) / taken.frames)
    lost = list(lost_frames(survey, taken))
    if lost:
        return align_scan(scan.remarked(*lost), level, workers, tell)
    drift = groups.drift(taken.used & ~survey.stuck, level)
    aligned = aligned_scan(replace(scan, masked=~taken.used | survey.stuck), drift)
    if aligned.shifts is None:
        return scan.remarked(aligned.remarks[-1]), None, drift
    return aligned, survey, drift
