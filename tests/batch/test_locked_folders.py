"""One run at a time in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from weakbeam.batch.lock import holders, locked
from weakbeam.errors import InputError
from weakbeam.io import lock
from weakbeam.io.lock import Holder, is_running


def write(folder, name="sweep.lock", **changes):
    (folder / name).write_text(json.dumps(asdict(Holder.here()) | changes))


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_run_is_refused_in_one_line(tmp_path):
    with locked(tmp_path):
        assert [holder.pid for holder in holders(tmp_path)] == [os.getpid()]
        with pytest.raises(InputError) as caught, locked(tmp_path):
            pass
        assert f"is in use by process {os.getpid()} on " in str(caught.value)
        # The one that was refused has not taken the lock of the other away.
        assert (tmp_path / "sweep.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_goes_with_an_error(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path):
        pass


def test_a_lock_of_a_dead_process_is_taken(tmp_path):
    write(tmp_path, pid=dead_pid())
    assert holders(tmp_path) == []
    with locked(tmp_path):
        pass


def test_a_process_that_got_the_same_number_is_not_the_one(tmp_path):
    if not Holder.here().started:
        pytest.skip("the system does not tell when a process started")
    write(tmp_path, started="before the last boot")
    with locked(tmp_path):
        pass


def test_the_clock_does_not_matter(tmp_path, monkeypatch):
    write(tmp_path)
    for moment in (0.0, 4e9):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        os.utime(tmp_path / "sweep.lock", (moment, moment))
        with pytest.raises(InputError, match="is in use"), locked(tmp_path):
            pass


def test_another_computer_cannot_be_asked(tmp_path):
    write(tmp_path, host="node7", pid=dead_pid())
    with pytest.raises(InputError, match=r"by process \d+ on node7; if that has ended, delete "):
        locked(tmp_path).__enter__()
    (tmp_path / "sweep.lock").write_text("")
    with pytest.raises(InputError, match="by another process; if that has ended, delete "):
        locked(tmp_path).__enter__()


def test_parts_run_side_by_side_but_not_with_the_whole(tmp_path):
    with locked(tmp_path, "part-1-of-2.lock"):
        with locked(tmp_path, "part-2-of-2.lock"):
            pass
        for name in ("part-1-of-2.lock", "sweep.lock"):
            with pytest.raises(InputError, match="is in use"), locked(tmp_path, name):
                pass
        assert [path.name for path in tmp_path.iterdir()] == ["part-1-of-2.lock"]
    with locked(tmp_path):
        with pytest.raises(InputError, match="is in use"), locked(tmp_path, "part-1-of-2.lock"):
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["sweep.lock"]


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    test_a_second_run_is_refused_in_one_line(tmp_path)


def test_a_read_only_folder_is_told(tmp_path, monkeypatch):
    def refused(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(lock.Path, "write_text", refused)
    with pytest.raises(InputError, match="cannot be created: Permission denied"):
        locked(tmp_path).__enter__()


def test_processes():
    assert is_running(os.getpid())
    assert not is_running(dead_pid())
