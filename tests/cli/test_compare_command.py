"""``weakbeam compare``: figures, table and what is said."""

from __future__ import annotations

import csv
import json

import h5py
import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.run.record import record

SCAN = ["scan.phi.half_range_mrad=0.5", "scan.phi.steps=21", "output.figures=false"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of different Burgers vectors, the folders that hold them."""
    folder = tmp_path_factory.mktemp("runs")
    for name, burgers in (("one", "[1,0,-1]"), ("two", "[0,1,-1]")):
        settings = ["camera.pixels=[10, 16]", f"defects[0].burgers={burgers}", *SCAN]
        record(Experiment().with_settings(settings), folder / name)
    return folder / "one", folder / "two"


@pytest.fixture
def scan(tmp_path):
    """A measured scan over mu about 11.25 deg, flat-topped curves in counts."""
    x = np.linspace(-0.03, 0.03, 31)
    curve = 1.0 / (1.0 + np.exp((np.abs(x) - 0.008) / 4e-4))
    light = 900.0 * curve[:, None, None] * np.ones((1, 10, 16))
    counts = np.random.default_rng(4).poisson(light + 100.0).astype(np.uint16)
    path = tmp_path / "measured.h5"
    with h5py.File(path, "w") as file:
        entry = file.create_group("3.1")
        entry["title"] = "fscan mu 11.22 0.002 31 0.5"
        entry["instrument/mu/value"] = 11.25 + x
        entry["instrument/pco_ff/image"] = counts
    return path


def names(result):
    lines = (line for line in result.out.splitlines() if " " not in line)
    return {line.rpartition("/")[2] for line in lines}


def test_runs_side_by_side(weakbeam, runs, tmp_path):
    result = weakbeam("compare", *runs, "-o", tmp_path / "out", "--format", "svg")
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "A: burgers = [1, 0, -1]  (one)"
    assert lines[1] == "B: burgers = [0, 1, -1]  (two)"
    made = {"comparison.csv", "images.svg", "curves.svg", "maps_phi.svg"}
    assert made <= names(result)
    assert made == {path.name for path in (tmp_path / "out").iterdir()}
    with (tmp_path / "out/comparison.csv").open() as file:
        rows = {row["quantity"]: row for row in csv.DictReader(file)}
    assert float(rows["phi_com"]["correlation"]) < 0.99
    assert rows["image"]["of"] == "B: burgers = [0, 1, -1]"
    assert rows["image"]["factor"] == "1.0"
    drawn = (tmp_path / "out/images.svg").read_text()
    assert "A: burgers = [1, 0, −1]" in drawn or "A: burgers = [1, 0, -1]" in drawn
    assert "B − A" in drawn
    assert "difference (mrad)" in drawn


def test_a_run_beside_itself(weakbeam, runs, tmp_path):
    result = weakbeam("compare", runs[0], runs[0] / "weakbeam.h5", "-o", tmp_path, "--json")
    assert result.status == 0, result.err
    numbers = json.loads(result.out)
    assert len({side["label"] for side in numbers["sides"]}) == 2
    assert "images.png" in result.err
    by_name = {row["quantity"]: row for row in numbers["rows"]}
    assert {"image", "curve phi", "phi_com", "phi_fwhm"} <= {*by_name}
    for name, row in by_name.items():
        assert row["relative_l2"] == pytest.approx(0.0, abs=1e-9), name
        assert row["rms"] == pytest.approx(0.0, abs=1e-9), name
    assert by_name["image"]["x_shift"] == pytest.approx(0.0, abs=1e-6)


def test_measured_beside_simulated(weakbeam, runs, scan, tmp_path):
    out = tmp_path / "out"
    call = ["compare", f"{scan}::3.1", runs[0], "-o", out, "--align-peaks", "--format", "svg"]
    result = weakbeam(*call, "--frame", 20, "--against", "ratio", "--scale", "log")
    assert result.status == 0, result.err
    assert "B: phi is compared with mu of A" in result.out
    (said,) = [line for line in result.out.splitlines() if "shifted by" in line]
    assert said.startswith("B: µ shifted by +11.25")
    for name in ("images", "curves", "maps_mu"):
        drawn = (out / f"{name}.svg").read_text()
        assert said in drawn
        assert "intensities multiplied by" in drawn
    assert "B / A" in (out / "images.svg").read_text()
    # The shift, with all its digits, is in the table.
    with (out / "comparison.csv").open() as file:
        shifts = {row["quantity"]: float(row["shift"]) for row in csv.DictReader(file)}
    assert shifts["curve mu"] == pytest.approx(11.25, abs=2e-4)
    assert shifts["mu_com"] == shifts["curve mu"]
    assert shifts["mu_fwhm"] == 0.0


def test_nothing_is_replaced_unasked(weakbeam, runs, tmp_path):
    call = ["compare", *runs, "-o", tmp_path, "--format", "none", "-q"]
    assert weakbeam(*call).status == 0
    result = weakbeam(*call)
    assert result.status == 2
    assert "exists: --overwrite replaces it" in result.err
    assert weakbeam(*call, "--overwrite").status == 0
    (tmp_path / "images.png").write_text("mine")
    before = (tmp_path / "comparison.csv").stat().st_mtime_ns
    result = weakbeam("compare", *runs, "-o", tmp_path, "--overwrite")
    assert result.status == 2
    assert "images.png" in result.err
    assert (tmp_path / "images.png").read_text() == "mine"
    assert (tmp_path / "comparison.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["RUN"], "A B = "),
        (["RUN", "RUN", "--pair", "mu"], "--pair = 'mu': must be two motors, such as mu=phi"),
        (["RUN", "RUN", "--pair", "mu=phi"], "--pair = 'mu': one"),
        (["RUN", "RUN", "--frame", 99], "--frame = 99: "),
        (["RUN", "RUN", "--clim", 2, 1], "--clim = (2.0, 1.0): must be two increasing"),
        (["RUN", "RUN#3", "--align-peaks"], "--align-peaks: there are no curves"),
        (["RUN", "none.h5"], "file = 'none.h5': there is no such file"),
        (["RUN", "RUN", "--threshold", "x"], "--threshold = 'x'"),
    ],
)
def test_mistakes(weakbeam, runs, tmp_path, arguments, said):
    file = str(runs[0] / "weakbeam.h5")
    named = [str(argument).replace("RUN", file) for argument in arguments]
    result = weakbeam("compare", *named, "-o", tmp_path / "out")
    assert result.status == 2
    assert said in result.err
    assert not (tmp_path / "out").exists()


def test_pixels_background_and_unit_are_those_of_maps(weakbeam, scan, runs, tmp_path):
    mask = np.zeros((10, 16), np.uint8)
    mask[3, 5] = 1
    np.save(tmp_path / "mask.npy", mask)
    chosen = ("--roi", "2:8,4:14", "--mask", tmp_path / "mask.npy", "--background", "100")
    unit = ("--unit", "mrad", "--align-peaks")
    result = weakbeam("compare", scan, runs[0], "-o", tmp_path / "out", *chosen, *unit)
    assert result.status == 0, result.err
    assert "1 pixel is masked" in result.err
    rows = {line.split()[0]: line.split() for line in result.out.splitlines() if " " in line}
    assert rows["image"][1] == "59"
    assert rows["mu_com"][-1] == rows["mu_fwhm"][-1] == "mrad"
    wrong = weakbeam("compare", scan, runs[0], "-o", tmp_path / "no", "--roi", "2:80,4:14")
    assert wrong.status != 0
    assert wrong.err.startswith("weakbeam: --roi")
    own = weakbeam("compare", *runs, "-o", tmp_path / "no", "--pixel-nm", "40")
    assert own.err.startswith("weakbeam: --pixel-nm = '40'")
    assert not (tmp_path / "no").exists()
