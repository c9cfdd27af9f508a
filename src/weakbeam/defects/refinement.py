"""From boxes of one size to those of the next: what is far goes into their polynomials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.bounds import Bounds
from weakbeam.defects.box_sources import Sources
from weakbeam.defects.boxes import ORDER, BoxGrid, Tables, sum_far_by_distance, sum_far_sources
from weakbeam.defects.chebyshev import coefficients_from_values, nodes, restriction

_MOST_BOXES = 2**21
"""Boxes that a region is cut into, at most, whether they are made or not."""

_NEGLIGIBLE = 1e-8
"""Coefficients of β are left out that add up to no more than this, far below what optics see."""

_CUT = 0.75
"""Axes longer than this share of the longest are halved from one size of boxes to the next."""

_BOXES_AT_ONCE = 32


@dataclass(frozen=True)
class Level:
    """One size of boxes."""

    half: Floats
    """(3,) half-widths of a box, µm."""
    counts: Ints
    """(3,) boxes along each axis."""
    order: int
    """Nodes along the thinnest axis."""
    gaps: Floats
    """How many half-widths away, along each axis, a far source has to stay."""
    farther: tuple[tuple[tuple[int, int, int], Floats], ...] = ()
    """Fewer nodes along each axis, and the gaps that they ask for, the fewest first."""

    @property
    def nodes(self) -> int:
        """Nodes of a box."""
        return ORDER * ORDER * self.order

    def centres(self, boxes: Ints) -> Floats:
        """Of boxes (n, 3) of the grid (µm)."""
        return np.asarray((2 * boxes + 1 - self.counts) * self.half)

    def places(self, numbers: Ints) -> Ints:
        """Where boxes with these numbers are in the grid, (n, 3)."""
        return np.stack(np.unravel_index(numbers, self.counts), axis=1)

    def parts_of(self, coarse: BoxGrid, asked: Sequence[Bounds] | None) -> Ints:
        """Numbers of the boxes within those of a coarser grid, where the field is asked for."""
        cut = self.counts // coarse.counts
        parts = np.stack(np.meshgrid(*map(np.arange, cut), indexing="ij"), axis=-1).reshape(-1, 3)
        parents = np.stack(np.unravel_index(coarse.numbers, coarse.counts), axis=1)
        boxes = (parents[:, None] * cut + parts).reshape(-1, 3)
        if asked is not None:
            if not asked:
                return np.zeros(0, np.int64)
            centres = self.centres(boxes)
            boxes = boxes[np.any([part.touches(centres, self.half) for part in asked], axis=0)]
        return np.sort(np.ravel_multi_index(tuple(boxes.T), tuple(self.counts)))

    def grid(self, numbers: Ints) -> BoxGrid:
        """The boxes with these numbers."""
        rows = np.full(int(np.prod(self.counts)), -1, np.int64)
        rows[numbers] = np.arange(len(numbers))
        return BoxGrid(self.half, self.counts, rows, numbers)


def levels(half: Floats, gaps: Sequence[float], fewer: Sequence[int] = ()) -> Iterator[Level]:
    """Sizes of boxes from the whole region down.

    The error along each axis may take a third of the tolerance; `gaps` let it do so.
    """
    counts = np.ones(3, np.int64)
    order = 1
    while np.prod(counts) <= _MOST_BOXES:
        # As few nodes along the thin axis as let it not be the one that decides; never fewer than
        # in larger boxes, so that polynomials are handed down without loss.
        while order < ORDER and gaps[order - 1] * half[2] > gaps[-1] * half.max():
            order += 1
        farther = []
        for few in fewer:
            along = min(few, order)
            needed = np.array([gaps[few - 1], gaps[few - 1], gaps[along - 1]])
            farther.append(((few, few, along), needed))
        own = np.array([gaps[-1], gaps[-1], gaps[order - 1]])
        yield Level(half, counts, order, own, tuple(farther))
        cut = np.where(half > _CUT * half.max(), 2, 1)
        half, counts = half / cut, counts * cut


def whole(half: Floats, count: int) -> tuple[BoxGrid, Tables]:
    """A region as one box that knows of nothing far."""
    tables = Tables(
        np.zeros((1, 9, 1, ORDER, ORDER)),
        np.zeros((1, 1, ORDER), np.int64),
        np.array([0, count]),
        np.arange(count),
    )
    ones = np.ones(3, np.int64)
    return BoxGrid(half, ones, np.zeros(1, np.int64), np.zeros(1, np.int64)), tables


class Refinement:
    """From boxes of one size to those of the next.

    Parameters
    ----------
    coarse, tables : BoxGrid, Tables
        The larger boxes.
    level : Level
        The smaller ones.
    numbers : (n,) ndarray of int
        Which of them are made, in larger boxes that are known.
    sources : Sources
        All sources, as far ones may be summed.
    """

    def __init__(
        self, coarse: BoxGrid, tables: Tables, level: Level, numbers: Ints, sources: Sources
    ) -> None:
        self.tables = tables
        self.level = level
        self.sources = sources
        self.grid, self.orders = level.grid(numbers), (ORDER, ORDER, level.order)
        self.cut = level.counts // coarse.counts
        self.boxes = level.places(numbers)
        parents = np.ravel_multi_index(tuple((self.boxes // self.cut).T), tuple(coarse.counts))
        self.parents: Ints = coarse.rows[parents]
        self.centres = level.centres(self.boxes)
        self.nodes = node_places(level.half, self.orders)
        self.coefficients = np.empty((len(self.boxes), 9, level.order, ORDER, ORDER))
        self.terms = np.empty((len(self.boxes), level.order, ORDER), np.int64)

    def run(self, pool: ThreadPoolExecutor) -> tuple[BoxGrid, Tables]:
        """The boxes of the level."""
        every = np.arange(len(self.boxes))
        blocks = [every[i : i + _BOXES_AT_ONCE] for i in range(0, len(every), _BOXES_AT_ONCE)]
        tables = list(pool.map(self._block, blocks))
        counts = np.concatenate([np.diff(starts) for starts, _ in tables])
        starts = np.concatenate([[0], np.cumsum(counts)])
        near = np.concatenate([near for _, near in tables])
        return self.grid, Tables(self.coefficients, self.terms, starts, near)

    def candidates(self, block: Ints) -> Ints:
        """Where the near sources of the larger boxes stand in their list, (n, 2)."""
        parents = self.parents[block]
        return np.stack([self.tables.starts[parents], self.tables.starts[parents + 1]], axis=1)

    def keep(self, block: Ints, coefficients: Floats) -> None:
        """Coefficients of what is far from some boxes, and not from the larger ones."""
        coefficients = coefficients + self._handed_down(block)
        self.coefficients[block], self.terms[block] = coefficients, _terms(coefficients)

    def far(self, block: Ints, candidates: Ints, ranges: Ints, near: Ints) -> tuple[Ints, Floats]:
        """Coefficients of the far ones of some candidates, and which are not; see `boxes`."""
        if self.level.farther:
            return self._far_by_distance(block, candidates, ranges, near)
        values = np.zeros((len(block), 9, self.nodes.shape[1]))
        starts = sum_far_sources(
            self.centres[block],
            self.level.half,
            self.level.gaps,
            self.nodes,
            self.sources,
            candidates,
            ranges,
            values,
            near,
        )
        return starts, fitted(values, self.orders)

    def _block(self, block: Ints) -> tuple[Ints, Ints]:
        """Fill the coefficients of some boxes; starts and indices of their near sources."""
        ranges = self.candidates(block)
        near = np.empty(int(np.sum(ranges[:, 1] - ranges[:, 0])), np.int64)
        starts, coefficients = self.far(block, self.tables.near, ranges, near)
        self.keep(block, coefficients)
        return starts, near[: starts[-1]].copy()

    def _far_by_distance(
        self, block: Ints, candidates: Ints, ranges: Ints, near: Ints
    ) -> tuple[Ints, Floats]:
        """The same with nodes as needed."""
        level = self.level
        kinds = [*level.farther, (self.orders, level.gaps)]
        places = [node_places(level.half, orders) for orders, _ in kinds]
        ends = np.cumsum([0, *(part.shape[1] for part in places)])
        values = np.zeros((len(block), 9, ends[-1]))
        starts = sum_far_by_distance(
            self.centres[block],
            level.half,
            np.array([gaps for _, gaps in kinds]),
            np.concatenate(places, axis=1),
            ends,
            self.sources,
            candidates,
            ranges,
            values,
            near,
        )
        coefficients = np.zeros((len(block), 9, level.order, ORDER, ORDER))
        for (orders, _), first, last in zip(kinds, ends, ends[1:], strict=False):
            x, y, z = orders
            coefficients[:, :, :z, :y, :x] += fitted(values[:, :, first:last], orders)
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


def node_places(half: Floats, orders: tuple[int, int, int]) -> Floats:
    """Nodes (3, n) of a box relative to its centre, with numbers of them along each axis (µm)."""
    z, y, x = np.meshgrid(
        *(width * nodes(order) for width, order in zip(half[::-1], orders[::-1], strict=True)),
        indexing="ij",
    )
    return np.stack([x.ravel(), y.ravel(), z.ravel()])


def fitted(values: Floats, orders: tuple[int, int, int]) -> Floats:
    """Coefficients (n, 9, nz, ny, nx) of the polynomials through values at the nodes."""
    wide, _, deep = orders
    across, along = (coefficients_from_values(order) for order in (wide, deep))
    shape = (len(values), 9, deep, wide * wide)
    found = along @ (values.reshape(shape) @ np.kron(across, across).T)
    return np.asarray(found.reshape(*shape[:3], wide, wide))


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
