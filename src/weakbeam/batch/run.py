"""Run a sweep in a folder: prepare, compute what is missing, write the tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from weakbeam.batch.events import Event, Executor, Found, Lost, Watch
from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.index import write_tables
from weakbeam.batch.local import LocalExecutor
from weakbeam.batch.lock import WHOLE, locked
from weakbeam.batch.manifest import Sweep
from weakbeam.batch.receipts import Failure
from weakbeam.errors import InputError, RunError
from weakbeam.experiment.sweep import ExecutorOptions
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.targets import claim_folder

MANY_TASKS = 1_000_000
"""More tasks than this are to be asked for explicitly."""

_QUICK_TABLES = 100_000
"""Most tasks whose tables are written in seconds."""


@dataclass(frozen=True)
class Part:
    """One of several runs that share a sweep, from 1 to `of`."""

    number: int = 1
    of: int = 1

    @property
    def lock(self) -> str:
        """Name of its lock."""
        return WHOLE if self.of == 1 else f"part-{self.number}-of-{self.of}.lock"

    def shards(self, sweep: Sweep) -> range:
        """Numbers of its files."""
        return range(self.number - 1, sweep.shards, self.of)

    def holds(self, sweep: Sweep, task: int) -> bool:
        """Whether a task, by its number, is one of its own."""
        return task // sweep.tasks_per_shard % self.of == self.number - 1

    def tasks(self, sweep: Sweep) -> int:
        """Number of its tasks."""
        if self.of == 1:
            return sweep.count
        return sum(len(sweep.shard(number)) for number in self.shards(sweep))


@dataclass
class Summary:
    """How a sweep stands.

    Parameters
    ----------
    tasks : int
        Tasks of the whole sweep.
    done : int
        Tasks with images.
    failures : list of Failure
        Tasks without images, and why.
    lost : list of Lost
        Files that could not be computed this time.
    """

    tasks: int
    done: int = 0
    failures: list[Failure] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Tasks that have not been computed."""
        return self.tasks - self.done - len(self.failures)


def executor_for(sweep: Sweep, folder: Path, options: ExecutorOptions) -> Executor:
    """Make the executor that the options ask for.

    Raises
    ------
    InputError
        If it cannot be used here.
    """
    if options.kind == "local":
        return LocalExecutor(
            str(folder.absolute()), sweep.digest, options.workers, options.threads, options.retries
        )
    from weakbeam.batch.cluster import ClusterExecutor

    executor = ClusterExecutor(str(folder.absolute()), sweep.digest, options)
    executor.check()
    return executor


def run_sweep(
    sweep: Sweep,
    folder: str | os.PathLike[str],
    options: ExecutorOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    part: Part = Part(),
    watch: Watch | None = None,
) -> Summary:
    """Compute the images of a sweep.

    Parameters
    ----------
    sweep : Sweep
        The sweep.
    folder : path-like
        Gets the folders ``shards`` and ``plans``, ``tasks.csv`` and ``sweep.h5``.
    options : ExecutorOptions, optional
        Where it is computed; as the manifest says unless given. The files do not depend on it.
    resume : bool
        Go on with a sweep that is in the folder, or extend it.
    overwrite : bool
        Remove the sweep that is in the folder, and begin anew.
    part : Part
        Which of several runs this is that share the sweep.
    watch : callable, optional
        Told of every event, see `weakbeam.batch.events`.

    Returns
    -------
    Summary

    Raises
    ------
    InputError
        If the folder holds a sweep or is in use, or no task of the sweep is possible.
    RunError
        If a disk is full, or a cluster is lost. What is complete stays.
    """
    if overwrite and (resume or part.of > 1):
        allowed = "cannot go with `resume`, nor with a part of a sweep that others share"
        raise InputError("overwrite", None, allowed)
    options = options or sweep.manifest.executor
    place = SweepFolder(Path(folder))
    claim_folder(place.path)
    executor = executor_for(sweep, place.path, options)
    try:
        place.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise creation_error(place.path, error) from None
    lost: list[Lost] = []

    def tell(event: Event) -> None:
        if isinstance(event, Lost):
            lost.append(event)
        if watch is not None:
            watch(event)

    with locked(place.path, part.lock):
        # Parts start at about the same time: each finds the folder as another has left it.
        if overwrite:
            place.clear()
        place.prepare(sweep, resume or overwrite or part.of > 1)
        place.remove_drafts()
        try:
            for event in executor(_missing(place, sweep, part, tell)):
                tell(event)
        except BaseException:
            # Nobody who has pressed Ctrl-C waits for tables of millions of lines.
            if sweep.count <= _QUICK_TABLES:
                with suppress(Exception):
                    write_tables(place, sweep)
            raise
        finally:
            place.remove_drafts()
        try:
            inventory = write_tables(place, sweep)
        except OSError as error:
            raise RunError(str(creation_error(place.path, error))) from None
    failures = [failure for _, failure in sorted(inventory.failures.items())]
    if not inventory.places and len(failures) == sweep.count and not lost:
        raise InputError("sweep", None, f"no task is possible; the first: {failures[0].reason}")
    return Summary(sweep.count, len(inventory.places), failures, lost)


def _missing(folder: SweepFolder, sweep: Sweep, part: Part, tell: Watch) -> Iterator[int]:
    """Yield the files that are not complete; tell of those that are."""
    for number in part.shards(sweep):
        if folder.receipt(sweep.digest, number) is None:
            yield number
        else:
            tell(Found(len(sweep.shard(number))))
