"""From images to frames: orientation, binning, region, counts."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.assemble.camera import camera_model_of, sharp_detector_of
from weakbeam.experiment.camera import Camera
from weakbeam.instrument.camera import FixedPattern
from weakbeam.instrument.detector import Detector, Readout
from weakbeam.instrument.point_spread import gaussian_spread

PCO_EDGE = camera_model_of(Camera(model="pco_edge"))
QUIET = replace(
    PCO_EDGE, pattern=FixedPattern(), read_variance=0.0, dark_variance_rate=0.0, offset=0.5
)
X, Y = np.linspace(3.0, -3.0, 6), np.linspace(-10.0, 10.0, 8)
PLACES = np.stack(np.broadcast_arrays(X[:, None], Y))


READOUTS = [
    Readout((6, 8), turns, binning, region)
    for turns in range(4)
    for binning in (1, 2)
    for region in (None, (1, 0, 2, 3))
]


@pytest.mark.parametrize("readout", READOUTS, ids=str)
class TestReadout:
    def test_axes_say_where_each_stored_pixel_looks(self, readout):
        seen = readout.mean(PLACES)
        assert seen.shape[1:] == readout.stored_shape
        rows, columns, swapped = readout.axes(X, Y)
        first, second = (seen[1], seen[0]) if swapped else (seen[0], seen[1])
        np.testing.assert_allclose(first, np.broadcast_to(rows[:, None], first.shape))
        np.testing.assert_allclose(second, np.broadcast_to(columns, second.shape))

    def test_turned_back_images_follow_the_sample(self, readout):
        x, y = readout.places(X, Y)
        upright = readout.upright(readout.mean(PLACES))
        np.testing.assert_allclose(upright[0], np.broadcast_to(x[:, None], upright[0].shape))
        np.testing.assert_allclose(upright[1], np.broadcast_to(y, upright[1].shape))
        assert np.all(np.diff(x) < 0)
        assert np.all(np.diff(y) > 0)

    def test_bins_add_up_to_the_sum_of_counts_and_the_mean_of_intensities(self, readout):
        images = np.random.default_rng(0).random((3, 6, 8))
        summed = readout.sum(readout.turn(images))
        np.testing.assert_allclose(summed, readout.mean(images) * readout.binning**2)


def test_two_quarter_turns_invert_the_image():
    image = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(Readout((3, 4), 2).mean(image), image[::-1, ::-1])


def test_a_quarter_turn_is_counter_clockwise():
    image = np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(Readout((2, 2), 1).mean(image), [[2, 4], [1, 3]])


def test_a_region_is_that_of_the_turned_and_binned_image():
    image = np.random.default_rng(0).random((6, 8))
    whole = Readout((6, 8), 1, 2).mean(image)
    part = Readout((6, 8), 1, 2, (1, 1, 3, 2))
    assert whole.shape == (4, 3)
    np.testing.assert_array_equal(part.mean(image), whole[1:4, 1:3])


def test_without_a_model_frames_are_the_blurred_images():
    images = np.random.default_rng(0).random((2, 6, 8)).astype(np.float32)
    detector = Detector(Readout((6, 8), 2), gaussian_spread(0.7))
    frames = detector.frames(images, 0, np.arange(2))
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, gaussian_spread(0.7).blur(images)[:, ::-1, ::-1])
    assert not detector.dark.any()
    assert detector.largest is None
    with pytest.raises(ValueError, match="does not count"):
        detector.companions("dark", 0, np.arange(2))


@pytest.mark.parametrize("readout", READOUTS, ids=str)
def test_counts_above_dark_are_the_scaled_image(readout):
    """Mean over frames, in the noise of their photons: χ² of every pixel."""
    image = np.random.default_rng(1).uniform(0, 1, (6, 8)).astype(np.float32)
    detector = Detector(readout, None, PCO_EDGE, exposure=0.5, scale=800.0, seed=7)
    number = 400
    frames = detector.frames(np.broadcast_to(image, (number, 6, 8)), 0, np.arange(number))
    assert frames.dtype == np.uint16
    expected = detector.unit_signal * readout.mean(image)
    variance = 2.14 * expected + readout.binning**2 * (6.3 + 5.5 + 1 / 12)
    pulls = (frames.mean(axis=0) - detector.dark - expected) / np.sqrt(variance / number)
    assert np.abs(pulls).max() < 4.5
    assert np.mean(pulls**2) == pytest.approx(1.0, abs=5 * np.sqrt(2 / pulls.size))


def test_binned_counts_saturate_at_16_bit():
    detector = Detector(Readout((4, 4), binning=2), None, PCO_EDGE, scale=1e5)
    frames = detector.frames(np.ones((1, 4, 4), np.float32), 0, np.arange(1))
    np.testing.assert_array_equal(frames, 65535)
    assert detector.largest == 65535
    small = Detector(Readout((4, 4), binning=2), None, replace(QUIET, full_well=4095), scale=1e5)
    np.testing.assert_array_equal(
        small.frames(np.ones((1, 4, 4), np.float32), 0, np.arange(1)), 4 * 4095
    )
    assert small.largest == 4 * 4095


def test_companions_are_dark_or_uniformly_lit():
    readout = Readout((60, 80), 1, 2)
    detector = Detector(readout, None, PCO_EDGE, flat=9000.0)
    dark = detector.companions("dark", 1, np.arange(100)).mean(axis=0)
    flat = detector.companions("flat", 2, np.arange(100)).mean(axis=0)
    assert dark.shape == detector.dark.shape == (40, 30)
    assert np.abs(dark - detector.dark).max() < 6 * np.sqrt(4 * 17.4 / 100)
    assert (flat - dark).mean() == pytest.approx(9000.0, rel=1e-3)


def test_noise_does_not_depend_on_the_batch():
    images = np.random.default_rng(0).random((5, 6, 8)).astype(np.float32)
    detector = Detector(Readout((6, 8), 3, 2), gaussian_spread(1.0), PCO_EDGE, scale=500.0)
    whole = detector.frames(images, 3, np.arange(10, 15), workers=1)
    part = detector.frames(images[2:4], 3, np.array([12, 13]), workers=3)
    np.testing.assert_array_equal(part, whole[2:4])


def test_photons_transmission_and_exposure_make_the_signal():
    camera = Camera(model="pco_edge", photons_per_s=300.0, transmission=0.1, exposure_s=4.0)
    assert sharp_detector_of(camera).scale == pytest.approx(2.14 * 300.0 * 0.1 * 4.0)
    camera = Camera(model="pco_edge", counts_per_s=300.0, transmission=0.1, exposure_s=4.0)
    assert sharp_detector_of(camera).scale == pytest.approx(300.0 * 0.1 * 4.0)
    assert sharp_detector_of(Camera(transmission=0.1)).unit_signal == 1.0
