"""What is explained where, and how a camera may sit."""

import itertools

import numpy as np
import pytest

from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.nuisances.orientations import DISTINCT, Orientation
from weakbeam.identify.nuisances.regions import regions_of


def test_noise_alone_is_explained_everywhere():
    residual = np.random.default_rng(0).normal(size=(2, 50, 70))
    regions = regions_of(residual, np.ones(residual.shape, bool))
    assert regions.explained
    assert regions.sentence == "explained everywhere"


def test_what_is_not_explained_is_found_where_it_is():
    residual = np.random.default_rng(0).normal(size=(2, 50, 70))
    residual[:, 30:46, 50:66] += 4.0
    residual[0, :4] = np.nan
    regions = regions_of(residual, np.ones(residual.shape, bool))
    assert not regions.explained
    ((first, last, left, right),) = regions.left
    assert (first, last) == (24, 47)
    assert (left, right) == (48, 69)
    assert 0.8 < regions.share < 0.95
    assert "rows 24 to 47, columns 48 to 69" in regions.sentence


def test_one_bad_pixel_that_was_not_found_is_no_region():
    residual = np.random.default_rng(0).normal(size=(2, 50, 70))
    residual[1, 20, 30] = -17.0
    assert regions_of(residual, np.ones(residual.shape, bool)).explained


def test_bad_pixels_leave_no_region():
    residual = np.zeros((1, 16, 16))
    residual[0, 3, 3] = 500.0
    good = np.ones(residual.shape, bool)
    good[0, 3, 3] = False
    assert regions_of(residual, good).explained


@pytest.mark.parametrize(("turns", "mirrored"), [*itertools.product(range(4), (False, True))])
def test_what_a_camera_has_done_is_undone(turns, mirrored):
    true = np.random.default_rng(0).normal(size=(2, 5, 7))
    seen = np.rot90(true[:, :, ::-1] if mirrored else true, turns, (1, 2))
    back = Orientation(turns, mirrored).undone(Observation(seen, Noise(1.0, 1.0)))
    np.testing.assert_array_equal(back.images, true)


def test_orientations_differ_by_more_than_a_half_turn():
    image = np.arange(4.0).reshape(1, 2, 2)
    seen = [o.undone(Observation(image, Noise(1.0, 1.0))).images for o in DISTINCT]
    shown = {s.tobytes() for s in seen} | {np.rot90(s, 2, (1, 2)).tobytes() for s in seen}
    assert len(shown) == 8
    assert DISTINCT[0].name == "as the experiment says"
