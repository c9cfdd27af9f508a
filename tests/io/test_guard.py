"""Files that are damaged, or made to do harm: one line that names the file and the place."""

from __future__ import annotations

import os
import signal
import threading
import time

import h5py
import numpy as np
import pytest

from weakbeam.core.notices import listening
from weakbeam.errors import InputError
from weakbeam.io import file_walk, guard
from weakbeam.io.newfiles import NewFiles

on_linux = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes of POSIX")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        file["group/numbers"] = np.arange(6.0).reshape(2, 3)
        file["group/text"] = "text"
        file["group/texts"] = ["a", "b"]
        file["group/bytes"] = np.array([b"\xff\xfe"], dtype="S2")
        file["group/latin"] = np.array(b"\xff", dtype=h5py.string_dtype("utf-8", 1))
        file["group/empty"] = h5py.Empty("f")
        file["group/lost"] = h5py.SoftLink("/nowhere")
        file["group/gone"] = h5py.ExternalLink("gone.h5", "/x")
        file["table/a"], file["table/b"] = np.arange(3), np.arange(4)
        file["group"].attrs.update({"name": "mine", "number": 3, "names": ["a", "b"]})
        file["group"].attrs["wrong"] = np.array(b"\xff", dtype=h5py.string_dtype("utf-8", 1))
    return path


@pytest.mark.parametrize(
    ("look", "told"),
    [
        (lambda f: guard.group(f, "group/numbers"), "/group/numbers: is no group"),
        (lambda f: guard.group(f["group"], "absent"), "/group/absent: is missing"),
        (lambda f: guard.dataset(f, "group"), "/group: is no data set"),
        (lambda f: guard.dataset(f["group"], "lost"), "/group/lost: leads nowhere"),
        (lambda f: guard.dataset(f["group"], "gone"), "/group/gone: leads to gone.h5"),
        (lambda f: guard.dataset(f, "group/empty"), "/group/empty: is empty"),
        (lambda f: guard.numbers(f, "group/text"), "/group/text: holds object"),
        (lambda f: guard.numbers(f, "group/numbers", kinds="iu"), "holds float64"),
        (lambda f: guard.numbers(f, "group/numbers", ndim=1), "has 2 axes and not 1"),
        (lambda f: guard.numbers(f, "group/numbers", shape=(3, 2)), "has the shape (2, 3)"),
        (lambda f: guard.number(f, "group/numbers"), "has 2 axes and not 0"),
        (lambda f: guard.text(f, "group/numbers"), "axes and not 0"),
        (lambda f: guard.text(f, "group/latin"), "/group/latin: "),
        (lambda f: guard.texts(f, "group/numbers"), "axes and not 1"),
        (lambda f: guard.table(f, "table"), "/table: has columns of several lengths"),
        (lambda f: guard.table(f, "group"), "/group/"),
        (lambda f: guard.attribute(f["group"], "absent"), "/group@absent: is missing"),
        (lambda f: guard.attribute(f["group"], "number"), "/group@number: is no text"),
        (lambda f: guard.attribute(f["group"], "wrong"), "/group@wrong: "),
        (lambda f: guard.attribute_texts(f["group"], "name"), "is no list of texts"),
        (lambda f: f["absent"], "doesn't exist"),
        (lambda f: 1 / len(f["table/a"][3:]), "division by zero"),
        (lambda f: np.empty(2**58), "llocat"),
    ],
)
def test_every_fault_is_one_line_that_names_file_and_place(path, look, told):
    with pytest.raises(InputError) as error, guard.reading(path, "key") as file:
        look(file)
    assert error.value.key == "key"
    assert str(path) in str(error.value)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_sound_is_read(path):
    with guard.reading(path) as file:
        assert guard.numbers(file, "group/numbers", shape=(2, 3)).sum() == 15.0
        assert guard.text(file, "group/text") == "text"
        assert guard.texts(file, "group/texts") == ["a", "b"]
        assert guard.attribute(file["group"], "name") == "mine"
        assert guard.attribute(file["group"], "number", "other") == "other"
        assert guard.attribute_texts(file["group"], "names") == ["a", "b"]
        assert guard.column(file, "group/texts").tolist() == ["a", "b"]


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        guard.check(tmp_path / "absent.h5")
    with pytest.raises(InputError, match="is a folder"):
        guard.check(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.h5")
        with pytest.raises(InputError, match="no regular file"):
            guard.check(tmp_path / "pipe.h5")


@on_linux
@pytest.mark.parametrize("way", ["_by_fork", "_by_program"])
def test_a_heap_that_leads_nowhere_does_not_hold_up_the_program(tmp_path, monkeypatch, way):
    """HDF5 goes round in circles over the texts of this file."""
    path = tmp_path / "endless.h5"
    with h5py.File(path, "w") as file:
        for number in range(20):
            file[f"text{number}"] = "some text" * 20
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 16 : heap + 600] = bytes(584)
    path.write_bytes(data)
    monkeypatch.setattr(guard, "gone_through", getattr(file_walk, way))
    begun = time.monotonic()
    for _ in range(3):
        with pytest.raises(InputError, match="does not come to an end"), guard.reading(path):
            pass
    assert time.monotonic() - begun < 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes of POSIX")
