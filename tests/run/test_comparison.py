"""Centres of mass of a simulated scan against the deformation behind them (physics.md, E6)."""

import json
import math

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.comparison import compare_file, comparison_table, crystal_components, predictions
from weakbeam.run.record import record

SCAN = Experiment().with_settings(
    [
        "camera.pixels=[20, 60]",
        "camera.pixel_nm=100",
        "camera.oversampling=1",
        "output.figures=false",
        "scan.phi.half_range_mrad=0.6",
        "scan.phi.steps=151",
        "scan.chi.half_range_mrad=4.0",
        "scan.chi.steps=41",
    ]
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = record(SCAN, tmp_path_factory.mktemp("run") / "run").file
    return compare_file(path)


def test_the_rule_predicts_better_than_any_component(found):
    for motor in ("phi", "chi"):
        rms = {name: agreement.rms for name, agreement in found.agreement[motor].items()}
        assert rms["rule"] <= min(rms["crystal"], rms["imaging"])
        assert found.agreement[motor]["rule"].correlation > 0.95
    # q is not seen in full: the beam is cut, and its divergence takes part of the turn.
    assert found.agreement["chi"]["rule"].slope == pytest.approx(1.0, abs=0.1)


def test_each_motor_follows_its_own_components(found):
    assert found.correlation["phi"]["rock'"] < -0.95
    assert found.correlation["phi"]["rock"] < -0.95
    assert found.correlation["chi"]["roll"] < -0.95


def test_components_are_those_of_the_physics():
    setup = assemble(SCAN)
    theta = setup.geometry.theta
    random = np.random.default_rng(1)
    q_crystal = random.normal(size=(3, 4, 5))
    turn = np.array(
        [
            [math.cos(theta), 0.0, math.sin(theta)],
            [0.0, 1.0, 0.0],
            [-math.sin(theta), 0.0, math.cos(theta)],
        ]
    )
    q_imaging = np.tensordot(turn, q_crystal, axes=1)
    np.testing.assert_allclose(crystal_components(q_imaging, theta), q_crystal, atol=1e-14)
    found = predictions(Acquisition(setup, setup.scans[0]), q_imaging)
    np.testing.assert_allclose(found["phi"]["crystal"], -q_crystal[0], atol=1e-14)
    np.testing.assert_allclose(found["phi"]["imaging"], -q_imaging[0] / math.cos(theta), rtol=1e-12)
    np.testing.assert_allclose(found["chi"]["crystal"], -q_crystal[1], atol=1e-14)
    np.testing.assert_allclose(found["chi"]["imaging"], -q_crystal[1], atol=1e-14)


def test_arm_is_compared_with_the_component_along_2theta():
    setup = assemble(Experiment().with_settings(["scan.two_theta.values_mrad=[-0.2, 0, 0.2]"]))
    theta = setup.geometry.theta
    q = np.random.default_rng(2).normal(size=(3, 2, 2))
    found = predictions(Acquisition(setup, setup.scans[0]), q)["two_theta"]["imaging"]
    np.testing.assert_allclose(found, 2 * math.sin(theta) * q[2], rtol=1e-12)


def test_strain_scan_is_compared_with_the_component_along_the_diffraction_vector():
    """φ turns along by -T/2, so that T = 2 tanθ q_par (physics.md, A3)."""
    steps = ["scan.strain.half_range_mrad=1", "scan.strain.steps=11"]
    setup = assemble(Experiment().with_settings(steps))
    theta = setup.geometry.theta
    q = np.random.default_rng(3).normal(size=(3, 2, 2))
    found = predictions(Acquisition(setup, setup.scans[0]), q)["two_theta"]["crystal"]
    par = crystal_components(q, theta)[2]
    np.testing.assert_allclose(found, 2 * math.tan(theta) * par, rtol=1e-10)


def test_numbers_are_plain(found):
    numbers = json.loads(json.dumps(found.numbers(), allow_nan=False))
    assert numbers["hkl"] == [-1, 1, -1]
    assert set(numbers["angles"]) == {"phi", "chi"}
    assert set(numbers["angles"]["phi"]["agreement"]) == {"rule", "crystal", "imaging"}
    lines = comparison_table(found)
    assert "theta = 8.9732 deg" in lines[0]
    assert sum("COM rule" in line for line in lines) == 2


def test_a_single_image_has_nothing_to_compare(tmp_path):
    single = Experiment().with_settings(["camera.pixels=[4, 6]", "output.figures=false"])
    path = record(single, tmp_path / "run").file
    with pytest.raises(InputError, match="has no maps"):
        compare_file(path)
