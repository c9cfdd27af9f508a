"""Kills, full disks, read-only folders, second runs, clocks that jump: one line, nothing lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.io.lock import LOCK, alone_in
from weakbeam.io.reading import frames_done, read_frames
from weakbeam.run.record import record

KEYS = [
    "camera.pixels=[20, 30]",
    "camera.oversampling=point",
    "camera.pixel_nm=200",
    "scan.phi.half_range_mrad=0.3",
    "scan.phi.steps=9",
    "scan.chi.half_range_mrad=0.5",
    "scan.chi.steps=5",
    "output.figures=false",
]
SETTINGS = [f"--set={key}" for key in KEYS]
SCAN = Experiment().with_settings(KEYS)

PROGRAM = """
import os, sys
import weakbeam.imaging.engine as engine
from weakbeam.cli.main import main

engine.BATCH_BYTES = 4 * 20 * 30 * 4
kind, amount = sys.argv[1], int(sys.argv[2])
frames_at = engine.Engine.batches

def batches(self, rocks, rolls, wanted=None, progress=None):
    for number, batch in enumerate(frames_at(self, rocks, rolls, wanted, progress)):
        if number == amount:
            if kind == "kill":
                os.kill(os.getpid(), 9)
            print("ready", flush=True)
            sys.stdin.read()
        yield batch

engine.Engine.batches = batches
main(sys.argv[3:])
"""

# Starting a program takes longer than what it does here.
COMMANDS = """
import contextlib, io, json, sys
import weakbeam.imaging.engine as engine
from weakbeam.cli.main import main

def limit(amount):
    import resource
    most = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (most if amount is None else amount, most))

engine.BATCH_BYTES = 4 * 20 * 30 * 4
ended = []
for largest, arguments in json.loads(sys.argv[1]):
    if largest is not None:
        limit(largest)
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            main(arguments)
        except SystemExit as end:
            ended.append([int(end.code or 0), said.getvalue()])
    if largest is not None:
        limit(None)
print(json.dumps(ended))
"""


def program(kind: str, amount: int, *arguments: object) -> list[str]:
    """Run ``weakbeam`` so that it meets a fault.

    ``kill``: it dies at that batch; ``wait``: it waits there until its input ends.
    """
    return [sys.executable, "-c", PROGRAM, kind, str(amount), *map(str, arguments)]


def run_all(folder, *commands, prefix=()) -> list[tuple[int, str]]:
    """Exit status and stderr of quiet commands that one process runs in a folder.

    A command is the largest size of a file that it may write, or None, and its arguments.
    """
    task = json.dumps([[size, [str(part) for part in parts]] for size, parts in commands])
    call = [*prefix, sys.executable, "-c", COMMANDS, task]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    ended = [(status, said) for status, said in json.loads(done.stdout)]
    assert len(ended) == len(commands)
    return ended


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def without_rights() -> list[str]:
    """What makes a program respect the modes of files although the tests may run as root."""
    if sys.platform == "win32":
        pytest.skip("folders have no modes")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to give up the rights of root")
    return ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]


def contents(folder) -> dict[str, object]:
    """Every data set of a run but for times."""
    found = {}

    def visit(name, item):
        times = {"start_time", "end_time", "date"}
        if isinstance(item, h5py.Dataset) and name.rpartition("/")[2] not in times:
            found[name] = np.asarray(item[()])

    with h5py.File(folder / "weakbeam.h5") as file:
        file.visititems(visit)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing has happened to."""
    return record(SCAN, tmp_path_factory.mktemp("whole")).file


def assert_marks_are_true(file, whole) -> int:
    """Every frame that is marked as done is the true one; how many there are."""
    done = np.flatnonzero(frames_done(file)["1.1"])
    np.testing.assert_array_equal(read_frames(file, indices=done), read_frames(whole, indices=done))
    return len(done)


