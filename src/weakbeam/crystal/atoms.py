"""Atoms of a crystal: the places that symmetry gives them, and whether they fit there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.symmetry import find_space_group


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


def _shown(site: Site) -> str:
    place = ", ".join(f"{x:.4g}" for x in site.position)
    return f"{site.element} at ({place})"
