"""Curves of intensity along a motor, pixel by pixel: their peak and their width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats

CURVE_BYTES = 2**28
"""Most memory that the curves of a simulated scan may take."""

_WORK_BYTES = 4 * 2**20


class Curves(NamedTuple):
    """Intensity of every pixel along a motor, summed over the others."""

    positions: Floats
    """Positions of the motor, shape (n,)."""
    intensity: NDArray[np.floating]
    """Shape (n, rows, columns)."""


def curve_axes(axes: Mapping[str, ArrayLike], pixels: int) -> dict[str, Floats]:
    """Positions along the curves of a scan, increasing; none if all curves are too much to hold.

    Parameters
    ----------
    axes : mapping of str to (n,) array_like
        Positions of each moving motor, in any order.
    pixels : int
        Pixels of a frame.

    Returns
    -------
    dict of str to (n,) ndarray
        For each motor, without repetitions; empty above `CURVE_BYTES`.
    """
    by_motor = {motor: np.unique(np.asarray(x, dtype=np.float64)) for motor, x in axes.items()}
    return by_motor if 8 * pixels * sum(map(len, by_motor.values())) <= CURVE_BYTES else {}


def curve_maps(curves: Curves) -> dict[str, Floats]:
    """Maps of the peak and of half maximum; none where the motor does not go one way.

    Parameters
    ----------
    curves : Curves
        The curves of all pixels.

    Returns
    -------
    dict of str to (rows, columns) ndarray
        ``peak`` and ``peak_value`` of :func:`curve_peak`, ``fwhm_half`` of
        :func:`half_maximum_width`.
    """
    positions, intensity = curves
    sign = 1.0 if positions[-1] > positions[0] else -1.0
    if (sign * np.diff(positions) <= 0.0).any():
        return {}
    shape = intensity.shape[1:]
    maps = {kind: np.empty(shape) for kind in ("peak", "peak_value", "fwhm_half")}
    at_once = max(_WORK_BYTES // (len(positions) * shape[1]), 1)
    for start in range(0, shape[0], at_once):
        rows = slice(start, start + at_once)
        some = intensity[:, rows].astype(np.float32, copy=False)
        position, maps["peak_value"][rows] = curve_peak(some, sign * positions)
        maps["peak"][rows] = sign * position
        maps["fwhm_half"][rows] = half_maximum_width(some, sign * positions)
    return maps


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
    position, height = vertex(curves, x, np.argmax(curves, axis=0))
    lit = height > 0.0
    return np.where(lit, position, np.nan), np.where(lit, height, np.nan)


def vertex(
    curves: NDArray[np.floating], positions: Floats, top: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Position and height of a maximum, from a parabola through a point and its two neighbours.

    Parameters
    ----------
    curves : (n, ...) ndarray
        Intensity at each position.
    positions : (n,) ndarray
        Positions, increasing.
    top : (...) ndarray of int
        Number of that point of each curve. At an end, or where no parabola has its top there, the
        point itself is the maximum.

    Returns
    -------
    position, height : (...) ndarray
    """
    x = positions
    height = _at(curves, top)
    position = x[top]
    inside = (top > 0) & (top < len(x) - 1)
    middle = np.clip(top, 1, max(len(x) - 2, 1))
    if len(x) < 3:
        return position, height
    before, after = x[middle] - x[middle - 1], x[middle + 1] - x[middle]
    # Intensities that no float holds are infinite, and have no parabola.
    with np.errstate(invalid="ignore", over="ignore"):
        rise = (height - _at(curves, middle - 1)) / before
        fall = (_at(curves, middle + 1) - height) / after
        curvature = (fall - rise) / (before + after)
        slope = (rise * after + fall * before) / (before + after)
    bent = inside & (curvature < 0.0) & np.isfinite(slope) & np.isfinite(curvature)
    safe, turned = np.where(bent, curvature, -1.0), np.where(bent, slope, 0.0)
    return position - turned / (2.0 * safe), height - turned**2 / (4.0 * safe)


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
        width = high - low
    return np.where(known, width, np.nan)


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
