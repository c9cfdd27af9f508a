"""Sweeps by Dask, SLURM and LSF; the commands of the latter run their scripts on this computer."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from fake_clusters import make_commands, submitted_jobs
from small_sweeps import fingerprints, reference, small_sweep, tables

from weakbeam.batch import cluster
from weakbeam.batch.events import Finished, Ticked
from weakbeam.batch.jobs import JobCount
from weakbeam.batch.run import run_sweep
from weakbeam.batch.status import sweep_status
from weakbeam.errors import InputError, RunError
from weakbeam.experiment.sweep import ExecutorOptions

ANGLES = ("scan.chi.value_mrad", [0.01 * n for n in range(200)])


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A folder of commands as a cluster has them."""
    make_commands(tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
@pytest.mark.parametrize("kind", ["dask", "slurm", "lsf"])
def test_every_executor_gives_the_same_files(tmp_path, commands, kind):
    pytest.importorskip("dask_jobqueue")
    sweep = small_sweep(ANGLES, per_shard=4)
    files, index = reference(sweep, tmp_path / "here")
    events = []
    options = ExecutorOptions(kind=kind, workers=2, queue="long", directives=("--hint=none",))
    summary = run_sweep(sweep, tmp_path / kind, options, watch=events.append)
    assert summary.missing == 0
    assert sum(event.tasks for event in events if isinstance(event, Ticked)) == 200
    assert len({event.shard for event in events if isinstance(event, Finished)}) == 50
    assert (fingerprints(tmp_path / kind), tables(tmp_path / kind)) == (files, index)


def test_jobs_that_have_ended_are_replaced():
    count = JobCount(3)
    assert count.wanted([]) == 3
    assert count.wanted(["SLURMCluster-0-0", "SLURMCluster-0-1", "SLURMCluster-2"]) == 3
    assert count.wanted(["SLURMCluster-0-1", "SLURMCluster-2"]) == 3
    assert count.wanted(["SLURMCluster-0-1", "another"]) == 4
    assert count.wanted(["SLURMCluster-3"]) == 5
    # Job 2 was only out of sight for a time.
    assert count.wanted(["SLURMCluster-2", "SLURMCluster-3", "SLURMCluster-4"]) == 5


def test_jobs_that_come_and_go_unseen_are_replaced():
    count = JobCount(1)
    assert count.wanted([]) == 1
    count.saw("SLURMCluster-0")
    assert count.wanted([]) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_a_sweep_outlives_its_jobs(tmp_path, commands, monkeypatch):
    """All jobs are killed in the midst, as at their time limit; others take their places."""
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setattr("weakbeam.batch.jobs._LOOK_EVERY", 0.5)
    sweep = small_sweep(ANGLES, per_shard=4)
    files, _ = reference(sweep, tmp_path / "here")
    finished, killed = [], []

    def watch(event):
        if isinstance(event, Finished):
            finished.append(event)
        if len(finished) == 3 and not killed:
            killed.extend(submitted_jobs(tmp_path))
            for job in killed:
                os.killpg(job, signal.SIGKILL)

    options = ExecutorOptions(kind="slurm", workers=2, cores=2, retries=9)
    summary = run_sweep(sweep, tmp_path / "run", options, watch=watch)
    assert (summary.missing, summary.lost) == (0, [])
    assert len(killed) == 2
    assert len(submitted_jobs(tmp_path)) >= 3
    assert fingerprints(tmp_path / "run") == files


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_scheduler_that_dies_is_told_and_nothing_lost(tmp_path):
    pytest.importorskip("distributed")
    scheduler = start("distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard")
    address = None
    for line in scheduler.stderr:
        if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
            address = found[1]
            break
    worker = start("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
    # Pipes that nobody reads would fill up.
    for process in (scheduler, worker):
        threading.Thread(target=process.stderr.read, daemon=True).start()
    sweep = small_sweep(ANGLES, per_shard=4)
    options = ExecutorOptions(kind="dask", address=address, workers=1)
    finished = []

    def watch(event):
        if isinstance(event, Finished):
            finished.append(event)
        if len(finished) == 3:
            os.killpg(scheduler.pid, signal.SIGKILL)

    try:
        with pytest.raises(RunError, match="the Dask scheduler was lost; `resume` goes on"):
            run_sweep(sweep, tmp_path / "run", options, watch=watch)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    time.sleep(0.5)
    assert sweep_status(tmp_path / "run").complete >= 3
    assert not sweep_status(tmp_path / "run").damaged
    assert run_sweep(sweep, tmp_path / "run", ExecutorOptions(workers=1), resume=True).missing == 0


def test_another_service_at_the_address_of_a_scheduler(tmp_path):
    """It takes the first bytes of an answer for a length: of more memory than there is."""
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(1000)

        threading.Thread(target=serve, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        options = ExecutorOptions(kind="dask", address=address, wait_s=2)
        with pytest.raises(InputError, match=rf"Dask scheduler {address}: ") as caught:
            run_sweep(small_sweep(ANGLES), tmp_path / "run", options)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_none():
    for address in ("host", "http://host:1", "tcp://host", "tcp://host:port", ":", "inproc://1/2"):
        with pytest.raises(InputError, match=r"^executor.address = .*tcp://host:8786"):
            small_sweep(ANGLES, executor={"kind": "dask", "address": address})


def test_a_scheduler_that_does_not_answer(tmp_path):
    pytest.importorskip("distributed")
    options = ExecutorOptions(kind="dask", address="tcp://127.0.0.1:9", wait_s=1)
    with pytest.raises(InputError, match=r"Dask scheduler tcp://127.0.0.1:9: ") as caught:
        run_sweep(small_sweep(ANGLES), tmp_path / "run", options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("kind", "command"), [("slurm", "sbatch"), ("lsf", "bsub")])
def test_a_missing_command(tmp_path, monkeypatch, kind, command):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        run_sweep(small_sweep(ANGLES), tmp_path / "run", ExecutorOptions(kind=kind))
    assert str(caught.value) == f"executor = '{kind}': needs {command}, which this computer has not"
    assert not (tmp_path / "run").exists()


def test_a_missing_package(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'weakbeam\[cluster\]'"):
        run_sweep(small_sweep(ANGLES), tmp_path / "run", ExecutorOptions(kind="dask"))
