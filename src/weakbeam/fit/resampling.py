"""Images brought to another size of pixels."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.fit.observation import Noise, Observation

_MOST_PIXELS = 2**15
"""Most pixels along an axis that an image may be divided into."""


def resample(observation: Observation, ratio: float) -> Observation:
    """Average images over pixels of another size.

    Parameters
    ----------
    observation : Observation
        The images.
    ratio : float
        Size of a pixel now over the size that is wanted: below 1 pixels are merged, above 1 they
        are divided.

    Returns
    -------
    Observation
        With the middle of the images where it was; pixels of which less than half is known do not
        count. The noise is such that the images weigh as much as before, though divided pixels are
        not independent of their neighbours.

    Raises
    ------
    ValueError
        If the ratio is not positive, or too little is left, or too much made.
    """
    if not 0.0 < ratio < np.inf:
        raise ValueError(f"ratio of pixel sizes {ratio:g}: must be positive")
    if max(observation.shape) * ratio > _MOST_PIXELS:
        raise ValueError(
            f"makes {observation.shape} pixels {ratio:g} times as many along each axis"
        )
    rows, columns = (_shares(length, ratio) for length in observation.shape)
    if not len(rows) or not len(columns):
        raise ValueError(f"nothing is left of {observation.shape} pixels at a ratio of {ratio:g}")
    known = rows @ observation.good.astype(np.float64) @ columns.T
    images = rows @ (observation.images * observation.good) @ columns.T
    good = known > 0.5
    mean = np.divide(images, known, out=np.zeros(images.shape), where=good)
    noise = Noise(observation.noise.gain * ratio**2, observation.noise.floor * ratio**2)
    return Observation(mean, noise, good)


def _shares(length: int, ratio: float) -> Floats:
    """Share of each old pixel in each new one, (new, old)."""
    # A ratio such as 3 · 0.1 / 0.3 must not lose the last pixel to rounding.
    count = int(np.floor(length * ratio + 1e-9))
    edges = 0.5 * length + (np.arange(count + 1) - 0.5 * count) / ratio
    inside = _overlap(edges[:-1, None], edges[1:, None], np.arange(length)[None])
    return np.asarray(inside * ratio)


def _overlap(low: ArrayLike, high: ArrayLike, pixel: ArrayLike) -> Floats:
    first = np.maximum(np.asarray(low, dtype=np.float64), pixel)
    last = np.minimum(np.asarray(high, dtype=np.float64), np.asarray(pixel) + 1)
    return np.asarray(np.maximum(last - first, 0.0))
