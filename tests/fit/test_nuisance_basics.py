"""Priors, polynomials, shifts of q, noise and linear elimination of nuisances."""

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.bad_pixels import bad_pixels, full_count
from weakbeam.fit.linear_nuisances import LinearSums
from weakbeam.fit.nuisance_noise import ModelNoise
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.nuisance_shifts import lattice_vectors
from weakbeam.fit.nuisance_terms import degrees, light_terms, window_terms
from weakbeam.fit.observation import Noise


def _priors(text: str) -> NuisancePriors:
    table = Experiment.from_toml_text(f"[identify.nuisance]\n{text}", "test").identify
    return NuisancePriors.of(table.nuisance)


def test_a_prior_is_a_width_or_a_value_and_its_width() -> None:
    priors = _priors("phi_offset_urad = [12.0, 3.0]\nblur_px = 0.0\nbeam_height = [1.5, 0.0]")
    assert (priors.offsets["phi"].mean, priors.offsets["phi"].width) == pytest.approx((12e-6, 3e-6))
    assert (priors.offsets["chi"].mean, priors.offsets["chi"].width) == pytest.approx((0.0, 20e-6))
    assert not priors.blur_px.free
    assert priors.blur_px.mean == 0.0
    assert not priors.beam_height.free
    assert priors.beam_height.mean == 1.5
    assert priors.condenser.mean == 1.0
    assert priors.condenser.free
    assert NuisancePriors.of(None) == NuisancePriors.of(Experiment().identify)


@pytest.mark.parametrize("text", ["phi_offset_urad = -1.0", "blur_px = [-1.0, 1.0]", "tilt = 3.0"])
def test_impossible_priors_are_named(text: str) -> None:
    with pytest.raises(InputError, match=r"identify\.nuisance\."):
        _priors(text)


def test_terms_are_orthogonal_over_the_window() -> None:
    terms = window_terms((40, 60), 3).reshape(10, -1)
    products = terms @ terms.T / terms.shape[1]
    away = products - np.diag(np.diag(products))
    assert np.abs(away).max() < 2e-3
    assert degrees(1) == [(0, 0), (1, 0), (0, 1)]
    rising = window_terms((40, 60), 1)
    assert np.all(np.diff(rising[1], axis=0) > 0)
    assert np.all(np.diff(rising[1], axis=1) == 0)
    light = light_terms((4, 6), 2)
    assert np.all(np.diff(light[0], axis=1) > 0)
    assert np.all(np.diff(light, axis=1) == 0)
    turned = light_terms((4, 6), 2, along_rows=True)
    assert np.all(np.diff(turned[0], axis=0) > 0)


def test_tilting_the_lattice_about_y_is_what_phi_does() -> None:
    geometry = assemble(Experiment()).geometry
    vectors = lattice_vectors(geometry)
    np.testing.assert_allclose(vectors[1], geometry.motor_vectors[0], atol=1e-12)
    # chi turns left-handed about x.
    np.testing.assert_allclose(vectors[0], -geometry.motor_vectors[1], atol=1e-12)
    # A larger lattice spacing d diffracts at a smaller angle, by ε tanθ, whatever the frame.
    tangent = np.tan(geometry.theta)
    arm = 2.0 * tangent * geometry.motor_vectors[2]
    np.testing.assert_allclose(
        vectors[2], -tangent * geometry.motor_vectors[0] + arm, rtol=0, atol=1e-12
    )


def test_linear_elimination_is_the_same_as_all_parameters_at_once() -> None:
    random = np.random.default_rng(3)
    columns, data = random.normal(size=(3, 50)), random.normal(size=50)
    weight, mean = random.uniform(0.5, 2.0, 50), np.array([0.3, 0.0, -1.0])
    precision = np.array([4.0, 0.0, 1.0])
    sums = LinearSums(3)
    sums.add(data[:20], weight[:20], columns[:, :20])
    sums.add(data[20:], weight[20:], columns[:, 20:])
    fit = sums.solved(mean, precision)
    rows = np.concatenate([(np.sqrt(weight) * columns).T, np.diag(np.sqrt(precision))])
    right = np.concatenate([np.sqrt(weight) * data, np.sqrt(precision) * mean])
    best, squares, *_ = np.linalg.lstsq(rows, right, rcond=None)
    np.testing.assert_allclose(fit.coefficients, best, rtol=1e-10)
    assert fit.chi_square == pytest.approx(float(squares[0]), rel=1e-10)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(rows.T @ rows), rtol=1e-9)


def test_coefficients_of_one_image_leave_those_of_others() -> None:
    sums = LinearSums(2)
    for k, value in enumerate((2.0, 5.0)):
        sums.add(np.full(4, value), np.ones(4), np.ones((1, 4)), slice(k, k + 1))
    np.testing.assert_allclose(sums.solved().coefficients, [2.0, 5.0])


def test_the_error_of_the_model_does_not_shrink_with_the_light() -> None:
    noise = ModelNoise(Noise(2.0, 9.0), 0.05, 0.1)
    assert noise.variance(100.0, 10.0) == pytest.approx(2 * 110 + 9 + 5.0**2 + 1.0)
    assert noise.variance(-5.0) == pytest.approx(9.0)


def test_bad_pixels_are_found_and_cores_are_not() -> None:
    noise = Noise(2.0, 9.0)
    random = np.random.default_rng(0)
    images = random.normal(200.0, 20.0, (2, 30, 40))
    images[0, 10, 10] += 3000.0  # a core, bright in one image
    images[:, 5, 7] += 900.0
    images[:, 20, 33] = 0.0
    found = bad_pixels(images, noise)
    assert np.argwhere(found[0]).tolist() == [[5, 7], [20, 33]]
    assert np.array_equal(found[0], found[1])


def test_a_full_camera_is_seen_by_its_equal_counts() -> None:
    random = np.random.default_rng(1)
    counts = np.rint(random.normal(2000.0, 300.0, (30, 40)))
    assert full_count(counts) is None
    assert full_count(np.minimum(counts, 2300.0)) == 2300.0
    # Few photons have equal counts without being full.
    assert full_count(random.poisson(3.0, (30, 40)).astype(float)) is None
