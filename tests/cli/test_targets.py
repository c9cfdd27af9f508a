"""Where commands write: never over what is not theirs, whatever the command."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from weakbeam.experiment import Experiment
from weakbeam.identify.library.writing import generate_images
from weakbeam.io.targets import written_by
from weakbeam.run.record import record

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")

KEYS = [
    "camera.pixels=[6, 8]",
    "camera.oversampling=point",
    "scan.phi.half_range_mrad=0.3",
    "scan.phi.steps=4",
]
SMALL = Experiment().with_settings([*KEYS, "output.figures=false"])
SET = [f"--set={key}" for key in KEYS]
TYPES = [
    "--set=camera.pixels=[6, 8]",
    "--set=camera.oversampling=point",
    "--set=identify.character_step_deg=90",
]


@dataclass(frozen=True)
class Command:
    """A command that writes; `{o}` stands for its output, which `files` lie in, if it is a folder.

    `is_same` tells that what comes out the same is no replacement.
    """

    arguments: tuple[str, ...]
    files: tuple[str, ...] = ()
    is_same: bool = False
    option: str = "-o"

    @property
    def name(self) -> str:
        return " ".join(self.arguments[:2]).split(" {")[0]

    def line(self, output: object, *, overwrite: bool = False) -> list[str]:
        flag = ["--overwrite"] if overwrite else []
        return [*self.arguments, self.option, str(output), *flag]


COMMANDS = [
    Command(
        ("forward", *SET, "--set=output.field=true"),
        (
            "weakbeam.h5",
            "experiment.toml",
            "weakbeam_truth.h5",
            "figures/image.png",
            "figures/maps.png",
            "weakbeam.lock",
        ),
    ),
    Command(
        ("forward", *SET, "--set=output.layout=bliss", "--set=output.figures=false"),
        ("weakbeam.h5", "scan0001/pco_ff_0000.h5"),
    ),
    Command(("bootstrap", "--rays", "1000", "--bins", "4", "4", "4")),
    Command(("maps", "run/weakbeam.h5"), ("maps.h5",)),
    Command(("show", "run/weakbeam.h5", "--frame", "1"), ("frame_0001.png",), True),
    Command(("show", "run/weakbeam.h5", "--movie", "gif"), ("movie.gif",)),
    Command(("reflections", "--theta-max", "10")),
    Command(("optics",)),
    Command(("identify", "generate", *TYPES), ("library.h5", "experiment.toml", "weakbeam.lock")),
    Command(
        ("identify", "match", "run/weakbeam.h5#1", "--library", "library", "--max-shift", "1"),
        ("match.json", "ranking.png"),
    ),
    Command(
        ("identify", "study", *TYPES, "--set=camera.pixels=[12, 16]", "--max-shift", "1"),
        ("study.json", "types.csv", "exposure.png"),
    ),
    Command(
        ("sweep", "run", "sweep.toml", "--workers", "1", "-q"),
        ("sweep.txt", "tasks.csv", "sweep.h5", "plans", "shards", "sweep.lock"),
    ),
    Command(("convert", "old.toml")),
    Command(("init", "--template", "default"), ("default.toml",), option="--dest"),
    Command(("rerun", "run/weakbeam.h5"), ("weakbeam.h5", "experiment.toml")),
]
FIGURES = ("reflections", "optics")
IN_FOLDERS = [(command, name) for command in COMMANDS for name in command.files]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What the commands read, in one folder."""
    folder = tmp_path_factory.mktemp("inputs")
    record(SMALL, folder / "run")
    few = ["camera.pixels=[6, 8]", "identify.character_step_deg=90", "scan.phi.value_mrad=-0.1"]
    generate_images(Experiment().with_settings(few), folder / "library")
    (folder / "sweep.toml").write_text(
        '[[axes]]\nkey = "beam.energy_keV"\nvalues = [17, 18]\n'
        "[experiment.camera]\npixels = [4, 6]\n"
    )
    (folder / "old.toml").write_text("[reciprocal]\nkeV = 17.0\n")
    return folder


