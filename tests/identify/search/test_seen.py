"""Whether images show a dislocation at all: noise does not, a faint line does."""

import numpy as np
import pytest
from scipy.stats import chi2

from weakbeam.experiment import Experiment
from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match import match
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.verdict import FALSE_ALARM, least_gain

SIGMA = 4.0
NOISE = Noise(1e-6, SIGMA**2)
SHAPE = (32, 64)


@pytest.fixture(scope="module")
def library():
    experiment = Experiment().with_settings(
        [
            f"camera.pixels={list(SHAPE)}",
            "camera.psf_px=1.0",
            "scan.phi.value_mrad=0.15",
            "identify.planes=[[1, 1, 1]]",
            "identify.character_step_deg=30",
        ]
    )
    return make_library(experiment, 1)


def matched(library, seed, max_shift, signal=0.0):
    noise = np.random.default_rng(seed).normal(7.0, SIGMA, (1, *SHAPE))
    options = MatchOptions(max_shift, refine=0)
    return match(Observation(noise + signal, NOISE), library, options, [0], 1)


@pytest.mark.parametrize("seed", [0, 3, 4, 5, 9, 13])
def test_the_best_of_many_trials_of_noise_is_no_dislocation(library, seed):
    found = matched(library, seed, 20)
    # This would be more than four standard deviations, had there been a single trial.
    assert found.best.gain > 10.0
    assert not found.verdict.visible


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_a_faint_line_is_seen(library, seed):
    image = np.asarray(library.images[int(library.visible[9])], dtype=float)
    light = image - image.mean()
    # Of twelve standard deviations in total, and less than one in any pixel.
    light *= 12.0 * SIGMA / np.sqrt(np.sum(light**2))
    assert np.abs(light).max() < SIGMA
    assert matched(library, seed, 6, light).verdict.visible


def test_more_to_choose_from_needs_more_gain():
    # One trial: half of a squared normal variable, exceeded with the stated probability.
    assert least_gain(1, 0) == pytest.approx(0.5 * chi2.isf(FALSE_ALARM, 1))
    assert least_gain(1, 0, 2) == pytest.approx(0.5 * chi2.isf(FALSE_ALARM, 2))
    gains = [least_gain(n, shift) for n, shift in ((1, 20), (432, 20), (4320, 20), (432, 40))]
    assert gains[0] < gains[1]
    # Almost the logarithm of the number of trials.
    assert gains[2] - gains[1] == pytest.approx(np.log(10.0), rel=0.05)
    assert gains[3] - gains[1] == pytest.approx(2.0 * np.log(81 / 41), rel=0.05)
