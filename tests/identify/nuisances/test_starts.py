"""Starts compare images at all shifts as weighted least squares of each does."""

import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.nuisances.starts import StartFinder
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


@pytest.fixture(scope="module")
def finder_and_images():
    library = make_library(EXPERIMENT, 1)
    renderers = WindowRenderers(library.experiment, [0, 1])
    random = np.random.default_rng(3)
    blank = Observation(np.ones((2, 18, 26)), Noise(2.0, 20.0), np.ones((2, 18, 26), bool))
    options = FitOptions(0.05, 0.05, tilts=3, depths=8)
    priors = NuisancePriors.of(None)
    prior = position_prior(library, Renderer(library.experiment, 1, False), MatchOptions())
    window = coarse_window(blank, [0, 0], 900)
    model = WindowModel(window, renderers, priors, prior, options)
    kind = library.type_of(int(library.visible[0]))
    lines = model.renderer.lines_of(kind.plane, kind.burgers, kind.character_deg)
    v = model.vectors[0]
    tilts = model.step * np.array([-1.0, 0.0, 1.0])
    images = model.renderer.offset_images(lines, {0: (tilts[:, None] * v[0], np.zeros((1, 3)))})[0]
    # What is measured is the type at another offset and place, and the noise of few counts.
    rows, columns = np.arange(18) + MARGIN - SHIFT[0], np.arange(26) + MARGIN - SHIFT[1]
    seen = 900.0 * images[TILT + 1][:, rows[:, None], columns] + 25.0
    counts = random.normal(seen, np.sqrt(2.0 * seen + 20.0))
    observation = Observation(counts, Noise(2.0, 20.0), np.ones(counts.shape, bool))
    model = WindowModel(coarse_window(observation, [0, 0], 900), renderers, priors, prior, options)
    return StartFinder(model, 4, 1.01 * model.step), images, kind


def test_gains_are_those_of_least_squares(finder_and_images):
    finder, images, _ = finder_and_images
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


def test_the_start_is_where_the_type_is(finder_and_images):
    finder, _, kind = finder_and_images
    start = finder.start(kind, np.zeros(3))
    assert start.nuisances["phi_offset"] == pytest.approx(finder.model.step)
    row, column = finder.model.renderer.pixel_steps()
    away = start.position_um - (SHIFT[0] * row + SHIFT[1] * column)
    direction = finder.model.renderer.lines_of(kind.plane, kind.burgers, kind.character_deg)
    along = direction.lines[0] / np.linalg.norm(direction.lines[0])
    assert np.linalg.norm(away - away @ along * along) < 1e-9
