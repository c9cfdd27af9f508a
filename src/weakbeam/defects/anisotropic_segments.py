"""Displacement gradient of straight pieces of dislocations in a medium of any elastic symmetry.

Mura's integral along a segment is one over the angle that it is seen under (docs/explanation/
physics.md, D10): the derivative of Green's function falls as the square of the distance, whatever
the medium. What it takes at both ends is known in closed form by two tensors of the direction from
there; where the ends lie nearly in one direction the integral is a quadrature. Tensors and
derivative are tabulated once for a medium.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects.directions import interpolate, interpolate_sum, tabulated
from weakbeam.defects.green import (
    LEVI_CIVITA,
    greens_derivative,
    line_tensors,
    poles_of,
    relative_stiffness,
    steps_of,
)
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.segments import Segments
from weakbeam.defects.segments import constants as isotropic_constants

_CELLS = 15.0
"""Cells of the tables along each edge of a face, in units of 1/w (:func:`.poles_of`): tensors are
interpolated to 1e-10 or better.
"""

_FEWEST_CELLS, _MOST_CELLS = 64, 160

_NARROW, _VERY_NARROW = 0.016, 0.012
"""Angles under which quadratures with three and with two nodes leave less than 1e-8, and from which
the difference of the tensors at both ends does: tangents of a quarter, over w.
"""

_ROWS, _COLUMNS = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)
_PAIRS = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Where components of a symmetric matrix stand."""

_AT_TWO, _AT_THREE = math.sqrt(1.0 / 3.0), math.sqrt(0.6)


class MediumTables(NamedTuple):
    """What loops need to know of a medium."""

    ends: Floats
    """Nine for each direction: Q as xx, yy, zz, yz, xz, xy, then the vector of SQ, which is
    antisymmetric (:func:`.line_tensors`). Both are divided by 4π.
    """
    derivatives: Floats
    """Eighteen: those of Green's function, ip = xx, yy, zz, yz, xz, xy by q = x, y, z."""
    cells: int
    """Of both tables (:func:`.tabulated`)."""
    pole: float
    """See :func:`.poles_of`."""
    narrow: float
    """Tangent of a quarter of the angle up to which a quadrature with three nodes will do."""
    very_narrow: float
    """And one with two."""


@lru_cache(maxsize=8)
def tables_of(medium: AnisotropicMedium) -> MediumTables:
    """Tabulate the tensors of lines and the derivatives of Green's function of a medium."""
    stiffness, steps, pole = relative_stiffness(medium), steps_of(medium), poles_of(medium)
    rows, columns = list(_ROWS), list(_COLUMNS)

    def ends(directions: Floats) -> Floats:
        q, s = line_tensors(directions, stiffness, steps)
        # S/4π is (SQ/16π²) (Q/4π)⁻¹.
        vector = (s @ q)[:, [2, 0, 1], [1, 2, 0]] / (4.0 * np.pi)
        return np.hstack([q[:, rows, columns], vector]) / (4.0 * np.pi)

    def derivatives(directions: Floats) -> Floats:
        found = greens_derivative(directions, stiffness, steps)[:, rows, columns]
        return found.reshape(-1, 18)

    cells = min(max(math.ceil(_CELLS / pole), _FEWEST_CELLS), _MOST_CELLS)
    # Even without poles near by derivatives vary as the sine of three times the angle.
    scale = min(pole, 0.3)
    return MediumTables(
        tabulated(ends, cells),
        tabulated(derivatives, cells),
        cells,
        pole,
        _NARROW * scale,
        _VERY_NARROW * scale,
    )


