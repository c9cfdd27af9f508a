"""How the settings of a scan are cut into batches."""

from __future__ import annotations

import math

SETTINGS_AT_ONCE = 256
"""Most settings of one kind in a batch."""


def tiles(rock: int, roll: int, most: int) -> list[tuple[slice, slice]]:
    """Cut a scan into batches; the roll factor is cheaper to repeat, so rock is cut first.

    Parameters
    ----------
    rock, roll : int
        Settings of φ and 2θ, and of χ.
    most : int
        Most frames in a batch.

    Returns
    -------
    list of (slice, slice)
        Settings of φ and 2θ, and of χ, of each batch.
    """
    step_j = _even_step(roll, min(most, SETTINGS_AT_ONCE))
    step_i = _even_step(rock, max(1, min(most // step_j, SETTINGS_AT_ONCE)))
    return [
        (slice(i, min(i + step_i, rock)), slice(j, min(j + step_j, roll)))
        for i in range(0, rock, step_i)
        for j in range(0, roll, step_j)
    ]


def size(part: slice) -> int:
    """Number of settings in a part of them."""
    return int(part.stop - part.start)


def _even_step(count: int, most: int) -> int:
    """Length of the pieces when `count` is cut into as few pieces of at most `most` as possible."""
    pieces = math.ceil(count / most)
    return math.ceil(count / pieces)
