"""Members of a library between the pixels."""

import numpy as np
import pytest

from weakbeam.fit.likelihood import fit_scale
from weakbeam.fit.observation import Noise
from weakbeam.identify.search.moving import moved_image, overlap
from weakbeam.identify.search.sub_pixel import fit_shift

NOISE = Noise(2.14, 17.4)
SHAPE = (40, 52)


def model(row=0.0, column=0.0, shape=SHAPE):
    """Two images, smooth on the scale of a pixel, of a slanted streak with an end."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = y - shape[0] // 2 - row, x - shape[1] // 2 - column
    streak = np.exp(-0.5 * ((x - 0.6 * y) / 2.4) ** 2) / (1.0 + np.exp(0.7 * y))
    return 0.1 + np.stack([streak, 0.5 * streak * (1.0 + np.tanh(0.3 * x))])


def counts(seed, row, column, scale=400.0):
    signal = scale * model(row, column) + 6.0
    rng = np.random.default_rng(seed)
    photons = NOISE.gain * rng.poisson(signal / NOISE.gain)
    return photons + rng.normal(0.0, NOISE.floor**0.5, signal.shape)


def covered(start=(0, 0)):
    return np.broadcast_to(overlap(SHAPE, SHAPE, start), (2, *SHAPE))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, 0.25), (-3.3, 2.75), (4.0, -1.01)])
def test_moved_images_are_those_of_a_moved_object(shift):
    moved = moved_image(model(), SHAPE, shift)
    known = np.isfinite(moved)
    assert known.mean() > 0.5
    assert np.abs(moved - model(*shift))[known].max() < 1e-3


def test_images_of_another_size():
    moved = moved_image(model(), (60, 41), (1.5, -2.5))
    known = np.isfinite(moved)
    assert np.abs(moved - model(1.5, -2.5, (60, 41)))[known].max() < 1e-3
    assert known[:, 30, 20].all()
    assert not known[:, :8].any()


def test_covered_pixels():
    assert overlap((10, 12), (10, 12), (0, 0), 0).all()
    part = overlap((10, 12), (6, 6), (1, -2), 1)
    assert np.argwhere(part)[[0, -1]].tolist() == [[4, 2], [7, 5]]
    assert not overlap((10, 12), (10, 12), (30, 0)).any()


def test_shift_is_found_with_the_errors_that_it_tells():
    true = (0.37, -0.21)
    fits = [
        fit_shift(counts(seed, *true), model(), NOISE, covered(), (0, 0), 10) for seed in range(150)
    ]
    errors = np.array([fit.shift for fit in fits]) - true
    expected = np.sqrt(np.diag(fits[0].shift_covariance))
    np.testing.assert_allclose(errors.std(axis=0), expected, rtol=0.2)
    assert np.all(np.abs(errors.mean(axis=0)) < 4 * expected / 150**0.5 + 2e-3)
    assert np.mean([fit.fit.misfit for fit in fits]) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("true", [(5.6, -2.3), (-5.4, 0.4), (2.2, 5.9)])
def test_no_shift_beyond_the_bound(true):
    start, bound = np.clip(np.round(true).astype(int), -5, 5), 5.0
    images = counts(3, *true)
    good = np.broadcast_to(overlap(SHAPE, SHAPE, start, 6), (2, *SHAPE))
    found = fit_shift(images, model(), NOISE, good, start, bound)
    beyond = np.abs(true) > bound
    np.testing.assert_array_equal(np.abs(found.shift)[beyond], bound)

    def fit(shift):
        return fit_scale(images, np.nan_to_num(moved_image(model(), SHAPE, shift)), NOISE, good)

    # Brightness, background and the other shift have their best values there.
    best = fit(found.shift)
    assert found.fit.scale == pytest.approx(best.scale, rel=1e-4)
    assert found.fit.log_likelihood == pytest.approx(best.log_likelihood, abs=2e-3)
    for step in (0.05, -0.05):
        moved = fit(found.shift + np.where(beyond, 0.0, step))
        assert moved.log_likelihood < best.log_likelihood + 2e-3


def test_best_place_is_the_highest():
    images = counts(3, 5.4, -2.3)
    good = np.broadcast_to(overlap(SHAPE, SHAPE, (5, -2), 6), (2, *SHAPE))
    found = fit_shift(images, model(), NOISE, good, (5, -2), 10)

    def likelihood(shift):
        moved = np.nan_to_num(moved_image(model(), SHAPE, shift))
        return fit_scale(images, moved, NOISE, good).log_likelihood

    best = likelihood(found.shift)
    assert best == pytest.approx(found.fit.log_likelihood, abs=1e-4)
    for step in [(0.03, 0), (-0.03, 0), (0, 0.03), (0, -0.03)]:
        assert likelihood(found.shift + step) < best + 1e-3
    # The curvature is the expected one but for the noise.
    middle = 0.5 * sum(best - likelihood(found.shift + s) for s in [(0.03, 0), (-0.03, 0)])
    information = np.linalg.inv(found.shift_covariance)[0, 0]
    assert middle == pytest.approx(0.5 * 0.03**2 * information, rel=0.2)


def test_an_even_background_scores_nothing():
    even = np.random.default_rng(1).normal(20.0, NOISE.variance(20.0) ** 0.5, (2, *SHAPE))
    found = fit_shift(even, model(), NOISE, covered(), (0, 0), 10)
    assert abs(found.gain) < 6.0
    assert found.fit.scale == pytest.approx(0.0, abs=10.0)


def test_a_shift_that_changes_nothing_is_left_to_its_prior():
    """A streak along the columns may lie anywhere along them."""
    y = np.mgrid[:40, :52][0]
    light = np.exp(-0.5 * ((y - 20.0) / 2.0) ** 2)[None]
    rng = np.random.default_rng(0)
    images = 300.0 * light + rng.normal(0.0, 20.0, light.shape)
    found = fit_shift(images, light, Noise(0.0, 400.0), covered()[:1], (0, 0), 10)
    assert found.shift_covariance[1, 1] == pytest.approx(400 / (2 * np.pi), rel=0.01)
    assert found.shift_covariance[0, 0] < 0.01
    assert abs(found.shift[1]) < 1e-9


def test_no_search_no_shift():
    found = fit_shift(counts(0, 0.4, 0.0), model(), NOISE, covered(), (0, 0), 0)
    assert found.shift.tolist() == [0, 0]
    assert found.log_evidence == found.gain


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="share no pixel"):
        fit_shift(counts(0, 0, 0), model(), NOISE, np.zeros((2, *SHAPE), bool), (0, 0), 5)
