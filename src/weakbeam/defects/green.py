"""Green's function of a medium of any elastic symmetry, and what it has along great circles.

Its derivative falls as the square of the distance; for each direction it is an integral over a
circle (Barnett 1972). That of the derivative over an angle in a plane is known in closed form by
two tensors of the direction (Willis 1970; Lothe 1992): docs/explanation/physics.md, D10.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import AnisotropicMedium

LEVI_CIVITA = np.zeros((3, 3, 3))
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    LEVI_CIVITA[_i, _j, _k], LEVI_CIVITA[_i, _k, _j] = 1.0, -1.0

_MOST_STEPS = 4096


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
    first, second = _across(directions)
    return _derivatives(directions, first, second, stiffness, steps)


def line_tensors(directions: Floats, stiffness: Floats, steps: int) -> tuple[Floats, Floats]:
    """Averages about each direction, Q and S of Stroh's theory.

    Parameters
    ----------
    directions, stiffness, steps
        As of :func:`greens_derivative`.

    Returns
    -------
    q : (n, 3, 3) ndarray
        -⟨(nn)⁻¹⟩, symmetric, in the unit of 1/C; the same for opposite directions.
    s : (n, 3, 3) ndarray
        -⟨(nn)⁻¹(nm)⟩ with m × n = T; of opposite sign for opposite directions. SQ is antisymmetric.
    """
    first, second = _across(directions)
    return _line_tensors(first, second, stiffness, steps)


def _across(directions: Floats) -> tuple[Floats, Floats]:
    """Unit vectors (n, 3) across directions, first × second = direction."""
    least = np.eye(3)[np.argmin(np.abs(directions), axis=1)]
    first = np.cross(directions, least)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(directions, first)


@compiled
def _contracted(a: Floats, c: Floats, b: Floats, found: Floats) -> None:
    """Fill found_jk (3, 3) with a_i C_ijkl b_l."""
    for j in range(3):
        for k in range(3):
            total = 0.0
            for i in range(3):
                for m in range(3):
                    total += a[i] * c[i, j, k, m] * b[m]
            found[j, k] = total


@compiled
def _inverted(x: Floats, found: Floats) -> None:
    """Fill the inverse of a symmetric matrix (3, 3)."""
    found[0, 0] = x[1, 1] * x[2, 2] - x[1, 2] * x[1, 2]
    found[1, 1] = x[0, 0] * x[2, 2] - x[0, 2] * x[0, 2]
    found[2, 2] = x[0, 0] * x[1, 1] - x[0, 1] * x[0, 1]
    found[0, 1] = x[0, 2] * x[1, 2] - x[0, 1] * x[2, 2]
    found[0, 2] = x[0, 1] * x[1, 2] - x[0, 2] * x[1, 1]
    found[1, 2] = x[0, 1] * x[0, 2] - x[0, 0] * x[1, 2]
    scale = 1.0 / (x[0, 0] * found[0, 0] + x[0, 1] * found[0, 1] + x[0, 2] * found[0, 2])
    for j in range(3):
        for k in range(j, 3):
            found[j, k] *= scale
            found[k, j] = found[j, k]


@compiled
def _derivatives(
    directions: Floats, first: Floats, second: Floats, stiffness: Floats, steps: int
) -> Floats:
    """See :func:`greens_derivative`."""
    total = np.zeros((directions.shape[0], 3, 3, 3))
    ff, ss, fs, sf, ft, tf, st, ts = np.empty((8, 3, 3))
    square, mixed, inverse, half = np.empty((4, 3, 3))
    z = np.empty(3)
    # Over half of the circle; the other half is the same.
    share = 1.0 / (4.0 * np.pi * steps)
    for d in range(directions.shape[0]):
        t, f, s = directions[d], first[d], second[d]
        for a, b, found in (
            (f, f, ff), (s, s, ss), (f, s, fs), (s, f, sf),
            (f, t, ft), (t, f, tf), (s, t, st), (t, s, ts),
        ):  # fmt: skip
            _contracted(a, stiffness, b, found)
        for step in range(steps):
            u, v = np.cos(np.pi * step / steps), np.sin(np.pi * step / steps)
            for j in range(3):
                z[j] = u * f[j] + v * s[j]
                for k in range(3):
                    square[j, k] = u * u * ff[j, k] + v * v * ss[j, k]
                    square[j, k] += u * v * (fs[j, k] + sf[j, k])
                    mixed[j, k] = u * (ft[j, k] + tf[j, k]) + v * (st[j, k] + ts[j, k])
            _inverted(square, inverse)
            for i in range(3):
                for k in range(3):
                    half[i, k] = (
                        inverse[i, 0] * mixed[0, k]
                        + inverse[i, 1] * mixed[1, k]
                        + inverse[i, 2] * mixed[2, k]
                    )
            for i in range(3):
                for p in range(3):
                    along = (
                        half[i, 0] * inverse[0, p]
                        + half[i, 1] * inverse[1, p]
                        + half[i, 2] * inverse[2, p]
                    )
                    for q in range(3):
                        total[d, i, p, q] += share * (along * z[q] - inverse[i, p] * t[q])
    return total


@compiled
def _line_tensors(
    first: Floats, second: Floats, stiffness: Floats, steps: int
) -> tuple[Floats, Floats]:
    """See :func:`line_tensors`."""
    q, s = np.zeros((first.shape[0], 3, 3)), np.zeros((first.shape[0], 3, 3))
    ff, ss, fs, sf = np.empty((4, 3, 3))
    square, mixed, inverse = np.empty((3, 3, 3))
    for d in range(first.shape[0]):
        for a, b, found in (
            (first[d], first[d], ff),
            (second[d], second[d], ss),
            (first[d], second[d], fs),
            (second[d], first[d], sf),
        ):
            _contracted(a, stiffness, b, found)
        for step in range(steps):
            # n = u first + v second, m = v first - u second.
            u, v = np.cos(np.pi * step / steps), np.sin(np.pi * step / steps)
            for j in range(3):
                for k in range(3):
                    square[j, k] = u * u * ff[j, k] + v * v * ss[j, k]
                    square[j, k] += u * v * (fs[j, k] + sf[j, k])
                    mixed[j, k] = u * v * (ff[j, k] - ss[j, k])
                    mixed[j, k] += v * v * sf[j, k] - u * u * fs[j, k]
            _inverted(square, inverse)
            for j in range(3):
                for k in range(3):
                    q[d, j, k] -= inverse[j, k] / steps
                    for r in range(3):
                        s[d, j, k] -= inverse[j, r] * mixed[r, k] / steps
    return q, s


def relative_stiffness(medium: AnisotropicMedium) -> Floats:
    """C_ijkl over its largest component: fields of dislocations know no unit of it."""
    return np.asarray(medium.stiffness / np.abs(medium.stiffness).max())


@lru_cache(maxsize=8)
def steps_of(medium: AnisotropicMedium) -> int:
    """Angles that the integrals about a direction need, to 1e-10 in some directions."""
    stiffness = relative_stiffness(medium)
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

    Of the tangent of half of the angle, in units of it. A quadrature with n nodes over tangents up
    to τ then leaves about (w/τ + √(1 + w²/τ²))⁻²ⁿ: w is found from two numbers of nodes.
    """
    stiffness = relative_stiffness(medium)
    steps, largest, least = steps_of(medium), 0.3, 0.6
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
