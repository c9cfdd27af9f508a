"""Thousands of segments at a cost that grows far slower than segments times points.

Boxes as for straight lines (`many`); only what is far, and the field, are those of a segment.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects import anisotropic_segments, segments
from weakbeam.defects.anisotropic_segments import AnisotropicSegments
from weakbeam.defects.box_sources import AnisotropicPieces, Pieces, Sources
from weakbeam.defects.boxes import ORDER
from weakbeam.defects.chebyshev import least_segment_gap
from weakbeam.defects.green import relative_stiffness
from weakbeam.defects.many import Bounds, Boxed
from weakbeam.defects.measured_gaps import measured_gap
from weakbeam.defects.segments import IsotropicSegments

_FEWER = (3, 4, 5, 6, 7)
"""Nodes along an axis for anisotropic segments that are farther away than others."""

_THREE_NODES, _TWO_NODES = 3.1, 5.3
"""By what quadratures with so many nodes may go to wider angles for far segments: they then leave
1e-3, as errors go with the sixth and fourth power.
"""

_SORTING_CELLS = 64
"""Strips of the region, along each axis, by which segments are put in order."""


class ManySegments(Boxed):
    r"""The summed field of many segments, fast inside a region.

    Parameters
    ----------
    exact : IsotropicSegments or AnisotropicSegments
        The segments in their medium, in the frame of the region.
    bounds : Bounds
        Where the field will be asked for; outside of it segments are summed one by one.
    tolerance : float
        Largest error of each segment's part of β, relative to :math:`b / 2\pi \int ds / R^2` at the
        point of a box that is nearest to it. Beside that, terms of less than 1e-8 are left out. In
        an anisotropic medium it is no bound for all media, far above what occurs, but what is left
        along an axis in the worst direction of that medium (`measured_gaps`).
    points : int
        For how many points the field will be asked, about.
    workers : int, optional
        Threads that prepare the boxes; results do not depend on it.
    """

    exact: IsotropicSegments | AnisotropicSegments

    def __init__(
        self,
        exact: IsotropicSegments | AnisotropicSegments,
        bounds: Bounds,
        tolerance: float = 1e-3,
        points: int = 1_500_000,
        workers: int | None = None,
    ) -> None:
        if isinstance(exact.medium, AnisotropicMedium):
            self._fewer = _FEWER
        super().__init__(exact, _right_handed(bounds), tolerance, points, workers)
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
        medium = self.exact.medium
        if isinstance(medium, AnisotropicMedium):
            return list(_measured_gaps(medium.turned(self._frame), tolerance))
        return [least_segment_gap(order, tolerance) for order in range(1, ORDER + 1)]

    def _local_sources(self) -> Pieces | AnisotropicPieces:
        """Constants for coordinates of the region's frame, neighbours together."""
        every, medium = self.exact.segments, self.exact.medium
        starts = (every.starts - self._centre) @ self._frame.T
        cells = np.floor(starts / (2.0 * self._half) * _SORTING_CELLS)
        order = np.lexsort((cells[:, 2], cells[:, 1], cells[:, 0]))
        local = replace(every, starts=every.starts - self._centre).chosen(order).turned(self._frame)
        if isinstance(medium, AnisotropicMedium):
            turned = medium.turned(self._frame)
            return AnisotropicPieces(*anisotropic_segments.constants(local, turned))
        ratio = medium.poisson_ratio
        return Pieces(*segments.constants(local, ratio), ratio)

    def _from_afar(self, sources: Sources) -> Sources:
        if not isinstance(sources, AnisotropicPieces):
            return sources
        tables = sources.tables
        wider = tables._replace(
            narrow=_THREE_NODES * tables.narrow, very_narrow=_TWO_NODES * tables.very_narrow
        )
        return sources._replace(tables=wider)


@lru_cache(maxsize=32)
def _measured_gaps(medium: AnisotropicMedium, tolerance: float) -> tuple[float, ...]:
    """How many half-widths away far segments stay, in a medium whose axes are those of the boxes.

    By the number of nodes, from 1.
    """
    tables, stiffness = anisotropic_segments.tables_of(medium), relative_stiffness(medium)
    return tuple(
        measured_gap(order, tolerance, tables.derivatives, tables.cells, stiffness)
        for order in range(1, ORDER + 1)
    )


def _right_handed(bounds: Bounds) -> Bounds:
    """The same box, whose axes are right-handed in the order of its widths.

    A circuit about a segment turns the other way in a mirror.
    """
    order = np.argsort(-bounds.half, kind="stable")
    axes = bounds.axes.copy()
    if np.linalg.det(axes[order]) < 0.0:
        axes[order[2]] *= -1.0
    return replace(bounds, axes=axes)
