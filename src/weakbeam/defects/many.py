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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from weakbeam.core.arrays import ArrayLike, Complexes, Floats, Ints
from weakbeam.core.preparing import tell_preparing
from weakbeam.core.workers import worker_count
from weakbeam.defects.box_sources import Lines, Sources
from weakbeam.defects.boxes import (
    ORDER,
    BoxGrid,
    Tables,
    add_field,
    sum_far_by_distance,
    sum_far_sources,
)
from weakbeam.defects.chebyshev import (
    Shares,
    coefficients_from_values,
    least_gap,
    nodes,
    restriction,
)
from weakbeam.defects.lines import StraightLines

_FEW_LINES = 64
"""Up to this many lines are always summed one by one."""

_LARGEST_TABLE = 384 * 2**20
"""Bytes of the coefficients of all boxes, at most."""

_NEGLIGIBLE = 1e-8
"""Coefficients of β are left out that add up to no more than this, far below what optics see."""

_FITTING = 90.0
"""Cost of a node of interpolation, without the far lines, in lines summed at a point."""

_GAIN = 0.7
"""Share of the near lines that become far when boxes are halved."""

_CUT = 0.75
"""Axes longer than this share of the longest are halved from one size of boxes to the next."""

_SORTING_CELLS = 32
"""Strips of the region, along each wide axis, by which lines are put in order."""

_BOXES_AT_ONCE = 32


@dataclass(frozen=True)
class Bounds:
    """A box of any orientation.

    Parameters
    ----------
    centre : (3,) array_like
        In µm.
    axes : (3, 3) array_like
        Rows: orthonormal vectors along its edges.
    half : (3,) array_like
        Half its extent along each axis, in µm; zero is allowed, but not everywhere.

    Raises
    ------
    ValueError
        If the axes are not orthonormal, or an extent is negative, or all are zero.
    """

    centre: Floats
    axes: Floats
    half: Floats

    def __post_init__(self) -> None:
        """Check every value."""
        for name, shape in (("centre", (3,)), ("axes", (3, 3)), ("half", (3,))):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != shape or not np.all(np.isfinite(value)):
                raise ValueError(f"{name} must be finite numbers of shape {shape}")
            object.__setattr__(self, name, value)
        if np.abs(self.axes @ self.axes.T - np.eye(3)).max() > 1e-9:
            raise ValueError("axes must be orthonormal rows")
        if self.half.min() < 0.0 or self.half.max() == 0.0:
            raise ValueError("half must not be negative, and not zero along all axes")

    @classmethod
    def of(cls, points: ArrayLike, axes: ArrayLike | None = None) -> Bounds:
        """Return the smallest box with the given axes around `points` (n, 3), in µm.

        Parameters
        ----------
        points : (n, 3) array_like
            Such as the corners of what is seen.
        axes : (3, 3) array_like, optional
            Rows; those of the points' own frame unless given. For rays through a thin beam, the
            axes of the laboratory make the thinnest box.
        """
        rows = np.eye(3) if axes is None else np.array(axes, dtype=np.float64)
        local = np.asarray(points, dtype=np.float64) @ rows.T
        low, high = local.min(axis=0), local.max(axis=0)
        return cls(0.5 * (low + high) @ rows, rows, 0.5 * (high - low))


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
        few = len(self.exact.lines) <= _FEW_LINES
        levels = [] if few else _levels(half, points, self._gaps(tolerance / 3.0), self._fewer)
        if levels:
            tell_preparing(f"preparing the far field of {len(self.exact.lines):,} lines")
            self._sources = self._local_sources()
            self._grid, self._tables = self._prepare(levels, points, worker_count(workers))
        self._cut = bool(levels)

    @property
    def boxes(self) -> int:
        """Number of boxes of the finest cut; 0 where all lines are summed one by one."""
        return int(np.prod(self._grid.counts)) if self._cut else 0

    @property
    def near_lines(self) -> float:
        """How many lines are summed one by one at a point, on average over the region."""
        return len(self._tables.near) / self.boxes if self._cut else float(len(self.exact.lines))

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        if not self._cut:
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

    def _prepare(self, levels: list[_Level], points: int, workers: int) -> tuple[BoxGrid, Tables]:
        """Cut the region finer and finer, while that saves time; hand down what is known."""
        count = len(self.exact.lines)
        grid = levels[0].grid
        tables = Tables(
            np.zeros((1, 9, 1, ORDER, ORDER)),
            np.zeros((1, 1, ORDER), np.int64),
            np.array([0, count]),
            np.arange(count),
        )
        sources = self._from_afar(self._sources)
        with ThreadPoolExecutor(workers) as pool:
            for level in levels:
                gained = _GAIN * len(tables.near) / (len(tables.starts) - 1)
                if points * gained < level.nodes * (gained + _FITTING):
                    break
                tables = _Refinement(grid, tables, level, sources).run(pool)
                grid = level.grid
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


