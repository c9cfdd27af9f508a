"""What stands out of an image: background removed, the rest in units of its own spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats

_GAUSSIAN_MAD = 1.4826
_CLIPPINGS = 20
_CLIP_AT = 3.0
_LOCAL_SHARE = 0.2
"""Side of the squares of the local background as a share of the image's shorter side."""

_FEWEST_ACROSS = 3


class Level(NamedTuple):
    """Background and its spread: one number for the image, or one for every pixel."""

    middle: Floats
    spread: Floats


def remove_background(
    images: ArrayLike, method: str = "mean", sigmas: float = 2.0, good: ArrayLike | None = None
) -> Floats:
    r"""Keep what is brighter than the background, in units of its standard deviation.

    Parameters
    ----------
    images : (..., rows, columns) array_like
        Counts or intensities; every image is treated by itself.
    method : str
        How background and spread are found, one of `METHODS`. ``mean``: mean and standard deviation
        of all pixels (Borgi, Winther & Poulsen 2025). ``median``: median, and median absolute
        deviation as that of a normal distribution. ``clipped``: mean and standard deviation of the
        pixels within three of them, found again and again. ``local``: medians of squares a fifth of
        the image wide, with values between their centres by interpolation. ``none``: no background
        is removed.
    sigmas : float
        How many spreads above the background a pixel must lie.
    good : array_like of bool, optional
        Pixels that count, of the images' shape; the others become 0.

    Returns
    -------
    ndarray, shape of the images
        :math:`\max(x - m - k\sigma, 0)/\sigma'` with the standard deviation :math:`\sigma'` of what
        is left; all 0 where nothing is.

    Raises
    ------
    ValueError
        If the method has another name.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: must be one of {', '.join(METHODS)}")
    values = np.asarray(images, dtype=np.float64)
    known = np.isfinite(values)
    if good is not None:
        known &= np.broadcast_to(np.asarray(good, dtype=np.bool_), values.shape)
    kept = np.zeros(values.shape)
    for place in np.ndindex(values.shape[:-2]):
        image, counted = values[place], known[place]
        if not counted.any():
            continue
        level = METHODS[method](image, counted)
        least = level.middle if method == "none" else level.middle + sigmas * level.spread
        left = np.where(counted, np.maximum(image - least, 0.0), 0.0)
        scale = float(left[counted].std())
        if scale > 0.0:
            kept[place] = left / scale
    return kept


def _no_level(image: Floats, good: NDArray[np.bool_]) -> Level:
    return Level(np.zeros(()), np.zeros(()))


def _mean_level(image: Floats, good: NDArray[np.bool_]) -> Level:
    pixels = image[good]
    return Level(np.asarray(pixels.mean()), np.asarray(pixels.std()))


def _median_level(image: Floats, good: NDArray[np.bool_]) -> Level:
    middle, spread = _median_and_spread(image[good])
    return Level(np.asarray(middle), np.asarray(spread))


def _clipped_level(image: Floats, good: NDArray[np.bool_]) -> Level:
    pixels = image[good]
    middle, spread = _median_and_spread(pixels)
    kept = pixels
    for _ in range(_CLIPPINGS):
        within = pixels[np.abs(pixels - middle) <= _CLIP_AT * spread]
        if within.size == kept.size or within.size == 0:
            break
        kept = within
        middle, spread = float(kept.mean()), float(kept.std())
    return Level(np.asarray(middle), np.asarray(spread))


def _local_level(image: Floats, good: NDArray[np.bool_]) -> Level:
    side = max(int(_LOCAL_SHARE * min(image.shape)), _FEWEST_ACROSS)
    tiles = [max(round(length / side), 1) for length in image.shape]
    edges = [
        np.linspace(0, length, n + 1).round().astype(int)
        for length, n in zip(image.shape, tiles, strict=True)
    ]
    middle, spread = np.empty(tiles), np.empty(tiles)
    whole = _median_and_spread(image[good])
    for row in range(tiles[0]):
        for column in range(tiles[1]):
            part = (
                slice(edges[0][row], edges[0][row + 1]),
                slice(edges[1][column], edges[1][column + 1]),
            )
            pixels = image[part][good[part]]
            middle_and_spread = _median_and_spread(pixels) if pixels.size else whole
            middle[row, column], spread[row, column] = middle_and_spread
    centers = [0.5 * (e[1:] + e[:-1] - 1) for e in edges]
    return Level(_stretched(middle, centers, image.shape), np.asarray(np.median(spread)))


def _stretched(values: Floats, centers: list[Floats], shape: tuple[int, ...]) -> Floats:
    """Values at the pixels, linear between the centres and constant beyond the outermost."""
    along_rows = np.empty((shape[0], values.shape[1]))
    for column, line in enumerate(values.T):
        along_rows[:, column] = np.interp(np.arange(shape[0]), centers[0], line)
    return np.array([np.interp(np.arange(shape[1]), centers[1], line) for line in along_rows])


def _median_and_spread(pixels: Floats) -> tuple[float, float]:
    middle = float(np.median(pixels))
    return middle, _GAUSSIAN_MAD * float(np.median(np.abs(pixels - middle)))


METHODS: dict[str, Callable[[Floats, NDArray[np.bool_]], Level]] = {
    "mean": _mean_level,
    "median": _median_level,
    "clipped": _clipped_level,
    "local": _local_level,
    "none": _no_level,
}
"""Ways to find the background; see :func:`remove_background`."""
