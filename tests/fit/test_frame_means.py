"""Frames at settings that the instrument does not tell apart are put together without loss."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.fit.frame_means import put_together, settings_of
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise
from weakbeam.fit.stack_curves import resolved
from weakbeam.fit.stack_data import FramesInMemory, StackData
from weakbeam.fit.stack_model import StackModel
from weakbeam.run.render import Renderer

SHAPE = (6, 8)
PHI, CHI = np.linspace(-2e-4, 2e-4, 7), np.linspace(-1.2e-3, 1.2e-3, 36)
RESOLVED = np.array([6e-6, 4e-4, np.inf])


def grid_of(phi, chi):
    """Positions of a scan in which φ moves fastest."""
    chi, phi = (one.ravel() for one in np.meshgrid(chi, phi, indexing="ij"))
    return np.stack([phi, chi, 0.0 * phi], axis=1)


def stack_of(positions, **more):
    counts = np.random.default_rng(1).integers(0, 4000, (len(positions), *SHAPE))
    good = np.ones(SHAPE, bool)
    return StackData(
        FramesInMemory(counts.astype(np.uint16)), positions, Noise(2, 18), good, **more
    )


def test_steps_of_chi_are_put_together_and_those_of_phi_are_not():
    data = stack_of(grid_of(PHI, CHI))
    means = put_together(data, RESOLVED)
    # 0.4 mrad have five steps of 69 µrad: eight groups.
    assert len(means) == 7 * 8
    assert np.array_equal(means.taken, data.positions)
    assert sum(len(own) for own in means.settings) == len(data)
    for number in (0, 23):
        own = means.settings[number]
        assert len(np.unique(own[:, 0])) == 1
        assert np.ptp(own[:, 1]) <= RESOLVED[1]
        which = [int(np.flatnonzero((data.positions == one).all(axis=1))[0]) for one in own]
        expected = data.frames.stack[which].mean(axis=0)
        assert means.frames.some(np.array([number]))[0] == pytest.approx(expected, rel=1e-6)
        # Frames at one χ follow each other.
        assert len(np.unique(means.positions[:7, 1].round(12))) == 1


def test_the_variance_of_a_mean_is_that_of_its_frames_over_their_number():
    data = stack_of(grid_of(PHI, CHI))
    means = put_together(data, RESOLVED)
    frame = np.array([5])
    counts, variance, good = means.read(frame, 0.01)
    count = len(means.settings[5])
    flat = replace(data, frames=FramesInMemory(counts), positions=means.positions[frame])
    plain = flat.read(np.array([0]), 0.0)[1]
    model = flat.read(np.array([0]), 0.01)[1] - plain
    assert good.all()
    assert variance == pytest.approx(plain / count + model, rel=1e-5)


def test_a_pixel_that_is_full_in_one_frame_does_not_count_in_the_mean():
    data = stack_of(grid_of(PHI, CHI), full=5000.0)
    data.frames.stack[7, 2, 3] = 5000
    means = put_together(data, RESOLVED)
    lost = [~means.read(np.array([k]), 0.0)[2] for k in range(len(means))]
    assert np.sum(lost) == 1


def test_readings_that_differ_a_little_are_one_setting():
    values = np.repeat([0.0, 1e-5, 2e-5], 4) + np.tile([0.0, 1e-7, -1e-7, 5e-8], 3)
    assert np.array_equal(settings_of(values[::-1])[::-1], np.repeat([0, 1, 2], 4))


@pytest.mark.parametrize("lost", [0, 100])
def test_what_is_no_grid_stays_as_it_is(lost):
    data = stack_of(np.delete(grid_of(PHI, CHI), lost, axis=0))
    assert put_together(data, RESOLVED) is data


def test_coarse_steps_stay_as_they_are():
    data = stack_of(grid_of(PHI, CHI[::6]))
    assert put_together(data, RESOLVED) is data


def test_the_model_makes_the_means_of_the_frames_that_it_would_make():
    experiment = Experiment().replace(camera={"pixels": SHAPE, "pixel_nm": 150.0})
    renderer, known = Renderer(experiment, 1), NuisancePriors.of()
    positions = grid_of(PHI, CHI[::2])
    data = stack_of(positions)
    whole = StackModel(renderer, positions, known, 1)
    along = resolved(whole, positions)
    assert along[0] < 2e-5 < 2e-4 < along[1] < 1e-3
    assert np.isinf(along[2])
    means = put_together(data, along)
    assert 0 < len(means) < len(data)
    part = StackModel(renderer, means.positions, known, 1, means.settings)
    state = whole.start(1000.0, 0.0)
    every = np.concatenate([batch.signal for batch in whole.batches(state, slopes=False)])
    made = np.concatenate(
        [b.signal for b in part.of_frames(np.arange(9)).batches(part.start(1000.0, 0.0), False)]
    )
    for own, frame in zip(means.settings, made, strict=False):
        which = [int(np.flatnonzero((positions == one).all(axis=1))[0]) for one in own]
        assert frame == pytest.approx(every[which].mean(axis=0), abs=0.02)
