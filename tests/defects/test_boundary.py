"""Boundaries from Frank's equation (physics.md, D5): densities, and the far field that results."""

import numpy as np
import pytest

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.slip import burgers_vector, line_direction
from weakbeam.crystal.symmetry import centring_vectors
from weakbeam.defects.boundary import (
    RECIPES,
    LineSet,
    UnsolvableBoundaryError,
    recipe,
    solve_boundary,
)
from weakbeam.defects.field import evaluate
from weakbeam.defects.wall import WallField
from weakbeam.instrument.goniometer import rotation_x, rotation_z

A = 4.0495
B = A / np.sqrt(2) * 1e-4
CELL = UnitCell.cubic(A)
FCC = centring_vectors("F m -3 m")
MEDIUM = IsotropicMedium(0.334)
ANGLE = np.radians(0.5)
TURN = rotation_z(0.4) @ rotation_x(-1.1)


def solved(name, angle=ANGLE):
    known = recipe(name, CELL, FCC)
    return solve_boundary(known.normal, known.axis, angle, known.sets)


def jump(boundary, walls, distance):
    """β on the side of n minus β on the other side, at the same place in the plane."""
    field = WallField(walls, MEDIUM)
    shift = distance * boundary.normal
    return evaluate(field, shift) - evaluate(field, -shift)


def mismatch(boundary, distortion):
    """Relative difference of distortion·V and Δω × V, over V in the boundary."""
    plane = np.linalg.svd(boundary.normal[None, :])[2][1:]
    wanted = np.cross(boundary.rotation, plane)
    return np.linalg.norm(plane @ distortion.T - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_satisfy_the_equation_of_frank(name):
    boundary = solved(name)
    assert boundary.residual < 1e-12
    for one in boundary.sets:
        assert np.linalg.norm(one.burgers_vector) == pytest.approx(B)


@pytest.mark.parametrize("name", RECIPES)
def test_the_published_ratios_are_those_that_free_densities_find(name):
    known = recipe(name, CELL, FCC)
    free = [LineSet(s.burgers_vector, s.line) for s in known.sets]
    found = solve_boundary(known.normal, known.axis, ANGLE, free)
    np.testing.assert_allclose(found.densities, solved(name).densities, rtol=1e-9)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("frame", [np.eye(3), TURN])
def test_the_far_field_jumps_by_the_rotation(name, frame):
    boundary = solved(name).turned(frame)
    walls = boundary.walls([0, 0, 0], B)
    assert mismatch(boundary, jump(boundary, walls, 10.0)) < 1e-9


@pytest.mark.parametrize("name", RECIPES)
def test_the_far_field_is_a_rotation_without_stress(name):
    boundary = solved(name)
    distortion = jump(boundary, boundary.walls([0, 0, 0], B), 10.0)
    x, y, z = boundary.rotation
    rotation = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    np.testing.assert_allclose(distortion, rotation, rtol=0, atol=1e-9 * ANGLE)


@pytest.mark.parametrize("name", RECIPES)
def test_a_boundary_of_finite_extent_turns_the_lattice_within_one_percent(name):
    boundary = solved(name)
    walls = boundary.walls([0, 0, 0], B, extent=400.0)
    assert all(wall.count * wall.spacing == pytest.approx(400.0, rel=1e-3) for wall in walls)
    assert mismatch(boundary, jump(boundary, walls, 1.0)) < 0.01


def test_an_opposite_rotation_reverses_the_burgers_vectors():
    one, other = solved("leds_eq14"), solved("leds_eq14", -ANGLE)
    np.testing.assert_allclose(other.densities, -one.densities, rtol=1e-12)
    walls = other.walls([0, 0, 0])
    assert mismatch(other, jump(other, walls, 10.0)) < 1e-9


def test_a_tilt_wall_has_the_spacing_of_the_textbook():
    edge = LineSet([B, 0, 0], [0, 0, 1])
    boundary = solve_boundary([1, 0, 0], [0, 0, 1], ANGLE, [edge])
    assert boundary.spacings[0] == pytest.approx(B / (2 * np.sin(ANGLE / 2)))
    (wall,) = boundary.walls([0, 0, 0])
    assert wall.count is None


def test_sets_with_parallel_lines_are_staggered():
    boundary = solved("leds_eq14")
    walls = boundary.walls([1.0, 2.0, 3.0])
    offsets = [
        (wall.dislocation.position - [1.0, 2.0, 3.0]) @ wall.stacking / wall.spacing
        for wall in walls
    ]
    np.testing.assert_allclose(offsets, [0.0, 0.5, 0.0], atol=1e-12)
    b, xi = np.array([B, 0, 0]), np.array([0.0, 0.0, 1.0])
    three = [LineSet(b, xi, 1.0), LineSet(-b, -xi, 1.0), LineSet(b, xi, 1.0)]
    places = [
        wall.dislocation.position[1] / wall.spacing % 1.0
        for wall in solve_boundary([1, 0, 0], xi, ANGLE, three).walls([0, 0, 0])
    ]
    np.testing.assert_allclose(sorted(places), [0, 1 / 3, 2 / 3], atol=1e-12)


def test_a_basal_twist_boundary_of_a_hexagonal_crystal():
    magnesium, group = UnitCell.hexagonal(3.2094, 5.2107), "P 63/m m c"
    directions = [(1, 0, 0), (0, 1, 0), (1, 1, 0)]
    sets = [
        LineSet(burgers_vector(magnesium, centring_vectors(group), d), line_direction(magnesium, d))
        for d in directions
    ]
    boundary = solve_boundary([0, 0, 1], [0, 0, 1], ANGLE, sets)
    # Three screw sets of 120 degrees: each carries a third of twice the rotation.
    expected = 2 / 3 * ANGLE / 3.2094e-4
    np.testing.assert_allclose(np.abs(boundary.densities), expected, rtol=1e-5)
    walls = boundary.walls([0, 0, 0])
    assert mismatch(boundary, jump(boundary, walls, 10.0)) < 1e-9


def test_a_prismatic_tilt_wall_of_a_hexagonal_crystal():
    titanium, group = UnitCell.hexagonal(2.9506, 4.6788), "P 63/m m c"
    b = burgers_vector(titanium, centring_vectors(group), (1, 0, 0))
    boundary = solve_boundary(unit(b), [0, 0, 1], ANGLE, [LineSet(b, [0, 0, 1])])
    assert boundary.spacings[0] == pytest.approx(2.9506e-4 / ANGLE, rel=1e-5)


def test_superfluous_sets_share_the_work():
    edge, screw = LineSet([B, 0, 0], [0, 0, 1]), LineSet([0, 0, B], [0, 0, 1])
    both = solve_boundary([1, 0, 0], [0, 0, 1], ANGLE, [edge, edge, screw])
    np.testing.assert_allclose(both.densities[:2] * B, -np.sin(ANGLE / 2), rtol=1e-9)
    assert both.spacings[2] == np.inf
    assert len(both.walls([0, 0, 0])) == 2


def test_densities_stay_positive_where_burgers_vectors_must_not_be_reversed():
    edge = LineSet([B, 0, 0], [0, 0, 1])
    sets = [edge, LineSet([-B, 0, 0], [0, 0, 1])]
    boundary = solve_boundary([1, 0, 0], [0, 0, 1], ANGLE, sets, reversible=False)
    assert boundary.densities[0] == 0.0
    assert boundary.densities[1] > 0.0
    with pytest.raises(UnsolvableBoundaryError):
        solve_boundary([1, 0, 0], [0, 0, 1], ANGLE, [edge], reversible=False)


def test_what_cannot_be_solved_says_how_far_it_came():
    edge = LineSet([B, 0, 0], [0, 0, 1])
    with pytest.raises(UnsolvableBoundaryError, match="best densities are") as caught:
        solve_boundary([1, 0, 0], [1, 0, 1], ANGLE, [edge])
    # Of Δω × V with Δω along x + z, the edges make the part of z: one of three equal squares.
    assert caught.value.residual == pytest.approx(np.sqrt(2 / 3))
    # Lines along +z with b along the normal turn that side about -z.
    expected = -np.sqrt(2) * np.sin(ANGLE / 2) / B
    assert caught.value.densities[0] == pytest.approx(expected)
    assert "\n" not in str(caught.value)


EDGE = LineSet([B, 0, 0], [0, 0, 1])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sets": [LineSet([B, 0, 0], [1, 0, 1])]}, "set 0 leaves the boundary by 45 deg"),
        ({"sets": []}, "at least one set"),
        ({"sets": [EDGE, LineSet([B, 0, 0], [0, 0, 1], 1.0)]}, "all sets"),
        ({"angle": 0.0}, "angle"),
        ({"normal": [0, 0, 0]}, "direction"),
    ],
)
def test_what_is_no_boundary_is_refused(changed, said):
    values = {"normal": [1, 0, 0], "axis": [0, 0, 1], "angle": ANGLE, "sets": [EDGE]}
    with pytest.raises(ValueError, match=said):
        solve_boundary(**(values | changed))


