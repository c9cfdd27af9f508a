"""Starts compare images at all shifts as weighted least squares of each does."""

import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.nuisances.starts import StartFinder
from weakbeam.identify.nuisances.window_fit import LineFit
from weakbeam.identify.nuisances.window_model import FitOptions, WindowModel
from weakbeam.identify.nuisances.windows import MARGIN, WindowRenderers, coarse_window
from weakbeam.identify.refined_candidates import position_prior
from weakbeam.run.render import Renderer

EXPERIMENT = Experiment().with_settings(
    [
        "camera.pixels=[18, 26]",
        "scan.phi.values_mrad=[-0.15, 0.15]",
        "identify.planes=[[1, 1, 1]]",
        "identify.character_step_deg=90",
    ]
)
SHIFT, TILT = (2, -3), 1
BENT = (2.6e-5, -1.9e-5)
NOISE = Noise(2.0, 20.0)


@pytest.fixture(scope="module")
def library():
    return make_library(EXPERIMENT, 1)


@pytest.fixture(scope="module")
def kind(library):
    return library.type_of(int(library.visible[0]))


@pytest.fixture(scope="module")
def model_of(library):
    renderers = WindowRenderers(library.experiment, [0, 1])
    prior = position_prior(library, Renderer(library.experiment, 1, False), MatchOptions())

    def model(counts, **options):
        window = coarse_window(Observation(counts, NOISE, np.ones(counts.shape, bool)), [0, 0], 900)
        how = FitOptions(0.05, 0.05, **({"depths": 8} | options))
        return WindowModel(window, renderers, NuisancePriors.of(None), prior, how)

    return model


def images_of(model, kind, tilts, position_um=(0.0, 0.0, 0.0)):
    """Images with their margin, (tilts, conditions, rows, columns)."""
    place = np.array(position_um)
    lines = model.renderer.lines_of(kind.plane, kind.burgers, kind.character_deg, place)
    rocks = np.asarray(tilts)[:, None] * model.vectors[0][0]
    return model.renderer.offset_images(lines, {0: (rocks, np.zeros((1, 3)))})[0]


def counted(light):
    """Counts of few photons."""
    seen = 900.0 * light + 25.0
    return np.random.default_rng(3).normal(seen, np.sqrt(2.0 * seen + 20.0))


def at_shift(images):
    rows, columns = np.arange(18) + MARGIN - SHIFT[0], np.arange(26) + MARGIN - SHIFT[1]
    return images[:, rows[:, None], columns]


@pytest.fixture(scope="module")
def finder_and_images(model_of, kind):
    blank = model_of(np.ones((2, 18, 26)), tilts=3)
    images = images_of(blank, kind, blank.step * np.array([-1.0, 0.0, 1.0]))
    # What is measured is the type at another offset and place.
    model = model_of(counted(at_shift(images[TILT + 1])), tilts=3)
    return StartFinder(model, 4, 1.01 * model.step), images


def counts_of_a_bent_lattice(model, kind, position_um=(0.0, 0.0, 0.0)):
    """Each pixel from images of the whole lattice tilted by its amount."""
    u, v = ((np.arange(n) + 0.5) * 2 / n - 1 for n in (18, 26))
    light = np.empty((2, 18, 26))
    for row in range(18):
        images = images_of(model, kind, BENT[0] * u[row] + BENT[1] * v, position_um)
        for column in range(26):
            light[:, row, column] = at_shift(images[column])[:, row, column]
    return counted(light)


