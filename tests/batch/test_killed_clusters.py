"""Sweeps by Dask, SLURM and LSF whose workers, jobs and drivers are killed again and again."""

from __future__ import annotations

import os
import random
import signal
import sys
from contextlib import suppress

import pytest
from fake_clusters import make_commands, submitted_jobs
from killing import kill_and_resume

from weakbeam.io.lock import is_running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and a shell of POSIX"),
]

VICTIMS = random.Random(2).choices(["worker", "driver"], k=10)


def test_dask_survives_ten_random_kills(tmp_path):
    pytest.importorskip("distributed")
    kill_and_resume(tmp_path, 200, VICTIMS, (1, 10), per_file=2, kind="dask")


@pytest.mark.parametrize("kind", ["slurm", "lsf"])
def test_jobs_survive_ten_random_kills(tmp_path, monkeypatch, kind):
    pytest.importorskip("dask_jobqueue")
    make_commands(tmp_path, monkeypatch)
    # After this time (s) a job ends that has no scheduler.
    monkeypatch.setenv(f"DASK_JOBQUEUE__{kind.upper()}__DEATH_TIMEOUT", "20")

    def running():
        return [job for job in submitted_jobs(tmp_path) if is_running(job)]

    def kill_job(rng, driver):
        # The last ones are those of this driver.
        with suppress(IndexError, ProcessLookupError):
            os.killpg(rng.choice(running()[-2:]), signal.SIGKILL)

    kill_and_resume(
        tmp_path,
        200,
        VICTIMS,
        (1, 10),
        kill_one=kill_job,
        left_behind=lambda driver: running(),
        within=60.0,
        per_file=2,
        kind=kind,
    )
