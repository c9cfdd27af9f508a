"""New files that appear under their names only when they are complete."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import h5py


class NewFiles:
    """HDF5 files that replace those of the same names, if any, together.

    They are written as ``NAME.part``. Leaving the context without `commit` removes them.
    """

    def __init__(self) -> None:
        self._moves: list[tuple[Path, Path]] = []

    def create(self, path: Path) -> h5py.File:
        """Open a new file that is to become `path`; the caller closes it."""
        part = path.with_name(path.name + ".part")
        # "earliest" is the format that a killed process leaves readable.
        file = h5py.File(part, "w", libver="earliest")
        self._moves.append((part, path))
        return file

    def commit(self) -> None:
        """Move the files to their places, in the order of their creation."""
        for part, path in self._moves:
            part.replace(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for part, _ in self._moves:
            part.unlink(missing_ok=True)
