"""Sweeps in other processes of this computer: workers that die, a driver that dies."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading

import pytest
from killing import kill_and_resume
from small_sweeps import CHI, compute_here, fingerprints, reference, small_sweep, tables

from weakbeam.batch.events import Finished, Found, Lost, Ticked
from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.local import LocalExecutor
from weakbeam.batch.run import Part, run_sweep
from weakbeam.batch.status import sweep_status
from weakbeam.errors import InputError, RunError
from weakbeam.experiment.sweep import ExecutorOptions

MANY = ("scan.chi.value_mrad", [0.01 * n for n in range(60)])
SLOW = {"camera": {"pixels": [40, 60], "pixel_nm": 100.0}}
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def test_two_workers_give_what_one_process_gives(tmp_path):
    sweep = small_sweep(CHI)
    files, index = reference(sweep, tmp_path / "here")
    path, events = tmp_path / "two", []
    options = ExecutorOptions(workers=2)
    summary = run_sweep(sweep, path, options, watch=events.append)
    assert (summary.tasks, summary.done, summary.missing) == (5, 5, 0)
    assert sum(e.tasks for e in events if isinstance(e, Ticked)) == 5
    assert sorted(e.shard for e in events if isinstance(e, Finished)) == [0, 1, 2]
    assert (fingerprints(path), tables(path)) == (files, index)
    names = {"plans", "shards", "sweep.h5", "sweep.txt", "tasks.csv"}
    assert {p.name for p in path.iterdir()} == names
    events.clear()
    summary = run_sweep(sweep, path, resume=True, watch=events.append)
    assert {type(e) for e in events} == {Found}
    assert summary.done == 5


class KillsWorkers:
    """Kills a worker at every n-th event, some times."""

    def __init__(self, executor, kills, every):
        self.executor, self.kills, self.every = executor, kills, every
        self.events = self.killed = 0

    def __call__(self, shards):
        for event in self.executor(shards):
            self.events += 1
            pids = self.executor.pids
            if self.events % self.every == 0 and pids and self.killed < self.kills:
                os.kill(random.Random(self.events).choice(pids), signal.SIGKILL)
                self.killed += 1
            yield event


def kill_workers(tmp_path, monkeypatch, kills, every):
    sweep = small_sweep(MANY, per_shard=5)
    files, index = reference(sweep, tmp_path / "here")
    path = tmp_path / "killed"
    executor = KillsWorkers(LocalExecutor(str(path), sweep.digest, 2, retries=9), kills, every)
    monkeypatch.setattr("weakbeam.batch.run.executor_for", lambda *args: executor)
    ticks = []
    summary = run_sweep(
        sweep, path, watch=lambda e: ticks.append(e.tasks) if isinstance(e, Ticked) else None
    )
    assert executor.killed == kills
    assert (summary.missing, summary.lost) == (0, [])
    assert sum(ticks) == sweep.count
    assert (fingerprints(path), tables(path)) == (files, index)


@POSIX
def test_a_killed_worker_is_replaced(tmp_path, monkeypatch):
    kill_workers(tmp_path, monkeypatch, 1, 25)


@POSIX
def test_a_file_whose_workers_always_die_is_given_up(tmp_path):
    sweep = small_sweep(CHI)
    folder = SweepFolder(tmp_path)
    folder.prepare(sweep, False)
    executor = LocalExecutor(str(tmp_path), sweep.digest, 1, retries=0)
    events = []
    for event in executor(iter([1])):
        events.append(event)
        if isinstance(event, Ticked) and event.tasks > 0:
            os.kill(executor.pids[0], signal.SIGKILL)
    if not any(isinstance(e, Lost) for e in events):
        pytest.skip("the file was complete before the worker died")
    assert events[-1] == Lost(1, "its process was ended by SIGKILL")


@POSIX
def test_a_killed_driver_can_be_resumed(tmp_path):
    kill_and_resume(tmp_path, 60, ["driver"], (1, 12))


@POSIX
@pytest.mark.slow
def test_a_sweep_of_200_survives_ten_random_kills(tmp_path):
    victims = random.Random(2).choices(["worker", "driver"], k=10)
    assert 3 <= victims.count("driver") <= 7
    kill_and_resume(tmp_path, 200, victims, (3, 20))


def test_a_full_disk_ends_the_run_in_one_line(tmp_path):
    """With a limit on the size of files, which workers inherit, as with a full disk."""
    resource = pytest.importorskip("resource")
    sweep = small_sweep(CHI, experiment=SLOW, per_shard=5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    try:
        with pytest.raises(RunError) as caught:
            run_sweep(sweep, tmp_path, ExecutorOptions(workers=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("shards/*")) == []
    compute_here(sweep, tmp_path, resume=True)
    assert sweep_status(tmp_path).missing == 0


def test_a_worker_that_does_not_start_is_told(tmp_path, monkeypatch):
    sweep = small_sweep(CHI)
    SweepFolder(tmp_path).prepare(sweep, False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(RunError, match="a worker does not start: "):
        list(LocalExecutor(str(tmp_path), sweep.digest, 1, retries=0)(iter([0])))


def test_parts_make_the_whole(tmp_path, monkeypatch):
    class Here:
        def __init__(self, folder, digest, *rest):
            self.folder, self.digest = folder, digest

        def __call__(self, shards):
            from weakbeam.batch.shard import compute_shard

            for shard in shards:
                tasks, failures = compute_shard(self.folder, self.digest, shard)
                yield Finished(shard, tasks, failures)

    monkeypatch.setattr("weakbeam.batch.run.LocalExecutor", Here)
    sweep = small_sweep(MANY, per_shard=7)
    files, index = reference(sweep, tmp_path / "here")
    path = tmp_path / "parts"
    assert sum(Part(k, 4).tasks(sweep) for k in (1, 2, 3, 4)) == sweep.count
    runs = [
        threading.Thread(target=run_sweep, args=(sweep, path), kwargs={"part": Part(k, 4)})
        for k in (1, 2, 3, 4)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert (fingerprints(path), tables(path)) == (files, index)


def test_places_that_are_no_folders(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; it must be a folder"):
        run_sweep(small_sweep(CHI), tmp_path / "file")
    with pytest.raises(InputError, match="which is no folder"):
        run_sweep(small_sweep(CHI), tmp_path / "file" / "below")


def test_a_sweep_of_impossible_experiments_is_a_mistake(tmp_path):
    with pytest.raises(InputError, match="no task is possible; the first: reflection"):
        run_sweep(small_sweep(("beam.energy_keV", [2, 3])), tmp_path, ExecutorOptions(workers=1))