def test_a_killed_run_goes_on(weakbeam, tmp_path, whole):
    folder = tmp_path / "run"
    ended = run(program("kill", 5, "forward", "-o", folder, "--workers", 1, *SETTINGS))
    assert ended.returncode == -9
    assert (folder / LOCK).exists()
    assert 0 < assert_marks_are_true(folder / "weakbeam.h5", whole) < 45
    result = weakbeam("forward", "-o", folder, "--resume", *SETTINGS)
    assert result.status == 0, result.err
    assert {p.name for p in folder.iterdir()} == {"weakbeam.h5", "experiment.toml"}
    assert assert_marks_are_true(folder / "weakbeam.h5", whole) == 45


def test_a_run_killed_before_its_first_frame_goes_on(weakbeam, tmp_path, whole):
    folder = tmp_path / "run"
    assert run(program("kill", 0, "forward", "-o", folder, *SETTINGS)).returncode == -9
    assert assert_marks_are_true(folder / "weakbeam.h5", whole) == 0
    assert weakbeam("forward", "-o", folder, "--resume", *SETTINGS).status == 0
    again = record(SCAN, tmp_path / "again").file
    np.testing.assert_equal(contents(folder), contents(again.parent))


FORWARD = ["forward", "-q", "--workers", 1, *SETTINGS, "-o"]
BOOTSTRAP = ["bootstrap", "--rays", 10_000, "--bins", 20, 20, 20, "-q", "-o"]
POINTS = "--set=camera.oversampling=point"
GENERATE = ["identify", "generate", "-q", "--set=camera.pixels=[16, 48]", POINTS, "-o"]
SIZES = (0, 30_000, 90_000, 195_000, 230_000)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """What runs left, and said, where no file could grow beyond a size; and other commands."""
    if sys.platform == "win32":
        pytest.skip("limits the size of files")
    folder = tmp_path_factory.mktemp("full")
    runs = {size: (size, [*FORWARD, f"{size}"]) for size in SIZES}
    others = {
        "bootstrap": (20_000, [*BOOTSTRAP, "bootstrap/kernel.h5"]),
        "identify": (20_000, [*GENERATE, "identify"]),
    }
    commands = runs | others
    ended = run_all(folder, *commands.values())
    return {name: (folder / str(name), *end) for name, end in zip(commands, ended, strict=True)}


@pytest.mark.parametrize("size", SIZES)
def test_a_full_disk(weakbeam, full, whole, size):
    folder, status, said = full[size]
    assert status == 1, said
    (line,) = said.splitlines()
    assert "File too large" in line
    file = folder / "weakbeam.h5"
    assert not (folder / LOCK).exists()
    if not file.exists():
        assert not [item for item in folder.rglob("*") if item.is_file()]
        return
    assert assert_marks_are_true(file, whole) < 45
    assert weakbeam("forward", "-o", folder, "--resume", *SETTINGS).status == 0
    assert assert_marks_are_true(file, whole) == 45


@pytest.mark.parametrize("name", ["bootstrap", "identify"])
def test_a_full_disk_for_other_files(full, name):
    folder, status, said = full[name]
    assert status in (1, 2)
    (line,) = said.splitlines()
    assert re.search("File too large|cannot be written", line)
    assert not [path for path in folder.rglob("*") if path.is_file() and ".h5" in path.name]


LOCKED = {
    "forward": ["forward", "--set=output.figures=false", "-o", "locked"],
    "new folder": ["forward", "--set=output.figures=false", "-o", "locked/new"],
    "generate": ["identify", "generate", "--set=identify.character_step_deg=90", "-o", "locked"],
    "bootstrap": ["bootstrap", "--rays", "1000", "-o", "locked/kernel.h5"],
    "rerun": ["rerun", "run/weakbeam.h5", "-o", "locked"],
    "init": ["init", "--dest", "locked"],
}


