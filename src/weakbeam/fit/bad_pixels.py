"""Pixels that tell nothing of the crystal: hot, dead and saturated ones, found in the images."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.fit.observation import Bools, Noise

_SIGMAS = 8.0
_EACH = 3.0
_CONTRAST = 0.5
"""Share of its neighbours' range by which a pixel must lie beyond all of them as well."""

_FULL_ALIKE = 4
"""Fewest pixels of one highest count that are taken to be full."""

_FULL_SHARE = 5.0
"""How many times more pixels must have the highest count than each of those next below."""


def bad_pixels(images: ArrayLike, noise: Noise, good: Bools | None = None) -> Bools:
    """Hot and dead pixels: beyond all of their neighbours, in every image alike.

    Parameters
    ----------
    images : (conditions, rows, columns) array_like
        Counts above dark (ADU).
    noise : Noise
        Their noise.
    good : (conditions, rows, columns) ndarray of bool, optional
        Pixels that count so far; neighbours that do not are left out.

    Returns
    -------
    (conditions, rows, columns) ndarray of bool
        The same for all images.

    Notes
    -----
    A pixel is hot if it stands above the brightest of its eight neighbours, and dead if it lies
    below the darkest, by half of the range of those neighbours and three standard deviations of the
    noise in every image, and by eight of them in all images together. The core of a
    dislocation that lights up a single pixel in one image is dark in another, but in a single image
    the two look alike.
    """
    values = np.asarray(images, dtype=np.float64)
    known = np.isfinite(values) if good is None else good & np.isfinite(values)
    low, high = _neighbours(np.where(known, values, np.nan))
    edge = _CONTRAST * (high - low)
    hot = _beyond((values - high - edge) / np.sqrt(noise.variance(high)), known)
    dead = _beyond((low - values - edge) / np.sqrt(noise.variance(low)), known)
    return np.broadcast_to(hot | dead, values.shape).copy()


def full_count(frame: ArrayLike) -> float | None:
    """The count at which the pixels of a frame are full, where that can be seen.

    Parameters
    ----------
    frame : (rows, columns) array_like
        Counts as the camera gives them.

    Returns
    -------
    float or None
        The highest count of the frame if many more pixels have it than have any count just below.
    """
    values = np.asarray(frame, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    top = float(values.max())
    alike = int(np.sum(values == top))
    below = values[values < top]
    if alike < _FULL_ALIKE or below.size == 0:
        return None
    # Of as many next lower pixels, how close do they lie to each other?
    nearest = np.sort(below)[-4 * alike :]
    most = int(np.unique(nearest, return_counts=True)[1].max())
    return top if alike >= _FULL_SHARE * most else None


def _beyond(sigmas: Floats, known: Bools) -> Bools:
    """Pixels that are out of line in every image that knows them, and by enough in all."""
    every = np.all((sigmas > _EACH) | ~known, axis=0)
    count = np.maximum(known.sum(axis=0), 1)
    enough: Bools = np.sum(np.where(known, sigmas, 0.0), axis=0) > _SIGMAS * np.sqrt(count)
    return np.asarray(every & enough)


def _neighbours(values: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest of the eight neighbours of every pixel; NaN ones are left out."""
    framed = np.pad(values, [(0, 0), (1, 1), (1, 1)], constant_values=np.nan)
    rows, columns = values.shape[1:]
    low, high = np.full(values.shape, np.inf), np.full(values.shape, -np.inf)
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                neighbour = framed[:, down : down + rows, right : right + columns]
                np.fmin(low, neighbour, out=low)
                np.fmax(high, neighbour, out=high)
    # A pixel without any neighbour is out of line with none.
    alone = ~np.isfinite(low)
    return np.where(alone, values, low), np.where(alone, values, high)
