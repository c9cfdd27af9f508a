"""Far cells full of segments, carried to boxes all at once.

Around a region that is cut into boxes, equal cells go on as far again on every side. What segments
of a cell do in a box two and more cells away depends on a few moments of them, and as cells and
boxes are equal, it is one matrix for all pairs that lie alike: the "moments to local" step of the
fast multipole method, with Chebyshev nodes for sources and places (Fong & Darve 2009). So the cost
of far segments no longer depends on how many they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects.anisotropic_segments import MediumTables, tables_of
from weakbeam.defects.box_sources import AnisotropicPieces, Sources
from weakbeam.defects.boxes import BoxGrid, Tables
from weakbeam.defects.chebyshev import coefficients_from_values, nodes
from weakbeam.defects.directions import interpolate
from weakbeam.defects.green import LEVI_CIVITA, relative_stiffness
from weakbeam.defects.refinement import Level, Refinement, fitted

_LONGEST = 0.3
"""Half the length of a segment that is taken with its cell, in half-widths of it, at most."""

_LEAST = 40
"""Segments of a cell, on average, that are worth the matrices."""

_ENDLESS = 1e6
"""Length (µm) of half-lines, where it matters that they are in no cell."""

_FEWEST_NODES = 4

_TRIED = 200
"""Places in a cell, and in a box, between which the error of a number of nodes is looked at."""

_SAFETY = 1.25
"""By what it may be larger between others."""

_AWAY = 2, 3
"""How many cells away those are that are far from a box, but next to it a size larger."""

_NO_CORE = 1e-6
"""Squared core radius, in half-widths, that far cells do not feel."""

_AT_ONCE = 8
"""Matrices that are made at once."""

Singles = NDArray[np.float32]

_SYMMETRIC = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_LENGTHWISE = np.polynomial.legendre.leggauss(3)


_NOWHERE = -9


@dataclass(frozen=True)
class Cells:
    """Cells of one size in and around a region, and what they hold.

    Parameters
    ----------
    half : (3,) ndarray
        Half-widths of a cell, and of a box (µm).
    counts : (3,) ndarray of int
        Boxes of the region along each axis; cells are three times as many.
    of_source : (n, 3) ndarray of int
        In which of them each segment lies, counted from the region's first box; -9 for those that
        are in none.
    reach : float
        Half-width, in those of the smallest cells, within which all of a cell's segments lie.
    """

    half: Floats
    counts: Ints
    of_source: Ints
    reach: float

    @property
    def coarser(self) -> Cells:
        """Those that are two along each edge."""
        held = self.of_source[:, :1] != _NOWHERE
        of_source = np.where(held, self.of_source // 2, _NOWHERE)
        return Cells(2.0 * self.half, self.counts // 2, of_source, self.reach)


def cells_for(pieces: AnisotropicPieces, levels: Iterable[Level]) -> list[Cells]:
    """The cells that are worth it, from those as large as the region on; none if there are few.

    Parameters
    ----------
    pieces : AnisotropicPieces
        All segments.
    levels : iterable of Level
        Sizes of boxes, from that of the region down.
    """
    finest: Cells | None = None
    halvings = 0
    for number, level in enumerate(levels):
        if (level.counts != 2**number).any():
            break
        if number == 0:
            continue
        cells = _cells_of(pieces, level.half, level.counts)
        if cells is None:
            break
        finest, halvings = cells, number
    if finest is None:
        return []
    found = [finest]
    for _ in range(halvings):
        found.insert(0, found[0].coarser)
    return found


def _cells_of(pieces: AnisotropicPieces, half: Floats, counts: Ints) -> Cells | None:
    """The cells of the size of a region's boxes, if they are worth it."""
    lengths = np.minimum(pieces.places[:, 6], _ENDLESS)
    middles = pieces.places[:, :3] + 0.5 * lengths[:, None] * pieces.places[:, 3:6]
    cells = np.floor(0.5 * (middles / half + counts)).astype(np.int64)
    # Half of the extent along each axis.
    beyond = (0.5 * lengths[:, None] * np.abs(pieces.places[:, 3:6]) / half).max(axis=1)
    inside = ((cells >= -counts) & (cells < 2 * counts)).all(axis=1) & (beyond <= _LONGEST)
    if inside.sum() < _LEAST * 27 * np.prod(counts):
        return None
    cells[~inside] = _NOWHERE
    return Cells(half, counts, cells, 1.0 + float(beyond[inside].max()))


