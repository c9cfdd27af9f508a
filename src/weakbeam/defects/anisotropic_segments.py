"""Displacement gradient of straight pieces of dislocations in a medium of any elastic symmetry.

Mura's integral along a segment is one over the angle that it is seen under (docs/explanation/
physics.md, D10): the derivative of Green's function falls as the square of the distance, whatever
the medium, and what it is for each direction is tabulated once for a medium. The angle is
parametrised by the tangent of a quarter of it, so that no trigonometric function is called.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.segments import Segments
from weakbeam.defects.segments import constants as isotropic_constants

CELLS = 56
"""Cells of the table along each edge of a face of a cube about the origin."""

_WIDE = 20
"""Numbers of an entry: 18 components, and two to fill up vectors."""

_MOST_NODES = 48
"""Nodes of Gauss and Legendre, at most."""

_ERROR = 5e-6
"""What they may leave, relative to what is integrated."""

_EFFORT = 0.5 * np.log(20.0 / _ERROR)

_MOST_STEPS = 4096
_LEVI_CIVITA = np.zeros((3, 3, 3))
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _LEVI_CIVITA[_i, _j, _k], _LEVI_CIVITA[_i, _k, _j] = 1.0, -1.0


def greens_derivative(directions: Floats, stiffness: Floats, steps: int) -> Floats:
    r"""Derivatives of Green's function at unit distance, :math:`G_{ip,q}(\hat T)`.

    Parameters
    ----------
    directions : (n, 3) ndarray
        Unit vectors T.
    stiffness : (3, 3, 3, 3) ndarray
        C_ijkl.
    steps : int
        Angles of the integral (Barnett 1972), which converges faster than any power.

    Returns
    -------
    (n, 3, 3, 3) ndarray
        In the unit of 1/C.
    """
    least = np.eye(3)[np.argmin(np.abs(directions), axis=1)]
    first = np.cross(directions, least)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(directions, first)
    total = np.zeros((len(directions), 3, 3, 3))
    for angle in np.pi * np.arange(steps) / steps:
        z = np.cos(angle) * first + np.sin(angle) * second
        inverse = _inverse(np.einsum("nj,ijkl,nl->nik", z, stiffness, z, optimize=True))
        mixed = np.einsum("nj,ijkl,nl->nik", z, stiffness, directions, optimize=True)
        f = inverse @ (mixed + mixed.transpose(0, 2, 1)) @ inverse
        total += f[..., None] * z[:, None, None] - inverse[..., None] * directions[:, None, None]
    # Over half of the circle; the other half is the same.
    return np.asarray(total / (4.0 * np.pi * steps))


def _inverse(matrices: Floats) -> Floats:
    """Inverses of symmetric matrices (n, 3, 3)."""
    a, b, c = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 0, 2]
    d, e, f = matrices[:, 1, 1], matrices[:, 1, 2], matrices[:, 2, 2]
    found = np.empty_like(matrices)
    found[:, 0, 0], found[:, 1, 1], found[:, 2, 2] = d * f - e * e, a * f - c * c, a * d - b * b
    found[:, 0, 1] = found[:, 1, 0] = c * e - b * f
    found[:, 0, 2] = found[:, 2, 0] = b * e - c * d
    found[:, 1, 2] = found[:, 2, 1] = b * c - a * e
    determinant = a * found[:, 0, 0] + b * found[:, 0, 1] + c * found[:, 0, 2]
    return np.asarray(found / determinant[:, None, None])


@lru_cache(maxsize=8)
def table_of(medium: AnisotropicMedium) -> Floats:
    """Derivatives of Green's function on three faces of a cube, (3 (CELLS + 3)², 20).

    A face has its own axis as 1, and the two after it from -1 - h to 1 + h: a cell more on each
    side. Components are those of ip = xx, yy, zz, yz, xz, xy by q = x, y, z.
    """
    stiffness = medium.stiffness / np.abs(medium.stiffness).max()
    places = -1.0 + 2.0 / CELLS * (np.arange(CELLS + 3) - 1.0)
    v, w = np.meshgrid(places, places, indexing="ij")
    table = np.zeros((3, CELLS + 3, CELLS + 3, _WIDE))
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    steps = _steps(stiffness)
    for face in range(3):
        points = np.empty((v.size, 3))
        points[:, face] = 1.0
        points[:, (face + 1) % 3], points[:, (face + 2) % 3] = v.ravel(), w.ravel()
        unit = points / np.linalg.norm(points, axis=1, keepdims=True)
        found = greens_derivative(unit, stiffness, steps)
        rows = np.stack([found[:, i, p] for i, p in pairs], axis=1).reshape(-1, 18)
        table[face, :, :, :18] = rows.reshape(CELLS + 3, CELLS + 3, 18)
    return table.reshape(-1, _WIDE)


def _steps(stiffness: Floats) -> int:
    """Angles that Green's function needs, to 1e-10 in some directions."""
    some = np.random.default_rng(0).normal(size=(60, 3))
    some /= np.linalg.norm(some, axis=1, keepdims=True)
    steps, last = 16, greens_derivative(some, stiffness, 16)
    while steps < _MOST_STEPS:
        steps *= 2
        found = greens_derivative(some, stiffness, steps)
        if np.abs(found - last).max() < 1e-10 * np.abs(found).max():
            return steps // 2
        last = found
    return steps


