"""Thousands of straight dislocations at a cost that grows far slower than lines times points.

The field of a line is smooth away from it. A region is cut into boxes, those again into smaller
ones; the field of all lines that are far from a box, compared with its size, is a polynomial in it,
and each line enters the polynomials of the largest boxes from which it is far. In the smallest
boxes the polynomials of all sizes are gathered in one, and only the lines close by are summed one
by one. (The idea is that of the fast multipole method: Greengard & Rokhlin 1987; with Chebyshev
interpolation: Fong & Darve 2009.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from itertools import islice
from typing import Protocol, Self

import numpy as np

from weakbeam.core.arrays import Complexes, Floats
from weakbeam.core.preparing import tell_preparing
from weakbeam.core.workers import worker_count
from weakbeam.defects.bounds import Bounds as Bounds
from weakbeam.defects.box_sources import Lines, Sources
from weakbeam.defects.boxes import ORDER, BoxGrid, Tables, add_field
from weakbeam.defects.chebyshev import Shares, least_gap
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.refinement import Level, Refinement, levels, whole

_FEW_LINES = 64
"""Up to this many lines are always summed one by one."""

_LARGEST_TABLE = 384 * 2**20
"""Bytes of the coefficients of all boxes, at most."""

_FITTING = 90.0
"""Cost of a node of interpolation, without the far lines, in lines summed at a point."""

_GAIN = 0.7
"""Share of the near lines that become far when boxes are halved."""

_SORTING_CELLS = 32
"""Strips of the region, along each wide axis, by which lines are put in order."""


class SourcesOneByOne(Protocol):
    """Straight lines, or pieces of them, in a medium."""

    @property
    def lines(self) -> StraightLines:
        """The lines, or those that they are pieces of."""

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""


class LinesOneByOne(SourcesOneByOne, Protocol):
    """Straight lines in a medium, with what boxes need to know of them."""

    @property
    def box_constants(self) -> tuple[Floats, Floats, Floats, Floats, Complexes]:
        """See :class:`weakbeam.defects.box_sources.Lines`."""

    def shares(self, order: int) -> Shares:
        """What poles have in the fields, for `error_bound` at this number of nodes."""


class Boxed(ABC):
    """The summed field of many sources, fast inside a region.

    A class of it says how far away a source has to be, and what the loops need to know.

    Parameters
    ----------
    exact : SourcesOneByOne
        The sources in their medium, all in the frame of the region.
    bounds : Bounds
        Where the field will be asked for; outside of it sources are summed one by one.
    tolerance : float
        Largest error of each source's part of β, relative to its size. It is a bound; errors that
        occur are a hundred and more times smaller. In addition, terms of less than 1e-8 in β are
        left out.
    points : int
        For how many points the field will be asked, about: decides how far the region is cut.
    workers : int, optional
        Threads that prepare the boxes; as many as there are cores unless given. Results do not
        depend on it.
    asked : sequence of Bounds, optional
        Parts of the region; boxes are made only where one of them is. Elsewhere sources are summed
        one by one.

    Raises
    ------
    ValueError
        If the tolerance is not between 1e-12 and 0.1, or there are no points.
    """

    _fewer: tuple[int, ...] = ()
    """Numbers of nodes along an axis that sources are interpolated with which are farther away than
    others; worth it for fields that take long.
    """

    def __init__(
        self,
        exact: SourcesOneByOne,
        bounds: Bounds,
        tolerance: float = 1e-3,
        points: int = 1_500_000,
        workers: int | None = None,
        asked: Sequence[Bounds] | None = None,
    ) -> None:
        if not 1e-12 <= tolerance <= 0.1:
            raise ValueError(f"tolerance {tolerance} is not between 1e-12 and 0.1")
        if points < 1:
            raise ValueError(f"points = {points}: must be at least 1")
        self.exact = exact
        # The thinnest axis comes last: it needs the fewest nodes.
        order = np.argsort(-bounds.half, kind="stable")
        self._frame = np.ascontiguousarray(bounds.axes[order])
        self._centre = bounds.centre
        # A box without any thickness gets one that does not matter.
        half = np.maximum(bounds.half[order], 1e-9 * bounds.half.max())
        self._half = half
        self._tolerance = tolerance
        self._root: tuple[BoxGrid, Tables, int] | None = None
        if len(self.exact.lines) > _FEW_LINES and self._worth_it(points):
            tell_preparing(f"preparing the far field of {len(self.exact.lines):,} lines")
            self._sources = self._local_sources()
            with ThreadPoolExecutor(worker_count(workers)) as pool:
                self._root = self._start(pool)
                self._grid, self._tables = self._refined(points, asked, pool)

    def for_part(self, asked: Sequence[Bounds], points: int, workers: int | None = None) -> Self:
        """The same field with boxes for other parts of the region, with what all of it shares.

        Parameters
        ----------
        asked, points, workers
            As of the class.
        """
        if self._root is None:
            return self
        other = copy(self)
        with ThreadPoolExecutor(worker_count(workers)) as pool:
            other._grid, other._tables = self._refined(points, asked, pool)
        return other

    @property
    def boxes(self) -> int:
        """Number of boxes of the finest cut; 0 where all lines are summed one by one."""
        return 0 if self._root is None else len(self._grid.numbers)

    @property
    def near_lines(self) -> float:
        """How many lines are summed one by one at a point, on average over the region."""
        if self._root is None:
            return float(len(self.exact.lines))
        return len(self._tables.near) / self.boxes

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        if self._root is None:
            self.exact.add_to(gradient, points)
            return
        add_field(
            gradient,
            points,
            self._frame,
            self._centre,
            self._grid,
            self._tables,
            self._sources,
        )

    @abstractmethod
    def _gaps(self, tolerance: float) -> list[float]:
        """How many half-widths far sources stay away, by the number of nodes, from 1."""

    @abstractmethod
    def _local_sources(self) -> Sources:
        """Constants of the sources for coordinates of the region's frame, neighbours together.

        Sources that are close to the same box are then close in memory too.
        """

    def _from_afar(self, sources: Sources) -> Sources:
        """The sources as those that are far may be summed: as exactly as interpolation asks for."""
        return sources

    def _worth_it(self, points: int) -> bool:
        level = next(self._levels)
        return level.nodes <= points

    @property
    def _levels(self) -> Iterator[Level]:
        """All sizes of boxes, from the whole region down."""
        return levels(self._half, self._gaps(self._tolerance / 3.0), self._fewer)

    def _start(self, pool: ThreadPoolExecutor) -> tuple[BoxGrid, Tables, int]:
        """Boxes that fill all of the region, and how many sizes of them have been made."""
        return *whole(self._half, len(self.exact.lines)), 0

    def _refined(
        self, points: int, asked: Sequence[Bounds] | None, pool: ThreadPoolExecutor
    ) -> tuple[BoxGrid, Tables]:
        """Cut the region finer and finer, while that saves time; hand down what is known."""
        assert self._root is not None
        (grid, tables, made), sources = self._root, self._from_afar(self._sources)
        if asked is not None:
            asked = [part.seen_from(self._centre, self._frame) for part in asked]
        for level in islice(self._levels, made, None):
            numbers = level.parts_of(grid, asked)
            nodes = level.nodes * len(numbers)
            if nodes == 0 or nodes > points or 72 * nodes > _LARGEST_TABLE:
                break
            gained = _GAIN * len(tables.near) / len(grid.numbers)
            if points * gained < nodes * (gained + _FITTING):
                break
            grid, tables = Refinement(grid, tables, level, numbers, sources).run(pool)
        return grid, tables


class ManyDislocations(Boxed):
    r"""The summed field of many straight dislocations, fast inside a region.

    Parameters
    ----------
    exact : LinesOneByOne
        The lines in their medium, all in the frame of the region.
    bounds, points, workers
        As of :class:`Boxed`.
    tolerance : float
        Largest error of each line's part of β, relative to :math:`b / 2\pi d` at the distance d
        from the line.
    """

    exact: LinesOneByOne

    def __init__(
        self,
        exact: LinesOneByOne,
        bounds: Bounds,
        tolerance: float = 1e-3,
        points: int = 1_500_000,
        workers: int | None = None,
    ) -> None:
        super().__init__(exact, bounds, tolerance, points, workers)

    def _gaps(self, tolerance: float) -> list[float]:
        shares = self.exact.shares(ORDER)
        return [least_gap(order, tolerance, shares) for order in range(1, ORDER + 1)]

    def _local_sources(self) -> Lines:
        across, core_squared, matrices, cubic, poles = self.exact.box_constants
        local = np.empty_like(across)
        local[:, :, :3] = across[:, :, :3] @ self._frame.T
        local[:, :, 3] = across[:, :, 3] + across[:, :, :3] @ self._centre
        # The point of each line that is closest to the region's centre.
        closest = -np.sum(local[:, :, 3, None] * local[:, :, :3], axis=1)
        direction = self.exact.lines.lines @ self._frame.T
        steep = np.abs(direction[:, 2]) > 0.1
        rise = np.where(steep, -closest[:, 2] / np.where(steep, direction[:, 2], 1.0), 0.0)
        crossing = closest + rise[:, None] * direction
        cells = np.floor(crossing[:, :2] / (2.0 * self._half[:2]) * _SORTING_CELLS)
        order = np.lexsort((cells[:, 1], cells[:, 0]))
        return Lines(local[order], core_squared[order], matrices[order], cubic[order], poles[order])
