"""Names of files count from the file that has them, and runs keep copies: they move, and repeat."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.experiment.files import files_named, keys_of_files, with_files
from weakbeam.experiment.presets import preset_text
from weakbeam.io.file_comparison import read_provenance
from weakbeam.io.reading import read_configuration, read_frames
from weakbeam.rerun import Original, rerun
from weakbeam.run import kept_inputs as keeping
from weakbeam.run.record import record
from weakbeam.run.simulate import simulate

IRON = """
data_iron
_cell_length_a 2.8665
_cell_length_b 2.8665
_cell_length_c 2.8665
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'I m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Fe1 Fe 0 0 0
"""

EXPERIMENT = """
[crystal]
cif = "crystals/iron.cif"
poisson_ratio = 0.29
x_axis = [1, 1, 1]

[reflection]
hkl = "1 -1 0"

[camera]
pixels = [6, 8]
pixel_nm = 400.0
model = "file"
file = "camera.toml"
photons_per_s = 1e3

[[defects]]
kind = "table"
file = "lines.csv"

[output]
figures = false
"""

LINES = "x,y,z,u,v,w,h,k,l,angle_deg\n0,0.4,0,1,1,1,1,-1,0,60\n1,-0.5,0,1,1,1,1,-1,0,90\n"


@pytest.fixture
def home(tmp_path):
    """A folder with an experiment and the three files that it names."""
    folder = tmp_path / "home"
    (folder / "crystals").mkdir(parents=True)
    (folder / "crystals" / "iron.cif").write_text(IRON)
    (folder / "camera.toml").write_text(preset_text("camera_pco_edge"), encoding="utf-8")
    (folder / "lines.csv").write_text(LINES)
    (folder / "iron.toml").write_text(EXPERIMENT)
    return folder


@pytest.fixture
def away(tmp_path, monkeypatch):
    """Another folder, in which the program runs."""
    folder = tmp_path / "away"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def frames(file):
    return read_frames(file, "1.1", np.array([0]))


def test_names_in_a_file_count_from_its_folder(home, away):
    experiment = Experiment.from_toml(home / "iron.toml")
    assert experiment.crystal.cif == str(home / "crystals/iron.cif")
    assert [Path(name).parent for name in experiment.defects[0].files] == [home]
    relative = Experiment.from_toml("../home/iron.toml")
    assert relative.camera.file == "../home/camera.toml"
    images = simulate(experiment).images.values
    assert images.max() > images.min()
    assert np.array_equal(images, simulate(relative).images.values)


def test_names_elsewhere_count_from_the_current_folder(home, away, monkeypatch):
    experiment = Experiment().with_settings(["crystal.cif=q.cif", "crystal.poisson_ratio=0.1"])
    assert experiment.crystal.cif == "q.cif"
    assert Experiment.from_toml_text(experiment.to_toml()).crystal.cif == "q.cif"
    monkeypatch.chdir(home)
    assert Experiment.from_toml("iron.toml").camera.file == "camera.toml"


def test_a_run_that_has_moved_repeats_without_its_originals(home, away):
    file = record(Experiment.from_toml(home / "iron.toml"), away / "run").file
    images = frames(file)
    text = read_configuration(file)
    assert "inputs/iron.cif" in text
    assert str(home) not in text
    assert (away / "run/experiment.toml").read_text() == text
    assert sorted(path.name for path in (away / "run/inputs").iterdir()) == [
        "camera.toml",
        "iron.cif",
        "lines.csv",
    ]
    digest = hashlib.sha256(IRON.encode()).hexdigest()
    (iron, *_) = read_provenance(file).inputs
    assert iron.original == str(home / "crystals/iron.cif")
    assert (iron.sha256, iron.kept_as) == (digest, "inputs/iron.cif")
    shutil.move(away / "run", home.parent / "moved")
    shutil.rmtree(home)
    moved = home.parent / "moved"
    result = rerun(moved / "weakbeam.h5")
    assert result.is_identical
    assert result.inputs == ()
    assert result.originals == tuple(
        Original(str(home / name), is_gone=True)
        for name in ("crystals/iron.cif", "camera.toml", "lines.csv")
    )
    # Its experiment is one like any other.
    again = record(Experiment.from_toml(moved / "experiment.toml"), away / "again").file
    assert np.array_equal(frames(again), images)


def test_originals_that_have_changed_are_told_and_not_read(home, away):
    file = record(Experiment.from_toml(home / "iron.toml"), away / "run").file
    (home / "lines.csv").write_text(LINES.replace("0.4", "0.1"))
    result = rerun(file)
    assert result.is_identical
    assert result.originals == (Original(str(home / "lines.csv"), is_gone=False),)


def test_the_original_stands_in_for_a_copy_that_is_gone(home, away):
    file = record(Experiment.from_toml(home / "iron.toml"), away / "run").file
    (away / "run/inputs/iron.cif").unlink()
    assert rerun(file).is_identical
    (home / "crystals/iron.cif").write_text(IRON.replace("2.8665", "2.8666"))
    with pytest.raises(InputError, match="no copy of it is left"):
        rerun(file)


def test_large_files_are_named_by_their_whole_path(home, away, monkeypatch):
    size = (home / "camera.toml").stat().st_size
    monkeypatch.setattr(keeping, "LARGEST_COPY", size - 1)
    assert len(IRON) < size > len(LINES)
    result = record(Experiment.from_toml("../home/iron.toml"), away / "run")
    assert f'file = "{home / "camera.toml"}"' in read_configuration(result.file)
    assert not (away / "run/inputs/camera.toml").exists()
    assert any(str(home / "camera.toml") in note and "not copied" in note for note in result.notes)
    assert rerun(result.file).is_identical
    shutil.rmtree(home)
    with pytest.raises(InputError, match=r"camera.toml.*no copy of it is left"):
        rerun(result.file)


def test_no_file_is_replaced_by_a_copy(home, away):
    run = away / "run"
    (run / "inputs").mkdir(parents=True)
    (run / "inputs/lines.csv").write_text("mine")
    file = record(Experiment.from_toml(home / "iron.toml"), run).file
    assert (run / "inputs/lines.csv").read_text() == "mine"
    assert (run / "inputs/lines-2.csv").read_text() == LINES
    assert "inputs/lines-2.csv" in read_configuration(file)
    assert rerun(file).is_identical


def test_a_run_that_is_refused_leaves_no_copies(home, away):
    record(Experiment().replace(camera={"pixels": (6, 8)}, output={"figures": False}), away / "run")
    before = sorted((away / "run").rglob("*"))
    with pytest.raises(InputError, match="exists"):
        record(Experiment.from_toml(home / "iron.toml"), away / "run")
    assert sorted((away / "run").rglob("*")) == before


def test_copies_of_a_run_go_with_it(home, away):
    run = away / "run"
    experiment = Experiment.from_toml(home / "iron.toml")
    record(experiment, run)
    (run / "inputs/notes.txt").write_text("mine")
    record(experiment.replace(defects=()), run, overwrite=True)
    assert sorted(path.name for path in (run / "inputs").iterdir()) == [
        "camera.toml",
        "iron.cif",
        "notes.txt",
    ]


def test_a_run_repeats_into_its_own_folder(home, away):
    first = record(Experiment.from_toml(home / "iron.toml"), away / "run").file
    images = frames(first)
    shutil.rmtree(home)
    experiment = Experiment.from_toml(away / "run/experiment.toml")
    assert record(experiment, away / "run", resume=True).unchanged
    record(experiment, away / "run", overwrite=True)
    assert np.array_equal(frames(first), images)
    assert (away / "run/inputs/iron.cif").read_text() == IRON


def test_a_run_is_resumed_from_another_folder(home, away, monkeypatch):
    record(Experiment.from_toml(home / "iron.toml"), away / "run")
    monkeypatch.chdir(home)
    assert record(Experiment.from_toml("iron.toml"), away / "run", resume=True).unchanged
    (home / "lines.csv").write_text(LINES.replace("0.4", "0.1"))
    with pytest.raises(InputError, match="another experiment"):
        record(Experiment.from_toml("iron.toml"), away / "run", resume=True)


def test_what_changes_while_it_is_read_is_not_taken(home, away):
    experiment = Experiment.from_toml(home / "iron.toml")
    kept = keeping.kept_inputs(experiment, keeping.fingerprint_of(experiment), away / "run")
    (home / "crystals/iron.cif").write_text("else")
    with pytest.raises(RunError, match="has changed while it was read"):
        kept.write()


def test_files_that_lead_to_others_are_kept_beside_them(home, away):
    (home / "grid").mkdir()
    (home / "grid/field.xdmf").write_text("<Xdmf/>")
    (home / "grid/field.h5").write_text("numbers")
    group = [str(home / "grid" / name) for name in ("field.xdmf", "field.h5")]
    hashes = {name: keeping.file_sha256(name) for name in [*group, str(home / "iron.toml")]}
    files = keeping.kept_files([group, [str(home / "iron.toml")]], hashes, away / "run")
    assert [file.stored for file in files.values()] == [
        "inputs/field/field.xdmf",
        "inputs/field/field.h5",
        "inputs/iron.toml",
    ]
    for file in files.values():
        file.write(away / "run")
    assert (away / "run/inputs/field/field.h5").read_text() == "numbers"


def test_every_key_with_a_file_is_known_by_its_kind():
    assert keys_of_files(Experiment) == {"cif", "file"}
    experiment = Experiment.from_toml_text(EXPERIMENT)
    assert dict(files_named(experiment)) == {
        "crystal.cif": "crystals/iron.cif",
        "camera.file": "camera.toml",
        "defects[0].file": "lines.csv",
    }
    renamed = with_files(experiment, str.upper)
    assert [name for _, name in files_named(renamed)] == [
        "CRYSTALS/IRON.CIF",
        "CAMERA.TOML",
        "LINES.CSV",
    ]
    assert with_files(renamed, str.upper) is renamed
    assert with_files(Experiment(), str.upper).model_fields_set == set()


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_libraries_and_training_sets_keep_copies_too(home, away, mode):
    from weakbeam.identify.library.writing import generate_images

    keys = [f"identify.mode={mode}", "identify.character_step_deg=90", "scan.phi.value_mrad=0.1"]
    keys += ["identify.images=3"] * (mode == "multi")
    experiment = Experiment.from_toml(home / "iron.toml").with_settings(
        [*keys, "crystal.structure=bcc", "crystal.slip_families=['{110}<111>']"]
    )
    made = generate_images(experiment, away / "set", workers=1).file
    shutil.move(away / "set", home.parent / "moved")
    shutil.rmtree(home)
    assert (home.parent / "moved/inputs/camera.toml").exists()
    result = rerun(home.parent / "moved" / made.name, workers=1)
    assert result.is_identical
    assert {Path(original.name).name for original in result.originals} >= {"iron.cif"}
