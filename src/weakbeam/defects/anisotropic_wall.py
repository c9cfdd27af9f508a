r"""Walls and rows of parallel dislocations in a medium of any elastic symmetry.

With ξ along the stacking direction u, η along t × u and Stroh's roots p for these axes, the field
of a line is the real part of a sum of simple poles D / (ξ + pη), and that of the wall the same sum
of rows of poles, F of :mod:`weakbeam.defects.lattice_sums` at w = (ξ + pη)/h. Where roots coincide,
which in isotropic media they do, poles on a small circle about them stand for the higher pole that
they make: Cauchy's integral by the trapezoidal rule, exact to a relative 1e-10.

A spread core multiplies the field of each line by r²/(r² + a²) with r² = ξ² + η². By partial
fractions that adds rows of poles at η² + a² = Y², of which F(w) at w = (ξ ± iY)/h is the sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import Complexes, Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects.anisotropic import Contracted, on_circle
from weakbeam.defects.lattice_sums import finite_row, infinite_row
from weakbeam.defects.wall import DislocationWall

_APART = 1e-3
"""Distance of roots, relative to their imaginary part, from which on each has a pole of its own."""

_ON_CIRCLE = 8
_RADIUS = 0.05
"""Number of poles that stand for roots that coincide, and how far from them, relative as above."""


_ON_CORE = 1e-7
"""Distance from a line, in core radii, within which the field is that at this distance."""


class AnisotropicWalls:
    """The summed displacement gradient of walls, in compiled code.

    Parameters
    ----------
    walls : sequence of DislocationWall
        All in one frame.
    medium : AnisotropicMedium
        What they lie in, in the same frame.
    """

    def __init__(self, walls: Sequence[DislocationWall], medium: AnisotropicMedium) -> None:
        self.walls = tuple(walls)
        self._across = np.zeros((len(self.walls), 2, 4))
        self._scales = np.zeros((len(self.walls), 2))
        self._counts = np.zeros(len(self.walls), dtype=np.int64)
        fields = []
        for i, wall in enumerate(self.walls):
            line, along = wall.dislocation, wall.stacking
            across = np.cross(line.line, along)
            self._across[i, :, :3] = along, across
            self._across[i, :, 3] = -(along @ wall.first), -(across @ wall.first)
            self._scales[i] = wall.spacing, line.core_radius**2
            self._counts[i] = wall.count or 0
            fields.append(_simple_poles(along, across, line.burgers_vector, medium))
        # Walls with fewer poles are filled up with poles of no strength.
        most = max((len(poles) for poles, _ in fields), default=0)
        self._poles = np.full((len(self.walls), most), 1j)
        self._residues = np.zeros((len(self.walls), most, 9), np.complex128)
        for i, (poles, residues) in enumerate(fields):
            self._poles[i, : len(poles)] = poles
            self._residues[i, : len(poles)] = residues

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        _add_walls(
            gradient,
            points,
            self._across,
            self._scales,
            self._counts,
            self._poles,
            self._residues,
        )


def _simple_poles(
    x: Floats, y: Floats, burgers: Floats, medium: AnisotropicMedium
) -> tuple[Complexes, Complexes]:
    """Poles p (n,) and residues D (n, 9) with which Re Σ D / (x + p y) is the field of a line."""
    contracted = Contracted.of(x[None], y[None], medium)
    roots = contracted.poles()
    cosine, sine, field = on_circle(contracted, burgers[None], roots)
    poles = _apart(roots[0])
    inverse = 1.0 / (cosine[0][:, None] + poles * sine[0][:, None])
    functions = np.concatenate([inverse.real, -inverse.imag], axis=1)
    fitted = np.linalg.lstsq(functions, field[0], rcond=1e-14)[0]
    parts = fitted[: len(poles)] + 1j * fitted[len(poles) :]
    residues = np.einsum("nak,al->nkl", parts.reshape(-1, 2, 3), np.stack([x, y]))
    return poles, residues.reshape(-1, 9)


def _apart(roots: Complexes) -> Complexes:
    """The roots, each of those that coincide replaced by places around them."""
    places: list[Complexes] = []
    left = list(roots)
    while left:
        first = left.pop()
        size = _APART * first.imag
        alike = [root for root in left if abs(root - first) < size]
        left = [root for root in left if abs(root - first) >= size]
        if alike:
            middle = np.mean([first, *alike])
            turn = 2.0 * np.pi * np.arange(_ON_CIRCLE) / _ON_CIRCLE
            places.append(middle + _RADIUS * middle.imag * np.exp(1j * turn))
        else:
            places.append(np.array([first]))
    return np.concatenate(places)


@compiled
def _add_walls(
    gradient: Floats,
    points: Floats,
    across: Floats,
    scales: Floats,
    counts: Ints,
    poles: Complexes,
    residues: Complexes,
) -> None:
    n = points.shape[1]
    total = np.empty(9)
    for i in range(across.shape[0]):
        h, a2 = scales[i, 0], scales[i, 1]
        nearest, count = _ON_CORE * np.sqrt(a2), counts[i]
        a, b = across[i, 0], across[i, 1]
        for p in range(n):
            px, py, pz = points[0, p], points[1, p], points[2, p]
            xi = a[0] * px + a[1] * py + a[2] * pz + a[3]
            eta = b[0] * px + b[1] * py + b[2] * pz + b[3]
            side = 1.0 if eta >= 0.0 else -1.0
            # On a spread core the rows below are singular one by one, their sum is not.
            number = np.rint(xi / h)
            if count > 0:
                number = min(max(number, 0.0), count - 1.0)
            if np.hypot(xi - number * h, eta) < nearest:
                eta = side * nearest
            y = side * np.sqrt(eta * eta + a2)
            spread = _row(complex(xi, y) / h, count) / h if a2 > 0.0 else 0j
            total[:] = 0.0
            for j in range(poles.shape[1]):
                pole = poles[i, j] * eta
                value = _row((xi + pole) / h, count) / h
                if a2 > 0.0:
                    value -= a2 * _spread(xi, pole, y, value, spread, h, count)
                for k in range(9):
                    d = residues[i, j, k]
                    total[k] += d.real * value.real - d.imag * value.imag
            for k in range(9):
                gradient[k, p] += total[k]


@compiled
def _spread(
    xi: float, pole: complex, y: float, value: complex, spread: complex, h: float, count: int
) -> complex:
    """Σ 1 / ((x + pη)(x² + Y²)) over a row, from Σ 1/(x + pη) and Σ 1/(x + iY).

    The pole −pη and the one of −iY and iY on its side of the wall may come together.
    """
    apart = pole - 1j * y
    if abs(apart) > 1e-4 * abs(y):
        both = (spread - value) / apart
    else:
        both = _row_of_squares((xi + 0.5 * (pole + 1j * y)) / h, count) / (h * h)
    opposite = (spread.conjugate() - spread) / (2j * y)
    return -(both - opposite) / (pole + 1j * y)


@compiled
def _row(w: complex, count: int) -> complex:
    """F, from the upper half of the plane, for which the infinite row is written."""
    above = complex(w.real, abs(w.imag))
    f, _ = infinite_row(above) if count == 0 else finite_row(above, count)
    return f if w.imag >= 0.0 else f.conjugate()


@compiled
def _row_of_squares(w: complex, count: int) -> complex:
    """G, likewise."""
    above = complex(w.real, abs(w.imag))
    _, g = infinite_row(above) if count == 0 else finite_row(above, count)
    return g if w.imag >= 0.0 else g.conjugate()
