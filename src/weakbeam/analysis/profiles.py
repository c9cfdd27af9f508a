"""Curves of intensity along a motor, pixel by pixel: their peak and their width."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weakbeam._typing import ArrayLike, Floats


def curve_peak(curves: NDArray[np.floating], positions: ArrayLike) -> tuple[Floats, Floats]:
    """Position and height of the peak of each curve, from a parabola through its top three points.

    Parameters
    ----------
    curves : (n, ...) ndarray
        Intensity at each position, for any number of pixels.
    positions : (n,) array_like
        Positions, increasing; they need not be evenly spaced.

    Returns
    -------
    position, height : (...) ndarray
        Of a curve that is highest at an end, that end; NaN where nothing is above zero.

    Raises
    ------
    ValueError
        If positions and curves do not belong together.
    """
    x = _checked(curves, positions)
    top = np.argmax(curves, axis=0)
    height = _at(curves, top)
    position = x[top]
    inside = (top > 0) & (top < len(x) - 1)
    middle = np.clip(top, 1, max(len(x) - 2, 1))
    if len(x) >= 3:
        before, after = x[middle] - x[middle - 1], x[middle + 1] - x[middle]
        rise = (height - _at(curves, middle - 1)) / before
        fall = (_at(curves, middle + 1) - height) / after
        curvature = (fall - rise) / (before + after)
        slope = (rise * after + fall * before) / (before + after)
        bent = inside & (curvature < 0.0)
        safe = np.where(bent, curvature, -1.0)
        position = np.where(bent, position - slope / (2.0 * safe), position)
        height = np.where(bent, height - slope**2 / (4.0 * safe), height)
    lit = height > 0.0
    return np.where(lit, position, np.nan), np.where(lit, height, np.nan)


def half_maximum_width(curves: NDArray[np.floating], positions: ArrayLike) -> Floats:
    """Full width at half maximum of each curve, linear between the points beside the crossings.

    Parameters
    ----------
    curves : (n, ...) ndarray
        Intensity at each position, for any number of pixels.
    positions : (n,) array_like
        Positions, increasing.

    Returns
    -------
    (...) ndarray
        Distance of the crossings next to the highest point; NaN where the curve does not fall to
        half on both sides.

    Raises
    ------
    ValueError
        If positions and curves do not belong together.
    """
    x = _checked(curves, positions)
    top = np.argmax(curves, axis=0)
    half = 0.5 * _at(curves, top)
    number = np.arange(len(x)).reshape(-1, *(1,) * top.ndim)
    below = curves < half
    left = np.where(below & (number < top), number, -1).max(axis=0)
    right = np.where(below & (number > top), number, len(x)).min(axis=0)
    known = (left >= 0) & (right < len(x)) & (half > 0.0)
    left, right = np.where(known, left, 0), np.where(known, right, len(x) - 1)
    inner_left, inner_right = np.minimum(left + 1, len(x) - 1), np.maximum(right - 1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        low = _crossing(curves, x, left, inner_left, half)
        high = _crossing(curves, x, right, inner_right, half)
    return np.where(known, high - low, np.nan)


def _crossing(
    curves: NDArray[np.floating],
    x: Floats,
    outer: NDArray[np.intp],
    inner: NDArray[np.intp],
    half: Floats,
) -> Floats:
    low, high = _at(curves, outer), _at(curves, inner)
    return np.asarray(x[outer] + (half - low) / (high - low) * (x[inner] - x[outer]))


def _at(curves: NDArray[np.floating], number: NDArray[np.intp]) -> Floats:
    """Value of each curve at its own number."""
    values = np.take_along_axis(curves, number[None], axis=0)[0]
    return np.asarray(values, dtype=np.float64)


def _checked(curves: NDArray[np.floating], positions: ArrayLike) -> Floats:
    x = np.asarray(positions, dtype=np.float64)
    if x.ndim != 1 or len(x) != len(curves) or len(x) == 0:
        raise ValueError(f"{len(curves)} points of the curves, positions of shape {x.shape}")
    if (np.diff(x) <= 0.0).any():
        raise ValueError("positions must increase")
    return x
