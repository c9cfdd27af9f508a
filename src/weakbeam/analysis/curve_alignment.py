"""One curve laid on another: how far it is shifted, and by how much it is brighter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from weakbeam.analysis.agreement import Agreement, compare_maps
from weakbeam.analysis.step_weights import step_weights
from weakbeam.core.arrays import ArrayLike, Floats

_SEARCHED = 0.6
"""Widths on either side of the first guess in which the shift is sought."""

_COARSE, _FINE = 61, 5
"""Shifts that are tried at once, and how often the best is refined between its neighbours."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Intensities over a motor.

    Parameters
    ----------
    positions : (n,) array_like
        Positions, in any order, no two of them equal.
    intensity : (n,) array_like
        Intensity at each of them, without background.
    """

    positions: Floats
    intensity: Floats

    def __post_init__(self) -> None:
        """Put the positions in order.

        Raises
        ------
        ValueError
            If there are fewer than two of them, or as many intensities as positions are lacking.
        """
        x, y = (np.asarray(a, dtype=np.float64) for a in (self.positions, self.intensity))
        if x.ndim != 1 or x.shape != y.shape or x.size < 2:
            raise ValueError("a curve needs two positions or more, and an intensity at each")
        order = np.argsort(x, kind="stable")
        object.__setattr__(self, "positions", x[order])
        object.__setattr__(self, "intensity", y[order])

    @property
    def half_maximum(self) -> tuple[float, float] | None:
        """Where the curve passes half of its maximum; None if it does not on both sides."""
        x, y = self.positions, self.intensity
        above = np.flatnonzero(y >= 0.5 * y.max()) if y.max() > 0.0 else np.zeros(0, int)
        if not above.size or above[0] == 0 or above[-1] == y.size - 1:
            return None
        first, last = int(above[0]), int(above[-1])
        half = 0.5 * float(y.max())
        low, high = slice(first - 1, first + 1), slice(last, last + 2)
        return (
            float(np.interp(half, y[low], x[low])),
            float(np.interp(half, y[high][::-1], x[high][::-1])),
        )

    @property
    def middle(self) -> float:
        """Where its peak is: the middle of its half maximum, or its highest point."""
        ends = self.half_maximum
        if ends is None:
            return float(self.positions[np.argmax(self.intensity)])
        return 0.5 * (ends[0] + ends[1])

    @property
    def width(self) -> float:
        """Its full width at half maximum; where it has none, that of the scan."""
        ends = self.half_maximum
        return float(np.ptp(self.positions)) if ends is None else ends[1] - ends[0]

    def at(self, positions: ArrayLike) -> Floats:
        """Intensity between the positions by monotone cubics; NaN outside of them."""
        smooth = PchipInterpolator(self.positions, self.intensity, extrapolate=False)
        return np.asarray(smooth(np.asarray(positions, dtype=np.float64)))


def found_shift(first: Curve, second: Curve) -> float:
    """Shift of the second curve that lays it on the first.

    Parameters
    ----------
    first, second : Curve
        Two curves of about the same shape, of any brightness, on positions of their own.

    Returns
    -------
    float
        What is to be added to the positions of the second. The one with the least squared
        difference over the positions that both have, with the best brightness for each; sought
        around that which puts the middles of their half maxima on each other.
    """
    start = first.middle - second.middle
    reach = _SEARCHED * max(first.width, second.width)
    shifts = start + np.linspace(-reach, reach, _COARSE)
    # So many positions, at least, are to be common: at the ends any two curves agree.
    fewest = 0.5 * np.count_nonzero(
        (first.positions >= second.positions[0] + start)
        & (first.positions <= second.positions[-1] + start)
    )
    best = start
    for _ in range(_FINE):
        lost = [_difference(first, second, float(shift), fewest) for shift in shifts]
        if not np.isfinite(lost).any():
            return start
        best = float(shifts[int(np.nanargmin(lost))])
        step = float(shifts[1] - shifts[0])
        shifts = best + np.linspace(-step, step, 21)
    return best


def found_factor(pairs: Sequence[tuple[Curve, Curve]]) -> float:
    """Factor by which second curves are multiplied to be as bright as first ones.

    Parameters
    ----------
    pairs : sequence of (Curve, Curve)
        Curves that lie on each other.

    Returns
    -------
    float
        Of least squares over the positions of the first ones that both have; NaN where there is
        no such position, or the second ones are dark.
    """
    together, squares = 0.0, 0.0
    for first, second in pairs:
        a, b, weights = _common(first, second, 0.0)
        together += float(np.sum(weights * a * b))
        squares += float(np.sum(weights * b * b))
    return together / squares if squares > 0.0 else math.nan


def compare_curves(first: Curve, second: Curve) -> tuple[Agreement, float]:
    """How two curves agree at the positions of the first that both have.

    Returns
    -------
    agreement : Agreement
    relative : float
        Root of the sum of squared differences over that of the first; NaN where none is common.
    """
    a, b, weights = _common(first, second, 0.0)
    squares = float(np.sum(weights * a * a))
    lost = float(np.sum(weights * (a - b) ** 2))
    return compare_maps(a, b), math.sqrt(lost / squares) if squares > 0.0 else math.nan


def _common(first: Curve, second: Curve, shift: float) -> tuple[Floats, Floats, Floats]:
    """Intensities of both where both are known, and the steps there."""
    b = second.at(first.positions - shift)
    known = np.isfinite(b)
    return first.intensity[known], b[known], step_weights(first.positions)[known]


def _difference(first: Curve, second: Curve, shift: float, fewest: float) -> float:
    """Part of the first curve's squares that is left when the second is subtracted."""
    a, b, weights = _common(first, second, shift)
    squares, together = float(np.sum(weights * b * b)), float(np.sum(weights * a * b))
    whole = float(np.sum(weights * a * a))
    if len(a) < max(fewest, 3) or squares <= 0.0 or whole <= 0.0 or together <= 0.0:
        return math.nan
    return 1.0 - together**2 / (squares * whole)