class AnisotropicSegments:
    """The summed field of many segments in an anisotropic medium, in compiled code.

    Parameters
    ----------
    segments : Segments
        All in one frame.
    medium : AnisotropicMedium
        What they lie in, in the same frame.
    """

    def __init__(self, segments: Segments, medium: AnisotropicMedium) -> None:
        self.segments = segments
        self.medium = medium

    @cached_property
    def constants(self) -> tuple[Floats, Floats, Floats, Floats, Floats, MediumTables]:
        """See :func:`constants`."""
        return constants(self.segments, self.medium)

    @property
    def lines(self) -> StraightLines:
        """The infinite lines that they are pieces of."""
        return self.segments.lines

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        every = np.arange(len(self.segments))
        add_segments(gradient, points, *self.constants, every)


def constants(
    segments: Segments, medium: AnisotropicMedium
) -> tuple[Floats, Floats, Floats, Floats, Floats, MediumTables]:
    """Return what the compiled sum needs to know.

    Returns
    -------
    places : (n, 8) ndarray
        Start (µm), direction t, length (µm), squared core radius (µm²).
    across : (n, 2, 3) ndarray
        Unit vectors a, b with a × b = t.
    contracted : (n, 5, 9) ndarray
        Matrices (aa), (bb), (ab), (at), (bt) of Stroh's theory, relative to the largest C.
    tensors : (n, 2, 3, 3) ndarray
        K_jpq = ε_jnh C_pqmn b_m t_h, for j along a and b: there is none along t.
    turned : (n, 3, 2, 3) ndarray
        The same for q along a, b and t, which comes first here.
    tables : MediumTables
        Of the medium.
    """
    places = isotropic_constants(segments, 0.0)[0]
    stiffness = relative_stiffness(medium)
    t = segments.directions
    least = np.eye(3)[np.argmin(np.abs(t), axis=1)]
    a = np.cross(t, least)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(t, a)
    contracted = np.stack(
        [
            np.einsum("si,ijkl,sl->sjk", first, stiffness, second, optimize=True)
            for first, second in ((a, a), (b, b), (a, b), (a, t), (b, t))
        ],
        axis=1,
    )
    across = np.stack([a, b], axis=1)
    tensors = np.einsum(
        "saj,jnh,pqmn,sm,sh->sapq",
        across,
        LEVI_CIVITA,
        stiffness,
        segments.burgers_vectors,
        t,
        optimize=True,
    ).reshape(-1, 2, 3, 3)
    turned = np.einsum("sapq,sxq->sxap", tensors, np.stack([a, b, t], axis=1))
    return places, across, contracted.reshape(-1, 5, 9), tensors, turned, tables_of(medium)


_TILE = 64
"""Points at once: what compiled loops keep of them fits in the fastest memory."""


@compiled
def add_segments(
    gradient: Floats,
    points: Floats,
    places: Floats,
    across: Floats,
    contracted: Floats,
    tensors: Floats,
    turned: Floats,
    tables: MediumTables,
    chosen: Ints,
) -> None:
    """Add the field of the `chosen` segments at `points` (3, n) to `gradient` (9, n)."""
    n = points.shape[1]
    where, total = np.zeros((3, _TILE)), np.empty((9, _TILE))
    seen, ends, means = np.zeros((8, _TILE)), np.zeros((2, 9, _TILE)), np.zeros((18, _TILE))
    # What is not looked up must have an inverse.
    ends[:, :3] = 1.0
    limit = np.cos(4.0 * np.arctan(tables.narrow))
    for start in range(0, n, _TILE):
        width = min(_TILE, n - start)
        for k in range(3):
            for p in range(width):
                where[k, p] = points[k, start + p]
        total[:] = 0.0
        for i in chosen:
            narrow = _look(where, places[i], across[i], limit, seen, width)
            if narrow < width:
                _look_up(seen, across[i], places[i], tables, ends, width)
                _add_wide(seen, ends, across[i], contracted[i], turned[i], total, width)
            if narrow > 0:
                _integrate(seen, across[i], places[i], tables, means, width)
                _add_narrow(means, across[i], tensors[i], total, width)
        for k in range(9):
            for p in range(width):
                gradient[k, start + p] += total[k, p]


