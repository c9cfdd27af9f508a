"""Points that fill a space evenly. The same seed gives the same points everywhere."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from weakbeam.core.arrays import Floats


def sobol(dimensions: int, start: int, stop: int, seed: int) -> Floats:
    """Points of a Sobol sequence, shifted at random.

    Parameters
    ----------
    dimensions : int
        Number of coordinates.
    start, stop : int
        The first point and the one after the last.
    seed : int
        Of the shift (Cranley & Patterson 1976), which keeps the points evenly spread.

    Returns
    -------
    (stop - start, dimensions) ndarray
        In [0, 1).
    """
    from scipy.stats import qmc

    # The sequence itself is a published table; a shift of numpy's, unlike a scrambling of scipy's,
    # does not change from version to version.
    sequence = qmc.Sobol(dimensions, scramble=False)
    if start:
        sequence.fast_forward(start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the count is no power of two
        points: Floats = sequence.random(stop - start)
    shift = np.random.Generator(np.random.PCG64(seed)).random(dimensions)
    return np.asarray((points + shift) % 1.0)


@lru_cache(maxsize=2)
def latin_hypercube(dimensions: int, count: int, seed: int) -> Floats:
    """A Latin hypercube: one point in each of `count` equal parts of every coordinate.

    Returns
    -------
    (count, dimensions) ndarray
        In [0, 1).
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    columns = [(rng.permutation(count) + rng.random(count)) / count for _ in range(dimensions)]
    return np.minimum(np.stack(columns, axis=1), np.nextafter(1.0, 0.0))
