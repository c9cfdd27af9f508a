"""``weakbeam convert``, called as a user calls it."""

import pytest

from weakbeam.experiment import Experiment

OLD = """
[reciprocal]
keV = 17.0
Nrays = 1000
beamstop = false
[scan.phi]
value = 1.5e-4
[scan.two_dtheta]
value = 1e-4
[detector_geometry]
Npixels = 60
[detector]
model = "ideal"
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    return path


def test_it_writes_an_experiment_and_tells_what_changes(weakbeam, old, tmp_path):
    new = tmp_path / "new.toml"
    result = weakbeam("convert", old, "-o", new)
    assert result.status == 0
    assert result.out == f"wrote {new}\n"
    notes = result.err.splitlines()
    assert all(line.startswith("note: ") for line in notes)
    assert sum("scan.two_dtheta" in line for line in notes) == 1
    assert sum("reciprocal.Nrays: ignored" in line for line in notes) == 1
    experiment = Experiment.from_toml(new)
    assert experiment.scan.two_theta.value_mrad == pytest.approx(-0.1)
    assert experiment.camera.pixels == (20, 60)


def test_it_prints_what_can_be_run(weakbeam, old):
    result = weakbeam("convert", "--reproduce", "-q", old)
    assert result.err == ""
    assert Experiment.from_toml_text(result.out).compatibility.dfxm_geo_projection


def test_a_file_that_is_there_is_kept(weakbeam, old, tmp_path):
    new = tmp_path / "new.toml"
    new.write_text("# mine")
    result = weakbeam("convert", old, "-o", new)
    assert result.status == 2
    assert "--force" in result.err.splitlines()[-1]
    assert new.read_text() == "# mine"
    kept = weakbeam("convert", old, "-o", new, "--force")
    assert (kept.status, new.read_text()) == (2, "# mine")
    new.write_text("[beam]\nenergy_keV = 18.0\n")
    assert weakbeam("convert", old, "-o", new, "--force").status == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[beam]\nenergy_keV = 17\n", "no key of dfxm-geo"),
        ("[reciprocal]\nkeV = 'a'\n", "reciprocal.keV"),
        ("[reciprocal]\nkeV = 1e9\n", "beam.energy_keV"),
        ("[reciprocal\n", "must be TOML"),
    ],
)
def test_mistakes_are_one_line(weakbeam, tmp_path, text, told):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    result = weakbeam("convert", path)
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    assert told in result.err
    assert result.out == ""
