"""The lattice of the atoms, found in cells whose symmetry tells less."""

import itertools
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbeam.crystal.atoms import AtomicStructure, Site, expand_sites, settle_sites
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.materials import MATERIALS, extinction_reason
from weakbeam.crystal.structure_factor import structure_factors
from weakbeam.crystal.symmetry import centring_vectors
from weakbeam.crystal.translations import lattice_of_atoms, lattice_of_axes

CUBIC = UnitCell.cubic(4.0495)
FCC = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]


def supercell(atoms, matrix):
    """Atoms (element, occupancy, place) of a cell in the cell whose edges are columns of matrix."""
    inverse, size = np.linalg.inv(matrix), round(abs(np.linalg.det(matrix)))
    reach = range(np.minimum(matrix, 0).sum(1).min(), np.maximum(matrix, 0).sum(1).max() + 1)
    found, seen = [], set()
    for element, occupancy, place in atoms:
        places = {}
        for shift in itertools.product(reach, repeat=3):
            offset = np.array(inverse @ shift)
            key = tuple(np.round(offset * size).astype(int) % size)
            places.setdefault(key, (inverse @ (np.array(place) + shift)) % 1.0)
        assert len(places) == size
        seen |= places.keys()
        found += [(element, occupancy, tuple(p.tolist())) for p in places.values()]
    points = {tuple(Fraction(int(n), size) for n in key) for key in seen}
    return found, points


@st.composite
def structures(draw):
    place = st.tuples(*[st.floats(0.0, 0.999)] * 3)
    kinds = st.sampled_from([("Al", 1.0), ("Cu", 1.0), ("Cu", 0.5)])
    atoms = draw(st.lists(st.tuples(kinds, place), min_size=1, max_size=3))
    steps = np.array([p for _, p in atoms])
    apart = np.abs((steps[:, None] - steps + 0.5) % 1 - 0.5).max(axis=-1)
    np.fill_diagonal(apart, 1.0)
    if apart.min() < 0.1:
        atoms = atoms[:1]
    # An atom of its own kind leaves the cell no translation: it is primitive.
    alone = [("Ni", 1.0, (0.0, 0.0, 0.0))]
    atoms = alone + [
        (*kind, p) for kind, p in atoms if np.abs((np.array(p) + 0.5) % 1 - 0.5).max() > 0.1
    ]
    edges = [[draw(st.integers(-1, 1)) for _ in range(3)] for _ in range(3)]
    for n in range(3):
        edges[n][n] = draw(st.integers(1, 3))
    return atoms, np.array(edges)


@given(structures(), st.sampled_from([None, 4]))
@settings(max_examples=40, deadline=None)
def test_supercells_have_the_lattice_of_the_primitive_cell(structure, digits):
    atoms, matrix = structure
    size = round(abs(np.linalg.det(matrix)))
    if size == 0:
        return
    found, points = supercell(atoms, matrix)
    places = [p if digits is None else tuple(round(x, digits) for x in p) for *_, p in found]
    sites = [Site(e, p, o) for (e, o, _), p in zip(found, places, strict=True)]
    centring, moved = lattice_of_atoms(
        AtomicStructure(UnitCell(5.0, 6.0, 7.0, 80.0, 95.0, 105.0), "P 1", sites)
    )
    assert set(centring) == points
    assert centring[0] == (0, 0, 0)
    # What the lattice forbids is extinct to the last digit, in spite of rounded coordinates.
    absent = next(
        (
            h
            for h in itertools.product(range(3), repeat=3)
            if any(sum(a * b for a, b in zip(h, p, strict=True)) % 1 for p in points)
        ),
        None,
    )
    if absent is not None:
        assert extinction_reason("P 1", moved, absent) is not None
    for before, after in zip(sites, moved, strict=True):
        step = (np.subtract(after.position, before.position) + 0.5) % 1 - 0.5
        assert np.abs(step).max() <= 1.05e-3
        assert after[::2] == before[::2]


@pytest.mark.parametrize(
    ("cell", "space_group", "sites", "points", "lattice"),
    [
        (CUBIC, "P 1", [("Al", p) for p in FCC], 4, "cubic F"),
        (CUBIC, "P m -3 m", [("Al", FCC[0]), ("Al", FCC[1])], 4, "cubic F"),
        (CUBIC, "P m -3 m", [("Ni", FCC[1]), ("Al", FCC[0])], 1, "cubic P"),  # L1₂
        (CUBIC, "P 4/m m m", [("Cu", (0, 0, 0)), ("Cu", (0.5, 0.5, 0.5))], 2, "cubic I"),
        (CUBIC, "P 1", [("Ni", (0, 0, 0)), ("Al", (0.5, 0.5, 0.5))], 1, "cubic P"),  # B2
        (CUBIC, "P 1", [("Al", (0, 0, 0)), ("Al", (0.5, 0.5, 0.5)), ("Al", (0.5, 0.5, 0))], 1,
         "cubic P"),
        (UnitCell(4, 4, 6), "P 1", [("Al", (0.1, 0, 0)), ("Al", (0.6, 0.5, 0.5))], 2,
         "tetragonal I"),
        (UnitCell(4, 5, 6), "P 1", [("Al", (0.1, 0.2, 0)), ("Al", (0.6, 0.7, 0))], 2,
         "orthorhombic C"),
        (UnitCell(4, 5, 6, 90, 95, 90), "P 1", [("Al", (0, 0, 0)), ("Al", (0, 0.5, 0.5))], 2,
         "monoclinic A"),
        (UnitCell.hexagonal(4, 9), "P 1",
         [("Bi", (0, 0, 0)), ("Bi", (0.667, 0.333, 0.333)), ("Bi", (0.333, 0.667, 0.667))], 3,
         "rhombohedral R"),
        (UnitCell.hexagonal(3.2, 5.2), "P 1",
         [("Mg", (1 / 3, 2 / 3, 0.25)), ("Mg", (2 / 3, 1 / 3, 0.75))], 1, "hexagonal P"),
        (UnitCell.cubic(8.099), "P 1",
         [("Al", ((p[0] + i) / 2, (p[1] + j) / 2, (p[2] + k) / 2)) for p in FCC
          for i in range(2) for j in range(2) for k in range(2)], 32, "cubic, 32 points"),
    ],
)  # fmt: skip
def test_lattices(cell, space_group, sites, points, lattice):
    centring, moved = lattice_of_atoms(
        AtomicStructure(cell, space_group, [Site(*site) for site in sites])
    )
    assert len(centring) == points
    assert set(centring) >= set(centring_vectors(space_group))
    assert lattice_of_axes(cell, centring) == lattice
    assert [site.element for site in moved] == [element for element, _ in sites]