@compiled
def _look(
    where: Floats, place: Floats, across: Floats, limit: float, seen: Floats, width: int
) -> int:
    """How a segment is seen from each point of a tile, and from how many under a narrow angle.

    Fills `seen` (8, n): cosine and sine of the azimuth of the point about the line; those of the
    directions from both ends against the line; what the angle integral is multiplied by, as it
    stands (0 under a narrow angle) and times the tangent of a quarter of the angle (0 under a wide
    one).
    """
    sx, sy, sz = place[0], place[1], place[2]
    tx, ty, tz = place[3], place[4], place[5]
    length, a2 = place[6], place[7]
    ax, ay, az = across[0, 0], across[0, 1], across[0, 2]
    bx, by, bz = across[1, 0], across[1, 1], across[1, 2]
    narrow = 0
    for p in range(width):
        x, y, z = where[0, p] - sx, where[1, p] - sy, where[2, p] - sz
        u1 = x * tx + y * ty + z * tz
        u2 = u1 - length
        a, b = x * ax + y * ay + z * az, x * bx + y * by + z * bz
        d2 = a * a + b * b
        d = np.sqrt(d2)
        r1, r2 = np.sqrt(u1 * u1 + d2), np.sqrt(u2 * u2 + d2)
        c1, s1, c2, s2 = u1 / r1, d / r1, u2 / r2, d / r2
        cosine = c1 * c2 + s1 * s2
        # The core is spread by the distance to the segment, not to its line.
        beyond = max(u2, -u1, 0.0)
        nearest = d2 + beyond * beyond
        core = nearest + a2
        # Any plane where the point is on the line.
        on_line = d == 0.0
        inverse = 1.0 / (1.0 if on_line else d)
        seen[0, p], seen[1, p] = (1.0 if on_line else a * inverse), b * inverse
        seen[2, p], seen[3, p], seen[4, p], seen[5, p] = c1, s1, c2, s2
        # The sine of the angle is d L / r1 r2.
        half = np.sqrt(0.5 * (1.0 + abs(cosine)))
        quarter = length / (r1 * r2 * 2.0 * half * (1.0 + half))
        is_narrow = cosine > limit
        narrow += is_narrow
        seen[6, p] = 0.0 if is_narrow else (d + beyond * beyond * inverse) / core
        seen[7, p] = nearest / core * quarter if is_narrow else 0.0
    return narrow


@compiled
def _look_up(
    seen: Floats, across: Floats, place: Floats, tables: MediumTables, ends: Floats, width: int
) -> None:
    """Fill `ends` (2, 9, n): Q and SQ of the directions from start and end to the points."""
    tx, ty, tz = place[3], place[4], place[5]
    values, room = np.empty(9), np.empty(54)
    for p in range(width):
        if seen[6, p] == 0.0:
            continue
        a, b = seen[0, p], seen[1, p]
        x = a * across[0, 0] + b * across[1, 0]
        y = a * across[0, 1] + b * across[1, 1]
        z = a * across[0, 2] + b * across[1, 2]
        for end in range(2):
            f, g = seen[2 + 2 * end, p], seen[3 + 2 * end, p]
            ex, ey, ez = f * tx + g * x, f * ty + g * y, f * tz + g * z
            opposite = interpolate(tables.ends, tables.cells, ex, ey, ez, room, values)
            for k in range(6):
                ends[end, k, p] = values[k]
            # S is odd.
            sign = -1.0 if opposite else 1.0
            for k in range(6, 9):
                ends[end, k, p] = sign * values[k]


