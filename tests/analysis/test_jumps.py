"""Frames that leap in brightness, and rocking curves that only look like it."""

import numpy as np
import pytest

from weakbeam.analysis.jumps import jumps

STEPS = np.arange(61) - 30.0


def noisy(curve, seed=0):
    light = 1e6 * np.asarray(curve)
    return light + np.random.default_rng(seed).normal(0.0, 3.0 * np.sqrt(light + 100.0))


def gaussian(sigma, middle=0.0):
    return np.exp(-0.5 * ((STEPS - middle) / sigma) ** 2)


@pytest.mark.parametrize("sigma", [0.8, 1.0, 1.5, 3.0, 10.0])
def test_a_rocking_curve_has_none(sigma):
    for seed in range(20):
        middle = np.random.default_rng(seed).uniform(-0.5, 0.5)
        shapes = [
            gaussian(sigma, middle),
            gaussian(sigma, middle - 6) + 0.6 * gaussian(sigma, middle + 5),
            1.0 / (1.0 + ((STEPS - middle) / max(sigma, 1.0)) ** 2),
        ]
        for shape in shapes:
            numbers, _ = jumps(noisy(shape, seed), [np.arange(61)])
            assert not len(numbers)


@pytest.mark.parametrize("factor", [1.15, 1.4, 3.0, 0.8, 0.4])
@pytest.mark.parametrize("frame", [22, 30, 37])
def test_one_frame_leaps(factor, frame):
    light = noisy(gaussian(6.0))
    light[frame] *= factor
    numbers, factors = jumps(light, [np.arange(61)])
    assert list(numbers) == [frame]
    assert factors[0] == pytest.approx(factor, rel=0.05)


def test_two_frames_leap():
    light = noisy(gaussian(8.0))
    light[[25, 33]] *= [1.5, 0.7]
    numbers, factors = jumps(light, [np.arange(61)])
    assert list(numbers) == [25, 33]
    np.testing.assert_allclose(factors, [1.5, 0.7], rtol=0.05)


def test_a_step_of_the_beam_is_no_leap_of_one_frame():
    light = noisy(gaussian(12.0)) * np.where(STEPS > 3, 0.7, 1.0)
    assert not len(jumps(light, [np.arange(61)])[0])


def test_dark_and_short_lines():
    assert not len(jumps(np.zeros(20), [np.arange(20)])[0])
    assert not len(jumps(noisy(gaussian(3.0))[:6], [np.arange(6)])[0])
