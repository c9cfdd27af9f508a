import math
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from weakbeam.instrument.objective import CompoundRefractiveLens

M = 1e6  # µm
PER_M = 1e-6  # 1/µm


def id06(**changes) -> CompoundRefractiveLens:
    """88 beryllium lenslets at 17 keV with the published focal length of 21.21467 m."""
    values = {
        "lenslets": 88,
        "radius": 50.0,
        "pitch": 1600.0,
        "decrement": 50.0 / (2 * 21.21467 * M),
        "attenuation": 49.6 * PER_M,
        "energy": 17.0,
        "distance": 0.274 * M,
    }
    return CompoundRefractiveLens(**{**values, **changes})


def drift(length: float) -> np.ndarray:
    return np.array([[1.0, length], [0.0, 1.0]])


def stack(lens: CompoundRefractiveLens) -> list[np.ndarray]:
    """Drifts and thin lenses from entrance to exit, one by one."""
    thin = np.array([[1.0, 0.0], [-2 * lens.decrement / lens.radius, 1.0]])
    return [drift(lens.pitch / 2), thin, drift(lens.pitch / 2)] * lens.lenslets


def product(elements: list[np.ndarray]) -> np.ndarray:
    return reduce(lambda matrix, element: element @ matrix, elements, np.eye(2))


def traced(lens: CompoundRefractiveLens, height: float, angles) -> np.ndarray:
    """Heights of rays in the lenslets, followed element by element; shape (N, rays)."""
    angles = np.atleast_1d(angles)
    rays, heights = drift(lens.distance) @ [np.full(angles.shape, height), angles], []
    for number, element in enumerate(stack(lens)):
        if number % 3 == 1:
            heights.append(rays[0])
        rays = element @ rays
    return np.array(heights)


lenses = st.builds(
    lambda n, r, t, f, mu, m: CompoundRefractiveLens(
        n, r, t, r / (2 * f * M), mu * PER_M, 17.0, 1e15
    ).at_magnification(m),
    n=st.integers(1, 120),
    r=st.floats(20, 200),
    t=st.floats(500, 2000),
    f=st.floats(15, 60),
    mu=st.floats(20, 200),
    m=st.floats(0.1, 20.0),
)


class TestPublishedNumbers:
    """docs/explanation/physics.md, B2 and G1."""

    def test_lenslet(self) -> None:
        lens = id06(decrement=1.1783e-6)
        assert lens.lenslet_focal_length == pytest.approx(21.216 * M, rel=1e-4)
        lens = id06()
        assert lens.phase == pytest.approx(0.00868444, abs=5e-8)
        assert lens.characteristic_length == pytest.approx(
            lens.lenslet_focal_length * lens.phase, rel=2e-5
        )

    @pytest.mark.parametrize(
        ("magnification", "distance", "image_distance"),
        [(17.31, 0.2076, 4.801), (10.0, 0.2188, 2.855)],
    )
    def test_distances_of_a_magnification(self, magnification, distance, image_distance) -> None:
        lens = id06().at_magnification(magnification)
        assert lens.distance == pytest.approx(distance * M, abs=5e-5 * M)
        assert lens.image_distance == pytest.approx(image_distance * M, abs=5e-4 * M)
        assert lens.magnification == pytest.approx(magnification, rel=1e-12)

    def test_total_length(self) -> None:
        assert id06().at_magnification(17.31).total_length == pytest.approx(5.149 * M, abs=6e-4 * M)

    def test_magnification_and_back_focal_plane_of_the_default_distance(self) -> None:
        assert id06().magnification == pytest.approx(3.255, abs=5e-4)
        assert id06().focal_length == pytest.approx(266.24e3, abs=5)

    def test_acceptance(self) -> None:
        assert id06().acceptance_rms == pytest.approx(2.3990e-4, rel=5e-4)
        assert id06().acceptance_fwhm == pytest.approx(0.565e-3, abs=5e-7)
        lens = id06(distance=0.2076 * M)
        assert lens.acceptance_rms == pytest.approx(2.96e-4, abs=5e-7)
        assert lens.acceptance_fwhm == pytest.approx(0.697e-3, abs=1e-6)

    @pytest.mark.parametrize(("pitch", "microns"), [(1000.0, 447), (1600.0, 566)])
    def test_aperture(self, pitch: float, microns: float) -> None:
        assert id06(pitch=pitch).aperture == pytest.approx(microns, abs=0.5)
        assert id06(thickness=1000.0).aperture == pytest.approx(447, abs=0.5)

    @pytest.mark.parametrize(("pitch", "mrad"), [(1000.0, 0.816), (1600.0, 1.0323)])
    def test_rim_of_the_entrance(self, pitch: float, mrad: float) -> None:
        assert id06(pitch=pitch).entrance_half_angle == pytest.approx(1e-3 * mrad, rel=2e-4)

    def test_beryllium_of_the_tables(self) -> None:
        lens = CompoundRefractiveLens.of_material(
            "Be", 17.0, lenslets=88, radius=50.0, pitch=1600.0, magnification=17.31
        )
        assert lens.lenslet_focal_length == pytest.approx(21.216 * M, rel=3e-4)
        assert lens.distance == pytest.approx(0.2076 * M, rel=5e-4)
        # The tables attenuate 2 % less than the 49.6 /m that the published width stands on.
        assert lens.acceptance_rms == pytest.approx(2.96e-4 / math.sqrt(0.98), rel=2e-3)