def test_a_crash_ends_another_process(path, monkeypatch):
    def crash(file, named):
        os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setattr(file_walk, "_walk", crash)
    monkeypatch.setattr(guard, "gone_through", file_walk._by_fork)
    with pytest.raises(InputError, match="crashes over it"), guard.reading(path):
        pass


@on_linux
def test_a_copy_that_waits_for_a_lock_is_not_waited_for(path, monkeypatch):
    """What a thread held when the copy was made, nobody lets go there."""
    lock = threading.Lock()
    lock.acquire()
    monkeypatch.setattr(file_walk, "_walk_alone", lambda path, pipe: lock.acquire())
    monkeypatch.setattr(file_walk, "_STUCK_S", 0.1)
    begun = time.monotonic()
    with guard.reading(path) as file:
        assert list(file)
    assert time.monotonic() - begun < 60


def test_a_file_is_gone_through_once(path, monkeypatch):
    calls = []
    monkeypatch.setattr(guard, "gone_through", lambda path: calls.append(path) or ("", []))
    for _ in range(3):
        guard.check(path)
    assert len(calls) == 1
    os.utime(path, ns=(1, 1))
    guard.check(path)
    assert len(calls) == 2


def test_what_this_process_has_written_it_knows(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(guard, "gone_through", lambda path: calls.append(path) or ("", []))
    path = tmp_path / "own.h5"
    with NewFiles() as new:
        with new.create(path) as file:
            file["x"] = 1
        new.commit()
    guard.check(path)
    assert not calls
    # Its inode may come to stand for another file.
    path.write_bytes(path.read_bytes() + b" ")
    guard.check(path)
    assert len(calls) == 1


def test_files_outside_the_folder_are_named_before_they_are_read(tmp_path):
    outside, inside = tmp_path / "outside.h5", tmp_path / "folder" / "inside.h5"
    inside.parent.mkdir()
    for path in (outside, inside):
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(4.0)
    master = inside.parent / "master.h5"
    with h5py.File(master, "w") as file:
        file["near"] = h5py.ExternalLink("inside.h5", "/x")
        file["far"] = h5py.ExternalLink("../outside.h5", "/x")
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(str(outside), "x", (4,))
        file.create_virtual_dataset("virtual", layout)
        raw = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("raw", (4,), "f8", external=raw)
    told = []
    with listening(told.append), guard.reading(master):
        assert len(told) == 3
    assert all(str(master) in line for line in told)
    assert {line.split(" leads to the file ")[1].split(",")[0] for line in told} == {
        "../outside.h5",
        str(outside),
        str(tmp_path / "raw.bin"),
    }
