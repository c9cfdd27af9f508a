"""The lattice that the atoms of a cell have, which may be finer than that of its space group.

A cell of fcc aluminium that is written in P 1 with four atoms, or any supercell, has translations
that its symbol does not tell of. Dislocations obey the atoms: the Burgers vector of a perfect one
is a vector of their lattice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.crystal.atoms import ONE_SITE_ANGSTROM, AtomicStructure, Site, expand_sites
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.symmetry import Centring, centring_vectors

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

SAME_COORDINATE = 1.05e-3
"""Fractional coordinates that differ by no more are equal: two that are rounded to three digits."""

SAME_OCCUPANCY = 2e-3
"""Occupancies of one element that differ by no more are equal."""

_PROBES = 16
"""Atoms that a translation is tried on before all of them."""

Integers = NDArray[np.int64]
_Step = tuple[int, int, int]


def lattice_of_atoms(crystal: AtomicStructure) -> tuple[Centring, tuple[Site, ...]]:
    """Find every translation that takes the atoms of a crystal to atoms of the same kind.

    Kinds are elements with their occupancies; temperature factors do not count, nor do
    displacements within the rounding of the coordinates (`SAME_COORDINATE`, and at most
    `ONE_SITE_ANGSTROM`).

    Parameters
    ----------
    crystal : AtomicStructure
        Its atoms on special positions exactly there.

    Returns
    -------
    centring : tuple of tuples of 3 Fraction
        Lattice points inside the cell, the origin first; at least those of the space group.
    sites : tuple of Site
        The same atoms; where there are more lattice points than those of the space group, moved
        within the rounding to places that repeat exactly, so that reflections that the lattice
        forbids vanish.

    Notes
    -----
    The translations T modulo whole cells are a group that acts freely on the atoms of each kind, so
    its order divides the greatest common divisor g of their numbers, and components of T are
    multiples of 1/g.
    """
    cell, space_group, sites = crystal
    known = centring_vectors(space_group)
    expanded = [positions for _, positions in expand_sites(space_group, sites)]
    kinds = _kinds(sites)
    members = [
        np.concatenate([expanded[n] for n in range(len(sites)) if kinds[n] == kind])
        for kind in range(max(kinds, default=-1) + 1)
    ]
    common = math.gcd(*(len(positions) for positions in members))
    if common <= len(known):
        return known, tuple(sites)
    group, repeated = _group(cell, members, common)
    if len(group) <= len(known):
        return known, tuple(sites)
    centring = tuple(
        (Fraction(x, common), Fraction(y, common), Fraction(z, common)) for x, y, z in sorted(group)
    )
    moved, taken = [], [0] * len(members)
    for site, kind, positions in zip(sites, kinds, expanded, strict=True):
        # The first image of a site is the site itself, up to whole cells.
        here = repeated[kind][taken[kind]]
        taken[kind] += len(positions)
        step = (here - np.array(site.position) + 0.5) % 1 - 0.5
        x, y, z = (np.array(site.position) + step).tolist()
        moved.append(site._replace(position=(x, y, z)))
    return centring, tuple(moved)


def lattice_of_axes(cell: UnitCell, centring: Centring, tolerance: float = 1e-3) -> str:
    """Bravais lattice of the points of a cell, read off its edges and angles as they are.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    centring : tuple of tuples of 3 Fraction
        Lattice points inside it.
    tolerance : float
        Relative difference of edges, and difference of angles (rad), that counts as none.

    Returns
    -------
    str
        In words, as `weakbeam.crystal.symmetry.lattice_type` has them: "cubic F", "hexagonal P".
        A set of points that no conventional cell has is told by its number: "cubic, 8 points".
    """
    letters = {frozenset(centring_vectors(group)): group[0] for group in _CENTRED}
    letter = letters.get(frozenset(centring))
    equal = [
        abs(edge - other) <= tolerance * edge
        for edge, other in ((cell.a, cell.b), (cell.b, cell.c), (cell.c, cell.a))
    ]
    angles = np.array([cell.alpha, cell.beta, cell.gamma])
    near = np.degrees(tolerance)
    right = np.abs(angles - 90.0) <= near
    if right.all():
        system = {3: "cubic", 1: "tetragonal", 0: "orthorhombic"}.get(sum(equal), "tetragonal")
    elif right[:2].all() and equal[0] and abs(cell.gamma - 120.0) <= near:
        system = "rhombohedral" if letter == "R" else "hexagonal"
    elif all(equal) and np.ptp(angles) <= near:
        system = "rhombohedral"
    else:
        system = "monoclinic" if right.sum() == 2 else "triclinic"
    return f"{system} {letter}" if letter else f"{system}, {len(centring)} points"


_CENTRED = ("P 1", "A 1", "B 1", "C 1", "F 1", "I 1", "R 3")


def _kinds(sites: Sequence[Site]) -> list[int]:
    """Return the number of the kind of each site, the same for equal elements and occupancies."""
    order = sorted(range(len(sites)), key=lambda n: (sites[n].element, sites[n].occupancy))
    kinds = [0] * len(sites)
    for last, n in pairwise(order):
        same = (
            sites[n].element == sites[last].element
            and sites[n].occupancy - sites[last].occupancy <= SAME_OCCUPANCY
        )
        kinds[n] = kinds[last] + (not same)
    return kinds


def _group(
    cell: UnitCell, members: Sequence[Floats], common: int
) -> tuple[set[_Step], list[Floats]]:
    """Return the translations, in units of 1/common, and the atoms made periodic with them."""
    group: set[_Step] = {(0, 0, 0)}
    current = list(members)
    rarest = min(range(len(members)), key=lambda kind: len(members[kind]))
    trees = [_tree(positions) for positions in current]
    probes = [np.arange(min(_PROBES, len(positions))) for positions in current]
    for step in _candidates(members[rarest], common):
        if step in group:
            continue
        images = []
        for kind, positions in enumerate(current):
            image = _images(cell, trees[kind], positions, np.array(step) / common, probes[kind])
            if isinstance(image, int):
                # What refused this one is likely to refuse the next.
                probes[kind] = np.append(probes[kind][-_PROBES:], image)
                break
            images.append(image)
        else:
            larger = _closure(group, step, common)
            if common % len(larger):
                continue
            group = larger
            current = [
                _averaged(positions, image, step, common)
                for positions, image in zip(current, images, strict=True)
            ]
            trees = [_tree(positions) for positions in current]
    return group, current


def _candidates(positions: Floats, common: int) -> list[_Step]:
    """Return the steps from one atom to all others of its kind, the most exact first.

    Each component is the multiple of 1/d within the tolerance whose d is smallest.
    """
    steps = (positions - positions[0]) % 1.0
    snapped = np.full(steps.shape, -1, dtype=np.int64)
    residual = np.full(steps.shape, np.inf)
    for divisor in range(1, common + 1):
        if common % divisor:
            continue
        nearest = np.round(steps * divisor)
        off = np.abs(steps - nearest / divisor)
        take = (snapped < 0) & (off <= SAME_COORDINATE)
        snapped[take] = (nearest[take].astype(np.int64) * (common // divisor)) % common
        residual[take] = off[take]
    worst = residual.max(axis=1)
    order = np.argsort(worst, kind="stable")
    return [(x, y, z) for x, y, z in snapped[order[np.isfinite(worst[order])]].tolist()]


def _closure(group: set[_Step], step: _Step, common: int) -> set[_Step]:
    larger, multiple = set(group), step
    while multiple not in group:
        larger |= {_sum(member, multiple, common) for member in group}
        multiple = _sum(multiple, step, common)
    return larger


def _sum(first: _Step, second: _Step, common: int) -> _Step:
    x, y, z = ((a + b) % common for a, b in zip(first, second, strict=True))
    return x, y, z


def _tree(positions: Floats) -> cKDTree:
    # Imported here, for few crystals need it and it takes longer than most commands' start.
    from scipy.spatial import cKDTree

    return cKDTree(_in_cell(positions), boxsize=1.0)


def _in_cell(positions: Floats) -> Floats:
    inside = positions % 1.0
    inside[inside == 1.0] = 0.0  # of -1e-17
    return inside


def _images(
    cell: UnitCell, tree: cKDTree, positions: Floats, step: Floats, probes: Integers
) -> Integers | int:
    """Return which atom each one is taken to, or the number of one that is taken to none.

    The probes are tried first, then ever more atoms at a time: most steps are refused early.
    """
    total = len(positions)
    ends = [0, *takewhile(lambda n: n < total, (64 * 4**k for k in range(32))), total]
    parts = [np.arange(start, end) for start, end in pairwise(ends)]
    images = []
    for chosen in (probes, *parts):
        target = positions[chosen] + step
        _, image = tree.query(_in_cell(target), p=np.inf, distance_upper_bound=SAME_COORDINATE)
        lost = image == total
        apart = (positions[np.where(lost, 0, image)] - target + 0.5) % 1 - 0.5
        lost |= np.linalg.norm(cell.direction(apart), axis=-1) > ONE_SITE_ANGSTROM
        if lost.any():
            return int(chosen[np.argmax(lost)])
        images.append(image)
    image_of_each = np.concatenate(images[1:]).astype(np.int64)
    return image_of_each if len(np.unique(image_of_each)) == total else 0


def _averaged(positions: Floats, image: Integers, step: _Step, common: int) -> Floats:
    """Return the atoms, each at the mean of its images taken back."""
    order = common // math.gcd(common, *step)
    total, now = np.zeros_like(positions), np.arange(len(positions))
    for turn in range(order):
        back = positions[now] - turn * np.array(step) / common
        total += (back - positions + 0.5) % 1 - 0.5
        now = image[now]
    return np.asarray(positions + total / order)
