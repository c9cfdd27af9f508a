"""Frames count by the step that they stand for."""

import numpy as np
import pytest

from weakbeam.analysis.scan_grid import find_grid
from weakbeam.analysis.step_weights import frame_weights, repeat_shares, step_weights


@pytest.mark.parametrize(
    ("positions", "weights"),
    [
        ([0.0, 1.0, 3.0, 4.0], [1.0, 1.5, 1.5, 1.0]),
        ([4.0, 0.0, 3.0, 1.0], [1.0, 1.0, 1.5, 1.5]),
        ([0.0, 1.0, 1.0, 2.0], [1.0, 0.5, 0.5, 1.0]),
        ([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]),
        ([5.0], [1.0]),
        ([5.0, 5.0], [0.5, 0.5]),
    ],
)
def test_steps_of_positions(positions, weights):
    np.testing.assert_allclose(step_weights(positions), weights)


def test_jitter_is_no_uneven_step():
    x = np.linspace(-1, 1, 41) + 1e-4 * np.random.default_rng(0).normal(size=41)
    assert np.ptp(step_weights(x)) == 0.0
    assert frame_weights({"phi": x}, find_grid({"phi": x})).even


def test_shares_of_repeated_positions():
    np.testing.assert_allclose(repeat_shares([1.0, 2.0, 1.0, 3.0]), [0.5, 1.0, 0.5, 1.0])


def test_a_grid_has_the_product_of_its_steps():
    a, b = np.array([0.0, 1.0, 3.0, 4.0]), np.array([0.0, 0.1, 0.3, 0.6, 1.0])
    slow, fast = (x.ravel() for x in np.meshgrid(a, b, indexing="ij"))
    weights = frame_weights({"chi": slow, "phi": fast}, find_grid({"chi": slow, "phi": fast}))
    product = np.multiply.outer(step_weights(a), step_weights(b))
    np.testing.assert_allclose(weights.frame, product.ravel() / product.mean())
    along = np.broadcast_to(step_weights(a)[:, None] / step_weights(a).mean(), product.shape)
    np.testing.assert_allclose(weights.along["phi"], along.ravel())
    doubled = weights.times(np.full(len(slow), 2.0))
    np.testing.assert_allclose(doubled.frame, 2.0 * weights.frame)
    np.testing.assert_allclose(doubled.along["chi"], 2.0 * weights.along["chi"])


def test_a_gap_in_a_row_widens_the_steps_beside_it():
    slow, fast = (x.ravel() for x in np.meshgrid(np.arange(4.0), np.arange(8.0), indexing="ij"))
    there = np.ones(32, bool)
    there[[10, 11]] = False
    positions = {"chi": slow[there], "phi": fast[there]}
    weights = frame_weights(positions, find_grid(positions)).frame
    row = weights[8:14] / weights[0]
    np.testing.assert_allclose(row, [1.0, 2.0, 2.0, 1.0, 1.0, 1.0])
