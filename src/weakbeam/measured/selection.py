"""Which frames of a scan are taken."""

from __future__ import annotations

from collections.abc import Sequence

from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.errors import InputError
from weakbeam.io.measured_scan import MeasuredScan


def skipped(scan: MeasuredScan, skip: Sequence[int]) -> MeasuredScan:
    """The scan without some of its frames.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    skip : sequence of int
        Numbers of the frames, from 0.

    Raises
    ------
    InputError
        If there is no such frame.
    """
    if not len(skip):
        return scan
    numbers = tuple(sorted({int(number) for number in skip}))
    if not 0 <= numbers[0] <= numbers[-1] < scan.frames:
        raise InputError("skip", list(skip), f"the scan has frames 0 to {scan.frames - 1}")
    text = f"{scan.where}: {frames_text(numbers)} left out, as asked for"
    return scan.remarked(Remark("skipped", text, numbers, left_out=True))
