"""Fits of the acceptance to curves: gradients, noise, and errors told beforehand."""

import numpy as np
import pytest
from instruments import BEAM

from weakbeam.analysis import curve_loops as loops
from weakbeam.analysis.curve_information import curve_information, expected_covariance
from weakbeam.crystal.lattice import UnitCell
from weakbeam.diffraction.goniometer_setting import solve_omega
from weakbeam.diffraction.lattice_change import setting_q
from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.instrument.optics import Optics

GEOMETRY = solve_omega(UnitCell.cubic(4.0493).plane_normal((-1, -1, 3)), 19.1)[0].geometry


def acceptance(aperture):
    """An instrument whose condenser and lens cut the beam."""
    return oblique_acceptance(Optics(**BEAM, lens=2.4e-4, aperture=aperture), GEOMETRY)


@pytest.mark.parametrize("aperture", [np.inf, 3e-4])
def test_gradient_is_that_of_the_density(aperture):
    one = acceptance(aperture)
    table = loops.term_table(one.terms, one.peak)
    width = np.sqrt(np.diag(one.covariance()))
    q = np.random.default_rng(0).normal(size=(300, 3)) * width
    values, gradients = np.empty(300), np.empty((300, 3))
    loops.densities(table, q, values, gradients)
    assert values == pytest.approx(one.density(q) / one.peak, abs=1e-7)
    for k in range(3):
        step = 1e-3 * width[k] * np.eye(3)[k]
        slope = (one.density(q + step) - one.density(q - step)) / (2e-3 * width[k] * one.peak)
        # At an edge of the aperture a difference sees a mean.
        away = np.abs(slope - gradients[:, k]) * width[k]
        assert np.quantile(away, 0.97) < 1e-4


def test_errors_are_the_scatter_and_are_told_beforehand():
    one = acceptance(np.inf)
    chi, arm, phi = np.meshgrid(
        np.linspace(-1.2e-3, 1.2e-3, 5),
        np.linspace(-6e-4, 6e-4, 4),
        np.linspace(-4e-4, 4e-4, 21),
        indexing="ij",
    )
    offsets = np.stack([phi.ravel(), chi.ravel(), arm.ravel()], axis=-1)
    shifts = setting_q(GEOMETRY, offsets)
    true = np.array([2e-5, -5e-5, 3e-5])
    random = np.random.default_rng(1)
    mean = 500.0 * one.density(shifts + true) / one.peak
    counts = 2.0 * random.poisson(mean, size=(400, len(mean))) + random.normal(
        100.0, 4.0, (400, len(mean))
    )
    results = np.empty((400, loops.RESULTS))
    loops.fit_pixels(
        counts.astype(np.float32),
        shifts,
        offsets,
        np.ones(len(mean)),
        loops.term_table(one.terms, one.peak),
        np.linalg.inv(one.covariance()),
        np.array([2.0, 16.0, np.nan, 0.0]),
        50.0,
        results,
    )
    assert (results[:, loops.LIT] > 0.0).all()
    found = results[:, loops.Q : loops.Q + 3]
    told = results[:, loops.INFORMATION : loops.INFORMATION + 9].reshape(-1, 3, 3)
    away = found - true
    score = np.einsum("ni,nij,nj->n", away, told, away)
    # χ² of three components, over 400 pixels.
    assert score.mean() == pytest.approx(3.0, abs=0.45)
    assert (np.abs(away.mean(axis=0)) < 4.0 * away.std(axis=0) / 20.0).all()
    assert np.mean(results[:, loops.CHI2] / results[:, loops.FREEDOM]) == pytest.approx(
        1.0, abs=0.05
    )
    before = curve_information(one, shifts + true, 1000.0, 2.0, 16.0)
    stated = np.linalg.inv(told.mean(axis=0))
    assert np.sqrt(np.diag(np.linalg.inv(before))) == pytest.approx(
        np.sqrt(np.diag(stated)), rel=0.1
    )
    unit = expected_covariance(np.eye(3), [before] * 3)
    assert unit is not None
    assert expected_covariance(np.eye(3)[:2], [before] * 2) is None
