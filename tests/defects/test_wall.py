"""Closed forms of walls against explicit sums and the textbook's far fields (physics.md, D4)."""

import numpy as np
import pytest

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.field import Superposition, evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations
from weakbeam.defects.wall import (
    DislocationWall,
    WallField,
    bipolar_wall,
    dipole_wall,
    stacking_direction,
    twist_wall,
)
from weakbeam.instrument.goniometer import rotation_x, rotation_z

B, NU, H = 2.8634e-4, 0.334, 0.25
MEDIUM = IsotropicMedium(NU)
TURN = rotation_z(0.4) @ rotation_x(-1.1)
X, Y, T = TURN.T


def dislocation(angle_to_line, core=B, position=(0.3, -0.2, 0.7)):
    """A line along T with b at `angle_to_line` degrees from it in the plane of T and X."""
    angle = np.radians(angle_to_line)
    return StraightLine(B * (np.sin(angle) * X + np.cos(angle) * T), T, position, core)


def direction(degrees):
    """Stacking direction at an angle from X in the plane across the line."""
    return np.cos(np.radians(degrees)) * X + np.sin(np.radians(degrees)) * Y


def scattered(reach, count=300, seed=0):
    return reach * np.random.default_rng(seed).uniform(-1, 1, size=(count, 3))


def relative(found, expected):
    """Largest error of any component, relative to the largest component at the same point."""
    size = np.abs(expected).max((1, 2))
    return np.max(np.abs(found - expected).max((1, 2)) / size)


def strain_and_stress(beta):
    strain = 0.5 * (beta + np.swapaxes(beta, -1, -2))
    trace = np.trace(strain, axis1=-2, axis2=-1)[..., None, None]
    return strain, strain + NU / (1 - 2 * NU) * trace * np.eye(3)


@pytest.mark.parametrize("count", [1, 2, 5, 10_000])
@pytest.mark.parametrize("core", [0.0, B, 0.1])
@pytest.mark.parametrize("stacking", [0.0, 90.0, 37.0, -120.0])
@pytest.mark.parametrize("angle", [0.0, 35.0, 90.0])
def test_a_wall_is_the_sum_of_its_lines(angle, stacking, core, count):
    wall = DislocationWall(dislocation(angle, core), direction(stacking), H, count)
    points = np.concatenate([scattered(1.0, 60), scattered(20.0, 60), scattered(5000.0, 60)])
    found = evaluate(WallField([wall], MEDIUM), points)
    assert relative(found, evaluate(StraightDislocations(wall.lines(), MEDIUM), points)) < 1e-9


@pytest.mark.parametrize("stacking", [0.0, 90.0, 37.0])
@pytest.mark.parametrize("angle", [0.0, 35.0, 90.0])
def test_an_infinite_wall_is_the_limit_of_finite_ones(angle, stacking):
    one = dislocation(angle)
    points = scattered(2.0)
    infinite = evaluate(WallField([DislocationWall(one, direction(stacking), H)], MEDIUM), points)
    finite = evaluate(
        WallField([DislocationWall(one, direction(stacking), H, 20_000_001)], MEDIUM), points
    )
    assert relative(finite, infinite) < 1e-5


def test_far_from_a_tilt_wall_the_lattice_is_turned_by_half_of_b_over_h():
    wall = DislocationWall(dislocation(90.0), Y, H)
    for side in (1.0, -1.0):
        point = wall.dislocation.position + side * 50.0 * X + 0.13 * Y
        beta = evaluate(WallField([wall], MEDIUM), point)
        expected = side * B / (2 * H) * (np.outer(X, Y) - np.outer(Y, X))
        np.testing.assert_allclose(beta, expected, rtol=0, atol=1e-12 * B / H)


def test_a_twist_wall_turns_the_lattice_and_leaves_no_stress():
    field = WallField(twist_wall([B * X, B * T], [0, 0, 0], [H, H], B), MEDIUM)
    jump = evaluate(field, 20.0 * Y) - evaluate(field, -20.0 * Y)
    strain, stress = strain_and_stress(jump)
    assert np.abs(stress).max() < 1e-3 * np.abs(jump).max()
    rotation = 0.5 * (jump - jump.T)
    assert np.linalg.norm(rotation, 2) == pytest.approx(B / H, rel=1e-9)
    one_array = WallField(twist_wall([B * X, B * T], [0, 0, 0], [H, H], B)[:1], MEDIUM)
    strain, _ = strain_and_stress(evaluate(one_array, 20.0 * Y))
    assert np.abs(strain).max() > 0.1 * B / H


