"""Dislocations drawn at random, imaged by a noisy camera, and matched without being told."""

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.experiment import Experiment
from weakbeam.fit.observation import Observation
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match import match
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.study.blind_trials import Camera, line_at, run_trials
from weakbeam.run.render import Renderer

SMALL = [
    "camera.pixels=[24,32]",
    "camera.model='pco_edge'",
    "beam.height_fwhm_um=0.15",
    "scan.phi.value_mrad=0.15",
    "identify.planes=[[1,1,1],[1,-1,1],[1,1,-1]]",
    "identify.burgers=[[1,-1,0],[1,0,-1]]",
    # Edges, screws and mixed ones, some only 10 deg apart, and opposite signs.
    "identify.characters_deg=[0,10,45,90,180,225,270,330]",
]
EDGES = [0.01, 0.3, 0.7, 0.99, 1.0]

NEAR = MatchOptions(max_shift=4)
"""The default options, but for images that are too small to move their middle by 20 pixels."""


def trials_of(library, count, seed):
    """Draws, and how they are identified."""
    renderer = Renderer(library.experiment, 1)
    return run_trials(library, count, seed, NEAR, renderer=renderer)


def assert_right_where_the_gap_is_wide(trials):
    """Of draws with a gap above 6, 95 % are right; of few of them, but for one."""
    count = int((trials.gap > 6.0).sum())
    wrong = round((1.0 - trials.accuracy(least_gap=6.0)) * count)
    assert wrong <= max(1, 0.05 * count)


def assert_calibrated(trials):
    """Stated probabilities are true within 5 %, but for the chance of few draws."""
    for _, _, count, mean, share in trials.reliability(EDGES):
        assert abs(mean - share) <= 0.05 + 2.5 * np.sqrt(mean * (1.0 - mean) / count)
    assert abs(trials.probability.mean() - trials.right.mean()) <= 0.05


@pytest.fixture(scope="module")
def bright():
    return make_library(Experiment().with_settings(SMALL), 1)


@pytest.fixture(scope="module")
def sampled():
    """Fixed samples instead of averages, in the draws and in what is compared with them."""
    return make_library(Experiment().with_settings([*SMALL, "camera.oversampling=2"]), 1)


@pytest.fixture(scope="module")
def dim():
    # A hundredth of the light.
    return make_library(Experiment().with_settings([*SMALL, "camera.counts_per_s=10"]), 1)


def test_types_are_neighbours_and_opposites(bright):
    kinds = {bright.type_of(int(member)).character_deg for member in bright.visible}
    assert {0.0, 10.0, 90.0, 180.0, 270.0} <= kinds
    assert len(bright.visible) == 28


SLOW = pytest.mark.slow


@pytest.mark.parametrize("count", [12, pytest.param(40, marks=SLOW), pytest.param(200, marks=SLOW)])
def test_draws_at_the_exposure_of_the_preset(bright, count):
    trials = trials_of(bright, count, 1)
    assert len(trials) == count
    assert (trials.gap > 6).mean() > 0.95
    assert trials.accuracy(least_gap=6.0) >= 0.95
    assert_calibrated(trials)
    assert 0.8 <= trials.error_ratio <= 1.2


@pytest.mark.slow
@pytest.mark.parametrize("count", [40, 200])
def test_probabilities_are_true_where_light_is_short(dim, count):
    trials = trials_of(dim, count, 2)
    assert (trials.gap < 6).sum() > 8
    assert_right_where_the_gap_is_wide(trials)
    assert_calibrated(trials)


def test_draws_are_those_of_their_seed(sampled):
    first, again, other = (trials_of(sampled, 2, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.every, again.every)
    assert (first.truth != other.truth).any()


def test_frames_of_a_simulation_are_identified(bright):
    truth, renderer = bright.types[bright.visible[7]], Renderer(bright.experiment, 1)
    row, column = renderer.pixel_steps()
    position = 2.3 * row - 3.4 * column
    experiment = bright.experiment.with_settings(
        [
            f"defects=[{{plane={list(truth.plane)}, burgers={list(truth.burgers)}, "
            f"character_deg={truth.character_deg}, position_um={position.tolist()}}}]",
            "camera.seed=5",
        ]
    )
    frames = wb.simulate(experiment, workers=1).images.values
    dark = renderer.setups[0].detector.dark
    found = match(Observation(frames - dark, Camera(renderer).noise), bright, NEAR, workers=1)
    assert found.best.type == truth
    assert found.best.cautious_probability > 0.999
    assert found.verdict.decided
    along = line_at(renderer, truth, (0.0, 0.0, 0.0)).lines[0]
    away = np.cross(found.best.refinement.position_um - position, along)
    assert np.linalg.norm(away) < 0.02


@pytest.fixture(scope="module")
def every():
    # No list of planes, Burgers vectors and characters: 432 types, of which 420 can be seen.
    library = make_library(Experiment().with_settings(SMALL[:4]), 2)
    assert (len(library.types), len(library.visible)) == (432, 420)
    return library


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 11])
def test_all_classes_of_fcc(every, seed):
    trials = trials_of(every, 200, seed)
    assert trials.accuracy(least_gap=6.0) >= 0.95
    assert_calibrated(trials)
    assert 0.8 <= trials.error_ratio <= 1.2
    assert trials.ambiguous.mean() <= 0.05