class TestRaysOneByOne:
    """Against products of the matrices of every drift and every lenslet."""

    @given(lens=lenses)
    def test_matrix_of_the_stack(self, lens: CompoundRefractiveLens) -> None:
        expected = product(stack(lens))
        np.testing.assert_allclose(lens.ray_transfer_matrix, expected, rtol=1e-9)

    @given(lens=lenses)
    def test_image(self, lens: CompoundRefractiveLens) -> None:
        matrix = product([drift(lens.distance), *stack(lens), drift(lens.image_distance)])
        assert matrix[0, 0] == pytest.approx(-lens.magnification, rel=1e-7)
        assert matrix[1, 1] == pytest.approx(-1 / lens.magnification, rel=1e-7)
        assert matrix[0, 1] == pytest.approx(0.0, abs=1e-7 * lens.total_length)
        np.testing.assert_allclose(matrix[1], lens.imaging_matrix[1], rtol=1e-7)
        assert lens.total_length == lens.distance + lens.length + lens.image_distance

    @given(lens=lenses, height=st.floats(-50, 50))
    def test_back_focal_plane_shows_angles_alone(self, lens, height: float) -> None:
        matrix = product([drift(lens.distance), *stack(lens), drift(lens.back_focal_distance)])
        ray = matrix @ [height, 1e-3]
        assert ray[0] == pytest.approx(1e-3 * lens.focal_length, rel=1e-7)

    def test_path_of_rays(self) -> None:
        lens = id06(lenslets=7, pitch=1500.0, distance=5 * M)
        height, angle = np.array([[0.0, 10.0, -25.0]]), np.array([[3e-5], [-2e-5]])
        along, heights = lens.ray_path(height, angle)
        assert heights.shape == (2, 3, 9)
        np.testing.assert_allclose(along[[0, 1, -2]], [0, 5 * M + 750, 5 * M + 6 * 1500 + 750])
        assert along[-1] == lens.total_length
        for i, j in np.ndindex(2, 3):
            expected = traced(lens, height[0, j], angle[i, 0])[:, 0]
            np.testing.assert_allclose(heights[i, j, 1:-1], expected, rtol=1e-9)
            assert heights[i, j, 0] == height[0, j]
            assert heights[i, j, -1] == pytest.approx(-lens.magnification * height[0, j], abs=1e-6)


