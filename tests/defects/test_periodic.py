"""Networks that repeat for ever: opposite faces agree, nothing has been added that strains."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from media import MEDIA
from mura import LEVI_CIVITA, isotropic_stiffness
from networks import PERIODS, B, chains

from weakbeam.core.preparing import watching_preparations
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects import cells, many_segments
from weakbeam.defects.field import Superposition, evaluate
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.many import Bounds
from weakbeam.defects.network import DislocationNetwork
from weakbeam.defects.periodic import RepeatedNetwork
from weakbeam.defects.segments import IsotropicSegments
from weakbeam.defects.straight import StraightDislocations

NU = 0.3
MEDIUM = IsotropicMedium(NU)


def in_box(network, count, seed=0, share=1.0):
    shares = np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 3)) * share
    return network.centre + shares @ network.periods


@pytest.mark.parametrize("seed", [0, 1])
def test_opposite_faces_agree_and_more_boxes_change_little(seed):
    network = chains(seed)
    near, wide = (RepeatedNetwork(network, images, MEDIUM) for images in (1, 2))
    assert near.correction[1] < 2e-3 * B
    assert wide.correction[1] < 0.2 * near.correction[1]
    points = in_box(network, 200, seed)
    size = np.sqrt(np.mean(evaluate(near, points) ** 2))
    change = evaluate(near, points) - evaluate(wide, points)
    assert np.sqrt(np.mean(change**2)) < 2e-3 * size
    # Without folding, the sums themselves agree across the box.
    summed = Superposition([IsotropicSegments(near.segments, MEDIUM), near.correction[0]])
    for axis in range(3):
        low = in_box(network, 40, seed + axis)
        shares = (low - network.centre) @ np.linalg.inv(PERIODS)
        low -= np.outer(shares[:, axis] + 0.5, PERIODS[axis])
        gap = evaluate(summed, low + PERIODS[axis]) - evaluate(summed, low)
        assert np.abs(gap).max() < 2e-2 * B


def test_the_field_repeats_everywhere_and_has_no_mean():
    network = chains(core=0.3)
    field = RepeatedNetwork(network, 1, MEDIUM)
    points = in_box(network, 20, share=0.9)
    for turns in ([1, 0, 0], [0, -2, 5], [40, 3, 1]):
        moved = evaluate(field, points + turns @ PERIODS)
        np.testing.assert_allclose(moved, evaluate(field, points), atol=1e-12)
    even = (np.arange(14) + 0.5) / 14 - 0.5
    shares = np.stack(np.meshgrid(even, even, even), axis=-1).reshape(-1, 3)
    values = evaluate(field, network.centre + shares @ PERIODS)
    assert np.abs(values.mean(axis=0)).max() < 2e-2 * np.abs(values).mean()


def test_what_is_added_has_no_sources_and_no_forces():
    network = chains()
    correction, _ = RepeatedNetwork(network, 1, MEDIUM).correction
    points, step = in_box(network, 20), 1e-3
    change = np.stack(
        [
            (evaluate(correction, points + step * e) - evaluate(correction, points - step * e))
            / (2 * step)
            for e in np.eye(3)
        ],
        axis=-1,
    )
    curl = np.einsum("jkl,nilk->nij", LEVI_CIVITA, change)
    # But for the bending of a box whose Burgers vectors do not add up to zero.
    np.testing.assert_allclose(curl, np.tile(-network.nye_tensor, (20, 1, 1)), atol=1e-3 * B)
    forces = np.einsum("ijkl,nklj->ni", isotropic_stiffness(NU), change)
    assert np.abs(forces).max() < 1e-3 * B


def test_a_lattice_of_straight_lines_is_the_sum_over_many():
    # A line of opposite sign in the middle: the sum over squares of lines converges quickly.
    periods = 2.0 * np.eye(3)
    b = np.array([0.0, B, 0.5 * B])
    nodes = np.array([[-0.5, -0.5, -0.9], [0.5, 0.5, -0.9]])
    network = DislocationNetwork(
        nodes,
        np.array([[0, 0], [1, 1]]),
        np.array([[0, 0, 2.0], [0, 0, 2.0]]),
        np.array([b, -b]),
        np.full(2, 0.01),
        periods,
        np.zeros(3),
    )
    found = evaluate(RepeatedNetwork(network, 1, MEDIUM), in_box(network, 50))
    shifts = [2.0 * np.array([i, j, 0]) for i in range(-40, 41) for j in range(-40, 41)]
    places = (np.array(shifts)[:, None] + nodes).reshape(-1, 3)
    burgers = np.tile([b, -b], (len(shifts), 1))
    lines = StraightLines(burgers, np.tile([0.0, 0.0, 1.0], (len(places), 1)), places, 0.01)
    direct = StraightDislocations(lines, MEDIUM)
    expected = evaluate(direct, in_box(network, 50))
    # The sum over squares has a constant of its own.
    offset = (found - expected).mean(axis=0)
    np.testing.assert_allclose(found - expected, np.tile(offset, (50, 1, 1)), atol=2e-3 * B)


def test_a_prepared_field_is_the_same_in_the_box_and_beyond():
    network = chains(3)
    field = RepeatedNetwork(network, 1, MEDIUM)
    for half in ([0.3, 0.3, 0.1], [4.0, 4.0, 0.3]):
        bounds = Bounds(network.centre, np.eye(3), half)
        points = network.centre + np.random.default_rng(2).uniform(-1, 1, (300, 3)) * half
        prepared = field.prepared(bounds, 40_000, 1)
        # A bound of a thousandth of each segment's part, of which much less is seen.
        np.testing.assert_allclose(
            evaluate(prepared, points), evaluate(field, points), rtol=0, atol=1e-3 * B
        )


def test_an_anisotropic_network_repeats_and_boxes_have_its_direct_sum():
    network = chains(2)
    field = RepeatedNetwork(network, 1, MEDIA["Cu"])
    assert field.correction[1] < 2e-3 * B
    points = in_box(network, 200)
    expected = evaluate(field, points)
    corners = network.centre + 0.5 * np.array(list(product((-1, 1), repeat=3))) @ network.periods
    prepared = field.prepared(Bounds.of(corners), 20_000, 1)
    error = evaluate(prepared, points) - expected
    # A thousandth of the least that optics see, of a field of 6e-5.
    assert np.sqrt(np.mean(error**2)) < 2e-8
    # A straight sum over more boxes, with a correction of its own, is the same field.
    wide = RepeatedNetwork(network, 2, MEDIA["Cu"])
    change = evaluate(wide, points[:60]) - expected[:60]
    assert np.sqrt(np.mean(change**2)) < 1e-2 * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize(
    "medium",
    [pytest.param(MEDIUM, marks=pytest.mark.slow), MEDIA["Al"]],
    ids=["isotropic", "Al"],
)
def test_many_chains_that_repeat_have_their_direct_sum(medium, monkeypatch):
    # As networks of files: so many segments that far cells are carried, and a region that is
    # larger than the box and turned against it, so that only parts of the box are cut into boxes.
    carried = []
    far = cells.far_cells

    def far_cells(levels, *arguments):
        carried.append(len(levels))
        return far(levels, *arguments)

    monkeypatch.setattr(many_segments, "far_cells", far_cells)
    periods = np.array([[3.0, 0.0, 0.0], [0.3, 2.7, 0.0], [0.0, -0.2, 2.8]])
    network = chains(4, periods=periods, loops=75, size=0.12)
    field = RepeatedNetwork(network, 1, medium)
    axes = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    bounds = Bounds(network.centre + np.array([0.5, 0.0, 0.2]), axes, [2.5, 2.2, 0.1])
    prepared = field.prepared(bounds, 100_000, 2)
    # For the field, and for the mean of the box.
    assert carried == ([] if medium is MEDIUM else [1, 1])
    inner = prepared.field.fields[0]
    assert inner.boxes > 50
    assert inner.near_lines < 0.04 * len(field)
    points = (
        bounds.centre + (np.random.default_rng(2).uniform(-1, 1, (100, 3)) * bounds.half) @ axes
    )
    # Each segment of every box, and the correction, at the place that a point repeats.
    shares = (points - network.centre) @ np.linalg.inv(periods)
    inside = points - np.round(shares) @ periods
    each = field_of(StraightLines.of([]), medium, segments=field.segments)
    expected = evaluate(each, inside) + evaluate(field.correction[0], inside)
    error = evaluate(prepared, points) - expected
    size = np.sqrt(np.mean(expected**2))
    assert np.sqrt(np.mean(error**2)) < 1e-3 * size
    # Another part of the box is as good, and what was not asked for is summed one by one.
    shift = np.array([0.0, 0.0, 0.8])
    lower = replace(bounds, centre=bounds.centre + shift)
    again = field.prepared(lower, 100_000, 2)
    moved = points[:40] + shift
    left = evaluate(again, moved) - evaluate(prepared, moved)
    assert np.sqrt(np.mean(left**2)) < 1e-3 * size


def test_what_takes_long_is_told():
    network = chains(1)
    told = []
    with watching_preparations(told.append):
        field = RepeatedNetwork(network, 1, MEDIUM)
        field.prepared(Bounds.of(in_box(network, 50)), 1_000_000, 1)
    assert f"making a box of {len(network.arms)} segments repeat" in told
    assert any(text.startswith("preparing the far field of ") for text in told)
