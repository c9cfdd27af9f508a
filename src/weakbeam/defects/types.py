"""Types of dislocations: every Burgers vector and line of the slip systems, each counted once.

A dislocation (b, t) and one with both vectors reversed are the same: its circuit is taken the other
way round. So (plane, b, ψ) and (plane, −b, ψ) are two descriptions of one type, as ψ turns the line
together with b (docs/explanation/physics.md, D2 and F).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.elasticity import Medium
from weakbeam.crystal.lattice import Miller, UnitCell, unit
from weakbeam.crystal.slip import burgers_vector, line_of_character
from weakbeam.crystal.symmetry import Centring
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLines

Vector = tuple[float, float, float]

SAME_DEG = 1e-9
"""Characters that differ by less (degrees) are equal."""

UNSEEN = 1e-12
"""A distortion that turns and stretches the diffraction vector by less is not seen."""


class Combination(NamedTuple):
    """One description of a type: a slip plane, a Burgers vector with its sign, a character."""

    plane: Miller
    burgers: Miller
    character_deg: float


@dataclass(frozen=True)
class DislocationType:
    """A class of equivalent descriptions of a straight dislocation.

    Parameters
    ----------
    number : int
        Place in the list of types, from 0.
    plane : tuple of 3 int
        Slip plane (hkl).
    burgers : tuple of 3 int
        Direction [uvw] of the Burgers vector, which stands for its opposite as well.
    character_deg : float
        Angle ψ from edge (0) over screw (90, line along b) to 360: the line is turned about the
        normal of the plane.
    burgers_vector : tuple of 3 float
        In µm, in the Cartesian crystal frame.
    edge : tuple of 3 float
        Direction b̂ × n̂ of the line at ψ = 0, in the Cartesian crystal frame.
    same_as : tuple of int
        Numbers of the types with another plane but the same Burgers vector and line, which make
        the same images: screws.
    """

    number: int
    plane: Miller
    burgers: Miller
    character_deg: float
    burgers_vector: Vector
    edge: Vector
    same_as: tuple[int, ...] = ()

    @property
    def members(self) -> tuple[Combination, ...]:
        """The descriptions that this type stands for."""
        u, v, w = self.burgers
        return (
            Combination(self.plane, self.burgers, self.character_deg),
            Combination(self.plane, (-u, -v, -w), self.character_deg),
        )

    @property
    def line(self) -> Floats:
        """Unit vector t(ψ) = cos ψ (b̂ × n̂) + sin ψ b̂ along the line, Cartesian crystal frame."""
        psi = math.radians(self.character_deg)
        along_b = unit(self.burgers_vector)
        return np.asarray(math.cos(psi) * np.array(self.edge) + math.sin(psi) * along_b)

    @property
    def name(self) -> str:
        """Plane, Burgers vector and character, such as "(1 1 1) [1 0 -1] 30 deg"."""
        plane, burgers = (" ".join(map(str, v)) for v in (self.plane, self.burgers))
        return f"({plane}) [{burgers}] {self.character_deg:.6g} deg"

    def turned(self, character_deg: float) -> DislocationType:
        """The same slip system with a line of another character; it keeps its number."""
        return replace(self, character_deg=character_deg % 360.0, same_as=())


def characters(step_deg: float) -> tuple[float, ...]:
    """Characters from 0 up to 360 degrees in equal steps.

    Raises
    ------
    ValueError
        If the full turn is not a whole number of steps.
    """
    count = round(360.0 / step_deg) if step_deg > 0.0 else 0
    if count < 1 or abs(count * step_deg - 360.0) > 1e-6:
        raise ValueError(f"360 deg is not a whole number of steps of {step_deg:g} deg")
    return tuple(360.0 * k / count for k in range(count))


def dislocation_types(
    cell: UnitCell,
    centring: Centring,
    systems: Iterable[tuple[Miller, Miller]],
    characters_deg: Sequence[float],
) -> tuple[DislocationType, ...]:
    """All types of dislocations of some slip systems.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    centring : tuple of tuples of 3 Fraction
        Lattice points inside the cell, which tell the length of the Burgers vectors.
    systems : iterable of (plane, direction)
        Slip planes (hkl) with directions [uvw] in them. One that is listed again, perhaps with
        reversed indices, counts once.
    characters_deg : sequence of float
        Characters ψ in degrees, the same for all systems; angles that are equal up to full turns
        count once.

    Returns
    -------
    tuple of DislocationType
        By system, then by character.

    Raises
    ------
    ValueError
        If there is nothing to list, or a direction does not lie in its plane.
    """
    angles = _distinct([angle % 360.0 for angle in characters_deg])
    chosen: dict[tuple[Miller, Miller], tuple[Miller, Miller]] = {}
    for plane, direction in systems:
        chosen.setdefault((_primitive(plane), _primitive(direction)), (plane, direction))
    if not chosen or not angles:
        raise ValueError("no slip system and character to make a dislocation of")
    types: list[DislocationType] = []
    for plane, direction in chosen.values():
        edge = line_of_character(cell, direction, plane, 0.0)
        vector = burgers_vector(cell, centring, direction)
        for angle in angles:
            number = len(types)
            types.append(
                DislocationType(number, plane, direction, angle, _vector(vector), _vector(edge))
            )
    return _with_equals(types)


def straight_lines(
    types: Sequence[DislocationType],
    positions_um: Floats,
    sample_from_crystal: Floats,
    core_radii: ArrayLike,
) -> StraightLines:
    """Straight dislocations of given types, in the sample frame.

    Parameters
    ----------
    types : sequence of DislocationType
        One for each line.
    positions_um : (n, 3) array_like
        A point of each line in the sample frame (µm).
    sample_from_crystal : (3, 3) ndarray
        How the crystal is mounted.
    core_radii : (n,) array_like or float
        Radii of the cores (µm).
    """
    burgers = burgers_vectors(types)
    lines = np.array([t.line for t in types]).reshape(-1, 3)
    return StraightLines(
        burgers @ sample_from_crystal.T,
        lines @ sample_from_crystal.T,
        np.asarray(positions_um, dtype=float).reshape(-1, 3),
        np.broadcast_to(core_radii, (len(types),)),
    )


def burgers_vectors(types: Sequence[DislocationType]) -> Floats:
    """Burgers vectors (n, 3) of types (µm), Cartesian crystal frame."""
    return np.array([t.burgers_vector for t in types]).reshape(-1, 3)


def seen_distortion(
    types: Sequence[DislocationType], normals_crystal: Sequence[Floats], medium: Medium
) -> Floats:
    r"""Largest change of diffraction vectors, :math:`|H \hat q|`, 1 µm away from each line.

    Parameters
    ----------
    types : sequence of DislocationType
        The dislocations.
    normals_crystal : sequence of (3,) ndarray
        Unit vectors :math:`\hat q` along the diffraction vectors, Cartesian crystal frame.
    medium : Medium
        The crystal.

    Returns
    -------
    (types,) ndarray
        Less than `UNSEEN` where no image can show the dislocation: :math:`H = F^{-T} - I` takes
        nothing to all the diffraction vectors (docs/explanation/physics.md, D1 and F).
    """
    lines = straight_lines(types, np.zeros((len(types), 3)), np.eye(3), 0.0)
    turn = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    largest = np.zeros(len(types))
    for number, axes in enumerate(lines.axes):
        points = np.outer(axes[0], np.cos(turn)) + np.outer(axes[1], np.sin(turn))
        gradient = np.zeros((9, len(turn)))
        field_of(lines.chosen([number]), medium).add_to(gradient, np.ascontiguousarray(points))
        deformation = np.eye(3) + gradient.T.reshape(-1, 3, 3)
        change = np.linalg.inv(deformation).transpose(0, 2, 1) - np.eye(3)
        change_of_q = change @ np.stack([*normals_crystal], axis=1)
        largest[number] = np.linalg.norm(change_of_q, axis=1).max()
    return largest


def _with_equals(types: Sequence[DislocationType]) -> tuple[DislocationType, ...]:
    """Tell screws of the types that have the same line and Burgers vector."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for kind in types:
        sign = _screw_sign(kind.character_deg)
        # A line along b stays so when both change their signs.
        key = (_primitive(kind.burgers), sign) if sign else (kind.number,)
        groups.setdefault(key, []).append(kind.number)
    equals = {n: tuple(m for m in same if m != n) for same in groups.values() for n in same}
    return tuple(replace(kind, same_as=equals[kind.number]) for kind in types)


def _screw_sign(character_deg: float) -> int:
    """1 for a screw with its line along b, −1 against it, 0 for any other character."""
    for sign, angle in ((1, 90.0), (-1, 270.0)):
        if abs(character_deg - angle) < SAME_DEG:
            return sign
    return 0


def _distinct(angles: Sequence[float]) -> list[float]:
    """Angles of a circle without those that are there before, in their order."""
    kept: list[float] = []
    for angle in angles:
        if all(abs((angle - other + 180.0) % 360.0 - 180.0) > SAME_DEG for other in kept):
            kept.append(angle)
    return kept


def _primitive(indices: Miller) -> Miller:
    """Indices without common factor, the first one that is not zero positive."""
    factor = math.gcd(*indices) * (1 if next(n for n in indices if n) > 0 else -1)
    a, b, c = indices
    return a // factor, b // factor, c // factor


def _vector(values: Floats) -> Vector:
    x, y, z = map(float, values)
    return x, y, z
