"""Segments in anisotropic media against lines, the isotropic closed form, circuits and balance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import MEDIA, isotropic, random_medium
from mura import LEVI_CIVITA, anisotropic_derivative

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.anisotropic import AnisotropicDislocations
from weakbeam.defects.anisotropic_segments import AnisotropicSegments
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.many import Bounds
from weakbeam.defects.many_segments import ManySegments
from weakbeam.defects.segments import IsotropicSegments, Segments

B = np.array([2.0e-4, 1.1e-4, -0.7e-4])
T, ORIGIN = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([0.1, 0.0, 0.2])


def beta(segments, points, medium):
    return evaluate(AnisotropicSegments(segments, medium), points)


def scattered(count=60, size=1.0, seed=1):
    return np.random.default_rng(seed).normal(scale=size, size=(count, 3))


def relative(found, expected):
    size = np.abs(expected).max(axis=(1, 2), keepdims=True)
    return np.abs((found - expected) / size).max()


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("core", [0.0, 0.05])
def test_pieces_of_an_infinite_line_add_up_to_it(name, core):
    medium, points = MEDIA[name], scattered()
    line = AnisotropicDislocations([StraightLine(B, T, ORIGIN, core)], medium)
    expected = evaluate(line, points)
    if core == 0.0:
        corners = ORIGIN + np.outer([-0.7, 0.1, 2.0], T)
        assert relative(beta(Segments.polyline(corners, B), points, medium), expected) < 2e-6
    graded = np.geomspace(0.01, 400.0, 30)
    graded = np.concatenate([-graded[::-1], graded, [400.0 + 1e-9]])
    corners = ORIGIN + np.outer(graded, T)
    if core == 0.0:
        found = beta(Segments.between(corners[:-1], corners[1:], B, core), points, medium)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    else:
        # Pieces spread their cores each about themselves, and not about the whole line.
        whole = Segments.between([ORIGIN - 400 * T], [ORIGIN + 400 * T], B, core)
        found = beta(whole, points, medium)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_an_isotropic_medium_is_no_special_case():
    segments, points = Segments.polygon(scattered(5, 1.5, 3), B), scattered()
    expected = evaluate(IsotropicSegments(segments, IsotropicMedium(0.3)), points)
    assert relative(beta(segments, points, isotropic(0.3)), expected) < 1e-6


@pytest.mark.parametrize("name", ["Cu", "quartz"])
def test_circuits_close_with_b_and_forces_balance(name):
    medium = MEDIA[name]
    corners = scattered(5, 1.5, 4)
    loop = Segments.polygon(corners, B)
    start, end = corners[0], corners[1]
    along = (end - start) / np.linalg.norm(end - start)
    u = np.cross(along, [0.0, 0.0, 1.0])
    u /= np.linalg.norm(u)
    v = np.cross(along, u)
    angle = 2.0 * np.pi * np.arange(512)[:, None] / 512
    points = 0.5 * (start + end) + 0.2 * (np.cos(angle) * u + np.sin(angle) * v)
    steps = 0.2 * (np.cos(angle) * v - np.sin(angle) * u) * (2.0 * np.pi / 512)
    closed = np.einsum("nij,nj->i", beta(loop, points, medium), steps)
    np.testing.assert_allclose(closed, B, atol=1e-5 * np.abs(B).max())
    places, step = scattered(10, 4.0, 6), 0.05
    change = [
        (beta(loop, places + step * e, medium) - beta(loop, places - step * e, medium)) / (2 * step)
        for e in np.eye(3)
    ]
    change = np.stack(change, axis=-1)
    forces = np.einsum("ijkl,nklj->ni", medium.stiffness, change)
    size = np.abs(medium.stiffness).max() * np.abs(change).max(axis=(1, 2, 3))
    assert (np.abs(forces).max(axis=1) / size).max() < 5e-3


@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    medium=st.sampled_from([random_medium(1), random_medium(2)]),
)
def test_random_networks_in_random_media_leave_no_gap_and_no_force(seed, medium):
    # Closed polygons that share nodes, each with a Burgers vector of its own.
    random = np.random.default_rng(seed)
    nodes = random.normal(scale=2.0, size=(7, 3))
    network = Segments.joined(
        [
            Segments.polygon(nodes[random.permutation(7)[:n]], random.normal(scale=B[0], size=3))
            for n in (3, 5)
        ]
    )
    points = random.normal(scale=2.0, size=(40, 3))
    share = np.einsum("psi,si->ps", points[:, None] - network.starts, network.directions)
    share = np.clip(share, 0.0, network.lengths)
    nearest = network.starts + share[:, :, None] * network.directions
    points = points[np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1) > 0.6]
    stencil, step = np.array([3 / 4, -3 / 20, 1 / 60]), 0.04
    change = np.stack(
        [
            sum(
                w * (beta(network, points + k * e, medium) - beta(network, points - k * e, medium))
                for w, k in zip(stencil, (1, 2, 3), strict=True)
            )
            / step
            for e in step * np.eye(3)
        ],
        axis=-1,
    )
    size = np.abs(change).max(axis=(1, 2, 3)) + 1e-9
    curl = np.einsum("jkl,nilk->nij", LEVI_CIVITA, change)
    assert (np.abs(curl).max(axis=(1, 2)) / size).max(initial=0.0) < 1e-3
    stiffness = medium.stiffness / np.abs(medium.stiffness).max()
    forces = np.einsum("ijkl,nklj->ni", stiffness, change)
    assert (np.abs(forces).max(axis=1) / size).max(initial=0.0) < 1e-3


def test_loops_fade_as_the_cube_of_the_distance_and_polygons_converge():
    medium, angle = MEDIA["Cu"], np.linspace(0.0, 2.0 * np.pi, 257)[:-1, None]
    u, v = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([1.0, 2.0, 2.0]) / 3.0
    circle = np.cos(angle) * u + np.sin(angle) * v
    loops = [Segments.polygon(circle[:: 256 // n], B) for n in (16, 32, 64, 256)]
    away = np.outer([20.0, 40.0, 80.0], [0.6, -0.3, 0.74])
    sizes = np.abs(beta(loops[0], away, medium)).max(axis=(1, 2))
    np.testing.assert_allclose(sizes[:-1] / sizes[1:], 8.0, rtol=0.02)
    near = scattered(20)
    near = near[np.abs(np.linalg.norm(near, axis=1) - 1.0) > 0.4]
    fields = [beta(loop, near, medium) for loop in loops]
    errors = [np.abs(some - fields[-1]).max() for some in fields[:-1]]
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), [4.0, 4.25], rtol=0.1)


def test_the_field_turns_with_crystal_and_loop():
    # As the tables are made anew: nothing of their cubes is left.
    medium, loop, points = MEDIA["quartz"], Segments.polygon(scattered(4, 1.5, 9), B), scattered(20)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    found = beta(loop.turned(turn), points @ turn.T, medium.turned(turn))
    assert relative(turn.T @ found @ turn, beta(loop, points, medium)) < 1e-6


def by_quadrature(segments, points, medium, panels=10):
    """The field by plain Gauss and Legendre over the angle, Green's function at each node."""
    c = medium.stiffness / np.abs(medium.stiffness).max()
    nodes, weights = np.polynomial.legendre.leggauss(10)
    edges = np.arange(panels)[:, None] / panels
    places = (edges + 0.5 * (nodes + 1.0) / panels).ravel()
    weights = np.tile(0.5 * weights / panels, panels)
    total = np.zeros((len(points), 3, 3))
    for b, start, t, length, _ in zip(*vars(segments).values(), strict=True):
        tensor = np.einsum("jnh,pqmn,m,h->jpq", LEVI_CIVITA, c, b, t)
        offset = points - start
        along = offset @ t
        x = offset - np.outer(along, t)
        d = np.linalg.norm(x, axis=1)
        first = np.arctan2(d, along)
        last = np.arctan2(d, along - length) if np.isfinite(length) else np.full(len(d), np.pi)
        angle = first[:, None] + (last - first)[:, None] * places
        e = np.cos(angle)[..., None] * t + np.sin(angle)[..., None] * (x / d[:, None])[:, None]
        g = anisotropic_derivative(e.reshape(-1, 3), c).reshape(*angle.shape, 3, 3, 3)
        mean = np.einsum("k,nkipq->nipq", weights, g)
        total += np.einsum("jpq,nipq,n->nij", tensor, mean, (last - first) / d)
    return total