@lru_cache(maxsize=8)
def poles_of(medium: AnisotropicMedium) -> float:
    """How near to the real axis the derivatives have a pole, as functions along great circles.

    Of the tangent of half of the angle, in units of it. The quadrature with n nodes over tangents
    up to τ then leaves about (w/τ + √(1 + w²/τ²))⁻²ⁿ: w is found from two numbers of nodes.
    """
    stiffness = medium.stiffness / np.abs(medium.stiffness).max()
    steps, largest, least = _steps(stiffness), 0.3, 0.6
    random = np.random.default_rng(0)
    for _ in range(40):
        first, second, _ = np.linalg.qr(random.normal(size=(3, 3)))[0]
        found = []
        for count in (4, 8, 40):
            x, weights = np.polynomial.legendre.leggauss(count)
            angle = 2.0 * np.arctan(largest * x)[:, None]
            directions = np.cos(angle) * first + np.sin(angle) * second
            values = greens_derivative(directions, stiffness, steps)
            weights = weights / (1.0 + (largest * x) ** 2)
            found.append(np.einsum("n,nipq->ipq", weights, values))
        few, many = (np.abs(some - found[2]).max() for some in found[:2])
        # Their ratio is the eighth power of what a node gains.
        gain = min(max(few / max(many, 1e-300), 1.01), 1e6) ** 0.125
        least = min(least, largest * 0.5 * (gain - 1.0 / gain))
    return float(least)


def _quadrature() -> tuple[Floats, Ints]:
    """Nodes and weights for every number of nodes, one after the other, and where each begins."""
    counts = np.arange(1, _MOST_NODES + 1)
    rules = [np.polynomial.legendre.leggauss(count) for count in counts.tolist()]
    rows = np.concatenate([np.stack(rule, axis=1) for rule in rules])
    return rows, np.concatenate([[0, 0], np.cumsum(counts)]).astype(np.int64)


NODES, RULES = _quadrature()


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
        self.constants = constants(segments, medium)

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
) -> tuple[Floats, Floats, Floats, float, Floats, Ints]:
    """Return what the compiled sum needs to know.

    Returns
    -------
    places : (n, 8) ndarray
        Start (µm), direction, length (µm), squared core radius (µm²).
    tensors : (n, 3, 9) ndarray
        K_jpq = ε_jnh C_pqmn b_m t_h.
    table : ndarray
        See :func:`table_of`.
    pole : float
        See :func:`poles_of`.
    nodes, rules : ndarray
        Of the quadrature.
    """
    places = isotropic_constants(segments, 0.0)[0]
    stiffness = medium.stiffness / np.abs(medium.stiffness).max()
    tensors = np.einsum(
        "jnh,pqmn,sm,sh->sjpq",
        _LEVI_CIVITA,
        stiffness,
        segments.burgers_vectors,
        segments.directions,
        optimize=True,
    )
    return places, tensors.reshape(-1, 3, 9), table_of(medium), poles_of(medium), NODES, RULES