class CellRefinement(Refinement):
    """Boxes of which far cells are known.

    Parameters
    ----------
    coarse, tables, level, numbers, sources
        As of :class:`.Refinement`; all boxes are made.
    cells : Cells
        Of their size.
    parts : list of (int, ndarray)
        Their field: see :func:`far_cells`.
    """

    def __init__(
        self,
        coarse: BoxGrid,
        tables: Tables,
        level: Level,
        sources: Sources,
        cells: Cells,
        parts: Sequence[tuple[int, Floats]],
    ) -> None:
        super().__init__(coarse, tables, level, np.arange(np.prod(level.counts)), sources)
        self.cells = cells
        self.parts = parts

    def _block(self, block: Ints) -> tuple[Ints, Ints]:
        """Fill the coefficients of some boxes; starts and indices of their near sources."""
        ranges = self.candidates(block)
        near, rest = np.empty((2, int(np.sum(ranges[:, 1] - ranges[:, 0]))), np.int64)
        held, others = by_cells(
            self.boxes[block], ranges, self.tables.near, self.cells.of_source, near, rest
        )
        left = np.empty(int(others[-1]), np.int64)
        ranges = np.stack([others[:-1], others[1:]], axis=1)
        starts, coefficients = self.far(block, rest, ranges, left)
        for order, values in self.parts:
            part = fitted(values[block], (order,) * 3)
            coefficients[:, :, :order, :order, :order] += part
        self.keep(block, coefficients)
        both = [
            part
            for k in range(len(block))
            for part in (near[held[k] : held[k + 1]], left[starts[k] : starts[k + 1]])
        ]
        return held + starts, np.concatenate(both)


@compiled
def by_cells(
    boxes: Ints, ranges: Ints, candidates: Ints, of_source: Ints, near: Ints, rest: Ints
) -> tuple[Ints, Ints]:
    """Sort the candidates of some boxes: in cells next to it, in none, and far away.

    Parameters
    ----------
    boxes : (n, 3) ndarray of int
        Where they are in the grid.
    ranges, candidates : ndarray of int, (n, 2) for the former
        As of :func:`weakbeam.defects.boxes.sum_far_sources`.
    of_source : (m, 3) ndarray of int
        See :class:`Cells`.
    near, rest : ndarray of int
        Receive those that are next to each box, and those that are in no cell.

    Returns
    -------
    near_starts, rest_starts : (n + 1,) ndarray of int
        Where those of each box start there.
    """
    n = boxes.shape[0]
    near_starts, rest_starts = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    count, others = 0, 0
    for box in range(n):
        x, y, z = boxes[box, 0], boxes[box, 1], boxes[box, 2]
        for c in range(ranges[box, 0], ranges[box, 1]):
            i = candidates[c]
            if of_source[i, 0] == _NOWHERE:
                rest[others] = i
                others += 1
            elif (
                abs(of_source[i, 0] - x) <= 1
                and abs(of_source[i, 1] - y) <= 1
                and abs(of_source[i, 2] - z) <= 1
            ):
                near[count] = i
                count += 1
        near_starts[box + 1], rest_starts[box + 1] = count, others
    return near_starts, rest_starts


