"""Sets of images made in other processes."""

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.errors import RunError
from weakbeam.identify.library import making
from weakbeam.identify.library.library import plan_library
from weakbeam.identify.library.training import plan_training

SMALL = [
    "camera.pixels=[12, 20]",
    "camera.oversampling=point",
    "scan.phi.value_mrad=0.15",
    "camera.model=pco_edge",
]


@pytest.fixture
def elsewhere(monkeypatch):
    """Make everything in other processes, and count what they are asked for."""
    calls = []
    original = making.results_in_order

    def results(function, about, jobs, processes):
        calls.append(processes)
        return original(function, about, jobs, processes)

    monkeypatch.setattr(making, "MUCH", 0.0)
    monkeypatch.setattr(making, "results_in_order", results)
    return calls


def test_a_training_set_is_the_same(elsewhere):
    settings = [*SMALL, "identify.mode=multi", "identify.images=10", "identify.seed=3"]
    experiment = wb.Experiment().with_settings(settings)
    here = [*plan_training(experiment, 1).samples()]
    assert elsewhere == []
    there = [*plan_training(experiment, 2).samples()]
    assert elsewhere == [2]
    assert [sample.number for sample in there] == list(range(10))
    for one, other in zip(here, there, strict=True):
        for name in ("frames", "contributions", "masks", "signal_to_noise"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(one.drawn.positions_um, other.drawn.positions_um)


def test_a_library_is_the_same(elsewhere):
    settings = [*SMALL, "identify.character_step_deg=90", "identify.noise=true"]
    experiment = wb.Experiment().with_settings(settings)
    here, there = ([*plan_library(experiment, n).frames()] for n in (1, 2))
    assert elsewhere == [2]
    assert len(here) == len(there) > 20
    for (frames, contrast), (others, other) in zip(here, there, strict=True):
        np.testing.assert_array_equal(frames, others)
        assert contrast == other


def test_few_images_are_made_here(elsewhere):
    experiment = wb.Experiment().with_settings([*SMALL, "identify.mode=multi", "identify.images=3"])
    assert len([*plan_training(experiment, 2).samples()]) == 3
    assert elsewhere == []


def test_members_of_many_frames_are_made_here(elsewhere, monkeypatch):
    """Several of them on their way from other processes would take the memory."""
    monkeypatch.setattr(making, "_LARGE", 5 * 12 * 20)
    frames = "scan.phi={half_range_mrad=0.2, steps=%d}"
    experiment = wb.Experiment().with_settings([*SMALL, "identify.character_step_deg=90"])
    for steps, calls in ((6, []), (5, [2])):
        [*plan_library(experiment.with_settings([frames % steps]), 2).frames()]
        assert elsewhere == calls


def test_a_lost_process_ends_it_in_one_line(elsewhere, monkeypatch):
    original = making.results_in_order
    monkeypatch.setattr(
        making, "results_in_order", lambda f, *rest: original("builtins.nothing", *rest)
    )
    experiment = wb.Experiment().with_settings([*SMALL, "identify.character_step_deg=90"])
    with pytest.raises(RunError, match=r"a worker is lost: .* has no attribute 'nothing'"):
        [*plan_library(experiment, 2).frames()]
