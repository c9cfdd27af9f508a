"""Experiments inside of files: what they name outside of these is told before it is read."""

from __future__ import annotations

import os
from pathlib import Path

from weakbeam.core.notices import notice
from weakbeam.experiment import Experiment
from weakbeam.experiment.files import beside, files_named, with_files
from weakbeam.io.file_walk import outside_of


def stored_experiment(text: str, source: str | os.PathLike[str]) -> Experiment:
    """The experiment that a file of results holds.

    Names of files in it count from the folder of the file that holds it, where runs keep copies of
    them; a file that is not there is looked for from the current folder.

    A file may come from anybody, and its experiment may name any other one: a crystal, a camera, a
    kernel, a list of defects. Each outside of its folder is told in a line before anything reads
    it.

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
    source = os.fspath(source)
    folder = Path(source).parent
    written = Experiment.from_toml_text(text, source)
    for key, name in files_named(written):
        if [*outside_of(folder, [name])] or not (folder / name).exists():
            notice(f"{source} holds an experiment that reads the file {name} ({key})")

    def found(name: str) -> str:
        place = beside(folder)(name)
        return place if os.path.exists(place) or not os.path.exists(name) else name

    return with_files(written, found)
