"""A run is repeated from its own file, and what differs is told."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.manifest import parse_sweep
from weakbeam.batch.shard import compute_shard
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.writing import generate_images
from weakbeam.io.file_comparison import FrameDifference, kind_of
from weakbeam.rerun import Change, Original, repeated_amount, rerun
from weakbeam.run.record import record

SCAN = Experiment().with_settings(
    [
        "camera.pixels=[7, 9]",
        "camera.pixel_nm=300",
        "scan.phi.half_range_mrad=0.3",
        "scan.phi.steps=5",
        "scan.chi.values_mrad=[1, 0, -0.5]",
        "output.figures=false",
    ]
)


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["camera.model=pco_edge", "output.perfect_crystal=true", "camera.dark_frames=2"],
        ["output.layout=bliss", "scan.z.values_um=[0, 0.5]"],
        ["acceptance.method=ray-trace", "acceptance.rays=20000", "acceptance.bins=[16, 16, 16]"],
    ],
    ids=["ideal", "counts, twin and dark", "layers in sources", "ray-traced"],
)
def test_the_same_bit_for_bit_with_any_number_of_workers(tmp_path, monkeypatch, settings):
    file = record(SCAN.with_settings(settings), tmp_path / "run", workers=2).file
    total = repeated_amount(file)
    for workers in (1, 3):
        done = []
        result = rerun(file, workers=workers, progress=done.append)
        assert result.is_identical
        assert result.compared == total >= 15
        assert result.differing == result.missing == 0
        assert result.versions == result.inputs == result.others == ()
    # Batches of other sizes change nothing either.
    monkeypatch.setattr("weakbeam.io.file_comparison._BATCH_BYTES", 400)
    monkeypatch.setattr("weakbeam.imaging.engine.BATCH_BYTES", 4 * 7 * 9 * 4)
    kept = rerun(file, tmp_path / "kept")
    assert kept.compared == total
    assert not kept.differing
    assert (tmp_path / "kept" / "weakbeam.h5").is_file()
    assert {p.name for p in tmp_path.iterdir()} == {"run", "kept"}


def test_frames_and_tables_that_differ_are_counted(tmp_path):
    file = record(SCAN, tmp_path).file
    with h5py.File(file, "r+") as opened:
        image = opened["1.1/instrument/pco_ff/image"]
        for number, error in ((3, 0.25), (7, 1e-7)):
            frame = image[number]
            frame[2, 4] += error * max(1.0, frame[2, 4])
            image[number] = frame
        opened["1.1/maps/phi_com/phi_com"][1, 1] += 1.0
        opened["1.1/simulation/environment/numpy"][()] = "1.0"
        opened["1.1/simulation/version"][()] = "0.0.9"
    result = rerun(file)
    assert not result.is_identical
    (scan,) = result.frames
    assert (scan.name, scan.frames, scan.differing) == ("1.1", 15, 2)
    assert scan.largest == pytest.approx(0.25, rel=0.2)
    assert 0.0 < scan.brightest < 1.5
    assert result.others == ("1.1/maps/phi_com/phi_com",)
    assert [change.name for change in result.versions] == ["weakbeam", "numpy"]
    assert result.versions[0] == Change("weakbeam", "0.0.9", result.versions[0].now)


def test_a_run_that_ended_early_is_compared_as_far_as_it_went(tmp_path, monkeypatch):
    monkeypatch.setattr("weakbeam.imaging.engine.BATCH_BYTES", 4 * 7 * 9 * 4)

    def stop(amount, left=[9.0]):  # noqa: B006 (counts down)
        left[0] -= amount
        if left[0] <= 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(SCAN, tmp_path, progress=stop, workers=1)
    result = rerun(tmp_path / "weakbeam.h5")
    assert result.is_identical
    assert 0 < result.compared < 15
    assert result.compared + result.missing == 15


def test_inputs_that_changed_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = record(SCAN, "first").file
    stored = SCAN.with_settings(['defects=[{ kind = "stored", file = "first/weakbeam.h5" }]'])
    second = record(stored, "second").file
    assert rerun(second).is_identical
    moved = SCAN.with_settings(["defects[0].position_um=[0.3, 0.2, 0]"])
    record(moved, "first", overwrite=True)
    result = rerun(second)
    assert result.is_identical
    assert result.inputs == ()
    assert result.originals == (Original(str(tmp_path / "first/weakbeam.h5"), is_gone=False),)
    # The copy itself is changed: the images are those of what it is now.
    copy = Path("second/inputs/weakbeam.h5")
    copy.write_bytes(first.read_bytes())
    result = rerun(second)
    assert [change.name for change in result.inputs] == ["second/inputs/weakbeam.h5"]
    assert result.inputs[0].then != result.inputs[0].now
    assert result.differing > 0
    copy.unlink()
    first.unlink()
    with pytest.raises(InputError, match=r"second/inputs/weakbeam.h5.*no copy of it is left"):
        rerun(second)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_libraries_and_training_sets(tmp_path, mode):
    keys = [f"identify.mode={mode}", "identify.character_step_deg=90", "scan.chi.value_mrad=0"]
    keys += ["scan.phi.value_mrad=0.15"] + ["identify.images=4"] * (mode == "multi")
    file = generate_images(SCAN.with_settings(keys), tmp_path / "made", workers=2).file
    assert kind_of(file) == "library"
    for workers in (1, 3):
        done = []
        result = rerun(file, workers=workers, progress=done.append)
        assert result.is_identical
        assert result.compared == (4 if mode == "multi" else 48)
        assert sum(done) == repeated_amount(file)
    with h5py.File(file, "r+") as opened:
        opened["1.1/instrument/pco_ff/image"][1] *= 2
    assert rerun(file).differing == 1


def test_files_of_a_sweep(tmp_path):
    sweep = parse_sweep(
        {
            "experiment": {
                "camera": {"pixels": [6, 8], "pixel_nm": 400.0},
                "scan": {"phi": {"half_range_mrad": 0.2, "steps": 3}},
            },
            "axes": [{"key": "scan.chi.value_mrad", "values": [0.0, 0.1]}],
            "output": {"tasks_per_shard": 2},
        }
    )
    folder = SweepFolder(tmp_path / "sweep")
    folder.prepare(sweep, resume=False)
    compute_shard(str(folder.path), sweep.digest, 0)
    (shard,) = folder.shards.glob("*.h5")
    assert repeated_amount(shard) == 2
    result = rerun(shard, workers=2)
    assert result.is_identical
    assert [entry.frames for entry in result.frames] == [3, 3]
    assert result.inputs == ()
    with h5py.File(shard, "r+") as opened:
        (group,) = opened.values()
        group["image"][1] = 0.0
    assert [entry.differing for entry in rerun(shard).frames] == [0, 3]
    with pytest.raises(InputError, match="compared in memory"):
        rerun(shard, tmp_path / "kept")


def test_what_is_no_run_is_refused_in_one_line(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    foreign = tmp_path / "foreign.h5"
    h5py.File(foreign, "w").close()
    for path in (text, foreign, tmp_path, tmp_path / "absent.h5"):
        with pytest.raises(InputError) as error:
            rerun(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    file = record(SCAN, tmp_path / "run").file
    with pytest.raises(InputError, match="is repeated"):
        rerun(file, tmp_path / "run")
    with h5py.File(file, "r+") as opened:
        del opened["1.1/simulation/environment"]
    with pytest.raises(InputError, match="simulation/environment: is missing"):
        rerun(file)


def test_a_run_with_the_field_of_a_program_is_not_repeated_without_it(tmp_path):
    file = record(SCAN, tmp_path / "run", field=lambda p: np.zeros((len(p), 3, 3))).file
    with pytest.raises(InputError, match=r"made with a field of a program .* run that program"):
        rerun(file)


def test_differences_of_frames_that_are_not_finite():
    stored = np.zeros((4, 2, 2))
    repeated = stored.copy()
    stored[0, 0, 0] = repeated[0, 0, 0] = np.nan
    stored[1, 0, 0] = repeated[1, 0, 0] = np.inf
    stored[2, 0, 0] = -2.0
    repeated[2, 0, 0] = -2.5
    difference = FrameDifference("1.1").plus(stored, repeated)
    assert difference == FrameDifference("1.1", 4, 1, 0.5, 2.0)
    repeated[3, 0, 0] = np.nan
    assert FrameDifference("1.1").plus(stored, repeated).largest == np.inf
    small = np.array([[[3]]], np.uint16), np.array([[[5]]], np.uint16)
    assert FrameDifference("1.1").plus(*small).largest == 2.0
