"""Space-group symmetry: lattice centring, systematic absences, and cells that fit a group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import UnitCell, miller

Centring = tuple[tuple[Fraction, Fraction, Fraction], ...]
"""Lattice points inside a cell, exact fractional coordinates, the origin first."""


class Site(NamedTuple):
    """An atom of the asymmetric unit.

    Attributes
    ----------
    element : str
        Chemical symbol.
    position : tuple of 3 float
        Fractional coordinates.
    occupancy : float
        Fraction of its places that are occupied.
    b_factor : float
        Temperature factor B = 8π²⟨u²⟩ (Å²), isotropic; 0 for an atom at rest.
    """

    element: str
    position: tuple[float, float, float]
    occupancy: float = 1.0
    b_factor: float = 0.0


class AtomicStructure(NamedTuple):
    """Where the atoms of a crystal are.

    Attributes
    ----------
    cell : UnitCell
        The unit cell.
    space_group : str
        Hermann-Mauguin symbol.
    sites : sequence of Site
        Atoms of the asymmetric unit.
    """

    cell: UnitCell
    space_group: str
    sites: Sequence[Site]


SAME_PLACE_ANGSTROM = 0.3
"""Images of an atom that are closer than this are one atom, on a special position."""

ONE_SITE_ANGSTROM = 0.05
"""Different atoms that are closer than this share a site; coordinates have three digits or more."""

FULL = 1.01
"""Largest occupancy of a site that passes as 1, for occupancies rounded to two digits."""

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


def told_by_atoms(
    cell: UnitCell, settings: Sequence[str], sites: Sequence[Site]
) -> tuple[str, tuple[Site, ...]]:
    """Choose the setting in which no atoms are at the same place.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    settings : sequence of str
        Hermann-Mauguin symbols of the settings that are possible, at least one.
    sites : sequence of Site
        Atoms of the asymmetric unit.

    Returns
    -------
    space_group : str
        The setting.
    sites : tuple of Site
        The atoms, those on special positions exactly there.

    Raises
    ------
    ValueError
        If there are atoms at the same place in all settings, or if more than one setting is left;
        the message tells what each makes of the atoms.
    """
    if not sites:
        return settings[0], ()
    fitting, complaint = [], None
    for setting in settings:
        settled = settle_sites(AtomicStructure(cell, setting, sites))
        try:
            check_occupancies(AtomicStructure(cell, setting, settled))
        except ValueError as error:
            complaint = error
        else:
            fitting.append((setting, settled))
    if not fitting:
        assert complaint is not None
        raise complaint
    if len(fitting) > 1:
        shown = " or ".join(
            f'"{setting}" ({_contents(cell, setting, settled)})' for setting, settled in fitting
        )
        name = fitting[0][0].partition(":")[0]
        raise ValueError(
            f"space group {name!r} has two choices of origin, and the places of the atoms depend "
            f"on it: write {shown}"
        )
    return fitting[0]


def _contents(cell: UnitCell, space_group: str, sites: Sequence[Site]) -> str:
    """Atoms of the cell and their smallest distance in words, for people who know the crystal."""
    atoms = expand_sites(space_group, sites)
    numbers: dict[str, int] = {}
    for element, positions in atoms:
        numbers[element] = numbers.get(element, 0) + len(positions)
    places = np.concatenate([positions for _, positions in atoms])
    around = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    nearest = min(
        float(distances[distances > ONE_SITE_ANGSTROM].min(initial=np.inf))
        for _, positions in atoms
        for distances in [
            np.linalg.norm(
                cell.direction((places - positions[0] + 0.5) % 1 - 0.5 + around[:, None]), axis=-1
            )
        ]
    )
    counted = ", ".join(f"{number} {element}" for element, number in numbers.items())
    return f"{counted} in the cell, {nearest:.3g} angstrom apart or more"


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


def expand_sites(space_group: str, sites: Sequence[Site]) -> list[tuple[str, Floats]]:
    """All atoms of the unit cell from those of the asymmetric unit.

    Parameters
    ----------
    space_group : str
        Hermann-Mauguin symbol.
    sites : sequence of Site
        Atoms of the asymmetric unit.

    Returns
    -------
    list of (element, ndarray of shape (n, 3))
        For each site its n images in the cell, fractional coordinates in [0, 1).
    """
    return list(_expanded(space_group, tuple(Site(*site) for site in sites)))


@lru_cache(maxsize=32)
def _expanded(space_group: str, sites: tuple[Site, ...]) -> tuple[tuple[str, Floats], ...]:
    operations = list(find_space_group(space_group).operations())
    expanded = []
    for element, position, *_ in sites:
        images = np.array([op.apply_to_xyz(list(position)) for op in operations])
        apart = np.abs((images[:, None] - images + 0.5) % 1 - 0.5).max(axis=-1) > 1e-4
        # Special positions are reached by several operations: keep the first image of each place.
        first = [bool(apart[n, :n].all()) for n in range(len(images))]
        # The nudge keeps a coordinate of -1e-17 from becoming 1.
        atoms = (images[first] + 1e-9) % 1 - 1e-9
        atoms.flags.writeable = False
        expanded.append((element, atoms))
    return tuple(expanded)


def settle_sites(crystal: AtomicStructure) -> tuple[Site, ...]:
    """Move atoms that are close to a special position exactly there.

    A third written as 0.3333 would else count as an atom beside its own images.

    Parameters
    ----------
    crystal : AtomicStructure
        Its atoms as they are written.

    Returns
    -------
    tuple of Site
        With the mean of those images of each atom that are within `SAME_PLACE_ANGSTROM` of it,
        which every operation between them leaves where it is.
    """
    operations = list(find_space_group(crystal.space_group).operations())
    settled = []
    for site in crystal.sites:
        position = np.array(site.position)
        images = np.array([op.apply_to_xyz(list(site.position)) for op in operations])
        steps = (images - position + 0.5) % 1 - 0.5
        close = np.linalg.norm(crystal.cell.direction(steps), axis=-1) < SAME_PLACE_ANGSTROM
        x, y, z = (position + steps[close].mean(axis=0)).tolist()
        settled.append(site._replace(position=(x, y, z)))
    return tuple(settled)


def check_occupancies(crystal: AtomicStructure) -> None:
    """Refuse atoms of which more than one is at the same place.

    Such are an atom listed again at an equivalent position, or a mixed site whose occupancies add
    up to more than 1.

    Parameters
    ----------
    crystal : AtomicStructure
        Its atoms on special positions exactly there: see `settle_sites`.

    Raises
    ------
    ValueError
        If the occupancies of a place sum to more than `FULL`; the message names its atoms.
    """
    sites = crystal.sites
    images = [positions for _, positions in expand_sites(crystal.space_group, sites)]
    owner = np.repeat(np.arange(len(sites)), [len(positions) for positions in images])
    atoms = np.concatenate(images) if images else np.empty((0, 3))
    for index, site in enumerate(sites):
        # Every image of the site has the same surroundings, so one of them tells of all.
        steps = (atoms - np.array(site.position) + 0.5) % 1 - 0.5
        near = np.linalg.norm(crystal.cell.direction(steps), axis=-1) < ONE_SITE_ANGSTROM
        here = sorted({index, *owner[near].tolist()})
        total = sum(sites[n].occupancy for n in here)
        if len(here) > 1 and total > FULL:
            names = " and ".join(_shown(sites[n]) for n in here)
            raise ValueError(
                f"{names} are at the same place by the symmetry of {crystal.space_group}, where "
                f"their occupancies add up to {total:g}; at most 1 fits"
            )


def _shown(site: Site) -> str:
    place = ", ".join(f"{x:.4g}" for x in site.position)
    return f"{site.element} at ({place})"


def _phase(h: Sequence[int], translation: Sequence[int]) -> int:
    return sum(index * step for index, step in zip(h, translation, strict=True))


def _cell_system(group: gemmi.SpaceGroup) -> str:
    system = str(group.crystal_system_str())
    if system == "monoclinic":
        return f"monoclinic {group.monoclinic_unique_axis()}"
    if system == "trigonal" and group.ext == "R":
        return "rhombohedral"
    return system
