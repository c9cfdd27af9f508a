"""Files of a sweep computed by Dask: a scheduler that runs already, or SLURM or LSF through it."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weakbeam.batch.events import Event, Finished, Lost, Submitted, Ticked
from weakbeam.batch.jobs import jobs_kept
from weakbeam.core.workers import worker_count
from weakbeam.errors import InputError, RunError
from weakbeam.experiment.sweep import ExecutorOptions

if TYPE_CHECKING:
    from distributed import Client

_SUBMIT = {"slurm": "sbatch", "lsf": "bsub"}
_PACKAGES = {"dask": "distributed", "slurm": "dask_jobqueue", "lsf": "dask_jobqueue"}
_AHEAD = 3
"""Files that wait at the scheduler for each worker."""


@dataclass
class ClusterExecutor:
    """Computes files of a sweep by Dask.

    Parameters
    ----------
    folder : str
        The folder of the sweep, which every worker must see under this name.
    digest : str
        The sweep.
    options : ExecutorOptions
        Of kind ``dask``, ``slurm`` or ``lsf``.
    """

    folder: str
    digest: str
    options: ExecutorOptions

    def check(self) -> None:
        """Tell what is missing before anything is started.

        Raises
        ------
        InputError
            If a package is not installed, the cluster's command not there, or no scheduler at
            the address.
        """
        kind = self.options.kind
        if find_spec(_PACKAGES[kind]) is None:
            raise InputError("executor", kind, "needs Dask: pip install 'weakbeam[cluster]'")
        command = _SUBMIT.get(kind)
        if command is not None and shutil.which(command) is None:
            raise InputError("executor", kind, f"needs {command}, which this computer has not")
        if kind == "dask" and self.options.address is not None:
            with self._configured():
                try:
                    self._client(self.options.address).close()
                except RunError as error:
                    raise InputError("executor.address", None, str(error)) from None

    def _configured(self) -> Any:
        """What Dask is told while it is used."""
        import dask

        quiet = {
            "distributed.logging.distributed": "critical",
            "distributed.scheduler.allowed-failures": self.options.retries,
            # Waiting for a queue may take longer than Dask thinks a worker may be silent.
            "distributed.comm.timeouts.connect": f"{self.options.wait_s}s",
        }
        return dask.config.set(quiet)

    def __call__(self, shards: Iterator[int]) -> Iterator[Event]:
        """Compute files; see `weakbeam.batch.events.Executor`."""
        with self._configured(), ExitStack() as connections:
            client, threads = self._connect(connections)
            if self.options.kind in _SUBMIT:
                yield Submitted(self._jobs, str(self._logs))
            yield from self._run(client, threads, shards)

    def _run(self, client: Client, threads: int, shards: Iterator[int]) -> Iterator[Event]:
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        from weakbeam.batch.shard import compute_shard

        running = as_completed(loop=client.loop)
        submitted: dict[Any, int] = {}

        def submit(shard: int) -> None:
            future = client.submit(
                compute_shard,
                self.folder,
                self.digest,
                shard,
                threads,
                os.getcwd(),
                pure=False,
                retries=0,
            )
            submitted[future] = shard
            running.add(future)

        def fill() -> None:
            workers = max(len(client.nthreads()), self._jobs)
            while len(submitted) < _AHEAD * workers:
                shard = next(shards, None)
                if shard is None:
                    return
                submit(shard)

        try:
            fill()
            for future in running:
                shard = submitted.pop(future)
                if future.status in ("cancelled", "lost"):
                    raise RunError(_LOST)
                error = future.exception()
                if error is None:
                    tasks, failures = future.result()
                    yield Ticked(tasks)
                    yield Finished(shard, tasks, failures)
                elif isinstance(error, KilledWorker):
                    yield Lost(shard, "the workers that computed it were lost")
                else:
                    raise RunError(" ".join(str(error).split()) or type(error).__name__)
                fill()
            if submitted:
                raise RunError(_LOST)
        except OSError:
            raise RunError(_LOST) from None

    @property
    def _jobs(self) -> int:
        options = self.options
        return options.workers or (1 if options.kind != "dask" else worker_count())

    @property
    def _logs(self) -> Path:
        return Path(self.folder) / "logs"

    def _connect(self, connections: ExitStack) -> tuple[Client, int]:
        """A client of the cluster that is asked for, and the threads of each worker."""
        from distributed import Client

        options = self.options
        if options.kind == "dask" and options.address is not None:
            client = self._client(options.address)
            connections.callback(client.close)
            return client, options.threads or 1
        cluster, threads = self._cluster(connections)
        client = Client(cluster, timeout=options.wait_s, set_as_default=False)
        connections.callback(client.close)
        return client, threads

    def _client(self, address: str) -> Client:
        """A client of a scheduler that runs already."""
        from distributed import Client

        try:
            return Client(address, timeout=self.options.wait_s, set_as_default=False)
        # What another service answers at this address may raise anything.
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else "no answer"
            raise RunError(f"Dask scheduler {address}: {reason}") from None

    def _cluster(self, connections: ExitStack) -> tuple[Any, int]:
        options = self.options
        if options.kind == "dask":
            from distributed import LocalCluster

            workers = self._jobs
            threads = options.threads or max(1, worker_count() // workers)
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                memory_limit=None,
            )
            connections.callback(cluster.close)
            return cluster, threads
        import dask_jobqueue

        self._logs.mkdir(parents=True, exist_ok=True)
        threads = options.threads or 1
        processes = max(1, options.cores // threads)
        common: dict[str, Any] = {
            "cores": processes,
            "processes": processes,
            "memory": f"{options.memory_GB:g}GB",
            "queue": options.queue,
            "walltime": options.walltime,
            "interface": options.interface,
            "log_directory": str(self._logs),
            "job_extra_directives": list(options.directives),
            "job_script_prologue": list(options.prologue),
            "scheduler_options": {"dashboard_address": None},
        }
        common = {key: value for key, value in common.items() if value is not None}
        if options.kind == "slurm":
            cluster = dask_jobqueue.SLURMCluster(
                account=options.project, job_cpu=options.cores, **common
            )
        else:
            cluster = dask_jobqueue.LSFCluster(
                project=options.project,
                ncpus=options.cores,
                mem=math.ceil(options.memory_GB * 1e9),
                **common,
            )
        connections.callback(cluster.close)
        connections.enter_context(jobs_kept(cluster, self._jobs))
        return cluster, threads


_LOST = "the Dask scheduler was lost; `resume` goes on"
