"""Write libraries into a folder, streaming, and read them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from weakbeam.core.memory import physical_memory
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.contrast import Contrast
from weakbeam.identify.library.library import Library, Progress, plan_library
from weakbeam.identify.library.new_files import (
    Generated,
    batches,
    check_target,
    common_tables,
    new_file,
    room_for,
)
from weakbeam.identify.library.tables import (
    conditions_from,
    members_from,
    members_table,
    types_from,
)
from weakbeam.io.guard import Fault, telling_damage
from weakbeam.io.library_file import TABLES, read_tables
from weakbeam.run.stored import stored_experiment

LIBRARY_FILE = "library.h5"

_SHARE_OF_MEMORY = 0.4


def record_library(
    experiment: Experiment,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Generated:
    """Make a library, whatever ``identify.mode`` says; see `generate_images`."""
    target = Path(folder) / LIBRARY_FILE
    check_target(target, experiment, overwrite)
    plan = plan_library(experiment, workers)
    conditions = len(plan.candidates.renderer.conditions)
    item = conditions * math.prod(plan.candidates.renderer.shape) * plan.dtype.itemsize
    room = room_for(target, experiment, plan, item)
    contrasts: list[Contrast] = []
    with new_file(target, experiment, plan, overwrite) as file:
        first, begun = 0, file.path.stat().st_size
        for batch in batches(plan.frames(), item):
            frames = np.stack([member for member, _ in batch], axis=1)
            contrasts += [contrast for _, contrast in batch]
            for index, images in enumerate(frames):
                file.write_frames(index, np.arange(first, first + len(batch)), images)
            first += len(batch)
            room.check(file.path, begun, first / len(plan))
            if progress is not None:
                progress(len(batch))
        members = plan.members(contrasts)
        file.add_fields(0, TABLES, {**common_tables(plan), "members": members_table(members)})
    hidden = len(plan) - int(members.visible.sum())
    size = target.stat().st_size
    return Generated(target, len(plan), conditions, len(plan.candidates.types), hidden, size)


def read_library(path: str | os.PathLike[str], in_memory: bool | None = None) -> Library:
    """Read a library.

    Parameters
    ----------
    path : path-like
        The file, or its folder.
    in_memory : bool, optional
        Whether to read all images at once, rather than from the file whenever they are asked for;
        by default if they take less than 40 % of the memory.

    Returns
    -------
    Library

    Raises
    ------
    InputError
        If there is no such file, or it is no library.
    RunError
        If images cannot be read.
    """
    place = Path(path)
    place = place / LIBRARY_FILE if place.is_dir() else place
    configuration, tables, stored = read_tables(place)
    if "members" not in tables:
        raise InputError("library", str(place), "is a training set, not a library")
    if in_memory is None:
        in_memory = stored.nbytes < _SHARE_OF_MEMORY * physical_memory()
    with telling_damage(place, "library"):
        conditions = conditions_from(tables["conditions"])
        types = types_from(tables["types"])
        members = members_from(tables["members"])
        perfect = tables["conditions"]["perfect_intensity"]
        counts = (len(members.types), len(conditions))
        if stored.shape[:2] != counts or not set(members.types.tolist()) <= set(range(len(types))):
            raise Fault("/1.1/library", "does not belong to the images")
    images = stored[:] if in_memory else stored
    experiment = stored_experiment(configuration, place)
    return Library(experiment, conditions, types, members, images, perfect)