@pytest.fixture
def here(inputs, tmp_path, monkeypatch):
    """A folder to write in; what the commands read is seen from it."""
    for item in inputs.iterdir():
        (tmp_path / item.name).symlink_to(item)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(command):
    return command.name if isinstance(command, Command) else str(command)


def output_of(command: Command) -> Path:
    return Path("new.png" if command.name.startswith(FIGURES) else "new")


def contents(output: Path) -> dict[Path, bytes]:
    files = output.rglob("*") if output.is_dir() else [output]
    return {path: path.read_bytes() for path in files if path.is_file()}


def refused(result, path):
    assert result.status == 2, result
    assert len(result.err.splitlines()) == 1, result.err
    assert Path(path).name in result.err or str(Path(path).parent) in result.err, result.err


@pytest.mark.parametrize(("command", "name"), IN_FOLDERS, ids=named)
def test_what_is_no_regular_file_stays_in_a_folder(weakbeam, here, command, name):
    target = Path("new") / name
    target.parent.mkdir(parents=True)
    os.mkfifo(target)
    refused(weakbeam(*command.line("new", overwrite=True)), target)
    assert stat.S_ISFIFO(target.stat().st_mode)


@pytest.mark.parametrize(("command", "name"), IN_FOLDERS, ids=named)
def test_foreign_files_stay_in_a_folder(weakbeam, here, command, name):
    target = Path("new") / name
    target.parent.mkdir(parents=True)
    target.write_text("precious")
    refused(weakbeam(*command.line("new", overwrite=True)), target)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_what_is_no_file_and_no_folder_stays(weakbeam, here, command):
    output = output_of(command)
    os.mkfifo(output)
    refused(weakbeam(*command.line(output, overwrite=True)), output)
    assert stat.S_ISFIFO(output.stat().st_mode)


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_a_foreign_file_or_folder_stays(weakbeam, here, command):
    output = output_of(command)
    output.write_text("precious")
    refused(weakbeam(*command.line(output, overwrite=True)), output)
    assert output.read_text() == "precious"
    refused(weakbeam(*command.line(output / output.name, overwrite=True)), output)
    assert output.read_text() == "precious"
    if not command.files:
        output.unlink()
        output.mkdir()
        refused(weakbeam(*command.line(output, overwrite=True)), output)
        assert output.is_dir()


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_links_that_go_round_in_circles(weakbeam, here, command):
    output = output_of(command)
    output.symlink_to(output)
    refused(weakbeam(*command.line(output, overwrite=True)), output)
    refused(weakbeam(*command.line(output / "below" / output.name)), output)
    assert output.is_symlink()


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_an_empty_name_is_none(weakbeam, here, command):
    before = sorted(here.iterdir())
    result = weakbeam(*command.line(""))
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    assert command.option in result.err
    assert sorted(here.iterdir()) == before