def far_cells(
    levels: Sequence[Cells],
    pieces: AnisotropicPieces,
    medium: AnisotropicMedium,
    tolerance: float,
    most_nodes: int,
    pool: ThreadPoolExecutor,
) -> list[list[tuple[int, Floats]]] | None:
    r"""What cells do in all boxes that are far from them, but next to them a size larger.

    Parameters
    ----------
    levels : sequence of Cells
        From halves of the region on, each half of the last.
    pieces : AnisotropicPieces
        All segments.
    medium : AnisotropicMedium
        What they lie in, in their frame.
    tolerance : float
        Largest error of a segment's part of β, relative to :math:`b/2\pi \int ds/R^2` at the
        point of the box that is nearest to it.
    most_nodes : int
        Nodes along each axis, at most.

    Returns
    -------
    list of list of (int, ndarray)
        For each level, parts of the field: nodes along each axis of the boxes, and β (n, 9, order³)
        at them; the boxes are in the order of their numbers, the last axis has z, y and x, the
        fastest. None where so many nodes do not leave the tolerance.
    """
    reach = levels[0].reach
    shape = tuple((levels[0].half / levels[0].half[0]).tolist())
    cores = float(np.mean(pieces.places[:, 7])) / np.array([c.half[0] ** 2 for c in levels])
    spread = np.where(cores < _NO_CORE, 0.0, cores).tolist()
    found: list[list[tuple[int, Floats]]] = [[] for _ in levels]
    orders = [_nodes_needed(medium, shape, reach, away, tolerance, most_nodes) for away in _AWAY]
    if not all(orders):
        return None
    carried = pool.map(
        lambda one: _Carried(one[0], pieces, one[1], reach),
        [(cells, order) for order in orders for cells in levels],
    )
    for away, order in zip(_AWAY, orders, strict=True):
        parts = list(islice(carried, len(levels)))
        shifts = [s for s in product(range(-3, 4), repeat=3) if max(map(abs, s)) == away]
        # Matrices do not know sizes but for those of cores.
        for core in sorted(set(spread)):
            those = [p for p, c in zip(parts, spread, strict=True) if c == core]
            for start in range(0, len(shifts), _AT_ONCE):
                some = shifts[start : start + _AT_ONCE]
                matrices = pool.map(
                    lambda s, n=order, c=core: _matrix(s, shape, n, reach, c, pieces.tables),
                    some,
                )
                for shift, matrix in zip(some, matrices, strict=True):
                    _carry(shift, matrix, those)
        for level, part in zip(found, parts, strict=True):
            level.append((order, part.field))
    return found


