"""Training sets in shards, their parts, and how they are gone on with."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile

import h5py
import numpy as np
import pytest

import weakbeam as wb
from weakbeam.errors import InputError
from weakbeam.identify.library.training import plan_training
from weakbeam.identify.library.training_files import record_training
from weakbeam.identify.library.training_shards import shards_of
from weakbeam.identify.library.twins import classes_of
from weakbeam.io.library_file import read_labels, read_tables

BASE = [
    "camera.pixels=[10, 14]",
    "camera.oversampling=point",
    "camera.model=pco_edge",
    "scan.phi.values_mrad=[0.1, 0.15]",
    "identify.mode=multi",
    "identify.images=23",
    "identify.fewest_dislocations=1",
    "identify.characters_deg=[0, 90]",
    "identify.images_per_shard=6",
    "output.figures=false",
]
SPLIT = "identify.split=[0.5, 0.3, 0.2]"
VARY = ["identify.vary.phi_mrad=[-0.05, 0.05]", "identify.vary.background_adu=[0, 9]"]
TAR = "identify.format=webdataset"


def experiment_with(*settings):
    return wb.Experiment().with_settings(BASE).with_settings(settings)


def files_in(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def datasets_in(path):
    """All values of a file but the times at which it was written."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, node: (
                found.update({name: (node[()], dict(node.attrs))})
                if isinstance(node, h5py.Dataset) and not name.endswith(("_time", "date"))
                else None
            )
        )
    return found


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, (values, attributes) in one.items():
        np.testing.assert_array_equal(values, other[name][0], err_msg=name)
        assert str(attributes) == str(other[name][1]), name


class TestTar:
    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("tar")
        record_training(experiment_with(TAR, SPLIT, *VARY), folder, workers=1)
        return folder

    def test_is_read_by_plain_python(self, folder):
        """As any program does that knows no weakbeam: tarfile, numpy and json."""
        plan = plan_training(experiment_with(TAR, SPLIT, *VARY), 1)
        index = json.loads((folder / "training.json").read_text())
        assert index["images"] == 23
        assert index["shape"] == [2, 10, 14]
        seen, parts = [], {"train": 0, "validation": 1, "test": 2}
        for shard in index["shards"]:
            part = shard["file"].split("/")[0]
            assert part == shard["part"]
            samples = {}
            with tarfile.open(folder / shard["file"]) as tar:
                for member in tar:
                    key, name = member.name.split(".", 1)
                    samples.setdefault(key, {})[name] = tar.extractfile(member).read()
            assert len(samples) == shard["images"] <= 6
            for key, sample in samples.items():
                number = int(key)
                made = plan.make(number)
                for name, wanted in (
                    ("image", made.frames),
                    ("contribution", made.contributions),
                    ("mask", made.masks),
                ):
                    array = np.load(io.BytesIO(sample[f"{name}.npy"]))
                    np.testing.assert_array_equal(array, wanted)
                about = json.loads(sample["json"])
                assert about["number"] == number
                assert about["part"] == part
                assert plan.parts[number] == parts[part]
                assert about["values"]["phi_mrad"] == float(made.labels.values["phi_mrad"])
                for line, kind in zip(about["dislocations"], made.drawn.types, strict=True):
                    assert line["type"] == kind
                    assert line["class"] == index["types"][kind]["class"]
                    assert line["plane"] == index["types"][kind]["plane"]
                np.testing.assert_array_equal(
                    [line["position_um"] for line in about["dislocations"]],
                    made.drawn.positions_um,
                )
                seen.append(number)
        assert sorted(seen) == list(range(23))
        assert index["units"] == {"phi_mrad": "mrad", "background_adu": "ADU"}

    def test_does_not_depend_on_workers(self, folder, tmp_path, monkeypatch):
        monkeypatch.setattr("weakbeam.identify.library.making.MUCH", 0.0)
        record_training(experiment_with(TAR, SPLIT, *VARY), tmp_path, workers=2)
        assert files_in(tmp_path) == files_in(folder)

    def test_is_not_replaced_unasked_nor_mixed_with_another(self, folder, tmp_path):
        experiment = experiment_with(TAR)
        found = record_training(experiment, tmp_path, workers=1)
        assert found.images == 23
        assert found.bytes == sum(map(len, files_in(tmp_path).values()))
        with pytest.raises(InputError, match="exists"):
            record_training(experiment, tmp_path)
        smaller = experiment.with_settings(["identify.images=5"])
        record_training(smaller, tmp_path, overwrite=True, workers=1)
        assert sorted(files_in(tmp_path)) == ["00000.tar", "experiment.toml", "training.json"]
        again = record_training(smaller, tmp_path, resume=True)
        assert again.made == 0

    def test_class_and_type_are_both_told(self):
        plan = plan_training(experiment_with(TAR), 1)
        classes = classes_of(plan.candidates, plan.variation)
        assert len(set(classes.tolist()) - {-1}) < len(plan.candidates.visible)


