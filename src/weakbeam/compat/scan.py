"""The scan of a dfxm-geo file."""

from __future__ import annotations

import math
from typing import Any

from weakbeam.compat.keys import Keys, Notes
from weakbeam.compat.optics import rounded
from weakbeam.errors import InputError

_AXES = {"phi": "phi", "chi": "chi", "two_dtheta": "two_theta", "z": "z"}

LIKELY_DEGREES = 0.01
"""Angles (rad) above which a range is rather meant in degrees."""


def scan_of(table: Keys, notes: Notes, degrees: bool = False) -> dict[str, Any]:
    """Take the axes of a scan.

    Parameters
    ----------
    table : Keys
        ``[scan]``.
    notes : Notes
        Where changes are noted.
    degrees : bool
        Whether large angles are in degrees, as the template of dfxm-identify for scans has them.

    Raises
    ------
    InputError
        If an axis has a range without steps or steps without a range, or fewer than two steps.
    """
    scan = {}
    for theirs, ours in _AXES.items():
        if theirs in table:
            axis = _axis(table.table(theirs), theirs, notes, degrees)
            if axis:
                scan[ours] = axis
        else:
            table.table(theirs)
    table.finish()
    return scan


def _axis(table: Keys, name: str, notes: Notes, degrees: bool) -> dict[str, Any]:
    unit, scale = ("um", 1.0) if name == "z" else ("mrad", 1e3)
    value = table.number("value", 0.0)
    half_range, steps = table.number_or_none("range"), table.integer_or_none("steps", least=2)
    table.finish()
    if (half_range is None) != (steps is None):
        missing = "range" if half_range is None else "steps"
        raise InputError(table.name(missing), None, "missing; give range and steps, or neither")
    largest = max(abs(value), abs(half_range or 0.0))
    if name != "z" and largest > LIKELY_DEGREES:
        scale = 1e3 * math.pi / 180.0 if degrees else scale
        notes.change(
            f"{table.path}: {largest:g} is taken in degrees, as its template says; dfxm-geo takes "
            f"it in rad"
            if degrees
            else f"{table.path}: {largest:g} is taken in rad, as dfxm-geo does; in degrees it "
            f"would be {largest * 1e3 * math.pi / 180.0:.4g} mrad"
        )
    if name == "two_dtheta" and (value or half_range):
        scale = -scale
        reversed_order = "; frames come in reversed order" if half_range else ""
        notes.restate(
            "scan.two_dtheta: scan.two_theta with the opposite sign, positive is the larger angle"
            + reversed_order
        )
    centre = rounded(scale * value)
    if half_range is None:
        return {f"value_{unit}": centre} if value else {}
    axis: dict[str, Any] = {f"half_range_{unit}": rounded(abs(scale) * half_range), "steps": steps}
    if value:
        axis[f"center_{unit}"] = centre
    return axis
