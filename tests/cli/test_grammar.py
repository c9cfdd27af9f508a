"""One grammar for all commands: FILE or -c FILE, FILE::ENTRY or --entry, folders that are made."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from weakbeam.cli.options import file_and_entry
from weakbeam.experiment import Experiment
from weakbeam.run.record import record

TEXT = """
[camera]
pixels = [6, 8]
[scan.phi]
half_range_mrad = 0.3
steps = 5
[output]
figures = false
"""
FEW = ("--set=identify.character_step_deg=90", "--set=scan.phi.value_mrad=0.1")

COMMANDS = {
    "forward": ("forward", "-o", "new"),
    "dry run": ("forward", "--dry-run"),
    "bootstrap": ("bootstrap", "--rays", "1000", "--bins", "4", "4", "4", "-q", "-o", "k.h5"),
    "optics": ("optics", "--json"),
    "reflections": ("reflections", "--json", "--theta-max", "10"),
    "generate": ("identify", "generate", *FEW, "-o", "library"),
    "study": (
        "identify",
        "study",
        *FEW,
        "--set=camera.pixels=[12, 16]",
        "--max-shift",
        "1",
        "--format",
        "none",
        "-o",
        "study",
    ),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.toml").write_text(TEXT)
    (tmp_path / "other.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------------------- the experiment


@pytest.mark.parametrize("name", COMMANDS)
def test_the_experiment_is_an_argument_or_an_option(weakbeam, here, monkeypatch, name):
    from weakbeam.cli import options

    read = []
    reader = options._read

    def watched(path):
        read.append(Path(path))
        return reader(path)

    monkeypatch.setattr(options, "_read", watched)
    assert weakbeam(*COMMANDS[name], "sub/mine.toml").status == 0
    assert read == [Path("sub/mine.toml")]


@pytest.mark.parametrize("name", ["dry run", "optics", "reflections"])
def test_both_ways_mean_the_same(weakbeam, here, name):
    as_argument = weakbeam(*COMMANDS[name], "sub/mine.toml")
    as_option = weakbeam(*COMMANDS[name], "-c", "sub/mine.toml")
    as_both = weakbeam(*COMMANDS[name], "sub/../sub/mine.toml", "-c", "sub/mine.toml")
    assert as_argument == as_option == as_both
    assert as_argument.status == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_two_experiments_are_one_too_many(weakbeam, here, name):
    before = sorted(here.rglob("*"))
    result = weakbeam(*COMMANDS[name], "sub/mine.toml", "-c", "other.toml")
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert "--config = 'other.toml'" in line
    assert "FILE = 'sub/mine.toml'" in line
    assert sorted(here.rglob("*")) == before


def test_programs_of_dfxm_geo_take_it_too(here, capsys, monkeypatch):
    from weakbeam.cli import main

    monkeypatch.setattr("sys.argv", ["dfxm-forward", "sub/mine.toml", "--output", "run", "-q"])
    with pytest.raises(SystemExit) as ended:
        main.dfxm_forward()
    assert not ended.value.code
    assert (here / "run/weakbeam.h5").exists()


# ---------------------------------------------------------------------------- entries


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """A run with two heights, so with two entries."""
    folder = tmp_path_factory.mktemp("layers")
    keys = ["camera.pixels=[6, 8]", "scan.phi.half_range_mrad=0.3", "scan.phi.steps=5"]
    keys += ["scan.z.values_um=[-1, 1]", "output.figures=false"]
    record(Experiment().with_settings(keys), folder / "run")
    return folder / "run"


@pytest.mark.parametrize(
    "said",
    [("{}::2.1",), ("{}::2",), ("{}", "--entry", "2"), ("{}", "--entry", "2.1")],
)
def test_show_takes_entries_either_way(weakbeam, layers, tmp_path, said):
    line = [word.format(layers / "weakbeam.h5") for word in said]
    result = weakbeam("show", *line, "--frame", 2, "-o", tmp_path / "deep" / "new")
    assert result.status == 0
    # Not under the name of a figure of the first entry.
    assert result.out.split() == [str(tmp_path / "deep/new/2.1_frame_0002.png")]


def test_figures_of_entries_do_not_meet(weakbeam, layers, tmp_path):
    for entry in ("1", "2"):
        line = ("show", layers / "weakbeam.h5", "--entry", entry, "--frame", 0, "--movie", "gif")
        assert weakbeam(*line, "-o", tmp_path).status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2.1_frame_0000.png",
        "2.1_movie.gif",
        "frame_0000.png",
        "movie.gif",
    ]


@pytest.mark.parametrize(
    "said",
    [("{}::2.1",), ("{}", "2.1"), ("{}", "--entry", "2.1"), ("{}::2.1", "--entry", "2.1")],
)
def test_maps_takes_entries_every_way(weakbeam, layers, tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    line = [word.format(layers / "weakbeam.h5") for word in said]
    result = weakbeam("maps", *line, "--format", "none")
    assert result.status == 0
    assert result.out.startswith("2.1 ")
    assert result.out.splitlines()[-1] == os.path.join("weakbeam_2.1_maps", "maps.h5")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("show", "{}::2.1", "--entry", "1"), "--entry = 1"),
        (("maps", "{}::2.1", "1.1"), "ENTRY = '1.1'"),
        (("maps", "{}", "1.1", "--entry", "2.1"), "--entry = '2.1'"),
    ],
)
def test_two_entries_are_one_too_many(weakbeam, layers, tmp_path, monkeypatch, command, option):
    monkeypatch.chdir(tmp_path)
    result = weakbeam(*(word.format(layers / "weakbeam.h5") for word in command))
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert option in line
    assert "differ; give one" in line
    assert not [*tmp_path.iterdir()]


def test_entries_that_are_none_are_refused(weakbeam, layers):
    for said in (("--entry", "first"), ("--entry", "0"), ("--entry", "2.2")):
        result = weakbeam("show", layers / "weakbeam.h5", *said)
        assert (result.status, len(result.err.splitlines())) == (2, 1)
        assert "such as 2 or 2.1" in result.err
    assert weakbeam("show", f"{layers / 'weakbeam.h5'}::first").status == 2


def test_a_name_with_colons_may_be_that_of_a_file(tmp_path):
    strange = tmp_path / "a::2.1"
    assert file_and_entry(strange) == (tmp_path / "a", "2.1")
    strange.write_text("")
    assert file_and_entry(strange) == (strange, None)
    assert file_and_entry("a.h5") == (Path("a.h5"), None)


# ---------------------------------------------------------------------------- reruns


def test_a_moved_run_repeats_from_anywhere(weakbeam, here, monkeypatch):
    """As a user does it: originals in one folder, the run in another, called from a third."""
    lines = "x,y,z,u,v,w,h,k,l,angle_deg\n0,0.4,0,1,0,-1,1,1,1,60\n"
    (here / "sub" / "lines.csv").write_text(lines)
    with (here / "sub" / "mine.toml").open("a") as file:
        file.write('[[defects]]\nkind = "table"\nfile = "lines.csv"\n')
    assert weakbeam("forward", "sub/mine.toml", "-o", "a/b/run", "-q").status == 0
    (here / "c").mkdir()
    (here / "a/b/run").rename(here / "c/moved")
    (here / "sub" / "lines.csv").write_text(lines.replace("0.4", "0.1"))
    monkeypatch.chdir(here / "c")
    result = weakbeam("rerun", "moved/weakbeam.h5")
    assert result.status == 0
    original = here / "sub" / "lines.csv"
    assert result.out.splitlines() == [
        f"{original}: is not the file that it was; the copy beside the images is",
        "moved/weakbeam.h5: 5 frames, the same bit for bit",
    ]
    original.unlink()
    assert f"{original}: is gone; the copy" in weakbeam("rerun", "moved/weakbeam.h5").out
    assert weakbeam("forward", "moved/experiment.toml", "-o", "again", "-q").status == 0
    assert weakbeam("show", "moved/weakbeam.h5", "-o", "figures").status == 0


# ---------------------------------------------------------------------------- materials


def test_materials_are_listed(weakbeam):
    from weakbeam.crystal.materials import MATERIALS

    result = weakbeam("materials")
    assert result.status == 0
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(MATERIALS)]] == [*MATERIALS]
    assert max(map(len, lines)) <= 110
    assert "slip families of bcc: {110}<111>, {112}<111>, {123}<111>" in lines


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("copper", ["Cu"]),
        ("CU", ["Cu"]),
        ("wurtzite", ["GaN", "ZnO"]),
        ("alu", ["Al"]),
        ("v", ["V"]),
    ],
)
def test_materials_are_found_by_name(weakbeam, name, found):
    result = weakbeam("materials", name, "--json")
    assert [entry["name"] for entry in json.loads(result.out)] == found


def test_what_a_material_may_be_asked_for(weakbeam):
    (entry,) = json.loads(weakbeam("materials", "titanium", "--energy", "19", "--json").out)
    first = entry["reflections"][0]
    # (10-10) of a hexagonal cell: d = a √3 / 2.
    assert first["hkl"] == [1, 0, -1, 0]
    assert first["d_angstrom"] == pytest.approx(2.9506 * 3**0.5 / 2)
    sine = 12.398419843 / 19 / (2 * first["d_angstrom"])
    assert first["theta_deg"] == pytest.approx(np.degrees(np.arcsin(sine)), rel=1e-6)
    assert entry["slip_families"]["basal"] == 3
    text = weakbeam("materials", "copper").out
    # What is printed can be given as it stands.
    hkl = text.partition('hkl = "')[2].partition('"')[0]
    assert hkl == "1 1 1"
    assert weakbeam(
        "forward", "--dry-run", "--set=crystal.material=copper", f"--set=reflection.hkl={hkl}",
        "--set=crystal.x_axis=1 -1 0",
    ).status == 0  # fmt: skip


def test_materials_that_are_none_are_refused(weakbeam):
    result = weakbeam("materials", "coper")
    assert (result.status, len(result.err.splitlines())) == (2, 1)
    assert "NAME = 'coper'" in result.err
    assert "did you mean 'copper'" in result.err


@pytest.mark.parametrize(
    ("image", "entry", "meant"),
    [
        ("a.h5", "2", "a.h5::2.1"),
        ("a.h5#3", "2.1", "a.h5::2.1#3"),
        ("a.h5::1.1#3", "2", "a.h5::1.1#3"),
        ("a.h5#3", None, "a.h5#3"),
        ("a.h5", "group/image", "a.h5::group/image"),
    ],
)
def test_match_takes_entries_either_way(image, entry, meant):
    from weakbeam.cli.identify_match import _with_entry

    assert _with_entry(image, entry) == meant
