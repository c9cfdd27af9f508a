"""Calibration of worlds that have what it is not told: right, or it says so loudly."""

from dataclasses import replace

import numpy as np
import pytest
from measured_world import World, counted, ideal_stack, q_of, sample_axes
from reference_cases import DEFAULT, B

from weakbeam.experiment import Experiment
from weakbeam.fit.calibrate import calibrate_frames

SHAPE = (32, 64)
OPTICS = DEFAULT | {"lines": [], "shape": list(SHAPE), "nz": 5, "clip": 0.15e-3}
PHI = np.linspace(-0.35e-3, 0.35e-3, 61)
POSITIONS = np.stack([PHI, 0 * PHI, 0 * PHI], axis=1)
WORLD = World(
    optics=OPTICS, offsets=(12e-6, 0, 0), bend_rock=(0, 2e-6, -3e-6), subpixels=1, background=(10,)
)
WHOLE = (0, SHAPE[0], 0, SHAPE[1])


def line_at(x, y):
    place = np.array([x, y, 0]) @ sample_axes(OPTICS)
    return [{"b_um": [B, 0, -B], "t": [1, -2, 1], "position_um": place.tolist()}]


def phi_of(world, region):
    """Zero offset of φ together with the mean turn of the lattice in a region."""
    weight, q = q_of(world)
    r0, r1, c0, c1 = region
    rock = (q[0].reshape(*SHAPE, -1) @ weight)[r0:r1, c0:c1]
    return world.offsets[0] + rock.mean()


def calibrated(world, region=None):
    result = calibrate_frames(counted(world, POSITIONS, 3), POSITIONS, Experiment(), region)
    offset = result.parameter("phi offset")
    off = (1e-3 * offset.value - phi_of(world, result.region)) / (1e-3 * offset.error)
    return result, off


def test_dislocation_in_the_corner_is_kept_out_of_the_region():
    world = replace(WORLD, optics=OPTICS | {"lines": line_at(1.5, 0.9)})
    result, _ = calibrated(world)
    r0, r1, c0, c1 = result.region
    # Row 0 is at the largest x, the last column at the largest y.
    assert r0 > 6 or c1 < SHAPE[1] - 6
    assert (r1 - r0) * (c1 - c0) > 0.3 * SHAPE[0] * SHAPE[1]
    assert 1e-3 * result.parameter("phi offset").value == pytest.approx(
        phi_of(world, result.region), abs=3e-7
    )
    assert result.parameter("clip").value == pytest.approx(0.15, abs=5e-4)


def test_dislocation_in_a_region_that_was_given_is_said():
    world = replace(WORLD, optics=OPTICS | {"lines": line_at(0.5, 0.3)})
    result, _ = calibrated(world, WHOLE)
    assert not result.explained
    assert any("left out" in remark for remark in result.remarks)


@pytest.mark.parametrize(
    "more",
    [
        {"illumination": (1, 0.3, -0.4)},
        {"hot": 9, "dead": 6},
        {"mirrored": True, "bend_rock": ()},
    ],
    ids=["light", "hot", "mirrored"],
)
def test_what_changes_no_curve_changes_no_offset(more):
    result, off = calibrated(replace(WORLD, **more))
    assert abs(off) < 3.5
    assert result.explained
    assert abs(result.noise.gain - 2.14) < 4 * result.noise.gain_error
    assert result.cells.odd.sum() == more.get("hot", 0) + more.get("dead", 0)


def test_full_pixels_are_said():
    result, _ = calibrated(replace(WORLD, full=800.0), WHOLE)
    assert not result.explained
    assert "full" in result.remarks[0]


def test_what_no_parameter_explains_makes_errors_larger():
    """Light that comes and goes between frames."""
    flicker = 1 + 0.02 * np.random.default_rng(0).normal(size=len(PHI))
    frames = counted(WORLD, POSITIONS, 3) * flicker[:, None, None]
    result = calibrate_frames(frames, POSITIONS, Experiment(), WHOLE)
    assert not result.explained
    assert result.fit.inflation > 2
    assert 1e-3 * result.parameter("phi offset").value == pytest.approx(12e-6, abs=3e-7)


@pytest.mark.parametrize("blur", [0.8, 2.0])
def test_blur_is_told_by_a_sharp_edge(blur):
    result, _ = calibrated(replace(WORLD, shadow=12.3, blur_px=blur))
    assert result.edge.axis == "column"
    assert result.edge.place == pytest.approx(12.3, abs=0.05)
    assert result.edge.sigma == pytest.approx(blur, abs=max(4 * result.edge.error, 0.02))
    assert result.region[2] >= 12
    assert result.calibrated().camera.psf_px == pytest.approx(result.edge.sigma)


def test_blur_is_not_told_where_nothing_is_sharp():
    result, _ = calibrated(replace(WORLD, blur_px=2.0), WHOLE)
    assert result.edge is None
    assert result.calibrated().camera.psf_px is None
    assert any("nothing in the image is sharp" in remark for remark in result.remarks)


def test_aperture_is_seen_where_a_scan_over_chi_reaches_it():
    for half, steps, seen in ((4e-3, 61, True), (1.5e-3, 31, False)):
        chi = np.linspace(-half, half, steps)
        positions = np.stack([0 * chi, chi, 0 * chi], axis=1)
        world = replace(WORLD, optics=OPTICS | {"aperture": 0.6e-3}, offsets=(0, 3e-5, 0))
        frames = counted(world, positions, 5)
        result = calibrate_frames(frames, positions, Experiment(), WHOLE)
        aperture, lens = result.parameter("aperture"), result.parameter("lens")
        assert aperture.determined == seen
        assert aperture.value == (pytest.approx(0.6, abs=0.02) if seen else 1.0323)
        assert aperture.error == pytest.approx(0.0065 if seen else 0.10323, rel=0.1)
        assert abs(lens.value - 0.731) < 3.5 * lens.error < 0.02
        assert result.explained
        assert result.calibrated().objective.aperture_mrad == pytest.approx(aperture.value)


def test_scan_that_never_gets_dark_has_no_dark_level():
    phi = np.linspace(-0.06e-3, 0.06e-3, 31)
    positions = np.stack([phi, 0 * phi, 0 * phi], axis=1)
    result = calibrate_frames(counted(WORLD, positions, 1), positions, Experiment(), WHOLE)
    assert result.dark is None
    for name in ("clip", "bandwidth"):
        parameter = result.parameter(name)
        assert not parameter.determined
        assert parameter.value == parameter.given
        assert parameter.error == pytest.approx(parameter.prior)


def test_frames_without_noise_say_so():
    result = calibrate_frames(ideal_stack(WORLD, POSITIONS), POSITIONS, Experiment(), WHOLE)
    assert result.noise.noiseless
    assert 1e-3 * result.parameter("phi offset").value == pytest.approx(12e-6, abs=2e-8)
    assert any("no noise" in remark for remark in result.remarks)
