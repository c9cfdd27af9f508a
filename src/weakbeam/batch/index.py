"""The tables of a sweep: which task is in which file, with which settings."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.lock import one_by_one
from weakbeam.batch.manifest import Sweep, Task
from weakbeam.batch.receipts import Failure, Group, Receipt, placed

INDEX = "sweep.h5"
TABLE = "tasks.csv"


@dataclass
class Contents:
    """What is there of a sweep.

    Parameters
    ----------
    places : dict
        Number of a task -> file, group and row of its images, and its id.
    groups : dict
        Name -> shape of images.
    failures : dict
        Number of a task -> why it has no images.
    complete : set of int
        Files of this sweep that are complete.
    """

    places: dict[int, tuple[str, str, int, str]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    complete: set[int] = field(default_factory=set)

    @property
    def tasks(self) -> int:
        """Number of tasks that are done."""
        return len(self.places) + len(self.failures)


def contents(folder: SweepFolder, sweep: Sweep, damaged: Collection[str] = frozenset()) -> Contents:
    """Look through the files of a sweep, and through those of others that hold some of its tasks.

    Parameters
    ----------
    folder : SweepFolder
        The folder.
    sweep : Sweep
        The sweep.
    damaged : collection of str
        Names of files that do not count as complete, although their lengths are right.
    """
    inventory = Contents()
    wanted: dict[str, list[int]] = {}
    for number in range(sweep.shards):
        receipt = folder.receipt(sweep.digest, number)
        if receipt is None or receipt.file in damaged:
            continue
        inventory.complete.add(number)
        inventory.groups.update(receipt.groups)
        for entry in receipt.stored:
            inventory.places[entry.number] = (receipt.file, entry.group, entry.row, entry.id)
        inventory.failures.update({failure.number: failure for failure in receipt.failures})
        for kept in receipt.kept:
            wanted.setdefault(kept.id, []).append(kept.number)
    if wanted:
        for receipt in folder.elsewhere(sweep):
            if receipt.file not in damaged:
                _find(wanted, receipt, inventory)
    return inventory


def _find(wanted: dict[str, list[int]], receipt: Receipt, inventory: Contents) -> None:
    for entry in receipt.stored:
        for number in wanted.pop(entry.id, ()):
            inventory.places[number] = (receipt.file, entry.group, entry.row, entry.id)
            inventory.groups[entry.group] = receipt.groups[entry.group]


def write_tables(folder: SweepFolder, sweep: Sweep) -> Contents:
    """Write ``tasks.csv``, and ``sweep.h5`` if the images are in HDF5."""
    # Parts of a sweep may end at the same time; the last one then sees the files of all.
    with one_by_one(folder.path, "tables.lock"):
        inventory = contents(folder, sweep)
        if sweep.manifest.output.format == "hdf5":
            _write_index(folder, sweep, inventory)
        _write_table(folder, sweep, inventory)
    return inventory


def _write_index(folder: SweepFolder, sweep: Sweep, inventory: Contents) -> None:
    from weakbeam.io.sweep_index import IndexGroup, Row, write_index

    tasks: dict[str, list[Task]] = {name: [] for name in sorted(inventory.groups)}
    for task in sweep.tasks():
        if task.number in inventory.places:
            tasks[inventory.places[task.number][1]].append(task)
    groups = []
    for name, members in tasks.items():
        places = [inventory.places[task.number] for task in members]
        rows = [
            Row(task.number, identity, f"shards/{file}", row)
            for task, (file, _, row, identity) in zip(members, places, strict=True)
        ]
        settings = {key: [task.settings[key] for task in members] for key in sweep.keys}
        group = inventory.groups[name]
        if rows:
            groups.append(IndexGroup(name, group.shape, group.dtype, rows, settings))
    failures = [(f.number, f.id, f.reason) for _, f in sorted(inventory.failures.items())]
    draft = folder.draft(INDEX)
    with placed(draft, folder.path / INDEX):
        write_index(draft, groups, failures, sweep.to_toml())


def _write_table(folder: SweepFolder, sweep: Sweep, inventory: Contents) -> None:
    draft = folder.draft(TABLE)
    with placed(draft, folder.path / TABLE), draft.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["number", "status", "id", "file", "group", "row", "reason", *sweep.keys])
        table.writerows(_lines(sweep, inventory))


def _lines(sweep: Sweep, inventory: Contents) -> Iterator[list[Any]]:
    for task in sweep.tasks():
        values = [v if isinstance(v, str) else json.dumps(v) for v in task.settings.values()]
        if task.number in inventory.places:
            file, group, row, identity = inventory.places[task.number]
            yield [task.number, "done", identity, f"shards/{file}", group, row, "", *values]
        elif task.number in inventory.failures:
            failure = inventory.failures[task.number]
            yield [task.number, "failed", failure.id, "", "", "", failure.reason, *values]
        else:
            yield [task.number, "missing", "", "", "", "", "", *values]