@compiled
def _changes(seen: Floats, ends: Floats, changes: Floats, width: int) -> None:
    """Fill `changes` (21, n): what f Q, g Q and Sᵀ change by from the start to the end.

    f and g are cosine and sine of the directions from there against the line.
    """
    for p in range(width):
        f1, g1, f2, g2 = seen[2, p], seen[3, p], seen[4, p], seen[5, p]
        for k in range(6):
            changes[k, p] = f2 * ends[1, k, p] - f1 * ends[0, k, p]
            changes[6 + k, p] = g2 * ends[1, k, p] - g1 * ends[0, k, p]
        for k in range(9):
            changes[12 + k, p] = 0.0
    for end in range(2):
        sign = 1.0 if end == 0 else -1.0
        for p in range(width):
            xx, yy, zz = ends[end, 0, p], ends[end, 1, p], ends[end, 2, p]
            yz, xz, xy = ends[end, 3, p], ends[end, 4, p], ends[end, 5, p]
            ixx, ixy, ixz = yy * zz - yz * yz, yz * xz - xy * zz, xy * yz - yy * xz
            iyy, iyz, izz = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
            scale = sign / (xx * ixx + xy * ixy + xz * ixz)
            x, y, z = scale * ends[end, 6, p], scale * ends[end, 7, p], scale * ends[end, 8, p]
            # SQ is (x, y, z) ×, and Sᵀ = -Q⁻¹ (SQ).
            changes[12, p] += ixy * z - ixz * y
            changes[13, p] += ixz * x - ixx * z
            changes[14, p] += ixx * y - ixy * x
            changes[15, p] += iyy * z - iyz * y
            changes[16, p] += iyz * x - ixy * z
            changes[17, p] += ixy * y - iyy * x
            changes[18, p] += iyz * z - izz * y
            changes[19, p] += izz * x - ixz * z
            changes[20, p] += ixz * y - iyz * x


@compiled
def _add_wide(
    seen: Floats,
    ends: Floats,
    across: Floats,
    contracted: Floats,
    turned: Floats,
    total: Floats,
    width: int,
) -> None:
    """Add what points take that see a segment under a wide angle."""
    nn, inverse = np.empty((6, _TILE)), np.empty((6, _TILE))
    right, found = np.empty((9, _TILE)), np.empty((3, _TILE))
    changes = np.empty((21, _TILE))
    _changes(seen, ends, changes, width)
    # (nn) with n = -s a + c b across the plane of point and line, and x = c a + s b in it.
    for k in range(6):
        at, mirrored = 3 * _ROWS[k] + _COLUMNS[k], 3 * _COLUMNS[k] + _ROWS[k]
        aa, bb = contracted[0, at], contracted[1, at]
        ab = contracted[2, at] + contracted[2, mirrored]
        for p in range(width):
            c, s = seen[0, p], seen[1, p]
            nn[k, p] = s * s * aa + c * c * bb - c * s * ab
    for p in range(width):
        xx, yy, zz, yz, xz, xy = nn[0, p], nn[1, p], nn[2, p], nn[3, p], nn[4, p], nn[5, p]
        ixx, ixy, ixz = yy * zz - yz * yz, yz * xz - xy * zz, xy * yz - yy * xz
        scale = 1.0 / (xx * ixx + xy * ixy + xz * ixz)
        inverse[0, p], inverse[5, p], inverse[4, p] = ixx * scale, ixy * scale, ixz * scale
        inverse[1, p] = (xx * zz - xz * xz) * scale
        inverse[2, p] = (xx * yy - xy * xy) * scale
        inverse[3, p] = (xy * xz - xx * yz) * scale
    # (nx) [f Q] - (nt) [g Q] + [S]^T
    for j in range(3):
        for k in range(3):
            for p in range(width):
                right[3 * j + k, p] = changes[12 + 3 * j + k, p]
            for r in range(3):
                q = _PAIRS[r, k]
                aa, bb = contracted[0, 3 * j + r], contracted[1, 3 * j + r]
                ab, ba = contracted[2, 3 * j + r], contracted[2, 3 * r + j]
                at, bt = contracted[3, 3 * j + r], contracted[4, 3 * j + r]
                for p in range(width):
                    c, s = seen[0, p], seen[1, p]
                    nx = c * s * (bb - aa) + c * c * ba - s * s * ab
                    nt = c * bt - s * at
                    right[3 * j + k, p] += nx * changes[q, p] - nt * changes[6 + q, p]
    for i in range(3):
        for a in range(2):
            for p in range(width):
                found[a, p] = 0.0
            for r in range(3):
                q = _PAIRS[i, r]
                i0, i1, i2 = _PAIRS[i, 0], _PAIRS[i, 1], _PAIRS[i, 2]
                along_a, along_b = turned[0, a, r], turned[1, a, r]
                along_t = turned[2, a, r]
                for p in range(width):
                    c, s = seen[0, p], seen[1, p]
                    w = (
                        inverse[i0, p] * right[r, p]
                        + inverse[i1, p] * right[3 + r, p]
                        + inverse[i2, p] * right[6 + r, p]
                    )
                    found[a, p] += (
                        (c * along_b - s * along_a) * w
                        - (c * along_a + s * along_b) * changes[q, p]
                        + along_t * changes[6 + q, p]
                    )
        for j in range(3):
            a0, a1 = across[0, j], across[1, j]
            for p in range(width):
                total[3 * i + j, p] += seen[6, p] * (a0 * found[0, p] + a1 * found[1, p])


