"""Blurred images: Gaussians, and what diffraction in the lens leaves of a point."""

import math

import numpy as np
import pytest
from instruments import BEAM
from scipy import ndimage
from scipy.special import ndtr

from weakbeam.instrument.optics import Optics
from weakbeam.instrument.point_spread import combined, gaussian_spread, lens_spread
from weakbeam.instrument.stops import (
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
)

WAVELENGTH = 7.293e-5
"""That of 17 keV (µm)."""


def optics(lens=3.1e-4, aperture=1.03e-3, stops=()):
    return Optics(
        **BEAM,
        lens=lens,
        aperture=aperture,
        stops=stops,
    )


def spread(pixel, turned=None, **given):
    steps = pixel * (np.eye(2) if turned is None else turned)
    return lens_spread(optics(**given), WAVELENGTH, steps)


def fwhm(x, values):
    """Width of a peak between the straight lines through its points."""
    half = values.max() / 2
    above = np.flatnonzero(values >= half)
    first, last = above[0], above[-1]
    left = np.interp(half, values[first - 1 : first + 1], x[first - 1 : first + 1])
    right = np.interp(-half, -values[last : last + 2], x[last : last + 2])
    return right - left


def spots(width, elongation=1.0):
    """Averages over pixels of an image of Gaussian spots, by error functions."""
    x = np.arange(61) - 30 - 0.5

    def line(centre, sigma):
        return np.diff(ndtr((x - centre) / sigma))

    places = np.random.default_rng(5).uniform(-20, 20, (40, 2))
    return sum(np.outer(line(u, width * elongation), line(v, width)) for u, v in places)


def relative_error(found, wanted):
    inside = slice(6, -6), slice(6, -6)
    return np.linalg.norm((found - wanted)[inside]) / np.linalg.norm(wanted[inside])


class TestGaussian:
    @pytest.mark.parametrize("sigma", [1.0, 2.7])
    @pytest.mark.parametrize("shape", [(40, 60), (3, 5), (1, 1), (1, 30)])
    def test_equals_that_of_scipy(self, sigma, shape):
        frames = np.random.default_rng(0).random((3, *shape))
        reach = math.ceil(4 * sigma)
        expected = ndimage.gaussian_filter(frames, (0, sigma, sigma), mode="reflect", radius=reach)
        np.testing.assert_allclose(gaussian_spread(sigma).blur(frames), expected, rtol=1e-6)

    def test_keeps_the_light_and_flat_fields(self):
        blurred = gaussian_spread(1.3).blur(np.ones((2, 17, 9), np.float32))
        assert blurred.dtype == np.float32
        np.testing.assert_allclose(blurred, 1.0, rtol=1e-6)
        frame = np.random.default_rng(1).random((30, 40))
        assert gaussian_spread(2.0).blur(frame).sum() == pytest.approx(frame.sum(), rel=1e-12)

    @pytest.mark.parametrize("sigma", [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 3.0])
    def test_has_the_variance_that_was_asked_for(self, sigma):
        (line,) = gaussian_spread(sigma).rows
        x = np.arange(len(line)) - len(line) // 2
        assert line.min() > 0.0
        # Cut at four standard deviations, which takes 0.1 % of its variance.
        assert line @ x**2 == pytest.approx(sigma**2, rel=1.5e-3)

    @pytest.mark.parametrize("sigma", [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0])
    @pytest.mark.parametrize(("spot", "allowed"), [(0.8, 0.02), (1.2, 0.005)])
    def test_averages_over_pixels_become_those_of_the_blurred_light(self, sigma, spot, allowed):
        sharp, blurred = (spots(width) for width in (spot, math.hypot(spot, sigma)))
        found = gaussian_spread(sigma).blur(sharp)
        assert relative_error(found, blurred) < allowed
        assert relative_error(found, blurred) < 0.4 * relative_error(sharp, blurred)

    def test_two_make_one_with_the_sum_of_the_variances(self):
        both = combined(gaussian_spread(1.5), gaussian_spread(2.0)).image
        x = np.arange(len(both)) - len(both) // 2
        assert both.sum() == pytest.approx(1.0)
        # Each is cut at four standard deviations, which takes 0.1 % of its variance.
        assert x**2 @ both.sum(axis=1) == pytest.approx(1.5**2 + 2.0**2, rel=3e-3)

    def test_threads_do_not_matter(self):
        frames = np.random.default_rng(0).random((9, 30, 40)).astype(np.float32)
        point = gaussian_spread(1.1)
        np.testing.assert_array_equal(point.blur(frames, 1), point.blur(frames, 4))


