"""Counts of the camera: photon transfer, dark level, saturation, reproducible noise (E5)."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.assemble.camera import camera_model_of
from weakbeam.experiment.camera import Camera
from weakbeam.instrument.camera import CameraModel, FixedPattern

SIDE = 300
PCO_EDGE = camera_model_of(Camera(model="pco_edge"))
EVEN = replace(PCO_EDGE, pattern=FixedPattern())


def expose(signal, camera=EVEN, exposure=1.0, seed=1):
    """One frame of SIDE × SIDE pixels for each value of `signal` (ADU)."""
    frames = np.broadcast_to(np.float32(signal)[:, None, None], (len(signal), SIDE, SIDE))
    streams = [(0, k) for k in range(len(signal))]
    return camera.counts(frames, exposure, seed, streams).astype(float).reshape(len(signal), -1)


def test_the_built_in_camera_is_the_measured_one():
    assert (PCO_EDGE.gain, PCO_EDGE.offset, PCO_EDGE.dark_rate) == (2.14, 102.5, 7.5)
    assert (PCO_EDGE.read_variance, PCO_EDGE.dark_variance_rate) == (6.3, 11.0)
    assert PCO_EDGE.full_well == 65535


def test_photon_transfer_has_the_slope_of_the_gain():
    signal = np.linspace(100, 20000, 12)
    counts = expose(signal)
    variance = counts.var(axis=1)
    slope = np.polyfit(counts.mean(axis=1), variance, 1)[0]
    assert slope == pytest.approx(2.14, rel=0.01)
    np.testing.assert_allclose(variance, 2.14 * signal + 6.3 + 11.0, rtol=0.03)


def test_photon_transfer_of_two_frames_does_not_see_the_pattern():
    """As it is measured: the variance of differences of pairs, the mean above the dark frame."""
    signal = np.linspace(100, 20000, 12)
    first, second = (expose(signal, PCO_EDGE, seed=seed) for seed in (1, 2))
    variance = (first - second).var(axis=1) / 2
    dark = PCO_EDGE.dark_frame((SIDE, SIDE), 1.0).mean()
    mean = (first + second).mean(axis=1) / 2 - dark
    assert np.polyfit(mean, variance, 1)[0] == pytest.approx(2.14, rel=0.01)
    np.testing.assert_allclose(mean, signal, rtol=2e-3)


def test_mean_is_signal_above_the_dark_level():
    signal = np.array([0.0, 5.0, 500.0, 20000.0])
    exposure = 4.0
    found = expose(signal, exposure=exposure).mean(axis=1)
    noise = np.sqrt(2.14 * signal + 6.3 + 44.0) / SIDE
    assert np.all(np.abs(found - signal - (102.5 + 30.0)) < 5 * noise)


@pytest.mark.parametrize("exposure", [0.0, 0.5, 10.0])
def test_dark_frames_have_the_read_noise_and_dark_level(exposure):
    counts = expose([0.0], exposure=exposure)
    variance = 6.3 + 11.0 * exposure + 1 / 12
    assert EVEN.dark_level(exposure) == pytest.approx(102.5 + 7.5 * exposure)
    assert counts.mean() == pytest.approx(102.5 + 7.5 * exposure, abs=5 * variance**0.5 / SIDE)
    assert counts.var() == pytest.approx(variance, rel=5 * 2**0.5 / SIDE)


def test_a_scale_multiplies_the_signal():
    signal = np.random.default_rng(0).uniform(0, 5, (2, 20, 30)).astype(np.float32)
    streams = [(0, 0), (0, 1)]
    scaled = PCO_EDGE.counts(signal, 1.0, 3, streams, scale=64.0)
    np.testing.assert_array_equal(scaled, PCO_EDGE.counts(64 * signal, 1.0, 3, streams))


def test_bright_pixels_saturate_and_do_not_wrap():
    frames = PCO_EDGE.counts(np.full((1, 4, 4), 1e6, np.float32), 1.0, 0, [(0, 0)])
    assert frames.dtype == np.uint16
    np.testing.assert_array_equal(frames, 65535)
    small = replace(PCO_EDGE, full_well=4095)
    np.testing.assert_array_equal(small.counts(np.full((1, 2, 2), 1e5), 1.0, 0, [(0, 0)]), 4095)


def test_light_of_no_meaning_is_none():
    strange = np.array([[[-5.0, np.nan, -1e30, 0.0]]], np.float32)
    counts = EVEN.counts(np.repeat(strange, 50, axis=1), 0.0, 0, [(0, 0)])
    assert abs(counts.astype(float).mean() - 102.5) < 1.0


def test_counts_below_zero_are_cut_at_zero():
    noisy = CameraModel(2.0, 0.0, 0.0, 100.0, 0.0, 65535)
    counts = expose([0.0], camera=noisy)
    assert counts.min() == 0.0
    assert np.mean(counts == 0) == pytest.approx(0.52, abs=0.01)


def test_noise_is_the_same_for_any_batch_and_any_number_of_threads():
    signal = np.random.default_rng(0).uniform(0, 100, (7, 90, 50)).astype(np.float32)
    streams = [(2, k) for k in range(7)]
    whole = PCO_EDGE.counts(signal, 1.0, 42, streams, workers=1)
    np.testing.assert_array_equal(PCO_EDGE.counts(signal, 1.0, 42, streams, workers=4), whole)
    for part in (slice(0, 1), slice(3, 7)):
        found = PCO_EDGE.counts(signal[part], 1.0, 42, streams[part])
        np.testing.assert_array_equal(found, whole[part])


def test_seed_scan_and_frame_each_change_the_noise():
    signal = np.full((1, 50, 50), 100.0, np.float32)

    def frame(seed, stream):
        return EVEN.counts(signal, 1.0, seed, [stream])[0].astype(float)

    first = frame(1, (0, 0))
    for other in (frame(2, (0, 0)), frame(1, (1, 0)), frame(1, (0, 1)), frame(0, (1, 0))):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1


class TestFixedPattern:
    def test_every_frame_has_it(self):
        dark = PCO_EDGE.dark_frame((60, 80), 1.0)
        frames = PCO_EDGE.counts(np.zeros((400, 60, 80)), 1.0, 5, [(0, k) for k in range(400)])
        deviation = frames.mean(axis=0) - dark
        noise = np.sqrt((6.3 + 11.0 + 1 / 12) / 400)
        assert deviation.std() == pytest.approx(noise, rel=0.05)
        assert np.abs(deviation).max() < 6 * noise

    def test_halves_of_a_measurement_agree_on_it(self):
        frames = PCO_EDGE.counts(np.zeros((60, 60, 80)), 1.0, 5, [(0, k) for k in range(60)])
        first, second = (half.mean(axis=0).ravel() for half in (frames[::2], frames[1::2]))
        assert np.corrcoef(first, second)[0, 1] > 0.95

    def test_spread_and_warm_and_hot_pixels_are_as_measured(self):
        pattern = replace(PCO_EDGE.pattern, edge_rows=0).frame((1200, 1200))
        quartiles = np.percentile(pattern, [25, 75])
        assert np.diff(quartiles)[0] / 1.349 == pytest.approx(1.8, rel=0.03)
        assert np.mean(pattern > 10.0) == pytest.approx(0.0057, rel=0.1)
        assert np.mean(pattern > 50.0) == pytest.approx(1.1e-4, rel=0.25)

    def test_edge_rows_fade_into_the_frame(self):
        pattern = replace(PCO_EDGE.pattern, rms=0.0, tail_share=0.0).frame((100, 7))
        np.testing.assert_allclose(pattern[:16, 3], 20 * np.exp(-np.arange(16) / 4), rtol=1e-6)
        np.testing.assert_array_equal(pattern, pattern[::-1])
        assert not pattern[16:-16].any()

    def test_a_frame_may_be_all_edge(self):
        pattern = PCO_EDGE.pattern.frame((3, 2))
        assert pattern.shape == (3, 2)
        assert (pattern > 20).all()

    def test_pixels_keep_it_in_a_larger_frame(self):
        pattern = replace(PCO_EDGE.pattern, edge_rows=0)
        small, large = pattern.frame((40, 60)), pattern.frame((100, 200))
        np.testing.assert_array_equal(large[30:70, 70:130], small)

    def test_another_camera_has_another_one(self):
        kinds = [replace(PCO_EDGE.pattern, edge_rows=0, serial=n) for n in (0, 1)]
        first, second = (pattern.frame((90, 90)).ravel() for pattern in kinds)
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
