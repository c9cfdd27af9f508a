"""Derivatives of the curves, the covariance of what stays where it was, and edges."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment
from weakbeam.fit.calibration import CurveFit, fit_curves
from weakbeam.fit.curve_model import Blocks, CurveModel, Priors
from weakbeam.fit.sharp_edge import find_sharp_edge

OBLIQUE = [
    "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
    "reflection.hkl=[-1, -1, 3]",
    "reflection.geometry=oblique",
    "beam.energy_keV=19.1",
]


def model_of(settings, moving=("phi", "chi")):
    setup = assemble(Experiment().with_settings(["defects=[]", *settings]))
    a, b = np.meshgrid(np.linspace(-1.5e-4, 1.5e-4, 11), np.linspace(-1e-3, 1e-3, 5))
    positions = np.stack([a.ravel(), b.ravel(), 0 * a.ravel()], axis=1)
    vectors = setup.geometry.motor_vectors
    return CurveModel(setup.acceptance, vectors, positions, np.zeros(3), moving, Priors())


def blocks_of(model, z, noise=0.0):
    u, v = (part.ravel() for part in np.meshgrid([-0.75, -0.25, 0.25, 0.75], [-0.5, 0.5]))
    blank = np.zeros((len(u), len(model.positions)))
    blocks = Blocks(
        blank, blank + 1.0, np.stack([u, v], 1), np.full((len(u), 2), [0.5, 1.0]), np.ones(len(u))
    )
    curves = model.curves(z, blocks.tilt_terms)
    counts = 1000 * curves + 20 + np.random.default_rng(0).normal(0, 1, curves.shape) * noise
    return replace(blocks, counts=counts)


@pytest.mark.parametrize("settings", [[], OBLIQUE], ids=["symmetric", "oblique"])
def test_derivatives_are_those_of_the_curves(settings):
    model = model_of(settings)
    z = np.random.default_rng(0).normal(0, 0.1, len(model.names))
    z[:3] *= 0.1
    terms = blocks_of(model, z).tilt_terms
    here, slopes = model.derivatives(z, terms)
    np.testing.assert_allclose(here, model.curves(z, terms))
    for k, name in enumerate(model.names):
        step = 1e-3 if name.startswith("tilt") else 1e-3 / max(model.scales[k] / 1e-4, 1)
        up, down = z.copy(), z.copy()
        up[k] += step
        down[k] -= step
        told = (model.curves(up, terms) - model.curves(down, terms)) / (2 * step)
        scale = np.abs(slopes[k]).max() + 1e-6
        assert np.abs(told - slopes[k]).max() < 0.02 * scale, name


@pytest.mark.parametrize("settings", [[], OBLIQUE], ids=["symmetric", "oblique"])
def test_fit_returns_to_the_parameters_of_curves_without_noise(settings):
    model = model_of(settings)
    z = np.zeros(len(model.names))
    names = list(model.names)
    z[:2] = 0.05, -0.02
    z[names.index("bandwidth")], z[names.index("lens")] = 0.3, -0.4
    z[names.index("tilt_phi_1")] = 0.2
    fit = fit_curves(model, blocks_of(model, z), np.ones_like)
    assert fit.converged
    np.testing.assert_allclose(fit.z[fit.determined], z[fit.determined], atol=0.01)
    assert not fit.determined[names.index("offset_two_theta")] or fit.z[2] == pytest.approx(
        0, abs=0.1
    )


def test_what_stays_moves_the_others_by_what_it_may_be_off():
    """Estimates of a linear model, drawn many times."""
    random = np.random.default_rng(3)
    root = random.normal(size=(6, 3)) * [10, 10, 0.3]
    fisher = root.T @ root
    told = np.array([True, True, False])
    truths = random.normal(size=(40_000, 3))
    truths[:, told] *= 1e-3
    noise = random.normal(size=(40_000, 6))
    data = truths @ root.T + noise
    inner = fisher[:2, :2] + np.eye(2)
    found = np.zeros_like(truths)
    found[:, :2] = np.linalg.solve(inner, (data @ root[:, :2]).T).T
    drawn = np.cov((found - truths).T)
    blank = np.zeros((1, 1))
    fit = CurveFit(
        None, np.zeros(3), fisher, told, None, None, blank, blank, blank, 0, 1, 9, 1, 9, True
    )
    np.testing.assert_allclose(
        fit.covariance, drawn, atol=0.03 * np.sqrt(np.diag(drawn)).max() ** 2
    )
    np.testing.assert_allclose(fit.errors, np.sqrt(np.diag(drawn)), rtol=0.03)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("falling", [1, -1])
def test_slanted_edge_of_known_blur(turned, falling):
    rows, columns = np.meshgrid(np.arange(40), np.arange(60), indexing="ij")
    distance = columns - 25.4 - 0.03 * (rows - 19.5)
    wide = np.hypot(1.3, 12**-0.5)
    image = 50 + 400 * ndtr(falling * distance / wide) * (1 + 0.002 * columns)
    image += np.random.default_rng(0).normal(0, 3, image.shape)
    edge = find_sharp_edge(image.T if turned else image)
    assert edge.axis == ("row" if turned else "column")
    assert edge.place == pytest.approx(25.4, abs=0.1)
    assert abs(edge.sigma - 1.3) < 4 * edge.error < 0.1


def test_smooth_light_has_no_edge():
    image = 100 + 300 * np.exp(-0.5 * ((np.arange(60) - 30) / 15) ** 2) * np.ones((40, 1))
    assert find_sharp_edge(image) is None
