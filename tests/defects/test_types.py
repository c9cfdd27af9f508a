import numpy as np
import pytest

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import unit
from weakbeam.crystal.materials import material
from weakbeam.crystal.slip import burgers_vector, line_of_character, slip_systems
from weakbeam.crystal.symmetry import centring_vectors
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import displacement_gradient
from weakbeam.defects.types import (
    UNSEEN,
    burgers_vectors,
    characters,
    dislocation_types,
    seen_distortion,
    straight_lines,
)


def types_of(name, step=10.0, families=None):
    m = material(name)
    systems = slip_systems(m.structure, families)
    return dislocation_types(m.cell, centring_vectors(m.space_group), systems, characters(step))


@pytest.fixture(scope="module")
def fcc():
    return types_of("Al")


def seen(name, types, *reflections):
    m = material(name)
    normals = [unit(m.cell.plane_normal(hkl)) for hkl in reflections]
    return seen_distortion(types, normals, IsotropicMedium(m.poisson_ratio))


class TestFaceCentred:
    def test_864_combinations_make_432_types(self, fcc):
        assert len(fcc) == 432
        combinations = {member for one in fcc for member in one.members}
        assert len(combinations) == 864
        assert len({c.plane for c in combinations}) == 4
        assert len({c.burgers for c in combinations}) == 12
        assert len({c.character_deg for c in combinations}) == 36
        assert [one.number for one in fcc] == list(range(432))

    def test_24_combinations_are_invisible_all_of_them_screws_across_g(self, fcc):
        g = np.array([-1, 1, -1])
        unseen = seen("Al", fcc, g) < UNSEEN
        hidden = [one for one in fcc if unseen[one.number]]
        assert sum(len(one.members) for one in hidden) == 24
        assert sum(len(one.members) for one in fcc) - 24 == 840
        assert all(one.character_deg in (90.0, 270.0) for one in hidden)
        assert all(np.dot(one.burgers, g) == 0 for one in hidden)

    def test_what_two_reflections_hide_both_of_them_hide(self, fcc):
        both = seen("Al", fcc, (-1, 1, -1), (1, 1, 1)) < UNSEEN
        first, second = (seen("Al", fcc, g) < UNSEEN for g in ((-1, 1, -1), (1, 1, 1)))
        np.testing.assert_array_equal(both, first & second)
        # Only screws along the zone axis of the two.
        assert {one.burgers for one in fcc if both[one.number]} == {(1, 0, -1)}

    def test_screws_of_two_planes_are_one_line(self, fcc):
        screws = [one for one in fcc if one.same_as]
        assert len(screws) == 24
        for one in screws:
            (other,) = (fcc[number] for number in one.same_as)
            assert other.plane != one.plane
            assert other.same_as == (one.number,)
            assert other.burgers_vector == one.burgers_vector
            np.testing.assert_allclose(other.line, one.line, atol=1e-15)

    def test_all_other_lines_differ(self, fcc):
        keys = {(*np.round(one.burgers_vector, 9), *np.round(one.line, 9) + 0.0) for one in fcc}
        assert len(keys) == 432 - 12


@pytest.mark.parametrize("name", ["Al", "Fe", "Ti", "Si"])
def test_every_member_of_a_type_has_the_same_field(name):
    m = material(name)
    points = np.random.default_rng(1).normal(size=(5, 3))
    for one in types_of(name, 30.0)[::7]:
        fields = []
        for plane, burgers, angle in one.members:
            line = line_of_character(m.cell, burgers, plane, angle)
            vector = burgers_vector(m.cell, centring_vectors(m.space_group), burgers)
            dislocation = StraightLine(vector, line, np.zeros(3))
            fields.append(
                displacement_gradient(points, dislocation, IsotropicMedium(m.poisson_ratio))
            )
        np.testing.assert_array_equal(fields[0], fields[1])
        plane, burgers, angle = one.members[0]
        line = line_of_character(m.cell, burgers, plane, angle)
        np.testing.assert_allclose(one.line, line, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "families", "systems"),
    [
        ("Fe", None, 48),
        ("Fe", ["{110}<111>"], 12),
        ("Ti", None, 30),
        ("Ti", ["basal", "prismatic"], 6),
    ],
)
def test_any_crystal_with_slip_systems(name, families, systems):
    types = types_of(name, 15.0, families)
    assert len(types) == 24 * systems
    m = material(name)
    for one in types:
        assert abs(one.line @ unit(m.cell.plane_normal(one.plane))) < 1e-12
        assert abs(np.array(one.burgers_vector) @ m.cell.plane_normal(one.plane)) < 1e-12
        screw = one.line @ unit(one.burgers_vector)
        assert screw == pytest.approx(np.sin(np.radians(one.character_deg)), abs=1e-12)


def test_basal_edges_are_invisible_in_a_basal_reflection_where_theory_says():
    # g is along the plane normal: g.b = 0 for all of them, g.(b x t) only for screws.
    types = types_of("Ti", 10.0, ["basal"])
    hidden = seen("Ti", types, (0, 0, 2)) < UNSEEN
    assert {one.character_deg for one in types if hidden[one.number]} == {90.0, 270.0}
    # Prismatic edges lie along c, thus along g, and vanish as well.
    types = types_of("Ti", 10.0, ["prismatic"])
    hidden = seen("Ti", types, (0, 0, 2)) < UNSEEN
    assert {one.character_deg for one in types if hidden[one.number]} == {0, 90, 180, 270}


def test_a_system_counts_once_whatever_its_signs():
    m = material("Al")
    systems = [((1, 1, 1), (1, 0, -1)), ((-1, -1, -1), (-1, 0, 1)), ((1, 1, 1), (2, 0, -2))]
    types = dislocation_types(
        m.cell, centring_vectors(m.space_group), systems, [0.0, 360.0, 90.0, -270.0]
    )
    assert [one.character_deg for one in types] == [0.0, 90.0]
    assert types[0].burgers == (1, 0, -1)
    assert types[1].name == "(1 1 1) [1 0 -1] 90 deg"


def test_turned_keeps_the_system(fcc):
    one = fcc[9].turned(-30.0)
    assert (one.number, one.character_deg, one.same_as) == (9, 330.0, ())
    b = unit(one.burgers_vector)
    np.testing.assert_allclose(one.line @ b, -0.5, atol=1e-15)


def test_lines_in_the_sample_frame(fcc):
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    lines = straight_lines(fcc[:2], [[1, 2, 3], [4, 5, 6]], turn, [2e-4, 3e-4])
    np.testing.assert_allclose(lines.burgers_vectors[1], turn @ fcc[1].burgers_vector)
    np.testing.assert_allclose(lines.lines[1], turn @ fcc[1].line, atol=1e-15)
    assert lines.core_radii.tolist() == [2e-4, 3e-4]
    np.testing.assert_array_equal(burgers_vectors(fcc[:2])[1], fcc[1].burgers_vector)
    assert straight_lines(fcc[:1], [[0, 0, 0]], turn, 0.0).core_radii == [0.0]


@pytest.mark.parametrize("step", [0.0, -10.0, 7.0, 361.0, 1e9])
def test_steps_must_divide_the_circle(step):
    with pytest.raises(ValueError, match="whole number of steps"):
        characters(step)


def test_nothing_makes_no_types():
    m = material("Al")
    with pytest.raises(ValueError, match="no slip system"):
        dislocation_types(m.cell, centring_vectors(m.space_group), [], [0.0])
    with pytest.raises(ValueError, match="does not lie in the plane"):
        dislocation_types(m.cell, centring_vectors(m.space_group), [((1, 1, 1), (1, 1, 0))], [0.0])
