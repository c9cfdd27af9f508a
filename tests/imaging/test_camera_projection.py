"""A marked point of the sample, followed along the beam to the camera, for every azimuth.

The camera's plane, its axes and where the beam meets it are written out here.
"""

import math

import numpy as np
import pytest

from weakbeam.diffraction.goniometer_setting import GoniometerSetting
from weakbeam.imaging.rays import LEAST_SLOPE, ray_grid

THETA = math.radians(12.3)
PIXEL = 0.05
ETAS = [-180, -150, -120, -100, -60, -20, 0, 20, 45, 80, 100, 135, 170, 180]


def beam(eta):
    """The diffracted beam at the azimuth η about x: upwards at 0, towards -y at 90 degrees."""
    two_theta = 2 * THETA
    return np.array([math.cos(two_theta), -math.sin(two_theta) * math.sin(eta),
                     math.sin(two_theta) * math.cos(eta)])  # fmt: skip


def camera(plane, eta):
    """Normal of the camera, and unit vectors along its columns (row by row) and its rows."""
    if plane == "vertical":
        return np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    k, step = beam(eta), 1e-7
    across = np.cross([1.0, 0, 0], k)
    # Where the beam goes if 2θ grows.
    along = k * math.cos(step) + np.cross(across / np.linalg.norm(across), k) * math.sin(step) - k
    along /= np.linalg.norm(along)
    return k, along, np.cross(along, k)


def grid(plane, eta, shape=(7, 9)):
    setting = GoniometerSetting(theta=THETA, omega=0.4, eta=eta, mu=-0.1, chi=0.2, phi=0.05)
    rays = ray_grid(setting.geometry, shape, PIXEL, np.array([-0.1, 0.3]), np.ones(2) / 2, plane)
    return rays, setting.geometry.lab_from_sample


@pytest.mark.parametrize("plane", ["vertical", "normal"])
@pytest.mark.parametrize("degrees", ETAS)
def test_a_marked_point_is_seen_by_its_pixel(plane, degrees):
    eta = math.radians(degrees)
    k = beam(eta)
    assert abs(k[2]) > LEAST_SLOPE
    rays, lab_from_sample = grid(plane, eta)
    normal, down_columns, along_rows = camera(plane, eta)
    for pixel in (0, 3, 31, 62):
        row, column = divmod(pixel, rays.columns)
        for point in rays.points(np.array(pixel)) @ lab_from_sample.T:
            # Along the beam to the plane through the origin.
            seen = point - k * (point @ normal) / (k @ normal)
            place = np.array([seen @ down_columns, seen @ along_rows]) / PIXEL
            np.testing.assert_allclose(place, [row - 3, column - 4], atol=1e-6)


@pytest.mark.parametrize("degrees", ETAS)
def test_neither_camera_makes_a_mirror_image(degrees):
    """Row, column and the way back along the beam are right-handed, whatever the azimuth."""
    eta = math.radians(degrees)
    for plane in ("vertical", "normal"):
        rays, lab_from_sample = grid(plane, eta)
        steps = lab_from_sample @ np.stack([rays.row_step, rays.column_step], axis=1)
        normal, *_ = camera(plane, eta)
        seen = steps - np.outer(beam(eta), normal @ steps) / (beam(eta) @ normal)
        assert np.cross(seen[:, 0], seen[:, 1]) @ beam(eta) < 0


@pytest.mark.parametrize("plane", ["vertical", "normal"])
@pytest.mark.parametrize("degrees", ETAS)
def test_axes_of_the_image_are_places_in_the_laboratory_or_on_the_camera(plane, degrees):
    rays, lab_from_sample = grid(plane, math.radians(degrees))
    centres = rays.centres(np.arange(rays.pixels)).reshape(7, 9, 3) @ lab_from_sample.T
    if rays.on_camera:
        np.testing.assert_allclose(rays.row_positions, PIXEL * np.arange(-3, 4), atol=1e-12)
        np.testing.assert_allclose(rays.column_positions, PIXEL * np.arange(-4, 5), atol=1e-12)
        way = "against" if plane == "vertical" and abs(degrees) > 90 else "along"
        assert rays.axis_labels[0].startswith(f"{way} 2θ")
    else:
        assert degrees in (-180, 0, 180)
        np.testing.assert_allclose(rays.row_positions, centres[:, 4, 0], atol=1e-9)
        np.testing.assert_allclose(rays.column_positions, centres[3, :, 1], atol=1e-9)
