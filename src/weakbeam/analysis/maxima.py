"""Curves with two maxima: two parts of the lattice in one pixel, such as two subgrains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.profiles import Curves, vertex
from weakbeam.core.arrays import Floats

MAXIMA_NAMES = {
    "bimodality": "bimodality, rise of the second maximum over the height of the first",
    "second_peak": "second maximum",
    "second_value": "height of the second maximum",
}
"""Kinds of maps of a second maximum."""

LEAST_RISE = 0.1
"""Part of the peak, at least, by which a second maximum rises from the valley between the two."""

_SURE = 5.0
_WORK_BYTES = 4 * 2**20


def second_maxima(curves: Curves, noise: float = 0.0, shot: float = 0.0) -> dict[str, Floats]:
    """Find the second maximum of each pixel's curve.

    Of all maxima beside the peak it is the one that rises most above the lowest point between the
    two, and by more than a tenth of the peak and more than the noise.

    Parameters
    ----------
    curves : Curves
        The curves of all pixels.
    noise : float
        Standard deviation of a point of the curves without light.
    shot : float
        What an intensity of 1 adds to the variance of such a point: 1 for counts of photons. A
        second maximum rises by at least five standard deviations of the peak.

    Returns
    -------
    dict of str to (rows, columns) ndarray
        ``bimodality``: that rise over the height of the peak, 0 where there is no second maximum
        and 1 for two separate ones of one height; ``second_peak``, ``second_value``: where it is
        and how high, NaN where there is none. Empty where the motor does not go one way.
    """
    positions, intensity = curves
    sign = 1.0 if positions[-1] > positions[0] else -1.0
    if len(positions) < 3 or (sign * np.diff(positions) <= 0.0).any():
        return {}
    shape = intensity.shape[1:]
    maps = {kind: np.full(shape, np.nan) for kind in MAXIMA_NAMES}
    at_once = max(_WORK_BYTES // (4 * len(positions) * max(shape[1], 1)), 1)
    for start in range(0, shape[0], at_once):
        rows = slice(start, start + at_once)
        some = intensity[:, rows].astype(np.float32, copy=False)
        top = np.argmax(some, axis=0)
        height = np.take_along_axis(some, top[None], axis=0)[0]
        rise, place = _largest_rise(some, top, height)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = rise / height
        least = _SURE * np.sqrt(noise**2 + shot * np.maximum(height, 0.0))
        two = (rise > least) & (share > LEAST_RISE) & (height > 0.0)
        where, value = vertex(some, sign * positions, place)
        maps["bimodality"][rows] = np.where(two, share, 0.0)
        maps["second_peak"][rows] = np.where(two, sign * where, np.nan)
        maps["second_value"][rows] = np.where(two, value, np.nan)
    return maps


def _largest_rise(
    curves: NDArray[np.floating], top: NDArray[np.intp], peak: NDArray[np.floating]
) -> tuple[Floats, NDArray[np.intp]]:
    """Largest rise of each curve when one walks away from its peak, and where it ends."""
    best = np.zeros(top.shape, curves.dtype)
    place = top.copy()
    for numbers, beyond in (
        (range(len(curves)), np.greater),
        (range(len(curves) - 1, -1, -1), np.less),
    ):
        valley = peak.copy()
        for number in numbers:
            away = beyond(number, top)
            np.minimum(valley, curves[number], out=valley, where=away)
            rise = np.where(away, curves[number] - valley, 0.0)
            higher = rise > best
            best[higher], place[higher] = rise[higher], number
    return np.asarray(best, dtype=np.float64), place
