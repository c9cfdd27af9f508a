"""Frames shifted by parts of a pixel."""

import numpy as np
import pytest

from weakbeam.analysis.shifting import Coverage, shifted


@pytest.mark.parametrize("by", [(0.3, -1.7), (2.0, 0.5), (-0.25, 0.0)])
def test_parabolas_are_exact(by):
    row, column = np.arange(20.0)[:, None], np.arange(24.0)[None, :]

    def value(r, c):
        return 3.0 + 0.2 * r - 0.4 * c + 0.03 * r**2 + 0.02 * c**2 + 0.01 * r * c

    out = shifted(value(row, column), by)
    inner = (slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(out[inner], value(row + by[0], column + by[1])[inner], rtol=1e-5)


def test_whole_shifts_move_the_pixels_themselves():
    image = np.random.default_rng(0).random((12, 15)).astype(np.float32)
    out = shifted(image, (2, -3))
    np.testing.assert_array_equal(out[:-2, 3:], image[2:, :-3])
    assert np.isnan(out[-2:]).all()
    assert np.isnan(out[:, :3]).all()
    np.testing.assert_array_equal(shifted(image, (0, 0)), image)


def test_a_smooth_image_comes_back():
    x = np.arange(40.0)
    wave = np.sin(0.35 * x[:, None]) * np.cos(0.3 * x[None, :])
    moved = np.sin(0.35 * (x[:, None] - 1.4)) * np.cos(0.3 * (x[None, :] + 0.6))
    back = shifted(moved, (1.4, -0.6))
    np.testing.assert_allclose(back[4:-4, 4:-4], wave[4:-4, 4:-4], atol=6e-3)


@pytest.mark.parametrize("by", [(0.3, -1.7), (2.0, 0.5), (-0.25, 0.0), (-3.0, 2.0)])
def test_what_is_not_known(by):
    masked = np.zeros((16, 18), bool)
    masked[5, 6] = masked[10:12, 0:3] = True
    image = np.where(masked, np.nan, 1.0)
    lost = Coverage(masked).unknown(by)
    # All that a masked pixel or the edge touches is lost, and at whole shifts a little more.
    assert lost[np.isnan(shifted(image, by))].all()
    assert lost.sum() <= np.isnan(shifted(image, by)).sum() + 8 * masked.sum() + 40
    assert not Coverage(np.zeros((16, 18), bool)).unknown((0.0, 0.0)).any()


def test_what_is_lost_of_many_shifts():
    masked = np.zeros((16, 18), bool)
    masked[5, 6] = True
    coverage = Coverage(masked)
    shifts = np.array([[0.0, 0.0], [0.4, -0.2], [2.3, 1.1], [-1.6, 0.7]])
    every = np.logical_or.reduce([coverage.unknown(by) for by in shifts])
    lost = coverage.ever_unknown(shifts)
    assert lost[every].all()
    assert lost.sum() <= every.sum() + 20
