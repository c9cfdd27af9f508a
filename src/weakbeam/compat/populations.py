"""Random dislocations as dfxm-geo draws them, so that the same seed gives the same ones."""

from __future__ import annotations

import numpy as np

from weakbeam.compat.keys import Triple
from weakbeam.core.arrays import Floats, Ints
from weakbeam.errors import InputError

SYSTEMS: tuple[tuple[Triple, Triple], ...] = (
    ((1, -1, 0), (1, 1, 1)),
    ((-1, 0, 1), (1, 1, 1)),
    ((0, 1, -1), (1, 1, 1)),
    ((1, 1, 0), (1, -1, 1)),
    ((-1, 0, 1), (1, -1, 1)),
    ((0, -1, -1), (1, -1, 1)),
    ((0, 1, -1), (-1, 1, 1)),
    ((1, 0, 1), (-1, 1, 1)),
    ((1, 1, 0), (-1, 1, 1)),
    ((0, 1, 1), (1, 1, -1)),
    ((1, -1, 0), (1, 1, -1)),
    ((1, 0, 1), (1, 1, -1)),
)
"""Burgers vector and plane of the slip systems of FCC, in the order in which they are numbered."""

MOST_TRIES = 10_000
"""Draws of a point after which it counts as impossible to place."""


def draw(count: int, sigma: float, minimum_distance: float, seed: int) -> tuple[Floats, Ints]:
    """Draw points and slip systems as dfxm-geo 3.0 does.

    Parameters
    ----------
    count : int
        How many.
    sigma : float
        Standard deviation of the points along x and y (µm).
    minimum_distance : float
        Least distance between them (µm).
    seed : int
        Seed.

    Returns
    -------
    points : (count, 2) ndarray
        x and y (µm) in the laboratory, at the height of the beam.
    systems : (count,) ndarray
        Indices into `SYSTEMS`.

    Raises
    ------
    InputError
        If a point finds no place at that distance from the others.
    """
    random = np.random.default_rng(seed)
    if minimum_distance <= 0.0:
        points = random.normal(0.0, sigma, (count, 2))
    else:
        points = np.empty((count, 2))
        for i in range(count):
            for _ in range(MOST_TRIES):
                points[i] = random.normal(0.0, sigma, 2)
                if (np.hypot(*(points[:i] - points[i]).T) >= minimum_distance).all():
                    break
            else:
                raise InputError(
                    "crystal.random_dislocations.min_distance",
                    minimum_distance,
                    f"leaves no room for {count} points with sigma = {sigma:g} um",
                )
    return points, random.integers(0, len(SYSTEMS), count)