def test_sets_recipes_and_walls_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="burgers_vector"):
        LineSet([0, 0, 0], [0, 0, 1])
    with pytest.raises(ValueError, match="ratio"):
        LineSet([B, 0, 0], [0, 0, 1], -1.0)
    with pytest.raises(ValueError, match="leds_eq11, leds_eq14, frankus"):
        recipe("eq12", CELL, FCC)
    for cell, group in ((UnitCell.hexagonal(3, 5), "P 63/m m c"), (CELL, "Im-3m")):
        with pytest.raises(ValueError, match="face-centred cubic"):
            recipe("frankus", cell, centring_vectors(group))
    boundary = solved("frankus")
    with pytest.raises(ValueError, match="extent"):
        boundary.walls([0, 0, 0], extent=0.0)
    with pytest.raises(ValueError, match="too large"):
        solved("frankus", 2.5).walls([0, 0, 0])


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("degrees", [0.5, 2.0, -8.0])
def test_both_sides_are_turned_and_not_strained(name, degrees):
    """Fᵀ F = 1 on either side, and one is turned by θ about the axis against the other."""
    angle = np.radians(degrees)
    boundary = solved(name, angle)
    walls = boundary.walls([0, 0, 0], B)
    near = 20 * boundary.spacings[np.isfinite(boundary.spacings)].max()
    field, axis = WallField(walls, MEDIUM), recipe(name, CELL, FCC).axis
    upper, lower = (
        np.eye(3) + boundary.mean_gradient + evaluate(field, side * near * boundary.normal)
        for side in (1, -1)
    )
    for side in (upper, lower):
        np.testing.assert_allclose(side.T @ side, np.eye(3), rtol=0, atol=1e-9 * abs(angle))
    turn = upper @ lower.T
    assert np.arccos((np.trace(turn) - 1) / 2) == pytest.approx(abs(angle), rel=1e-7)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    np.testing.assert_allclose((turn - turn.T) / 2, np.sin(angle) * cross, atol=1e-8 * abs(angle))


def test_what_the_sides_share_turns_with_the_boundary():
    boundary = solved("leds_eq14", np.radians(3.0))
    turned = boundary.turned(TURN).mean_gradient
    np.testing.assert_allclose(turned, TURN @ boundary.mean_gradient @ TURN.T, atol=1e-15)
