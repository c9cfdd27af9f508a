"""``weakbeam convert``, called as a user calls it."""

from pathlib import Path

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
    assert notes[-1] == "note: ignored: reciprocal.Nrays"
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
    assert "--overwrite" in result.err.splitlines()[-1]
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


# ---------------------------------------------------------------------------- notes, folders

MANY = (
    OLD
    + """
[io]
ftype = ".npy"
fn_prefix = "/x"
"""
)


def test_notes_begin_with_what_changes_the_image(weakbeam, tmp_path):
    (tmp_path / "old.toml").write_text(MANY.replace("beamstop = false", "beamstop = true"))
    lines = weakbeam("convert", tmp_path / "old.toml").err.splitlines()
    first, second = (
        lines.index(f"note: {heading}")
        for heading in ("changes the image:", "the same, in another form:")
    )
    assert first == 0
    changing, same = lines[first:second], lines[second:]
    assert any("bs_height" in line for line in changing)
    assert any("projection" in line for line in changing)
    assert any("two_dtheta" in line for line in same)
    assert lines[-1] == "note: ignored: reciprocal.Nrays, io.fn_prefix, io.ftype"


def test_reasons_are_told_when_asked_for(weakbeam, tmp_path):
    (tmp_path / "old.toml").write_text(MANY)
    told = weakbeam("convert", "-v", tmp_path / "old.toml").err
    assert "note: io.ftype: ignored: one file has everything, weakbeam.h5\n" in told
    assert "note: ignored:" not in told


def test_keys_that_are_misspelt_stand_apart(weakbeam, tmp_path):
    (tmp_path / "old.toml").write_text(OLD.replace("Nrays", "Nrayz"))
    first = weakbeam("convert", tmp_path / "old.toml").err.splitlines()[0]
    assert first.startswith("note: reciprocal.Nrayz: ignored: dfxm-geo has no such key; did you")


@pytest.fixture
def configs(tmp_path):
    folder = tmp_path / "configs"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.toml").write_text(OLD)
    (folder / "deep" / "b.toml").write_text(MANY)
    (folder / "mine.toml").write_text("[beam]\nenergy_keV = 18\n")
    return folder


def test_a_whole_folder_is_converted(weakbeam, configs, tmp_path):
    new = tmp_path / "deep" / "new"
    result = weakbeam("convert", configs, "-o", new)
    assert result.status == 0
    written = [new / "a.toml", new / "deep/b.toml"]
    assert result.out.splitlines() == [f"wrote {path}" for path in written]
    assert all(Experiment.from_toml(path).camera.pixels == (20, 60) for path in written)
    lines = result.err.splitlines()
    # What is said of both files is said once.
    assert sum("projection" in line for line in lines) == 1
    assert lines[-1] == "note: not of dfxm-geo, and left out: mine.toml"
    assert not (new / "mine.toml").exists()


def test_a_folder_is_written_as_a_whole_or_not_at_all(weakbeam, configs, tmp_path):
    new = tmp_path / "new"
    (configs / "deep" / "b.toml").write_text("[reciprocal]\nkeV = 1e9\n")
    result = weakbeam("convert", configs, "-o", new)
    assert result.status == 2
    assert result.err.splitlines()[0].startswith("weakbeam: deep/b.toml: beam.energy_keV")
    assert "nothing was written" in result.err
    assert not new.exists()
    (configs / "deep" / "b.toml").unlink()
    assert weakbeam("convert", configs, "-o", new).status == 0
    again = weakbeam("convert", configs, "-o", new)
    assert again.status == 2
    assert "--overwrite replaces it" in again.err
    assert weakbeam("convert", configs, "-o", new, "--overwrite").status == 0
    assert weakbeam("convert", configs).status == 2
    assert weakbeam("convert", configs, "-o", configs).status == 2


def test_a_folder_may_be_converted_into_itself_again(weakbeam, configs):
    """What it wrote there is not read."""
    for _ in range(2):
        result = weakbeam("convert", configs, "-o", configs / "new", "--overwrite", "-q")
        assert result.status == 0
        assert len(result.out.splitlines()) == 2
    assert not (configs / "new" / "new").exists()


def test_crystals_are_found_from_where_the_experiment_is_written(weakbeam, tmp_path, monkeypatch):
    cif = Path(__file__).parents[1] / "data" / "aluminium.cif"
    old = tmp_path / "configs"
    old.mkdir()
    (old / "al.cif").write_bytes(cif.read_bytes())
    (old / "old.toml").write_text(OLD + '[crystal]\ncif = "al.cif"\n')
    monkeypatch.chdir(tmp_path)
    assert weakbeam("convert", "configs/old.toml", "-o", "far/away/new.toml").status == 0
    text = Path("far/away/new.toml").read_text()
    assert 'cif = "../../configs/al.cif"' in text
    found = Experiment.from_toml("far/away/new.toml").crystal.cif
    assert Path(found).resolve() == (old / "al.cif").resolve()
    assert 'cif = "configs/al.cif"' in weakbeam("convert", "configs/old.toml").out