def test_gains_are_those_of_least_squares(finder_and_images):
    finder, images = finder_and_images
    gains = finder._gains(images, np.array([0, 1]))
    window = finder.model.window
    weights = 1.0 / finder.model.variance.reshape(window.counts.shape)
    for tilt, row, column in ((2, 2, -3), (0, 0, 0), (1, -4, 4)):
        lost, total = 0.0, []
        blocks = []
        for k in range(2):
            y, x = np.mgrid[:18, :26]
            r, c = y - row + MARGIN, x - column + MARGIN
            inside = (r >= 0) & (r < 26) & (c >= 0) & (c < 34)
            blocks.append(
                (
                    images[tilt, k, r[inside], c[inside]],
                    window.counts[k][inside],
                    weights[k][inside],
                )
            )
        # One brightness, and a level of each image's own.
        columns = []
        for k, (model, data, weight) in enumerate(blocks):
            level = np.zeros((len(data), 2))
            level[:, k] = 1.0
            columns.append(np.column_stack([model, level]) * np.sqrt(weight)[:, None])
            total.append(data * np.sqrt(weight))
        a, b = np.vstack(columns), np.concatenate(total)
        for part, sign in ((a, -1.0), (a[:, 1:], 1.0)):
            left = b - part @ np.linalg.lstsq(part, b, rcond=None)[0]
            lost += sign * float(left @ left)
        found = float(gains[tilt, row + 4, column + 4])
        brightness = np.linalg.lstsq(a, b, rcond=None)[0][0]
        assert found == pytest.approx(0.5 * lost, rel=2e-3) if brightness > 0.0 else found < -1e20


def off_place(model, kind, position_um):
    """How far a line lies from where it was put (µm)."""
    row, column = model.renderer.pixel_steps()
    away = position_um - (SHIFT[0] * row + SHIFT[1] * column)
    direction = model.renderer.lines_of(kind.plane, kind.burgers, kind.character_deg)
    along = direction.lines[0] / np.linalg.norm(direction.lines[0])
    return float(np.linalg.norm(away - away @ along * along))


def test_the_start_is_where_the_type_is(finder_and_images, kind):
    finder, _ = finder_and_images
    start = finder.start(kind, np.zeros(3))
    assert start.nuisances["phi_offset"] == pytest.approx(finder.model.step)
    assert off_place(finder.model, kind, start.position_um) < 1e-9


def test_a_start_has_the_field_of_a_bent_lattice(model_of, kind):
    model = model_of(counts_of_a_bent_lattice(model_of(np.ones((2, 18, 26))), kind))
    plain = StartFinder(model, 4, 2.01 * model.step).start(kind, np.zeros(3))
    bent = StartFinder(model, 4, 2.01 * model.step, [BENT]).start(kind, np.zeros(3))
    assert bent.gain > plain.gain + 100.0
    assert abs(bent.nuisances.pop("phi_offset")) < 0.5 * model.step
    assert bent.nuisances == {"tilt_phi[1]": BENT[0], "tilt_phi[2]": BENT[1]}
    assert off_place(model, kind, bent.position_um) < 1e-9


def test_a_line_beyond_the_window_holds_no_nuisance_back(model_of, kind):
    blank = model_of(np.ones((2, 18, 26)))
    far = 1e4 * blank.renderer.up
    model = model_of(counts_of_a_bent_lattice(blank, kind, far))
    found = LineFit(model, kind, far).climbed({"tilt_phi[1]": 3e-5}, 10)
    for name, true in zip(("tilt_phi[1]", "tilt_phi[2]"), BENT, strict=True):
        value, error = found.value(name)
        assert value == pytest.approx(true, abs=3.0 * error)
        assert error < 3e-6


@pytest.mark.parametrize("character_deg", [60.0, 100.0])
def test_precise_fits_have_the_derivatives_of_their_images(model_of, kind, character_deg):
    model = model_of(counted(np.zeros((2, 18, 26))), precise=True, depths=None, turn=True)
    fit = LineFit(model, kind.turned(character_deg), np.array([0.03, 0.02, 0.01]))
    light = {}
    for away in (-0.05, 0.0, 0.05):
        x = fit.x.copy()
        x[0] += away
        light[away] = fit._maps(x, fit._stacks(x))
    change = (light[0.05]["light"] - light[-0.05]["light"]) / 0.1
    own = light[0.0][fit.names[0]]
    assert np.vdot(own, change) > 0.995 * np.linalg.norm(own) * np.linalg.norm(change)
    assert np.linalg.norm(own) == pytest.approx(np.linalg.norm(change), rel=0.02)
