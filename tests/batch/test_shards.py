"""Files of images and the folder that holds them, without other processes."""

from __future__ import annotations

import errno
import json
import os
import tarfile
import time
import zipfile
import zlib
from datetime import datetime

import h5py
import numpy as np
import pytest
from small_sweeps import (
    CHI,
    ENERGY,
    compute_here,
    fingerprints,
    npy,
    small_sweep,
    zarr_array,
)

from weakbeam.batch import shard as shard_module
from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.index import contents, write_tables
from weakbeam.batch.shard import compute_shard
from weakbeam.batch.status import sweep_status
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.io.sweep_index import missing_sources
from weakbeam.run.simulate import simulate

GROUP = "phi3_x6_y8"


def expected(sweep):
    return [np.asarray(simulate(task.experiment(sweep.base), 1).images) for task in sweep.tasks()]


class TestContents:
    def test_images_are_those_of_the_experiments(self, tmp_path):
        sweep = small_sweep(ENERGY, CHI, per_shard=3)
        folder = compute_here(sweep, tmp_path)
        write_tables(folder, sweep)
        with h5py.File(tmp_path / "sweep.h5") as file:
            group = file[file.attrs["default"]]
            assert group.name == f"/{GROUP}"
            assert group["number"][()].tolist() == list(range(10))
            np.testing.assert_array_equal(group["image"], expected(sweep))
            assert group["settings/beam.energy_keV"][()].tolist() == [17] * 5 + [18] * 5
            np.testing.assert_array_equal(group["settings/scan.chi.value_mrad"], 2 * CHI[1])
            assert file["manifest/data"].asstr()[()] == sweep.to_toml()

    def test_a_file_tells_all_of_its_experiments(self, tmp_path):
        sweep = small_sweep(CHI)
        compute_here(sweep, tmp_path, [1])
        (path,) = tmp_path.glob("shards/*.h5")
        with h5py.File(path) as file:
            group = file[GROUP]
            texts = group["experiment"].asstr()[()]
            task = sweep.task(3)
            assert Experiment.from_toml_text(texts[1]) == task.experiment(sweep.base)
            assert json.loads(group["settings"].asstr()[1]) == task.settings
            np.testing.assert_allclose(group["phi"][1], [-2e-4, 0, 2e-4])
            assert group["phi"].attrs["units"] == "rad"
            assert group["image"].chunks == (1, 1, 6, 8)

    def test_other_shapes_and_types_have_groups_of_their_own(self, tmp_path):
        sweep = small_sweep(("camera.pixels[0]", [6, 7]), ("camera.model", ["ideal", "pco_edge"]))
        folder = compute_here(sweep, tmp_path)
        found = write_tables(folder, sweep)
        names = {GROUP, f"{GROUP}_uint16", "phi3_x7_y8", "phi3_x7_y8_uint16"}
        assert set(found.groups) == names
        with h5py.File(tmp_path / "sweep.h5") as file:
            assert {name for name in file if name.startswith("phi")} == names
            counts = file["phi3_x7_y8_uint16/image"]
            assert counts.dtype == np.uint16
            np.testing.assert_array_equal(counts[0], expected(sweep)[3])

    def test_equal_sweeps_have_equal_bytes(self, tmp_path, monkeypatch):
        sweep = small_sweep(CHI)
        compute_here(sweep, tmp_path / "first")
        # Another day, on another computer.
        monkeypatch.setattr(time, "time", lambda: 1e9)
        monkeypatch.setattr("platform.node", lambda: "elsewhere")
        compute_here(sweep, tmp_path / "second", reversed(range(sweep.shards)))
        assert fingerprints(tmp_path / "first") == fingerprints(tmp_path / "second")
        for file in (tmp_path / "first/shards").iterdir():
            assert str(datetime.now().year).encode() not in file.read_bytes()[:200]

    @pytest.mark.parametrize("compression", ["gzip", "none"])
    def test_bytes_do_not_depend_on_when_objects_are_forgotten(
        self, tmp_path, monkeypatch, compression
    ):
        """A profiler, as that of Dask, remembers objects of HDF5 longer than their function."""
        sweep = small_sweep(CHI, experiment={"output": {"compression": compression}})
        compute_here(sweep, tmp_path / "first", [0])
        remembered = []

        def remembering(method):
            def call(*args, **rest):
                remembered.append(method(*args, **rest))
                return remembered[-1]

            return call

        for name in ("create_dataset", "__getitem__"):
            monkeypatch.setattr(h5py.Group, name, remembering(getattr(h5py.Group, name)))
        compute_here(sweep, tmp_path / "second", [0])
        assert len(remembered) > 10
        assert fingerprints(tmp_path / "first") == fingerprints(tmp_path / "second")

    def test_impossible_experiments_are_noted(self, tmp_path):
        sweep = small_sweep(("beam.energy_keV", [17, 3, 18]))
        folder = compute_here(sweep, tmp_path)
        found = write_tables(folder, sweep)
        assert sorted(found.places) == [0, 2]
        assert found.failures[1].is_mistake
        assert found.failures[1].reason.startswith("reflection.hkl = [-1, 1, -1]: scatters back")
        with h5py.File(tmp_path / "sweep.h5") as file:
            assert file["failures/number"][()].tolist() == [1]
            assert file[GROUP]["number"][()].tolist() == [0, 2]
        assert ",failed," in (tmp_path / "tasks.csv").read_text().splitlines()[2]

    def test_an_error_of_the_program_fails_its_task_alone(self, tmp_path, monkeypatch):
        def breaks(resolved, threads):
            if resolved.experiment.scan.chi.positions == (0.1,):
                raise ZeroDivisionError("in the\nphysics")
            return simulate(resolved, threads)

        monkeypatch.setattr(shard_module, "simulate", breaks)
        sweep = small_sweep(CHI)
        found = contents(compute_here(sweep, tmp_path), sweep)
        assert len(found.places) == 4
        assert found.failures[1].reason == "ZeroDivisionError: in the physics"
        assert not found.failures[1].is_mistake


