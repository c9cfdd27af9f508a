"""Green's function of a medium of any elastic symmetry, and what it has along great circles.

Its derivative falls as the square of the distance; for each direction it is an integral over a
circle (Barnett 1972). That of the derivative over an angle in a plane is known in closed form by
two tensors of the direction (Willis 1970; Lothe 1992): docs/explanation/physics.md, D10.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from weakbeam.core.arrays import Floats
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
    total = np.zeros((len(directions), 3, 3, 3))
    for z, _, inverse in _around(directions, stiffness, steps):
        mixed = np.einsum("nj,ijkl,nl->nik", z, stiffness, directions, optimize=True)
        f = inverse @ (mixed + mixed.transpose(0, 2, 1)) @ inverse
        total += f[..., None] * z[:, None, None] - inverse[..., None] * directions[:, None, None]
    # Over half of the circle; the other half is the same.
    return np.asarray(total / (4.0 * np.pi * steps))


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
    q, s = np.zeros((2, len(directions), 3, 3))
    for n, m, inverse in _around(directions, stiffness, steps):
        q -= inverse
        s -= inverse @ np.einsum("nj,ijkl,nl->nik", n, stiffness, m, optimize=True)
    return q / steps, s / steps


def _around(
    directions: Floats, stiffness: Floats, steps: int
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Unit vectors n and m (k, 3), m × n = T, turned about T over half a circle; (nn)⁻¹."""
    least = np.eye(3)[np.argmin(np.abs(directions), axis=1)]
    first = np.cross(directions, least)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(directions, first)
    for angle in np.pi * np.arange(steps) / steps:
        n = np.cos(angle) * first + np.sin(angle) * second
        m = np.sin(angle) * first - np.cos(angle) * second
        yield n, m, _inverse(np.einsum("nj,ijkl,nl->nik", n, stiffness, n, optimize=True))


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
