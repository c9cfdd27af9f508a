"""Files that a sweep reads: their names count from the manifest, and copies go with the folder."""

import shutil
from pathlib import Path

from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.manifest import parse_sweep, read_sweep
from weakbeam.batch.shard import compute_shard
from weakbeam.experiment.files import files_named
from weakbeam.io.shard_reading import read_samples
from weakbeam.rerun import rerun

LINES = "x,y,z,u,v,w,h,k,l,angle_deg\n{},0.4,0,1,0,-1,1,1,1,60\n"

MANIFEST = """
[[axes]]
key = "defects[0].file"
values = ["one.csv", "sub/two.csv"]

[output]
tasks_per_shard = 2

[experiment]
camera = { pixels = [6, 8], pixel_nm = 400.0 }
scan = { phi = { value_mrad = 0.15 } }
defects = [{ kind = "table", file = "one.csv" }]
"""


def made(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "one.csv").write_text(LINES.format(0))
    (folder / "sub/two.csv").write_text(LINES.format(0.7))
    (folder / "sweep.toml").write_text(MANIFEST)
    return folder / "sweep.toml"


def computed(manifest: Path, folder: Path) -> tuple[SweepFolder, Path]:
    sweep, place = read_sweep(manifest), SweepFolder(folder)
    place.prepare(sweep, resume=False)
    compute_shard(str(folder), sweep.digest, 0)
    (shard,) = place.shards.glob("*.h5")
    return place, shard


def test_names_of_files_count_from_the_manifest(tmp_path, monkeypatch):
    manifest = made(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep("home/sweep.toml")
    named = [dict(files_named(t.experiment(sweep.base))) for t in sweep.tasks()]
    assert named == [
        {"defects[0].file": str(manifest.parent / "one.csv")},
        {"defects[0].file": str(manifest.parent / "sub/two.csv")},
    ]
    table = {"key": "defects", "values": [[{"kind": "table", "file": "one.csv"}]]}
    data = {"axes": [table], "experiment": {}}
    (task,) = parse_sweep(data, Path("home")).tasks()
    assert task.settings["defects"][0]["file"] == str(manifest.parent / "one.csv")


def test_a_sweep_is_the_same_wherever_its_files_are(tmp_path, monkeypatch):
    digest = read_sweep(made(tmp_path / "home")).digest
    shutil.move(tmp_path / "home", tmp_path / "moved")
    moved = read_sweep(tmp_path / "moved/sweep.toml")
    assert moved.digest == digest
    (tmp_path / "moved/sub/two.csv").write_text(LINES.format(0.8))
    assert read_sweep(tmp_path / "moved/sweep.toml").digest != digest


def test_a_sweep_is_computed_and_repeated_without_its_originals(tmp_path, monkeypatch):
    manifest = made(tmp_path / "home")
    sweep, place = read_sweep(manifest), SweepFolder(tmp_path / "energies")
    place.prepare(sweep, resume=False)
    shutil.rmtree(tmp_path / "home")
    compute_shard(str(place.path), sweep.digest, 0)
    moved = tmp_path / "moved"
    shutil.move(place.path, moved)
    (shard,) = (moved / "shards").glob("*.h5")
    samples = [*read_samples(shard)]
    assert ['file = "../inputs/' in sample.experiment for sample in samples] == [True, True]
    assert not (samples[0].images == samples[1].images).all()
    result = rerun(shard)
    assert result.is_identical
    assert result.inputs == ()
    assert [entry.frames for entry in result.frames] == [1, 1]


def test_files_of_images_do_not_tell_where_the_sweep_lies(tmp_path):
    manifest = made(tmp_path / "home")
    _, first = computed(manifest, tmp_path / "here")
    _, second = computed(manifest, tmp_path / "deep/there")
    assert first.name == second.name
    assert [s.experiment for s in read_samples(first)] == [
        s.experiment for s in read_samples(second)
    ]
    assert [s.id for s in read_samples(first)] == [s.id for s in read_samples(second)]


def test_files_that_are_not_copied_are_named(tmp_path, monkeypatch, caplog):
    manifest = made(tmp_path / "home")
    monkeypatch.setattr("weakbeam.run.kept_inputs.LARGEST_COPY", 10)
    _, shard = computed(manifest, tmp_path / "here")
    assert not (tmp_path / "here/inputs").exists()
    told = [record.getMessage() for record in caplog.records]
    for name in ("one.csv", "sub/two.csv"):
        assert any(str(manifest.parent / name) in line and "not copied" in line for line in told)
    assert rerun(shard).is_identical


def test_a_sweep_is_replaced_by_another(tmp_path):
    from weakbeam.batch.run import run_sweep
    from weakbeam.experiment.sweep import ExecutorOptions

    manifest = made(tmp_path / "home")
    folder, alone = tmp_path / "here", ExecutorOptions(workers=1)
    run_sweep(read_sweep(manifest), folder, alone)
    (folder / "shards" / "notes.txt").write_text("mine")
    before = {path.name for path in (folder / "shards").iterdir()}
    manifest.write_text(MANIFEST.replace("400.0", "300.0"))
    summary = run_sweep(read_sweep(manifest), folder, alone, overwrite=True)
    assert summary.done == summary.tasks == 2
    after = {path.name for path in (folder / "shards").iterdir()}
    assert before & after == {"notes.txt"}
    assert len([*(folder / "plans").glob("*.toml")]) == 1
