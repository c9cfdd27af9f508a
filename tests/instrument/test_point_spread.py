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


class TestGaussian:
    @pytest.mark.parametrize("sigma", [0.5, 1.0, 2.7])
    @pytest.mark.parametrize("shape", [(40, 60), (3, 5), (1, 1), (1, 30)])
    def test_equals_that_of_scipy(self, sigma, shape):
        frames = np.random.default_rng(0).random((3, *shape))
        reach = math.ceil(4 * sigma)
        expected = ndimage.gaussian_filter(frames, (0, sigma, sigma), mode="reflect", radius=reach)
        np.testing.assert_allclose(gaussian_spread(sigma).blur(frames), expected, rtol=1e-12)

    def test_keeps_the_light_and_flat_fields(self):
        blurred = gaussian_spread(1.3).blur(np.ones((2, 17, 9), np.float32))
        assert blurred.dtype == np.float32
        np.testing.assert_allclose(blurred, 1.0, rtol=1e-6)
        frame = np.random.default_rng(1).random((30, 40))
        assert gaussian_spread(2.0).blur(frame).sum() == pytest.approx(frame.sum(), rel=1e-12)

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
    def test_gaussian_acceptance_gives_a_gaussian_image(self):
        """σ = λ/(4πσ_a), and the light of a pixel that falls on each one."""
        sigma, pixel = WAVELENGTH / (4 * math.pi * 3.1e-4), 0.01
        image = spread(pixel, aperture=math.inf).image
        n = len(image) // 2
        edges = (np.arange(-n, n + 2) - 0.5) * pixel / sigma
        line = np.diff(ndtr(edges))
        np.testing.assert_allclose(image, np.outer(line, line), atol=4e-3 * image.max())

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
        assert point.image.min() > -1e-5 * point.image.max()
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
