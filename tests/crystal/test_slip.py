import math
from itertools import product

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.materials import MATERIALS, material
from weakbeam.crystal.slip import (
    LATTICES,
    burgers_vector,
    character_of_line,
    direction_3_from_4,
    lies_in_plane,
    line_direction,
    line_of_character,
    plane_3_from_4,
    slip_families,
    slip_systems,
)
from weakbeam.crystal.symmetry import centring_vectors, lattice_type

STRUCTURES = ("fcc", "bcc", "hcp", "diamond", "zincblende", "wurtzite")

WITH_STRUCTURE = [entry for entry in MATERIALS.values() if entry.structure is not None]


def length(name, uvw):
    entry = material(name)
    return np.linalg.norm(burgers_vector(entry.cell, centring_vectors(entry.space_group), uvw))


# Burgers vectors in nm (Hirth & Lothe 1982; Frost & Ashby, Deformation-Mechanism Maps, 1982).
@pytest.mark.parametrize(
    ("name", "uvw", "nanometres"),
    [
        ("Al", (1, 0, -1), 0.286),
        ("Cu", (1, 1, 0), 0.256),
        ("Ni", (0, 1, 1), 0.249),
        ("Au", (1, -1, 0), 0.288),
        ("Ag", (1, 0, 1), 0.289),
        ("Fe", (1, 1, 1), 0.248),
        ("W", (1, -1, 1), 0.274),
        ("Mo", (-1, 1, 1), 0.273),
        ("Ta", (1, 1, -1), 0.286),
        ("Nb", (1, 1, 1), 0.286),
        ("Ti", (1, 0, 0), 0.295),
        ("Mg", (1, 1, 0), 0.321),
        ("Zn", (0, 1, 0), 0.267),
        ("Ti", (0, 0, 1), 0.468),
        ("Mg", (1, 1, 1), 0.612),
        ("Si", (0, 1, 1), 0.384),
        ("Ge", (1, 1, 0), 0.400),
        ("diamond", (1, 1, 0), 0.252),
        ("GaAs", (1, 0, -1), 0.400),
        ("GaN", (1, 0, 0), 0.319),
    ],
)
def test_burgers_vectors_have_their_tabulated_lengths(name, uvw, nanometres):
    assert length(name, uvw) * 1e3 == pytest.approx(nanometres, abs=6e-4)


@pytest.mark.parametrize(
    ("space_group", "uvw", "fraction"),
    [
        ("F m -3 m", (1, 0, -1), 1 / 2),
        ("F m -3 m", (1, 0, 0), 1),
        ("F m -3 m", (1, 1, 1), 1),
        ("F m -3 m", (1, 1, 2), 1 / 2),
        ("F m -3 m", (1, 2, 3), 1 / 2),
        ("I m -3 m", (1, 1, 1), 1 / 2),
        ("I m -3 m", (1, 0, 0), 1),
        ("I m -3 m", (1, 1, 0), 1),
        ("I m -3 m", (3, -1, 1), 1 / 2),
        ("P m -3 m", (1, 1, 1), 1),
        ("C 2/m", (1, 1, 0), 1 / 2),
        ("C 2/m", (1, 0, 1), 1),
        ("R -3 m:H", (2, 1, 1), 1 / 3),
        ("R -3 m:H", (1, 2, 2), 1 / 3),
        ("R -3 m:H", (1, 2, 1), 1),
        ("R -3 m:R", (1, 1, 1), 1),
    ],
)
@pytest.mark.parametrize("multiple", [1, 2, -3])
def test_shortest_vector_takes_the_centring_into_account(space_group, uvw, fraction, multiple):
    cell = UnitCell(4.1, 5.3, 6.7, 81.0, 97.0, 103.0)
    found = burgers_vector(cell, centring_vectors(space_group), [multiple * i for i in uvw])
    expected = math.copysign(fraction, multiple) * cell.direction(uvw) * 1e-4
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-20)


@pytest.mark.parametrize(
    "space_group", ["P 1", "A m m 2", "C 2/m", "R -3 m:H", "I 41/a", "F d d d"]
)
def test_shortest_vector_agrees_with_a_search_through_the_lattice(space_group):
    cell = UnitCell.cubic(1.0)
    corners = np.array(list(product(range(-3, 4), repeat=3)))
    centring = np.array(centring_vectors(space_group), dtype=float)
    lattice = (corners[:, None, :] + centring).reshape(-1, 3)
    for uvw in product((-2, 0, 1, 3), repeat=3):
        if not any(uvw):
            continue
        along = lattice[np.linalg.norm(np.cross(lattice, uvw), axis=1) < 1e-9]
        distances = np.linalg.norm(along[along @ uvw > 1e-9], axis=1)
        found = np.linalg.norm(burgers_vector(cell, centring_vectors(space_group), uvw)) * 1e4
        assert found == pytest.approx(distances.min(), rel=1e-12)


