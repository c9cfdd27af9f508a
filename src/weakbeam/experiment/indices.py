"""The crystallographic kinds of value of the experiment file: indices, mounts, orientations."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, StrictFloat, StrictInt, StrictStr

from weakbeam.errors import InputError
from weakbeam.experiment.index_text import indices_of
from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import Allowed

ZERO_SUM = 1e-6
"""Largest sum of the first three of four components, for directions that are no integers."""


def check_four_indices(table: Table, *keys: str) -> None:
    """Refuse four indices that are no vector of a hexagonal lattice.

    Raises
    ------
    InputError
        If the first three do not add up to zero.
    """
    for key in keys:
        value = getattr(table, key)
        if value is not None and len(value) == 4 and abs(sum(value[:3])) > ZERO_SUM:
            first, second, _, last = value
            meant = [first, second, -first - second, last]
            raise InputError(
                key,
                list(value),
                f"the first three of four indices must add up to 0, not {sum(value[:3]):g}; did "
                f"you mean {meant}?",
            )


def _are_indices(v: tuple[int, ...]) -> bool:
    return len(v) in (3, 4) and any(v) and all(-99 <= n <= 99 for n in v)


def _is_direction(v: tuple[float, ...]) -> bool:
    in_range = all(abs(x) <= 1e6 for x in v) and any(abs(x) >= 1e-6 for x in v)
    return in_range and len(v) in (3, 4)


def _is_fraction(s: str) -> bool:
    return bool(re.fullmatch(r"[1-9]\d?(/[1-9]\d?)?", s))


def _is_matrix(rows: Any) -> bool:
    return all(abs(x) <= 1e3 for row in rows for x in row)


IndicesOrFour = Annotated[
    tuple[StrictInt, ...],
    Allowed(
        "three integers from -99 to 99, or four on hexagonal axes, not all 0",
        _are_indices,
    ),
    BeforeValidator(indices_of),
]
DirectionOrFour = Annotated[
    tuple[StrictFloat, ...],
    Allowed(
        "three numbers from -1e6 to 1e6, or four on hexagonal axes, not all 0",
        _is_direction,
    ),
    BeforeValidator(indices_of),
]
Fraction = Annotated[
    StrictStr,
    Allowed('a fraction of numbers from 1 to 99 in quotes, such as "1/6"', _is_fraction),
]
Mount = Annotated[
    tuple[IndicesOrFour, IndicesOrFour, IndicesOrFour],
    Allowed("three planes, each of three integers from -99 to 99, not all 0", lambda v: True),
]
_Row = tuple[StrictFloat, StrictFloat, StrictFloat]
Matrix = Annotated[
    tuple[_Row, _Row, _Row],
    Allowed("three rows of three numbers from -1000 to 1000", _is_matrix),
]
EulerAngles = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed("three angles from -360 to 360", lambda v: all(abs(x) <= 360.0 for x in v)),
]
Quaternion = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat, StrictFloat],
    Allowed(
        "four numbers w, x, y, z from -1000 to 1000, not all 0",
        lambda v: math.hypot(*v) > 0.0 and all(abs(x) <= 1e3 for x in v),
    ),
]
AtomPosition = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed("three fractions of the cell edges from -10 to 10", lambda v: max(map(abs, v)) <= 10),
]
Element = Annotated[
    StrictStr,
    Allowed(
        'the symbol of an element, such as "Al"', lambda s: bool(re.fullmatch("[A-Z][a-z]?", s))
    ),
]
