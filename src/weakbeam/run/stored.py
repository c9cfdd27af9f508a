"""Experiments inside of files: what they name outside of these is told before it is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from weakbeam.core.notices import notice
from weakbeam.experiment import Experiment

FILE_KEYS = frozenset({"cif", "file"})
"""Keys whose value is the name of a file."""


def stored_experiment(text: str, source: str | os.PathLike[str]) -> Experiment:
    """The experiment that a file of results holds.

    A file may come from anybody, and its experiment may name any other one: a crystal, a camera, a
    kernel, a list of defects. Each is told in a line before anything reads it.

    Parameters
    ----------
    text : str
        The experiment (TOML).
    source : path
        The file that holds it.

    Raises
    ------
    InputError
        If it is no experiment.
    """
    experiment = Experiment.from_toml_text(text, str(source))
    for key, name in files_named(experiment.model_dump(exclude_none=True)):
        notice(f"{os.fspath(source)} holds an experiment that reads the file {name} ({key})")
    return experiment


def files_named(table: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    """The files that an experiment or a manifest names, and the key of each."""
    for key, value in table.items():
        place = f"{where}.{key}" if where else str(key)
        if key in FILE_KEYS and isinstance(value, str):
            yield place, value
        elif isinstance(value, Mapping):
            yield from files_named(value, place)
        elif isinstance(value, list | tuple):
            for number, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from files_named(item, f"{place}[{number}]")
