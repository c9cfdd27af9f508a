"""Room on the disk for the images of libraries."""

from __future__ import annotations

import shutil

import pytest

from weakbeam.errors import InputError, RunError
from weakbeam.identify.library.disk_room import Room


@pytest.fixture(autouse=True)
def a_disk(monkeypatch):
    """With 1000 bytes left."""
    told = shutil._ntuple_diskusage(5000, 4000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: told)


def write(path, size):
    path.write_bytes(bytes(size))
    return path


def test_images_that_have_room_as_they_are(tmp_path):
    Room(tmp_path, 1000, 1000).check(write(tmp_path / "file", 900), 100, 0.1)


def test_images_that_cannot_fit(tmp_path):
    with pytest.raises(InputError, match=r"at least 1.1e-06 GB and .*/deep had 1e-06 GB left; "):
        Room(tmp_path / "not" / "there" / "deep", 2000, 1100)


def test_images_are_taken_for_as_large_as_the_first_ones(tmp_path):
    file = write(tmp_path / "file", 290)
    with pytest.raises(RunError, match=r"about 1.1e-06 GB and .* had 1e-06 GB left; fewer frames"):
        Room(tmp_path, 5000, 0).check(file, 200, 0.1)
    room = Room(tmp_path, 5000, 0)
    room.check(file, 250, 0.1)
    # The disk is filled by this file, too: what was free at the beginning counts.
    room.check(write(file, 3000), 250, 1.0)