class TestLens:
    @pytest.mark.parametrize("pixel", [0.01, 0.025, 0.04, 0.075, 0.15])
    def test_a_gaussian_acceptance_blurs_averages_by_a_gaussian(self, pixel):
        """σ = λ/(4πσ_a): 1.9, 0.75, 0.47, 0.25 and 0.12 pixels."""
        sigma = WAVELENGTH / (4 * math.pi * 3.1e-4) / pixel
        point = spread(pixel, aperture=math.inf)
        assert point.image.min() > 0.0
        sharp, blurred = (spots(width) for width in (0.8, math.hypot(0.8, sigma)))
        assert relative_error(point.blur(sharp), blurred) < 0.015

    @pytest.mark.parametrize("pixel", [0.04, 0.15, 0.3])
    def test_a_square_aperture_blurs_averages_by_the_pattern_of_a_square(self, pixel):
        fine, reach, half_width = 9, 25, 2e-4
        x = np.arange(-reach * fine, reach * fine + 1) / fine
        pattern = np.sinc(2 * half_width * pixel * x / WAVELENGTH) ** 2
        pattern /= pattern.sum()
        x = (np.arange(61 * fine) - 30 * fine - fine // 2) / fine
        line = np.exp(-0.5 * np.subtract.outer(x, [-9.3, 0.2, 4.1]) ** 2 / 0.8**2).sum(axis=1)

        def average(values):
            return values.reshape(61, fine).mean(axis=1)

        sharp = np.outer(average(line), average(line))
        wanted = average(np.convolve(line, pattern, "same"))
        found = spread(pixel, lens=1e3, stops=(SquareOpening(half_width),)).blur(sharp)
        assert relative_error(found, np.outer(wanted, wanted)) < 0.03

    def test_square_aperture_gives_the_width_of_diffraction(self):
        """FWHM = 0.443 λ/NA of sinc² for a half width NA."""
        pixel, aperture = 0.004, 1e-3
        point = spread(pixel, lens=1.0, aperture=aperture)
        line = point.image.sum(axis=1)
        x = (np.arange(len(line)) - len(line) // 2) * pixel
        assert fwhm(x, line) == pytest.approx(0.443 * WAVELENGTH / aperture, rel=0.02)

    def test_round_aperture_gives_the_width_of_diffraction(self):
        """FWHM = 0.514 λ/NA of the Airy pattern for a radius NA."""
        pixel, radius = 0.004, 1e-3
        stops = (RoundOpening(radius),)
        line = spread(pixel, lens=1.0, aperture=1.2e-3, stops=stops).image
        line = line[len(line) // 2]
        x = (np.arange(len(line)) - len(line) // 2) * pixel
        assert fwhm(x, line) == pytest.approx(0.514 * WAVELENGTH / radius, rel=0.02)

    def test_large_pixels_see_no_diffraction(self):
        image = spread(10.0).image
        assert image[len(image) // 2, len(image) // 2] > 0.99

    def test_a_stop_along_one_axis_blurs_along_it_only(self):
        free = spread(0.04)
        wire = spread(0.04, stops=(AbsorbingWire(1e-4, axis="two_theta"),))
        edge = spread(0.04, stops=(KnifeBlade(0.0, "roll"),))
        n = len(free.image) // 2

        def width(point, axis):
            image = point.image
            x = np.arange(len(image)) - len(image) // 2
            return float((x**2 * image.sum(axis=1 - axis)).sum() ** 0.5)

        assert n > 0
        assert width(wire, 0) > 2 * width(free, 0)
        assert width(wire, 1) == pytest.approx(width(free, 1), rel=0.2)
        assert width(edge, 1) > 1.2 * width(free, 1)

    @pytest.mark.parametrize(
        "stops",
        [
            (),
            (SquareOpening(9.4e-5),),
            (RoundOpening(2e-4),),
            (CentralBlock(1e-4),),
            (AbsorbingWire(9e-5, 2e-5, "roll", 1.5),),
        ],
    )
    def test_blurs_as_its_own_image_does(self, stops):
        point = spread(0.04, stops=stops)
        assert point.image.sum() == pytest.approx(1.0, rel=1e-12)
        assert point.image.min() > -2e-5 * point.image.max()
        frame = np.random.default_rng(0).random((50, 61))
        expected = ndimage.convolve(frame, point.image, mode="reflect")
        np.testing.assert_allclose(point.blur(frame), expected, rtol=1e-9)

    def test_steps_along_the_axes_of_the_lens_may_be_turned(self):
        """An aperture that is narrow along 2θ blurs along columns where those run along 2θ."""
        stops = (KnifeBlade(-5e-5, "two_theta"), KnifeBlade(5e-5, "two_theta", "below"))
        straight = spread(0.04, stops=stops).image
        turned = spread(0.04, turned=np.array([[0.0, 1.0], [1.0, 0.0]]), stops=stops).image
        np.testing.assert_allclose(turned, straight.T, atol=1e-4 * straight.max())

    def test_nothing_that_passes_is_refused(self):
        edges = (KnifeBlade(5e-4), KnifeBlade(-5e-4, side="below"))
        with pytest.raises(ValueError, match="nothing through"):
            spread(0.04, stops=edges)
