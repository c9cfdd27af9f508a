"""Stacks of images read between tilts and pixels, and blocks of pixels."""

import numpy as np
import pytest

from weakbeam.identify.nuisances.sampling_loops import block_means, sample_stack

MARGIN = 4


def _smooth(tilt, row, column):
    return np.sin(0.3 * tilt + 0.2 * row) * np.cos(0.15 * column - 0.1 * tilt) + 2.0


def _stack(count=15, rows=12, columns=16):
    t, y, x = np.meshgrid(
        np.arange(count),
        np.arange(-MARGIN, rows + MARGIN),
        np.arange(-MARGIN, columns + MARGIN),
        indexing="ij",
    )
    return _smooth(t, y, x).astype(np.float32)


@pytest.mark.parametrize(("row", "column"), [(0.0, 0.0), (0.4, -1.3), (-1.75, 0.6)])
def test_a_stack_is_read_at_tilts_of_its_own_and_moved(row, column):
    y, x = np.meshgrid(np.arange(12.0), np.arange(16.0), indexing="ij")
    tilt = 7.0 + 0.31 * y - 0.17 * x
    out = np.empty((4, 12, 16))
    sample_stack(_stack(), tilt, row, column, MARGIN, out)
    np.testing.assert_allclose(out[0], _smooth(tilt, y - row, x - column), atol=2e-3)
    step = 1e-4
    for k, away in enumerate([(step, 0, 0), (0, step, 0), (0, 0, step)], 1):
        far = [
            _smooth(tilt + side * away[0], y - row - side * away[1], x - column - side * away[2])
            for side in (-1, 1)
        ]
        np.testing.assert_allclose(out[k], (far[1] - far[0]) / (2 * step), atol=2e-2)


def test_beyond_its_ends_a_stack_goes_on_evenly():
    stack, out = _stack(5), np.empty((4, 12, 16))
    sample_stack(stack, np.full((12, 16), 9.0), 0.0, 0.0, MARGIN, out)
    np.testing.assert_allclose(out[0], stack[-1, MARGIN:-MARGIN, MARGIN:-MARGIN], rtol=1e-6)
    assert not out[1].any()


def test_blocks_are_means_of_pixels_that_count():
    images = np.arange(48.0).reshape(1, 6, 8)
    good = np.ones_like(images)
    good[0, 1, 1] = 0.0
    out, number = np.empty((1, 2, 3)), np.empty((1, 2, 3), np.int64)
    block_means(images, good, 0, 1, 2, out, number)
    assert number.tolist() == [[[3, 4, 4], [4, 4, 4]]]
    assert out[0, 0, 0] == pytest.approx((1 + 2 + 10) / 3)
    assert out[0, 1, 2] == pytest.approx((21 + 22 + 29 + 30) / 4)
