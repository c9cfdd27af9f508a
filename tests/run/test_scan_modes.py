"""Named modes, strain scans and motors that move during the exposure."""

import math

import h5py
import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.defects.field import UniformGradient
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.engine import Engine
from weakbeam.run.record import record
from weakbeam.run.simulate import simulate

SMALL = Experiment().with_settings(
    ["camera.pixels=[9, 12]", "camera.depth_samples=9", "camera.oversampling=point"]
)
OBLIQUE = SMALL.with_settings(
    [
        "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
        "reflection.hkl=[-1, -1, 3]",
        "reflection.geometry=oblique",
        "beam.energy_keV=19.1",
        # Of a hard aperture the reference sees steps too.
        "objective.aperture_mrad=inf",
    ]
)

MODES = {
    "single": {},
    "rocking": {"phi": 61},
    "rolling": {"chi": 61},
    "strain": {"two_theta": 21},
    "mosaicity": {"chi": 61, "phi": 61},
    "mosaicity-strain": {"two_theta": 21, "chi": 61, "phi": 61},
    "layers": {"z": 11},
    "mosaicity-layers": {"z": 11, "chi": 61, "phi": 61},
}


@pytest.mark.parametrize(("mode", "moving"), MODES.items(), ids=MODES.keys())
def test_a_mode_moves_its_motors(mode, moving):
    experiment = SMALL.with_settings([f"scan.mode={mode}"])
    positions = assemble(experiment).positions
    assert {m: len(x) for m, x in positions.items() if len(x) > 1} == moving
    assert experiment.scan.frames == math.prod(moving.values())
    assert Experiment.from_toml_text(experiment.to_toml()) == experiment


def test_ranges_of_a_mode_can_be_given():
    settings = ["scan.mode=mosaicity", "scan.phi.half_range_mrad=0.1", "scan.phi.steps=5"]
    experiment = SMALL.with_settings(settings)
    assert experiment.scan.phi.count == 5
    assert experiment.scan.chi.count == 61
    only_steps = SMALL.with_settings(["scan.mode=layers", "scan.z.steps=3", "scan.z.center_um=1"])
    assert only_steps.scan.z.positions == (0.0, 1.0, 2.0)
    listed = SMALL.with_settings(["scan.mode=rocking", "scan.phi.values_mrad=[0, 1]"])
    assert listed.scan.phi.positions == (0.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["scan.mode=rocking", "scan.chi.values_mrad=[0, 1]"], "chi must not move"),
        (["scan.mode=mosaicity", "scan.chi.value_mrad=1"], "chi must move"),
        (["scan.mode=rockin"], "rocking"),
        (["scan.mode=strain", "scan.two_theta.values_mrad=[0, 1]"], "only one"),
        (["scan.strain.value_mrad=1"], "range to scan over"),
        (["scan.order=zigzag", "scan.mode=rocking"], "needs two angles"),
        (["scan.order=zigzag", "scan.mode=layers"], "needs two angles"),
        (["scan.order=snake"], "rewind"),
        (["scan.continuous=true"], "to move"),
        (["scan.continuous=true", "scan.phi.values_mrad=[0, 1, 3]"], "equal steps"),
        (["scan.continuous=true", "scan.mode=rocking", "camera.phi_blur_mrad=0.1"], "choose one"),
        (["scan.continuous=true", "scan.mode=layers"], "to move"),
    ],
)  # fmt: skip
def test_contradictions_are_told(settings, said):
    with pytest.raises(InputError, match=said):
        assemble(SMALL.with_settings(settings))


@pytest.mark.parametrize("strain", [1e-4, -1e-4])
def test_a_strain_scan_finds_the_strain_of_a_homogeneous_crystal(strain):
    experiment = SMALL.with_settings(
        ["scan.mode=strain", "scan.strain.half_range_mrad=0.4", "scan.strain.steps=801"]
    )
    setup = assemble(experiment)
    (layer,) = setup.scans[0].layers(setup.geometry)
    field = UniformGradient(strain * np.eye(3))
    engine = Engine(field, setup.geometry, setup.grids, setup.acceptance)
    curve = engine.images(layer.rock_shifts, layer.roll_shifts)[0, :, 0, 0].astype(float)
    arm = setup.positions["two_theta"]
    # The curve is even about its peak.
    best = np.polynomial.Polynomial.fit(arm, np.log(np.maximum(curve, 1e-30)), 6, w=curve)
    peak = arm @ curve / curve.sum()
    found = -peak / (2.0 * math.tan(setup.geometry.theta))
    assert found == pytest.approx(strain, abs=1e-7)
    assert abs(best.deriv()(peak)) < 50.0