@compiled
def _integrate(
    seen: Floats, across: Floats, place: Floats, tables: MediumTables, means: Floats, width: int
) -> None:
    """Fill `means` (18, n): derivatives of Green's function integrated over narrow angles.

    Over the tangent of a quarter of the angle, times that of the core.
    """
    tx, ty, tz = place[3], place[4], place[5]
    values, room = np.empty(18), np.empty(126)
    directions, shares = np.empty((3, 3)), np.empty(3)
    for p in range(width):
        if seen[7, p] == 0.0:
            for k in range(18):
                means[k, p] = 0.0
            continue
        a, b = seen[0, p], seen[1, p]
        x = a * across[0, 0] + b * across[1, 0]
        y = a * across[0, 1] + b * across[1, 1]
        z = a * across[0, 2] + b * across[1, 2]
        f, g = seen[2, p] + seen[4, p], seen[3, p] + seen[5, p]
        size = 1.0 / np.sqrt(f * f + g * g)
        f, g = f * size, g * size
        # The tangent of a quarter of the angle.
        sine = abs(seen[3, p] * f - seen[2, p] * g)
        largest = sine / (1.0 + seen[2, p] * f + seen[3, p] * g)
        few = largest < tables.very_narrow
        count = 2 if few else 3
        for node in range(count):
            if few:
                at, share = (2 * node - 1) * _AT_TWO, 2.0
            else:
                at, share = (node - 1) * _AT_THREE, (16.0 if node == 1 else 10.0) / 9.0
            tangent = at * largest
            square = tangent * tangent
            inverse = 1.0 / (1.0 + square)
            cosine, sine = (1.0 - square) * inverse, 2.0 * tangent * inverse
            v, w = f * cosine - g * sine, g * cosine + f * sine
            directions[0, node] = v * tx + w * x
            directions[1, node] = v * ty + w * y
            directions[2, node] = v * tz + w * z
            shares[node] = share * seen[7, p] * inverse
        interpolate_sum(tables.derivatives, tables.cells, directions, shares, count, room, values)
        for k in range(18):
            means[k, p] = values[k]


@compiled
def _add_narrow(means: Floats, across: Floats, tensors: Floats, total: Floats, width: int) -> None:
    """Add what points take that see a segment under a narrow angle."""
    found = np.empty((2, _TILE))
    for i in range(3):
        found[:] = 0.0
        for j in range(2):
            for r in range(3):
                first = 3 * _PAIRS[i, r]
                k0, k1, k2 = tensors[j, r, 0], tensors[j, r, 1], tensors[j, r, 2]
                for p in range(width):
                    found[j, p] += (
                        k0 * means[first, p] + k1 * means[first + 1, p] + k2 * means[first + 2, p]
                    )
        for j in range(3):
            a0, a1 = across[0, j], across[1, j]
            for p in range(width):
                total[3 * i + j, p] += a0 * found[0, p] + a1 * found[1, p]
