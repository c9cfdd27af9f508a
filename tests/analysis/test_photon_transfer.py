"""Gain and noise from pairs of pixels of an own camera, with a dark level of its own each."""

import numpy as np
import pytest

from weakbeam.analysis.photon_transfer import above_least, darkest_frames, photon_transfer

CURVE = np.exp(-0.5 * np.linspace(-4, 4, 61) ** 2)


def pairs(random, gain=2.14, read=4.2, spread=60.0, count=3000):
    """Pairs under one curve, of unlike sensitivity, dark level and place of the curve."""
    light = 900 * CURVE[:, None, None] * random.normal(1, 0.03, (1, 2, count))
    light = light * (
        1 + random.normal(0, 0.01, (1, 2, count)) * np.linspace(-4, 4, 61)[:, None, None]
    )
    dark = 100 + random.exponential(spread, (1, 2, count))
    noise = random.normal(0, read, light.shape)
    return np.rint(gain * random.poisson(np.maximum(light, 0) / gain) + noise + dark)


@pytest.mark.parametrize("spread", [0.0, 60.0])
def test_gain_and_read_noise_are_those_of_the_camera(spread):
    values = pairs(np.random.default_rng(1), spread=spread)
    curves = np.repeat(900 * CURVE[:, None], values.shape[2], axis=1)
    change = np.repeat((np.linspace(-4, 4, 61) * 900 * CURVE)[None, :, None], values.shape[2], 2)
    found = photon_transfer(values, curves, change)
    assert abs(found.gain - 2.14) < 3 * found.gain_error < 0.06
    sigma, error = found.read_noise(0.0)
    assert abs(sigma - np.hypot(4.2, 12**-0.5)) < 3 * error < 0.1


def test_variance_refers_to_the_light_above_the_least_of_a_curve():
    values = pairs(np.random.default_rng(2), spread=0.0)
    # A scan that never leaves the top: the least signal is not zero.
    inner = slice(25, 36)
    curves = np.repeat(900 * CURVE[inner, None], values.shape[2], axis=1)
    darkest = darkest_frames(curves[:, 0])
    signal = above_least(curves, darkest, 0)
    found = photon_transfer(values[inner], signal, np.zeros((0, *signal.shape)))
    least = float(curves[darkest].mean())
    assert found.read_noise(least)[1] > 1.0
    expected = 2.14 * curves + 4.2**2
    np.testing.assert_allclose(found.variance(signal).mean(), expected.mean(), rtol=0.03)


def test_frames_without_noise_have_no_gain():
    curves = np.repeat(CURVE[:, None], 50, axis=1)
    values = np.stack([curves, 1.01 * curves], axis=1)
    found = photon_transfer(values, curves, np.zeros((0, *curves.shape)))
    assert found.noiseless
    assert found.gain == 0.0
