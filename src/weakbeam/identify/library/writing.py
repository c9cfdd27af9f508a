"""Libraries or training sets in folders, as an experiment asks for."""

from __future__ import annotations

import os

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.candidates import identify_table, types_of
from weakbeam.identify.library.library import Progress
from weakbeam.identify.library.library_files import record_library
from weakbeam.identify.library.new_files import Generated
from weakbeam.identify.library.training_files import record_training


def generate_images(
    experiment: Experiment,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Generated:
    """Make the library or the training set that ``identify.mode`` asks for into a folder.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, scan and ``[identify]``.
    folder : path-like
        Gets ``library.h5`` or ``training.h5``, and ``experiment.toml``.
    overwrite : bool
        Replace such a file that is there.
    resume : bool
        Go on with a training set that was left unfinished; what it becomes does not depend on when.
    workers : int, optional
        Threads, or processes where there is much to do; as many as there are cores unless given.
        The file does not depend on it.
    progress : callable, optional
        Told how many members or images are newly done.

    Returns
    -------
    Generated

    Raises
    ------
    InputError
        As `plan_library` or `plan_training`, or for a folder that cannot be used or is too small.
        Nothing has been written then.
    RunError
        If writing fails later, the disk is too small for all images by the size of the first ones,
        or a process is lost; nothing is left of the file then.
    """
    if identify_table(experiment).is_training:
        return record_training(
            experiment,
            folder,
            overwrite=overwrite,
            resume=resume,
            workers=workers,
            progress=progress,
        )
    if resume:
        raise InputError("resume", None, "libraries are made as a whole; training sets go on")
    return record_library(
        experiment, folder, overwrite=overwrite, workers=workers, progress=progress
    )


def count_images(experiment: Experiment) -> int:
    """How many images `generate_images` will make.

    Raises
    ------
    InputError
        If the crystal's slip systems are not known, or none is left.
    """
    table = identify_table(experiment)
    if table.is_training:
        return table.images
    places = len(table.positions_um) * len(table.depths_um)
    return len(types_of(experiment)) * places
