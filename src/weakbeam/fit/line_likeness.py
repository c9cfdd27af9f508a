"""How lines of a fitted stack are related to each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weakbeam.fit.stack_model import FittedLine

_SAME_DEG, _SAME_AT = 0.5, 0.3
"""Lines whose characters, and coordinates (pixels or µm), differ by less are one."""


def same_system(line: FittedLine, other: FittedLine) -> bool:
    """Whether one becomes the other by moving and turning, across the sheet."""
    same = (line.type.plane, line.type.burgers) == (other.type.plane, other.type.burgers)
    return same and not line.place.in_sheet and not other.place.in_sheet


def alike(line: FittedLine, other: FittedLine) -> bool:
    """Whether two climbs have led to the same line."""
    same = (line.type.plane, line.type.burgers) == (other.type.plane, other.type.burgers)
    if not same or line.place.in_sheet != other.place.in_sheet:
        return False
    turn = (line.type.character_deg - other.type.character_deg + 180.0) % 360.0 - 180.0
    return abs(turn) < _SAME_DEG and float(np.abs(line.at - other.at).max()) < _SAME_AT


def at_other_depths(line: FittedLine) -> list[FittedLine]:
    """A line in the sheet on the other side of its middle, where the likelihood is alike."""
    if not line.place.in_sheet:
        return []
    return [replace(line, at=line.at * np.array([1.0, share])) for share in (-1.0, 0.0)]
