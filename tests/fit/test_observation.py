"""Pixels that count, and the noise that images tell of themselves."""

import numpy as np
import pytest

from weakbeam.fit.observation import Noise, Observation, estimate_noise, isolated_pixels
from weakbeam.instrument.camera import CameraModel

CAMERA = CameraModel(
    gain=2.14,
    offset=100.0,
    dark_rate=7.5,
    read_variance=6.3,
    dark_variance_rate=11.0,
    full_well=65535,
)


def scene(rows=170, columns=300):
    y, x = np.mgrid[:rows, :columns]
    return 20.0 + 800.0 / (1.0 + (0.05 * (x - 140.0)) ** 2 + (0.02 * (y - 80.0)) ** 2)


def test_noise_of_a_camera_is_that_of_its_counts():
    signal = np.stack([np.full((200, 300), level, np.float32) for level in (0.0, 50.0, 900.0)])
    counts = CAMERA.counts(signal, 0.8, 1, [(0, k) for k in range(3)]).astype(float)
    noise = Noise.of_camera(CAMERA, 0.8)
    expected = noise.variance(signal[:, 0, 0])
    np.testing.assert_allclose(counts.var(axis=(1, 2)), expected, rtol=0.02)


def test_means_of_frames_have_less_noise():
    one, ten = (Noise.of_camera(CAMERA, 1.0, frames=n) for n in (1, 10))
    assert ten.gain == pytest.approx(one.gain / 10)
    assert ten.floor == pytest.approx(one.floor / 10)
    assert Noise.of_camera(CAMERA, 1.0, dark_frames=1).floor == pytest.approx(2 * one.floor)


def test_noise_is_found_again_in_the_images():
    counts = CAMERA.counts(scene()[None].astype(np.float32), 1.0, 3, [(0, 0)]) - 107.5
    noise, found = Noise.of_camera(CAMERA, 1.0), estimate_noise(counts)
    for level in (20.0, 300.0, 800.0):
        assert found.variance(level) == pytest.approx(noise.variance(level), rel=0.1)
    assert found.gain == pytest.approx(noise.gain, rel=0.1)


def test_what_cannot_be_estimated_is_said():
    with pytest.raises(ValueError, match="all alike"):
        estimate_noise(np.full((1, 40, 40), 3.0))
    with pytest.raises(ValueError, match="from 0 pixels"):
        estimate_noise(np.full((1, 40, 40), np.nan))


def test_pixels_that_are_no_numbers_do_not_count():
    images = scene()[None].copy()
    images[0, 3, 4], images[0, 7, 8] = np.nan, np.inf
    seen = Observation(images, Noise(1.0, 1.0))
    assert (~seen.good).sum() == 2
    assert np.isfinite(seen.images).all()
    assert np.isnan(images[0, 3, 4])
    with pytest.raises(ValueError, match="image 0 has no pixel"):
        Observation(np.full((4, 4), np.nan), Noise(1.0, 1.0))


def test_parts_of_an_observation():
    images = np.arange(24.0).reshape(3, 2, 4)
    seen = Observation(images, Noise(1.0, 1.0), images > 5)
    part = seen.only(2, 1)
    np.testing.assert_array_equal(part.images, images[[2, 1]])
    assert len(part) == 2
    assert part.shape == (2, 4)


def test_hot_pixels_stand_alone():
    noise = Noise.of_camera(CAMERA, 1.0)
    counts = CAMERA.counts(scene()[None].astype(np.float32), 1.0, 3, [(0, 0)]) - 107.5
    assert isolated_pixels(counts, noise).sum() == 0
    counts[0, 20, 30] += 400.0
    counts[0, 169, 299] += 400.0
    assert np.argwhere(isolated_pixels(counts, noise)).tolist() == [[0, 20, 30], [0, 169, 299]]


@pytest.mark.parametrize(("gain", "floor"), [(-1.0, 1.0), (1.0, 0.0), (np.nan, 1.0)])
def test_impossible_noise_is_refused(gain, floor):
    with pytest.raises(ValueError, match="noise of gain"):
        Noise(gain, floor)
