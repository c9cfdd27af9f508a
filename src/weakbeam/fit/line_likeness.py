"""How defects of a fitted stack are related to each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_line import FittedLine

_SAME_DEG, _SAME_AT = 0.5, 0.3
"""Defects whose characters, and coordinates (pixels or µm), differ by less are one."""


def same_system(line: FittedDefect, other: FittedDefect) -> bool:
    """Whether one becomes the other by moving and turning, lines across the sheet."""
    return line.system == other.system and not line.in_sheet and not other.in_sheet


def alike(line: FittedDefect, other: FittedDefect) -> bool:
    """Whether two climbs have led to the same."""
    if line.system != other.system or line.names != other.names:
        return False
    limits = [_SAME_DEG if name.endswith("_deg") else _SAME_AT for name in line.names]
    return bool(np.all(line.apart(other) < limits))


def at_other_depths(line: FittedDefect) -> list[FittedDefect]:
    """A line in the sheet on the other side of its middle, where the likelihood is alike."""
    if not isinstance(line, FittedLine) or not line.in_sheet:
        return []
    return [replace(line, at=line.at * np.array([1.0, share])) for share in (-1.0, 0.0)]
