"""Jobs of a cluster that end before the sweep does are replaced by new ones.

Jobs end at their time limit, are preempted or die with their node. Dask then has fewer workers, in
the end none, and would wait for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

_LOOK_EVERY = 10.0
"""Seconds between two looks at the workers."""


class JobCount:
    """Counts the jobs whose workers have come and gone.

    Parameters
    ----------
    jobs : int
        How many are wanted at any time.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._seen: set[int] = set()
        self._gone: set[int] = set()

    def saw(self, worker: str) -> None:
        """Note that a worker is there."""
        self._seen |= _jobs_of([worker])

    def wanted(self, workers: Iterable[str]) -> int:
        """How many jobs are to be submitted, all in all.

        Parameters
        ----------
        workers : iterable of str
            Names of the workers that are there: ``SLURMCluster-3`` of job 3, ``SLURMCluster-3-0``
            if it has several workers.
        """
        here = _jobs_of(workers)
        self._seen |= here
        # One that comes back after all is one more than wanted: no worker is sent away.
        self._gone |= self._seen - here
        return self._jobs + len(self._gone)


def _jobs_of(workers: Iterable[str]) -> set[int]:
    return {int(m[1]) for name in workers if (m := re.match(r"[^-]*-(\d+)", name))}


@contextmanager
def jobs_kept(cluster: Any, jobs: int, every: float | None = None) -> Iterator[None]:
    """Submit jobs, and new ones for those that end.

    A job that ends before a worker of it has come is not replaced: the next would not do better.

    Parameters
    ----------
    cluster : dask_jobqueue.JobQueueCluster
        The cluster.
    jobs : int
        How many jobs there are to be.
    every : float, optional
        Time (s) between two looks.
    """
    from distributed.diagnostics.plugin import SchedulerPlugin

    count, end = JobCount(jobs), Event()

    class Arrivals(SchedulerPlugin):  # type: ignore[misc]
        """Sees also the workers that come and go between two looks."""

        def add_worker(self, scheduler: Any, worker: str) -> None:
            count.saw(str(scheduler.workers[worker].name))

    cluster.scheduler.add_plugin(Arrivals())
    cluster.scale(jobs=jobs)

    def look() -> None:
        while not end.wait(every or _LOOK_EVERY):
            # The scheduler changes its table at any time, and is closed at some.
            with suppress(RuntimeError, AttributeError):
                names = [str(worker.name) for worker in list(cluster.scheduler.workers.values())]
                cluster.scale(jobs=count.wanted(names))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
