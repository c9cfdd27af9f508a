"""Row sums against the sums themselves, term by term."""

import numpy as np
import pytest
from scipy.special import digamma

from weakbeam.defects.lattice_sums import finite_row, infinite_row


def places(count, seed=0):
    """Points on all scales: near a pole, between poles, at the ends, far along and across."""
    random = np.random.default_rng(seed)
    near = random.integers(0, count, 60) + 1e-3 * (random.normal(size=(60, 2)) @ [1, 1j])
    between = random.uniform(-30, count + 30, 60) + 1j * random.normal(size=60)
    sign = random.choice([-1, 1], (60, 2))
    far = (sign * 10 ** random.uniform(-6, 6, (60, 2))) @ [1, 1j] + 0.5 * (count - 1)
    edge = random.uniform(-2, 2, 60) + 1j * random.uniform(8, 12, 60)
    return np.concatenate([near, between, far, edge])


@pytest.mark.parametrize("count", [1, 2, 5, 50, 10_000])
def test_a_finite_row_is_the_sum_of_its_terms(count):
    n = np.arange(count)
    for w in places(count):
        terms = 1.0 / (w - n)
        f, g = finite_row(w, count)
        # Where terms cancel, rounding leaves a share of the largest of them.
        assert abs(f - terms.sum()) < 1e-12 * max(abs(f), np.abs(terms).max())
        assert abs(g - (terms**2).sum()) < 1e-12 * max(abs(g), np.abs(terms**2).max())


@pytest.mark.parametrize("w", [0.3 + 0.2j, -7.4 - 0.05j, 1e-4j, 12.5 + 1.7j, 3.0 - 0.4j])
def test_the_infinite_row_is_the_limit_of_symmetric_sums(w):
    n = np.arange(-200_000, 200_001)
    f, g = infinite_row(w)
    # What lies beyond is 2w/N in f and 2/N in g, up to higher orders.
    np.testing.assert_allclose(np.sum(1 / (w - n)) - 2 * w / 200_000.5, f, rtol=1e-9)
    np.testing.assert_allclose(np.sum(1 / (w - n) ** 2) + 2 / 200_000.5, g, rtol=1e-9)


def test_the_infinite_row_neither_overflows_nor_loses_a_pole():
    for y in (50.0, 299.0, 301.0, 1e8):
        f, g = infinite_row(complex(0.3, y))
        np.testing.assert_allclose(f, -1j * np.pi, rtol=1e-15)
        assert abs(g) < 1e-100
    f, g = infinite_row(complex(8.0 + 2.0**-40))
    np.testing.assert_allclose([f, g], [2.0**40, 2.0**80], rtol=1e-9)


@pytest.mark.parametrize("w", [0.2 + 0.1j, 4.4 + 7.0j, 130.0 + 40.0j, 1e5 + 1.0j])
def test_a_row_is_a_difference_of_digamma_functions(w):
    expected = digamma(w + 1) - digamma(w - 6)
    np.testing.assert_allclose(finite_row(w, 7)[0], expected, rtol=1e-9)


def test_the_number_of_poles_may_be_beyond_any_sum():
    count = 10**12
    f, g = finite_row(0.5 * (count - 1) + 0.25 + 0.1j, count)
    np.testing.assert_allclose((f, g), infinite_row(0.75 + 0.1j), rtol=1e-5)