class TestSplit:
    def test_depends_on_seed_and_number_alone(self):
        few, many = (
            plan_training(experiment_with(SPLIT, f"identify.images={n}"), 1).parts
            for n in (50, 4000)
        )
        np.testing.assert_array_equal(few, many[:50])
        shares = np.bincount(many) / len(many)
        np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.02)
        other = plan_training(experiment_with(SPLIT, "identify.images=50", "identify.seed=3"), 1)
        assert (other.parts != few).any()

    def test_of_no_test_images(self):
        none = plan_training(experiment_with("identify.split=[1, 0, 0]"), 1)
        assert not none.parts.any()
        assert {shard.part for shard in shards_of(none)} == {"train"}

    def test_is_a_column_of_the_hdf5_file(self, tmp_path):
        experiment = experiment_with(SPLIT, *VARY)
        file = record_training(experiment, tmp_path, workers=1).file
        _, tables, _ = read_tables(file)
        plan = plan_training(experiment, 1)
        np.testing.assert_array_equal(tables["images"]["part"], plan.parts)
        for number in (0, 22):
            values = plan.scene(number).values
            assert tables["images"]["phi_mrad"][number] == values["phi_mrad"]
        with h5py.File(file) as opened:
            images = opened["1.1/library/images"]
            assert images["phi_mrad"].attrs["units"] == "mrad"
            assert images["background_adu"].attrs["units"] == "ADU"
            assert list(images.attrs["part_names"]) == ["train", "validation", "test"]
        classes = classes_of(plan.candidates, plan.variation)
        np.testing.assert_array_equal(tables["types"]["class"], classes)
        np.testing.assert_array_equal(tables["lines"]["class"], classes[tables["lines"]["type"]])


KILL = """
import os, signal, sys
from weakbeam.experiment import Experiment
from weakbeam.identify.library import new_files, training
from weakbeam.identify.library.training_files import record_training
new_files._BATCH_BYTES = 4000
make = training.TrainingPlan.make
def dies(plan, number):
    if number == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return make(plan, number)
training.TrainingPlan.make = dies
experiment = Experiment.from_toml(sys.argv[1])
record_training(experiment, sys.argv[2], resume=sys.argv[4] == "resume", workers=1)
"""


def killed(tmp_path, experiment, folder, number, how="new"):
    config = tmp_path / "experiment.toml"
    config.write_text(experiment.to_toml())
    arguments = [sys.executable, "-c", KILL, str(config), str(folder), str(number), how]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr


ZARR = pytest.param("identify.format=zarr", id="zarr")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
class TestResume:
    @pytest.mark.parametrize("kind", [TAR, ZARR])
    def test_of_shards_makes_the_same_bytes(self, kind, tmp_path):
        if "zarr" in kind:
            pytest.importorskip("zarr")
        experiment = experiment_with(kind, SPLIT, *VARY)
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        record_training(experiment, whole, workers=1)
        killed(tmp_path, experiment, broken, 14)
        assert not (broken / "training.json").exists()
        assert (broken / "training.progress").read_text().count("\n") >= 1
        with pytest.raises(InputError, match="unfinished training set: `resume` goes on"):
            record_training(experiment, broken)
        with pytest.raises(InputError, match=r"resume.*another experiment"):
            record_training(
                experiment.with_settings(["identify.seed=9"]), broken, resume=True, overwrite=True
            )
        done = []
        found = record_training(experiment, broken, resume=True, workers=1, progress=done.append)
        assert 0 < found.made < 23
        assert sum(done) == 23
        assert files_in(broken) == files_in(whole)

    def test_of_hdf5_makes_the_same_datasets(self, tmp_path):
        experiment = experiment_with(*VARY)
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        record_training(experiment, whole, workers=1)
        killed(tmp_path, experiment, broken, 14)
        assert [path.name for path in sorted(broken.iterdir())] == [
            "experiment.toml",
            "training.h5.new",
            "weakbeam.lock",
        ]
        with pytest.raises(InputError, match="unfinished training set: `resume` goes on"):
            record_training(experiment, broken)
        # Killed again while it goes on.
        killed(tmp_path, experiment, broken, 19, "resume")
        done = []
        found = record_training(experiment, broken, resume=True, workers=1, progress=done.append)
        assert 0 < found.made <= 23 - 13
        assert sum(done) == 23
        assert_same(datasets_in(broken / "training.h5"), datasets_in(whole / "training.h5"))
        assert sorted(files_in(broken)) == sorted(files_in(whole))
        with pytest.raises(InputError, match="no such labels"):
            read_labels(broken / "training.h5", "nothing")

    def test_of_a_set_without_labels(self, tmp_path):
        experiment = experiment_with("identify.labels=false")
        killed(tmp_path, experiment, tmp_path / "broken", 14)
        found = record_training(experiment, tmp_path / "broken", resume=True, workers=1)
        whole = record_training(experiment, tmp_path / "whole", workers=1)
        assert found.made < 23
        assert_same(datasets_in(found.file), datasets_in(whole.file))

    def test_of_nothing(self, tmp_path):
        for settings in ([], [TAR]):
            with pytest.raises(InputError, match="no training set that is unfinished"):
                record_training(experiment_with(*settings), tmp_path / "empty", resume=True)
        assert not (tmp_path / "empty").exists()


def test_zarr_that_is_not_installed_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(
        InputError, match=r"needs the package zarr 3: pip install 'weakbeam\[zarr\]"
    ):
        record_training(experiment_with("identify.format=zarr"), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_zarr_holds_what_was_made(tmp_path):
    zarr = pytest.importorskip("zarr")
    experiment = experiment_with("identify.format=zarr", SPLIT, *VARY)
    record_training(experiment, tmp_path, workers=1)
    plan = plan_training(experiment, 1)
    classes = classes_of(plan.candidates, plan.variation)
    store, seen = zarr.open_group(str(tmp_path / "training.zarr"), mode="r"), []
    for part, name in enumerate(("train", "validation", "test")):
        group = store[name]
        assert group["image"].shards == (6, 2, 10, 14)
        assert group["image"].chunks == (6, 2, 10, 14)
        for row, number in enumerate(group["number"][:].tolist()):
            seen.append(number)
            made = plan.make(number)
            assert plan.parts[number] == part
            np.testing.assert_array_equal(group["image"][row], made.frames)
            np.testing.assert_array_equal(group["mask"][row], made.masks)
            count = len(made.drawn.types)
            assert group["type"][row].tolist() == [*made.drawn.types, *[-1] * (2 - count)]
            assert group["class"][row][:count].tolist() == classes[made.drawn.types].tolist()
            np.testing.assert_array_equal(group["ends"][row][:, :count], made.labels.ends)
            assert np.isnan(group["position"][row][count:]).all()
            assert group["phi_mrad"][row] == made.labels.values["phi_mrad"]
    assert sorted(seen) == list(range(23))
    assert store["train/phi_mrad"].attrs["units"] == "mrad"