@dataclass(frozen=True)
class _Level:
    """One size of boxes."""

    grid: BoxGrid
    order: int
    """Nodes along the thinnest axis."""
    gaps: Floats
    """How many half-widths away, along each axis, a far line has to stay."""
    farther: tuple[tuple[tuple[int, int, int], Floats], ...] = ()
    """Fewer nodes along each axis, and the gaps that they ask for, the fewest first."""

    @property
    def nodes(self) -> int:
        """Nodes of all boxes together."""
        return int(np.prod(self.grid.counts)) * ORDER * ORDER * self.order


def _levels(
    half: Floats, points: int, gaps: list[float], fewer: tuple[int, ...] = ()
) -> list[_Level]:
    """Sizes of boxes from the whole region down to where nodes would outnumber the points.

    The error along each axis may take a third of the tolerance; `gaps` let it do so.
    """
    counts = np.ones(3, np.int64)
    levels: list[_Level] = []
    order = 1
    while True:
        # As few nodes along the thin axis as let it not be the one that decides; never fewer than
        # in larger boxes, so that polynomials are handed down without loss.
        while order < ORDER and gaps[order - 1] * half[2] > gaps[-1] * half.max():
            order += 1
        farther = []
        for few in fewer:
            along = min(few, order)
            needed = np.array([gaps[few - 1], gaps[few - 1], gaps[along - 1]])
            farther.append(((few, few, along), needed))
        level = _Level(
            BoxGrid(half, counts),
            order,
            np.array([gaps[-1], gaps[-1], gaps[order - 1]]),
            tuple(farther),
        )
        if level.nodes > points or 72 * level.nodes > _LARGEST_TABLE:
            return levels
        levels.append(level)
        cut = np.where(half > _CUT * half.max(), 2, 1)
        half, counts = half / cut, counts * cut


