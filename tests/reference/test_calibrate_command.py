"""``weakbeam calibrate`` on the file of a beamline, with the frames of a world of its own."""

import json

import h5py
import numpy as np
import pytest
from measured_world import World, counted
from reference_cases import DEFAULT

import weakbeam as wb
from weakbeam.cli.main import main
from weakbeam.io.frames import read_frames_of

SHAPE = [24, 48]
PHI = np.linspace(-0.35e-3, 0.35e-3, 61)
ZERO = 9.01
OFFSET = 8e-6


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A scan over mu about 9.01 deg; the camera has a dark level of 100."""
    optics = DEFAULT | {"lines": [], "shape": SHAPE, "nz": 1, "clip": 0.15e-3}
    world = World(optics=optics, offsets=(OFFSET, 0, 0), subpixels=1, background=(100,))
    frames = counted(world, np.stack([PHI, 0 * PHI, 0 * PHI], axis=1), 7)
    path = tmp_path_factory.mktemp("beamline") / "measured.h5"
    with h5py.File(path, "w") as file:
        entry = file.create_group("3.1")
        entry["title"] = "fscan mu 8.99 0.0007 61 0.5"
        entry["instrument/mu/value"] = ZERO + np.degrees(PHI)
        entry["instrument/pco_ff/image"] = np.maximum(frames, 0).astype(np.uint16)
    return path


@pytest.fixture
def called(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in ("calibrate", *arguments)])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_experiment_numbers_and_figure_of_a_beamline_scan(called, scan, tmp_path):
    status, out, err = called(scan, "--region", "0:20,4:44")
    assert status == 0, err
    assert "region given: rows 0:20, columns 4:44" in out
    assert "does not determine chi offset" in err
    assert (tmp_path / "calibrated.png").read_bytes()[1:4] == b"PNG"
    told = json.loads((tmp_path / "calibrated.json").read_text())
    reading = told["bragg_readings_deg"]["mu"]
    assert abs(reading["value"] - (ZERO - np.degrees(OFFSET))) < 4 * reading["error"]
    assert reading["error"] < np.degrees(1e-7)
    named = {parameter["name"]: parameter for parameter in told["parameters"]}
    assert np.shape(told["covariance"]) == (len(named), len(named))
    assert np.sqrt(told["covariance"][3][3]) == pytest.approx(named["clip"]["error"])
    assert named["lens"]["value"] == named["lens"]["given"] == 0.731
    assert told["explained"]
    experiment = wb.Experiment.from_toml(tmp_path / "calibrated.toml")
    assert experiment.beam.divergence_vertical_clip_mrad == pytest.approx(0.15, abs=1e-3)
    assert experiment.objective.acceptance_fwhm_mrad == 0.731


def test_calibrated_experiment_makes_the_measured_curve(scan):
    result = wb.calibrate(scan, region=(0, 24, 0, 48))
    small = ["camera.pixels=[6, 6]", "camera.depth_samples=1"]
    experiment = result.calibrated().model_copy(update={"defects": ()}).with_settings(small)
    curve = np.asarray(wb.simulate(experiment).images).mean(axis=(-2, -1)).ravel()
    frames = read_frames_of(wb.read_scan(scan), np.arange(61)).mean(axis=(1, 2))
    measured = (frames - result.dark[0]) / result.brightness
    noise = np.sqrt(2.14 * frames) / result.brightness / np.sqrt(24 * 48)
    assert np.abs(curve - measured).max() < 5 * noise.max() + 1e-3


def test_nothing_is_replaced_and_mistakes_name_the_flag(called, scan, tmp_path):
    (tmp_path / "calibrated.toml").write_text("# mine\n")
    assert called(scan)[0] == 2
    assert (tmp_path / "calibrated.toml").read_text() == "# mine\n"
    for flags, text in (
        (["--region", "0:99,0:10"], "--region = '0:99,0:10': must lie in the image"),
        (["--region", "0:3,0:1"], "--region"),
        (["--pair", "phi=nu"], "--pair = 'nu': does not move"),
        (["--pair", "roll=mu"], "--pair = 'roll': must be one of phi, chi, two_theta"),
        (["-o", "x.txt"], "--output = 'x.txt': must end in .toml"),
    ):
        status, _, err = called(scan, "-o", "other.toml", *flags)
        assert status == 2
        assert text in err
    assert not (tmp_path / "other.toml").exists()


def test_motor_that_turns_the_other_way_has_the_other_offset(scan):
    straight, turned = (
        wb.calibrate(scan, region=(0, 24, 0, 48), motors={"phi": name}) for name in ("mu", "-mu")
    )
    assert turned.bragg_readings["mu"][0] == pytest.approx(
        straight.bragg_readings["mu"][0], abs=1e-6
    )
