"""Blur of images from an edge in them: the edge of a slit, or of the crystal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from weakbeam.core.arrays import Floats
from weakbeam.fit.ascent import climb

_FALL = 0.5
"""Share of the brightest light that has to be lost across an edge."""

_REACH = 12
"""Pixels on either side of an edge that are looked at."""

_WIDEST = 4.0
"""Standard deviation (px) beyond which an edge is no sharp one."""

_STEEPEST_DEG = 5.0
_PIXEL = 1.0 / 12.0
"""Variance (px²) of the light over the area of a pixel."""

_FEWEST_LINES = 6


@dataclass(frozen=True)
class SharpEdge:
    """An edge in an image.

    Parameters
    ----------
    axis : {"row", "column"}
        Of a row edge the light changes from row to row.
    place : float
        Mean row or column at which half of the light is passed.
    sigma, error : float
        Standard deviation (px) of the blur, without that of the pixels themselves: an upper limit,
        as the edge may be soft itself.
    """

    axis: str
    place: float
    sigma: float
    error: float


def find_sharp_edge(image: Floats) -> SharpEdge | None:
    """Find the sharpest straight edge along rows or columns, at most 5 degrees off.

    Parameters
    ----------
    image : (rows, columns) ndarray
        Counts.

    Returns
    -------
    SharpEdge or None
        None where the light nowhere falls to less than half of the brightest within some pixels.
    """
    found = [
        edge
        for axis, lines in (("column", image), ("row", image.T))
        if (edge := _edge_across(lines, axis)) is not None
    ]
    return min(found, key=lambda edge: edge.sigma, default=None)


def _edge_across(lines: Floats, axis: str) -> SharpEdge | None:
    """The steepest step of the median of many lines, with a place in each of them."""
    count, length = lines.shape
    if count < _FEWEST_LINES or length < 2 * _REACH:
        return None
    middle_line = np.median(lines, axis=0)
    span = float(np.ptp(np.quantile(middle_line, [0.02, 0.98])))
    steepness = np.abs(np.diff(gaussian_filter1d(middle_line, 1.0)))
    at = _REACH // 2 + int(steepness[_REACH // 2 : -_REACH // 2].argmax())
    low, high = max(at - _REACH, 0), min(at + _REACH + 2, length)
    first = float(np.median(middle_line[low : max(at - 4, low + 1)]))
    last = float(np.median(middle_line[min(at + 6, high - 1) : high]))
    if not span > 0.0 or abs(last - first) < _FALL * span:
        return None
    x = np.arange(low, high, dtype=np.float64)
    part = lines[:, low:high]
    if last < first:
        # Seen from the other side, so that all edges rise.
        x, part = -x[::-1], part[:, ::-1]
    level = 0.5 * (first + last)
    places = np.array([_crossing(x, line, level) for line in part])
    known, number = np.isfinite(places), np.arange(count)
    if int(known.sum()) < max(_FEWEST_LINES, count // 2):
        return None
    slope, start = np.polyfit(number[known], places[known], 1)
    if abs(slope) > math.tan(math.radians(_STEEPEST_DEG)):
        return None
    straight = start + slope * number
    curve = _EdgeCurve((x - straight[:, None]).ravel(), part.ravel())
    shift, sigma, error = curve.fitted()
    if not 0.0 < sigma < _WIDEST or not error < sigma:
        return None
    place = float(straight.mean() + shift)
    return SharpEdge(axis, place if last > first else -place, sigma, error)


def _crossing(x: Floats, line: Floats, level: float) -> float:
    """Where a line rises through a level; NaN unless it does so once."""
    above = line > level
    crossings = np.flatnonzero(above[1:] & ~above[:-1])
    if len(crossings) != 1:
        return math.nan
    k = int(crossings[0])
    return float(x[k] + (level - line[k]) / (line[k + 1] - line[k]))


@dataclass(frozen=True, eq=False)
class _Point:
    shift: float
    log_sigma: float
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class _Slopes:
    gradient: Floats
    expected: Floats
    observed: None = None


class _EdgeCurve:
    """A normal integral between two levels, fitted to values."""

    def __init__(self, distance: Floats, values: Floats) -> None:
        self.distance, self.values = distance, values
        self.variance = 1.0
        self.variance = self._rest(0.0, 0.0)[1].var()

    def _curve(self, shift: float, log_sigma: float) -> tuple[Floats, Floats]:
        width = math.sqrt(math.exp(2.0 * log_sigma) + _PIXEL)
        u = (self.distance - shift) / width
        density = np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi) / width
        return ndtr(u), np.stack([-density, -density * u * math.exp(2.0 * log_sigma) / width])

    def _rest(self, shift: float, log_sigma: float) -> tuple[Floats, Floats]:
        """Derivatives by both parameters, and residuals, with all that is linear at its best.

        That are the two levels, and a slope of the brighter one.
        """
        curve, slopes = self._curve(shift, log_sigma)
        linear = np.stack([curve, np.ones_like(curve), curve * self.distance], axis=1)
        shares = np.linalg.lstsq(linear, self.values, rcond=None)[0]
        slopes = slopes * (shares[0] + shares[2] * self.distance)
        basis = np.linalg.qr(linear)[0]
        return slopes - (slopes @ basis) @ basis.T, self.values - linear @ shares

    def _point(self, shift: float, log_sigma: float) -> _Point:
        rest = self._rest(shift, log_sigma)[1]
        return _Point(shift, log_sigma, -0.5 * float(rest @ rest) / self.variance)

    def _slopes(self, point: _Point) -> _Slopes:
        slopes, rest = self._rest(point.shift, point.log_sigma)
        return _Slopes(slopes @ rest / self.variance, slopes @ slopes.T / self.variance)

    def fitted(self) -> tuple[float, float, float]:
        """Shift, standard deviation and its error."""
        top, _ = climb(
            self._point(0.0, 0.0),
            self._slopes,
            lambda at, step: self._point(at.shift + step[0], at.log_sigma + step[1]),
            longest=np.array([1.0, 0.5]),
        )
        rest = self._rest(top.shift, top.log_sigma)[1]
        expected = self._slopes(top).expected * self.variance / max(float(rest.var()), 1e-300)
        error = math.sqrt(max(float(np.linalg.pinv(expected)[1, 1]), 0.0))
        sigma = math.exp(top.log_sigma)
        return top.shift, sigma, error * sigma