class TestTraining:
    def test_tar_as_webdataset_reads_it(self, tmp_path):
        sweep = small_sweep(CHI, form="webdataset")
        folder = compute_here(sweep, tmp_path)
        write_tables(folder, sweep)
        images = []
        for path in sorted(tmp_path.glob("shards/*.tar")):
            with tarfile.open(path) as tar:
                members = tar.getmembers()
                assert {m.mtime for m in members} == {0}
                names = [m.name.split(".") for m in members]
                # Members of a sample follow each other and share the name before the first dot.
                for k in range(0, len(names), 3):
                    assert len({name[0] for name in names[k : k + 3]}) == 1
                    assert [name[1] for name in names[k : k + 3]] == ["npy", "json", "toml"]
                    read = [tar.extractfile(m).read() for m in members[k : k + 3]]
                    images.append(npy(read[0]))
                    about = json.loads(read[1])
                    assert about["settings"] == sweep.task(about["number"]).settings
                    assert about["dims"] == ["phi", "x", "y"]
                    Experiment.from_toml_text(read[2].decode())
        np.testing.assert_array_equal(images, expected(sweep))
        assert not (tmp_path / "sweep.h5").exists()
        assert (tmp_path / "tasks.csv").read_text().count(",done,") == 5

    def test_zarr_store(self, tmp_path):
        sweep = small_sweep(CHI, form="zarr", per_shard=5)
        compute_here(sweep, tmp_path)
        (path,) = tmp_path.glob("shards/*.zarr.zip")
        with zipfile.ZipFile(path) as store:
            assert store.testzip() is None
            about, chunk = zarr_array(store, f"{GROUP}/image")
            assert about["shape"] == [5, 3, 6, 8]
            assert about["chunks"] == [1, 3, 6, 8]
            assert about["compressor"]["id"] == "zlib"
            assert about["filters"] == [{"id": "shuffle", "elementsize": 4}]
            by_byte = np.frombuffer(zlib.decompress(chunk), np.uint8).reshape(4, -1)
            image = by_byte.T.copy().view(about["dtype"]).reshape(3, 6, 8)
            np.testing.assert_array_equal(image, expected(sweep)[0])
            about, chunk = zarr_array(store, f"{GROUP}/phi")
            phi = np.frombuffer(chunk, about["dtype"]).reshape(about["shape"])
            np.testing.assert_allclose(phi, [[-2e-4, 0, 2e-4]] * 5, atol=1e-18)

    def test_zarr_store_with_zarr(self, tmp_path):
        zarr = pytest.importorskip("zarr")
        sweep = small_sweep(CHI, form="zarr", per_shard=5)
        compute_here(sweep, tmp_path)
        (path,) = tmp_path.glob("shards/*.zarr.zip")
        group = zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")[GROUP]
        np.testing.assert_array_equal(group["image"][:], expected(sweep))
        texts = group["experiment"][:]
        assert Experiment.from_toml_text(str(texts[2])) == sweep.task(2).experiment(sweep.base)