def test_the_lines_of_a_twist_wall_run_along_their_burgers_vectors():
    walls = twist_wall([B * X, B * (X + T)], [0, 0, 0], [H, 2 * H], counts=[3, None])
    assert [wall.count for wall in walls] == [3, None]
    for wall in walls:
        one = wall.dislocation
        assert one.screw_part == pytest.approx(np.linalg.norm(one.burgers_vector))
        assert abs(wall.stacking @ Y) < 1e-12
    with pytest.raises(ValueError, match="parallel"):
        twist_wall([X, -2 * X], [0, 0, 0], [H, H])


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_a_bipolar_wall_alternates(count):
    wall = DislocationWall(dislocation(60.0), Y, H, count)
    lines = wall.lines()
    signs = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)[:, None]
    lines = StraightDislocations(
        [
            StraightLine(sign * d.burgers_vector, d.line, d.position, B)
            for sign, d in zip(signs[:, 0], lines, strict=True)
        ],
        MEDIUM,
    )
    found = evaluate(WallField(bipolar_wall(wall), MEDIUM), scattered(2.0))
    assert relative(found, evaluate(lines, scattered(2.0))) < 1e-11


def test_an_infinite_bipolar_wall_has_no_far_field():
    walls = bipolar_wall(DislocationWall(dislocation(60.0), Y, H))
    near, far = evaluate(
        WallField(walls, MEDIUM), dislocation(60.0).position + np.outer([0.1, 5.0], X)
    )
    assert np.abs(far).max() < 1e-12 * np.abs(near).max()


def test_a_dipole_wall_turns_the_lattice_between_its_halves_only():
    wall = DislocationWall(dislocation(90.0), Y, H)
    field = WallField(dipole_wall(wall, 4.0 * X), MEDIUM)
    left, between, right = evaluate(
        field, wall.dislocation.position + np.outer([-20.0, 2.0, 24.0], X)
    )
    assert np.linalg.norm(between, 2) == pytest.approx(B / H, rel=1e-9)
    assert max(np.abs(left).max(), np.abs(right).max()) < 1e-12


def test_stacking_directions_of_a_wall_and_a_row():
    one = dislocation(55.0)
    np.testing.assert_allclose(stacking_direction(one, "row"), X, atol=1e-12)
    np.testing.assert_allclose(stacking_direction(one, "wall"), Y, atol=1e-12)
    with pytest.raises(ValueError, match="screw"):
        stacking_direction(dislocation(0.0), "wall")


def test_walls_add_up_among_other_fields():
    walls = [
        DislocationWall(dislocation(20.0), Y, H, 5),
        DislocationWall(dislocation(70.0), X, 2 * H),
    ]
    points = scattered(3.0)
    parts = sum(evaluate(WallField([wall], MEDIUM), points) for wall in walls)
    both = evaluate(Superposition([WallField(walls, MEDIUM)]), points)
    np.testing.assert_allclose(both, parts, rtol=0, atol=1e-14 * np.abs(parts).max())


def test_the_centre_of_a_core_has_no_gradient_of_its_own():
    wall = DislocationWall(dislocation(30.0, core=0.01), Y, H, 3)
    beta = evaluate(WallField([wall], MEDIUM), wall.dislocation.position)
    assert np.abs(beta).max() < 1e-12
    singular = DislocationWall(dislocation(30.0, core=0.0), Y, H, 3)
    between = evaluate(WallField([singular], MEDIUM), singular.dislocation.position + 0.4 * H * Y)
    expected = evaluate(
        StraightDislocations(singular.lines(), MEDIUM), singular.dislocation.position + 0.4 * H * Y
    )
    np.testing.assert_allclose(between, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stacking": T + X}, "45 deg with the line"),
        ({"stacking": [0, 0, 0]}, "not all zero"),
        ({"spacing": 0.0}, "spacing"),
        ({"spacing": np.inf}, "spacing"),
        ({"count": 0}, "count 0"),
    ],
)
def test_what_is_no_wall_is_refused_in_one_line(changed, said):
    values = {"dislocation": dislocation(90.0), "stacking": Y, "spacing": H, "count": 3}
    with pytest.raises(ValueError, match=said) as caught:
        DislocationWall(**(values | changed))
    assert "\n" not in str(caught.value)


def test_an_infinite_wall_cannot_be_listed():
    with pytest.raises(ValueError, match="infinite"):
        DislocationWall(dislocation(90.0), Y, H).lines()


@pytest.mark.parametrize("count", [None, 7])
def test_some_of_the_lines_of_a_wall_are_counted_from_its_first(count):
    wall = DislocationWall(dislocation(30.0), Y, H, count)
    lines = wall.chosen(np.array([-2, 0, 3]))
    np.testing.assert_allclose(
        lines.positions - wall.first, H * np.outer([-2, 0, 3], Y), atol=1e-15
    )
    np.testing.assert_array_equal(lines.core_radii, B)


def test_a_turned_wall_has_the_turned_field():
    wall = DislocationWall(dislocation(30.0), direction(40.0), H, 5)
    turn = rotation_x(0.8) @ rotation_z(-2.0)
    points = scattered(2.0)
    beta = turn @ evaluate(WallField([wall], MEDIUM), points) @ turn.T
    turned = evaluate(WallField([wall.turned(turn)], MEDIUM), points @ turn.T)
    assert relative(turned, beta) < 1e-9
