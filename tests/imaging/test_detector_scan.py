"""Scans: their order, their split into files' entries and into factors."""

import numpy as np
import pytest

from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.imaging.scan import SCAN_ORDER, detector_scans

GEOMETRY = symmetric_geometry(0.1566)
POSITIONS = {
    "z": [0.0, 0.5],
    "two_theta": [-1e-4, 0.0, 2e-4],
    "chi": [1e-3, -1e-3],
    "phi": [-3e-4, 0.0, 1e-4, 5e-4],
}


def scan_of(**lengths):
    return {m: v if m in lengths.get("moving", ()) else v[:1] for m, v in POSITIONS.items()}


@pytest.mark.parametrize(
    ("moving", "entries", "inner"),
    [
        ((), 1, ()),
        (("phi",), 1, ("phi",)),
        (("z",), 1, ("z",)),
        (("chi", "phi"), 1, ("chi", "phi")),
        (("two_theta", "phi"), 1, ("two_theta", "phi")),
        (("two_theta", "chi", "phi"), 3, ("chi", "phi")),
        (("z", "phi"), 2, ("phi",)),
        (("z", "two_theta", "chi", "phi"), 6, ("chi", "phi")),
    ],
)
def test_a_scan_is_split_into_scans_of_at_most_two_motors(moving, entries, inner):
    scans = detector_scans(scan_of(moving=moving))
    assert [scan.moving for scan in scans] == [inner] * entries
    assert sum(scan.frames for scan in scans) == np.prod([len(POSITIONS[m]) for m in moving] or 1)


@pytest.mark.parametrize(
    "moving", [("phi",), ("chi", "phi"), SCAN_ORDER, ("z",), ("z", "two_theta")]
)
def test_every_setting_comes_once_with_the_last_motor_fastest(moving):
    visited = [
        tuple(scan.motor_positions(m)[k] for m in SCAN_ORDER)
        for scan in detector_scans(scan_of(moving=moving))
        for k in range(scan.frames)
    ]
    axes = [scan_of(moving=moving)[m] for m in SCAN_ORDER]
    expected = [tuple(v) for v in np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 4)]
    assert visited == expected


def test_every_second_row_of_a_zigzag_scan_runs_backwards():
    (plain,) = detector_scans(scan_of(moving=("two_theta", "phi")))
    (scan,) = detector_scans(scan_of(moving=("two_theta", "phi")), zigzag=True)
    phi, arm = (np.array(POSITIONS[motor]) for motor in ("phi", "two_theta"))
    found = scan.motor_positions("phi").reshape(3, 4)
    np.testing.assert_array_equal(found, [phi, phi[::-1], phi])
    np.testing.assert_array_equal(scan.motor_positions("two_theta"), np.repeat(arm, 4))
    for motor in SCAN_ORDER:
        on_grid = scan.motor_positions(motor)[scan.places]
        np.testing.assert_array_equal(on_grid, plain.motor_positions(motor))


def test_positions_of_phi_follow_an_arm_that_stands_elsewhere_in_each_scan():
    scans = detector_scans(scan_of(moving=("two_theta", "chi", "phi")), -0.5)
    for scan, arm in zip(scans, POSITIONS["two_theta"], strict=True):
        assert not scan.sheared
        expected = np.array(POSITIONS["phi"]) - 0.5 * arm
        np.testing.assert_array_equal(scan.positions["phi"], expected)
        np.testing.assert_array_equal(scan.motor_positions("phi"), np.tile(expected, 2))
        (layer,) = scan.layers(GEOMETRY)
        settings = np.column_stack([expected, np.zeros(4), np.full(4, arm)])
        # To second order in the motors; tests/physics/test_finite_turns.py has the rest.
        np.testing.assert_allclose(
            layer.rock_shifts, settings @ GEOMETRY.motor_vectors, rtol=0, atol=1e-6
        )


def test_a_scan_of_phi_and_the_arm_together_is_sheared():
    moving = scan_of(moving=("two_theta", "phi"))
    assert [scan.sheared for along in (0.0, -0.5) for scan in detector_scans(moving, along)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    "moving", [("phi",), ("chi", "phi"), SCAN_ORDER, ("z",), ("two_theta", "chi")]
)
@pytest.mark.parametrize("zigzag", [False, True])
def test_layers_hold_the_shifts_of_their_frames(moving, zigzag):
    for scan in detector_scans(scan_of(moving=moving), zigzag=zigzag):
        settings = np.stack([scan.motor_positions(m) for m in ("phi", "chi", "two_theta")], -1)
        numbers = []
        for layer in scan.layers(GEOMETRY):
            for j, chi in enumerate(layer.roll_settings):
                for i, (phi, arm) in enumerate(layer.rock_settings):
                    frame = layer.frames[j, i]
                    numbers.append(frame)
                    np.testing.assert_array_equal(settings[frame], [phi, chi, arm])
                    assert scan.motor_positions("z")[frame] == layer.z
                    shift = layer.rock_shifts[i] + layer.roll_shifts[j]
                    expected = settings[frame] @ GEOMETRY.motor_vectors
                    np.testing.assert_allclose(shift, expected, rtol=0, atol=1e-6)
        assert sorted(numbers) == list(range(scan.frames))


def test_motors_that_move_far_are_taken_about_several_settings():
    far = {"z": [0.0, 1.0], "two_theta": [0.0], "chi": [1e-3, 2.4e-3, 7e-3], "phi": [0.0, -4e-3]}
    scan, _ = detector_scans(far)
    layers = list(scan.layers(GEOMETRY))
    assert [layer.reference for layer in layers] == [
        (0.0, 0.0, 0.0), (-5e-3, 0.0, 0.0), (0.0, 5e-3, 0.0), (-5e-3, 5e-3, 0.0),
    ]  # fmt: skip
    for layer in layers:
        np.testing.assert_array_equal(layer.roll_settings, scan.positions["chi"][layer.roll_places])
        np.testing.assert_array_equal(
            layer.rock_settings[:, 0], scan.positions["phi"][layer.rock_places]
        )
        for j, chi in enumerate(layer.roll_settings):
            for i, (phi, _) in enumerate(layer.rock_settings):
                frame = layer.frames[j, i]
                assert scan.motor_positions("chi")[frame] == chi
                assert scan.motor_positions("phi")[frame] == phi
                assert abs(chi - layer.reference[1]) <= 2.5e-3
                assert abs(phi - layer.reference[0]) <= 2.5e-3
    frames = np.concatenate([layer.frames.ravel() for layer in layers])
    assert sorted(frames) == list(range(scan.frames))
