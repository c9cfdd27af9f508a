"""Segments against Mura's integral by quadrature, infinite lines, circuits and balance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mura import LEVI_CIVITA, gradient_by_quadrature, isotropic_stiffness

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.segments import IsotropicSegments, Segments
from weakbeam.defects.straight import displacement_gradient

NU = 0.334
MEDIUM = IsotropicMedium(NU)
B = np.array([2.0e-4, 1.1e-4, -0.7e-4])
STENCIL = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])


def beta(segments, points):
    return evaluate(IsotropicSegments(segments, MEDIUM), points)


def circle(count, radius=1.0, centre=(0.1, -0.2, 0.3)):
    """Corners of a regular polygon, in a plane that is tilted against all axes."""
    angle = 2.0 * np.pi * np.arange(count)[:, None] / count
    u, v = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([1.0, 2.0, 2.0]) / 3.0
    return np.asarray(centre) + radius * (np.cos(angle) * u + np.sin(angle) * v)


def scattered(count=40, size=2.0, seed=1):
    return np.random.default_rng(seed).normal(scale=size, size=(count, 3))


def circuit(segments, around, radius, t, count=2048):
    """∮ β dl over a right-handed circle about the direction t."""
    u = np.cross(t, np.eye(3)[np.argmin(np.abs(t))])
    u /= np.linalg.norm(u)
    v = np.cross(t, u)
    angle = 2.0 * np.pi * np.arange(count)[:, None] / count
    points = around + radius * (np.cos(angle) * u + np.sin(angle) * v)
    steps = radius * (np.cos(angle) * v - np.sin(angle) * u) * (2.0 * np.pi / count)
    return np.einsum("nij,nj->i", beta(segments, points), steps)


def derivatives(segments, points, step=0.02):
    """∂β_ij/∂x_k by central differences of eighth order, (n, 3, 3, 3)."""
    parts = []
    for axis in np.eye(3):
        offsets = [k * step * axis for k in range(1, 5)]
        parts.append(
            sum(
                w * (beta(segments, points + o) - beta(segments, points - o))
                for w, o in zip(STENCIL, offsets, strict=True)
            )
            / step
        )
    return np.stack(parts, axis=-1)


@pytest.mark.parametrize("core", [0.0, 0.05])
def test_a_segment_is_the_integral_of_the_greens_function(core):
    corners = scattered(4)
    starts, ends = corners[:-1], corners[1:]
    points = np.concatenate([scattered(seed=2), scattered(seed=3, size=200.0)])
    found = beta(Segments.between(starts, ends, B, core), points)
    expected = gradient_by_quadrature(points, starts, ends, B, NU, core)
    size = np.abs(expected).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found / size, expected / size, rtol=0, atol=1e-10)


@pytest.mark.parametrize("core", [0.0, 0.05])
@pytest.mark.parametrize("along", [-30.0, -0.5, 0.3, 1.7, 40.0])
@pytest.mark.parametrize("beside", [1e-5, 0.1, 1.0, 30.0])
def test_no_digit_is_lost_beside_beyond_or_far_away(core, along, beside):
    t, across = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([1.0, 2.0, 2.0]) / 3.0
    start, end = np.zeros(3), 2.0 * t
    point = (along * t + beside * across)[None]
    # Ten pieces meet at other places and are short where the whole is long.
    cuts = np.linspace(0.0, 1.0, 11)[:, None] * end
    whole = beta(Segments.between(start[None], end[None], B, core), point)
    parts = beta(Segments.between(cuts[:-1], cuts[1:], B, core), point)
    np.testing.assert_allclose(whole, parts, rtol=0, atol=1e-9 * np.abs(whole).max())
    if not 0.0 < along < 2.0:
        exact = gradient_by_quadrature(point, start[None], end[None], B, NU, core, 120)
        np.testing.assert_allclose(whole, exact, rtol=0, atol=1e-11 * np.abs(exact).max())


@pytest.mark.parametrize("core", [0.0, 0.05])
@pytest.mark.parametrize("b", [B, [2e-4, 1e-4, -2e-4], [1e-4, 2e-4, 2e-4]])
def test_pieces_of_an_infinite_line_add_up_to_it(core, b):
    t, origin = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([0.1, 0.0, 0.2])
    points = scattered(size=1.0)
    whole = displacement_gradient(points, StraightLine(b, t, origin, core), MEDIUM)
    size = np.abs(whole).max()
    # Two half-lines and a corner that is none.
    halves = Segments.polyline(origin + np.outer([-0.7, 0.1, 2.0], t), b, core)
    np.testing.assert_allclose(beta(halves, points), whole, rtol=0, atol=1e-14 * size)
    graded = np.geomspace(0.01, 400.0, 30)
    graded = np.concatenate([-graded[::-1], graded, [400.0 + 1e-9]])
    corners = origin + np.outer(graded, t)
    pieces = Segments.between(corners[:-1], corners[1:], b, core)
    assert len(pieces) == 60
    np.testing.assert_allclose(beta(pieces, points), whole, rtol=0, atol=1e-5 * size)


def test_circuits_about_a_loop_close_with_b_and_through_none_with_nothing():
    corners = circle(16)
    loop = Segments.polygon(corners, B)
    for number in (0, 5, 11):
        start, end = corners[number], corners[(number + 1) % 16]
        t = (end - start) / np.linalg.norm(end - start)
        for radius in (0.02, 0.3):
            closed = circuit(loop, 0.4 * start + 0.6 * end, radius, t)
            np.testing.assert_allclose(closed, B, rtol=0, atol=1e-9 * np.abs(B).max())
    # Linked with the loop from far outside; beside it; and around all of it.
    t = np.cross(corners[0] - corners.mean(0), corners[4] - corners.mean(0))
    rim = np.cross(t, corners[0] - corners.mean(0))
    wide = circuit(loop, corners[0] * 3.0 - 2.0 * corners.mean(0), 2.9, rim / np.linalg.norm(rim))
    np.testing.assert_allclose(wide, B, rtol=0, atol=1e-9 * np.abs(B).max())
    for centre, radius in (([3.0, 0.0, 0.0], 0.5), (corners.mean(0), 4.0)):
        np.testing.assert_allclose(circuit(loop, np.array(centre), radius, t), 0.0, atol=1e-13)


def test_a_bowed_line_has_its_burgers_vector_everywhere():
    line = Segments.polyline([[-2.0, -1.0, 0.0], [0.0, 1.0, 0.4], [3.0, -0.5, 0.0]], B, 0.0)
    for place, t in (
        ([-12.0, -11.0, -2.0], [2.0, 2.0, 0.4]),
        ([1.5, 0.25, 0.2], [3.0, -1.5, -0.4]),
        ([33.0, -15.5, -4.0], [3.0, -1.5, -0.4]),
    ):
        unit = np.array(t) / np.linalg.norm(t)
        closed = circuit(line, np.array(place), 0.2, unit)
        np.testing.assert_allclose(closed, B, rtol=0, atol=1e-9 * np.abs(B).max())


def test_loops_fade_as_the_cube_of_the_distance():
    loop, direction = Segments.polygon(circle(12), B), np.array([0.6, -0.3, 0.74])
    sizes = np.abs(beta(loop, np.outer([100.0, 200.0, 400.0], direction))).max(axis=(1, 2))
    np.testing.assert_allclose(sizes[:-1] / sizes[1:], 8.0, rtol=0.03)


def test_polygons_converge_as_the_square_of_their_edges():
    points = scattered(20)
    points = points[np.abs(np.linalg.norm(points - [0.1, -0.2, 0.3], axis=1) - 1.0) > 0.3]
    fields = [beta(Segments.polygon(circle(n), B), points) for n in (32, 64, 128, 1024)]
    errors = [np.abs(some - fields[-1]).max() for some in fields[:-1]]
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4.0, rtol=0.05)


def test_vacancies_draw_the_crystal_in_and_interstitials_push_it_away():
    # A loop that runs right-handed about z with b along z has drawn its two sides together: the
    # crystal above it has sunk, so that u_z, which is 0 far away, is negative there.
    angle = 2.0 * np.pi * np.arange(48) / 48
    corners = np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=1)
    heights = np.geomspace(0.2, 400.0, 4000)
    points = np.stack([0.0 * heights, 0.0 * heights, heights], axis=1)
    for sign in (1.0, -1.0):
        loop = Segments.polygon(corners, [0.0, 0.0, sign * 2.3e-4])
        above = -np.trapezoid(beta(loop, points)[:, 2, 2], heights)
        assert -0.6 < above / (sign * 2.3e-4) < -0.3


@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_random_networks_leave_no_gap_and_no_force(data):
    # Closed polygons with Burgers vectors of their own, some of which share edges, as networks do.
    seed = data.draw(st.integers(0, 2**32))
    count = data.draw(st.integers(1, 4))
    random = np.random.default_rng(seed)
    nodes = random.normal(scale=2.0, size=(7, 3))
    core = data.draw(st.sampled_from([0.0, 0.1]))
    loops = [
        Segments.polygon(
            nodes[random.permutation(7)[: random.integers(3, 7)]],
            random.normal(scale=2e-4, size=3),
            core,
        )
        for _ in range(count)
    ]
    network = Segments.joined(loops)
    points = random.normal(scale=2.0, size=(30, 3))
    starts, ends = network.starts, network.ends
    share = np.clip(
        np.einsum("psi,si->ps", points[:, None] - starts, network.directions), 0, network.lengths
    )
    nearest = starts + share[:, :, None] * network.directions
    away = np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1)
    points = points[away > 0.5]
    change = derivatives(network, points)
    size = np.abs(change).max(axis=(1, 2, 3))[:, None] + 1e-9
    if core == 0.0:
        curl = np.einsum("jkl,nilk->nij", LEVI_CIVITA, change)
        assert np.abs(curl / size[:, :, None]).max(initial=0.0) < 1e-6
    stiffness = isotropic_stiffness(NU)
    forces = np.einsum("ijkl,nklj->ni", stiffness, change)
    assert np.abs(forces / size).max(initial=0.0) < 1e-5
    expected = gradient_by_quadrature(points, starts, ends, network.burgers_vectors, NU, core, 120)
    np.testing.assert_allclose(beta(network, points), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": [1.0, 0.0]}, "lengths must be positive"),
        ({"lengths": [1.0]}, "lengths must be positive, one for each"),
        ({"directions": np.zeros((2, 3))}, "line is zero"),
        ({"burgers_vectors": np.zeros((2, 3))}, "Burgers vector is zero"),
        ({"starts": [[0, 0, np.nan], [0, 0, 0]]}, "finite"),
    ],
)
def test_impossible_segments_are_refused(change, message):
    rows = np.ones((2, 3))
    keys = {"burgers_vectors": rows, "starts": rows, "directions": rows, "lengths": [1.0, np.inf]}
    with pytest.raises(ValueError, match=message):
        Segments(**(keys | {"core_radii": 0.0} | change))


def test_turned_segments_have_the_turned_field():
    loop, points = Segments.polygon(circle(7), B, 0.01), scattered(10)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    np.testing.assert_allclose(
        beta(loop.turned(turn), points @ turn.T), turn @ beta(loop, points) @ turn.T, atol=1e-18
    )
