"""Thousands of segments at a cost that grows far slower than segments times points.

Boxes as for straight lines (`many`); only what is far, and the field, are those of a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import islice

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects import anisotropic_segments, segments
from weakbeam.defects.anisotropic_segments import AnisotropicSegments
from weakbeam.defects.box_sources import AnisotropicPieces, Pieces, Sources
from weakbeam.defects.boxes import ORDER, BoxGrid, Tables
from weakbeam.defects.cells import CellRefinement, cells_for, far_cells
from weakbeam.defects.chebyshev import least_segment_gap
from weakbeam.defects.green import relative_stiffness
from weakbeam.defects.many import Bounds, Boxed
from weakbeam.defects.measured_gaps import measured_gap
from weakbeam.defects.segments import IsotropicSegments

_FEWER = (3, 4, 5, 6, 7)
"""Nodes along an axis for anisotropic segments that are farther away than others."""

_THREE_NODES, _TWO_NODES = 23.0, 18.5
"""By what quadratures with so many nodes may go to wider angles for far segments: they then leave
1e-3, as errors go with the sixth and fourth power.
"""

_MOST_HALVINGS = 4
"""Sizes of cells, below that of the region, that far segments are carried from, at most."""

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
        in the worst direction of that medium, found by trying (`measured_gaps`, `cells`).
    points : int
        For how many points the field will be asked, about.
    workers : int, optional
        Threads that prepare the boxes; results do not depend on it.
    asked : sequence of Bounds, optional
        See :class:`.Boxed`.
    """

    exact: IsotropicSegments | AnisotropicSegments

    def __init__(
        self,
        exact: IsotropicSegments | AnisotropicSegments,
        bounds: Bounds,
        tolerance: float = 1e-3,
        points: int = 1_500_000,
        workers: int | None = None,
        asked: Sequence[Bounds] | None = None,
    ) -> None:
        if isinstance(exact.medium, AnisotropicMedium):
            self._fewer = _FEWER
        super().__init__(exact, _right_handed(bounds), tolerance, points, workers, asked)

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        if self._root is None:
            super().add_to(gradient, points)
            return
        # Fields of segments come in the frame of their vectors.
        local = np.zeros_like(gradient)
        super().add_to(local, points)
        add_turned(gradient, local, self._frame)

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

    def _start(self, pool: ThreadPoolExecutor) -> tuple[BoxGrid, Tables, int]:
        """Boxes of which far cells are known, where sources are many."""
        start = super()._start(pool)
        pieces = self._sources
        if not isinstance(pieces, AnisotropicPieces):
            return start
        sizes = list(islice(self._levels, _MOST_HALVINGS + 1))
        cells = cells_for(pieces, sizes)
        if not cells:
            return start
        medium = self.exact.medium
        assert isinstance(medium, AnisotropicMedium)
        own, most = medium.turned(self._frame), sizes[1].order
        fields = far_cells(cells[1:], pieces, own, self._tolerance, most, pool)
        if fields is None:
            return start
        grid, tables, _ = start
        far = self._from_afar(pieces)
        for level, these, parts in zip(sizes, cells, [[], *fields], strict=False):
            grid, tables = CellRefinement(grid, tables, level, far, these, parts).run(pool)
        return grid, tables, len(cells)

    def _from_afar(self, sources: Sources) -> Sources:
        if not isinstance(sources, AnisotropicPieces):
            return sources
        tables = sources.tables
        wider = tables._replace(
            narrow=_THREE_NODES * tables.narrow, very_narrow=_TWO_NODES * tables.very_narrow
        )
        return sources._replace(tables=wider)


@compiled
def add_turned(gradient: Floats, local: Floats, frame: Floats) -> None:
    """Add tensors (9, n) with components along the rows of `frame` to `gradient` (9, n)."""
    half = np.empty((3, 3))
    for p in range(local.shape[1]):
        for i in range(3):
            for j in range(3):
                half[i, j] = (
                    frame[0, i] * local[j, p]
                    + frame[1, i] * local[3 + j, p]
                    + frame[2, i] * local[6 + j, p]
                )
        for i in range(3):
            for j in range(3):
                gradient[3 * i + j, p] += (
                    half[i, 0] * frame[0, j] + half[i, 1] * frame[1, j] + half[i, 2] * frame[2, j]
                )


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