@compiled
def add_segments(
    gradient: Floats,
    points: Floats,
    places: Floats,
    tensors: Floats,
    table: Floats,
    pole: float,
    nodes: Floats,
    rules: Ints,
    chosen: Ints,
) -> None:
    """Add the field of the `chosen` segments at `points` (3, n) to `gradient` (9, n)."""
    cells = CELLS
    side = cells + 3
    mean, full = np.empty(20), np.empty((3, 9))
    weights = np.empty(16)
    for p in range(points.shape[1]):
        for i in chosen:
            tx, ty, tz = places[i, 3], places[i, 4], places[i, 5]
            length, a2 = places[i, 6], places[i, 7]
            x, y, z = (
                points[0, p] - places[i, 0],
                points[1, p] - places[i, 1],
                points[2, p] - places[i, 2],
            )
            u1 = x * tx + y * ty + z * tz
            x, y, z = x - u1 * tx, y - u1 * ty, z - u1 * tz
            d2 = x * x + y * y + z * z
            d = np.sqrt(d2)
            u2 = u1 - length
            r1, r2 = np.sqrt(u1 * u1 + d2), np.sqrt(u2 * u2 + d2)
            # Across the line, in the plane of the point; any where the point is on the line.
            if d > 0.0:
                x, y, z = x / d, y / d, z / d
            # Sines and cosines against the line of the directions from both ends.
            c1, s1, c2, s2 = u1 / r1, d / r1, u2 / r2, d / r2
            cosine = c1 * c2 + s1 * s2
            per = length / (r1 * r2)
            if cosine > 0.0:
                half = np.sqrt(0.5 * (1.0 + cosine))
                # The tangent of a quarter of the angle, over d.
                quarter = per / (4.0 * half * 0.5 * (1.0 + half))
                along, across = c1 + c2, s1 + s2
            else:
                half = np.sqrt(0.5 * (1.0 - cosine))
                quarter = half / (d * (1.0 + 0.5 * d * per / half))
                along, across = s2 - s1, c1 - c2
            size = 1.0 / np.sqrt(along * along + across * across)
            along, across = along * size, across * size
            largest = quarter * d
            count = 2
            if largest > 0.0:
                count = min(int(_EFFORT / np.arcsinh(pole / largest)) + 1, _MOST_NODES)
            count = max(count, 2)
            for c in range(20):
                mean[c] = 0.0
            for k in range(rules[count], rules[count + 1]):
                tangent = nodes[k, 0] * largest
                inverse = 1.0 / (1.0 + tangent * tangent)
                cosine, sine = (1.0 - tangent * tangent) * inverse, 2.0 * tangent * inverse
                f = along * cosine - across * sine
                g = across * cosine + along * sine
                ex, ey, ez = f * tx + g * x, f * ty + g * y, f * tz + g * z
                if abs(ex) >= abs(ey) and abs(ex) >= abs(ez):
                    face, main, v, w = 0, ex, ey, ez
                elif abs(ey) >= abs(ez):
                    face, main, v, w = 1, ey, ez, ex
                else:
                    face, main, v, w = 2, ez, ex, ey
                v = (v / main + 1.0) * 0.5 * cells
                w = (w / main + 1.0) * 0.5 * cells
                iv, iw = min(int(v), cells - 1), min(int(w), cells - 1)
                v, w = v - iv, w - iw
                # Odd: opposite directions have opposite derivatives.
                scale = nodes[k, 1] * 2.0 * inverse
                if main < 0.0:
                    scale = -scale
                v0 = -v * (v - 1.0) * (v - 2.0) / 6.0 * scale
                v1 = (v + 1.0) * (v - 1.0) * (v - 2.0) * 0.5 * scale
                v2 = -(v + 1.0) * v * (v - 2.0) * 0.5 * scale
                v3 = (v + 1.0) * v * (v - 1.0) / 6.0 * scale
                w0 = -w * (w - 1.0) * (w - 2.0) / 6.0
                w1 = (w + 1.0) * (w - 1.0) * (w - 2.0) * 0.5
                w2 = -(w + 1.0) * w * (w - 2.0) * 0.5
                w3 = (w + 1.0) * w * (w - 1.0) / 6.0
                weights[0], weights[1], weights[2], weights[3] = v0, v1, v2, v3
                for row in range(4):
                    at = (face * side + iv + row) * side + iw
                    q0, q1 = weights[row] * w0, weights[row] * w1
                    q2, q3 = weights[row] * w2, weights[row] * w3
                    e0, e1, e2, e3 = table[at], table[at + 1], table[at + 2], table[at + 3]
                    for c in range(20):
                        mean[c] += q0 * e0[c] + q1 * e1[c] + q2 * e2[c] + q3 * e3[c]
            for q in range(3):
                full[0, q], full[1, 3 + q], full[2, 6 + q] = mean[q], mean[3 + q], mean[6 + q]
                full[1, 6 + q] = full[2, 3 + q] = mean[9 + q]
                full[0, 6 + q] = full[2, q] = mean[12 + q]
                full[0, 3 + q] = full[1, q] = mean[15 + q]
            # The core is spread by the distance to the segment, not to its line.
            beyond = max(u2, -u1, 0.0)
            nearest = d2 + beyond * beyond
            factor = quarter * (nearest / (nearest + a2) if a2 > 0.0 else 1.0)
            tensor = tensors[i]
            for j in range(3):
                for r in range(3):
                    total = 0.0
                    for c in range(9):
                        total += full[r, c] * tensor[j, c]
                    gradient[3 * r + j, p] += factor * total
