"""Burgers vectors, line directions and slip systems.

Whether a direction lies in a plane, and which lattice vector is the shortest one along a direction,
are questions about integers and are answered in integers; lengths and angles come from the cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from itertools import permutations, product
from typing import NamedTuple, TypeVar

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.lattice import Miller, UnitCell, miller, unit
from weakbeam.crystal.symmetry import Centring

UM_PER_ANGSTROM = 1e-4

Number = TypeVar("Number", int, float)


class SlipSystem(NamedTuple):
    """A glide plane (hkl) and a glide direction [uvw] in it, three indices each."""

    plane: Miller
    direction: Miller


def burgers_vector(cell: UnitCell, centring: Centring, uvw: Sequence[int]) -> Floats:
    """Shortest lattice vector along a direction, the Burgers vector of a perfect dislocation.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    centring : tuple of tuples of 3 Fraction
        Lattice points inside the cell, as `weakbeam.crystal.symmetry.centring_vectors` has those of
        a space group: they make a/2⟨110⟩ of ⟨110⟩ in F, a/2⟨111⟩ of ⟨111⟩ in I.
    uvw : sequence of 3 int
        Direction; a common factor is without meaning.

    Returns
    -------
    ndarray, shape (3,)
        Vector in um in the Cartesian crystal frame.

    Raises
    ------
    ValueError
        If the direction is zero or not integer.
    """
    primitive = _primitive(miller(uvw, "burgers"))
    steps = _lattice_steps(centring, primitive)
    return cell.direction(primitive) * (UM_PER_ANGSTROM / steps)


def is_lattice_vector(centring: Centring, components: Sequence[Fraction]) -> bool:
    """Whether a vector leads from a lattice point to a lattice point.

    Parameters
    ----------
    centring : tuple of tuples of 3 Fraction
        Lattice points inside the cell.
    components : sequence of 3 Fraction
        Along the cell edges, such as 1/2, 1/2, 0.
    """
    return tuple(component % 1 for component in components) in centring


def lies_in_plane(uvw: Sequence[int], hkl: Sequence[int]) -> bool:
    """Whether the direction [uvw] lies in the plane (hkl): hu + kv + lw = 0 in any lattice."""
    return _dot(miller(uvw, "uvw"), miller(hkl, "hkl")) == 0


def line_direction(cell: UnitCell, uvw: Sequence[int]) -> Floats:
    """Return the unit vector of [uvw] in the Cartesian crystal frame, shape (3,)."""
    return unit(cell.direction(miller(uvw, "line")))


def line_of_character(
    cell: UnitCell,
    burgers_uvw: Sequence[int],
    plane_hkl: Sequence[int],
    character_deg: float,
) -> Floats:
    """Line direction of a dislocation of given character in its glide plane.

    t(ψ) = cos ψ (b̂ × n̂) + sin ψ b̂, so that ψ turns the line about n̂ from pure edge (0°) to pure
    screw (90°, t along +b) (docs/explanation/physics.md, D2).

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    burgers_uvw, plane_hkl : sequence of 3 int
        Direction of the Burgers vector and glide plane.
    character_deg : float
        The angle ψ in degrees.

    Returns
    -------
    ndarray, shape (3,)
        Unit vector in the Cartesian crystal frame.

    Raises
    ------
    ValueError
        If the Burgers vector does not lie in the plane.
    """
    b, edge = _screw_and_edge(cell, burgers_uvw, plane_hkl)
    psi = math.radians(character_deg)
    return math.cos(psi) * edge + math.sin(psi) * b


def character_of_line(
    cell: UnitCell,
    burgers_uvw: Sequence[int],
    plane_hkl: Sequence[int],
    line_crystal: ArrayLike,
) -> float:
    """Character angle of a line in its glide plane, the inverse of `line_of_character`.

    Parameters
    ----------
    cell, burgers_uvw, plane_hkl
        As for :func:`line_of_character`.
    line_crystal : array_like, shape (3,)
        Direction of the line in the Cartesian crystal frame, of any length.

    Returns
    -------
    float
        ψ in degrees, in (−180, 180].

    Raises
    ------
    ValueError
        If the Burgers vector or the line does not lie in the plane.
    """
    b, edge = _screw_and_edge(cell, burgers_uvw, plane_hkl)
    t = unit(line_crystal)
    along_b, along_edge = float(t @ b), float(t @ edge)
    if abs(math.hypot(along_b, along_edge) - 1) > 1e-9:
        raise ValueError(f"the line does not lie in the plane {tuple(plane_hkl)}")
    psi = math.degrees(math.atan2(along_b, along_edge))
    return 180.0 if psi == -180.0 else psi


LATTICES = {
    "fcc": "cubic F",
    "bcc": "cubic I",
    "hcp": "hexagonal P",
    "diamond": "cubic F",
    "zincblende": "cubic F",
    "wurtzite": "hexagonal P",
}
"""The Bravais lattice of each structure, without which its slip systems have no meaning."""


def slip_families(structure: str) -> dict[str, list[SlipSystem]]:
    """Slip systems of a structure by family, each plane and each direction once up to its sign.

    Parameters
    ----------
    structure : str
        "fcc", "bcc", "hcp", "diamond", "zincblende" or "wurtzite".

    Returns
    -------
    dict of str to list of SlipSystem
        fcc, diamond, zincblende: {111}<110> (12). bcc: {110}<111> (12), {112}<111> (12),
        {123}<111> (24). hcp, wurtzite: basal (3), prismatic (3), pyramidal <a> (6),
        pyramidal I <c+a> (12), pyramidal II <c+a> (6) (docs/explanation/physics.md, D6).

    Raises
    ------
    ValueError
        If the structure is unknown.
    """
    if structure in ("fcc", "diamond", "zincblende"):
        return {"{111}<110>": _systems(_cubic_family(1, 1, 1), _cubic_family(1, 1, 0))}
    if structure == "bcc":
        directions = _cubic_family(1, 1, 1)
        return {
            "{110}<111>": _systems(_cubic_family(1, 1, 0), directions),
            "{112}<111>": _systems(_cubic_family(1, 1, 2), directions),
            "{123}<111>": _systems(_cubic_family(1, 2, 3), directions),
        }
    if structure in ("hcp", "wurtzite"):
        a = [direction_3_from_4(d) for d in _hexagonal_family(1, 1, -2, 0)]
        c_plus_a = [direction_3_from_4(d) for d in _hexagonal_family(1, 1, -2, 3)]
        pyramid_1 = [plane_3_from_4(p) for p in _hexagonal_family(1, 0, -1, 1)]
        return {
            "basal": _systems([(0, 0, 1)], a),
            "prismatic": _systems([plane_3_from_4(p) for p in _hexagonal_family(1, 0, -1, 0)], a),
            "pyramidal <a>": _systems(pyramid_1, a),
            "pyramidal I <c+a>": _systems(pyramid_1, c_plus_a),
            "pyramidal II <c+a>": _systems(
                [plane_3_from_4(p) for p in _hexagonal_family(1, 1, -2, 2)], c_plus_a
            ),
        }
    raise ValueError(
        f"structure {structure!r} has no slip systems here: "
        "choose fcc, bcc, hcp, diamond, zincblende or wurtzite"
    )


def slip_systems(structure: str, families: Sequence[str] | None = None) -> list[SlipSystem]:
    """Slip systems of a structure in one list.

    Parameters
    ----------
    structure : str
        As for `slip_families`.
    families : sequence of str, optional
        Names of the families to take, all by default.

    Returns
    -------
    list of SlipSystem

    Raises
    ------
    ValueError
        If the structure or a family is unknown.
    """
    table = slip_families(structure)
    chosen = list(table) if families is None else list(families)
    for name in chosen:
        if name not in table:
            nearest = get_close_matches(name, list(table), n=1, cutoff=0.0)[0]
            raise ValueError(
                f"slip family {name!r} is none of {structure} ({', '.join(table)}): "
                f"did you mean {nearest!r}?"
            )
    return [system for name in chosen for system in table[name]]


def plane_3_from_4(hkil: Sequence[int]) -> Miller:
    """Three-index plane (hkl) of the four-index plane (hkil) of a hexagonal lattice."""
    h, k, i, l_index = hkil
    if h + k + i != 0:
        raise ValueError(f"plane {tuple(hkil)}: the first three indices must sum to zero")
    return miller((h, k, l_index), "plane")


def direction_3_from_4(uvtw: Sequence[int]) -> Miller:
    """Three-index direction [2u+v, u+2v, w], without common factor, of the four-index [uvtw]."""
    u, v, t, _ = uvtw
    if u + v + t != 0:
        raise ValueError(f"direction {tuple(uvtw)}: the first three indices must sum to zero")
    return _primitive(miller(three_from_four(uvtw), "direction"))


def three_from_four(uvtw: Sequence[Number]) -> tuple[Number, Number, Number]:
    """Components [2u+v, u+2v, w] of the same vector as [uvtw]; three components stay as they are.

    A vector of four indices is u a + v b + t (−a − b) + w c with u + v + t = 0.
    """
    if len(uvtw) == 3:
        u, v, w = uvtw
        return u, v, w
    u, v, _, w = uvtw
    return 2 * u + v, u + 2 * v, w


def _primitive(indices: Miller) -> Miller:
    factor = math.gcd(*indices)
    return indices[0] // factor, indices[1] // factor, indices[2] // factor


def _dot(uvw: Miller, hkl: Miller) -> int:
    return sum(u * h for u, h in zip(uvw, hkl, strict=True))


@lru_cache(maxsize=256)
def _lattice_steps(centring: Centring, primitive: Miller) -> int:
    """Return the largest n for which [uvw]/n, with coprime u, v, w, is a lattice vector.

    Taken modulo whole cells, the lattice points along [uvw] form a subgroup of the centring
    translations: n divides their number, and [uvw]/n equals one of them.
    """
    points = frozenset(centring)
    return max(
        n
        for n in range(1, len(centring) + 1)
        if len(centring) % n == 0 and tuple(Fraction(p, n) % 1 for p in primitive) in points
    )


def _screw_and_edge(
    cell: UnitCell, burgers_uvw: Sequence[int], plane_hkl: Sequence[int]
) -> tuple[Floats, Floats]:
    """Return b̂ and b̂ × n̂, the line directions of pure screw and pure edge."""
    burgers, plane = miller(burgers_uvw, "burgers"), miller(plane_hkl, "plane")
    if not lies_in_plane(burgers, plane):
        raise ValueError(
            f"the Burgers vector {list(burgers)} does not lie in the plane {plane}: "
            f"hu + kv + lw = {_dot(burgers, plane)}, not 0"
        )
    b, n = unit(cell.direction(burgers)), unit(cell.plane_normal(plane))
    return b, np.cross(b, n)


def _systems(planes: list[Miller], directions: list[Miller]) -> list[SlipSystem]:
    return [SlipSystem(p, d) for p in planes for d in directions if _dot(d, p) == 0]


def _cubic_family(*indices: int) -> list[Miller]:
    """All that cubic symmetry makes of three indices, one of each opposite pair."""
    members = {
        tuple(sign * index for sign, index in zip(signs, order, strict=True))
        for order in permutations(indices)
        for signs in product((1, -1), repeat=3)
    }
    return [(m[0], m[1], m[2]) for m in _one_of_each_pair(members)]


def _hexagonal_family(*indices: int) -> list[tuple[int, int, int, int]]:
    """All that hexagonal symmetry makes of four indices, one of each opposite pair."""
    members = {
        (*(in_plane * index for index in order), along_c * indices[3])
        for order in permutations(indices[:3])
        for in_plane in (1, -1)
        for along_c in (1, -1)
    }
    return [(m[0], m[1], m[2], m[3]) for m in _one_of_each_pair(members)]


def _one_of_each_pair(members: set[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Members whose first index that is not zero is positive, in a fixed order."""
    return sorted((m for m in members if next(i for i in m if i != 0) > 0), reverse=True)