def test_phi_turns_along_in_a_strain_scan():
    setup = assemble(SMALL.with_settings(["scan.mode=strain", "scan.phi.value_mrad=0.1"]))
    (scan,) = setup.scans
    np.testing.assert_allclose(
        scan.motor_positions("phi"), 1e-4 - 0.5 * scan.motor_positions("two_theta")
    )
    (layer,) = scan.layers(setup.geometry)
    shift = layer.rock_shifts @ setup.geometry.imaging_from_sample
    # Of the crystal's axes only the one along the diffraction vector sees the scan.
    np.testing.assert_allclose(np.ptp(shift[:, 0]), 0.0, atol=1e-6)
    assert np.ptp(shift[:, 2]) > 1e-3


SCANS = {
    "phi": (["scan.phi.half_range_mrad=0.3", "scan.phi.steps=7"], "phi", 1e-4),
    "chi": (["scan.chi.half_range_mrad=1.5", "scan.chi.steps=4"], "chi", 1e-3),
    "arm": (["scan.two_theta.half_range_mrad=0.6", "scan.two_theta.steps=7"], "two_theta", 2e-4),
    "strain": (["scan.strain.half_range_mrad=0.6", "scan.strain.steps=7"], "strain", 2e-4),
}  # fmt: skip


NODES, WEIGHTS = np.polynomial.legendre.leggauss(50)


def moving_and_fine(base, settings, motor, step):
    """A continuous scan, and one with 50 Gauss-Legendre steps across each of its exposures.

    Equal steps would be the weaker reference: their average is off by some 1e-6.
    """
    positions = getattr(base.with_settings(settings).scan, motor).positions
    fine = [float(1e3 * (1e-3 * x + 0.5 * step * node)) for x in positions for node in NODES]
    listed = f"scan.{motor}.values_mrad={fine}"
    return base.with_settings([*settings, "scan.continuous=true"]), base.with_settings([listed])


both = pytest.mark.parametrize("base", [SMALL, OBLIQUE], ids=["symmetric", "oblique"])
every_motor = pytest.mark.parametrize(
    ("settings", "motor", "step"), SCANS.values(), ids=SCANS.keys()
)


@both
@every_motor
def test_frames_of_a_continuous_scan_average_fine_steps(base, settings, motor, step):
    """As nearly as paths of the motors are straight during an exposure, which is taken for all."""
    moving, fine = (simulate(e).images.values for e in moving_and_fine(base, settings, motor, step))
    steps = fine.reshape(len(moving), len(NODES), 9, 12).astype(float)
    average = np.einsum("snij,n->sij", steps, WEIGHTS / 2)
    straight = 5e-4 if motor in ("two_theta", "strain") else 5e-7
    np.testing.assert_allclose(moving, average, rtol=0, atol=straight * average.max())


@both
@every_motor
def test_the_acceptance_of_a_moving_motor_is_an_exact_average(base, settings, motor, step):
    """In double precision, for a lattice at rest and one that is slightly turned."""
    experiments = moving_and_fine(base, settings, motor, step)
    for q in (np.zeros(3), np.array([1e-5, 2e-5, -3e-5])):
        curves = []
        for setup in map(assemble, experiments):
            (scan,) = setup.scans
            angles = [scan.motor_positions(name) for name in ("phi", "chi", "two_theta")]
            shifts = np.stack(angles, axis=1) @ setup.geometry.motor_vectors
            curves.append(setup.acceptance.relative(q + shifts))
        average = curves[1].reshape(-1, len(NODES)) @ (WEIGHTS / 2)
        np.testing.assert_allclose(curves[0], average, rtol=0, atol=1e-12 * average.max())


def test_the_file_of_a_strain_scan_tells_where_phi_was(tmp_path):
    settings = ["scan.mode=strain", "scan.strain.steps=5", "output.figures=false"]
    result = record(SMALL.with_settings([*settings, "scan.strain.half_range_mrad=1"]), tmp_path)
    with h5py.File(result.file) as file:
        entry = file["1.1"]
        assert entry["title"].asstr()[()].split()[:2] == ["fscan", "obpitch"]
        arm = entry["instrument/obpitch/value"][()]
        phi = entry["instrument/positioners/phi"][()]
        np.testing.assert_allclose(phi, -0.5 * (arm - arm.mean()), atol=1e-12)
        assert "obpitch_com" in entry["maps"]
