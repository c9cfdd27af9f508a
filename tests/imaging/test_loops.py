"""Compiled functions of numbers, against the library.

The loops around them are not kept on disk: a kept loop would go on with an old inlined function.
"""

import numba
import numpy as np
import pytest
from scipy.special import ndtr

from weakbeam.diffraction.geometry import diffraction_vector_change
from weakbeam.imaging import gradient_loops, normal, sum_loops


@numba.njit
def exponentials(x, out):
    for k in range(x.size):
        out[k] = normal.exponential(x[k])


@numba.njit
def shares(low, high, out):
    for k in range(low.size):
        out[k] = normal.normal_between(low[k], high[k])


def test_exponential():
    x = np.linspace(-42.9, 0.0, 20001)
    out = np.empty_like(x)
    exponentials(x, out)
    np.testing.assert_allclose(out, np.exp(x), rtol=5e-9)
    exponentials(np.array([-44.0, -1e9, -np.inf]), out)
    np.testing.assert_array_equal(out[:3], 0.0)


def test_share_of_the_normal_distribution_in_both_tails():
    random = np.random.default_rng(0)
    low = np.concatenate([random.uniform(-9, 8, 20000), np.full(100, -1e9)])
    high = low + np.concatenate([random.exponential(1.5, 20000), 1e9 + random.uniform(-8, 9, 100)])
    out = np.empty_like(low)
    shares(low, high, out)
    flip = low + high < 0
    exact = np.where(flip, ndtr(high) - ndtr(low), ndtr(-low) - ndtr(-high))
    # An interval within one tail is as good as the tail of its nearer end.
    tail = ndtr(-np.minimum(np.abs(low), np.abs(high)))
    assert np.all(np.abs(out - exact) <= 1e-8 * tail + 1e-19)


def test_change_of_q_equals_the_plain_formula_and_masks_what_has_no_lattice():
    random = np.random.default_rng(1)
    beta = random.normal(size=(200, 3, 3)) * np.geomspace(1e-9, 0.3, 200)[:, None, None]
    beta[3], beta[7] = np.nan, np.inf
    beta[11] = np.diag([-2.0, 0.0, 0.0])
    beta[13] = np.diag([-1.0, 0.0, 0.0])
    q0 = np.array([0.36, 0.48, 0.8])
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    q = np.empty((3, 200))
    masked = gradient_loops.q_from_gradient(
        np.ascontiguousarray(beta.reshape(200, 9).T), q0, rotation, q
    )
    expected = diffraction_vector_change(beta, q0) @ rotation.T
    nowhere = np.isnan(expected).any(axis=1)
    assert masked == nowhere.sum()
    assert set(np.flatnonzero(nowhere)) >= {3, 7, 11, 13}
    np.testing.assert_array_equal(q[:, nowhere], gradient_loops.NOWHERE)
    scale = np.abs(beta[~nowhere]).max(axis=(1, 2))
    error = np.abs(q.T[~nowhere] - expected[~nowhere]).max(axis=1)
    determinant = np.linalg.det(np.eye(3) + beta[~nowhere])
    assert (error / scale * np.minimum(determinant, 1.0)).max() < 1e-12


@pytest.mark.parametrize("samples", [1, 3, 4, 5, 9])
def test_sum_of_products_for_any_number_of_samples(samples):
    random = np.random.default_rng(2)
    rock = random.uniform(size=(samples, 3, 8)).astype(np.float32)
    roll = random.uniform(size=(samples, 2, 8)).astype(np.float32)
    pixels = np.array([4, 0, 7, 1, 9])
    frames = np.full((2, 3, 10), -1, np.float32)
    sum_loops.sum_products(rock, roll, pixels, False, frames)
    expected = np.einsum("kip,kjp->jip", rock, roll)[:, :, :5]
    np.testing.assert_allclose(frames[:, :, pixels], expected, rtol=1e-6)
    np.testing.assert_array_equal(frames[:, :, [2, 3, 5, 6, 8]], -1)
