"""How accurate an image shall be, and where its samples may become finer for that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats

SMOOTH_NODES = 3
"""Samples of a ray along which q hardly varies."""


@dataclass(frozen=True, eq=False)
class Refinement:
    """What an image may be off, and how a pixel may be cut for it.

    Parameters
    ----------
    accuracy : float
        Root mean square error of an image that is aimed at, relative to the root mean square of the
        image; of a scan the same, over its frames.
    pixels : bool
        Whether a pixel may be cut across: it stands for its area. Else for the points that its grid
        of rays has.
    heights : (n + 1,) ndarray, optional
        Ends (µm) of thin slices of the beam, at equal distances. Unless they are given the depths
        of the grid are all that are taken.
    below : (n + 1,) ndarray, optional
        Share of the beam below each of them.
    """

    accuracy: float
    pixels: bool = True
    heights: Floats | None = None
    below: Floats | None = None

    def smooth_depths(self) -> tuple[Floats, Floats]:
        """Few depths (µm) and weights that integrate polynomials over the beam.

        Returns
        -------
        z, weights : (n,) ndarray
            Exact up to the degree 2 n - 1, n being `SMOOTH_NODES` (Gauss's quadrature, by
            Lanczos' recursion for the weight that the beam is).
        """
        assert self.heights is not None
        assert self.below is not None
        z = 0.5 * (self.heights[1:] + self.heights[:-1])
        share = np.diff(self.below)
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
