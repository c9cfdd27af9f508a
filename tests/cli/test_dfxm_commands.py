"""The commands of dfxm-geo, with its flags and files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from weakbeam.cli import main as program
from weakbeam.experiment import Experiment
from weakbeam.io.reading import entry_names

OLD = """
[reciprocal]
keV = 17.0
Nrays = 2000
npoints1 = 8
npoints2 = 6
npoints3 = 4
[scan.phi]
range = 1e-4
steps = 2
[detector_geometry]
pixel_size = 4e-6
magnification = 100
Npixels = 60
[io]
include_perfect_crystal = false
"""

OBLIQUE = """
[reciprocal]
keV = 19.1
[geometry]
mode = "oblique"
[crystal]
mount_x = [1, 0, 0]
mount_y = [0, 1, 0]
mount_z = [0, 0, 1]
"""


@pytest.fixture
def call(monkeypatch, capsys):
    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            getattr(program, name.replace("-", "_"))()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    return path


def test_forward_converts_and_tells(call, old, tmp_path):
    run = tmp_path / "run"
    status, _, err = call("dfxm-forward", "--config", old, "--output", run, "--no-postprocess")
    assert status == 0
    assert "note: ignored: reciprocal.Nrays" in err
    assert not (run / "figures").exists()
    stored = Experiment.from_toml(run / "experiment.toml")
    assert stored.camera.pixels == (20, 60)
    assert stored.camera.model == "pco_edge"
    assert entry_names(run / "weakbeam.h5")
    status, _, _ = call("dfxm-forward", "--config", old, "--output", run, "--postprocess-only")
    assert status == 0
    assert list((run / "figures").iterdir())


def test_forward_takes_experiments_too(call, tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text("camera = { pixels = [8, 9] }\noutput = { figures = false }\n")
    status, _, err = call("dfxm-forward", "--config", path, "--output", tmp_path / "run")
    assert status == 0
    assert "projection" not in err


def test_bootstrap_takes_the_grid_of_the_file(call, old, tmp_path):
    kernel = tmp_path / "kernel.h5"
    status, out, err = call("dfxm-bootstrap", "--config", old, "--output", kernel, "--seed", 1)
    assert status == 0
    assert "8 x 6 x 4" in out
    assert "2000 rays" in out
    assert "Nrays" not in err
    status, out, _ = call("dfxm-bootstrap", "--config", old, "--output", kernel, "--if-missing")
    assert (status, out) == (0, "")


def test_find_reflections_at_an_azimuth(call, tmp_path):
    path = tmp_path / "old.toml"
    path.write_text(OBLIQUE)
    status, out, err = call(
        "dfxm-find-reflections", "--config", path, "--theta-max-deg", 16.25,
        "--eta-target-deg", 20.23, "--hkl-max", 5,
    )  # fmt: skip
    assert status == 0
    assert "4 reflections" in out
    assert "--hkl-max: ignored" in err
    status, out, _ = call("dfxm-find-reflections", "--config", path, "--keV", 17.0)
    assert "17 keV" in out


def test_identify(call, tmp_path):
    path = tmp_path / "old.toml"
    path.write_text(
        OLD.replace("range = 1e-4\nsteps = 2", "value = 1.5e-4")
        + "[crystal]\nsweep_all_slip_planes = false\nangle_step_deg = 90\nangle_stop_deg = 270\n"
    )
    status, out, err = call("dfxm-identify", "--config", path, "--output", tmp_path / "library")
    assert status == 0
    assert "library.h5" in out
    assert "note:   mixed dislocations" in err


def test_init_keeps_what_is_there(call, tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "default.toml").write_text("# mine")
    status, out, _ = call("dfxm-init", "--dest", folder)
    assert status == 0
    assert f"kept  {folder / 'default.toml'}" in out
    assert (folder / "default.toml").read_text() == "# mine"
    assert (folder / "weak-beam.toml").exists()
    call("dfxm-init", "--dest", folder, "--force")
    assert (folder / "default.toml").read_text() == "# mine"
    (folder / "default.toml").write_text("[camera]\nseed = 3\n")
    call("dfxm-init", "--dest", folder, "--force")
    assert "seed = 3" not in (folder / "default.toml").read_text()


def test_weakbeam_forward_names_the_command_that_converts(weakbeam, old, tmp_path):
    result = weakbeam("forward", "-c", old, "-o", tmp_path / "run")
    assert result.status == 2
    assert "weakbeam convert" in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["forward", "bootstrap", "identify", "find-reflections", "init"])
def test_help_loads_nothing_heavy(name):
    code = (
        "import sys\n"
        f"from weakbeam.cli.main import dfxm_{name.replace('-', '_')} as command\n"
        "sys.argv = ['x', '--help']\n"
        "try: command()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "heavy = {'numpy', 'numba', 'h5py', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--config" in done.stdout or name == "init"


@pytest.mark.slow
def test_templates_of_dfxm_geo_run(call, tmp_path):
    # Needs WEAKBEAM_TEST_DFXM_GEO: folders of environments with dfxm-geo, separated as PATH is.
    environments = os.environ.get("WEAKBEAM_TEST_DFXM_GEO")
    if not environments:
        pytest.skip("WEAKBEAM_TEST_DFXM_GEO names no environment with dfxm-geo")
    for number, environment in enumerate(environments.split(os.pathsep)):
        configs = tmp_path / f"configs{number}"
        command = [Path(environment) / "bin" / "dfxm-init", "--dest", configs]
        subprocess.run(command, check=True, capture_output=True)
        found = sorted(configs.rglob("*.toml"))
        assert len(found) >= 12
        for path in found:
            identify = path.stem.startswith("identification")
            name = "dfxm-identify" if identify else "dfxm-forward"
            settings = ["--set", "camera.pixels=[20, 60]", "--set", "camera.pixel_nm=340"]
            if identify:
                settings += ["--set", "identify.character_step_deg=90"]
                settings += ["--set", "identify.images=5"] * (path.stem.endswith("multi"))
            if path.stem.endswith("zscan"):
                settings += ["--set", "scan.phi.steps=3", "--set", "scan.chi.steps=3"]
            output = tmp_path / f"{number}-{path.stem}"
            status, _, err = call(name, "--config", path, "--output", output, *settings)
            assert status == 0, (path, err)
            assert list(output.glob("*.h5"))
