"""The hierarchical sum against the exact one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import MEDIA, isotropic, random_medium

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.anisotropic import AnisotropicDislocations
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.many import Bounds, ManyDislocations
from weakbeam.defects.straight import StraightDislocations
from weakbeam.instrument.goniometer import rotation_x, rotation_y, rotation_z

B, MEDIUM = 2.8634e-4, IsotropicMedium(0.334)
LEFT_OUT = 1e-8
FRAME = rotation_z(0.3) @ rotation_y(0.2)
SLAB = Bounds([1.0, -2.0, 0.5], FRAME, [10.0, 9.0, 0.2])


def random_lines(count, seed=0, core=B, reach=12.0):
    random = np.random.default_rng(seed)
    return StraightLines(
        B * random.normal(size=(count, 3)),
        random.normal(size=(count, 3)),
        random.uniform(-reach, reach, (count, 3)) * [1, 1, 0.1],
        core,
    )


def inside(bounds, count=2000, seed=1):
    local = np.random.default_rng(seed).uniform(-1, 1, (count, 3)) * bounds.half
    return bounds.centre + local @ bounds.axes


def scale(lines, points):
    """Σ b / 2πd over the lines, at each point: what the tolerance is relative to."""
    total = np.zeros(len(points))
    for line in lines:
        offset = points - line.position
        across = offset - np.outer(offset @ line.line, line.line)
        total += np.linalg.norm(line.burgers_vector) / np.linalg.norm(across, axis=1) / (2 * np.pi)
    return total


def error(many, lines, points):
    difference = evaluate(many, points) - evaluate(StraightDislocations(lines, MEDIUM), points)
    return np.abs(difference).max((1, 2))


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_a_thin_slab_of_many_lines_keeps_far_below_the_bound(tolerance):
    lines = random_lines(300)
    many = ManyDislocations(StraightDislocations(lines, MEDIUM), SLAB, tolerance, points=400_000)
    points = inside(SLAB)
    assert many.boxes > 100
    assert many.near_lines < 0.25 * len(lines)
    allowed = 0.01 * tolerance * scale(lines, points) + 0.2 * LEFT_OUT
    assert np.all(error(many, lines, points) < allowed)


def lines_in(name, lines, seed):
    if name == "isotropic":
        return StraightDislocations(lines, MEDIUM)
    special = {"degenerate": isotropic(0.3), "any": random_medium(seed)}
    return AnisotropicDislocations(lines, (MEDIA | special)[name])


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3])
@pytest.mark.parametrize("name", ["Cu", "Fe", "W", "quartz", "degenerate"])
def test_many_lines_of_an_anisotropic_medium_are_boxed_as_well(name, tolerance):
    lines = random_lines(300)
    exact = lines_in(name, lines, 0)
    many = ManyDislocations(exact, SLAB, tolerance, points=400_000)
    points = inside(SLAB)
    assert many.boxes > 100
    assert many.near_lines < 0.35 * len(lines)
    difference = np.abs(evaluate(many, points) - evaluate(exact, points)).max((1, 2))
    assert np.all(difference < 0.03 * tolerance * scale(lines, points) + 0.2 * LEFT_OUT)


LINES_AND_REGIONS = given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(65, 160),
    half=st.tuples(*[st.sampled_from([0.0, 0.01, 0.3, 1.0, 5.0, 20.0])] * 3),
    tolerance=st.sampled_from([1e-1, 1e-2, 1e-3, 1e-5]),
    parallel=st.booleans(),
    core=st.sampled_from([0.0, B, 0.1]),
    medium=st.sampled_from(["isotropic", "Cu", "W", "quartz", "GaN", "degenerate", "any"]),
    turns=st.tuples(*[st.floats(-3, 3)] * 3),
)


def errors_stay_below_the_bound(seed, count, half, tolerance, parallel, core, medium, turns):
    if not any(half):
        return
    random = np.random.default_rng(seed)
    axes = rotation_x(turns[0]) @ rotation_y(turns[1]) @ rotation_z(turns[2])
    bounds = Bounds(random.normal(size=3), axes, half)
    lines = random_lines(count, seed, core)
    if parallel:
        lines = StraightLines(
            lines.burgers_vectors, np.tile(axes[seed % 3], (count, 1)), lines.positions, core
        )
    exact = lines_in(medium, lines, seed)
    many = ManyDislocations(exact, bounds, tolerance, points=40_000, workers=1)
    points = inside(bounds, 200, seed)
    # Rounding: coordinates across a line are known to a few 1e-15 µm.
    rounding = 1e-13 * scale(lines, points) * (1 + scale(lines, points) / B)
    allowed = tolerance * scale(lines, points) + LEFT_OUT + rounding
    difference = np.abs(evaluate(many, points) - evaluate(exact, points)).max((1, 2))
    assert np.all(difference <= allowed)


@settings(deadline=None, max_examples=40)
@LINES_AND_REGIONS
def test_errors_stay_below_the_bound(**drawn):
    errors_stay_below_the_bound(**drawn)


@pytest.mark.slow
@settings(deadline=None, max_examples=1000)
@LINES_AND_REGIONS
def test_errors_stay_below_the_bound_in_a_thousand_draws(**drawn):
    errors_stay_below_the_bound(**drawn)


def test_a_point_close_to_a_core_is_exact():
    lines = random_lines(300)
    many = ManyDislocations(StraightDislocations(lines, MEDIUM), SLAB, points=300_000)
    local = (lines.positions - SLAB.centre) @ SLAB.axes.T
    (inner,) = np.nonzero(np.all(np.abs(local) < 0.9 * SLAB.half, axis=1))
    for position in lines.positions[inner[:5]]:
        points = position + 1e-3 * np.random.default_rng(0).normal(size=(50, 3))
        assert np.max(error(many, lines, points)) < LEFT_OUT
    assert len(inner) >= 5


def test_points_outside_are_summed_line_by_line():
    lines = random_lines(200)
    many = ManyDislocations(StraightDislocations(lines, MEDIUM), SLAB, points=300_000)
    assert many.boxes > 0
    local = np.array([[10.5, 0, 0], [0, 0, 0.3], [0, -9.5, 0], [100, 100, 100]])
    points = SLAB.centre + local @ SLAB.axes
    exact = evaluate(StraightDislocations(lines, MEDIUM), points)
    np.testing.assert_allclose(evaluate(many, points), exact, rtol=0, atol=1e-14)
    mixed = np.concatenate([points, inside(SLAB, 100)])
    np.testing.assert_array_equal(evaluate(many, mixed)[:4], evaluate(many, points))


def test_corners_and_faces_belong_to_the_region():
    lines = random_lines(200)
    many = ManyDislocations(StraightDislocations(lines, MEDIUM), SLAB, points=300_000)
    corners = np.array(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1])).reshape(3, -1).T
    points = SLAB.centre + (corners * SLAB.half) @ SLAB.axes
    assert np.max(error(many, lines, points)) < 1e-6


def test_the_result_depends_neither_on_threads_nor_on_the_company_of_a_point():
    lines = random_lines(200)
    points = np.ascontiguousarray(inside(SLAB, 4096).T)
    one, many = (
        ManyDislocations(StraightDislocations(lines, MEDIUM), SLAB, points=300_000, workers=workers)
        for workers in (1, 4)
    )
    expected = np.zeros((9, 4096))
    one.add_to(expected, points)

    def work(_):
        gradient = np.zeros((9, 4096))
        many.add_to(gradient, points)
        return gradient

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, range(8)):
            np.testing.assert_array_equal(found, expected)
    some = np.zeros((9, 5))
    one.add_to(some, np.ascontiguousarray(points[:, 100:105]))
    np.testing.assert_array_equal(some, expected[:, 100:105])


def test_a_field_is_added_to_what_was_there():
    many = ManyDislocations(StraightDislocations(random_lines(200), MEDIUM), SLAB, points=300_000)
    points = np.ascontiguousarray(inside(SLAB, 10).T)
    gradient, other = np.ones((9, 10)), np.zeros((9, 10))
    many.add_to(gradient, points)
    many.add_to(other, points)
    np.testing.assert_allclose(gradient, 1.0 + other, rtol=1e-14)


@pytest.mark.parametrize(("count", "points"), [(0, 10**6), (1, 10**6), (64, 10**6), (500, 20)])
def test_few_lines_or_points_are_not_worth_boxes(count, points):
    lines = random_lines(count)
    many = ManyDislocations(StraightDislocations(lines, MEDIUM), SLAB, points=points)
    assert many.boxes == 0
    assert many.near_lines == count
    where = inside(SLAB, 50)
    exact = evaluate(StraightDislocations(lines, MEDIUM), where)
    np.testing.assert_array_equal(evaluate(many, where), exact)


def test_near_lines_are_a_small_share_of_all():
    near = [
        ManyDislocations(
            StraightDislocations(random_lines(n), MEDIUM), SLAB, points=400_000
        ).near_lines
        for n in (300, 1200)
    ]
    assert near[0] < 60
    assert near[1] < 5 * near[0]


def test_bounds_around_points_have_the_axes_asked_for():
    points = inside(SLAB, 5000)
    found = Bounds.of(points, FRAME)
    np.testing.assert_allclose(found.half, SLAB.half, rtol=0.01)
    np.testing.assert_allclose(found.centre, SLAB.centre, atol=0.05)
    np.testing.assert_array_equal(Bounds.of(points).axes, np.eye(3))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Bounds([0, 0, 0], 2 * np.eye(3), [1, 1, 1]), "orthonormal"),
        (lambda: Bounds([0, 0, 0], np.eye(3), [0, 0, 0]), "not zero"),
        (lambda: Bounds([0, 0, 0], np.eye(3), [1, -1, 0]), "negative"),
        (lambda: Bounds([0, 0], np.eye(3), [1, 1, 1]), "centre"),
        (
            lambda: ManyDislocations(StraightDislocations(random_lines(2), MEDIUM), SLAB, 0.0),
            "tolerance",
        ),
        (
            lambda: ManyDislocations(StraightDislocations(random_lines(2), MEDIUM), SLAB, points=0),
            "points",
        ),
    ],
)
def test_impossible_regions_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
