"""The normal integral between limits, and nodes for averages over a motion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import elementwise


@elementwise
def normal_between(low: Any, high: Any) -> Any:
    """Φ(high) - Φ(low), accurate in both tails because it is taken in the upper one."""
    if low < -high:
        low, high = -high, -low
    root = math.sqrt(0.5)
    return 0.5 * (math.erfc(low * root) - math.erfc(high * root))


def even_nodes(length: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes from -1/2 to 1/2, and weights, for a motion over `length` widths."""
    node, weight = np.polynomial.legendre.leggauss(min(6 + math.ceil(3.0 * length), 500))
    return 0.5 * node, 0.5 * weight
