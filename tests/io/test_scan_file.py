"""Writing, interrupting, resuming, refusing."""

from __future__ import annotations

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import CHI, DIGEST, PHI, description, make_entry, make_frames

from weakbeam.errors import InputError, RunError
from weakbeam.io.reading import (
    entry_names,
    frames_done,
    read_configuration,
    read_entry,
    read_frames,
)
from weakbeam.io.scanfile import ScanFile


@pytest.fixture(params=["single", "bliss"])
def layout(request) -> str:
    return request.param


@pytest.fixture
def entry():
    return make_entry({"chi": CHI, "phi": PHI}, dtype="float32")


@pytest.fixture
def order(entry):
    return np.random.default_rng(3).permutation(entry.frames)


def datasets(path):
    """Every dataset of a file but for the time stamps, as text."""
    contents = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset) and not name.endswith(("_time", "/date")):
            contents[name] = repr(np.asarray(item[()]).tolist())

    with h5py.File(path) as file:
        file.visititems(collect)
    return contents


def test_batches_in_any_order_give_the_same_frames(tmp_path, entry, order):
    frames = make_frames(entry)
    with ScanFile.create(tmp_path / "a.h5", [entry], description()) as file:
        for batch in np.array_split(order, 5):
            file.write_frames(0, batch, frames[batch])
        file.finish()
    assert np.array_equal(read_frames(tmp_path / "a.h5"), frames)
    assert np.array_equal(read_frames(tmp_path / "a.h5", indices=[7, 2]), frames[[7, 2]])


def test_the_same_frames_give_the_same_file(write, entry):
    first, second = write(entry, folder="a"), write(entry, folder="b")
    assert datasets(first) == datasets(second)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, entry, order, layout):
    frames = make_frames(entry)

    def run(path, batches, stop_after=None):
        if path.exists():
            file = ScanFile.open_for_resume(path, DIGEST)
        else:
            file = ScanFile.create(path, [entry], description(), layout=layout)
        with file:
            done = file.frames_done(0)
            for count, batch in enumerate(batches):
                left = batch[~done[batch]]
                if count == stop_after:
                    raise KeyboardInterrupt
                file.write_frames(0, left, frames[left])
            file.finish()

    whole, resumed = tmp_path / "whole" / "w.h5", tmp_path / "resumed" / "w.h5"
    run(whole, np.array_split(order, 4))
    with pytest.raises(KeyboardInterrupt):
        run(resumed, np.array_split(order, 5), stop_after=2)
    assert read_entry(resumed).end_reason == "USER_ABORT"
    assert frames_done(resumed)["1.1"].sum() == 6
    partial = frames[order[:6]].sum(axis=0, dtype=float)
    assert np.allclose(read_entry(resumed).image_sum, partial, rtol=1e-12)
    run(resumed, np.array_split(order, 3))
    assert datasets(resumed) == datasets(whole)


def test_an_error_leaves_a_file_that_is_running(tmp_path, entry):
    with (
        pytest.raises(ZeroDivisionError),
        ScanFile.create(tmp_path / "a.h5", [entry], description()),
    ):
        raise ZeroDivisionError
    assert read_entry(tmp_path / "a.h5").end_reason == "RUNNING"
    ScanFile.open_for_resume(tmp_path / "a.h5", DIGEST).close()


def test_this_and_another_process_may_look_while_it_is_written(tmp_path, entry):
    frames = make_frames(entry)
    with ScanFile.create(tmp_path / "a.h5", [entry], description()) as file:
        file.write_frames(0, [3, 4], frames[[3, 4]])
        assert list(np.flatnonzero(frames_done(tmp_path / "a.h5")["1.1"])) == [3, 4]
        script = "import sys; from weakbeam.io.reading import *; print(frames_done(sys.argv[1]))"
        other = [sys.executable, "-c", script, str(tmp_path / "a.h5")]
        seen = subprocess.run(other, capture_output=True, text=True, check=True).stdout
        assert seen.count("True") == 2
        with pytest.raises(RunError, match=r"frame 0 of 1\.1 has not been simulated"):
            read_frames(tmp_path / "a.h5")


