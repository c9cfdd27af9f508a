"""Dislocations drawn at random, imaged by a noisy camera, and identified without being told."""

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.experiment import Experiment
from weakbeam.fit.line_place import PositionPrior
from weakbeam.fit.observation import Observation
from weakbeam.identify.identifier import Identifier, line_at
from weakbeam.identify.library.candidates import candidates_of
from weakbeam.identify.study.blind_trials import Camera, run_trials

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


def assert_calibrated(trials):
    """Stated probabilities are true within 5 %, but for the chance of few draws."""
    for _, _, count, mean, share in trials.reliability(EDGES):
        assert abs(mean - share) <= 0.05 + 2.5 * np.sqrt(mean * (1.0 - mean) / count)
    assert abs(trials.probability.mean() - trials.right.mean()) <= 0.05


def identifier_of(*settings):
    experiment = Experiment().with_settings([*SMALL, *settings])
    candidates = candidates_of(experiment, 1, precise=False)
    types = [candidates.types[k] for k in candidates.seen]
    prior = PositionPrior.of_view(candidates.renderer, (8, 8), depth_um=0.15)
    return Identifier(candidates.renderer, types, prior)


@pytest.fixture(scope="module")
def bright():
    return identifier_of()


@pytest.fixture(scope="module")
def dim():
    # A hundredth of the light.
    return identifier_of("camera.counts_per_s=10")


def test_types_are_neighbours_and_opposites(bright):
    kinds = {one.character_deg for one in bright.types}
    assert {0.0, 10.0, 90.0, 180.0, 270.0} <= kinds
    assert len(bright.types) == 28


def test_two_hundred_draws_at_the_exposure_of_the_preset(bright):
    trials = run_trials(bright, 200, seed=1, most=6)
    assert len(trials) == 200
    assert (trials.gap > 6).mean() > 0.95
    assert trials.accuracy(least_gap=6.0) >= 0.95
    assert_calibrated(trials)
    assert 0.8 <= trials.error_ratio <= 1.2


def test_probabilities_are_true_where_light_is_short(dim):
    trials = run_trials(dim, 40, seed=2, most=4)
    assert (trials.gap < 6).sum() > 8
    assert trials.accuracy(least_gap=6.0) >= 0.95
    assert_calibrated(trials)


def test_draws_are_those_of_their_seed(bright):
    first, again, other = (run_trials(bright, 3, seed=seed, most=2) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.every, again.every)
    assert (first.truth != other.truth).any()


def test_frames_of_a_simulation_are_identified(bright):
    truth = bright.types[7]
    row, column = bright.renderer.pixel_steps()
    position = 2.3 * row - 3.4 * column
    experiment = bright.renderer.experiment.with_settings(
        [
            f"defects=[{{plane={list(truth.plane)}, burgers={list(truth.burgers)}, "
            f"character_deg={truth.character_deg}, position_um={position.tolist()}}}]",
            "camera.seed=5",
        ]
    )
    frames = wb.simulate(experiment, workers=1).images.values
    dark = bright.renderer.setups[0].detector.dark
    found = bright.identify(Observation(frames - dark, Camera(bright).noise))
    assert found.fits[0].type == truth
    assert bright.probability(found, 7) > 0.999
    assert found.explained
    along = candidates_of(experiment, 1).lines([truth.number], position[None]).lines[0]
    away = np.cross(found.fits[0].position_um - position, along)
    assert np.linalg.norm(away) < 0.02


def test_a_type_that_is_not_on_the_list_is_told(bright):
    truth = bright.types[2].turned(60.0)
    assert truth.character_deg not in {one.character_deg for one in bright.types}
    line = line_at(bright.renderer, truth, (1.2, -0.7, 0.0))
    assert not bright.identify(Camera(bright).observe(line, 1), most=4).explained


@pytest.fixture(scope="module")
def every():
    # No list of planes, Burgers vectors and characters: 432 types, of which 420 can be seen.
    experiment = Experiment().with_settings(SMALL[:4])
    candidates = candidates_of(experiment, 2)
    types = [candidates.types[k] for k in candidates.seen]
    assert (len(candidates.types), len(types)) == (432, 420)
    prior = PositionPrior.of_view(candidates.renderer, (8, 8), depth_um=0.15)
    return Identifier(candidates.renderer, types, prior)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 11])
def test_all_classes_of_fcc(every, seed):
    trials = run_trials(every, 200, seed=seed)
    assert trials.accuracy(least_gap=6.0) >= 0.95
    assert_calibrated(trials)
    assert 0.8 <= trials.error_ratio <= 1.2
    assert trials.ambiguous.mean() <= 0.05