@pytest.mark.parametrize("name", MATERIALS)
def test_materials_have_the_lattice_of_their_group_also_in_p_1(name):
    entry = MATERIALS[name]
    sites = [
        Site(element, tuple(place))
        for element, places in expand_sites(entry.space_group, entry.sites)
        for place in np.round(places, 4).tolist()
    ]
    assert lattice_of_atoms(entry.atomic_structure)[1] == entry.sites
    centring, moved = lattice_of_atoms(AtomicStructure(entry.cell, "P 1", sites))
    assert centring == centring_vectors(entry.space_group)
    # All reflections keep their strengths; those that the centring forbids lose theirs.
    hkl = [(h, k, m) for h in range(3) for k in range(3) for m in range(3) if h or k or m]
    ours = structure_factors(AtomicStructure(entry.cell, "P 1", moved), hkl, 17.0)
    table = structure_factors(entry.atomic_structure, hkl, 17.0)
    assert np.abs(ours) == pytest.approx(np.abs(table), abs=0.05)
    forbidden = [any(sum(map(np.multiply, h, p)) % 1 for p in centring) for h in hkl]
    assert np.abs(ours[forbidden]).max(initial=0.0) < 1e-9


def test_kinds_are_told_by_element_and_occupancy():
    def points(*occupancies, element="Fe"):
        places = [(0, 0, 0), (0.5, 0.5, 0.5)]
        mixed = [Site("Ni", p, 0.4) for p in places]
        sites = [Site(element, p, o) for p, o in zip(places, occupancies, strict=True)]
        return len(lattice_of_atoms(AtomicStructure(CUBIC, "P 1", sites + mixed))[0])

    assert points(0.6, 0.6) == points(0.6, 0.601) == 2
    assert points(0.6, 0.5) == 1
    sites = [Site("Fe", (0, 0, 0), b_factor=0.3), Site("Fe", (0.5, 0.5, 0.5), b_factor=0.31)]
    assert len(lattice_of_atoms(AtomicStructure(CUBIC, "P 1", sites))[0]) == 2


@pytest.mark.parametrize(("shift", "points"), [(0.0009, 2), (0.0012, 1), (0.01, 1)])
def test_a_shift_beyond_the_rounding_is_a_superstructure(shift, points):
    sites = [Site("Al", (0, 0, 0)), Site("Al", (0.5, 0.5, 0.5 + shift))]
    assert len(lattice_of_atoms(AtomicStructure(CUBIC, "P 1", sites))[0]) == points


def test_in_a_long_cell_the_rounding_is_taken_for_no_more_than_atoms_apart():
    sites = [Site("Al", (0, 0, 0)), Site("Al", (0, 0, 0.501))]
    assert len(lattice_of_atoms(AtomicStructure(UnitCell(4, 4, 40), "P 1", sites))[0]) == 2
    assert len(lattice_of_atoms(AtomicStructure(UnitCell(4, 4, 60), "P 1", sites))[0]) == 1


@pytest.mark.parametrize("displaced", [False, True])
def test_thousands_of_atoms_take_no_minute(displaced):
    places = [
        tuple((np.add(p, cell) / 10).tolist()) for p in FCC
        for cell in itertools.product(range(10), repeat=3)
    ]  # fmt: skip
    if displaced:
        places[1234] = tuple(np.add(places[1234], 0.004).tolist())
    start = time.perf_counter()
    centring, _ = lattice_of_atoms(
        AtomicStructure(UnitCell.cubic(40.5), "P 1", [Site("Al", p) for p in places])
    )
    assert len(centring) == (1 if displaced else 4000)
    assert time.perf_counter() - start < 20.0


def test_atoms_on_special_positions_stay_there():
    cell = UnitCell.hexagonal(3.2, 10.4)
    sites = settle_sites(
        AtomicStructure(
            cell,
            "P -3 m 1",
            [Site("Mg", (1 / 3, 2 / 3, 0.1251)), Site("Mg", (1 / 3, 2 / 3, 0.6249))],
        )
    )
    centring, moved = lattice_of_atoms(AtomicStructure(cell, "P -3 m 1", sites))
    assert centring == ((0, 0, 0), (0, 0, Fraction(1, 2)))
    assert [len(p) for _, p in expand_sites("P -3 m 1", moved)] == [2, 2]
    assert moved[0].position == pytest.approx((1 / 3, 2 / 3, 0.125))
