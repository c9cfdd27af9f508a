"""Derivatives of frames come with the very frames, whatever samples the plan has taken."""

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.diffraction.turned import AT_BRAGG, motor_shifts
from weakbeam.experiment import Experiment
from weakbeam.imaging.routes import Changes, GeneralRoute, Means

SHAPE = (24, 32)
PHI = np.linspace(-2e-4, 2e-4, 5)


@pytest.fixture(scope="module")
def setup():
    experiment = Experiment().replace(camera={"pixels": SHAPE, "pixel_nm": 120.0})
    return assemble(experiment)


@pytest.fixture(scope="module")
def engine(setup):
    """Of the default's dislocations, for a scan of φ."""
    return setup.engine(workers=2).aimed(*scan(setup))


def scan(setup):
    positions = np.stack([PHI, 0 * PHI, 0 * PHI], axis=1)
    rock, roll = motor_shifts(setup.geometry, AT_BRAGG, positions)
    return rock, roll[:1]


def along_q(points, pixels):
    """q moves along each of its axes."""
    q = np.zeros((3, 3, *points.shape[1:]), np.float32)
    for component in range(3):
        q[component, component] = 1.0
    return Changes(q, np.full(3, 1e-6))


def test_frames_are_those_of_the_engine(setup, engine):
    assert len(engine.sampling.blocks) > 2
    frames, slopes = engine.slopes(*scan(setup), changes=along_q)
    expected = engine.images(*scan(setup))
    assert np.abs(frames - expected).max() < 1e-6
    assert slopes.shape == (3, 1, len(PHI), *SHAPE)


@pytest.mark.parametrize("tilt", [0.0, 2e-5])
def test_frames_of_a_tilt_are_those_of_shifted_motors(setup, engine, tilt):
    """q that changes alike everywhere is a motor that has moved, on the same samples."""
    rock, roll = scan(setup)
    held = engine.held([engine.field])
    vector = tilt * np.array([1.0, 0.0, 0.3])
    whole = np.broadcast_to(vector[:, None, None], (3, *SHAPE))
    frames, _ = held.slopes(rock, roll, whole)
    assert np.abs(frames - held.images(rock + vector, roll)).max() < 2e-6


def test_derivatives_are_differences_on_the_same_samples(setup, engine):
    rock, roll = scan(setup)
    held = engine.held([engine.field])
    _, slopes = held.slopes(rock, roll, changes=along_q)
    for component, step in enumerate((1e-6, 1e-5, 1e-5)):
        vector = step * np.eye(3)[component]
        # Of what χ shifts q_roll alone counts, of what φ shifts the others.
        both = [held.images(rock + end, roll + end) for end in (vector, -vector)]
        expected = (both[0] - both[1]) / (2.0 * step)
        assert np.linalg.norm(slopes[component] - expected) < 0.05 * np.linalg.norm(expected)


def test_an_acceptance_without_factors_has_the_same_derivatives(setup, engine):
    held = engine.held([engine.field])
    frames, slopes = held.slopes(*scan(setup), changes=along_q)
    other = held.with_field(engine.field)
    other._route = GeneralRoute(setup.acceptance)
    others, differences = other.slopes(*scan(setup), changes=along_q)
    assert np.abs(frames - others).max() < 1e-5
    for a, b in zip(slopes, differences, strict=True):
        assert np.linalg.norm(a - b) < 0.06 * np.linalg.norm(b)


def test_what_is_told_of_the_changes_is_kept(setup, engine):
    asked = []

    def changes(points, pixels):
        asked.append(points.shape)
        return along_q(points, pixels)

    held, known = engine.held([engine.field]), {}
    first = held.slopes(*scan(setup), changes=changes, known=known)
    count = len(asked)
    again = held.slopes(*scan(setup), changes=changes, known=known)
    assert len(asked) == count + 1
    assert np.array_equal(first[1], again[1])


def test_samples_are_aimed_at_the_frames_that_are_told(setup):
    rock, roll = scan(setup)
    perfect = setup.engine(workers=1, perfect=True)
    far = np.array([[1e-3, 0.0, 0.0]])
    assert not perfect._planner.covers(type(perfect._planner.frames)(rock + far, roll))
    aimed = perfect.aimed(rock + far, roll)
    assert aimed._planner.covers(type(perfect._planner.frames)(rock + far, roll))
    assert not perfect._planner.covers(type(perfect._planner.frames)(rock + far, roll))


@pytest.mark.parametrize("closed", [True, False])
def test_frames_through_which_motors_came_are_means_of_those_at_their_settings(
    setup, engine, closed
):
    rock, _ = scan(setup)
    chi = np.linspace(-1e-3, 1e-3, 5)
    _, roll = motor_shifts(setup.geometry, AT_BRAGG, np.stack([0 * chi, chi, 0 * chi], axis=1))
    held = engine.held([engine.field])
    if not closed:
        held = held.with_field(engine.field)
        held._route = GeneralRoute(setup.acceptance)
    means = Means(np.array([0, 2]), np.array([0, 3]))
    frames, slopes = held.slopes(rock, roll, changes=along_q, means=means)
    every, changes = held.slopes(rock, roll, changes=along_q)

    def mean(images):
        by_rock = [images[..., part, :, :].mean(axis=-3) for part in (slice(0, 2), slice(2, 5))]
        both = np.stack(by_rock, axis=-3)
        return np.stack([both[..., :3, :, :, :].mean(-4), both[..., 3:, :, :, :].mean(-4)], -4)

    assert np.abs(frames - mean(every)).max() < 1e-6
    assert np.abs(slopes - mean(changes)).max() < 1e-5 * np.abs(changes).max()
