"""How a sweep in a folder stands; nothing is changed."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from weakbeam.batch.folder import SweepFolder, sweep_in
from weakbeam.batch.index import INDEX, contents
from weakbeam.batch.lock import holders
from weakbeam.batch.receipts import read_receipt
from weakbeam.io.sweep_index import missing_sources


@dataclass(frozen=True)
class Status:
    """How a sweep stands.

    Parameters
    ----------
    tasks, done, failed : int
        Tasks of the sweep, those with images, and those that are not possible.
    files, complete : int
        Files of the sweep, and those that are complete.
    reasons : mapping of str to int
        Why tasks have no images, and how many, the most frequent first.
    damaged : tuple of str
        Files that were complete and are not as they were.
    unreadable : tuple of str
        Files that ``sweep.h5`` shows and that are not there: it shows zeros for them.
    running : tuple of str
        Processes that work in the folder.
    """

    tasks: int
    done: int
    failed: int
    files: int
    complete: int
    reasons: dict[str, int]
    damaged: tuple[str, ...]
    unreadable: tuple[str, ...]
    running: tuple[str, ...]

    @property
    def missing(self) -> int:
        """Tasks that are still to be computed."""
        return self.tasks - self.done - self.failed


def sweep_status(path: str | os.PathLike[str], thorough: bool = False) -> Status:
    """Look through the folder of a sweep.

    Parameters
    ----------
    path : path-like
        The folder.
    thorough : bool
        Compare every byte with what was written, instead of the lengths of files only.

    Raises
    ------
    InputError
        If the folder holds no sweep.
    """
    folder = SweepFolder(Path(path))
    sweep = sweep_in(folder)
    damaged = []
    for receipt_path in sorted(folder.shards.glob("*.json")):
        receipt = read_receipt(receipt_path)
        if receipt is None or not receipt.is_intact(folder.shards, thorough):
            damaged.append(receipt.file if receipt else receipt_path.name)
    inventory = contents(folder, sweep, frozenset(damaged))
    index = folder.path / INDEX
    return Status(
        tasks=sweep.count,
        done=len(inventory.places),
        failed=len(inventory.failures),
        files=sweep.shards,
        complete=len(inventory.complete),
        reasons=dict(Counter(f.reason for f in inventory.failures.values()).most_common()),
        damaged=tuple(damaged),
        unreadable=tuple(missing_sources(index)) if index.exists() else (),
        running=tuple(map(str, holders(folder.path))),
    )