class _Refinement:
    """From boxes of one size to those of the next."""

    def __init__(self, coarse: BoxGrid, tables: Tables, level: _Level, sources: Sources) -> None:
        self.tables = tables
        self.level = level
        self.sources = sources
        grid, self.orders = level.grid, (ORDER, ORDER, level.order)
        self.cut = grid.counts // coarse.counts
        self.boxes = np.stack(np.unravel_index(np.arange(np.prod(grid.counts)), grid.counts), 1)
        self.parents: Ints = np.array(
            np.ravel_multi_index(tuple((self.boxes // self.cut).T), tuple(coarse.counts))
        )
        self.centres = (2 * self.boxes + 1 - grid.counts) * grid.half
        self.places = _places(grid.half, self.orders)
        self.coefficients = np.empty((len(self.boxes), 9, level.order, ORDER, ORDER))
        self.terms = np.empty((len(self.boxes), level.order, ORDER), np.int64)

    def run(self, pool: ThreadPoolExecutor) -> Tables:
        """Tables of all boxes of the level."""
        every = np.arange(len(self.boxes))
        blocks = [every[i : i + _BOXES_AT_ONCE] for i in range(0, len(every), _BOXES_AT_ONCE)]
        tables = list(pool.map(self._block, blocks))
        counts = np.concatenate([np.diff(starts) for starts, _ in tables])
        starts = np.concatenate([[0], np.cumsum(counts)])
        near = np.concatenate([near for _, near in tables])
        return Tables(self.coefficients, self.terms, starts, near)

    def _block(self, block: Ints) -> tuple[Ints, Ints]:
        """Fill the coefficients of some boxes; starts and indices of their near lines."""
        parents = self.parents[block]
        ranges = np.stack([self.tables.starts[parents], self.tables.starts[parents + 1]], axis=1)
        near = np.empty(int(np.sum(ranges[:, 1] - ranges[:, 0])), np.int64)
        if self.level.farther:
            starts, coefficients = self._far_by_distance(block, ranges, near)
        else:
            values = np.zeros((len(block), 9, self.places.shape[1]))
            starts = sum_far_sources(
                self.centres[block],
                self.level.grid.half,
                self.level.gaps,
                self.places,
                self.sources,
                self.tables.near,
                ranges,
                values,
                near,
            )
            coefficients = _fitted(values, self.orders)
        coefficients = coefficients + self._handed_down(block)
        self.coefficients[block], self.terms[block] = coefficients, _terms(coefficients)
        return starts, near[: starts[-1]].copy()

    def _far_by_distance(self, block: Ints, ranges: Ints, near: Ints) -> tuple[Ints, Floats]:
        """Starts of the near sources, and coefficients of the far ones, with nodes as needed."""
        level = self.level
        kinds = [*level.farther, (self.orders, level.gaps)]
        places = [_places(level.grid.half, orders) for orders, _ in kinds]
        ends = np.cumsum([0, *(part.shape[1] for part in places)])
        values = np.zeros((len(block), 9, ends[-1]))
        starts = sum_far_by_distance(
            self.centres[block],
            level.grid.half,
            np.array([gaps for _, gaps in kinds]),
            np.concatenate(places, axis=1),
            ends,
            self.sources,
            self.tables.near,
            ranges,
            values,
            near,
        )
        coefficients = np.zeros((len(block), 9, level.order, ORDER, ORDER))
        for (orders, _), first, last in zip(kinds, ends, ends[1:], strict=False):
            x, y, z = orders
            coefficients[:, :, :z, :y, :x] += _fitted(values[:, :, first:last], orders)
        return starts, coefficients

    def _handed_down(self, block: Ints) -> Floats:
        """The coarser boxes' polynomials as polynomials of the boxes in them."""
        part = self.tables.coefficients[self.parents[block]]
        count, depth = len(block), part.shape[2]
        sides = (self.boxes[block] % self.cut).T
        x, y, z = (
            _restrictions(order, wider, int(cut))[side]
            for order, wider, cut, side in zip(
                self.orders, (ORDER, ORDER, depth), self.cut, sides, strict=True
            )
        )
        # Both wide axes at once: larger matrices, but far fewer of them.
        across = np.einsum("bYy,bXx->byxYX", y, x).reshape(count, ORDER**2, ORDER**2)
        part = part.reshape(count, 9 * depth, ORDER**2) @ across
        part = z[:, None] @ part.reshape(count, 9, depth, ORDER**2)
        return np.asarray(part.reshape(count, 9, self.level.order, ORDER, ORDER))


def _places(half: Floats, orders: tuple[int, int, int]) -> Floats:
    """Nodes (3, n) of a box relative to its centre, with numbers of them along each axis (µm)."""
    z, y, x = np.meshgrid(
        *(width * nodes(order) for width, order in zip(half[::-1], orders[::-1], strict=True)),
        indexing="ij",
    )
    return np.stack([x.ravel(), y.ravel(), z.ravel()])


def _fitted(values: Floats, orders: tuple[int, int, int]) -> Floats:
    """Coefficients (n, 9, nz, ny, nx) of the polynomials through values at the nodes."""
    wide, _, deep = orders
    across, along = (coefficients_from_values(order) for order in (wide, deep))
    shape = (len(values), 9, deep, wide * wide)
    fitted = along @ (values.reshape(shape) @ np.kron(across, across).T)
    return np.asarray(fitted.reshape(*shape[:3], wide, wide))


def _terms(coefficients: Floats) -> Ints:
    """How many coefficients along x to keep, (n, nz, ny): the others add up to `_NEGLIGIBLE`."""
    size = np.abs(coefficients).max(axis=1)
    rest = np.cumsum(size[..., ::-1], axis=-1)[..., ::-1]
    allowed = _NEGLIGIBLE / (size.shape[1] * size.shape[2])
    return np.asarray(np.count_nonzero(rest > allowed, axis=-1))


def _restrictions(order: int, wider: int, cut: int) -> Floats:
    """Matrices that carry coefficients to each of the `cut` parts of an interval."""
    if cut == 1:
        return restriction(order, wider, 1.0, 0.0)[None]
    return np.stack([restriction(order, wider, 0.5, offset) for offset in (-0.5, 0.5)])
