"""Counts of the camera: photon transfer, dark level, saturation, reproducible noise (E5)."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.instrument.camera import PCO_EDGE, CameraModel

SIDE = 300


def expose(signal, camera=PCO_EDGE, exposure=1.0, seed=1):
    """One frame of SIDE × SIDE pixels for each value of `signal` (ADU)."""
    frames = np.broadcast_to(np.float32(signal)[:, None, None], (len(signal), SIDE, SIDE))
    streams = [(0, k) for k in range(len(signal))]
    return camera.counts(frames, exposure, seed, streams).astype(float).reshape(len(signal), -1)


def test_photon_transfer_has_the_slope_of_the_gain():
    signal = np.linspace(100, 20000, 12)
    counts = expose(signal)
    variance = counts.var(axis=1)
    slope = np.polyfit(counts.mean(axis=1), variance, 1)[0]
    assert slope == pytest.approx(PCO_EDGE.gain, rel=0.01)
    np.testing.assert_allclose(variance, PCO_EDGE.gain * signal + 6.3 + 11.0, rtol=0.03)


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
    assert PCO_EDGE.dark_level(exposure) == pytest.approx(102.5 + 7.5 * exposure)
    assert counts.mean() == pytest.approx(102.5 + 7.5 * exposure, abs=5 * variance**0.5 / SIDE)
    assert counts.var() == pytest.approx(variance, rel=5 * 2**0.5 / SIDE)


def test_bright_pixels_saturate_and_do_not_wrap():
    frames = PCO_EDGE.counts(np.full((1, 4, 4), 1e6, np.float32), 1.0, 0, [(0,)])
    assert frames.dtype == np.uint16
    np.testing.assert_array_equal(frames, 65535)
    small = replace(PCO_EDGE, full_well=4095)
    np.testing.assert_array_equal(small.counts(np.full((1, 2, 2), 1e5), 1.0, 0, [(0,)]), 4095)


def test_counts_below_zero_are_cut_at_zero():
    noisy = CameraModel(2.0, 0.0, 0.0, 100.0, 0.0, 65535)
    counts = expose([0.0], camera=noisy)
    assert counts.min() == 0.0
    assert np.mean(counts == 0) == pytest.approx(0.52, abs=0.01)


def test_noise_is_the_same_for_any_batch_and_any_number_of_threads():
    signal = np.random.default_rng(0).uniform(0, 1000, (7, 9, 5)).astype(np.float32)
    streams = [(2, k) for k in range(7)]
    whole = PCO_EDGE.counts(signal, 1.0, 42, streams, workers=1)
    np.testing.assert_array_equal(PCO_EDGE.counts(signal, 1.0, 42, streams, workers=4), whole)
    for part in (slice(0, 1), slice(3, 7)):
        found = PCO_EDGE.counts(signal[part], 1.0, 42, streams[part])
        np.testing.assert_array_equal(found, whole[part])


def test_seed_scan_and_frame_each_change_the_noise():
    signal = np.full((1, 50, 50), 100.0, np.float32)

    def frame(seed, stream):
        return PCO_EDGE.counts(signal, 1.0, seed, [stream])[0].astype(float)

    first = frame(1, (0, 0))
    for other in (frame(2, (0, 0)), frame(1, (1, 0)), frame(1, (0, 1))):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1
