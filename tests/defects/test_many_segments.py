"""Segments in boxes: the error stays below its bound, and what is near is exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import MEDIA, random_medium

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.anisotropic_segments import AnisotropicSegments, constants, tables_of
from weakbeam.defects.box_sources import AnisotropicPieces, is_near
from weakbeam.defects.boxes import ORDER
from weakbeam.defects.chebyshev import (
    coefficients_from_values,
    least_segment_gap,
    nodes,
    segment_error_bound,
)
from weakbeam.defects.field import evaluate
from weakbeam.defects.field_of import ANISOTROPIC_TOLERANCE
from weakbeam.defects.green import relative_stiffness
from weakbeam.defects.many import Bounds
from weakbeam.defects.many_segments import ManySegments
from weakbeam.defects.measured_gaps import measured_gap
from weakbeam.defects.segments import IsotropicSegments, Segments

MEDIUM = IsotropicMedium(0.3)
B = 2.5e-4
AXES = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
SLAB = Bounds([0.3, -0.2, 0.1], AXES, [8.0, 7.0, 0.4])


def pieces(count, seed=0, spread=10.0, core=0.002, half_lines=False):
    random = np.random.default_rng(seed)
    lengths = random.uniform(0.05, 2.0, count)
    if half_lines:
        lengths[:: max(count // 5, 1)] = np.inf
    return Segments(
        random.normal(scale=B, size=(count, 3)),
        random.uniform(-spread, spread, (count, 3)),
        random.normal(size=(count, 3)),
        lengths,
        core,
    )


def inside(bounds, count=400, seed=1):
    local = np.random.default_rng(seed).uniform(-1, 1, (count, 3)) * bounds.half
    return bounds.centre + local @ bounds.axes


def allowed_error(segments, points, tolerance, box):
    """Σ tol b / 2π ∫ ds / R², R to the nearest point of a box that is `box` wide."""
    share = np.linspace(0.0, 1.0, 60)
    total = np.zeros(len(points))
    for start, along, length, b in zip(
        segments.starts,
        segments.directions,
        np.minimum(segments.lengths, 200.0),
        segments.burgers_vectors,
        strict=True,
    ):
        places = start + share[:, None] * length * along
        distance = np.linalg.norm(points[:, None] - places, axis=2)
        distance = np.maximum(distance - box, 0.3 * distance)
        total += np.linalg.norm(b) / (2 * np.pi) * length * np.mean(distance**-2.0, axis=1)
    return tolerance * total


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize("half_lines", [False, True])
def test_a_slab_keeps_below_the_bound(tolerance, half_lines):
    segments = pieces(300, half_lines=half_lines)
    exact = IsotropicSegments(segments, MEDIUM)
    many = ManySegments(exact, SLAB, tolerance, points=400_000)
    assert many.boxes > 50
    assert many.near_lines < 0.3 * len(segments)
    points = inside(SLAB)
    error = np.abs(evaluate(many, points) - evaluate(exact, points)).max(axis=(1, 2))
    assert np.all(error < 0.1 * allowed_error(segments, points, tolerance, 0.0) + 1e-8)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(65, 150),
    half=st.sampled_from([(5.0, 5.0, 0.0), (3.0, 2.0, 1.0), (1.0, 1.0, 1.0), (6.0, 0.2, 0.1)]),
    tolerance=st.sampled_from([1e-1, 1e-3, 1e-5]),
    spread=st.sampled_from([1.0, 5.0, 30.0]),
    half_lines=st.booleans(),
)
def test_random_segments_keep_below_the_bound(seed, count, half, tolerance, spread, half_lines):
    segments = pieces(count, seed, spread, half_lines=half_lines)
    # Axes in any order, and of either handedness.
    axes = AXES[np.random.default_rng(seed).permutation(3)]
    bounds = Bounds([0.0, 0.0, 0.0], axes, half)
    exact = IsotropicSegments(segments, MEDIUM)
    many = ManySegments(exact, bounds, tolerance, points=40_000, workers=1)
    points = inside(bounds, 100, seed)
    error = np.abs(evaluate(many, points) - evaluate(exact, points)).max(axis=(1, 2))
    assert np.all(error <= allowed_error(segments, points, tolerance, 2.0 * max(half)) + 2e-8)


@pytest.mark.parametrize(
    "medium",
    [MEDIA["Cu"], MEDIA["quartz"], random_medium(2), random_medium(5)],
    ids=["Cu", "quartz", "random-2", "random-5"],
)
@pytest.mark.parametrize("order", [5, ORDER])
def test_the_criterion_of_anisotropic_segments_keeps_below_the_bound(medium, order):
    # Short segments that are just not too near to a box: what interpolation in it leaves of each.
    random, tolerance, half = np.random.default_rng(3), ANISOTROPIC_TOLERANCE, np.ones(3)
    tables, stiffness = tables_of(medium), relative_stiffness(medium)
    gap = measured_gap(order, tolerance / 3, tables.derivatives, tables.cells, stiffness)
    shares = [nodes(order)] * 3
    grid = np.stack(np.meshgrid(*shares, indexing="ij"), axis=-1).reshape(-1, 3)
    points = random.uniform(-1.0, 1.0, (30, 3))
    transform = coefficients_from_values(order)
    x, y, z = (np.polynomial.chebyshev.chebvander(c, order - 1) @ transform for c in points.T)
    shares = []
    for _ in range(30):
        outwards, along = random.normal(size=(2, 3))
        outwards /= np.linalg.norm(outwards)

        def at(distance, outwards=outwards, along=along):
            return Segments.between(
                [distance * outwards - 0.01 * along], [distance * outwards + 0.01 * along], along
            )

        low, high = 0.0, 100.0
        while high - low > 1e-3:
            middle = 0.5 * (low + high)
            sources = AnisotropicPieces(*constants(at(middle), medium))
            near = is_near(sources, 0, 0.0, 0.0, 0.0, half, np.full(3, gap))
            low, high = (middle, high) if near else (low, middle)
        assert high < 99.0
        segment = at(high)
        field = AnisotropicSegments(segment, medium)
        values = evaluate(field, grid).reshape(order, order, order, 3, 3)
        found = np.einsum("pa,pb,pc,abcij->pij", x, y, z, values, optimize=True)
        error = np.abs(found - evaluate(field, points)).max()
        # Of the point of the box that is nearest.
        nearest = np.linalg.norm(np.maximum(np.abs(high * outwards) - half, 0.0))
        size = np.linalg.norm(segment.burgers_vectors) * segment.lengths[0] / (2 * np.pi)
        shares.append(error * nearest**2 / size / tolerance)
    # It is a bound, and neither a loose nor a missing one.
    assert max(shares) < 1.0
    assert max(shares) > 2e-3


def test_anisotropic_segments_in_boxes_are_those_of_the_direct_sum():
    random = np.random.default_rng(0)
    loops = [
        Segments.polygon(
            random.uniform(-5, 5, 3) + random.normal(scale=0.6, size=(8, 3)),
            random.normal(scale=B, size=3),
            3e-4,
        )
        for _ in range(40)
    ]
    exact = AnisotropicSegments(Segments.joined(loops), MEDIA["Cu"])
    for half in ([2.0, 1.8, 1.9], [3.0, 2.5, 0.1]):
        bounds = Bounds([0.3, -0.2, 0.1], AXES, half)
        many = ManySegments(exact, bounds, ANISOTROPIC_TOLERANCE, points=20_000)
        assert many.boxes >= 8
        assert many.near_lines < 0.5 * len(exact.segments)
        points = inside(bounds, 200)
        expected = evaluate(exact, points)
        # A hundredth of a microradian.
        assert np.sqrt(np.mean((evaluate(many, points) - expected) ** 2)) < 1e-8


def test_near_a_segment_all_digits_are_there():
    segments = pieces(200, spread=3.0)
    exact = IsotropicSegments(segments, MEDIUM)
    many = ManySegments(exact, SLAB, points=300_000)
    middles = segments.starts + 0.5 * segments.lengths[:, None] * segments.directions
    local = (middles - SLAB.centre) @ SLAB.axes.T
    (inner,) = np.nonzero(np.all(np.abs(local) < 0.9 * SLAB.half, axis=1))
    assert len(inner) > 5
    near = middles[inner] + 1e-3
    found, expected = evaluate(many, near), evaluate(exact, near)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_outside_and_for_few_each_is_summed():
    segments = pieces(100)
    exact = IsotropicSegments(segments, MEDIUM)
    many = ManySegments(exact, SLAB, points=300_000)
    assert many.boxes > 0
    away = SLAB.centre + np.array([[9.0, 0, 0], [0, 0, 0.6], [50, 50, 50]]) @ SLAB.axes
    np.testing.assert_allclose(evaluate(many, away), evaluate(exact, away), atol=1e-17)
    assert ManySegments(exact, SLAB, points=20).boxes == 0


def test_results_do_not_depend_on_threads():
    exact = IsotropicSegments(pieces(200), MEDIUM)
    one, four = (ManySegments(exact, SLAB, points=300_000, workers=n) for n in (1, 4))
    points = inside(SLAB)
    np.testing.assert_array_equal(evaluate(one, points), evaluate(four, points))


@pytest.mark.parametrize("order", [3, 5, 8])
@pytest.mark.parametrize("gap", [1.5, 2.5, 6.0])
def test_the_bound_holds_for_every_direction_of_a_source(order, gap):
    # Kernels R_i R_j R_k / R⁵ and R_i / R³ of a source at the distance 1 + gap from the middle.
    t, tau = np.linspace(-1, 1, 301), 1.0 + gap
    angle = np.linspace(0.0, np.pi, 91)[:, None]
    along, across = tau * np.cos(angle), tau * np.sin(angle)
    transform = coefficients_from_values(order)
    values = np.polynomial.chebyshev.chebvander(t, order - 1) @ transform
    worst = []
    for power in (3, 5):
        parts = []
        for k in range(power - 1):

            def kernel(x, k=k, power=power):
                distance = np.hypot(x - along, across)
                return (x - along) ** k * across ** (power - 2 - k) / distance**power

            left = kernel(t) - kernel(nodes(order)) @ values.T
            parts.append(np.abs(left).max() * tau**2)
        worst.append(max(parts))
    lebesgue = 1.0 + 2.0 / np.pi * np.log(order + 1.0)
    bound = segment_error_bound(order, gap)
    assert lebesgue**2 * (0.75 * worst[0] + 0.75 * worst[1]) <= (1 + 1e-5) * bound
    assert segment_error_bound(order, least_segment_gap(order, 1e-4)) <= 1e-4 * (1 + 1e-9)
