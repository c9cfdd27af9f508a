"""Images brought onto the pixels of another image, and found on one another."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats

_KNOWN = 0.5
"""Part of a pixel that must be known for it to have a value."""

_FARTHEST = 0.25
"""Part of an image by which another may be shifted on it."""


def pixel_shares(old: ArrayLike, new: ArrayLike, old_pitch: float, new_pitch: float) -> Floats:
    """Share of each old pixel in each new one along an axis.

    Parameters
    ----------
    old, new : (n,), (m,) array_like
        Centres of the pixels, equally spaced, in either direction.
    old_pitch, new_pitch : float
        Their sizes, which tell where there is but one pixel.

    Returns
    -------
    (m, n) ndarray
        Part of each new pixel that each old one covers. Rows add up to 1 inside of the old image
        and to less at its edge.
    """
    old_low, old_high = _edges(old, old_pitch)
    low, high = _edges(new, new_pitch)
    common = np.minimum(high[:, None], old_high) - np.maximum(low[:, None], old_low)
    return np.asarray(np.clip(common, 0.0, None) / (high - low)[:, None])


def on_pixels(values: ArrayLike, rows: Floats, columns: Floats) -> Floats:
    """Means over new pixels.

    Parameters
    ----------
    values : (n, k) array_like
        The image, NaN where there is no value.
    rows, columns : (m, n), (l, k) ndarray
        From :func:`pixel_shares`.

    Returns
    -------
    (m, l) ndarray
        NaN where less than half of a pixel is known.
    """
    image = np.asarray(values, dtype=np.float64)
    there = np.isfinite(image)
    known = rows @ there.astype(np.float64) @ columns.T
    total = rows @ np.where(there, image, 0.0) @ columns.T
    filled = np.full(known.shape, np.nan)
    np.divide(total, known, out=filled, where=known >= _KNOWN)
    return filled


def picture_shift(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """How far what the second of two images shows has to be moved to lie on the first.

    Parameters
    ----------
    first, second : (rows, columns) array_like
        Images of one shape, NaN where there is no value.

    Returns
    -------
    rows, columns : float
        In pixels, up to a quarter of the image, to a part of one; NaN where one is even.
    correlation : float
        Of the two there, over all pixels of the image.

    Notes
    -----
    Where the sum of the products of both images, less their means, is largest; with a paraboloid
    through its neighbours.
    """
    a, b = (_centered(np.asarray(image, dtype=np.float64)) for image in (first, second))
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    if not size > 0.0:
        return math.nan, math.nan, math.nan
    shape = [2 * n for n in a.shape]
    product = np.fft.rfft2(a, shape) * np.conj(np.fft.rfft2(b, shape))
    sums = np.fft.fftshift(np.fft.irfft2(product, shape)) / size
    middle = a.shape
    reach = [max(int(_FARTHEST * n), 0) for n in a.shape]
    part = sums[tuple(slice(m - r, m + r + 1) for m, r in zip(middle, reach, strict=True))]
    top = np.unravel_index(int(np.argmax(part)), part.shape)
    row, column = (int(top[k]) + middle[k] - reach[k] for k in range(2))
    more = _vertex(sums[row - 1 : row + 2, column - 1 : column + 2])
    return row - middle[0] + more[0], column - middle[1] + more[1], float(part[top])


def _centered(image: Floats) -> Floats:
    known = np.isfinite(image)
    if not known.any():
        return np.zeros(image.shape)
    return np.where(known, image - image[known].mean(), 0.0)


def _vertex(around: Floats) -> tuple[float, float]:
    """How far the top of a paraboloid through a maximum and its neighbours is from it."""
    if around.shape != (3, 3):
        return 0.0, 0.0
    slope = 0.5 * np.array([around[2, 1] - around[0, 1], around[1, 2] - around[1, 0]])
    down, along = (line[0] - 2.0 * line[1] + line[2] for line in (around[:, 1], around[1]))
    # A maximum that lies aslant has its top aside of those of its two middle lines.
    mixed = 0.25 * (around[2, 2] - around[2, 0] - around[0, 2] + around[0, 0])
    if not (down < 0.0 and along < 0.0 and down * along > mixed**2):
        return 0.0, 0.0
    rows, columns = np.linalg.solve([[down, mixed], [mixed, along]], -slope)
    return float(np.clip(rows, -1.0, 1.0)), float(np.clip(columns, -1.0, 1.0))


def _edges(centers: ArrayLike, pitch: float) -> tuple[Floats, Floats]:
    """Lower and upper edge of each pixel."""
    x = np.asarray(centers, dtype=np.float64)
    half = 0.5 * abs(float(x[-1] - x[0]) / (x.size - 1) if x.size > 1 else pitch)
    return x - half, x + half
