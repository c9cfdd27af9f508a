"""Compiled loops over the boxes of a region: far lines into polynomials, and back to points.

Coordinates are those of the region's own frame, with its centre as origin. A box holds Chebyshev
coefficients of all nine components of β, shape (9, nz, ny, nx), and a list of the lines that are
too close to be in them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.defects.box_sources import Lines as Lines  # where older machine code looks for it
from weakbeam.defects.box_sources import Sources, add_sources, is_near

ORDER = 8
"""Nodes along the two wider axes of a box; the loops are written out for this number."""

_WIDTH = 248
_LANES = 8


class BoxGrid(NamedTuple):
    """Equal boxes that fill a region, or those of them that are needed."""

    half: Floats
    """(3,) half-widths of a box, µm."""
    counts: Ints
    """(3,) boxes along each axis."""
    rows: Ints
    """(product of counts,): where each box stands in the tables; -1 for those that are not."""
    numbers: Ints
    """(boxes,): the number of each that does."""


Grid = BoxGrid
"""Its former name: machine code that is kept on disk is looked through by the names in it, before
it is found to be old."""


class Tables(NamedTuple):
    """What is known of every box."""

    coefficients: Floats
    """(boxes, 9, nz, ny, nx)."""
    terms: Ints
    """(boxes, nz, ny): how many of the nx coefficients matter; the others are left out."""
    starts: Ints
    """(boxes + 1,): where the list of each box begins in `near`."""
    near: Ints
    """Indices of lines to be summed one by one."""


@compiled
def sum_far_sources(
    centres: Floats,
    half: Floats,
    gaps: Floats,
    places: Floats,
    sources: Sources,
    candidates: Ints,
    ranges: Ints,
    values: Floats,
    near: Ints,
) -> Ints:
    """Sort the candidates of some boxes into near and far; sum the far ones at the nodes.

    Parameters
    ----------
    centres : (n, 3) ndarray
        Centres of the boxes, µm.
    half : (3,) ndarray
        Their half-widths, µm.
    gaps : (3,) ndarray
        How many half-widths away, along each axis, a far line has to stay.
    places : (3, m) ndarray
        Nodes of interpolation relative to the centre, µm.
    sources : Lines or Pieces
        Constants of all lines, or of all segments.
    candidates, ranges : ndarray of int, (n, 2) for the latter
        Lines to be sorted: ``candidates[ranges[i, 0] : ranges[i, 1]]`` for box i.
    values : (n, 9, m) ndarray
        The field of the far lines is added here.
    near : ndarray of int
        Receives the near lines of all boxes, one box after the other.

    Returns
    -------
    (n + 1,) ndarray of int
        Where the near lines of each box start in `near`.
    """
    starts = np.zeros(centres.shape[0] + 1, np.int64)
    far = np.empty(candidates.shape[0], np.int64)
    points = np.empty_like(places)
    used = 0
    for box in range(centres.shape[0]):
        x, y, z = centres[box, 0], centres[box, 1], centres[box, 2]
        distant = 0
        for c in range(ranges[box, 0], ranges[box, 1]):
            i = candidates[c]
            if not is_near(sources, i, x, y, z, half, gaps):
                far[distant] = i
                distant += 1
            else:
                near[used] = i
                used += 1
        starts[box + 1] = used
        for p in range(places.shape[1]):
            points[0, p] = x + places[0, p]
            points[1, p] = y + places[1, p]
            points[2, p] = z + places[2, p]
        add_sources(values[box], points, sources, far[:distant])
    return starts


@compiled
def sum_far_by_distance(
    centres: Floats,
    half: Floats,
    gaps: Floats,
    places: Floats,
    ends: Ints,
    sources: Sources,
    candidates: Ints,
    ranges: Ints,
    values: Floats,
    near: Ints,
) -> Ints:
    """As :func:`sum_far_sources`, with several sets of nodes, fewer ones for what is farther.

    Parameters
    ----------
    centres, half, sources, candidates, ranges, near
        As there.
    gaps : (k, 3) ndarray
        Of each set, the least first; the last one decides which sources are near.
    places : (3, m) ndarray
        Nodes of all sets, one after the other.
    ends : (k + 1,) ndarray of int
        Where each begins, and the last one ends.
    values : (n, 9, m) ndarray
        The field of the sources of each set is added at its nodes.

    Returns
    -------
    (n + 1,) ndarray of int
        Where the near sources of each box start in `near`.
    """
    starts = np.zeros(centres.shape[0] + 1, np.int64)
    sets = gaps.shape[0]
    most = 0
    for box in range(centres.shape[0]):
        most = max(most, ranges[box, 1] - ranges[box, 0])
    far = np.empty((sets, most), np.int64)
    distant = np.zeros(sets, np.int64)
    used = 0
    for box in range(centres.shape[0]):
        x, y, z = centres[box, 0], centres[box, 1], centres[box, 2]
        distant[:] = 0
        for c in range(ranges[box, 0], ranges[box, 1]):
            i = candidates[c]
            if is_near(sources, i, x, y, z, half, gaps[sets - 1]):
                near[used] = i
                used += 1
                continue
            chosen = 0
            while chosen < sets - 1 and is_near(sources, i, x, y, z, half, gaps[chosen]):
                chosen += 1
            far[chosen, distant[chosen]] = i
            distant[chosen] += 1
        starts[box + 1] = used
        for k in range(sets):
            if distant[k] == 0:
                continue
            first, last = ends[k], ends[k + 1]
            points = np.empty((3, last - first))
            for p in range(first, last):
                points[0, p - first] = x + places[0, p]
                points[1, p - first] = y + places[1, p]
                points[2, p - first] = z + places[2, p]
            total = np.zeros((9, last - first))
            add_sources(total, points, sources, far[k, : distant[k]])
            values[box, :, first:last] += total
    return starts


@compiled
def add_field(
    gradient: Floats,
    points: Floats,
    frame: Floats,
    centre: Floats,
    grid: BoxGrid,
    tables: Tables,
    sources: Sources,
) -> None:
    """Add β at points of the sample: polynomials and near lines, box by box.

    Parameters
    ----------
    gradient : (9, n) ndarray
        Modified.
    points : (3, n) ndarray
        µm, in the frame of the sample.
    frame, centre : (3, 3) and (3,) ndarray
        The region's axes as rows, and its centre (µm).
    grid : BoxGrid
        The boxes.
    tables : Tables
        Their contents.
    sources : Lines or Pieces
        Constants of all lines, or segments; at points outside of the boxes each of them is summed.
    """
    n = points.shape[1]
    local = np.empty((3, n))
    boxes = tables.starts.shape[0] - 1
    # The points of a box form a chain, and those outside of all boxes one more.
    heads = np.full(boxes + 1, -1)
    links = np.empty(n, np.int64)
    met = np.empty(n, np.int64)
    count_met = 0
    for p in range(n):
        box, inside = 0, True
        for axis in range(3):
            u = 0.0
            for k in range(3):
                u += frame[axis, k] * (points[k, p] - centre[k])
            local[axis, p] = u
            count, half = grid.counts[axis], grid.half[axis]
            place = 0.5 * (u / half + count)
            inside = inside and -1e-6 <= place <= count + 1e-6
            box = box * count + min(max(int(place), 0), count - 1)
        row = grid.rows[box] if inside else -1
        if row < 0:
            row = boxes
        if heads[row] < 0:
            met[count_met] = row
            count_met += 1
        links[p] = heads[row]
        heads[row] = p
    every = np.arange(len(sources[0]) if heads[boxes] >= 0 else 0)
    taken = np.empty(_WIDTH, np.int64)
    room = np.empty((13 + 3 * ORDER) * _WIDTH)
    for m in range(count_met):
        box = met[m]
        p = heads[box]
        while p >= 0:
            count = 0
            while p >= 0 and count < _WIDTH:
                taken[count] = p
                p = links[p]
                count += 1
            # Full vectors: the last point is repeated, so that no point depends on its neighbours.
            width = -(-count // _LANES) * _LANES
            part = room[: 3 * width].reshape(3, width)
            total = room[3 * width : 12 * width].reshape(9, width)
            basis = room[12 * width : (13 + 3 * ORDER) * width].reshape(1 + 3 * ORDER, width)
            for i in range(width):
                q = taken[min(i, count - 1)]
                part[0, i], part[1, i], part[2, i] = local[0, q], local[1, q], local[2, q]
            total[:] = 0.0
            if box < boxes:
                _add_polynomials(
                    total,
                    part,
                    grid.numbers[box],
                    grid,
                    tables.coefficients[box],
                    tables.terms[box],
                    basis,
                )
                chosen = tables.near[tables.starts[box] : tables.starts[box + 1]]
            else:
                chosen = every
            add_sources(total, part, sources, chosen)
            for k in range(9):
                for i in range(count):
                    gradient[k, taken[i]] += total[k, i]


@compiled
def _add_polynomials(
    total: Floats,
    points: Floats,
    box: int,
    grid: BoxGrid,
    coefficients: Floats,
    terms: Ints,
    basis: Floats,
) -> None:
    """Add the polynomials of the box with a number at points in it.

    `basis` is room for the Chebyshev polynomials along each axis, and a row more.
    """
    width = total.shape[1]
    rest = box
    for axis in range(2, -1, -1):
        count, half = grid.counts[axis], grid.half[axis]
        middle = (2 * (rest % count) + 1 - count) * half
        rest //= count
        first, second = basis[axis * ORDER], basis[axis * ORDER + 1]
        for p in range(width):
            first[p] = 1.0
            second[p] = (points[axis, p] - middle) / half
        for k in range(axis * ORDER + 2, (axis + 1) * ORDER):
            before, last, new = basis[k - 2], basis[k - 1], basis[k]
            for p in range(width):
                new[p] = 2.0 * second[p] * last[p] - before[p]
    x1, x2, x3, x4 = basis[1], basis[2], basis[3], basis[4]
    x5, x6, x7, product = basis[5], basis[6], basis[7], basis[3 * ORDER]
    for k in range(terms.shape[0]):
        for j in range(terms.shape[1]):
            count = terms[k, j]
            if count == 0:
                continue
            y, z = basis[ORDER + j], basis[2 * ORDER + k]
            for p in range(width):
                product[p] = y[p] * z[p]
            for component in range(9):
                c = coefficients[component, k, j]
                c0, c1, c2, c3 = c[0], c[1], c[2], c[3]
                c4, c5, c6, c7 = c[4], c[5], c[6], c[7]
                row = total[component]
                if count <= 2:
                    for p in range(width):
                        row[p] += product[p] * (c0 + c1 * x1[p])
                elif count <= 4:
                    for p in range(width):
                        row[p] += product[p] * (c0 + c1 * x1[p] + c2 * x2[p] + c3 * x3[p])
                else:
                    for p in range(width):
                        row[p] += product[p] * (
                            (c0 + c1 * x1[p] + c2 * x2[p] + c3 * x3[p])
                            + (c4 * x4[p] + c5 * x5[p] + c6 * x6[p] + c7 * x7[p])
                        )