@pytest.fixture(scope="module")
def locked(tmp_path_factory, whole):
    """What commands said of a folder that may not be written, which stays empty."""
    prefix = without_rights()
    folder = tmp_path_factory.mktemp("read-only")
    (folder / "run").mkdir()
    shutil.copy(whole, folder / "run")
    (folder / "locked").mkdir()
    (folder / "locked").chmod(0o555)
    try:
        commands = [(None, arguments) for arguments in LOCKED.values()]
        ended = run_all(folder, *commands, prefix=prefix)
        assert list((folder / "locked").iterdir()) == []
    finally:
        (folder / "locked").chmod(0o755)
    return dict(zip(LOCKED, ended, strict=True))


@pytest.mark.parametrize("name", LOCKED)
def test_a_read_only_folder(locked, name):
    status, said = locked[name]
    assert status == 2, said
    (line,) = said.splitlines()
    assert "locked" in line
    assert "Permission denied" in line


def test_two_runs_into_one_folder(weakbeam, tmp_path, whole):
    folder = tmp_path / "run"
    with subprocess.Popen(
        program("wait", 3, "forward", "-q", "-o", folder, "--workers", 1, *SETTINGS),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"ready\n"
        for option in (["--resume"], ["--overwrite"]):
            result = weakbeam("forward", "-o", folder, *option, *SETTINGS)
            assert result.status == 2
            (line,) = result.err.splitlines()
            assert f"is in use by process {first.pid}" in line
        first.communicate()
    assert first.returncode == 0
    assert assert_marks_are_true(folder / "weakbeam.h5", whole) == 45
    assert not (folder / LOCK).exists()


def test_many_runs_that_start_at_once(tmp_path, whole):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "weakbeam", "forward", "-q", "-o", str(folder), *SETTINGS]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[1] for process in runs]
    assert sorted(process.returncode for process in runs) == [0, 2, 2]
    assert sorted(text.count("\n") for text in said) == [0, 1, 1]
    assert assert_marks_are_true(folder / "weakbeam.h5", whole) == 45


def test_a_clock_that_runs_backwards(weakbeam, tmp_path, monkeypatch, whole):
    now = [2_000_000_000.0]

    def earlier() -> float:
        now[0] -= 3600.0
        return now[0]

    class Backwards:
        """What `datetime` is where time stamps are made."""

        @classmethod
        def now(cls):
            from datetime import datetime

            return datetime.fromtimestamp(earlier())

    monkeypatch.setattr("time.time", earlier)
    monkeypatch.setattr("weakbeam.io.provenance.datetime", Backwards)
    result = weakbeam("forward", "-o", tmp_path, *SETTINGS)
    assert result.status == 0
    (seconds,) = re.findall(r"in ([-0-9.]+) s", result.out)
    assert 0.0 <= float(seconds) < 100.0
    assert assert_marks_are_true(tmp_path / "weakbeam.h5", whole) == 45
    # The file is older than what it is compared with, and newer than now: neither matters.
    os.utime(tmp_path / "weakbeam.h5", (4e9, 4e9))
    assert weakbeam("forward", "-o", tmp_path, "--resume", *SETTINGS).status == 0
    assert weakbeam("rerun", tmp_path / "weakbeam.h5").status == 0
    with h5py.File(tmp_path / "weakbeam.h5") as file:
        stamps = [file["1.1/start_time"].asstr()[()], file["1.1/end_time"].asstr()[()]]
    assert stamps[1] < stamps[0]


def test_a_library_keeps_out_of_the_folder_of_a_run(weakbeam, tmp_path):
    small = ["--set=camera.pixels=[16, 48]", "--set=identify.character_step_deg=90"]
    with alone_in(tmp_path / "run"):
        result = weakbeam("identify", "generate", "-o", tmp_path / "run", *small)
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]
    assert result.status == 2
    assert "is in use by" in result.err.splitlines()[-1]
    assert weakbeam("identify", "generate", "-o", tmp_path / "run", *small).status == 0
    assert not (tmp_path / "run" / LOCK).exists()
