"""Rays: points of one pixel lie along the diffracted beam (physics.md, B4 and E1)."""

import math
from dataclasses import replace

import numpy as np
import pytest

from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.imaging.rays import ray_grid
from weakbeam.instrument.beam import BeamProfile

THETA = math.radians(8.97317)
GEOMETRY = symmetric_geometry(THETA)
TWO_THETA = 2 * THETA


def grid(shape=(5, 8), plane="vertical", oversampling=1, count=7, lift=0.0):
    depths, weights = BeamProfile(0.6).samples(count)
    return ray_grid(GEOMETRY, shape, 0.04, depths, weights, plane, oversampling, lift)


def in_lab(rays):
    """All points, (rows, columns, samples, 3), in the laboratory."""
    points = rays.points(np.arange(rays.pixels)) @ GEOMETRY.lab_from_sample.T
    return points.reshape(rays.rows, rays.columns, -1, 3)


@pytest.mark.parametrize("plane", ["vertical", "normal"])
def test_points_of_a_pixel_lie_along_the_diffracted_beam(plane):
    points = in_lab(grid(plane=plane))
    x, y, z = np.moveaxis(points, -1, 0)
    across = points - points[..., 3:4, :]
    np.testing.assert_allclose(np.cross(across, GEOMETRY.k_out_lab), 0.0, atol=1e-15)
    seen_at = x - z / math.tan(TWO_THETA)
    np.testing.assert_allclose(seen_at, np.broadcast_to(seen_at[..., :1], x.shape), atol=1e-15)
    np.testing.assert_allclose(y, np.broadcast_to(y[..., :1], y.shape), atol=1e-15)
    assert np.ptp(x[0, 0]) > 1.0
    np.testing.assert_allclose(z[2, 3], BeamProfile(0.6).samples(7)[0], atol=1e-15)


@pytest.mark.parametrize(
    ("plane", "slope"), [("vertical", math.tan(TWO_THETA)), ("normal", math.sin(TWO_THETA))]
)
def test_camera_planes(plane, slope):
    points = in_lab(grid(plane=plane))[:, :, 3]
    np.testing.assert_allclose(np.diff(points[..., 0], axis=0), -0.04 / slope, rtol=1e-12)
    np.testing.assert_allclose(np.diff(points[..., 1], axis=1), 0.04, rtol=1e-12)
    np.testing.assert_allclose(points[..., 2], 0.0, atol=1e-15)


def test_pixels_of_a_normal_camera_are_square_in_projection():
    """The pitch is the pixel size along 2θ and along y, whatever the number of pixels."""
    for shape in ((5, 8), (6, 9), (1, 2)):
        points = in_lab(grid(shape, "normal"))[:, :, 3]
        height = points @ GEOMETRY.lab_from_imaging[:, 2]
        np.testing.assert_allclose(np.diff(height, axis=0), 0.04, rtol=1e-12)


def test_rows_follow_increasing_two_theta():
    rays = grid()
    height = in_lab(rays)[:, 0, 3] @ GEOMETRY.lab_from_imaging[:, 2]
    assert np.all(np.diff(height) > 0)
    assert np.all(np.diff(rays.row_positions) < 0)
    np.testing.assert_allclose(rays.row_positions, in_lab(rays)[:, 0, 3, 0], atol=1e-15)
    np.testing.assert_allclose(rays.column_positions, in_lab(rays)[0, :, 3, 1], atol=1e-15)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (2, 7)])
def test_the_image_is_centred_on_the_origin(shape):
    np.testing.assert_allclose(in_lab(grid(shape)).mean(axis=(0, 1, 2)), 0.0, atol=1e-14)


@pytest.mark.parametrize("oversampling", [2, 3])
def test_sub_pixels_tile_their_pixel(oversampling):
    n, count = oversampling, 7
    coarse = grid(oversampling=n)
    points = in_lab(coarse).reshape(5, 8, n, n, count, 3)
    step = 0.04 / math.tan(TWO_THETA)
    expected_x = (np.arange(5 * n) - (5 * n - 1) / 2).reshape(5, n) * -step / n
    found_x = points[:, :, :, :, 3, 0]
    np.testing.assert_allclose(
        found_x, np.broadcast_to(expected_x[:, None, :, None], found_x.shape), atol=1e-15
    )
    expected_y = ((np.arange(8 * n) - (8 * n - 1) / 2) * 0.04 / n).reshape(8, n)
    found_y = points[:, :, :, :, 3, 1]
    np.testing.assert_allclose(
        found_y, np.broadcast_to(expected_y[:, None, :], found_y.shape), atol=1e-15
    )
    assert len(coarse.sample_weights) == n * n * count
    assert coarse.sample_weights.sum() == pytest.approx(1.0, abs=1e-14)


def test_weights_belong_to_their_depths():
    rays = grid(oversampling=2)
    z = (rays.sample_offsets @ GEOMETRY.lab_from_sample.T)[:, 2]
    expected = BeamProfile(0.6).intensity(z)
    np.testing.assert_allclose(
        rays.sample_weights / rays.sample_weights.max(), expected, rtol=1e-12
    )


def test_lifting_the_sample_moves_the_beam_down_in_it():
    difference = in_lab(grid(lift=0.3)) - in_lab(grid())
    np.testing.assert_allclose(
        difference, np.broadcast_to([0, 0, -0.3], difference.shape), atol=1e-15
    )


def test_unknown_camera_planes_are_refused():
    with pytest.raises(ValueError, match="'horizontal' is neither"):
        grid(plane="horizontal")


def test_longest_way_along_a_line_across_a_leaning_image():
    edges = np.array([[4.0, 2.0, 0.0], [-1.0, 3.0, 0.0]])
    leaning = replace(grid((8, 5)), row_step=edges[0] / 8, column_step=edges[1] / 5)
    inside = np.random.default_rng(0).uniform(size=(400_000, 2)) @ edges
    for angle in (0.0, 0.4, 1.9):
        direction = np.array([math.cos(angle), math.sin(angle), 0.0])
        across = inside @ [-direction[1], direction[0], 0.0]
        along = inside @ direction
        strips = np.digitize(across, np.linspace(across.min(), across.max(), 400))
        longest = max(np.ptp(along[strips == n]) for n in range(1, 400))
        assert leaning.length_along(direction) == pytest.approx(longest, rel=0.02)
    straight = grid((5, 8))
    assert straight.length_along(GEOMETRY.lab_from_sample[0]) == pytest.approx(
        5 * 0.04 / math.tan(TWO_THETA)
    )
