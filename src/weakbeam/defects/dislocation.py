"""A dislocation: one line, one Burgers vector, whatever its character."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats


@dataclass(frozen=True)
class Dislocation:
    """A straight dislocation, all vectors in one Cartesian frame.

    Parameters
    ----------
    burgers_vector : (3,) array_like
        Burgers vector in µm: the closure of a right-handed circuit about `line`.
    line : (3,) array_like
        Line direction; any length, stored as a unit vector.
    position : (3,) array_like
        A point on the line, in µm.
    poisson_ratio : float
        Poisson ratio of the isotropic medium, between -1 and 0.5.
    core_radius : float
        Radius in µm over which the core is spread; 0 is the classical singular line.

    Raises
    ------
    ValueError
        For a zero Burgers vector or line, or an impossible Poisson ratio or core radius.
    """

    burgers_vector: Floats
    line: Floats
    position: Floats
    poisson_ratio: float
    core_radius: float = 0.0

    def __post_init__(self) -> None:
        """Normalise the line and check every value."""
        for name in ("burgers_vector", "line", "position"):
            object.__setattr__(self, name, _vector(name, getattr(self, name)))
        if not np.any(self.burgers_vector):
            raise ValueError("burgers_vector is zero: a dislocation needs one")
        length = np.linalg.norm(self.line)
        if length == 0.0:
            raise ValueError("line is zero: a dislocation needs a direction")
        if abs(length - 1.0) > 1e-15:  # Unit vectors keep every digit.
            object.__setattr__(self, "line", self.line / length)
        if not -1.0 < self.poisson_ratio < 0.5:
            raise ValueError(f"poisson_ratio {self.poisson_ratio} is not between -1 and 0.5")
        if not 0.0 <= self.core_radius < np.inf:
            raise ValueError(f"core_radius {self.core_radius} is negative or not finite")

    @property
    def screw_part(self) -> float:
        """Component of the Burgers vector along the line (µm)."""
        return float(self.burgers_vector @ self.line)

    @property
    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Unit vectors x (edge part of b), y = t × x and z = t of the dislocation's frame.

        A pure screw leaves x free: any unit vector across the line then serves.
        """
        x, y = axes_across(self.burgers_vector, self.line)
        return x, y, self.line

    @property
    def edge_part(self) -> float:
        """Length of the part of the Burgers vector across the line (µm)."""
        return float(np.linalg.norm(self.burgers_vector - self.screw_part * self.line))


def axes_across(burgers_vector: Floats, line: Floats) -> tuple[Floats, Floats]:
    """Unit vectors x, along the edge part of b, and y = t × x.

    Parameters
    ----------
    burgers_vector : (..., 3) ndarray
        Burgers vectors; of a pure screw x is any unit vector across the line.
    line : (..., 3) ndarray
        Unit vectors t along the lines.

    Returns
    -------
    x, y : (..., 3) ndarray
    """
    edge = burgers_vector - np.sum(burgers_vector * line, axis=-1, keepdims=True) * line
    size, length = (np.sqrt(np.sum(v * v, axis=-1, keepdims=True)) for v in (edge, burgers_vector))
    least = np.eye(3)[np.argmin(np.abs(line), axis=-1)]
    edge = np.where(size < 1e-12 * length, np.cross(line, least), edge)
    x = edge / np.sqrt(np.sum(edge * edge, axis=-1, keepdims=True))
    return x, np.cross(line, x)


def _vector(name: str, value: ArrayLike) -> Floats:
    vector = np.array(value, dtype=np.float64)
    if vector.shape != (3,) or not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} must be three finite numbers")
    return vector
