"""Space-group symmetry: lattice centring, systematic absences, and cells that fit a group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache

import gemmi
import numpy as np

from weakbeam.crystal.lattice import UnitCell, miller

Centring = tuple[tuple[Fraction, Fraction, Fraction], ...]
"""Lattice points inside a cell, exact fractional coordinates, the origin first."""


_CENTRING_RULES = {
    "A": "k + l must be even",
    "B": "h + l must be even",
    "C": "h + k must be even",
    "F": "h, k, l must be all even or all odd",
    "I": "h + k + l must be even",
    "R": "−h + k + l must be a multiple of 3",
}

_CELL_RULES = {
    "monoclinic a": "β = γ = 90°",
    "monoclinic b": "α = γ = 90°",
    "monoclinic c": "α = β = 90°",
    "orthorhombic": "α = β = γ = 90°",
    "tetragonal": "a = b and α = β = γ = 90°",
    "trigonal": "a = b, α = β = 90° and γ = 120°",
    "rhombohedral": "a = b = c and α = β = γ",
    "hexagonal": "a = b, α = β = 90° and γ = 120°",
    "cubic": "a = b = c and α = β = γ = 90°",
}

_RIGHT: dict[str, str | float] = {"alpha": 90.0, "beta": 90.0, "gamma": 90.0}
_HEXAGONAL: dict[str, str | float] = {"b": "a", "alpha": 90.0, "beta": 90.0, "gamma": 120.0}
_FIXED: dict[str, dict[str, str | float]] = {
    "triclinic": {},
    "monoclinic a": {"beta": 90.0, "gamma": 90.0},
    "monoclinic b": {"alpha": 90.0, "gamma": 90.0},
    "monoclinic c": {"alpha": 90.0, "beta": 90.0},
    "orthorhombic": _RIGHT,
    "tetragonal": {"b": "a", **_RIGHT},
    "trigonal": _HEXAGONAL,
    "rhombohedral": {"b": "a", "c": "a", "beta": "alpha", "gamma": "alpha"},
    "hexagonal": _HEXAGONAL,
    "cubic": {"b": "a", "c": "a", **_RIGHT},
}


def find_space_group(name: str) -> gemmi.SpaceGroup:
    """Space group of a Hermann-Mauguin symbol ("F m -3 m", "F d -3 m:2") or a number ("225").

    Raises
    ------
    ValueError
        If there is no such group; the message names the nearest one.
    """
    group = gemmi.find_spacegroup_by_name(name)
    if group is None:
        known = [g.xhm() for g in gemmi.spacegroup_table()]
        nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise ValueError(f"space group {name!r} is unknown: did you mean {nearest!r}?")
    return group


def settings_named(name: str, cell: UnitCell) -> tuple[str, ...]:
    """Settings of a space group that a symbol or a number may mean for a cell.

    Parameters
    ----------
    name : str
        Hermann-Mauguin symbol or number. A choice of origin is told by ":1" and ":2", or by the
        letters S and Z of the ICSD; axes by ":H" and ":R", else by the cell.
    cell : UnitCell
        The cell, which tells rhombohedral from hexagonal axes.

    Returns
    -------
    tuple of str
        Hermann-Mauguin symbols with their settings: two for groups with two choices of origin where
        the name tells none of them, else one.

    Raises
    ------
    ValueError
        If there is no such group; the message names the nearest one.
    """
    name = _with_origin(name)
    group = find_space_group(name)
    is_told = ":" in name or name.rstrip()[-1:].upper() in ("H", "R")
    if is_told or group.ext not in ("1", "2", "H", "R"):
        return (group.xhm(),)
    settings = [
        other
        for other in gemmi.spacegroup_table()
        if other.hm == group.hm and other.qualifier == group.qualifier
    ]
    if group.ext in ("1", "2"):
        return tuple(other.xhm() for other in settings)
    # In rhombohedral axes all angles are equal, in hexagonal ones they never are.
    axes = "R" if abs(cell.alpha - cell.gamma) < 1.0 else "H"
    return tuple(other.xhm() for other in settings if other.ext == axes)


def _with_origin(name: str) -> str:
    return re.sub(r"\s+([SZ])\s*$", lambda m: ":1" if m[1] == "S" else ":2", name)


@lru_cache(maxsize=32)
def centring_vectors(space_group: str) -> Centring:
    """Lattice points inside the cell of a space group, the origin first.

    Parameters
    ----------
    space_group : str
        Hermann-Mauguin symbol.

    Returns
    -------
    tuple of tuples of 3 Fraction
        Exact fractional coordinates: one vector for a primitive lattice, two for A, B, C and I,
        three for R on hexagonal axes, four for F.
    """
    translations = find_space_group(space_group).operations().cen_ops
    vectors = [tuple(Fraction(t, gemmi.Op.DEN) % 1 for t in tran) for tran in translations]
    return tuple((x, y, z) for x, y, z in sorted(vectors))


def lattice_type(space_group: str) -> str:
    """Bravais lattice of a space group in words: "cubic F", "hexagonal P", "rhombohedral R".

    Trigonal groups have a hexagonal lattice, or a rhombohedral one (International Tables for
    Crystallography A, section 1.3.4).

    Raises
    ------
    ValueError
        If there is no such group.
    """
    group = find_space_group(space_group)
    centring = group.hm[0]
    if group.crystal_system_str() == "trigonal":
        return "rhombohedral R" if centring == "R" else f"hexagonal {centring}"
    return f"{group.crystal_system_str()} {centring}"


def absence_reason(space_group: str, hkl: Sequence[int]) -> str | None:
    """Say why symmetry forbids a reflection.

    A reflection is absent when an operation {R|t} leaves h unchanged (h R = h) and h·t is no
    integer (International Tables for Crystallography A, section 1.6.3).

    Parameters
    ----------
    space_group : str
        Hermann-Mauguin symbol.
    hkl : sequence of 3 int
        The reflection.

    Returns
    -------
    str or None
        The reason in words; None if symmetry allows the reflection.
    """
    h = miller(hkl)
    group = find_space_group(space_group)
    operations = group.operations()
    for centring in operations.cen_ops:
        if _phase(h, centring) % gemmi.Op.DEN:
            kind = group.centring_type()
            return f"{kind} centring: {_CENTRING_RULES[kind]}"
    for operation in operations.sym_ops:
        if tuple(operation.apply_to_hkl(h)) == h and _phase(h, operation.tran) % gemmi.Op.DEN:
            kind = "screw axis" if operation.det_rot() > 0 else "glide plane"
            return f"{kind} ({operation.triplet()}) of {group.xhm()}"
    return None


def fixed_by_system(space_group: str) -> dict[str, str | float]:
    """Edges and angles of a cell that its crystal system fixes.

    Parameters
    ----------
    space_group : str
        Hermann-Mauguin symbol, with its axes where there are two.

    Returns
    -------
    dict of str to str or float
        For each edge or angle that is fixed the name of the one that it equals, or its value in
        degrees: {"b": "a", "alpha": 90.0, "beta": 90.0, "gamma": 120.0} for a hexagonal one.
    """
    return dict(_FIXED[_cell_system(find_space_group(space_group))])


def check_cell(space_group: str, cell: UnitCell, tolerance: float = 1e-3) -> None:
    """Refuse a cell that contradicts its space group.

    Every rotation R of the group must leave the metric G = AᵀA unchanged: Rᵀ G R = G.

    Parameters
    ----------
    space_group : str
        Hermann-Mauguin symbol.
    cell : UnitCell
        The cell to check.
    tolerance : float
        Largest relative change that passes, wide enough for rounded tables and strained lattices.

    Raises
    ------
    ValueError
        If the metric changes; the message gives the rule of the crystal system.
    """
    group = find_space_group(space_group)
    metric = cell.direct.T @ cell.direct
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    for operation in group.operations().sym_ops:
        rotation = np.array(operation.rot) / gemmi.Op.DEN
        if np.any(np.abs(rotation.T @ metric @ rotation - metric) > tolerance * scale):
            system = _cell_system(group)
            edges = f"{cell.a:g}, {cell.b:g}, {cell.c:g} angstrom"
            angles = f"{cell.alpha:g}, {cell.beta:g}, {cell.gamma:g} degrees"
            raise ValueError(
                f"cell {edges}, {angles} contradicts space group {group.xhm()} "
                f"({system}): {_CELL_RULES[system]}"
            )


def _phase(h: Sequence[int], translation: Sequence[int]) -> int:
    return sum(index * step for index, step in zip(h, translation, strict=True))


def _cell_system(group: gemmi.SpaceGroup) -> str:
    system = str(group.crystal_system_str())
    if system == "monoclinic":
        return f"monoclinic {group.monoclinic_unique_axis()}"
    if system == "trigonal" and group.ext == "R":
        return "rhombohedral"
    return system
