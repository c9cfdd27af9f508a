"""Scans in memory: which frame is where, and that each is what it would be alone."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest

from weakbeam import center_of_mass, q_field, simulate
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment

AVERAGED = Experiment().with_settings(["camera.pixels=[5, 7]", "camera.pixel_nm=300"])
# Samples are chosen for all frames of a scan together; points are the same for each.
SMALL = AVERAGED.with_settings(["camera.oversampling=1"])
# Unsorted, unevenly spaced, with a position that comes twice.
POSITIONS = {
    "z": ("um", [0.4, -0.3]),
    "two_theta": ("mrad", [0.3, 0.0, 0.3]),
    "chi": ("mrad", [0.5, -0.7]),
    "phi": ("mrad", [0.14, -0.1, 0.02]),
}
IN_RADIANS = {"um": 1.0, "mrad": 1e-3}


def scan_over(motors):
    return SMALL.with_settings(
        [f"scan.{m}.values_{POSITIONS[m][0]}={POSITIONS[m][1]}" for m in motors]
    )


@pytest.mark.parametrize(
    "motors",
    [motors for n in (1, 2, 3, 4) for motors in combinations(POSITIONS, n)],
    ids="-".join,
)
def test_every_frame_is_the_image_at_its_setting(motors):
    images = simulate(scan_over(motors)).images
    assert images.dims == (*motors, "x", "y")
    for motor in motors:
        unit, values = POSITIONS[motor]
        np.testing.assert_allclose(images.coords[motor], np.array(values) * IN_RADIANS[unit])
    rng = np.random.default_rng(0)
    for _ in range(3):
        index = tuple(int(rng.integers(n)) for n in images.shape[:-2])
        alone = [
            f"scan.{m}.value_{POSITIONS[m][0]}={POSITIONS[m][1][k]}"
            for m, k in zip(motors, index, strict=True)
        ]
        image = simulate(SMALL.with_settings(alone)).images.values
        np.testing.assert_allclose(images.values[index], image, rtol=1e-5, atol=1e-9)


def test_averaged_frames_of_a_scan_are_images_to_their_accuracy():
    images = simulate(AVERAGED.with_settings(["scan.phi.values_mrad=[-0.12, 0, 0.14]"])).images
    for k, phi in enumerate((-0.12, 0, 0.14)):
        alone = simulate(AVERAGED.with_settings([f"scan.phi.value_mrad={phi}"])).images.values
        assert np.linalg.norm(images.values[k] - alone) < 0.01 * np.linalg.norm(alone)


def test_a_range_of_one_step_is_one_image_at_its_centre():
    settings = ["scan.phi.half_range_mrad=1", "scan.phi.steps=1", "scan.phi.center_mrad=0.14"]
    images = simulate(SMALL.with_settings(settings)).images
    assert images.dims == ("x", "y")
    alone = simulate(SMALL.with_settings(["scan.phi.value_mrad=0.14"])).images
    np.testing.assert_array_equal(images.values, alone.values)


def test_equal_positions_give_equal_frames_but_their_own_noise():
    scan = SMALL.with_settings(["scan.phi.values_mrad=[0.1, 0.1]"])
    ideal = simulate(scan).images.values
    np.testing.assert_array_equal(ideal[0], ideal[1])
    counts = simulate(scan.with_settings(["camera.model=pco_edge"])).images.values
    assert (counts[0] != counts[1]).any()


def test_far_from_the_peak_it_is_dark_and_quiet():
    scan = SMALL.with_settings(["scan.phi.values_mrad=[99, 100]", "defects=[]"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = simulate(scan)
        maps = center_of_mass(run)
        run.plot()
    assert not run.images.values.any()
    assert maps.phi is not None
    assert np.isnan(maps.phi).all()
    assert maps.chi is None


def test_centre_of_mass_needs_a_scan():
    with pytest.raises(InputError, match="needs a scan"):
        center_of_mass(simulate(SMALL))


def test_q_field_of_a_perfect_crystal_is_zero():
    q = q_field(SMALL.with_settings(["defects=[]"]))
    assert q.shape == (3, 5, 7)
    assert not q.values.any()
