"""Runs that are interrupted, resumed, reread: the file is what an uninterrupted run writes."""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys

import h5py
import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.io.lock import LOCK, alone_in
from weakbeam.io.reading import entry_names, frames_done, read_entry, read_frames
from weakbeam.plot.drawing import Artist, Drawing
from weakbeam.plot.files import save_all
from weakbeam.run.figures import draw_file
from weakbeam.run.record import record

SCAN = Experiment().with_settings(
    [
        "camera.pixels=[7, 9]",
        "camera.pixel_nm=300",
        "scan.phi.half_range_mrad=0.3",
        "scan.phi.steps=6",
        "scan.chi.values_mrad=[1, 0, -0.5]",
        "output.figures=false",
    ]
)


class Interrupter:
    """Presses Ctrl-C, or dies, when so many frames have been announced."""

    def __init__(self, frames, error):
        self.left, self.error = frames, error

    def __call__(self, amount):
        self.left -= amount
        if self.left <= 0:
            raise self.error


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr("weakbeam.imaging.engine.BATCH_BYTES", 4 * 7 * 9 * 4)


def contents(path):
    """Every data set of a file but for times."""
    found = {}

    def visit(name, item):
        times = {"start_time", "end_time", "date"}
        if isinstance(item, h5py.Dataset) and name.rpartition("/")[2] not in times:
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_same_content(a, b):
    assert_contents(a, contents(b))


