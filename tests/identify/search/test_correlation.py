"""Correlations at bounded shifts, against direct sums."""

import numpy as np
import pytest
from scipy.ndimage import shift as moved_by
from scipy.signal import correlate2d

from weakbeam.identify.search.correlation import Correlator, normalised_correlation, sub_pixel_peak

RNG = np.random.default_rng(5)


def spot(shape, row, column, width=3.0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((y - row) ** 2 + 0.5 * (x - column) ** 2) / width**2)


@pytest.mark.parametrize("bound", [0, 3, (5, 2), (40, 60)])
def test_sums_are_those_of_scipy(bound):
    a, b = RNG.random((2, 17, 26))
    fourier = Correlator(a.shape, b.shape, bound)
    found = fourier.correlate(fourier.spectra(a), fourier.spectra(b))
    whole = np.zeros((2 * 60 + 1, 2 * 90 + 1))
    whole[60 - 16 : 60 + 17, 90 - 25 : 90 + 26] = correlate2d(a, b, mode="full")
    m, n = fourier.bounds
    np.testing.assert_allclose(found, whole[60 - m : 61 + m, 90 - n : 91 + n], atol=1e-4)


def test_a_bound_keeps_the_padding_small():
    assert Correlator((170, 510), (170, 510), 20).size == (192, 540)
    assert Correlator((170, 510), (170, 510), 0).size[0] < 180


def test_circular_correlation_would_be_wrong():
    """A line leaving at one side of the image would meet one that enters at the other."""
    a, b = np.zeros((2, 20, 40))
    a[:, 1], b[:, 38] = 1.0, 1.0
    circular = np.fft.irfft2(np.fft.rfft2(a) * np.conj(np.fft.rfft2(b)), s=a.shape)
    assert circular.max() / 20.0 == pytest.approx(1.0)
    assert normalised_correlation(a, b, 8).max() == pytest.approx(0.0, abs=1e-6)
    assert normalised_correlation(a, b, (0, 37)).max() == pytest.approx(1.0, abs=1e-6)


def test_images_of_other_sizes_lie_middle_on_middle():
    a, b = RNG.random((30, 41)), RNG.random((20, 25))
    fourier = Correlator(a.shape, b.shape, 4)
    found = fourier.correlate(fourier.spectra(a), fourier.spectra(b))
    for i, j in [(-4, 4), (0, 0), (2, -3)]:
        part = a[5 + i : 25 + i, 8 + j : 33 + j]
        assert found[4 + i, 4 + j] == pytest.approx((part * b).sum(), rel=1e-5)
    other = Correlator(b.shape, a.shape, 4)
    back = other.correlate(other.spectra(b), other.spectra(a))
    np.testing.assert_allclose(back, found[::-1, ::-1], rtol=1e-5)


def test_normalised_correlation_finds_the_shift():
    image, model = spot((40, 70), 25.0, 30.0), spot((40, 70), 20.0, 37.0)
    values = normalised_correlation(image, model, 12)
    assert values.shape == (25, 25)
    assert np.unravel_index(values.argmax(), values.shape) == (12 + 5, 12 - 7)
    assert values.max() == pytest.approx(1.0, abs=1e-4)
    assert np.abs(values).max() <= 1.0 + 1e-6
    scaled = normalised_correlation(7.0 * image, 0.1 * model, 12)
    np.testing.assert_allclose(scaled, values, atol=1e-6)


def test_peak_between_the_pixels():
    model = spot((50, 60), 25.0, 30.0, 5.0)
    image = moved_by(model, (2.3, -1.4), order=5)
    height, row, column = sub_pixel_peak(normalised_correlation(image, model, 6))
    assert (row - 6, column - 6) == (pytest.approx(2.3, abs=0.02), pytest.approx(-1.4, abs=0.02))
    assert height == pytest.approx(1.0, abs=5e-3)


def test_peak_of_a_paraboloid_is_exact():
    y, x = np.mgrid[:9, :11]
    values = 3.0 - 0.7 * (y - 4.2) ** 2 - 0.4 * (x - 5.7) ** 2 + 0.3 * (y - 4.2) * (x - 5.7)
    assert sub_pixel_peak(values) == (
        pytest.approx(3.0, abs=0.02),
        pytest.approx(4.2),
        pytest.approx(5.7),
    )


def test_peak_at_the_edge_or_on_a_ridge_is_the_highest_element():
    edge = np.arange(12.0).reshape(3, 4)
    assert sub_pixel_peak(edge) == (11.0, 2.0, 3.0)
    flat = np.ones((5, 5))
    assert sub_pixel_peak(flat) == (1.0, 0.0, 0.0)


def test_nothing_correlates_with_an_empty_image():
    assert not normalised_correlation(np.zeros((5, 6)), np.ones((5, 6)), 2).any()


def test_mistakes():
    with pytest.raises(ValueError, match="max_shift"):
        Correlator((5, 5), (5, 5), -1)
    with pytest.raises(ValueError, match="conditions"):
        normalised_correlation(np.ones((2, 4, 4)), np.ones((4, 4)), 1)
