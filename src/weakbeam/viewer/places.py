"""Files that a page may have read or written: those in the folder that the program started in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.files import files_named


class Folder:
    """The folder that the program started in.

    Parameters
    ----------
    path : path-like
        The folder.
    known : Experiment, optional
        Whatever files it names may be read wherever they are: who started the program gave them.
    """

    def __init__(self, path: str | os.PathLike[str] = ".", known: Experiment | None = None) -> None:
        self.path = Path(path).resolve()
        self._known = frozenset(_files(known)) if known is not None else frozenset[str]()

    def check(self, experiment: Experiment) -> None:
        """Refuse an experiment that reads files outside of the folder.

        Raises
        ------
        InputError
            With the key that names such a file. Nothing is looked at before that, not even whether
            the file is there.
        """
        for key, name in files_named(experiment):
            if name not in self._known and not self._is_inside(Path(name)):
                raise InputError(key, name, "is outside of the folder that the program started in")
        # Tables whose files lead to further ones have read theirs, inside the folder, by now.
        for number, table in enumerate(experiment.defects):
            for name in table.files:
                if name not in self._known and not self._is_inside(Path(name)):
                    key = f"defects[{number}].file"
                    raise InputError(
                        key, name, "is outside of the folder that the program started in"
                    )

    def new(self, name: str) -> Path:
        """The path of a folder to be written, by a name that a page gave.

        Raises
        ------
        InputError
            If it is not below the folder that the program started in.
        """
        parts = PurePosixPath(name).parts
        plain = (
            0 < len(name) <= 200
            and name.isprintable()
            and "\\" not in name
            and not name.startswith("/")
            and all(part not in ("..", "~") and ":" not in part for part in parts)
        )
        path = self.path / name if plain else self.path
        if not plain or path.resolve() == self.path or not self._is_inside(path):
            raise InputError(
                "folder", name, f"must be the name of a new folder in {self.path.name}"
            )
        return path

    def _is_inside(self, path: Path) -> bool:
        # Links lead to what they stand for.
        return path.resolve().is_relative_to(self.path)


def _files(experiment: Experiment) -> Iterable[str]:
    yield from (name for _, name in files_named(experiment))
    for table in experiment.defects:
        yield from table.files
