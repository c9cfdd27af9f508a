"""What a run will take for defects, in a line for each table of the experiment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weakbeam.assemble.defects import Defects
from weakbeam.assemble.placed import Placed, Summarised, angle_words
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import UniformGradient
from weakbeam.defects.lines import StraightLines

_MOST_TABLES = 20
"""Tables that are told of; of more the number is told."""


def defect_lines(defects: Defects) -> list[str]:
    """Say of every table of defects how many lines it made, and at which angle to their b.

    Parameters
    ----------
    defects : Defects
        The placed defects.

    Returns
    -------
    list of str
        Such as "defects[0]  dislocation, b∧t = 60°".
    """
    of_table: dict[int, list[Placed]] = {}
    for number, placed in zip(defects.tables, defects.placed, strict=True):
        of_table.setdefault(number, []).append(placed)
    said = [f"defects[{number}]  {_line(parts)}" for number, parts in of_table.items()]
    if len(said) > _MOST_TABLES:
        said[_MOST_TABLES:] = [f"and {len(said) - _MOST_TABLES} more tables of defects"]
    return said


def _line(parts: Sequence[Placed]) -> str:
    sources = [part.sources for part in parts]
    lines = StraightLines.joined([part.lines for part in sources])
    walls = StraightLines.of([wall.dislocation for part in sources for wall in part.walls])
    pieces = StraightLines.joined([part.segments.lines for part in sources])
    words = [parts[0].kind]
    for some, name in ((lines, "lines"), (walls, "walls"), (pieces, "segments")):
        words += [f"{len(some)} {name}"] if len(some) > 1 else []
    angles = np.concatenate([some.angles_deg for some in (lines, walls, pieces)])
    words += [f"b∧t {angle_words(angles)}"] if len(angles) else []
    said = [part.summary() for part in parts if isinstance(part, Summarised)]
    words += [text for text in said if text]
    for part in sources:
        words += [
            _deformation(field.gradient)
            for field in part.fields
            if isinstance(field, UniformGradient)
        ]
    return ", ".join(words)


def _deformation(gradient: Floats) -> str:
    """The largest principal strain of F = 1 + β, and the angle by which it turns the lattice."""
    left, stretches, right = np.linalg.svd(np.eye(3) + gradient)
    turn = left @ right
    sine = 0.5 * np.array([turn[i, j] - turn[j, i] for i, j in ((2, 1), (0, 2), (1, 0))])
    strain = float(max(stretches - 1.0, key=abs))
    parts = [f"strain {strain:.3g} at most"] if abs(strain) > 1e-12 else []
    angle = 1e3 * math.asin(min(float(np.linalg.norm(sine)), 1.0))
    parts += [f"turned by {angle:.4g} mrad"] if angle > 1e-9 else []
    return ", ".join(parts) or "nothing deformed"
