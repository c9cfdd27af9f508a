"""Averages over pixels and the beam: how accurate they shall be, and the samples to begin with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats

SMOOTH_NODES = 3
"""Samples of a ray along which q hardly varies."""


@dataclass(frozen=True, eq=False)
class Averaging:
    """How accurate images of pixels that stand for their whole area shall be.

    Parameters
    ----------
    accuracy : float
        Root mean square error of an image that is aimed at, relative to the root mean square of the
        image; of a scan the same, over its frames.
    heights : (n + 1,) ndarray, optional
        Ends (µm) of thin slices of the beam, at equal distances. Unless they are given the depths
        of the grid are all that are taken.
    below : (n + 1,) ndarray, optional
        Share of the beam below each of them.
    """

    accuracy: float
    heights: Floats | None = None
    below: Floats | None = None

    def shares(self, count: int) -> Floats:
        """Share of the beam in each of `count` equal parts of its height, (count,)."""
        assert self.heights is not None
        assert self.below is not None
        ends = np.linspace(self.heights[0], self.heights[-1], count + 1)
        return np.diff(np.interp(ends, self.heights, self.below))


def few_depths(heights: Floats, below: Floats) -> tuple[Floats, Floats]:
    """Few depths (µm) and weights that integrate polynomials over the beam.

    Parameters
    ----------
    heights, below : (n + 1,) ndarray
        As for :class:`Averaging`.

    Returns
    -------
    z, weights : (m,) ndarray
        Exact up to the degree 2 m - 1, m being `SMOOTH_NODES` (Gauss's quadrature, by Lanczos'
        recursion for the weight that the beam is).
    """
    z = 0.5 * (heights[1:] + heights[:-1])
    share = np.diff(below)
    previous, here = np.zeros(z.size), np.sqrt(share / share.sum())
    diagonal, beside, last = np.empty(SMOOTH_NODES), np.empty(SMOOTH_NODES - 1), 0.0
    for n in range(SMOOTH_NODES):
        diagonal[n] = here @ (z * here)
        following = (z - diagonal[n]) * here - last * previous
        if n < SMOOTH_NODES - 1:
            last = beside[n] = float(np.linalg.norm(following))
            previous, here = here, following / last
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return nodes, vectors[0] ** 2
