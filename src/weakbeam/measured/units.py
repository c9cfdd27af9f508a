"""In which unit angles are shown: one in a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import ArrayLike
from weakbeam.errors import InputError
from weakbeam.io.measured_scan import MeasuredScan

UNITS = ("deg", "mrad", "urad")
"""What can be asked for."""

LABELS = {"deg": "deg", "mrad": "mrad", "urad": "µrad", "um": "µm"}
"""What figures call units."""

_PER_DEGREE = {
    "deg": 1.0,
    "mrad": 1e3 * math.pi / 180.0,
    "urad": 1e6 * math.pi / 180.0,
    "rad": math.pi / 180.0,
}
_SMALL_DEG = 3.0
"""Angles that stay below this are shown in mrad."""

_SMALLER = {"mrad": "urad", "mm": "um", "um": "nm"}
_TENTH = 0.1
"""Values that stay below this are shown in a thousandth of the unit."""


def in_unit(scan: MeasuredScan, unit: str | None) -> MeasuredScan:
    """The scan whose angles figures are to show in a unit; in one that fits unless given.

    Raises
    ------
    InputError
        If the unit is no angle's.
    """
    if unit is not None and unit not in UNITS:
        raise InputError("unit", unit, f"must be one of {', '.join(UNITS)}")
    return replace(scan, shown_unit=unit or "")


def is_angle(unit: str) -> bool:
    """Whether a unit of a file is an angle's."""
    return unit in ("deg", "rad")


def shown_position(scan: MeasuredScan, motor: str) -> tuple[float, str]:
    """Factor and unit in which positions of a motor are shown, one for all angles of a scan."""
    own = scan.units[motor]
    if not is_angle(own):
        return 1.0, LABELS.get(own, own)
    angles = [
        scan.positions[name] / _PER_DEGREE[unit]
        for name, unit in scan.units.items()
        if is_angle(unit) and name in scan.positions
    ]
    small = all(float(np.abs(x).max()) < _SMALL_DEG for x in angles)
    unit = scan.shown_unit or ("mrad" if small else "deg")
    return _PER_DEGREE[unit] / _PER_DEGREE[own], LABELS[unit]


def printed(scan: MeasuredScan, own: str) -> tuple[float, str]:
    """Factor and unit in which numbers are printed: that of the file unless another was chosen."""
    if not is_angle(own) or not scan.shown_unit:
        return 1.0, own
    return _PER_DEGREE[scan.shown_unit] / _PER_DEGREE[own], LABELS[scan.shown_unit]


def shown_difference(
    scan: MeasuredScan, own: str, values: Sequence[ArrayLike]
) -> tuple[float, str]:
    """Factor and unit in which all the differences of a figure are shown.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    own : str
        The unit of the values.
    values : sequence of array_like
        Everything that is in the figure; NaN does not count.
    """
    factor, unit = 1.0, own
    if is_angle(own):
        unit = scan.shown_unit or "mrad"
        factor = _PER_DEGREE[unit] / _PER_DEGREE[own]
        if scan.shown_unit:
            return factor, LABELS[unit]
    sizes = [np.abs(np.asarray(x)[np.isfinite(x)]) for x in values]
    largest = max((float(np.percentile(x, 99)) for x in sizes if x.size), default=0.0)
    if unit in _SMALLER and 0.0 < factor * largest < _TENTH:
        factor, unit = 1e3 * factor, _SMALLER[unit]
    return factor, LABELS.get(unit, unit)