def test_reading_gives_back_what_was_described(write, mosaicity):
    path = write(mosaicity, make_entry({}))
    assert entry_names(path) == ["1.1", "2.1"]
    assert read_configuration(path) == description().configuration
    stored = read_entry(path)
    assert stored.title == mosaicity.title
    assert list(stored.moving) == ["chi", "phi"]
    assert all(np.array_equal(stored.moving[m], mosaicity.moving[m]) for m in stored.moving)
    assert stored.scan_shape == (3, 4)
    assert stored.fixed["mu"] == (-8.97, "deg")
    assert [axis.name for axis in stored.image_axes] == ["z", "y"]
    assert np.array_equal(stored.maps["com_phi"].values, np.ones((5, 7)))
    assert stored.maps["com_phi"].unit == "deg"
    single = read_entry(path, "2.1")
    assert single.scan_shape == ()
    assert single.moving == {}
    assert np.array_equal(single.image_sum, make_frames(make_entry({}), 1)[0])


def test_entries_beyond_nine_stay_in_order(write):
    path = write(*[make_entry({"phi": np.arange(n + 1.0)}) for n in range(11)])
    assert entry_names(path)[-2:] == ["10.1", "11.1"]
    assert read_entry(path, "11.1").scan_shape == (11,)


@pytest.mark.parametrize(
    ("indices", "frames", "message"),
    [
        ([0], np.zeros((1, 5, 7)), "float64"),
        ([0], np.zeros((1, 5, 6), np.float32), "expected"),
        ([12], np.zeros((1, 5, 7), np.float32), "0 to 11"),
        ([-1], np.zeros((1, 5, 7), np.float32), "0 to 11"),
        ([1, 1], np.zeros((2, 5, 7), np.float32), "only once"),
        ([5], np.zeros((1, 5, 7), np.float32), "only once"),
    ],
)
def test_wrong_batches_are_refused(tmp_path, entry, indices, frames, message):
    with ScanFile.create(tmp_path / "a.h5", [entry], description()) as file:
        file.write_frames(0, [5], np.zeros((1, 5, 7), np.float32))
        with pytest.raises(ValueError, match=message):
            file.write_frames(0, indices, frames)
        assert file.frames_done(0).sum() == 1


def test_a_run_with_missing_frames_is_no_success(tmp_path, entry):
    with ScanFile.create(tmp_path / "a.h5", [entry], description()) as file:
        with pytest.raises(ValueError, match="12 frames have not been written"):
            file.finish()
        with pytest.raises(ValueError, match="no map"):
            file.write_maps(0, {"unknown": np.zeros((5, 7))})


HOLD_OPEN = """
import sys, time, h5py
file = h5py.File(sys.argv[1], "r+")
print("open", flush=True)
time.sleep(60)
"""


def one_line(error: pytest.ExceptionInfo[Exception], path) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert path.name in text
    return text