def test_every_slip_direction_of_every_material_is_a_shortest_vector_of_its_kind():
    factors = {"fcc": 1 / 2, "bcc": 1 / 2, "diamond": 1 / 2, "zincblende": 1 / 2}
    for entry in WITH_STRUCTURE:
        for _, direction in slip_systems(entry.structure):
            found = burgers_vector(entry.cell, centring_vectors(entry.space_group), direction)
            expected = factors.get(entry.structure, 1) * entry.cell.direction(direction) * 1e-4
            np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-20)


@pytest.mark.parametrize("uvw", [(0, 0, 0), (0.5, 0, 0.5), (1, 1)])
def test_directions_without_a_vector_are_refused(uvw):
    with pytest.raises(ValueError, match="burgers"):
        burgers_vector(material("Al").cell, centring_vectors("F m -3 m"), uvw)


def test_lies_in_plane_is_exact():
    assert lies_in_plane((1, 0, -1), (1, 1, 1))
    assert not lies_in_plane((1, 0, 1), (1, 1, 1))
    large = 10**12
    assert lies_in_plane((large, 1, 0), (1, -large, 0))
    assert not lies_in_plane((large, 1, 0), (1, -large + 1, 0))


@pytest.mark.parametrize(
    ("structure", "counts"),
    [
        ("fcc", [12]),
        ("diamond", [12]),
        ("zincblende", [12]),
        ("bcc", [12, 12, 24]),
        ("hcp", [3, 3, 6, 12, 6]),
        ("wurtzite", [3, 3, 6, 12, 6]),
    ],
)
def test_counts_of_slip_systems(structure, counts):
    families = slip_families(structure)
    assert [len(systems) for systems in families.values()] == counts
    assert len(slip_systems(structure)) == sum(counts)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_slip_directions_lie_in_their_planes_and_occur_once(structure):
    for systems in slip_families(structure).values():
        seen = set()
        for plane, direction in systems:
            assert sum(h * u for h, u in zip(plane, direction, strict=True)) == 0
            assert math.gcd(*direction) == math.gcd(*plane) == 1
            for sign_p, sign_d in product((1, -1), repeat=2):
                seen.add((tuple(sign_p * h for h in plane), tuple(sign_d * u for u in direction)))
        assert len(seen) == 4 * len(systems)