def assert_contents(a, right):
    left = contents(a)
    assert left.keys() == right.keys()
    for name, value in left.items():
        np.testing.assert_array_equal(value, right[name], err_msg=name)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Record an experiment once: how many frames, the names of the files, what the file holds."""
    known = {}

    def recorded(experiment):
        if experiment.digest not in known:
            whole = record(experiment, tmp_path_factory.mktemp("whole"))
            names = {path.name for path in whole.folder.iterdir()}
            known[experiment.digest] = (whole.frames, names, contents(whole.file))
        return known[experiment.digest]

    return recorded


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("killed")], ids=type)
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["camera.model=pco_edge", "output.perfect_crystal=true"],
        ["output.layout=bliss", "output.field=true"],
        ["output.compression=bitshuffle-lz4"],
        ["scan.z.values_um=[0, 0.5]", "camera.model=pco_edge"],
    ],
    ids=["ideal", "counts and twin", "bliss", "bitshuffle", "layers"],
)
@pytest.mark.parametrize("after", [0.5, 11.0])
def test_resumed_run_equals_an_uninterrupted_one(tmp_path, uninterrupted, error, settings, after):
    if "bitshuffle-lz4" in str(settings):
        pytest.importorskip("hdf5plugin")
    experiment = SCAN.with_settings(settings)
    with pytest.raises(type(error)):
        record(experiment, tmp_path / "cut", progress=Interrupter(after, error), workers=1)
    stored = read_entry(tmp_path / "cut" / "weakbeam.h5")
    ended = "USER_ABORT" if isinstance(error, KeyboardInterrupt) else "RUNNING"
    assert stored.end_reason == ended
    assert not stored.done.all()
    result = record(experiment, tmp_path / "cut", resume=True)
    frames, names, whole = uninterrupted(experiment)
    assert result.frames == frames
    assert {path.name for path in result.folder.iterdir()} == names
    assert_contents(result.file, whole)


def test_resumed_twice(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        record(SCAN, tmp_path / "cut", progress=Interrupter(5.0, KeyboardInterrupt()), workers=1)
    first = frames_done(tmp_path / "cut" / "weakbeam.h5")["1.1"].sum()
    with pytest.raises(KeyboardInterrupt):
        record(
            SCAN,
            tmp_path / "cut",
            resume=True,
            # What is there is announced too.
            progress=Interrupter(first + 5.0, KeyboardInterrupt()),
            workers=1,
        )
    second = frames_done(tmp_path / "cut" / "weakbeam.h5")["1.1"].sum()
    assert 0 < first < second < SCAN.scan.frames
    record(SCAN, tmp_path / "cut", resume=True)
    assert_same_content(tmp_path / "cut" / "weakbeam.h5", record(SCAN, tmp_path / "whole").file)


def test_resumed_complete_run_stays_as_it_is(tmp_path):
    whole = record(SCAN, tmp_path)
    before = whole.file.read_bytes()
    again = record(SCAN, tmp_path, resume=True)
    assert again.unchanged
    assert not whole.unchanged
    assert dataclasses.replace(again, unchanged=False) == whole
    assert whole.file.read_bytes() == before


def test_interrupted_before_the_maps_resumes(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("weakbeam.run.frame_writing.scan_maps", interrupt)
        with pytest.raises(KeyboardInterrupt):
            record(SCAN, tmp_path)
    stored = read_entry(tmp_path / "weakbeam.h5")
    assert stored.done.all()
    assert stored.end_reason == "USER_ABORT"
    record(SCAN, tmp_path, resume=True)
    assert np.isfinite(read_entry(tmp_path / "weakbeam.h5").maps["phi_com"].values).any()


def test_field_is_there_before_the_run_counts_as_complete(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RunError("disk full")

    experiment = SCAN.with_settings(["output.field=true"])
    with monkeypatch.context() as patched:
        patched.setattr("weakbeam.run.record.write_truth", fail)
        with pytest.raises(RunError):
            record(experiment, tmp_path)
    record(experiment, tmp_path, resume=True)
    assert (tmp_path / "weakbeam_truth.h5").exists()


@pytest.mark.parametrize("model", ["ideal", "pco_edge"])
@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_saved_run_equals_a_recorded_one(tmp_path, model, layout):
    experiment = SCAN.with_settings(
        [f"camera.model={model}", f"output.layout={layout}", "scan.z.values_um=[1, 0]"]
    )
    run = simulate(experiment)
    run.save(tmp_path / "saved")
    result = record(experiment, tmp_path / "recorded")
    assert entry_names(result.file) == ["1.1", "2.1"]
    for k, entry in enumerate(entry_names(result.file)):
        frames = read_frames(result.file, entry)
        np.testing.assert_array_equal(frames, run.images.values[k].reshape(frames.shape))
    saved = tmp_path / "saved" / "weakbeam.h5"
    for entry in ("1.1", "2.1"):
        a, b = read_entry(saved, entry), read_entry(result.file, entry)
        np.testing.assert_array_equal(read_frames(saved, entry), read_frames(result.file, entry))
        np.testing.assert_allclose(a.image_sum, b.image_sum, rtol=1e-12)
        for name, found in a.maps.items():
            np.testing.assert_allclose(found.values, b.maps[name].values, rtol=1e-9, atol=1e-12)


def test_perfect_twin_has_no_dislocation(tmp_path):
    file = record(SCAN.with_settings(["output.perfect_crystal=true"]), tmp_path).file
    deformed, perfect = read_frames(file, "1.1"), read_frames(file, "2.1")
    assert np.ptp(deformed[2]) > 1e-3
    np.testing.assert_allclose(perfect, perfect[:, :1, :1] * np.ones((7, 9)), rtol=2e-6)
    assert read_entry(file, "2.1").maps == {}


def test_folder_with_another_experiment_file_is_refused(tmp_path):
    (tmp_path / "experiment.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"experiment\.toml.*stays as it is"):
        record(SCAN, tmp_path, overwrite=True)
    (tmp_path / "experiment.toml").write_text("[camera]\nseed = 5\n")
    with pytest.raises(InputError, match=r"experiment\.toml already"):
        record(SCAN, tmp_path)
    (tmp_path / "experiment.toml").write_text(SCAN.to_toml(), encoding="utf-8")
    assert record(SCAN, tmp_path).frames == SCAN.scan.frames


def test_defects_without_a_plane_have_no_plane_in_the_file(tmp_path):
    line = "[[defects]]\nburgers = [1, 0, -1]\nline = [1, -2, 1]\n"
    labelled = line + "plane = [1, 1, 1]\n"
    small = "[camera]\npixels = [2, 3]\n[output]\nfigures = false\n"
    for name, text in {"none": line, "one of two": line + labelled}.items():
        file = record(Experiment.from_toml_text(small + text), tmp_path / name).file
        with h5py.File(file) as opened:
            table = opened["1.1/sample/defects"]
            assert ("plane" in table) == (name != "none")
            assert len(table["kind"]) == text.count("[[defects]]")


@pytest.mark.parametrize(
    "settings", [["camera.model=pco_edge"], ["scan={}"]], ids=["scan of counts", "image"]
)
def test_figures_of_another_process_are_those_of_this_one(tmp_path, monkeypatch, settings):
    def fail(self, suffix=".png"):
        raise AssertionError("drawn in this process")

    experiment = SCAN.with_settings(["output.figures=true", *settings])
    with monkeypatch.context() as patched:
        patched.setattr(Drawing, "picture", fail)
        result = record(experiment, tmp_path / "run")
    here = save_all(draw_file(result.file), tmp_path / "here")
    assert [path.name for path in result.figures] == [path.name for path in here]
    assert {path.stem for path in here} >= {"image", "rocking", "acceptance"}
    assert [path.read_bytes() for path in result.figures] == [path.read_bytes() for path in here]


def test_figures_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(InputError, match=r"figures.*must be a folder"):
        record(SCAN.with_settings(["output.figures=true"]), tmp_path)
    # Before anything was computed.
    assert [item.name for item in tmp_path.iterdir()] == ["figures"]


def test_without_figures_no_process_is_started(tmp_path, monkeypatch):
    def fail(self):
        raise AssertionError("started")

    monkeypatch.setattr(Artist, "start", fail)
    assert record(SCAN, tmp_path).figures == ()


def test_a_thick_beam_is_said_not_to_be_kinematical(tmp_path):
    notes = record(SCAN.with_settings(["beam.height_fwhm_um=8"]), tmp_path / "thick").notes
    assert any("not kinematical at the peak" in note for note in notes)
    settings = ["camera.pixels=[4, 9]", "camera.pixel_nm=100"]
    assert not record(SCAN.with_settings(settings), tmp_path / "thin").notes


def test_a_run_killed_before_its_figures_draws_them(tmp_path):
    experiment = SCAN.with_settings(["output.figures=true"])
    whole = record(experiment, tmp_path)
    pictures = {path: path.read_bytes() for path in whole.figures}
    assert len(pictures) >= 4
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock = {"host": platform.node(), "pid": gone.pid, "started": "long ago"}
    (tmp_path / LOCK).write_text(json.dumps(lock), encoding="utf-8")
    for path in whole.figures[1:]:
        path.unlink()
    again = record(experiment, tmp_path, resume=True)
    assert {path: path.read_bytes() for path in again.figures} == pictures
    assert not (tmp_path / LOCK).exists()
    assert not again.unchanged
    assert record(experiment, tmp_path, resume=True).unchanged


def test_a_complete_run_is_left_alone_while_another_process_works_there(tmp_path):
    experiment = SCAN.with_settings(["output.figures=true"])
    whole = record(experiment, tmp_path)
    whole.figures[0].unlink()
    with alone_in(tmp_path), pytest.raises(InputError, match="is in use"):
        record(experiment, tmp_path, resume=True)
