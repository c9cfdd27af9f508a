"""Frames of a stack with nuisances, and their derivatives, against plain sums."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.defects.field import evaluate
from weakbeam.diffraction.geometry import diffraction_vector_change
from weakbeam.diffraction.turned import AT_BRAGG, motor_shifts
from weakbeam.experiment import Experiment
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.stack_climb import _FixedColumns
from weakbeam.fit.stack_model import StackModel
from weakbeam.identify.library.candidates import types_of
from weakbeam.imaging.engine import Engine
from weakbeam.run.render import Renderer

SHAPE = (18, 24)
PHI = np.linspace(-2e-4, 2e-4, 7)
POSITIONS = np.stack([PHI, 0 * PHI, 0 * PHI], axis=1)


@pytest.fixture(scope="module")
def model():
    experiment = Experiment().replace(camera={"pixels": SHAPE, "pixel_nm": 150.0})
    return StackModel(Renderer(experiment, 1), POSITIONS, NuisancePriors.of(), 1)


@pytest.fixture(scope="module")
def state(model):
    kind = types_of(model.renderer.experiment)[100]
    line = model.line(kind, np.array([0.4, 0.3, 0.0]), turning=True)
    start = model.start(1000.0, 20.0, blur=0.8)
    tilt = start.tilt.copy()
    tilt[0, :2], tilt[1, 1:4] = [1e-5, -2e-5], [2e-5, 1e-5, -1e-5]
    return replace(
        start,
        offsets=np.array([1e-5, -2e-5, 1e-5]),
        tilt=tilt,
        light=np.array([1000.0, 150.0, -80.0]),
        background=np.array([20.0, 3.0, -2.0]),
        brightness=np.linspace(-0.02, 0.02, len(PHI)),
        lines=(line,),
    )


def frames_of(model, state):
    """Counts to expect."""
    background = np.tensordot(state.background, model.background_terms, 1)
    signal = np.concatenate([batch.signal for batch in model.batches(state, slopes=False)])
    return (1.0 + state.brightness)[:, None, None] * signal + background


def plain_frames(model, state):
    """The same, ray by ray through many sub-pixels, with a blur of its own."""
    setup = model.setup
    fine = {"oversampling": 6, "depth_samples": 200}
    (grid,) = assemble(model.renderer.experiment.replace(camera=fine)).grids
    field = model.field(state.lines)
    rows, columns = SHAPE
    u, v = ((2 * np.arange(n) + 1) / n - 1 for n in SHAPE)
    square = [1.5 * w * w - 0.5 for w in (u, v)]
    one = np.ones(SHAPE)
    terms = np.stack(
        [u[:, None] * one, v * one, square[0][:, None] * one, np.outer(u, v), square[1] * one]
    )
    # About x a turn moves q along roll, about y along the rocking direction.
    across = setup.geometry.imaging_from_sample
    turns = [across @ np.cross(axis, setup.geometry.q0_sample) for axis in np.eye(3)[:2]]
    shift = sum(np.tensordot(state.tilt[k], terms, 1)[..., None] * turns[k] for k in range(2))
    light = np.stack([one[0], v, square[1]])
    light = state.light @ light
    q_motors = np.add(*motor_shifts(setup.geometry, AT_BRAGG, POSITIONS + state.offsets))
    frames = np.empty((len(PHI), rows, columns))
    for pixel in range(rows * columns):
        points = grid.points(np.array([pixel]))[0]
        change = diffraction_vector_change(evaluate(field, points), setup.geometry.q0_sample)
        q = change @ across.T + shift.reshape(-1, 3)[pixel]
        for k, motors in enumerate(q_motors):
            value = grid.sample_weights @ np.nan_to_num(setup.acceptance.relative(q + motors))
            frames[k].flat[pixel] = value * light[pixel % columns]
    reach = np.arange(-6, 7)
    weights = np.exp(-0.5 * (reach[:, None] ** 2 + reach**2) / 0.8)
    weights /= weights.sum()
    wide = np.pad(frames, [(0, 0), (6, 6), (6, 6)], mode="symmetric")
    blurred = sum(
        weights[i, j] * wide[:, i : i + rows, j : j + columns] for i in range(13) for j in range(13)
    )
    b = state.background
    background = b[0] + b[1] * u[:, None] + b[2] * v
    return (1.0 + state.brightness)[:, None, None] * blurred + background


def test_frames_are_those_of_a_plain_sum(model, state):
    expected = plain_frames(model, state)
    found = frames_of(model, state)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.004 * np.sqrt(np.mean(expected**2))
    assert np.abs(found - expected).max() < 0.05 * expected.max()


STEPS = {"offset": 2e-7, "tilt": 2e-6, "blur": 0.02, "light": 1.0, "background": 1.0, "line": 0.05}
ERRORS = {"tilt": 0.12, "blur": 0.2, "light": 0.08, "background": 1e-6}
"""Those of polynomials are multiplied after the blur and not before it, where fields are small."""


def test_derivatives_are_differences_of_frames(model, state):
    # With the same samples on both sides, which are chosen in jumps.
    model = model.held(state)
    names = model.names(state)
    fixed = _FixedColumns(model)
    columns = []
    for batch in model.batches(state):
        brightness = (1.0 + state.brightness[batch.numbers]).astype(np.float32)
        columns.append(fixed.of(batch, slice(None), brightness[:, None, None]))
    columns = np.concatenate(columns, axis=1)
    for k, name in enumerate(names):
        kind = name.split("_")[0]
        step = np.zeros(len(names))
        step[k] = STEPS[kind] * (20 if name.endswith(("chi", "two_theta")) else 1)
        ends = [frames_of(model, model.moved(state, way * step, 0.0)) for way in (1, -1)]
        slope = ((ends[0] - ends[1]) / (2 * step[k])).reshape(len(PHI), -1)
        error = np.linalg.norm(columns[k] - slope) / np.linalg.norm(slope)
        assert error < ERRORS.get(kind, 0.05), (name, error)


def test_derivatives_of_an_acceptance_that_does_not_factorise(model, state):
    """Differences of frames, of a table or an oblique reflection, are those of the factors."""
    from weakbeam.imaging.routes import GeneralRoute

    engine = model._engine.with_field(model.field(state.lines))
    rock, roll = model.shifts(state)
    changes = model._changes(state.lines)
    tilt = model.tilt_field(state)
    frames, slopes = engine.slopes(rock, roll[:1], tilt, changes)
    engine._route = GeneralRoute(model.setup.acceptance)
    others, differences = engine.slopes(rock, roll[:1], tilt, changes)
    assert np.abs(frames - others).max() < 1e-5
    for a, b in zip(slopes, differences, strict=True):
        assert np.linalg.norm(a - b) < 0.06 * np.linalg.norm(b)


def test_far_from_the_bragg_setting_is_refused(model):
    with pytest.raises(ValueError, match="mrad from the Bragg setting"):
        StackModel(model.renderer, POSITIONS + 0.1, NuisancePriors.of(), 1)


def test_a_climb_keeps_its_samples_until_it_has_gone_some_way(model, state, monkeypatch):
    used = []
    slopes = Engine.slopes

    def noted(engine, *args):
        used.append(engine.sampling)
        return slopes(engine, *args)

    monkeypatch.setattr(Engine, "slopes", noted)
    near, far = (
        replace(state, lines=(state.lines[0].moved(np.array([step, 0.0, 0.0])),))
        for step in (0.1, 0.6)
    )
    held = model.held(state)
    for one in (state, near):
        frames_of(held, one)
    assert len({id(sampling) for sampling in used}) == 1
    assert not model.is_far(near, state)
    assert model.is_far(far, state)
    assert model.is_far(replace(state, offsets=state.offsets + 3e-5), state)
