"""Scores of a library at all shifts, against plain regressions at each of them."""

import numpy as np
import pytest
from scipy.signal import correlate2d

from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.search.background import remove_background
from weakbeam.identify.search.shift_scores import correlation_scores, shift_scores

NOISE = Noise(2.14, 17.4)
SHAPE = (24, 36)


def library(count=7, conditions=2, shape=SHAPE):
    """Streaks of several directions and profiles."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = y - shape[0] / 2, x - shape[1] / 2
    members = np.empty((count, conditions, *shape))
    for k in range(count):
        across = x * np.cos(0.45 * k) + y * np.sin(0.45 * k)
        along = y * np.cos(0.45 * k) - x * np.sin(0.45 * k)
        for c in range(conditions):
            side = 1.0 + (0.8 if c else -0.8) * np.tanh(0.5 * across)
            end = (1.0 - 0.7 * np.tanh(0.3 * along)) * np.exp(-0.01 * along**2)
            members[k, c] = 0.1 + side * end * np.exp(-0.1 * across**2)
    return members


def observed(light, scale=300.0, level=8.0, seed=0, good=None):
    rng = np.random.default_rng(seed)
    signal = scale * light + level
    counts = NOISE.gain * rng.poisson(signal / NOISE.gain)
    return Observation(counts + rng.normal(0.0, NOISE.floor**0.5, signal.shape), NOISE, good)


def moved(members, row, column):
    """Members moved by whole pixels; what enters is the background."""
    result = np.full_like(members, 0.1)
    rows, columns = members.shape[-2:]
    to = slice(max(row, 0), rows + min(row, 0)), slice(max(column, 0), columns + min(column, 0))
    of = slice(max(-row, 0), rows - max(row, 0)), slice(max(-column, 0), columns - max(column, 0))
    result[(..., *to)] = members[(..., *of)]
    return result


def plain_gains(observation, member, bound):
    """Weighted regression with a common scale and a background for each image, shift by shift."""
    best = (-1.0, None)
    framed = np.pad(observation.images * observation.good, [(0, 0), (1, 1), (1, 1)])
    counted = np.pad(observation.good.astype(float), [(0, 0), (1, 1), (1, 1)])
    box = np.ones((3, 3))
    smooth = np.stack(
        [
            correlate2d(f, box, "valid") / np.maximum(correlate2d(g, box, "valid"), 1)
            for f, g in zip(framed, counted, strict=True)
        ]
    )
    weight = observation.good / NOISE.variance(smooth)
    inside = np.ones(member.shape)
    d = observation.images - (weight * observation.images).sum((1, 2), keepdims=True) / weight.sum(
        (1, 2), keepdims=True
    )
    total = (weight * d**2).sum()
    for i in range(-bound, bound + 1):
        for j in range(-bound, bound + 1):
            shared = moved(inside, i, j) == 1.0
            light = moved(member, i, j)
            cross = power = present = 0.0
            for c in range(len(member)):
                w, d, m = (a[c][shared[c]] for a in (weight, observation.images, light))
                d, m = d - w @ d / w.sum(), m - w @ m / w.sum()
                cross, power = cross + w @ (d * m), power + w @ (m * m)
                present += w @ (d * d)
            gain = 0.5 * max(cross, 0.0) ** 2 / power * total / present
            best = max(best, (gain, (i, j)))
    return best


def test_scores_are_those_of_regressions_at_every_shift():
    members = library()
    good = np.random.default_rng(2).random((2, *SHAPE)) > 0.1
    seen = observed(moved(members[3], 2, -3), good=good)
    found = shift_scores(seen, [members[:4], members[4:]], 4, workers=1)
    assert len(found) == 7
    for k, member in enumerate(members):
        gain, shift = plain_gains(seen, member, 4)
        assert tuple(found.shift[k, 0]) == shift
        # The paraboloid about the peak adds a little.
        assert gain - 0.01 <= found.gain[k] + 1e-3 * gain
        assert found.gain[k] <= 1.1 * gain + 1.0
    assert found.gain.argmax() == 3
    assert tuple(found.shift[3, 0]) == (2, -3)
    assert found.correlation[3] > 0.96


@pytest.mark.parametrize("score", ["likelihood", "correlation"])
def test_ranking_does_not_depend_on_shift_scale_or_background(score):
    members = library(12, shape=(60, 84))

    def rank(observation):
        if score == "likelihood":
            found = shift_scores(observation, [members], 5)
        else:
            found = correlation_scores(remove_background(observation.images), [members], 5)
        return found, list(np.argsort(-found.gain)[:4])

    usual, order = rank(observed(moved(members[5], 0, 0)))
    assert order[0] == 5
    for row, column in [(5, -3), (-3, 1)]:
        found, _ = rank(observed(moved(members[5], row, column)))
        assert found.gain.argmax() == 5
        assert tuple(found.shift[5, 0]) == (row, column)
    images = observed(members[5]).images
    # The noise is scaled along with the counts.
    scaled = Observation(3.0 * images, Noise(3.0 * NOISE.gain, 9.0 * NOISE.floor))
    found, again = rank(scaled)
    assert again == order
    np.testing.assert_allclose(found.gain, usual.gain, rtol=1e-3)
    # A background leaves the variance as it was.
    raised = Observation(images + 50.0, NOISE)
    assert rank(raised)[1][0] == 5
    if score == "correlation":
        np.testing.assert_allclose(rank(raised)[0].gain, usual.gain, rtol=1e-5)


def test_a_mirrored_partner_needs_the_second_image():
    """Two members that are alike in the first image and mirrored in the second."""
    members = library(2)
    members[1] = members[0, [0, 0]]
    seen = observed(members[0])
    one = shift_scores(seen.only(0), [members[:, :1]], 2)
    assert one.gain[0] == pytest.approx(one.gain[1], rel=1e-6)
    both = shift_scores(seen, [members], 2)
    assert both.gain[0] - both.gain[1] > 100.0


def test_images_of_several_reflections_move_by_themselves():
    members = library()
    light = members[2].copy()
    light[0], light[1] = moved(light[:1], 3, 1)[0], moved(light[1:], -2, 4)[0]
    seen = observed(light)
    apart = shift_scores(seen, [members], 4, groups=[0, 1])
    assert apart.shift[2].tolist() == [[3, 1], [-2, 4]]
    assert apart.gain.argmax() == 2
    together = shift_scores(seen, [members], 4)
    assert apart.gain[2] > together.gain[2] + 50.0
    single = shift_scores(seen.only(1), [members[:, 1:]], 4)
    first = shift_scores(seen.only(0), [members[:, :1]], 4)
    np.testing.assert_allclose(apart.gain, first.gain + single.gain, rtol=1e-5)


def test_images_may_be_larger_than_the_library():
    members = library()
    large = np.full((2, 40, 50), 0.1)
    large[:, 8 + 2 : 32 + 2, 7 - 3 : 43 - 3] = members[4]
    found = shift_scores(observed(large), [members], 4)
    assert found.gain.argmax() == 4
    assert tuple(found.shift[4, 0]) == (2, -3)


def test_members_without_contrast_score_nothing():
    members = library(3)
    members[1] = 0.3
    found = shift_scores(observed(members[0]), [members], 2)
    assert found.gain[1] == 0.0
    assert found.correlation[1] == 0.0
    assert correlation_scores(members[0], [members], 2).gain[1] == 0.0


def test_threads_and_blocks_change_nothing():
    members, seen = library(9), observed(library(9)[2])
    whole = shift_scores(seen, [members], 3, workers=1)
    parts = shift_scores(seen, (members[k : k + 2] for k in range(0, 9, 2)), 3, workers=3)
    np.testing.assert_array_equal(whole.gain, parts.gain)
    np.testing.assert_array_equal(whole.peak, parts.peak)


def test_mistakes():
    seen = observed(library(1)[0])
    with pytest.raises(ValueError, match="no member"):
        shift_scores(seen, [], 2)
    with pytest.raises(ValueError, match=r"conditions \(2\)"):
        shift_scores(seen, [library(1)[0]], 2)
    with pytest.raises(ValueError, match="groups for"):
        shift_scores(seen, [library(1)], 2, groups=[0])
