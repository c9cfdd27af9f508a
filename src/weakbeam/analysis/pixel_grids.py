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
        Means over the new pixels of what is linear between the middles of the old ones: between
        old pixels much larger than the new ones that is linear interpolation, and of much smaller
        ones it is their mean. Rows add up to 1 inside of the old image and to less at its edge.
    """
    x, targets = np.asarray(old, dtype=np.float64), np.asarray(new, dtype=np.float64)
    pitch = float(x[-1] - x[0]) / (x.size - 1) if x.size > 1 else old_pitch
    half = abs(0.5 * new_pitch / pitch)
    place = (targets - x[0]) / pitch
    low, high = place - half, place + half
    numbers = np.arange(x.size)
    shares = _hat_integral(high[:, None] - numbers) - _hat_integral(low[:, None] - numbers)
    # Up to the edge of the outer pixels there is no other value than theirs.
    inside = np.clip(np.minimum(high, x.size - 0.5) - np.maximum(low, -0.5), 0.0, None)
    total = shares.sum(axis=1)
    scale = np.divide(inside, total, out=np.zeros_like(total), where=total > 0.0)
    return np.asarray(shares * (scale / (2.0 * half))[:, None])


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
        In pixels, up to a quarter of the image, to a part of a pixel; NaN where one is even.
    correlation : float
        Of the two there, over all pixels of the image.

    Notes
    -----
    Where the sum of the products of both images, less their means, is largest; with a parabola
    through its neighbours along each axis.
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
    places = [int(top[k]) + middle[k] - reach[k] for k in range(2)]
    rows, columns = (
        places[k] - middle[k] + _vertex(np.take(sums, places[1 - k], axis=1 - k), places[k])
        for k in range(2)
    )
    return float(rows), float(columns), float(part[top])


def _centered(image: Floats) -> Floats:
    known = np.isfinite(image)
    if not known.any():
        return np.zeros(image.shape)
    return np.where(known, image - image[known].mean(), 0.0)


def _vertex(line: Floats, place: int) -> float:
    """How far the top of a parabola through a maximum and its neighbours is from it."""
    if not 0 < place < len(line) - 1:
        return 0.0
    before, here, after = line[place - 1 : place + 2]
    bent = before - 2.0 * here + after
    return float(np.clip(0.5 * (before - after) / bent, -0.5, 0.5)) if bent < 0.0 else 0.0


def _hat_integral(t: Floats) -> Floats:
    """Integral of max(0, 1 - abs(u)) from -infinity to t."""
    t = np.clip(t, -1.0, 1.0)
    return np.where(t < 0.0, 0.5 * (1.0 + t) ** 2, 1.0 - 0.5 * (1.0 - t) ** 2)