@pytest.mark.parametrize(
    ("structure", "space_group"), [("fcc", "F m -3 m"), ("bcc", "I m -3 m"), ("hcp", "P 63/m m c")]
)
def test_a_family_is_what_the_space_group_makes_of_one_system(structure, space_group):
    operations = gemmi.find_spacegroup_by_name(space_group).operations().sym_ops
    rotations = [np.array(op.rot) // gemmi.Op.DEN for op in operations]
    for systems in slip_families(structure).values():
        first = systems[0]
        orbit = set()
        for rotation in rotations:
            plane = np.rint(np.linalg.inv(rotation).T @ first.plane).astype(int)
            orbit.add((positive(plane), positive(rotation @ first.direction)))
        assert orbit == {(positive(s.plane), positive(s.direction)) for s in systems}


def positive(indices):
    values = tuple(int(i) for i in indices)
    return max(values, tuple(-i for i in values))


@pytest.mark.parametrize("name", ["Ti", "Mg", "Zn"])
def test_lengths_of_hexagonal_slip_directions(name):
    cell = material(name).cell
    for family, systems in slip_families("hcp").items():
        expected = math.hypot(cell.a, cell.c) if "<c+a>" in family else cell.a
        for _, direction in systems:
            assert length(name, direction) * 1e4 == pytest.approx(expected, rel=1e-13)


def test_families_can_be_chosen():
    chosen = slip_systems("bcc", ["{112}<111>", "{110}<111>"])
    families = slip_families("bcc")
    assert chosen == families["{112}<111>"] + families["{110}<111>"]
    with pytest.raises(ValueError, match="did you mean 'prismatic'"):
        slip_systems("hcp", ["prism"])
    with pytest.raises(ValueError, match="'sc' has no slip systems"):
        slip_families("sc")


def test_four_indices_become_three():
    assert plane_3_from_4((1, 0, -1, 1)) == (1, 0, 1)
    assert direction_3_from_4((2, -1, -1, 0)) == (1, 0, 0)
    assert direction_3_from_4((1, 1, -2, 0)) == (1, 1, 0)
    assert direction_3_from_4((1, 1, -2, 3)) == (1, 1, 1)
    assert direction_3_from_4((0, 0, 0, 1)) == (0, 0, 1)
    with pytest.raises(ValueError, match="sum to zero"):
        plane_3_from_4((1, 0, 1, 1))
    with pytest.raises(ValueError, match="sum to zero"):
        direction_3_from_4((1, 1, 2, 0))


def test_four_index_direction_is_the_sum_of_its_vectors():
    cell = material("Mg").cell
    a1, a2, c = cell.direct.T
    for u, v, w in product((-2, 0, 1, 3), repeat=3):
        if (u, v, w) != (0, 0, 0):
            four_term = u * a1 + v * a2 + (-u - v) * (-a1 - a2) + w * c
            three_index = line_direction(cell, direction_3_from_4((u, v, -u - v, w)))
            np.testing.assert_allclose(three_index, unit(four_term), atol=1e-14)


def test_line_of_the_default_dislocation_is_an_edge():
    cell = material("Al").cell
    line = line_direction(cell, (1, -2, 1))
    np.testing.assert_allclose(line, np.array([1, -2, 1]) / math.sqrt(6), atol=1e-15)
    assert character_of_line(cell, (1, 0, -1), (1, 1, 1), line) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(
        line_of_character(cell, (1, 0, -1), (1, 1, 1), 0.0), line, atol=1e-15
    )
    screw = line_of_character(cell, (1, 0, -1), (1, 1, 1), 90.0)
    np.testing.assert_allclose(screw, np.array([1, 0, -1]) / math.sqrt(2), atol=1e-15)


SYSTEMS = [(n, s) for n in ("Al", "Fe", "Ti") for s in slip_systems(material(n).structure)]


@given(system=st.sampled_from(SYSTEMS), psi=st.floats(-179.999, 180.0))
def test_character_and_line_are_inverse(system, psi):
    name, (plane, burgers) = system
    cell = material(name).cell
    line = line_of_character(cell, burgers, plane, psi)
    assert np.linalg.norm(line) == pytest.approx(1, abs=1e-14)
    assert line @ unit(cell.plane_normal(plane)) == pytest.approx(0, abs=1e-14)
    assert line @ unit(cell.direction(burgers)) == pytest.approx(
        math.sin(math.radians(psi)), abs=1e-14
    )
    assert character_of_line(cell, burgers, plane, 3.7 * line) == pytest.approx(psi, abs=1e-9)


@given(system=st.sampled_from(SYSTEMS), psi=st.floats(-180.0, 180.0))
def test_character_turns_the_line_right_handed_about_the_plane_normal(system, psi):
    name, (plane, burgers) = system
    cell = material(name).cell
    edge = line_of_character(cell, burgers, plane, 0.0)
    turned = line_of_character(cell, burgers, plane, psi)
    normal = unit(cell.plane_normal(plane))
    assert np.cross(edge, turned) @ normal == pytest.approx(math.sin(math.radians(psi)), abs=1e-14)


def test_reversing_the_burgers_vector_reverses_the_line():
    cell = material("Al").cell
    first = line_of_character(cell, (1, 0, -1), (1, 1, 1), 35.0)
    second = line_of_character(cell, (-1, 0, 1), (1, 1, 1), 35.0)
    np.testing.assert_allclose(first, -second, atol=1e-15)


def test_lines_and_burgers_vectors_outside_the_plane_are_refused():
    cell = material("Al").cell
    with pytest.raises(ValueError, match=r"\[1, 0, 1\] does not lie in the plane \(1, 1, 1\)"):
        line_of_character(cell, (1, 0, 1), (1, 1, 1), 0.0)
    with pytest.raises(ValueError, match="line does not lie in the plane"):
        character_of_line(cell, (1, 0, -1), (1, 1, 1), (1.0, 1.0, 1.01))


def test_every_material_has_the_lattice_of_its_structure():
    for entry in WITH_STRUCTURE:
        assert lattice_type(entry.space_group) == LATTICES[entry.structure], entry.name
    assert all(slip_families(structure) for structure in LATTICES)
