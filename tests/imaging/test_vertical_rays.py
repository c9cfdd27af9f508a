"""The sampling points of dfxm-geo, against positions that it was seen to take."""

import numpy as np
import pytest

from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.imaging.rays import ray_grid
from weakbeam.imaging.vertical_rays import depth_count, vertical_rays

GEOMETRY = symmetric_geometry(0.15661142191897534)
HEIGHT_RMS = 0.15 / 2.35


def points_lab(columns, oversampling, **kw):
    rows = columns // 3
    rays = ray_grid(
        GEOMETRY, (rows, columns), 0.04, np.zeros(1), np.ones(1), oversampling=oversampling
    )
    upright = vertical_rays(rays, HEIGHT_RMS, **kw)
    points = upright.points(np.arange(upright.pixels)).reshape(-1, 3)
    return upright, points @ GEOMETRY.lab_from_sample.T


@pytest.mark.parametrize(
    ("columns", "oversampling", "counts", "ends"),
    [
        (150, 1, (50, 150, 5), (3.066934762, 2.98, 0.191489362)),
        (150, 2, (100, 300, 10), (3.077226490, 2.99, 0.191489362)),
        (151, 2, (100, 302, 10), (3.097809945, 3.01, 0.191489362)),
        (170, 1, (56, 170, 5), (3.478603858, 3.38, 0.191489362)),
    ],
)
def test_the_points_of_dfxm_geo(columns, oversampling, counts, ends):
    _, points = points_lab(columns, oversampling)
    for axis in range(3):
        places = np.unique(np.round(points[:, axis], 7))
        np.testing.assert_allclose(
            places, np.linspace(-ends[axis], ends[axis], counts[axis]), atol=2e-7
        )


def test_the_points_of_a_pixel_stand_above_each_other_and_weigh_as_the_beam():
    upright, points = points_lab(90, 1, depths=7)
    one = points[:7]
    np.testing.assert_allclose(np.ptp(one[:, :2], axis=0), 0.0, atol=1e-12)
    assert upright.sample_weights.sum() == pytest.approx(1.0)
    ratio = upright.weights[3] / upright.weights[0]
    assert ratio == pytest.approx(np.exp(4.5))


def test_the_default_image_has_seventeen_points_through_the_beam():
    assert depth_count(510, 1) == 17


@pytest.mark.parametrize("shape", [(51, 150), (19, 59)])
def test_other_shapes_are_refused(shape):
    rays = ray_grid(GEOMETRY, shape, 0.04, np.zeros(1), np.ones(1))
    with pytest.raises(ValueError, match="N // 3 rows"):
        vertical_rays(rays, HEIGHT_RMS)
