"""Drift of images, against scans of a crystal that is known everywhere."""

import numpy as np
import pytest
from drifting_scans import HOT, Crystal, rocking_stack, steady_drift

from weakbeam.analysis.drift import find_drift

FRAMES = 61
PLACES = np.arange(FRAMES)
DRIFT = steady_drift(FRAMES)


@pytest.fixture(scope="module")
def drifting():
    return rocking_stack(drift=DRIFT)[0]


@pytest.fixture(scope="module")
def found(drifting):
    return find_drift(drifting, PLACES)


def off(found, true):
    """Differences from the true drift at the places that were measured, less their mean."""
    difference = found.shifts - true[found.places.astype(int)]
    return difference - difference.mean(axis=0)


def test_a_drift_is_found_within_a_tenth_of_a_pixel(found):
    assert found.is_significant
    assert len(found.places) > 25
    assert np.sqrt((off(found, DRIFT) ** 2).mean()) < 0.06
    lit = DRIFT[found.places.astype(int)]
    np.testing.assert_allclose(found.ranges, np.ptp(lit, axis=0), atol=0.12)
    assert 0.01 < found.error < 0.1


def test_hot_pixels_do_not_hold_it(drifting):
    stack = drifting.copy()
    for row, column in HOT:
        stack[:, row, column] += 300
    found = find_drift(stack, PLACES)
    assert np.sqrt((off(found, DRIFT) ** 2).mean()) < 0.06


@pytest.mark.parametrize("seed", [1, 2])
def test_the_error_is_that_of_the_drift(seed):
    stack, _ = rocking_stack(Crystal(seed=seed), drift=DRIFT, seed=seed)
    found = find_drift(stack, PLACES)
    rms = np.sqrt((off(found, DRIFT) ** 2).mean())
    assert 0.3 * rms < found.error < 4.0 * rms


STILL = {
    "details": Crystal(),
    "faint details": Crystal(details=0.2),
    "no details": Crystal(details=0.0),
    "band of light that sweeps": Crystal(bend_deg=0.2, details=0.0),
    "the same over details": Crystal(bend_deg=0.2),
    "narrow band": Crystal(bend_deg=0.2, width_deg=0.012),
    "dim": Crystal(light=60.0),
}


# One without and one with light that sweeps every time, what is left where there is more time.
FEW = ("dim", "band of light that sweeps")
CASES = [
    pytest.param(crystal, id=name, marks=[] if name in FEW else pytest.mark.slow)
    for name, crystal in STILL.items()
]


@pytest.mark.parametrize("crystal", CASES)
def test_light_that_sweeps_is_no_drift(crystal):
    stack, _ = rocking_stack(crystal)
    found = find_drift(stack, PLACES)
    assert found is None or not found.is_significant


def test_a_drift_under_a_sweeping_band():
    stack, _ = rocking_stack(Crystal(bend_deg=0.2), drift=DRIFT)
    found = find_drift(stack, PLACES)
    assert found.is_significant
    assert np.sqrt((off(found, DRIFT) ** 2).mean()) < 0.1


def test_masked_pixels_do_not_count(drifting):
    stack = drifting.copy()
    used = np.ones(stack.shape[1:], bool)
    used[:, 30:40] = False
    # A stripe that stands still, brighter than all else.
    stack[:, :, 30:40] = 5000 + 1000 * (np.arange(72)[:, None] % 3)
    found = find_drift(stack, PLACES, used)
    assert np.sqrt((off(found, DRIFT) ** 2).mean()) < 0.1


def test_shifts_between_and_beyond_the_places(found):
    every = found.at(PLACES)
    there = found.places.astype(int)
    np.testing.assert_allclose(every[there], found.shifts, atol=1e-12)
    np.testing.assert_allclose(every[int(found.reference)], 0.0, atol=1e-12)
    assert np.isfinite(every).all()


def test_images_that_cannot_tell():
    assert find_drift(np.ones((1, 40, 40)), [0]) is None
    assert find_drift(np.ones((5, 10, 40)), np.arange(5)) is None
    assert find_drift(np.zeros((5, 40, 40)), np.arange(5)) is None