class _Carried:
    """Moments of the cells of one size, and what has been carried to boxes."""

    def __init__(self, cells: Cells, pieces: AnisotropicPieces, order: int, reach: float) -> None:
        self.cells = cells
        self.moments = _moments(cells, pieces, order, reach)
        counts = cells.counts
        self.boxes = np.stack(np.unravel_index(np.arange(np.prod(counts)), counts), axis=1)
        self.values = np.zeros((3 * order**3, len(self.boxes), 3))

    def pairs(self, shift: tuple[int, ...]) -> tuple[Ints, Ints]:
        """Boxes, and numbers of the cells from which they lie `shift`."""
        sources = self.boxes - np.array(shift)
        # Next to each other a size larger.
        targets = np.flatnonzero((np.abs(sources // 2 - self.boxes // 2) <= 1).all(axis=1))
        return targets, _numbers(self.cells, sources[targets])

    @property
    def field(self) -> Floats:
        """β (n, 9, order³) at the nodes of all boxes."""
        # Homogeneous of degree -2 in half-widths.
        values = self.values / self.cells.half[0] ** 2
        nodes = values.reshape(-1, 3, values.shape[1], 3)
        return np.asarray(nodes.transpose(2, 1, 3, 0).reshape(values.shape[1], 9, -1))


def _carry(shift: tuple[int, ...], matrix: Singles, parts: Sequence[_Carried]) -> None:
    """Carry moments of cells to all boxes that lie `shift` from them."""
    pairs = [part.pairs(shift) for part in parts]
    right = np.concatenate(
        [part.moments[:, numbers] for part, (_, numbers) in zip(parts, pairs, strict=True)], axis=1
    )
    found = (matrix @ right.reshape(len(right), -1)).reshape(len(matrix), -1, 3)
    first = 0
    for part, (targets, _) in zip(parts, pairs, strict=True):
        part.values[:, targets] += found[:, first : first + len(targets)]
        first += len(targets)


def _numbers(cells: Cells, places: Ints) -> Ints:
    """Of cells (n, 3), counted from the region's first box, in and around the region."""
    numbers = np.ravel_multi_index(tuple((places + cells.counts).T), tuple(3 * cells.counts))
    return np.asarray(numbers, dtype=np.int64)


def _moments(cells: Cells, pieces: AnisotropicPieces, order: int, reach: float) -> Singles:
    """K_jpq ds of the segments at the nodes of all cells.

    (6 n, cells, 3): the nodes, for each of them pq, and j.
    """
    held = np.flatnonzero(cells.of_source[:, 0] != _NOWHERE)
    full = np.einsum("saj,sapq->sjpq", pieces.across[held], pieces.tensors[held])
    lengths = 0.5 * pieces.places[held, 6]
    k = np.stack([full[:, :, p, q] for p, q in _SYMMETRIC], axis=1).reshape(-1, 18)
    k = k * lengths[:, None]
    at, share = _LENGTHWISE
    steps = lengths[:, None] * pieces.places[held, 3:6]
    rows = cells.of_source[held]
    from_middle = pieces.places[held, :3] + steps - (2 * rows + 1 - cells.counts) * cells.half
    places = from_middle[:, None] + at[:, None] * steps[:, None]
    places /= reach * cells.half
    along = _polynomials(places, order)
    along[:, :, 0] *= share[:, None]
    found = np.zeros((int(np.prod(3 * cells.counts)), order, order, order, 18))
    _add_moments(found, np.ascontiguousarray(along), k, _numbers(cells, rows))
    shaped = found.reshape(len(found), -1, 3).transpose(1, 0, 2)
    return np.ascontiguousarray(shaped, np.float32)


@compiled
def _add_moments(found: Floats, along: Floats, k: Floats, numbers: Ints) -> None:
    """Add to moments (cells, z, y, x, 18) what points of sources (s, p, 3, order) count for."""
    order = along.shape[3]
    own = np.empty(18)
    for s in range(k.shape[0]):
        cell = found[numbers[s]]
        for p in range(along.shape[1]):
            for z in range(order):
                for y in range(order):
                    share = along[s, p, 2, z] * along[s, p, 1, y]
                    for c in range(18):
                        own[c] = share * k[s, c]
                    for x in range(order):
                        weight = along[s, p, 0, x]
                        for c in range(18):
                            cell[z, y, x, c] += weight * own[c]


def _polynomials(places: Floats, order: int) -> Floats:
    """What nodes along an interval count for at places (...) in it, (..., order)."""
    transform = coefficients_from_values(order)
    return np.asarray(np.polynomial.chebyshev.chebvander(places, order - 1) @ transform)


@lru_cache(maxsize=32)
def _nodes_needed(
    medium: AnisotropicMedium,
    shape: tuple[float, ...],
    reach: float,
    away: int,
    tolerance: float,
    most: int,
) -> int:
    """How many nodes along each axis leave no more than a tolerance, in the worst direction.

    Found by trying cells that are so many away along one axis, straight or by one aside; 0 where
    more than `most` would be needed.
    """
    shifts = [
        tuple(np.roll((away, aside, 0), turn).tolist()) for turn in range(3) for aside in (0, 1)
    ]
    for order in range(_FEWEST_NODES, most + 1):
        errors = (carrying_error(shift, shape, order, reach, medium) for shift in shifts)
        if all(error <= tolerance for error in errors):
            return order
    return 0


def carrying_error(
    shift: tuple[int, ...],
    shape: tuple[float, ...],
    order: int,
    reach: float,
    medium: AnisotropicMedium,
) -> float:
    """Largest error of carrying a point of a line to a place in a box, relative to b / 2π R².

    R is the distance to the point of the box that is nearest to it.
    """
    tables, stiffness = tables_of(medium), relative_stiffness(medium)
    random = np.random.default_rng(0)
    # Most on faces, edges and corners.
    sources, places = np.clip(2.0 * random.uniform(-1.0, 1.0, (2, _TRIED, 3)), -1.0, 1.0)
    edges = np.array(shape)
    away = 2.0 * np.array(shift) * edges
    true = kernel(
        (places * edges + away).T,
        reach * (sources * edges).T,
        tables.derivatives,
        tables.cells,
        0.0,
    )
    matrix = _matrix(shift, shape, order, reach, 0.0, tables)
    near, far = _weights(sources, order), _weights(places, order)
    carried = matrix.astype(np.float64).reshape(order**3, 3, order**3, 6)
    found = np.einsum("tn,niml,sm->tisl", far, carried, near, optimize=True)
    left = true.reshape(_TRIED, 3, _TRIED, 6) - found
    apart = np.maximum(np.abs(reach * sources * edges - away) - edges, 0.0)
    left *= np.sum(apart**2, axis=1)[:, None]
    left = left.transpose(0, 2, 1, 3).reshape(-1, 3, 6)
    worst = left[np.argsort(np.abs(left).max(axis=(1, 2)))[-40:]]
    # C_pqmn is the same for both orders of a pair.
    pairs = np.stack([stiffness[p, q] for p, q in _SYMMETRIC])
    stress = np.einsum("sil,lmn->simn", worst, pairs)
    field = np.einsum("jnh,simn->sijmh", LEVI_CIVITA, stress)
    return float(2.0 * np.pi * _SAFETY * np.sqrt(np.sum(field**2, axis=(3, 4)).max()))


def _weights(places: Floats, order: int) -> Floats:
    """What nodes of a box count for at places (n, 3) within -1 to 1, (n, order³)."""
    x, y, z = _polynomials(places, order).transpose(1, 0, 2)
    return np.asarray(np.einsum("sx,sy,sz->szyx", x, y, z, optimize=True).reshape(len(places), -1))


def _places(order: int, shape: tuple[float, ...], reach: float) -> Floats:
    z, y, x = np.meshgrid(*(reach * width * nodes(order) for width in shape[::-1]), indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()])


def _matrix(
    shift: tuple[int, ...],
    shape: tuple[float, ...],
    order: int,
    reach: float,
    core: float,
    tables: MediumTables,
) -> Singles:
    """From moments (6 n) at the nodes of a cell to β (3 n) at those of a box, in half-widths.

    The box lies `shift` cells away; rows are i and columns pq of a symmetric pair at each node.
    """
    away = 2.0 * np.array(shift) * np.array(shape)
    found = kernel(
        _places(order, shape, 1.0) + away[:, None],
        _places(order, shape, reach),
        tables.derivatives,
        tables.cells,
        core,
    )
    # Single precision is a thousand times finer than what interpolation leaves.
    return found.astype(np.float32)


@compiled
def kernel(places: Floats, sources: Floats, table: Floats, cells: int, core: float) -> Floats:
    """Derivatives of Green's function (3 t, 6 s) at places (3, t) of sources (3, s).

    Columns are the pairs xx, yy, zz, yz, xz and xy of what comes second and third, whose two orders
    are added.
    """
    found = np.empty((3 * places.shape[1], 6 * sources.shape[1]))
    values, room = np.empty(18), np.empty(108)
    for t in range(places.shape[1]):
        for s in range(sources.shape[1]):
            x, y, z = (
                places[0, t] - sources[0, s],
                places[1, t] - sources[1, s],
                places[2, t] - sources[2, s],
            )
            opposite = interpolate(table, cells, x, y, z, room, values)
            share = (-1.0 if opposite else 1.0) / (x * x + y * y + z * z + core)
            for k in range(18):
                values[k] *= share
            # ip = xx, yy, zz, yz, xz, xy by q = x, y, z.
            row, column = 3 * t, 6 * s
            found[row, column], found[row, column + 1] = values[0], values[16]
            found[row, column + 2] = values[14]
            found[row, column + 3] = values[17] + values[13]
            found[row, column + 4] = values[2] + values[12]
            found[row, column + 5] = values[1] + values[15]
            found[row + 1, column], found[row + 1, column + 1] = values[15], values[4]
            found[row + 1, column + 2] = values[11]
            found[row + 1, column + 3] = values[5] + values[10]
            found[row + 1, column + 4] = values[17] + values[9]
            found[row + 1, column + 5] = values[16] + values[3]
            found[row + 2, column], found[row + 2, column + 1] = values[12], values[10]
            found[row + 2, column + 2] = values[8]
            found[row + 2, column + 3] = values[11] + values[7]
            found[row + 2, column + 4] = values[14] + values[6]
            found[row + 2, column + 5] = values[13] + values[9]
    return found
