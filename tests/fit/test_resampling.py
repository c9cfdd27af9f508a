"""Images brought to another size of pixels."""

import numpy as np
import pytest

from weakbeam.fit.observation import Noise, Observation
from weakbeam.fit.resampling import resample

NOISE = Noise(2.0, 9.0)


def test_merged_pixels_are_means():
    images = np.random.default_rng(0).random((2, 12, 20))
    found = resample(Observation(images, NOISE), 0.5)
    np.testing.assert_allclose(found.images, images.reshape(2, 6, 2, 10, 2).mean(axis=(2, 4)))
    assert found.noise == Noise(0.5, 2.25)


def test_noise_of_merged_pixels():
    rng = np.random.default_rng(1)
    found = resample(Observation(rng.normal(50.0, 3.0, (1, 90, 120)), Noise(0.0, 9.0)), 1 / 3)
    assert found.images.var() == pytest.approx(found.noise.floor, rel=0.1)


@pytest.mark.parametrize("ratio", [0.3, 0.75, 1.0, 1.6])
def test_level_and_place_are_kept(ratio):
    y, x = np.mgrid[:60, :80]
    spot = 7.0 + np.exp(-0.01 * ((y - 29.5) ** 2 + (x - 39.5 - 6.0) ** 2))
    found = resample(Observation(spot, NOISE), ratio)
    rows, columns = found.shape
    assert (rows, columns) == (int(60 * ratio + 1e-9), int(80 * ratio + 1e-9))
    light = found.images[0] - 7.0
    v, u = np.mgrid[:rows, :columns]
    center = [(light * k).sum() / light.sum() for k in (v, u)]
    assert center[0] == pytest.approx((rows - 1) / 2, abs=0.02)
    assert center[1] == pytest.approx((columns - 1) / 2 + 6.0 * ratio, abs=0.05)
    assert light.sum() == pytest.approx((spot - 7.0).sum() * ratio**2, rel=0.02)


def test_bad_pixels_spoil_only_their_own():
    images = np.full((1, 8, 8), 5.0)
    good = np.ones(images.shape, bool)
    good[0, :2, :2] = False
    images[0, 0, 0] = 1e9
    found = resample(Observation(images, NOISE, good), 0.5)
    assert (~found.good).sum() == 1
    np.testing.assert_allclose(found.images[found.good], 5.0)


@pytest.mark.parametrize(("ratio", "message"), [(0.0, "positive"), (1e-3, "nothing is left")])
def test_mistakes(ratio, message):
    with pytest.raises(ValueError, match=message):
        resample(Observation(np.ones((1, 8, 8)), NOISE), ratio)
