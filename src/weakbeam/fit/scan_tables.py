"""Table `scan` of the experiment whose motors stand where those of a measured scan stood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from weakbeam.analysis.scan_grid import find_grid
from weakbeam.core.arrays import Floats

_EVEN = 1e-3


def tables_of(moving: Mapping[str, Floats]) -> dict[str, Any] | None:
    """Table ``scan`` of an experiment whose motors stand at some positions.

    Parameters
    ----------
    moving : mapping of str to (frames,) ndarray
        Positions of ``phi``, ``chi`` and ``two_theta`` from the Bragg setting (rad), of those that
        move.

    Returns
    -------
    dict or None
        None where the positions are on no grid.
    """
    if set(moving) == {"phi", "two_theta"}:
        strain = _strain(moving["phi"], moving["two_theta"])
        if strain is not None:
            return strain
    grid = find_grid(moving)
    if grid.kind not in ("grid", "zigzag", "line") or len(grid.axes) != len(moving):
        return None
    if grid.kind == "line" and len(moving) > 1:
        return None
    return {name: _axis(grid.axes[name]) for name in moving}


def _axis(positions: Floats) -> dict[str, Any]:
    """Positions (rad) as a range, or listed where steps are uneven."""
    x = 1e3 * np.asarray(positions)
    steps = np.diff(x)
    if len(x) > 1 and np.ptp(steps) < _EVEN * abs(float(steps.mean())) and steps[0] > 0.0:
        return {
            "half_range_mrad": rounded(0.5 * float(x[-1] - x[0])),
            "steps": len(x),
            "center_mrad": rounded(0.5 * float(x[0] + x[-1])),
        }
    return {"values_mrad": [rounded(float(value)) for value in x]}


def _strain(phi: Floats, arm: Floats) -> dict[str, Any] | None:
    """The tables of a strain scan, in which φ moves by half of the arm, the other way."""
    slope, level = np.polyfit(arm, phi, 1)
    rest = phi - slope * arm - level
    if abs(slope + 0.5) > _EVEN or float(np.abs(rest).max()) > _EVEN * float(np.ptp(arm)):
        return None
    return {"strain": _axis(arm), "phi": {"value_mrad": rounded(1e3 * float(level))}}


def rounded(value: float) -> float:
    """To as many digits as any error asks for."""
    return float(f"{value:.9g}")


def plain(value: Any) -> Any:
    """Tables without what is not given, tuples as lists."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value
