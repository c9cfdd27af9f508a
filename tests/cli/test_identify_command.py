"""``weakbeam identify generate``, and the group of commands that it belongs to."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from weakbeam.cli.main import dfxm_identify
from weakbeam.identify.library.library_files import read_library
from weakbeam.io.library_file import read_tables

SMALL = [
    "--set=camera.pixels=[8, 12]",
    "--set=camera.oversampling=point",
    "--set=identify.character_step_deg=90",
    "--set=scan.phi.value_mrad=0.15",
]


def test_makes_a_library(weakbeam, tmp_path):
    result = weakbeam("identify", "generate", *SMALL, "-o", tmp_path)
    assert result.status == 0, result.err
    assert "48 images of 48 types of dislocations in" in result.out
    assert "12 of 48 cannot be seen" in result.out
    assert len(read_library(tmp_path).visible) == 36
    again = weakbeam("identify", "generate", *SMALL, "-o", tmp_path)
    assert again.status == 2
    assert "library.h5': exists" in again.err
    more = weakbeam("identify", "generate", *SMALL, "-o", tmp_path, "--overwrite", "-q")
    assert (more.status, more.out, more.err) == (0, "", "")


def test_the_resolved_experiment_makes_the_same_library(weakbeam, tmp_path):
    weakbeam("identify", "generate", *SMALL, "-o", tmp_path / "first")
    config = tmp_path / "first" / "experiment.toml"
    assert weakbeam("identify", "generate", "-c", config, "-o", tmp_path / "second").status == 0
    first, second = (read_library(tmp_path / name) for name in ("first", "second"))
    assert (first.images == second.images).all()


@pytest.mark.parametrize(
    "setting",
    [
        "characters_deg=[0, 0]",
        "characters_deg=[0, 360]",
        "planes=[[1, 1, 1], [-1, -1, -1]]",
        "burgers=[[1, 0, -1], [-1, 0, 1], [1, 0, -1]]",
    ],
)
def test_what_is_listed_twice_is_there_once(weakbeam, tmp_path, setting):
    key = setting.partition("=")[0]
    alone = {"characters_deg": "[0]", "planes": "[[1, 1, 1]]", "burgers": "[[1, 0, -1]]"}[key]
    tables = []
    for name, given in (("once", f"{key}={alone}"), ("twice", setting)):
        folder = tmp_path / name
        changes = [part for part in SMALL if key != "characters_deg" or "step" not in part]
        weakbeam("identify", "generate", *changes, f"--set=identify.{given}", "-o", folder)
        tables.append(read_tables(folder / "library.h5")[1])
    once, twice = tables
    for name, table in once.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, twice[name][column])


def test_modes_and_seeds(weakbeam, tmp_path):
    options = ["--mode", "multi", "--set=identify.images=3", "--set=camera.model=pco_edge"]
    for seed in (1, 2):
        result = weakbeam(
            "identify", "generate", *SMALL, *options, "--seed", seed, "-o", tmp_path / str(seed)
        )
        assert result.status == 0, result.err
        assert "3 images of 48 types" in result.out
    (_, one, _), (_, two, _) = (read_tables(tmp_path / n / "training.h5") for n in ("1", "2"))
    assert (one["lines"]["position"] != two["lines"]["position"]).all()
    heights = ["--mode", "z-scan", "--set=scan.z.values_um=[0, 0.5]"]
    result = weakbeam("identify", "generate", *SMALL, *heights, "-o", tmp_path / "z")
    assert "48 images of 48 types of dislocations, 2 frames each" in result.out


def test_a_training_set_in_parts_and_shards(weakbeam, tmp_path):
    options = ["--mode", "multi", "--set=identify.images=5", "--split", "0.4/0.4/0.2"]
    place = ["-o", tmp_path / "deep" / "set"]
    shards = ["--format", "webdataset", "--set=identify.images_per_shard=2"]
    result = weakbeam("identify", "generate", *SMALL, *options, *shards, "--dry-run", *place)
    assert result.status == 0, result.err
    assert "# images   5 of 8 x 12 pixels\n" in result.out
    assert re.search(r"# types    48 types of dislocations, 36 visible, \d+ classes", result.out)
    assert re.search(
        r"# split    \d to train with, \d to validate with, \d to test with", result.out
    )
    assert re.search(
        r"# files    [345] shards\n# disk     about .* GB\n# time     about", result.out
    )
    assert not (tmp_path / "deep").exists()
    result = weakbeam("identify", "generate", *SMALL, *options, *shards, *place)
    assert result.status == 0, result.err
    last = result.out.splitlines()[-1]
    assert re.search(r"training.json: 5 images of 48 types of dislocations in .* s, ", last)
    assert re.search(r", [\d.e+]+ images/s, [\d.]+ MB$", last)
    again = weakbeam("identify", "generate", *SMALL, *options, *shards, *place, "--resume")
    assert again.status == 0, again.err
    assert "already complete; nothing has changed" in again.out


def test_a_dry_run_of_a_library(weakbeam, tmp_path):
    result = weakbeam("identify", "generate", *SMALL, "--dry-run", "-o", tmp_path / "library")
    assert result.status == 0, result.err
    assert "# images   48 of 8 x 12 pixels\n# types    48 types of dislocations, 36 v" in result.out
    assert not (tmp_path / "library").exists()


def test_an_interrupted_set_is_gone_on_with(weakbeam, tmp_path, monkeypatch):
    from weakbeam.identify.library.training import TrainingPlan

    make = TrainingPlan.make

    def interrupted(plan, number):
        if number == 3:
            raise KeyboardInterrupt
        return make(plan, number)

    monkeypatch.setattr("weakbeam.identify.library.new_files._BATCH_BYTES", 1)
    monkeypatch.setattr(TrainingPlan, "make", interrupted)
    options = [*SMALL, "--mode", "multi", "--set=identify.images=5", "--workers", "1"]
    options += ["-o", tmp_path]
    result = weakbeam("identify", "generate", *options)
    assert result.status == 130
    assert result.err == (
        "weakbeam: interrupted; 3 of 5 images were made, --resume goes on with them\n"
    )
    monkeypatch.setattr(TrainingPlan, "make", make)
    refused = weakbeam("identify", "generate", *options)
    assert refused.status == 2
    assert "unfinished training set: --resume goes on with it, --overwrite begins" in refused.err
    result = weakbeam("identify", "generate", *options, "--resume")
    assert result.status == 0, result.err
    assert "5 images of 48 types of dislocations (2 now) in" in result.out


def test_the_alias(tmp_path, monkeypatch, capsys):
    config = tmp_path / "small.toml"
    config.write_text(
        "[camera]\npixels = [8, 12]\n[identify]\nburgers = [[1, 0, 1]]\ncharacter_step_deg = 90\n"
    )
    arguments = ["dfxm-identify", "--config", str(config), "--output", str(tmp_path / "library")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        dfxm_identify()
    assert ended.value.code == 0
    assert "8 images of 8 types" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["identify.burger=[[1, 0, 1]]"], "did you mean identify.burgers?"),
        (
            ["identify.mode=single", "identify.images=3"],
            'identify.images = 3: needs mode = "multi"',
        ),
        (["identify.burgers=[[1, 1, 1]]"], "is in no slip system; there are [1, 0, -1], "),
        (["identify.noise=true"], "needs a camera that counts"),
        (["identify.fewest_dislocations=3", "identify.mode=multi"], "must not exceed dislocations"),
        (["identify.margin_px=4", "identify.mode=multi"], "leaves nothing of images of 8 x 12"),
        (["reflection.hkl=[1, 0, 0]"], "reflection.hkl"),
        (
            ["identify.mode=multi", "identify.vary={energy_keV=[16, 18]}"],
            "identify.vary.energy_keV = [16, 18]: cannot vary in a training set; phi_mrad, ",
        ),
        (["identify.split=[0.8, 0.1, 0.1]"], 'identify.split = [0.8, 0.1, 0.1]: needs mode = "mu'),
        (["identify.character_step_deg=0"], "must be a number from 0.01 to 360"),
    ],
)
def test_mistakes_are_told_in_one_line(weakbeam, tmp_path, settings, message):
    changes = [f"--set={setting}" for setting in settings]
    folder = tmp_path / "library"
    result = weakbeam("identify", "generate", *SMALL, *changes, "-o", folder)
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert message in result.err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "0.8/0.3/0.1", "--mode", "multi"], "must be three shares that add up to 1"),
        (["--split", "most/few", "--mode", "multi"], "is not three numbers, such as 0.8/0.1/0.1"),
        (["--resume", "--overwrite"], "--resume: cannot go with --overwrite; choose one"),
        (["--resume"], "--resume: libraries are made as a whole; training sets go on"),
        (["--resume", "--mode", "multi"], "has no training set that is unfinished"),
    ],
)
def test_mistakes_in_options(weakbeam, tmp_path, options, message):
    result = weakbeam("identify", "generate", *SMALL, *options, "-o", tmp_path / "set")
    assert result.status == 2
    assert message in result.err
    assert not (tmp_path / "set").exists()


def test_help_of_the_group_loads_no_command():
    code = (
        "import sys\n"
        "from weakbeam.cli.main import main\n"
        "try: main(['identify', '--help'])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert 'weakbeam.cli.identify_generate' not in sys.modules\n"
        "assert 'numpy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "generate" in done.stdout


def test_unknown_commands(weakbeam):
    result = weakbeam("identify", "guess")
    assert result.status == 2
    assert "No such command 'guess'" in result.err
