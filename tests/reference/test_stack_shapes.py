"""Loops and walls of stacks of a generator that shares no code with the package."""

from dataclasses import replace

import numpy as np
import pytest
from measured_world import beta_loop, beta_polyline, beta_row
from renderer import beta_straight
from stack_worlds import (
    experiment_of,
    phi_scan,
    stack_of,
    with_lines,
    with_loops,
    with_nuisances,
    with_wall,
    world_of,
)

from weakbeam.defects.loop_types import loop_types
from weakbeam.identify.fit_scan import fit_data
from weakbeam.identify.library.candidates import types_of


def test_the_ring_of_the_generator_closes_by_its_burgers_vector():
    """Its closure around the line, and the field of a square of the same area far away."""
    burgers, normal, radius, nu = np.array([1.0, 0.3, -0.5]), np.array([1.0, 1.0, 1.0]), 1.3, 0.35
    axis = normal / np.linalg.norm(normal)
    across = np.cross(axis, [0.31, 0.52, 0.79])
    across /= np.linalg.norm(across)
    along = np.cross(axis, across)
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)[:, None]
    other = np.cross(along, across)
    points = radius * across + 0.3 * (np.cos(turn) * across + np.sin(turn) * other)
    steps = 0.3 * (np.cos(turn) * other - np.sin(turn) * across) * (2 * np.pi / 200)
    around = np.einsum("nij,nj->i", beta_loop(points, burgers, normal, radius, nu), steps)
    assert around == pytest.approx(burgers, abs=0.002)
    half = radius * np.sqrt(np.pi) / 2
    square = [half * (a * across + b * along) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    far = 60 * np.random.default_rng(0).normal(size=(5, 3))
    # Closed by going round twice half way: what runs on to infinity cancels.
    first = beta_polyline(far, burgers, np.array([*square, square[0], square[1]]), nu)
    second = beta_polyline(far, burgers, np.array([square[0], square[1]]), nu)
    ring = beta_loop(far, burgers, normal, radius, nu)
    assert np.abs(first - second - ring).max() < 0.02 * np.abs(ring).max()


def test_a_row_of_the_generator_is_a_sum_of_lines():
    points = np.random.default_rng(0).uniform(-2, 2, (30, 3))
    burgers, line, step = np.array([1.0, 0.4, -1.0]), [1, -2, 1], np.array([0.3, 0.2, 0.1])
    plain = sum(beta_straight(points - n * step, burgers, line, 0.35) for n in (-1, 0, 1))
    row = beta_row(points, burgers, line, step, 3, 0.35)
    assert row == pytest.approx(plain, abs=1e-12 * np.abs(plain).max())


def small_world(edge=96, pixel_um=0.08):
    world = world_of((edge, edge), pixel_um)
    return replace(world, subpixels=3, optics=world.optics | {"nz": 61})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "centre", "radius", "beside"),
    [
        ("glide loop (1 1 1) [1 0 -1]", (0.4, -0.3, 0.2), 1.4, None),
        ("prismatic loop [1 1 0]", (-0.5, 0.6, -0.15), 1.1, None),
        ("glide loop (1 1 -1) [-1 0 -1]", (-1.6, 1.0, 0.1), 1.6, (1.9, -1.5, 0.0)),
    ],
)
def test_a_loop_is_found(name, centre, radius, beside):
    world = small_world()
    experiment = experiment_of(world)
    types = types_of(experiment)
    kind = next(one for one in loop_types(types) if one.name == name)
    if beside is not None:
        world = with_lines(world, [(types[100], np.array(beside))])
    world = with_loops(world, [(kind, np.array(centre), radius)])
    data = stack_of(with_nuisances(world, np.random.default_rng(5)), phi_scan(41), 7)
    result = fit_data(data, experiment)
    assert sorted(row.line.kind for row in result.rows) == ["line", "loop"][beside is None :]
    row = next(row for row in result.rows if row.line.kind == "loop")
    assert row.line.label == name
    true = np.append(np.linalg.solve(row.line.axes.T, centre), radius)
    # With so few points a pixel the generator itself moves what it shows by about 10 nm.
    size = np.linalg.norm(row.line.axes, axis=1)
    error = np.append(row.errors[:3] * size, row.errors[3])
    away = np.append((row.values[:3] - true[:3]) * size, row.values[3] - true[3])
    assert np.abs(away).max() < 0.1
    if kind.habit == "glide":
        # The likelihood of the other has several summits beside each other.
        assert np.abs(away / np.hypot(error, 0.01)).max() < 3.0
    assert result.explained


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [0.5, 1.0])
def test_a_wall_is_found(spacing):
    world = small_world(64, 0.1)
    experiment = experiment_of(world)
    name = "(1 1 1) [1 0 -1] 0 deg"
    kind = next(one for one in types_of(experiment) if one.name == name)
    world = with_wall(world, kind, np.array([0.7, 0.2, 0.0]), spacing, int(400 / spacing))
    data = stack_of(with_nuisances(world, np.random.default_rng(5)), phi_scan(41, 7e-4), 7)
    result = fit_data(data, experiment)
    (row,) = result.rows
    assert row.line.kind == "wall"
    assert row.line.system == ("wall", kind.plane, kind.burgers, 0)
    assert row.line.spacing_um == pytest.approx(spacing, abs=3 * row.of("spacing_um")[1] + 1e-3)
