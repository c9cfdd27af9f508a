import math

import numpy as np
import pytest

from weakbeam.instrument.beam import FWHM_PER_SIGMA, BeamProfile, wavelength


def test_ratio_of_fwhm_and_sigma():
    assert pytest.approx(2.354820045, abs=1e-9) == FWHM_PER_SIGMA


def test_wavelength_of_one_angstrom():
    assert wavelength(12.398419843) == 1.0


def test_the_gaussian_has_the_height_that_it_says():
    beam = BeamProfile(0.6)
    np.testing.assert_allclose(beam.intensity([-0.3, 0.0, 0.3]), [0.5, 1.0, 0.5], rtol=1e-14)
    z, weights = beam.samples(400)
    assert math.sqrt(weights @ z**2) == pytest.approx(0.6 / 2.3548, rel=2e-3)


def test_the_box_is_flat_and_ends():
    beam = BeamProfile(0.6, "box")
    np.testing.assert_array_equal(beam.intensity([-0.31, -0.3, 0.0, 0.29, 0.31]), [0, 1, 1, 1, 0])
    z, weights = beam.samples(6)
    np.testing.assert_allclose(z, [-0.25, -0.15, -0.05, 0.05, 0.15, 0.25], atol=1e-15)
    np.testing.assert_allclose(weights, 1 / 6)


@pytest.mark.parametrize("shape", ["gaussian", "box"])
@pytest.mark.parametrize("count", [1, 2, 15, 64])
def test_samples_are_symmetric_equidistant_and_weigh_one(shape, count):
    z, weights = BeamProfile(0.15, shape).samples(count)
    assert weights.sum() == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(z, -z[::-1], atol=1e-16)
    np.testing.assert_allclose(weights, weights[::-1], rtol=1e-12)
    np.testing.assert_allclose(np.diff(z, 2), 0.0, atol=1e-15)
    assert len(z) == count


def test_almost_the_whole_gaussian_is_sampled():
    beam = BeamProfile(1.0)
    outside = math.erfc(beam.half_reach * FWHM_PER_SIGMA / math.sqrt(2))
    assert 3e-5 < outside < 1e-4


@pytest.mark.parametrize("height", [0.0, -1.0, math.nan, math.inf])
def test_impossible_heights_are_refused(height):
    with pytest.raises(ValueError, match="beam height"):
        BeamProfile(height)


def test_unknown_profiles_are_refused():
    with pytest.raises(ValueError, match="'round' is none of"):
        BeamProfile(1.0, "round")


class TestTable:
    def test_is_linear_between_its_heights_and_zero_beyond(self):
        beam = BeamProfile(1.0, "tabulated", (-1.0, 0.0, 3.0), (0.0, 4.0, 1.0))
        z = [-1.1, -1.0, -0.5, 0.0, 1.0, 3.0, 3.1]
        np.testing.assert_allclose(beam.intensity(z), [0, 0, 0.5, 1, 0.75, 0.25, 0], atol=1e-15)
        assert beam.ends == (-1.0, 3.0)
        assert beam.half_reach == 3.0

    def test_two_equal_values_are_a_box(self):
        table = BeamProfile(1.0, "tabulated", (-0.3, 0.3), (7.0, 7.0))
        for ours, expected in zip(
            table.samples(6), BeamProfile(0.6, "box").samples(6), strict=True
        ):
            np.testing.assert_allclose(ours, expected, atol=1e-15)

    @pytest.mark.parametrize("count", [1, 2, 5, 40])
    def test_weights_are_the_shares_of_the_slices(self, count):
        heights, values = (-0.7, -0.69, -0.1, 0.4, 1.3), (0.0, 5.0, 0.0, 0.0, 2.0)
        beam = BeamProfile(1.0, "tabulated", heights, values)
        z, weights = beam.samples(count)
        fine = np.linspace(-0.7, 1.3, 400_001)
        middles = 0.5 * (fine[1:] + fine[:-1])
        slice_of = ((middles + 0.7) / 2.0 * count).astype(int)
        expected = np.bincount(slice_of, np.interp(middles, heights, values), minlength=count)
        np.testing.assert_allclose(weights, expected / expected.sum(), atol=1e-5)
        np.testing.assert_allclose(z, -0.7 + 2.0 * (np.arange(count) + 0.5) / count)

    def test_a_tabulated_gaussian_is_a_gaussian(self):
        gauss = BeamProfile(0.6)
        z = np.linspace(-gauss.half_reach, gauss.half_reach, 2001)
        table = BeamProfile(0.6, "tabulated", tuple(z), tuple(17.0 * gauss.intensity(z)))
        np.testing.assert_allclose(table.samples(64)[1], gauss.samples(64)[1], rtol=2e-2)
        np.testing.assert_allclose(table.samples(64)[1], gauss.samples(64)[1], atol=1e-4)

    @pytest.mark.parametrize(
        ("heights", "values"),
        [
            ((0.0,), (1.0,)),
            ((0.0, 1.0), (1.0,)),
            ((0.0, 0.0), (1.0, 1.0)),
            ((0.0, 1.0), (0.0, 0.0)),
            ((0.0, 1.0), (-1.0, 2.0)),
            ((0.0, math.nan), (1.0, 1.0)),
            ((0.0, 1.0), (1.0, math.inf)),
        ],
    )
    def test_what_is_no_table_is_refused(self, heights, values):
        with pytest.raises(ValueError, match="a tabulated beam profile needs"):
            BeamProfile(1.0, "tabulated", heights, values)
