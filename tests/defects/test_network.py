"""Pieces of networks: whatever is cut out of one, no line ends in it."""

import numpy as np
import pytest
from networks import PERIODS, B, chains

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.network import DislocationNetwork
from weakbeam.defects.regions import Box
from weakbeam.defects.segments import IsotropicSegments, Segments
from weakbeam.defects.straight import displacement_gradient

MEDIUM = IsotropicMedium(0.3)


def loose_ends(segments):
    """Σ b of what ends at each place, largest component; half-lines end at one place only."""
    finite = np.isfinite(segments.lengths)
    places = np.concatenate([segments.starts, segments.ends[finite]])
    burgers = np.concatenate([segments.burgers_vectors, -segments.burgers_vectors[finite]])
    _, which = np.unique(np.round(places, 6), axis=0, return_inverse=True)
    total = np.zeros((which.max() + 1, 3))
    np.add.at(total, which.ravel(), burgers)
    return np.abs(total).max()


@pytest.mark.parametrize("images", [0, 1, 2])
def test_a_few_boxes_have_no_loose_ends(images):
    network = chains()
    assert np.abs(network.imbalance).max() < 1e-15
    piece = network.piece(images)
    assert loose_ends(piece) < 1e-15
    assert np.isinf(piece.lengths).any()
    finite = np.isfinite(piece.lengths).sum()
    assert finite <= (2 * images + 1) ** 3 * len(network.arms)


@pytest.mark.parametrize("periods", [1, 2])
def test_one_or_two_periods_are_summed_as_far_as_images_go(periods):
    # Closed loops fade as R⁻³: what boxes further out add is little.
    loops = chains(through=False, repeats=periods)
    shares = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 3))
    points = loops.centre + shares @ PERIODS
    one, more = (evaluate(IsotropicSegments(loops.piece(n), MEDIUM), points) for n in (1, 4))
    assert np.sqrt(np.mean((one - more) ** 2)) < 1e-2 * np.sqrt(np.mean(more**2))
    # Not the box alone, whose loops have no images.
    alone = evaluate(IsotropicSegments(loops.piece(0), MEDIUM), points)
    assert np.sqrt(np.mean((alone - more) ** 2)) > 1e-2 * np.sqrt(np.mean(more**2))
    assert loose_ends(loops.piece(1)) < 1e-15


def test_a_line_along_the_only_period_is_infinite():
    b, place = np.array([B, 0.5 * B, -0.2 * B]), np.array([[0.3, -0.2, 0.1]])
    network = DislocationNetwork(
        place, np.array([[0, 0]]), PERIODS[:1], b[None], np.full(1, 0.01), PERIODS[:1], np.zeros(3)
    )
    points = np.random.default_rng(0).normal(size=(20, 3))
    expected = displacement_gradient(points, StraightLine(b, PERIODS[0], place[0], 0.01), MEDIUM)
    for images in (0, 1):
        found = evaluate(IsotropicSegments(network.piece(images), MEDIUM), points)
        np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


def test_every_arm_is_there_once_in_each_box():
    network = chains()
    piece = network.piece(2)
    inside = network.piece(1)
    # The inner boxes of the larger piece are those of the smaller one.
    rows = {
        tuple(np.round([*s, *d], 6)) for s, d in zip(piece.starts, piece.directions, strict=True)
    }
    finite = np.isfinite(inside.lengths)
    some = zip(inside.starts[finite], inside.directions[finite], strict=True)
    assert all(tuple(np.round([*s, *d], 6)) in rows for s, d in some)


@pytest.mark.parametrize("half", [0.3, 0.8, 2.5])
def test_what_is_cut_out_has_no_loose_ends_and_is_right_inside(half):
    network = chains()
    region = Box([-half, -half, -half], [half, half, half])
    piece = network.piece(3, region)
    assert loose_ends(piece) < 1e-15
    full = IsotropicSegments(network.piece(3), MEDIUM)
    random = np.random.default_rng(1)
    points = random.uniform(-half, half, (2000, 3))
    exact = evaluate(full, points)
    # Close to a line its own field is all that counts.
    close = np.abs(exact).max(axis=(1, 2)) > 0.02 * B / 0.01
    assert close.sum() > 5
    found = evaluate(IsotropicSegments(piece, MEDIUM), points)
    difference = np.abs(found - exact).max(axis=(1, 2))
    assert difference[close].max() < 0.3 * np.abs(exact[close]).max()


def test_an_arm_that_only_passes_through_a_region_is_an_infinite_line():
    network = chains(loops=0)
    start = network.nodes[0]
    middle = start + 0.25 * network.steps[0]
    region = Box(middle - 0.01, middle + 0.01)
    piece = network.piece(0, region)
    assert len(piece) == 2
    assert np.isinf(piece.lengths).all()
    np.testing.assert_allclose(piece.directions[0], -piece.directions[1])
    np.testing.assert_allclose(piece.burgers_vectors[0], -piece.burgers_vectors[1])


def test_straight_ends_carry_on():
    open_line = DislocationNetwork(
        np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0]]),
        np.array([[0, 1], [1, 2]]),
        np.array([[1.0, 0, 0], [0, 1, 0]]),
        np.tile([0.0, 0.0, B], (2, 1)),
        np.full(2, 0.0),
        np.zeros((0, 3)),
        np.zeros(3),
    )
    assert open_line.degrees.tolist() == [1, 2, 1]
    ends = open_line.with_straight_ends()
    expected = Segments.polyline(open_line.nodes, [0.0, 0.0, B])
    found = Segments.joined([open_line.piece(), ends])
    points = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(
        evaluate(IsotropicSegments(found, MEDIUM), points),
        evaluate(IsotropicSegments(expected, MEDIUM), points),
        atol=1e-18,
    )


def test_density_and_nye_tensor_are_per_volume_of_the_box():
    network = chains()
    volume = np.linalg.det(PERIODS)
    length = np.linalg.norm(network.steps, axis=1).sum()
    assert network.density == pytest.approx(1e12 * length / volume)
    # Only the line without an opposite one counts: it goes once along the second period.
    lonely = network.burgers[19]
    np.testing.assert_allclose(
        network.nye_tensor, np.outer(lonely, PERIODS[1]) / volume, atol=1e-18
    )