class TestAttenuationAlongRays:
    @given(lens=lenses)
    def test_acceptance(self, lens: CompoundRefractiveLens) -> None:
        angles = lens.acceptance_rms * np.linspace(-9, 9, 181)
        crossed = (traced(lens, 0.0, angles) ** 2).sum(axis=0) / lens.radius
        weights = np.exp(-lens.attenuation * crossed)
        variance = np.average(angles**2, weights=weights)
        assert math.sqrt(variance) == pytest.approx(lens.acceptance_rms, rel=1e-6)

    @given(lens=lenses)
    def test_acceptance_in_the_published_closed_form(self, lens: CompoundRefractiveLens) -> None:
        f, phase, n = lens.lenslet_focal_length, lens.phase, lens.lenslets
        psi = math.atan(lens.distance / (f * phase))
        bracket = 1 - math.sin(n * phase) * math.cos(n * phase + 2 * psi) / (n * math.sin(phase))
        squared = lens.distance**2 + (f * phase) ** 2
        expected = math.sqrt(lens.radius / (lens.attenuation * n * squared * bracket))
        assert lens.acceptance_rms == pytest.approx(expected, rel=phase**2)

    @pytest.mark.parametrize("distance", [0.2076 * M, 0.274 * M, 2.0 * M])
    def test_off_axis(self, distance: float) -> None:
        lens = id06(distance=distance, web=30.0)
        height = 40.0
        angles = np.linspace(-4e-3, 4e-3, 4001)
        crossed = (lens.web + traced(lens, height, angles) ** 2 / lens.radius).sum(axis=0)
        passed = np.exp(-lens.attenuation * crossed)
        np.testing.assert_allclose(lens.transmission(height, angles), passed, rtol=1e-9, atol=1e-99)
        mean = np.average(angles, weights=passed)
        assert mean == pytest.approx(lens.vignetting * height, rel=1e-6)
        spread = math.sqrt(np.average((angles - mean) ** 2, weights=passed))
        assert spread == pytest.approx(lens.acceptance_rms, rel=1e-6)
        brightness = passed.sum() / lens.transmission(0.0, angles).sum()
        expected = math.exp(-0.5 * (height / lens.field_rms) ** 2)
        assert brightness == pytest.approx(expected, rel=1e-6)

    def test_vignetting_aims_at_the_middle_of_the_lens(self) -> None:
        lens = id06(lenslets=4, distance=6 * M)
        assert lens.vignetting == pytest.approx(-1 / (6 * M + lens.length / 2), rel=1e-3)

    def test_share_that_passes(self) -> None:
        lens = id06(web=30.0)
        # A million directions, uniform over the disc of the half angle.
        rng = np.random.default_rng(3)
        radius = lens.half_angle * np.sqrt(rng.random(1_000_000))
        share = lens.transmission(0.0, radius).mean()
        assert lens.effective_transmission == pytest.approx(share, rel=4e-3)
        assert lens.axial_transmission == pytest.approx(math.exp(-49.6e-6 * 88 * 30), rel=1e-12)
        assert id06().axial_transmission == 1.0


class TestRims:
    @given(lens=lenses)
    def test_steepest_ray_touches_the_narrowest_rim(self, lens: CompoundRefractiveLens) -> None:
        heights = traced(lens, 0.0, lens.half_angle)
        assert np.abs(heights).max() == pytest.approx(lens.aperture / 2, rel=1e-9)

    def test_rays_climb_inside_the_stack(self) -> None:
        # From 0.274 m a ray rises by a fifth before it turns: the entrance is not the narrowest.
        assert id06().half_angle == pytest.approx(0.83 * id06().entrance_half_angle, rel=1e-3)
        far = id06(distance=20 * M)
        assert far.half_angle == pytest.approx(far.entrance_half_angle, rel=1e-4)

    def test_web_takes_from_the_aperture(self) -> None:
        lens = id06(thickness=1000.0, web=100.0)
        depth = (lens.thickness - lens.web) / 2
        assert (lens.aperture / 2) ** 2 / (2 * lens.radius) == pytest.approx(depth, rel=1e-12)


