"""Vectors that a caller gives, checked."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats


def three_numbers(name: str, value: ArrayLike, *, not_zero: bool = False) -> Floats:
    """A copy of a vector (3,), in its own unit.

    Raises
    ------
    ValueError
        If it has another shape, a number is not finite or, with `not_zero`, all are zero.
    """
    vector = np.array(value, dtype=np.float64)
    zero = not_zero and not np.any(vector)
    if vector.shape != (3,) or not np.all(np.isfinite(vector)) or zero:
        allowed = "three finite numbers, not all zero" if not_zero else "three finite numbers"
        raise ValueError(f"{name} must be {allowed}")
    return vector
