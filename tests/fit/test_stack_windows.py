"""Windows of an image have what the image has there, and tell types apart."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.fit import stack_windows
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise
from weakbeam.fit.stack_climb import common_scale
from weakbeam.fit.stack_data import FramesInMemory, StackData
from weakbeam.fit.stack_fit import SearchOptions
from weakbeam.fit.stack_model import StackModel
from weakbeam.fit.stack_windows import LineWindow, best_in_place
from weakbeam.identify.library.candidates import types_of
from weakbeam.run.render import Renderer

SHAPE = (36, 52)
PHI = np.linspace(-2e-4, 2e-4, 9)
POSITIONS = np.stack([PHI, 0 * PHI, 0 * PHI], axis=1)
NOISE = Noise(2.0, 18.0)


@pytest.fixture(scope="module")
def model():
    experiment = Experiment().replace(
        camera={"pixels": SHAPE, "pixel_nm": 120.0}, beam={"height_fwhm_um": 0.15}
    )
    return StackModel(Renderer(experiment, 1), POSITIONS, NuisancePriors.of(), 1)


def across_the_sheet(model, *numbers):
    every = types_of(model.renderer.experiment)
    lines = [model.line(kind, np.zeros(3), turning=True) for kind in every]
    lines = [line for line in lines if not line.place.in_sheet]
    return [lines[number] for number in numbers]


@pytest.fixture(scope="module")
def state(model):
    first, second = across_the_sheet(model, 40, 90)
    first = replace(first, at=np.array([-3.2, 9.4]))
    second = replace(second, at=np.array([4.1, -13.3]))
    start = model.start(2000.0, 20.0, blur=0.6)
    tilt = start.tilt.copy()
    tilt[0, :2], tilt[1, 1:4] = [1e-5, -2e-5], [2e-5, 1e-5, -1e-5]
    light = np.array([2000.0, 200.0, -100.0])
    return replace(start, tilt=tilt, light=light, lines=(first, second))


def frames_of(model, state):
    background = np.tensordot(state.background, model.background_terms, 1)
    signal = np.concatenate([batch.signal for batch in model.batches(state, slopes=False)])
    return signal + background


def test_a_window_has_what_the_image_has_there(model, state):
    rows, columns = slice(4, 30), slice(24, 52)
    whole = frames_of(model, state)[:, rows, columns]
    window = model.window(rows, columns, state.lines[1:])
    part = frames_of(window, replace(state, lines=state.lines[:1]))
    inner = np.s_[:, 4:-4, 4:]
    # Samples are chosen anew, to half a percent of the light on average.
    assert np.sqrt(np.mean((part - whole)[inner] ** 2)) < 0.005 * 2000.0
    without = frames_of(model.window(rows, columns), replace(state, lines=state.lines[:1]))
    assert np.abs(without - whole)[inner].max() > 0.05 * 2000.0


def test_pixels_next_to_a_cut_do_not_count():
    frames = np.arange(2.0 * 20 * 30).reshape(2, 20, 30)
    data = StackData(FramesInMemory(frames), np.zeros((2, 3)), NOISE, np.ones((20, 30), bool))
    part = data.window(slice(0, 12), slice(8, 30), 3)
    assert np.array_equal(part.frames.some(np.array([1]))[0], frames[1, :12, 8:])
    assert part.good[:9, 3:].all()
    assert not part.good[9:].any()
    assert not part.good[:, :3].any()


def test_the_right_type_is_found_by_the_pixels_around_a_line(model, state, monkeypatch):
    monkeypatch.setattr(stack_windows, "_HALF", 14)
    random = np.random.default_rng(3)
    counts = frames_of(model, state)
    counts = counts + random.normal(0.0, np.sqrt(2.0 * np.maximum(counts, 0.0) + 18.0))
    data = StackData(FramesInMemory(counts), POSITIONS, NOISE, np.ones(SHAPE, bool))
    true = state.lines[0]
    (other,) = across_the_sheet(model, 170)
    wrong = replace(model.line(other.type, true.position_um, turning=True), at=true.at + 0.3)
    begun = replace(state, lines=(wrong, state.lines[1]))
    window = LineWindow(model, data, begun, 0)
    assert window.data.shape == (28, 28)
    assert not window.near
    line, behind, misfit = best_in_place(
        window,
        wrong,
        [replace(true, at=true.at + 0.2)],
        lambda here, scale: here.height / scale,
        SearchOptions(),
        1.3,
        list,
    )
    assert (line.type.plane, line.type.burgers) == (true.type.plane, true.type.burgers)
    assert line.at == pytest.approx(true.at, abs=0.1)
    assert misfit < 1.3
    assert behind[0].log_evidence < -100.0
    assert common_scale(window.climb(line)) == 1.0
