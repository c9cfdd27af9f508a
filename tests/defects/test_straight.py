"""Identities of the elastic field of straight dislocations (physics.md, D2 and D3)."""

import numpy as np
import pytest

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations, displacement_gradient
from weakbeam.instrument.goniometer import rotation_x, rotation_y, rotation_z

B, NU = 2.8634e-4, 0.334
MEDIUM = IsotropicMedium(NU)
TURN = rotation_z(0.4) @ rotation_x(-1.1) @ rotation_y(2.3)
CHARACTERS = [0.0, 30.0, 45.0, 60.0, 90.0]

# Central differences of eighth order: weight of f(x + k h) - f(x - k h), k = 1..4.
STENCIL = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])


def dislocation(angle_to_line, core=0.0, position=(0.3, -0.2, 0.7)):
    """A line tilted against all axes, with b at `angle_to_line` degrees from it (0: screw)."""
    angle = np.radians(angle_to_line)
    burgers = TURN @ [B * np.sin(angle), 0.0, B * np.cos(angle)]
    return StraightLine(burgers, TURN @ [0.0, 0.0, 1.0], position, core)


def around(line, x, y, z):
    """Points at coordinates across (x, y) and along (z) the line."""
    return line.position + np.stack([x, y, z], axis=-1) @ np.stack(line.axes)


def scattered(line, count=40, nearest=0.05, seed=0):
    """Points in all directions from the line, at distances from `nearest` to 3 µm."""
    random = np.random.default_rng(seed)
    radius = np.geomspace(nearest, 3.0, count)
    angle = random.uniform(0, 2 * np.pi, count)
    return around(
        line, radius * np.cos(angle), radius * np.sin(angle), random.uniform(-5, 5, count)
    ), radius


def derivatives(function, points, steps):
    """Derivative of function(points) along each axis; appended as the last dimension."""
    result = []
    for axis in np.eye(3):
        total = 0.0
        for k, weight in enumerate(STENCIL, start=1):
            offset = k * steps[:, None] * axis
            total = total + weight * (function(points + offset) - function(points - offset))
        result.append(total / steps.reshape(-1, *[1] * (total.ndim - 1)))
    return np.stack(result, axis=-1)


def circuit(line, radius, along=0.0, centre=(0.0, 0.0), tilt=0.0):
    """Closure ∮ β dl of a right-handed circle about the line, tilted out of its plane."""
    angle = np.arange(512) * (2 * np.pi / 512)
    x = centre[0] + radius * np.cos(angle)
    y = centre[1] + radius * np.sin(angle)
    points = around(line, x, y, along + tilt * (x + 2.0 * y))
    step_x, step_y = -radius * np.sin(angle), radius * np.cos(angle)
    steps = np.stack([step_x, step_y, tilt * (step_x + 2.0 * step_y)], axis=-1)
    steps = steps @ np.stack(line.axes) * (2 * np.pi / 512)
    return np.einsum("nij,nj->i", displacement_gradient(points, line, MEDIUM), steps)


@pytest.mark.parametrize("angle", CHARACTERS)
@pytest.mark.parametrize("along", [-40.0, 0.0, 3.7])
@pytest.mark.parametrize("tilt", [0.0, 0.6])
def test_burgers_circuits_close_with_b_all_along_the_true_line(angle, along, tilt):
    line = dislocation(angle)
    for radius in (1e-3, 0.5, 20.0):
        closure = circuit(line, radius, along, centre=(0.2 * radius, -0.3 * radius), tilt=tilt)
        np.testing.assert_allclose(closure, line.burgers_vector, rtol=0, atol=1e-9 * B)


@pytest.mark.parametrize("angle", CHARACTERS)
def test_a_circuit_beside_the_line_closes_with_nothing(angle):
    closure = circuit(dislocation(angle), 0.5, centre=(0.7, 0.4))
    np.testing.assert_allclose(closure, 0.0, atol=1e-9 * B)


@pytest.mark.parametrize("radius", [0.3, 1.0, 4.0])
def test_circuit_of_a_screw_with_a_core(radius):
    core = 0.5
    line = dislocation(0.0, core)
    share = 1.0 - core**4 / (radius**2 + core**2) ** 2
    np.testing.assert_allclose(
        circuit(line, radius), share * line.burgers_vector, rtol=0, atol=1e-12 * B
    )


