"""The work of one worker: the experiments of one file of a sweep, from beginning to end."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import chdir, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from weakbeam.assemble import Resolved, assemble_all, resolve
from weakbeam.assemble.inputs import digest_of
from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.manifest import Sweep, Task, read_sweep
from weakbeam.batch.receipts import (
    Failure,
    Group,
    Kept,
    Receipt,
    Stored,
    move_into_place,
    write_receipt,
)
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.experiment.files import with_files
from weakbeam.io.diskerrors import disk_reason
from weakbeam.io.provenance import file_sha256
from weakbeam.io.sample import Sample
from weakbeam.io.shards import SUFFIXES, ShardWriter, shard_writer
from weakbeam.run.estimate import check_memory
from weakbeam.run.simulate import simulate

Tick = Callable[[int], None]
"""Told how many tasks are newly done."""


def task_id(experiment: Experiment, text: str | None = None) -> str:
    """What tells a task from all others: a hash of its experiment and the files that it names.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    text : str, optional
        It as TOML, if that is known.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    RunError
        If a file cannot be read.
    """
    try:
        return digest_of(experiment, _hash_now, text)
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read ({error.strerror})") from None


def _hash_now(name: str) -> str:
    status = os.stat(name)
    return _file_hash(name, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1000)
def _file_hash(name: str, changed: int, size: int) -> str:
    return file_sha256(name)


@lru_cache(maxsize=2)
def _planned(plan: Path, digest: str) -> Sweep:
    sweep = read_sweep(plan)
    if sweep.digest != digest:
        raise RunError(f"{plan}: is not the manifest that the run started with")
    return sweep


@lru_cache(maxsize=2)
def _kept(folder: SweepFolder, digest: str, version: tuple[int, ...]) -> frozenset[bytes]:
    return folder.kept(digest)


def compute_shard(
    folder: str,
    digest: str,
    number: int,
    threads: int = 1,
    directory: str = "",
    tick: Tick | None = None,
) -> tuple[int, int]:
    """Compute one file of a sweep, unless it is complete.

    Parameters
    ----------
    folder : str
        The folder of the sweep, which must be prepared.
    digest : str
        The sweep.
    number : int
        The file, from 0.
    threads : int
        Threads for each experiment. The result does not depend on it.
    directory : str
        What relative names of files are relative to; the current directory unless given.
    tick : callable, optional
        Told when a task is done.

    Returns
    -------
    tasks, failures : int
        How many there are in the file.

    Raises
    ------
    InputError, RunError
        If the file cannot be written, an input cannot be read or memory is too small. Nothing
        is marked as complete then.
    """
    place = SweepFolder(Path(folder).absolute())
    with chdir(directory or "."):
        sweep = _planned(place.plan(digest), digest)
        # A worker may outlive a run, and the next one change the list.
        kept = _kept(place, digest, place.version_of_kept(digest))
        receipt = place.receipt(digest, number)
        if receipt is None:
            receipt = _Shard(place, sweep, number, kept).compute(threads, tick)
        elif tick is not None:
            tick(receipt.tasks)
    return receipt.tasks, len(receipt.failures)


class _Shard:
    """A file of a sweep while it is computed."""

    def __init__(
        self, folder: SweepFolder, sweep: Sweep, number: int, kept: frozenset[bytes]
    ) -> None:
        self._folder, self._sweep, self._number, self._kept = folder, sweep, number, kept
        self._name = folder.name(sweep.digest, number)
        self._draft = folder.draft(self._name)
        self._writer: ShardWriter | None = None
        self._stored: list[Stored] = []
        self._failures: list[Failure] = []
        self._known: list[Kept] = []
        self._groups: dict[str, Group] = {}
        self._rows: dict[str, int] = {}

    def compute(self, threads: int, tick: Tick | None) -> Receipt:
        numbers = self._sweep.shard(self._number)
        try:
            for task in self._sweep.tasks(numbers.start, numbers.stop):
                self._do(task, threads)
                if tick is not None:
                    tick(1)
            return self._complete()
        except (OSError, RuntimeError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(f"{self._draft.parent}: {disk_reason(error)}") from None
        except MemoryError:
            raise RunError("out of memory") from None
        finally:
            self._clean_up()

    def _do(self, task: Task, threads: int) -> None:
        identity = ""
        try:
            experiment = task.experiment(self._sweep.base)
            text = self._as_stored(experiment).to_toml()
            identity = task_id(experiment, text)
            if bytes.fromhex(identity) in self._kept:
                self._known.append(Kept(task.number, identity))
                return
            resolved = resolve(experiment)
            _check_machine(resolved)
            images = simulate(resolved, threads).images
        except (OSError, MemoryError, RunError):
            raise
        except Exception as error:
            is_mistake = isinstance(error, InputError)
            reason = str(error) if is_mistake else f"{type(error).__name__}: {error}"
            reason = " ".join(reason.split())
            self._failures.append(Failure(task.number, identity, reason, is_mistake))
            return
        values = np.ascontiguousarray(images.values)
        sample = Sample(
            task.number, identity, task.settings, text, values, images.coords, images.units
        )
        self._add(sample, experiment.output.compression)

    def _as_stored(self, experiment: Experiment) -> Experiment:
        """The experiment with names of files that hold wherever the folder is."""
        home = self._folder.path
        return with_files(
            experiment,
            lambda name: (
                Path(os.path.relpath(name, self._folder.shards)).as_posix()
                if Path(name).is_relative_to(home)
                else name
            ),
        )

    def _add(self, sample: Sample, compression: str) -> None:
        form = self._sweep.manifest.output.format
        if self._writer is None:
            self._writer = shard_writer(form, self._draft, compression)
        self._writer.add(sample)
        group, row = sample.group, self._rows.get(sample.group, 0)
        self._rows[group] = row + 1
        shape, dtype = sample.images.shape, str(sample.images.dtype)
        self._groups[group] = Group(shape, dtype, tuple(sample.coords))
        self._stored.append(Stored(sample.number, sample.id, group, row))

    def _clean_up(self) -> None:
        """Leave nothing of a file that was not completed; Windows removes only closed ones."""
        if self._writer is not None:
            with suppress(Exception):
                self._writer.close()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)

    def _complete(self) -> Receipt:
        form = self._sweep.manifest.output.format
        file, size, digest = "", 0, ""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            file = f"{self._name}{SUFFIXES[form]}"
            size, digest = self._draft.stat().st_size, file_sha256(self._draft)
            move_into_place(self._draft, self._folder.shards / file)
        receipt = Receipt(
            file,
            form,
            size,
            digest,
            tuple(self._stored),
            tuple(self._failures),
            tuple(self._known),
            self._groups,
        )
        write_receipt(self._folder.shards / f"{self._name}.json", receipt, self._draft)
        return receipt


def _check_machine(resolved: Resolved) -> None:
    """Tell an experiment that is too large for this machine from one that is not possible."""
    try:
        check_memory(resolved)
    except InputError as error:
        assemble_all(resolved)
        raise RunError(str(error)) from None
