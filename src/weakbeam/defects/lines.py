"""Straight dislocations: one line of any character, and many of them as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.vectors import three_numbers


@dataclass(frozen=True)
class StraightLine:
    """A straight dislocation, all vectors in one Cartesian frame.

    Parameters
    ----------
    burgers_vector : (3,) array_like
        Burgers vector in µm: the closure of a right-handed circuit about `line`.
    line : (3,) array_like
        Line direction; any length, stored as a unit vector.
    position : (3,) array_like
        A point on the line, in µm.
    core_radius : float
        Radius in µm over which the core is spread; 0 is the classical singular line.

    Raises
    ------
    ValueError
        For a zero Burgers vector or line, or an impossible core radius.
    """

    burgers_vector: Floats
    line: Floats
    position: Floats
    core_radius: float = 0.0

    def __post_init__(self) -> None:
        """Normalise the line and check every value."""
        for name in ("burgers_vector", "line", "position"):
            object.__setattr__(self, name, three_numbers(name, getattr(self, name)))
        if not np.any(self.burgers_vector):
            raise ValueError("burgers_vector is zero: a dislocation needs one")
        length = np.linalg.norm(self.line)
        if length == 0.0:
            raise ValueError("line is zero: a dislocation needs a direction")
        if abs(length - 1.0) > 1e-15:  # Unit vectors keep every digit.
            object.__setattr__(self, "line", self.line / length)
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

    @property
    def character_deg(self) -> float:
        """From 0 for a pure edge to 90 for a pure screw (degrees)."""
        return float(character_deg(self.screw_part, self.edge_part))

    @property
    def angle_deg(self) -> float:
        """Angle between Burgers vector and line, whichever way: 0 for a screw, 90 for an edge."""
        return float(angle_deg(self.screw_part, self.edge_part))

    def turned(self, rotation: Floats) -> StraightLine:
        """Return the same line in a frame, or a crystal, that is turned."""
        return replace(
            self,
            burgers_vector=rotation @ self.burgers_vector,
            line=rotation @ self.line,
            position=rotation @ self.position,
        )


@dataclass(frozen=True)
class StraightLines:
    """Straight dislocations, one a row, all vectors in one Cartesian frame.

    Parameters
    ----------
    burgers_vectors : (n, 3) array_like
        In µm: closures of right-handed circuits about the lines.
    lines : (n, 3) array_like
        Directions of any length, stored as unit vectors.
    positions : (n, 3) array_like
        A point on each line, in µm.
    core_radii : (n,) array_like or float
        As of a single :class:`~weakbeam.defects.lines.StraightLine`.

    Raises
    ------
    ValueError
        For shapes that do not belong together, numbers that are not finite, a zero Burgers vector
        or line, an impossible core radius.
    """

    burgers_vectors: Floats
    lines: Floats
    positions: Floats
    core_radii: Floats

    def __post_init__(self) -> None:
        """Normalise the lines and check every value."""
        count = len(np.atleast_1d(np.asarray(self.positions)))
        for name in ("burgers_vectors", "lines", "positions"):
            object.__setattr__(self, name, _rows(name, getattr(self, name), (count, 3)))
        radii = np.broadcast_to(np.asarray(self.core_radii, dtype=np.float64), (count,))
        object.__setattr__(self, "core_radii", np.array(radii))
        if not np.all(np.any(self.burgers_vectors != 0.0, axis=1)):
            raise ValueError("a Burgers vector is zero: every dislocation needs one")
        lengths = np.linalg.norm(self.lines, axis=1, keepdims=True)
        if np.any(lengths == 0.0):
            raise ValueError("a line is zero: every dislocation needs a direction")
        # Vectors that are unit vectors already keep every digit.
        lengths[np.abs(lengths - 1.0) < 1e-15] = 1.0
        object.__setattr__(self, "lines", self.lines / lengths)
        if not np.all((self.core_radii >= 0.0) & (self.core_radii < np.inf)):
            raise ValueError("a core radius is negative or not finite")

    @classmethod
    def of(cls, dislocations: Sequence[StraightLine]) -> StraightLines:
        """Gather single dislocations."""
        return cls(
            np.array([d.burgers_vector for d in dislocations]).reshape(-1, 3),
            np.array([d.line for d in dislocations]).reshape(-1, 3),
            np.array([d.position for d in dislocations]).reshape(-1, 3),
            np.array([d.core_radius for d in dislocations]),
        )

    @classmethod
    def joined(cls, parts: Sequence[StraightLines]) -> StraightLines:
        """Return the lines of all parts, one part after the other."""
        if not parts:
            return cls.of([])
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[StraightLine]:
        for row in zip(
            self.burgers_vectors,
            self.lines,
            self.positions,
            self.core_radii.tolist(),
            strict=True,
        ):
            yield StraightLine(*row)

    def turned(self, rotation: Floats) -> StraightLines:
        """Return the same lines in a frame, or a crystal, that is turned."""
        return StraightLines(
            self.burgers_vectors @ rotation.T,
            self.lines @ rotation.T,
            self.positions @ rotation.T,
            self.core_radii,
        )

    def chosen(self, which: ArrayLike) -> StraightLines:
        """Return some of the lines, given by a mask or by indices."""
        rows = np.asarray(which)
        return StraightLines(
            self.burgers_vectors[rows],
            self.lines[rows],
            self.positions[rows],
            self.core_radii[rows],
        )

    @cached_property
    def axes(self) -> Floats:
        """Unit vectors x (edge part of b), y = t × x and z = t of each line, (n, 3, 3), as rows.

        A pure screw leaves x free: any unit vector across the line then serves.
        """
        x, y = axes_across(self.burgers_vectors, self.lines)
        return np.stack([x, y, self.lines], axis=1)

    def matrices(self, medium: IsotropicMedium) -> Floats:
        """Coefficients (n, 6, 9) of the six scalar functions of which each field is made.

        The functions are those of :class:`~weakbeam.defects.straight.StraightDislocations`; each
        row is a 3×3 matrix in the order xx, xy, xz, yx, ...
        """
        x, y, z = np.moveaxis(self.axes, 1, 0)
        nu = medium.poisson_ratio
        k = self.edge_parts[:, None, None] / (4 * np.pi * (1 - nu))
        s = self.screw_parts[:, None, None] / (2 * np.pi)
        xx, xy, yx, yy = _outer(x, x), _outer(x, y), _outer(y, x), _outer(y, y)
        zx, zy = _outer(z, x), _outer(z, y)
        functions = [
            -k * (1 - 2 * nu) * (xx + yy) - s * zx,
            k * ((1 - 2 * nu) * xy - (3 - 2 * nu) * yx) + s * zy,
            k * (yy - xx),
            k * (xy + yx),
            k * (2 * nu * yy - 2 * (1 - nu) * xx) - s * zx,
            k * ((4 - 2 * nu) * xy + 2 * nu * yx) + s * zy,
        ]
        return np.stack(functions, axis=1).reshape(-1, 6, 9)

    @property
    def screw_parts(self) -> Floats:
        """Components (n,) of the Burgers vectors along the lines (µm)."""
        return np.asarray(np.sum(self.burgers_vectors * self.lines, axis=1))

    @property
    def edge_parts(self) -> Floats:
        """Lengths (n,) of the parts of the Burgers vectors across the lines (µm)."""
        across = self.burgers_vectors - self.screw_parts[:, None] * self.lines
        return np.asarray(np.linalg.norm(across, axis=1))

    @property
    def characters_deg(self) -> Floats:
        """From 0 for a pure edge to 90 for a pure screw (degrees), (n,)."""
        return character_deg(self.screw_parts, self.edge_parts)

    @property
    def angles_deg(self) -> Floats:
        """Angles between Burgers vectors and lines, 0 for a screw, 90 for an edge, (n,)."""
        return angle_deg(self.screw_parts, self.edge_parts)


def character_deg(screw_part: ArrayLike, edge_part: ArrayLike) -> Floats:
    """Angle between edge (0) and screw (90 degrees) of Burgers vectors with these two parts.

    The arc tangent keeps its digits at both ends, where arc sine and cosine lose half of them.
    """
    return np.degrees(np.arctan2(np.abs(screw_part), edge_part))


def angle_deg(screw_part: ArrayLike, edge_part: ArrayLike) -> Floats:
    """Angle between line and Burgers vector, 0 for a screw, 90 degrees for an edge.

    That of the lines' directions, whichever way they run: never more than 90.
    """
    return np.degrees(np.arctan2(edge_part, np.abs(screw_part)))


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


def _outer(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[:, :, None] * b[:, None, :])


def _rows(name: str, value: ArrayLike, shape: tuple[int, int]) -> Floats:
    rows = np.array(value, dtype=np.float64)
    if rows.shape != shape or not np.all(np.isfinite(rows)):
        raise ValueError(f"{name} must be {shape[0]} rows of three finite numbers")
    return rows
