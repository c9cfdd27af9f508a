"""A process that is killed leaves a file that opens, and marks that tell the truth."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import DIGEST, description, make_entry

from weakbeam.io.reading import frames_done, read_entry, read_frames
from weakbeam.io.scanfile import ScanFile

FRAMES = 600
SHAPE = (20, 30)

WRITER = f"""
import sys
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from pathlib import Path
from test_crash_safety import write_all
path, layout = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
write_all(path, layout)
"""

CREATOR = f"""
import sys
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from conftest import description
from test_crash_safety import scan_entry
from weakbeam.io.scanfile import ScanFile
print("ready", flush=True)
while True:
    ScanFile.create(
        sys.argv[1], [scan_entry()], description(), overwrite=True, layout=sys.argv[2]
    ).close()
"""

FULL_DISK = f"""
import sys
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from pathlib import Path
from test_crash_safety import write_all
try:
    write_all(Path(sys.argv[1]), sys.argv[2])
except Exception as error:
    print(type(error).__name__, error)
"""

# A small disk in a namespace of its own, whose contents are copied out before it vanishes.
SMALL_DISK = """
mount -t tmpfs -o size=$1 tmpfs "$2" || exit 77
"$4" -c "$3" "$2/weakbeam.h5" "$5"
cp -r "$2" "$2-copy"
"""


IN_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def scan_entry():
    return make_entry({"phi": np.arange(float(FRAMES))}, shape=SHAPE, dtype="float32")


def frame(index: int) -> np.ndarray:
    """A frame that is known from its index; some are so dark that they compress to nothing."""
    if index % 7 < 3:
        return np.full(SHAPE, index, dtype=np.float32)
    return np.random.default_rng(index).normal(1, 0.2, SHAPE).astype(np.float32)


def open_file(path, layout):
    if path.exists():
        return ScanFile.open_for_resume(path, DIGEST)
    return ScanFile.create(path, [scan_entry()], description(), layout=layout)


def write_all(path, layout, batch=3):
    """Write what is missing, frames in an order that jumps about as that of a scan engine may."""
    order = np.arange(FRAMES).reshape(20, -1).T.ravel()
    with open_file(path, layout) as file:
        left = order[~file.frames_done(0)[order]]
        for start in range(0, left.size, batch):
            some = left[start : start + batch]
            file.write_frames(0, some, np.array([frame(i) for i in some]))
        file.finish()


def run_and_kill(script: str, path, layout: str, delay: float) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path), layout], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(delay)
    child.kill()
    child.communicate()


def check_marked_frames(path) -> int:
    """Every marked frame is the true one; how many are marked."""
    done = np.flatnonzero(frames_done(path)["1.1"])
    stored = read_frames(path, indices=done)
    assert all(np.array_equal(image, frame(i)) for i, image in zip(done, stored, strict=True))
    return done.size


def kill_until_done(tmp_path, layout: str, kills: int, seed: int) -> None:
    path = tmp_path / "killed" / "weakbeam.h5"
    chance = random.Random(seed)
    marked = 0
    for _ in range(kills):
        run_and_kill(WRITER, path, layout, chance.uniform(0, 0.12))
        if path.exists():
            now = check_marked_frames(path)
            assert now >= marked
            marked = now
            if read_entry(path).end_reason == "SUCCESS":
                path.unlink()
                marked = 0
    if not path.exists() or read_entry(path).end_reason != "SUCCESS":
        write_all(path, layout)
    whole = tmp_path / "whole" / "weakbeam.h5"
    write_all(whole, layout, batch=50)
    killed, uninterrupted = read_entry(path), read_entry(whole)
    assert check_marked_frames(path) == FRAMES
    assert np.array_equal(killed.image_sum, uninterrupted.image_sum)
    assert np.array_equal(killed.intensity, uninterrupted.intensity)


@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_killed_while_writing(tmp_path, layout):
    kill_until_done(tmp_path, layout, kills=5, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["single", "bliss"])
@pytest.mark.parametrize("seed", [2, 3])
def test_killed_while_writing_many_times(tmp_path, layout, seed):
    kill_until_done(tmp_path, layout, kills=40, seed=seed)


@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_killed_while_creating(tmp_path, layout):
    path = tmp_path / "weakbeam.h5"
    chance = random.Random(5)
    for _ in range(3):
        run_and_kill(CREATOR, path, layout, chance.uniform(0, 0.2))
        if path.exists():
            assert not frames_done(path)["1.1"].any()
            ScanFile.open_for_resume(path, DIGEST).close()


def run_on_small_disk(folder, layout: str, size: str):
    """Write until a disk of this size is full; the folder with what was on it."""
    folder.mkdir()
    arguments = [size, str(folder), FULL_DISK, sys.executable, layout]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare to mount a small disk")
    child = subprocess.run(
        [*IN_NAMESPACE, "sh", "-c", SMALL_DISK, "sh", *arguments],
        capture_output=True,
        text=True,
    )
    if child.returncode != 0 and not child.stdout:
        pytest.skip(f"cannot mount a small disk: {child.stderr.strip()}")
    assert child.stdout.startswith(f"RunError {folder}")
    assert "No space left on device" in child.stdout
    assert child.stdout.count("\n") == 1
    return folder.with_name(folder.name + "-copy")


@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_full_disk_while_creating_leaves_nothing(tmp_path, layout):
    folder = run_on_small_disk(tmp_path / "disk", layout, "40k")
    assert not [item for item in folder.rglob("*") if item.is_file()]


@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_full_disk_loses_nothing_that_is_marked(tmp_path, layout):
    path = run_on_small_disk(tmp_path / "disk", layout, "600k") / "weakbeam.h5"
    assert 0 < check_marked_frames(path) < FRAMES
    write_all(path, layout)
    assert check_marked_frames(path) == FRAMES
    assert read_entry(path).end_reason == "SUCCESS"