class TestSharpness:
    def test_resolution_is_the_transform_of_the_pupil(self) -> None:
        lens = id06()
        wavelength = 12.398419843e-4 / 17.0
        angles = lens.acceptance_rms * np.linspace(-9, 9, 1001)
        amplitude = np.sqrt(lens.transmission(0.0, angles))

        def intensity(x: float) -> float:
            return abs((amplitude * np.exp(2j * np.pi * x * angles / wavelength)).sum()) ** 2

        half = brentq(lambda x: intensity(x) / intensity(0.0) - 0.5, 0.0, 0.1)
        assert lens.resolution_fwhm == pytest.approx(2 * half, rel=1e-6)
        assert lens.resolution_fwhm == pytest.approx(
            0.4413 * wavelength / lens.acceptance_fwhm, rel=1e-4
        )

    def test_depth_of_field_is_where_the_image_of_a_point_widens_by_root_two(self) -> None:
        lens = id06()
        wave_number = 2 * np.pi / (12.398419843e-4 / 17.0)
        angles = lens.acceptance_rms * np.linspace(-9, 9, 2001)
        amplitude = np.sqrt(lens.transmission(0.0, angles))
        x = np.linspace(-0.4, 0.4, 801)

        def width(defocus: float) -> float:
            # Fresnel: a ray at the angle a runs a² z / 2 ahead.
            wave = amplitude * np.exp(-0.5j * wave_number * defocus * angles**2)
            spot = np.abs(np.exp(1j * wave_number * x[:, None] * angles) @ wave) ** 2
            return float(np.sqrt(np.average(x**2, weights=spot)))

        expected = math.sqrt(2) * width(0.0)
        assert width(lens.depth_of_field / 2) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("distance", [0.2076 * M, 0.274 * M, 5.0 * M])
    def test_chromatic_shifts_are_those_of_a_lens_at_another_energy(self, distance: float) -> None:
        lens, change = id06(distance=distance), 1e-5

        def at(relative: float) -> CompoundRefractiveLens:
            return replace(lens, decrement=lens.decrement / (1 + relative) ** 2)

        shift = (at(change).image_distance - at(-change).image_distance) / (2 * change)
        assert lens.chromatic_image_shift == pytest.approx(shift, rel=1e-6)

        def in_focus(relative: float) -> float:
            def error(d1: float) -> float:
                return replace(at(relative), distance=d1).image_distance - lens.image_distance

            return brentq(error, 0.99 * distance, 1.01 * distance, xtol=1e-6)

        shift = (in_focus(change) - in_focus(-change)) / (2 * change)
        assert lens.chromatic_object_shift == pytest.approx(shift, rel=1e-5)
        assert lens.chromatic_object_shift > 0

    def test_chromatic_shift_of_a_thin_lens(self) -> None:
        # 1/d1 + 1/d2 = 1/f  =>  d d1 = (d1/f)² df  and  df = 2 f dE/E.
        lens = id06(lenslets=1, distance=30 * M)
        f = lens.lenslet_focal_length
        assert lens.chromatic_object_shift == pytest.approx(2 * (30 * M) ** 2 / f, rel=1e-3)


class TestMistakes:
    @pytest.mark.parametrize(
        "name", ["lenslets", "radius", "pitch", "decrement", "attenuation", "energy", "distance"]
    )
    @pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
    def test_values_that_are_not_positive_and_finite(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=f"^{name} .* is not positive and finite$"):
            id06(**{name: value})

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"lenslets": 2.5}, "lenslets 2.5 is not a whole number up to 10000"),
            ({"lenslets": 1_000_000}, "lenslets 1e"),
            ({"lenslets": 400}, "lenslets 400 at a pitch of 1600 µm focus inside the stack"),
            ({"lenslets": 1, "pitch": 1e9}, "focus inside the stack"),
            ({"thickness": 1700.0}, "thickness 1700 µm is not between 0 and the pitch, 1600 µm"),
            ({"thickness": 0.0}, "thickness 0 µm is not between"),
            ({"web": -1.0}, "web -1 µm is not between 0 and the thickness of a lenslet, 1600 µm"),
            ({"web": 1600.0}, "web 1600 µm is not between"),
            ({"web": math.nan}, "web nan µm is not between"),
            (
                {"distance": 0.19 * M},
                "distance 0.19 m is within the front focal distance, 0.1922 m",
            ),
        ],
    )
    def test_lenses_that_cannot_be(self, changes: dict, message: str) -> None:
        with pytest.raises(ValueError, match=f"^[^\n]*{message}[^\n]*$"):
            id06(**changes)

    @pytest.mark.parametrize("magnification", [0.0, -1.0, math.inf, math.nan])
    def test_magnification_must_be_positive(self, magnification: float) -> None:
        with pytest.raises(ValueError, match=r"magnification .* is not positive and finite"):
            id06().at_magnification(magnification)

    def test_long_stacks_magnify_only_so_far(self) -> None:
        lens = id06(lenslets=250)
        limit = -1 / math.cos(250 * lens.phase)
        assert lens.at_magnification(0.99 * limit).distance > 0
        with pytest.raises(ValueError, match=f"must be less than {limit:.4g}"):
            lens.at_magnification(1.01 * limit)

    def test_distance_or_magnification(self) -> None:
        values = {"lenslets": 88, "radius": 50.0, "pitch": 1600.0}
        for both_or_none in ({}, {"distance": 3e5, "magnification": 10.0}):
            with pytest.raises(ValueError, match="distance from the object, or its magnification"):
                CompoundRefractiveLens.of_material("Be", 17.0, **values, **both_or_none)
        with pytest.raises(ValueError, match="'Li' is unknown"):
            CompoundRefractiveLens.of_material("Li", 17.0, **values, distance=3e5)
        with pytest.raises(ValueError, match="energy 900 keV is outside the tables"):
            CompoundRefractiveLens.of_material("Be", 900.0, **values, distance=3e5)
