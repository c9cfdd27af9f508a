"""The unit cell: direct and reciprocal bases of any crystal system.

Directions [uvw] and plane normals (hkl) become Cartesian vectors only here, through the two bases
A and B: Miller indices are components in a basis that is in general neither orthogonal nor of
unit length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats

Miller = tuple[int, int, int]

# Cosine and sine of the angles that symmetry imposes, free of the rounding of pi.
_EXACT = {
    60.0: (0.5, math.sqrt(0.75)),
    90.0: (0.0, 1.0),
    120.0: (-0.5, math.sqrt(0.75)),
}


def miller(indices: Sequence[int], name: str = "hkl") -> Miller:
    """Read three integers that are not all zero, exactly.

    Parameters
    ----------
    indices : sequence of 3 integers
        A plane (hkl) or a direction [uvw]; floats are taken if they are whole numbers.
    name : str
        What the indices are, for the message.

    Returns
    -------
    tuple of 3 int

    Raises
    ------
    ValueError
        If there are not three, or one is no whole number, or all are zero.
    """
    values = list(indices)
    if len(values) != 3:
        raise ValueError(f"{name} needs three indices, found {len(values)}")
    if not all(isinstance(v, Integral) or float(v).is_integer() for v in values):
        raise ValueError(f"{name} = {values} must be whole numbers")
    first, second, third = (int(v) for v in values)
    if first == second == third == 0:
        raise ValueError(f"{name} = 0 0 0 has no direction")
    return first, second, third


@dataclass(frozen=True)
class UnitCell:
    """The unit cell of a crystal and its two bases.

    Parameters
    ----------
    a, b, c : float
        Lengths of the cell edges in angstrom.
    alpha, beta, gamma : float
        Angles between b and c, c and a, a and b, in degrees.

    Raises
    ------
    ValueError
        If a length or an angle is not finite and positive, or the angles close no volume.

    Notes
    -----
    The Cartesian crystal frame has x along a and y in the plane of a and b
    (docs/explanation/physics.md, A2).
    """

    a: float
    b: float
    c: float
    alpha: float = 90.0
    beta: float = 90.0
    gamma: float = 90.0

    def __post_init__(self) -> None:
        for name in ("a", "b", "c"):
            length = getattr(self, name)
            if not (math.isfinite(length) and length > 0):
                raise ValueError(f"cell length {name} = {length} must be positive and finite")
        for name in ("alpha", "beta", "gamma"):
            angle = getattr(self, name)
            if not (math.isfinite(angle) and 0 < angle < 180):
                raise ValueError(f"cell angle {name} = {angle} must lie between 0 and 180 degrees")
        # The determinant of the unit metric is the squared volume of a cell with unit edges.
        if self._unit_volume_squared() < 1e-12:
            raise ValueError(
                f"cell angles {self.alpha}, {self.beta}, {self.gamma} degrees enclose no volume: "
                "each must be smaller than the sum of the other two, and all sum to less than 360"
            )

    @classmethod
    def cubic(cls, a: float) -> UnitCell:
        """Cell with three equal edges (angstrom) at right angles."""
        return cls(a, a, a)

    @classmethod
    def hexagonal(cls, a: float, c: float) -> UnitCell:
        """Cell with a = b at 120 degrees and c (angstrom) along the axis."""
        return cls(a, a, c, 90.0, 90.0, 120.0)

    @cached_property
    def direct(self) -> Floats:
        """Direct basis A, shape (3, 3), angstrom; its columns are a, b, c.

        A = [[a, b cos γ, c cos β], [0, b sin γ, c (cos α − cos β cos γ)/sin γ], [0, 0, c v/sin γ]]
        with v the volume of the cell with unit edges (docs/explanation/physics.md, A2).
        """
        (cos_alpha, _), (cos_beta, _), (cos_gamma, sin_gamma) = self._cosines_and_sines()
        v = math.sqrt(self._unit_volume_squared())
        basis = np.array(
            [
                [self.a, self.b * cos_gamma, self.c * cos_beta],
                [0.0, self.b * sin_gamma, self.c * (cos_alpha - cos_beta * cos_gamma) / sin_gamma],
                [0.0, 0.0, self.c * v / sin_gamma],
            ]
        )
        basis.setflags(write=False)
        return basis

    @cached_property
    def reciprocal(self) -> Floats:
        """Reciprocal basis B = 2π A⁻ᵀ, shape (3, 3), 1/angstrom; its columns are a*, b*, c*."""
        a, b, c = self.direct.T
        volume = float(a @ np.cross(b, c))
        basis = 2 * math.pi / volume * np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1)
        basis.setflags(write=False)
        return basis

    @property
    def volume(self) -> float:
        """Volume of the cell in cubic angstrom."""
        return self.a * self.b * self.c * math.sqrt(self._unit_volume_squared())

    def direction(self, uvw: ArrayLike) -> Floats:
        """Lattice direction A u in the Cartesian crystal frame.

        Parameters
        ----------
        uvw : array_like, shape (..., 3)
            Components along a, b, c (integers for a direction, any number for a position).

        Returns
        -------
        ndarray, shape (..., 3)
            Vector in angstrom.
        """
        return np.asarray(uvw, dtype=np.float64) @ self.direct.T

    def plane_normal(self, hkl: ArrayLike) -> Floats:
        """Plane normal B h, a reciprocal-lattice vector in the Cartesian crystal frame.

        Parameters
        ----------
        hkl : array_like, shape (..., 3)
            Miller indices of the planes.

        Returns
        -------
        ndarray, shape (..., 3)
            Vector in 1/angstrom, of length 2π/d.
        """
        return np.asarray(hkl, dtype=np.float64) @ self.reciprocal.T

    def d_spacing(self, hkl: ArrayLike) -> float | Floats:
        """Distance 2π/|B h| of the lattice planes (hkl).

        Parameters
        ----------
        hkl
            As for :meth:`plane_normal`.

        Returns
        -------
        float or ndarray, shape (...)
            Spacing in angstrom.

        Raises
        ------
        ValueError
            If indices are all zero.
        """
        length = np.linalg.norm(self.plane_normal(hkl), axis=-1)
        if np.any(length == 0):
            raise ValueError("hkl = 0 0 0 has no spacing")
        spacing = 2 * math.pi / length
        return float(spacing) if np.ndim(spacing) == 0 else spacing

    def _cosines_and_sines(self) -> list[tuple[float, float]]:
        angles = (self.alpha, self.beta, self.gamma)
        return [
            _EXACT.get(angle, (math.cos(math.radians(angle)), math.sin(math.radians(angle))))
            for angle in angles
        ]

    def _unit_volume_squared(self) -> float:
        (ca, _), (cb, _), (cg, _) = self._cosines_and_sines()
        return 1 - ca * ca - cb * cb - cg * cg + 2 * ca * cb * cg


def unit(vector: ArrayLike) -> Floats:
    """Divide vectors by their length.

    Parameters
    ----------
    vector : array_like, shape (..., 3)
        Vectors in any unit.

    Returns
    -------
    ndarray, shape (..., 3)

    Raises
    ------
    ValueError
        If a vector is zero or not finite.
    """
    array = np.asarray(vector, dtype=np.float64)
    length = np.linalg.norm(array, axis=-1, keepdims=True)
    if not np.all((length > 0) & np.isfinite(length)):
        raise ValueError("a vector that is zero or not finite has no direction")
    return np.asarray(array / length)
