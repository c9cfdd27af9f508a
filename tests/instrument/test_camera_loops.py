"""Random numbers of the camera against the distributions that they should have."""

import numpy as np
import pytest
from scipy import stats

from weakbeam.instrument.camera_loops import FEW, frame_key, normals, photons, tables

MEANS = [0.01, 0.5, 3.0, 11.0, 15.99, FEW, 30.0, 300.0, 1e4]


def drawn(mean, number=400_000, seed=1):
    numbers = np.empty(number)
    key = np.uint64(frame_key(seed, 0, round(100 * mean)))
    photons(np.full(number, mean), key, tables(), numbers)
    return numbers


def chi_squared(numbers, mean):
    """χ² of numbers against the Poisson distribution, and how likely a larger one is."""
    low, high = stats.poisson.ppf([1e-12, 1 - 1e-12], mean)
    values = np.arange(low, high + 1)
    expected = stats.poisson.pmf(values, mean) * len(numbers)
    observed = np.array([np.count_nonzero(numbers == value) for value in values])
    assert observed.sum() == len(numbers)
    often = expected > 10
    pairs = [(observed[often], expected[often])]
    if (rest := len(numbers) - expected[often].sum()) > 1:
        pairs.append((observed[~often].sum(keepdims=True), np.array([rest])))
    o, e = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    statistic = float(((o - e) ** 2 / e).sum())
    return statistic, float(stats.chi2.sf(statistic, len(o) - 1))


@pytest.mark.parametrize("mean", MEANS)
def test_photons_follow_the_poisson_distribution(mean):
    _, likely = chi_squared(drawn(mean), mean)
    assert likely > 1e-3


@pytest.mark.parametrize("mean", MEANS)
def test_mean_and_variance_of_photons_are_equal(mean):
    numbers = drawn(mean)
    assert numbers.mean() == pytest.approx(mean, abs=4 * (mean / len(numbers)) ** 0.5)
    spread = mean * ((2 + 1 / mean) / len(numbers)) ** 0.5
    assert numbers.var() == pytest.approx(mean, abs=4 * spread)


def test_p_values_of_many_frames_are_even():
    likely = [chi_squared(drawn(16.3, 50_000, seed), 16.3)[1] for seed in range(40)]
    assert stats.kstest(likely, "uniform").pvalue > 1e-3


def test_pixels_of_different_means_do_not_disturb_each_other():
    """Few and many photons in one block take the numbers that they take alone."""
    key = np.uint64(frame_key(3, 0, 0))
    means = np.tile([0.3, 50.0, 0.0, 7.0], 300)
    together, alone = np.empty(1200), np.empty(1200)
    photons(means, key, tables(), together)
    for mean in np.unique(means):
        photons(np.full(1200, mean), key, tables(), alone)
        np.testing.assert_array_equal(together[means == mean], alone[means == mean])


def test_normal_numbers_are_normal():
    found = np.empty(1_000_000)
    normals(np.uint64(frame_key(4, 0, 0)), tables().normal, found)
    assert stats.kstest(found, "norm").pvalue > 1e-3
    assert np.abs(found).max() > 4.5
    tail = found[np.abs(found) > 2.3]
    expected = 2 * stats.norm.sf(2.3) * len(found)
    assert len(tail) == pytest.approx(expected, abs=4 * expected**0.5)


def test_light_and_read_noise_of_a_pixel_are_independent():
    key = np.uint64(frame_key(5, 0, 0))
    numbers, noise = np.empty(200_000), np.empty(200_000)
    photons(np.full(200_000, 40.0), key, tables(), numbers)
    second = (int(key) + 0x9E3779B97F4A7C15) % 2**64
    normals(np.uint64(second), tables().normal, noise)
    assert abs(np.corrcoef(numbers, noise)[0, 1]) < 4 / 200_000**0.5


def test_frames_begin_at_places_of_their_own():
    keys = {
        frame_key(seed, entry, frame)
        for seed in (0, 1, 2**63 - 1)
        for entry in range(20)
        for frame in range(50)
    }
    assert len(keys) == 3 * 20 * 50