@pytest.mark.parametrize("angle", CHARACTERS)
def test_circuits_far_from_any_core_close_with_b(angle):
    line = dislocation(angle, core=B)
    closure = circuit(line, 1e4 * B)
    np.testing.assert_allclose(closure, line.burgers_vector, rtol=0, atol=1e-7 * B)


@pytest.mark.parametrize("core", [0.0, 0.2])
@pytest.mark.parametrize("angle", CHARACTERS)
def test_trace_is_that_of_the_edge_part(angle, core):
    line = dislocation(angle, core)
    points, _ = scattered(line)
    x_axis, y_axis, _ = line.axes
    x, y = (points - line.position) @ x_axis, (points - line.position) @ y_axis
    q = x**2 + y**2 + core**2
    k = line.edge_part / (4 * np.pi * (1 - NU))
    expected = -2 * k * (1 - 2 * NU) * y / q * (1 + core**2 / q)
    trace = np.trace(displacement_gradient(points, line, MEDIUM), axis1=-2, axis2=-1)
    np.testing.assert_allclose(trace, expected, rtol=1e-9, atol=1e-17)


def stress(points, line, nu):
    """Isotropic stress over twice the shear modulus."""
    beta = displacement_gradient(points, line, IsotropicMedium(nu))
    strain = 0.5 * (beta + np.swapaxes(beta, -1, -2))
    trace = np.trace(strain, axis1=-2, axis2=-1)[..., None, None]
    return strain + nu / (1 - 2 * nu) * trace * np.eye(3)


@pytest.mark.parametrize("nu", [-0.2, 0.0, 0.334, 0.45])
@pytest.mark.parametrize("core", [0.0, 0.2])
@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0])
def test_stress_is_in_equilibrium(angle, core, nu):
    line = dislocation(angle, core)
    points, radius = scattered(line)
    scale = B / (radius**2 + core**2)
    gradient = derivatives(lambda p: stress(p, line, nu), points, 0.02 * np.hypot(radius, core))
    force = np.einsum("nijj->ni", gradient)
    assert np.abs(force / scale[:, None]).max() < 1e-9
    assert np.abs(gradient / scale[:, None, None, None]).max() > 0.01


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0])
def test_gradient_is_compatible_away_from_the_core(angle):
    line = dislocation(angle)
    points, radius = scattered(line)
    gradient = derivatives(lambda p: displacement_gradient(p, line, MEDIUM), points, 0.02 * radius)
    curl = gradient - np.swapaxes(gradient, -1, -2)
    assert np.abs(curl * radius[:, None, None, None] ** 2).max() < 1e-9 * B


def test_the_curl_of_a_spread_core_adds_up_to_the_burgers_vector():
    core = 0.2
    line = dislocation(0.0, core)
    edges = np.linspace(0.0, 40 * core, 4001)
    radius = 0.5 * (edges[1:] + edges[:-1])
    points = around(line, radius, 0 * radius, 0 * radius)
    gradient = derivatives(
        lambda p: displacement_gradient(p, line, MEDIUM), points, np.full(radius.size, 0.02 * core)
    )
    x, y, z = line.axes
    curl = np.einsum("nijk,i,j,k->n", gradient, z, y, x)
    curl -= np.einsum("nijk,i,j,k->n", gradient, z, x, y)
    total = np.sum(curl * 2 * np.pi * radius) * (edges[1] - edges[0])
    assert total == pytest.approx(line.screw_part, rel=1e-4)


def displacement(points, line):
    """Printed displacement of a straight dislocation, with its cut along negative x."""
    frame = np.stack(line.axes)
    x, y, _ = ((points - line.position) @ frame.T).T
    edge, screw, nu = line.edge_part / (2 * np.pi), line.screw_part / (2 * np.pi), NU
    r2, angle = x**2 + y**2, np.arctan2(y, x)
    u_x = edge * (angle + x * y / (2 * (1 - nu) * r2))
    u_y = -edge * ((1 - 2 * nu) / (4 * (1 - nu)) * np.log(r2) + (x**2 - y**2) / (4 * (1 - nu) * r2))
    return np.stack([u_x, u_y, screw * angle], axis=-1) @ frame