@pytest.mark.parametrize(
    "medium",
    [MEDIA["Cu"], MEDIA["GaN"], MEDIA["W"], random_medium(2)],
    ids=["Cu", "GaN", "W", "random"],
)
def test_a_segment_is_the_quadrature_over_its_angle(medium):
    # Under wide and narrow angles, beyond the ends and beside the middle; half a line too.
    piece = Segments.between([[0.1, -0.2, 0.3]], [[0.7, 0.4, -0.1]], B)
    half = Segments(B[None], piece.starts, piece.directions, [np.inf], 0.0)
    random = np.random.default_rng(3)
    along = np.outer(random.uniform(-3.0, 4.0, 4), piece.directions[0])
    points = [s * random.normal(size=(4, 3)) for s in (0.3, 1.5, 6.0, 60.0)]
    points = np.concatenate([*points, piece.starts + along + 0.02 * random.normal(size=(4, 3))])
    for segments in (piece, half):
        expected = by_quadrature(segments, points, medium)
        assert relative(beta(segments, points, medium), expected) < 3e-8


@pytest.mark.parametrize("medium", [MEDIA["Cu"], random_medium(2)], ids=["Cu", "random"])
def test_a_loop_is_the_quadrature_to_eight_digits(medium):
    # Near its plane, inside and outside, and so far away that parts of opposite sides cancel.
    angle = 2.0 * np.pi * np.arange(8) / 8
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    corners = np.stack([np.cos(angle), np.sin(angle), np.zeros(8)], axis=1) @ turn
    loop, random = Segments.polygon(corners, B), np.random.default_rng(4)
    inside = (random.uniform(-0.6, 0.6, (4, 3)) * [1.0, 1.0, 0.01]) @ turn
    points = np.concatenate([inside, *(s * random.normal(size=(3, 3)) for s in (0.7, 2.0, 6.0))])
    expected = by_quadrature(loop, points, medium)
    assert relative(beta(loop, points, medium), expected) < 1e-8


