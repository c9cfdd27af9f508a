"""Several scans put together into one over a motor that moved between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.analysis.remarks import Remark
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io.measured_scan import MeasuredScan


def combined_scan(scans: Sequence[MeasuredScan], over: str) -> MeasuredScan:
    """Put scans of the same motors together.

    Parameters
    ----------
    scans : sequence of MeasuredScan
        The scans, two or more, of frames of one shape.
    over : str
        A motor that stood still in each of them, at different places.

    Returns
    -------
    MeasuredScan
        Its frames are theirs, one scan after another; the outer motor comes first.

    Raises
    ------
    InputError
        If the scans do not belong together, or the motor stood in one place.
    """
    first = scans[0]
    if len(scans) < 2:
        raise InputError("entries", first.entry, "is one scan; give two or more, such as 1.1-9.1")
    for scan in scans[1:]:
        for what, here, there in (
            ("motors", list(first.positions), list(scan.positions)),
            ("units", first.units, scan.units),
            ("shape of a frame", first.shape, scan.shape),
            ("type of a pixel", first.dtype, scan.dtype),
            ("monitor", first.monitor is None, scan.monitor is None),
        ):
            if here != there:
                said = f"differs from {first.entry} in {what}: {there} instead of {here}"
                raise InputError("entries", scan.entry, said)
    places = [_place(scan, over) for scan in scans]
    if len(set(places)) < 2:
        raise InputError("over", over, f"stood at {places[0]:g} in all entries")
    outer: Floats = np.concatenate(
        [np.full(scan.frames, at) for scan, at in zip(scans, places, strict=True)]
    )
    joined = {
        motor: np.concatenate([scan.positions[motor] for scan in scans])
        for motor in first.positions
    }
    starts = np.cumsum([0, *(scan.frames for scan in scans)])
    remarks = [
        _moved(remark, int(start))
        for scan, start in zip(scans, starts[:-1], strict=True)
        for remark in scan.remarks
    ]
    entry = f"{first.entry}-{scans[-1].entry}"
    monitors = [scan.monitor for scan in scans if scan.monitor is not None]
    return replace(
        first,
        entry=entry,
        title=f"{len(scans)} entries over {over}: {first.title}",
        positions={over: outer, **joined},
        units={over: first.fixed_units.get(over, ""), **first.units},
        fixed={name: at for name, at in first.fixed.items() if name != over},
        frames=int(starts[-1]),
        remarks=tuple(remarks),
        monitor=np.concatenate(monitors) if monitors else None,
        images=(),
        parts=tuple(scans),
        geometry="",
    )


def _place(scan: MeasuredScan, over: str) -> float:
    if over in scan.fixed:
        if not math.isfinite(scan.fixed[over]):
            raise InputError("over", over, f"{scan.where} says that it stood at {scan.fixed[over]}")
        return scan.fixed[over]
    still = ", ".join(sorted(scan.fixed)) or "none"
    raise InputError("over", over, f"{scan.where} does not say where it stood; it has: {still}")


def _moved(remark: Remark, start: int) -> Remark:
    """The remark with the numbers that its frames have in the whole; its text keeps its own."""
    return replace(remark, frames=tuple(start + number for number in remark.frames))