class TestCompletion:
    def test_what_is_complete_is_not_computed_again(self, tmp_path, monkeypatch):
        sweep = small_sweep(CHI)
        compute_here(sweep, tmp_path)
        monkeypatch.setattr(shard_module, "simulate", None)
        ticks = []
        done = compute_shard(str(tmp_path), sweep.digest, 0, tick=ticks.append)
        assert (done, ticks) == ((2, 0), [2])

    @pytest.mark.parametrize("damage", ["truncated", "gone", "receipt", "half a receipt"])
    def test_damage_is_found_and_repaired(self, tmp_path, damage):
        sweep = small_sweep(CHI)
        folder = compute_here(sweep, tmp_path)
        write_tables(folder, sweep)
        whole = fingerprints(tmp_path)
        data = sorted(tmp_path.glob("shards/*.h5"))[1]
        receipt = data.with_suffix(".json")
        if damage == "truncated":
            os.truncate(data, data.stat().st_size - 100)
        elif damage == "gone":
            data.unlink()
        elif damage == "receipt":
            receipt.unlink()
        else:
            os.truncate(receipt, 200)
        status = sweep_status(tmp_path)
        assert (status.done, status.missing, status.complete) == (3, 2, 2)
        assert bool(status.damaged) == (damage != "receipt")
        assert bool(status.unreadable) == (damage == "gone")
        compute_here(sweep, tmp_path, resume=True)
        assert fingerprints(tmp_path) == whole
        assert sweep_status(tmp_path).missing == 0

    def test_a_changed_byte_is_found_by_a_thorough_look(self, tmp_path):
        compute_here(small_sweep(CHI), tmp_path)
        data = sorted(tmp_path.glob("shards/*.h5"))[0]
        with data.open("rb+") as file:
            file.seek(data.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        assert not sweep_status(tmp_path).damaged
        status = sweep_status(tmp_path, thorough=True)
        assert status.damaged == (data.name,)
        assert (status.done, status.missing, status.complete) == (3, 2, 2)

    def test_the_index_tells_which_sources_are_missing(self, tmp_path):
        sweep = small_sweep(CHI)
        write_tables(compute_here(sweep, tmp_path / "a"), sweep)
        # The folder can be moved.
        (tmp_path / "a").rename(tmp_path / "b")
        index = tmp_path / "b/sweep.h5"
        assert missing_sources(index) == []
        with h5py.File(index) as file:
            np.testing.assert_array_equal(file[GROUP]["image"], expected(sweep))
        first = sorted(tmp_path.glob("b/shards/*.h5"))[0]
        first.unlink()
        assert missing_sources(index) == [f"shards/{first.name}"]

    def test_equal_sweeps_have_an_index_of_equal_bytes(self, tmp_path):
        sweep = small_sweep(CHI)
        folder = compute_here(sweep, tmp_path)
        write_tables(folder, sweep)
        first = (tmp_path / "sweep.h5").read_bytes()
        time.sleep(1.1)  # HDF5 counts whole seconds
        write_tables(folder, sweep)
        assert (tmp_path / "sweep.h5").read_bytes() == first

    def test_a_full_disk_leaves_nothing_half_done(self, tmp_path, monkeypatch):
        sweep = small_sweep(CHI)
        folder = SweepFolder(tmp_path)
        folder.prepare(sweep, False)

        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match="No space left on device"):
            compute_shard(str(tmp_path), sweep.digest, 0)
        monkeypatch.undo()
        assert list((tmp_path / "shards").iterdir()) == []
        assert sweep_status(tmp_path).missing == 5

    def test_lack_of_memory_is_no_property_of_a_task(self, tmp_path, monkeypatch):
        def greedy(experiment):
            raise InputError("scan", 3, "needs more memory than there is")

        monkeypatch.setattr(shard_module, "check_memory", greedy)
        with pytest.raises(RunError, match="more memory"):
            compute_here(small_sweep(CHI), tmp_path)
        assert list((tmp_path / "shards").iterdir()) == []

    def test_an_input_that_is_not_there_is_no_property_of_a_task(self, tmp_path):
        sweep = small_sweep(
            ("acceptance.file", ["no-such-file"]),
            experiment={"acceptance": {"method": "kernel", "file": "other"}},
        )
        with pytest.raises(RunError, match="no-such-file: cannot be read"):
            compute_here(sweep, tmp_path)


