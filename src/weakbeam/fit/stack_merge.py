"""Two lines beside each other that may be one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_line import FittedLine
from weakbeam.fit.stack_model import StackModel

_APART_UM = 0.7
"""Distance below which two lines are seen as about one."""

_TURNED_DEG = 15.0
_ALIKE = 1e-3


def near_pairs(model: StackModel, lines: Sequence[FittedDefect]) -> list[tuple[int, int]]:
    """Numbers of lines that run beside each other, those that stand last first."""
    straight = [(k, line) for k, line in enumerate(lines) if isinstance(line, FittedLine)]
    return [
        (i, j)
        for number, (j, line) in reversed(list(enumerate(straight)))
        for i, other in reversed(straight[:number])
        if _beside(model, other, line)
    ]


def merged(
    model: StackModel, line: FittedDefect, other: FittedDefect, types: Sequence[DislocationType]
) -> list[FittedLine]:
    """Lines with the sum of the Burgers vectors of two, half way between them.

    Parameters
    ----------
    model : StackModel
        Crystal and instrument.
    line, other : FittedLine
        The two.
    types : sequence of DislocationType
        What may be there.

    Returns
    -------
    list of FittedLine
        One of every slip system with that Burgers vector whose plane has nearly their direction.
    """
    assert isinstance(line, FittedLine)
    assert isinstance(other, FittedLine)
    along, across = line.type.line, other.type.line
    b, b2 = np.array(line.type.burgers_vector), np.array(other.type.burgers_vector)
    total = b + math.copysign(1.0, float(along @ across)) * b2
    point = 0.5 * (line.position_um + _crossing(model, other, line.position_um))
    best: dict[object, tuple[float, DislocationType]] = {}
    for kind in types:
        turn = float(kind.line @ along)
        own = math.copysign(1.0, turn) * np.array(kind.burgers_vector)
        if np.linalg.norm(own - total) > _ALIKE * np.linalg.norm(own):
            continue
        system = kind.plane, kind.burgers
        if abs(turn) > best.get(system, (math.cos(math.radians(_TURNED_DEG)), kind))[0]:
            best[system] = abs(turn), kind
    found = [replace(model.line(kind, point), turning=True) for _, kind in best.values()]
    return found


def _beside(model: StackModel, line: FittedLine, other: FittedLine) -> bool:
    turn = abs(float(line.type.line @ other.type.line))
    away = line.position_um - _crossing(model, other, line.position_um)
    return turn > math.cos(math.radians(_TURNED_DEG)) and float(np.linalg.norm(away)) < _APART_UM


def _crossing(model: StackModel, line: FittedLine, point: Floats) -> Floats:
    """The point of a line that is nearest to another point."""
    along = model.setup.sample_from_crystal @ line.type.line
    start = line.position_um
    return np.asarray(start + along * float((point - start) @ along))