def test_a_point_on_the_line_of_a_segment_is_no_special_case():
    segments = Segments.between([[0.0, 0.0, 0.0]], [[2.0, 0.0, 0.0]], B, 1e-3)
    beyond = np.array([[3.0, 0.0, 0.0], [-0.5, 0.0, 0.0], [1.0, 0.0, 0.0]])
    beside = beyond + np.array([0.0, 1e-9, 1e-9])
    found = beta(segments, beyond, MEDIA["Cu"])
    np.testing.assert_allclose(found, beta(segments, beside, MEDIA["Cu"]), rtol=1e-5, atol=1e-7)
    # In the middle of the core there is nothing.
    assert np.all(found[2] == 0.0)


@pytest.mark.slow
def test_thousands_are_boxed_as_well():
    random = np.random.default_rng(2)
    count = 150
    segments = Segments(
        random.normal(scale=2e-4, size=(count, 3)),
        random.uniform(-9, 9, (count, 3)),
        random.normal(size=(count, 3)),
        random.uniform(0.1, 2.0, count),
        2.5e-4,
    )
    axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
    bounds = Bounds([0.0, 0.0, 0.0], axes, [8.0, 7.0, 0.3])
    exact = AnisotropicSegments(segments, MEDIA["Cu"])
    many = ManySegments(exact, bounds, points=300_000, workers=1)
    assert many.boxes > 10
    assert many.near_lines < 0.5 * count
    points = random.uniform(-1, 1, (200, 3)) * bounds.half @ axes
    found, expected = evaluate(many, points), evaluate(exact, points)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).mean() + 1e-8)