class TestExtension:
    def test_old_tasks_are_kept(self, tmp_path, monkeypatch):
        small = small_sweep(CHI)
        compute_here(small, tmp_path)
        old = fingerprints(tmp_path)
        simulated = []

        def counted(experiment, threads):
            simulated.append(experiment)
            return simulate(experiment, threads)

        monkeypatch.setattr(shard_module, "simulate", counted)
        large = small_sweep(("scan.chi.value_mrad", [0.05, *CHI[1], 0.6]))
        folder = compute_here(large, tmp_path, resume=True)
        assert len(simulated) == 2
        assert fingerprints(tmp_path).items() >= old.items()
        assert len(write_tables(folder, large).places) == 7
        with h5py.File(tmp_path / "sweep.h5") as file:
            assert file[GROUP]["number"][()].tolist() == list(range(7))
            np.testing.assert_array_equal(file[GROUP]["image"], expected(large))
        assert sweep_status(tmp_path).missing == 0

    def test_kept_tasks_that_are_lost_are_computed_again(self, tmp_path):
        small = small_sweep(CHI)
        compute_here(small, tmp_path)
        large = small_sweep(("scan.chi.value_mrad", [*CHI[1], 0.6]))
        folder = compute_here(large, tmp_path, resume=True)
        sorted(tmp_path.glob(f"shards/{small.digest[:12]}*.h5"))[0].unlink()
        write_tables(folder, large)
        assert sweep_status(tmp_path).missing == 2
        compute_here(large, tmp_path, resume=True)
        write_tables(folder, large)
        assert sweep_status(tmp_path).missing == 0
        with h5py.File(tmp_path / "sweep.h5") as file:
            np.testing.assert_array_equal(file[GROUP]["image"], expected(large))

    def test_files_of_another_format_do_not_count(self, tmp_path):
        compute_here(small_sweep(CHI, form="webdataset"), tmp_path)
        sweep = small_sweep(CHI)
        folder = compute_here(sweep, tmp_path, resume=True)
        assert {file for file, *_ in contents(folder, sweep).places.values()} == {
            path.name for path in tmp_path.glob("shards/*.h5")
        }

    def test_a_folder_with_a_sweep_is_not_touched_unasked(self, tmp_path):
        compute_here(small_sweep(CHI), tmp_path)
        with pytest.raises(InputError, match="holds a sweep; `resume` goes on with it"):
            compute_here(small_sweep(CHI), tmp_path)


def test_no_sweep_there(tmp_path):
    with pytest.raises(InputError, match="holds no sweep"):
        sweep_status(tmp_path)


def test_drafts_of_dead_processes_are_removed(tmp_path):
    folder = compute_here(small_sweep(CHI), tmp_path)
    mine = folder.draft("shard")
    mine.write_text("")
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", "-4194303-"))
    elsewhere = mine.with_name("shard.elsewhere-4194303-1.part")
    for path in (dead, elsewhere):
        path.write_text("")
    folder.remove_drafts()
    assert (mine.exists(), dead.exists(), elsewhere.exists()) == (True, False, True)