class TestRefusals:
    def test_existing_output(self, write, entry):
        path = write(entry)
        with pytest.raises(InputError) as error:
            ScanFile.create(path, [entry], description())
        assert "path = " in one_line(error, path)
        assert read_entry(path).done.all()

    def test_overwriting_replaces(self, write, entry, layout):
        path = write(entry, layout=layout)
        ScanFile.create(path, [entry], description(), overwrite=True, layout=layout).close()
        assert not read_entry(path).done.any()
        assert not list(path.parent.rglob("*.part"))

    def test_unknown_options_leave_no_file(self, tmp_path, entry):
        path = tmp_path / "new" / "w.h5"
        for options in ({"compression": "zip"}, {"layout": "flat"}):
            with pytest.raises(InputError, match="must be one of"):
                ScanFile.create(path, [entry], description(), **options)
            assert not list(tmp_path.rglob("*.*"))

    def test_output_that_cannot_be_made(self, tmp_path, entry):
        (tmp_path / "a_file").write_text("")
        path = tmp_path / "a_file" / "w.h5"
        with pytest.raises(InputError) as error:
            ScanFile.create(path, [entry], description())
        one_line(error, path)

    def test_file_in_use(self, tmp_path, entry):
        path = tmp_path / "w.h5"
        ScanFile.create(path, [entry], description()).close()
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD_OPEN, str(path)], stdout=subprocess.PIPE
        )
        try:
            assert other.stdout is not None
            other.stdout.readline()
            for attempt in (
                lambda: ScanFile.open_for_resume(path, DIGEST),
                lambda: ScanFile.create(path, [entry], description(), overwrite=True),
            ):
                with pytest.raises(InputError, match="another process") as error:
                    attempt()
                one_line(error, path)
        finally:
            other.kill()
            other.communicate()

    def test_two_runs_that_start_at_once(self, tmp_path, entry):
        path = tmp_path / "w.h5"
        h5py.File(tmp_path / "w.h5.part", "w").close()
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_OPEN, str(path) + ".part"], stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(InputError, match="cannot be created"):
                ScanFile.create(path, [entry], description())
            other.kill()
        assert (tmp_path / "w.h5.part").exists()
        assert not path.exists()

    def test_resume_of_nothing(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            ScanFile.open_for_resume(tmp_path / "w.h5", DIGEST)

    def test_resume_of_a_finished_run(self, write, entry):
        path = write(entry)
        with pytest.raises(InputError, match="complete") as error:
            ScanFile.open_for_resume(path, DIGEST)
        one_line(error, path)

    def test_resume_with_another_experiment(self, tmp_path, entry):
        path = tmp_path / "w.h5"
        ScanFile.create(path, [entry], description()).close()
        with pytest.raises(InputError, match="another experiment") as error:
            ScanFile.open_for_resume(path, "b" * 64)
        one_line(error, path)

    @pytest.mark.parametrize("size", [0, 100, 5000, -1])
    def test_resume_of_a_truncated_file(self, tmp_path, entry, size):
        path = tmp_path / "w.h5"
        ScanFile.create(path, [entry], description()).close()
        os.truncate(path, size if size >= 0 else path.stat().st_size - 1)
        with pytest.raises(InputError, match="no readable HDF5 file") as error:
            ScanFile.open_for_resume(path, DIGEST)
        one_line(error, path)

    def test_resume_of_a_foreign_file(self, tmp_path):
        path = tmp_path / "w.h5"
        with h5py.File(path, "w") as file:
            file["1.1/title"] = "ascan phi 0 1 10 1"
        with pytest.raises(InputError, match="not written by weakbeam") as error:
            ScanFile.open_for_resume(path, DIGEST)
        one_line(error, path)
        path.write_text("not HDF5")
        with pytest.raises(InputError, match="no readable HDF5 file"):
            frames_done(path)

    def test_missing_source(self, tmp_path, entry):
        path = tmp_path / "w.h5"
        with ScanFile.create(path, [entry], description(), layout="bliss") as file:
            file.write_frames(0, [0], make_frames(entry)[:1])
        (tmp_path / "scan0001" / "pco_ff_0000.h5").unlink()
        with pytest.raises(InputError, match=r"scan0001/pco_ff_0000\.h5 is missing") as error:
            ScanFile.open_for_resume(path, DIGEST)
        one_line(error, path)
        with pytest.raises(RunError, match=r"scan0001/pco_ff_0000\.h5"):
            read_frames(path, indices=[0])

    def test_unknown_entry(self, write, entry):
        with pytest.raises(InputError, match=r"has the entries 1\.1"):
            read_entry(write(entry), "7.1")
