"""Thousands of segments at a cost that grows far slower than segments times points.

Boxes as for straight lines (`many`); only what is far, and the field, are those of a segment.
"""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.box_sources import Pieces
from weakbeam.defects.boxes import ORDER
from weakbeam.defects.chebyshev import least_segment_gap
from weakbeam.defects.many import Bounds, Boxed
from weakbeam.defects.segments import IsotropicSegments

_SORTING_CELLS = 64
"""Strips of the region, along each axis, by which segments are put in order."""


class ManySegments(Boxed):
    r"""The summed field of many segments, fast inside a region.

    Parameters
    ----------
    exact : IsotropicSegments
        The segments in their medium, in the frame of the region.
    bounds : Bounds
        Where the field will be asked for; outside of it segments are summed one by one.
    tolerance : float
        Largest error of each segment's part of β, relative to :math:`b / 2\pi \int ds / R^2` at the
        point of a box that is nearest to it. Beside that, terms of less than 1e-8 are left out.
    points : int
        For how many points the field will be asked, about.
    workers : int, optional
        Threads that prepare the boxes; results do not depend on it.
    """

    exact: IsotropicSegments

    def __init__(
        self,
        exact: IsotropicSegments,
        bounds: Bounds,
        tolerance: float = 1e-3,
        points: int = 1_500_000,
        workers: int | None = None,
    ) -> None:
        super().__init__(exact, bounds, tolerance, points, workers)
        # Fields of segments come in the frame of their vectors.
        self._turn = np.kron(self._frame.T, self._frame.T)

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        if not self._cut:
            super().add_to(gradient, points)
            return
        local = np.zeros_like(gradient)
        super().add_to(local, points)
        gradient += self._turn @ local

    def _gaps(self, tolerance: float) -> list[float]:
        return [least_segment_gap(order, tolerance) for order in range(1, ORDER + 1)]

    def _local_sources(self) -> Pieces:
        """Constants for coordinates of the region's frame, neighbours together."""
        places, burgers = self.exact.constants
        segments = self.exact.segments
        starts = (segments.starts - self._centre) @ self._frame.T
        cells = np.floor(starts / (2.0 * self._half) * _SORTING_CELLS)
        order = np.lexsort((cells[:, 2], cells[:, 1], cells[:, 0]))
        local = places[order].copy()
        local[:, :3] = (local[:, :3] - self._centre) @ self._frame.T
        local[:, 3:6] = local[:, 3:6] @ self._frame.T
        return Pieces(local, burgers[order] @ self._frame.T, self.exact.medium.poisson_ratio)