def test_what_is_read_is_not_written(weakbeam, here, inputs):
    """Under any of its names."""
    linked = here / "linked"
    linked.mkdir()
    os.link(inputs / "run" / "weakbeam.h5", linked / "maps.h5")
    read = [
        (("maps", "run/weakbeam.h5", "-o", "linked", "--overwrite"), "reads"),
        (("maps", "linked/maps.h5", "-o", "linked", "--overwrite"), "reads"),
        (("rerun", "run/weakbeam.h5", "-o", "run", "--overwrite"), "is repeated"),
        (("identify", "match", "run/weakbeam.h5#1", "-l", "library", "-o", "library"), "reads"),
        (("identify", "match", "run/weakbeam.h5#1", "-l", "library", "-o", "library/x"), "reads"),
        (("convert", "old.toml", "-o", "old.toml", "--force"), "reads"),
        (("bootstrap", "-c", "run/experiment.toml", "-o", "run/experiment.toml"), "reads"),
        (("bootstrap", "-o", "run/weakbeam.h5", "--overwrite"), "is not a kernel"),
        (
            ("forward", "-c", "run/experiment.toml", "-o", "run", "--overwrite", "--seed", "3"),
            "reads",
        ),
    ]
    before = {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()}
    for line, why in read:
        result = weakbeam(*line)
        assert result.status == 2, line
        assert why in result.err, (line, result.err)
    assert {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_what_a_command_has_written_it_replaces_when_told_to(weakbeam, here, command):
    output = Path("deep/down") / output_of(command)
    assert weakbeam(*command.line(output)).status == 0
    before = contents(output)
    assert before
    again = weakbeam(*command.line(output))
    assert again.status == (0 if command.is_same else 2)
    assert command.is_same or "overwrite" in again.err
    assert contents(output) == before
    result = weakbeam(*command.line(output, overwrite=True))
    assert result.status == 0, result.err
    assert not list(here.rglob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "main", "figure"),
    [
        (("maps", "run/weakbeam.h5"), "maps.h5", "intensity.png"),
        (
            ("identify", "match", "run/weakbeam.h5#1", "--library", "library", "--max-shift", "1"),
            "match.json",
            "match.png",
        ),
        (("forward", *SET), "weakbeam.h5", "figures/image.png"),
    ],
)
def test_a_figure_alone_is_not_replaced_unasked(weakbeam, here, arguments, main, figure):
    """Nor is anything else written."""
    assert weakbeam("optics", "-o", f"new/{figure}").status == 0
    before = contents(here / "new")
    result = weakbeam(*arguments, "-o", "new")
    assert result.status == 2
    assert Path(figure).name in result.err
    assert "--overwrite replaces it" in result.err
    assert contents(here / "new") == before
    assert weakbeam(*arguments, "-o", "new", "--overwrite").status == 0
    assert (here / "new" / main).exists()


def test_another_picture_of_a_scan_needs_a_word(weakbeam, here):
    assert weakbeam("show", "run/weakbeam.h5", "-o", "new").status == 0
    before = contents(here / "new")
    assert weakbeam("show", "run/weakbeam.h5", "-o", "new").status == 0
    result = weakbeam("show", "run/weakbeam.h5", "-o", "new", "--scale", "log")
    assert result.status == 2
    assert "image.png': exists: --overwrite replaces it" in result.err
    assert contents(here / "new") == before
    weakbeam("show", "run/weakbeam.h5", "-o", "new", "--scale", "log", "--overwrite")
    changed = {path.name for path, data in contents(here / "new").items() if data != before[path]}
    assert changed == {"image.png"}


def test_kinds_of_files_are_told_from_each_other(weakbeam, here):
    assert weakbeam("maps", "run/weakbeam.h5", "-o", "maps", "--format", "none").status == 0
    few = ("--rays", "1000", "--bins", "4", "4", "4", "-q")
    assert weakbeam("bootstrap", "-o", "kernel.h5", *few).status == 0
    assert weakbeam("sweep", "run", "sweep.toml", "-o", "many", "--workers", "1", "-q").status == 0
    many = "--set=output.field=true", "--set=output.layout=bliss"
    assert weakbeam("forward", "-o", "bliss", *SET, *many).status == 0
    kinds = {
        "run/weakbeam.h5": "run",
        "library/library.h5": "library",
        "maps/maps.h5": "maps",
        "kernel.h5": "kernel",
        "many/sweep.h5": "index",
        "bliss/weakbeam.h5": "run",
        "bliss/weakbeam_truth.h5": "truth",
        "bliss/scan0001/pco_ff_0000.h5": "source",
        "sweep.toml": "",
    }
    assert {name: written_by(Path(name)) for name in kinds} == kinds
    (shard, *_) = Path("many/shards").glob("*.h5")
    assert written_by(shard) == "shard"
    half = Path("half.h5")
    half.write_bytes(Path("kernel.h5").read_bytes()[:3000])
    assert written_by(half) == "damaged"