@pytest.mark.parametrize("angle", CHARACTERS)
def test_gradient_is_the_derivative_of_the_printed_displacement(angle):
    line = dislocation(angle)
    points, radius = scattered(line)
    x_axis, y_axis, _ = line.axes
    x, y = (points - line.position) @ x_axis, (points - line.position) @ y_axis
    clear = np.hypot(x, y) + x > 0.3 * radius
    points, radius = points[clear], radius[clear]
    numeric = derivatives(lambda p: displacement(p, line), points, 0.02 * radius)
    error = np.abs(numeric - displacement_gradient(points, line, MEDIUM)) * radius[:, None, None]
    assert error.max() < 1e-9 * B
    assert len(points) > 20


@pytest.mark.parametrize("angle", CHARACTERS)
def test_gradient_falls_with_the_distance(angle):
    line = dislocation(angle)
    points, _ = scattered(line)
    near = displacement_gradient(points, line, MEDIUM)
    far = displacement_gradient(line.position + 7.0 * (points - line.position), line, MEDIUM)
    np.testing.assert_allclose(7.0 * far, near, rtol=1e-9, atol=1e-12 * np.abs(near).max())


@pytest.mark.parametrize("core", [0.0, 0.2])
@pytest.mark.parametrize("angle", CHARACTERS)
def test_reversing_line_and_burgers_vector_changes_nothing(angle, core):
    line = dislocation(angle, core)
    other = StraightLine(-line.burgers_vector, -line.line, line.position, core)
    points, _ = scattered(line)
    one, two = (
        displacement_gradient(points, line, MEDIUM),
        displacement_gradient(points, other, MEDIUM),
    )
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-13 * np.abs(one).max())


@pytest.mark.parametrize("angle", CHARACTERS)
def test_reversing_the_burgers_vector_alone_reverses_the_field(angle):
    line = dislocation(angle, 0.1)
    other = StraightLine(-line.burgers_vector, line.line, line.position, 0.1)
    points, _ = scattered(line)
    one, two = (
        displacement_gradient(points, line, MEDIUM),
        displacement_gradient(points, other, MEDIUM),
    )
    np.testing.assert_allclose(two, -one, rtol=0, atol=1e-13 * np.abs(one).max())


@pytest.mark.parametrize("angle", CHARACTERS)
def test_any_point_of_the_line_serves_as_its_position(angle):
    line = dislocation(angle)
    other = StraightLine(line.burgers_vector, 5.0 * line.line, line.position - 2.3 * line.line)
    points, _ = scattered(line)
    one, two = (
        displacement_gradient(points, line, MEDIUM),
        displacement_gradient(points, other, MEDIUM),
    )
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-12 * np.abs(one).max())


@pytest.mark.parametrize("angle", CHARACTERS)
def test_turning_everything_turns_the_gradient(angle):
    line = dislocation(angle, 0.1)
    turn = rotation_y(0.7) @ rotation_z(-2.0)
    turned = StraightLine(turn @ line.burgers_vector, turn @ line.line, turn @ line.position, 0.1)
    points, _ = scattered(line)
    expected = turn @ displacement_gradient(points, line, MEDIUM) @ turn.T
    found = displacement_gradient(points @ turn.T, turned, MEDIUM)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("core", [0.0, 0.2])
def test_the_compiled_sum_equals_the_printed_formulas(core):
    lines = [
        dislocation(angle, core, position=(0.3 * k, -0.2, 0.1 * k))
        for k, angle in enumerate(CHARACTERS)
    ]
    points, _ = scattered(lines[0], count=500)
    expected = sum(displacement_gradient(points, line, MEDIUM) for line in lines)
    found = evaluate(StraightDislocations(lines, MEDIUM), points)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * np.abs(expected).max())
    relative = np.abs(found - expected).max((1, 2)) / np.abs(expected).max((1, 2))
    assert relative.max() < 1e-12


def test_adding_a_field_keeps_what_was_there():
    line = dislocation(30.0)
    points, _ = scattered(line, count=10)
    gradient = np.ones((9, 10))
    StraightDislocations([line], MEDIUM).add_to(gradient, np.ascontiguousarray(points.T))
    expected = 1.0 + displacement_gradient(points, line, MEDIUM).reshape(10, 9).T
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


def test_the_singular_core_gives_no_finite_number_and_a_spread_one_no_gradient():
    singular, spread = dislocation(45.0), dislocation(45.0, core=0.1)
    assert not np.isfinite(displacement_gradient(singular.position, singular, MEDIUM)).all()
    np.testing.assert_array_equal(displacement_gradient(spread.position, spread, MEDIUM), 0.0)
