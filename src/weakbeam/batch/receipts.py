"""What a finished file of a sweep holds, noted beside it when it is complete and on the disk."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weakbeam.io.provenance import file_sha256
from weakbeam.io.targets import claim_regular


@dataclass(frozen=True)
class Stored:
    """Where the images of a task are: row `row` of `group`."""

    number: int
    id: str
    group: str
    row: int


@dataclass(frozen=True)
class Failure:
    """A task without images, and why in one line. `is_mistake`: its experiment is not possible."""

    number: int
    id: str
    reason: str
    is_mistake: bool


@dataclass(frozen=True)
class Kept:
    """A task whose images are in a file that an earlier form of the sweep has left."""

    number: int
    id: str


@dataclass(frozen=True)
class Group:
    """Images of one shape in a file."""

    shape: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...]


@dataclass(frozen=True)
class Receipt:
    """What a file of a sweep holds.

    Parameters
    ----------
    file : str
        Its name; empty where no task has images.
    format : str
        ``hdf5``, ``webdataset`` or ``zarr``.
    size : int
        Its length in bytes.
    sha256 : str
        Hash of its bytes.
    stored, failures, kept : tuple
        The tasks.
    groups : mapping of str to Group
        Shapes of images.
    """

    file: str
    format: str
    size: int = 0
    sha256: str = ""
    stored: tuple[Stored, ...] = ()
    failures: tuple[Failure, ...] = ()
    kept: tuple[Kept, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.stored) + len(self.failures) + len(self.kept)

    def is_intact(self, folder: Path, thorough: bool = False) -> bool:
        """Whether the file is there in its full length; if `thorough`, with the same bytes."""
        if not self.file:
            return True
        if Path(self.file).name != self.file:
            # The receipt of a stranger must not lead out of the folder.
            return False
        path = folder / self.file
        try:
            if path.stat().st_size != self.size:
                return False
            return not thorough or file_sha256(path) == self.sha256
        except OSError:
            return False


def write_receipt(path: Path, receipt: Receipt, draft: Path) -> None:
    """Write a receipt by way of `draft`, so that it is there as a whole or not at all."""
    text = json.dumps(asdict(receipt), ensure_ascii=False) + "\n"
    with placed(draft, path):
        draft.write_text(text, encoding="utf-8")


def read_receipt(path: Path) -> Receipt | None:
    """Read a receipt; None if there is none, or none that can be trusted."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        groups = {
            name: Group(tuple(g["shape"]), g["dtype"], tuple(g["dims"]))
            for name, g in data.pop("groups").items()
        }
        return Receipt(
            stored=tuple(Stored(**entry) for entry in data.pop("stored")),
            failures=tuple(Failure(**entry) for entry in data.pop("failures")),
            kept=tuple(Kept(**entry) for entry in data.pop("kept")),
            groups=groups,
            **data,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


@contextmanager
def placed(draft: Path, path: Path) -> Iterator[None]:
    """Give a file that is written as `draft` its name at the end; remove it after an error."""
    try:
        yield
        move_into_place(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def move_into_place(draft: Path, path: Path) -> None:
    """Give a complete file its name, once its bytes are on the disk."""
    claim_regular(path)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(draft, path)
    if sys.platform != "win32":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
