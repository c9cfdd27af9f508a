"""Brightness and background of greatest likelihood, against a general optimiser and statistics."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

from weakbeam.fit.likelihood import derivatives, fit_scale
from weakbeam.fit.observation import Noise

NOISE = Noise(2.14, 17.4)
SCALE, BACKGROUNDS = 300.0, (4.0, 9.0)


def model(rows=18, columns=22):
    """Two images of a bright spot on an even level, at different places."""
    y, x = np.mgrid[:rows, :columns]
    spots = [np.exp(-0.1 * ((y - 8.3) ** 2 + (x - 9.0 - k) ** 2)) for k in (0.0, 4.5)]
    return 0.1 + np.array(spots)


def counts(seed=0, noise=NOISE):
    rng = np.random.default_rng(seed)
    signal = SCALE * model() + np.array(BACKGROUNDS)[:, None, None]
    photons = noise.gain * rng.poisson(signal / noise.gain)
    return photons + rng.normal(0.0, np.sqrt(noise.floor), signal.shape)


def test_maximum_is_that_of_a_general_optimiser():
    images, light = counts(), model()
    found = fit_scale(images, light, NOISE)

    def loss(p):
        signal = p[0] * light + np.array(p[1:])[:, None, None]
        variance = NOISE.gain * np.maximum(signal, 0) + NOISE.floor
        return -norm.logpdf(images, signal, np.sqrt(variance)).sum()

    best = minimize(loss, [250.0, 0.0, 0.0], method="Nelder-Mead", options={"fatol": 1e-9})
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-5)
    np.testing.assert_allclose([found.scale, *found.background], best.x, rtol=1e-3)
    # Never below the true parameters.
    assert found.log_likelihood >= -loss([SCALE, *BACKGROUNDS])


def test_derivatives_are_those_of_differences():
    images, light = counts().reshape(2, -1), model().reshape(2, -1)
    columns = np.stack([light, light**2], axis=1)
    good = np.ones(images.shape, bool)
    at = np.array([200.0, 30.0, -3.0, 6.0])

    def found(p):
        return derivatives(images, good, columns, p[:2], p[2:], NOISE)

    here = found(at)
    steps = 1e-3 * np.eye(4)
    slope = [(found(at + s).log_likelihood - found(at - s).log_likelihood) / 2e-3 for s in steps]
    bend = [(found(at - s).gradient - found(at + s).gradient) / 2e-3 for s in steps]
    np.testing.assert_allclose(here.gradient, slope, rtol=1e-5)
    np.testing.assert_allclose(here.observed, bend, rtol=1e-5, atol=1e-9)
    # On average over the noise the second derivatives are the expected ones.
    true = SCALE * light + np.array(BACKGROUNDS)[:, None]
    rng = np.random.default_rng(0)
    parameters = np.array([SCALE, 0.0, *BACKGROUNDS])
    many = []
    for _ in range(200):
        images = true + rng.normal(0.0, np.sqrt(NOISE.variance(true)))
        many.append(found(parameters).observed)
    expected = found(parameters).expected
    np.testing.assert_allclose(np.mean(many, axis=0), expected, rtol=0.05, atol=1e-6)


def test_errors_are_those_that_repetition_shows():
    fits = [fit_scale(counts(seed), model(), NOISE) for seed in range(300)]
    errors = np.array([[f.scale - SCALE, *(f.background - BACKGROUNDS)] for f in fits])
    covariance = fits[0].covariance
    np.testing.assert_allclose(errors.std(axis=0), np.sqrt(np.diag(covariance)), rtol=0.15)
    assert np.all(np.abs(errors.mean(axis=0)) < 4 * np.sqrt(np.diag(covariance) / 300))
    assert np.mean([f.misfit for f in fits]) == pytest.approx(1.0, abs=0.01)


def test_bad_pixels_do_not_count():
    images, light = counts(), model()
    good = np.random.default_rng(1).random(images.shape) > 0.3
    spoilt = np.where(good, images, 1e5)
    found = fit_scale(spoilt, light, NOISE, good)
    again = fit_scale(np.where(good, images, -3e4), light, NOISE, good)
    assert found.log_likelihood == again.log_likelihood
    assert found.scale == pytest.approx(SCALE, rel=0.05)


@pytest.mark.parametrize(("factor", "level"), [(0.5, 0.0), (3.0, 0.2), (1.0, -1.0)])
def test_units_of_the_model_change_nothing(factor, level):
    images, light = counts(), model()
    usual, other = (fit_scale(images, m, NOISE) for m in (light, factor * light + level))
    assert other.log_likelihood == pytest.approx(usual.log_likelihood, abs=1e-6)
    assert factor * other.scale == pytest.approx(usual.scale, rel=1e-6)


def test_a_model_without_contrast_leaves_the_scale_open():
    images = counts()
    found = fit_scale(images, np.full(images.shape, 0.3), NOISE)
    assert found.scale == 0.0
    assert found.covariance[0, 0] == np.inf
    for image, level in zip(images, found.background, strict=True):

        def loss(b, image=image):
            return -norm.logpdf(image, b, np.sqrt(NOISE.variance(b))).sum()

        assert level == pytest.approx(minimize_scalar(loss, bounds=(1, 300)).x, rel=1e-4)


def test_a_negative_of_the_image_is_no_model_of_it():
    found = fit_scale(counts(), -model(), NOISE)
    assert found.scale == 0.0
    assert found.log_likelihood < fit_scale(counts(), model(), NOISE).log_likelihood - 100


def test_a_known_scale_is_kept_to():
    images, light = counts(), model()
    free = fit_scale(images, light, NOISE)
    held = fit_scale(images, light, NOISE, prior=(200.0, 1e-3))
    assert held.scale == pytest.approx(200.0, abs=0.01)
    assert held.log_likelihood < free.log_likelihood
    assert fit_scale(images, light, NOISE, prior=(200.0, 1e9)).scale == pytest.approx(free.scale)


def test_one_image_may_come_without_its_first_axis():
    flat = fit_scale(counts()[0], model()[0], NOISE)
    assert flat.log_likelihood == fit_scale(counts()[:1], model()[:1], NOISE).log_likelihood
    assert flat.signal(model()[0]).shape == (1, 18, 22)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="model of shape"):
        fit_scale(counts(), model()[:1], NOISE)
    with pytest.raises(ValueError, match="no pixel that counts"):
        fit_scale(counts(), model(), NOISE, np.zeros((2, 18, 22), bool))
