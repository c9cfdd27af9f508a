"""Write libraries and training sets into a folder, streaming."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from weakbeam.assemble.inputs import fingerprint_of
from weakbeam.core.arrays import Floats
from weakbeam.core.memory import physical_memory
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.candidates import identify_table, types_of
from weakbeam.identify.library.contact_sheet import CONTACT_SHEET, MOST_SHOWN, contact_sheet
from weakbeam.identify.library.contrast import Contrast
from weakbeam.identify.library.disk_room import NOISE_PACKED, Room
from weakbeam.identify.library.library import (
    Library,
    LibraryPlan,
    Progress,
    mean_intensity,
    plan_library,
)
from weakbeam.identify.library.tables import (
    conditions_from,
    conditions_table,
    lines_table,
    members_from,
    members_table,
    trace_tables,
    types_from,
    types_table,
)
from weakbeam.identify.library.training import Drawn, TrainingPlan, TrainingSample, plan_training
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.io.entry import MEMBER, Entry, Fields, motor_unit, scan_title
from weakbeam.io.guard import Fault, telling_damage
from weakbeam.io.library_file import TABLES, TRACES, LibraryFile, new_library, read_tables
from weakbeam.io.lock import alone_in
from weakbeam.io.targets import EXPERIMENT, LIBRARY, claim, claim_folder, place_bytes
from weakbeam.plot.drawing import Artist
from weakbeam.plot.files import save_pictures
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.description import describe, describe_entry
from weakbeam.run.render import Renderer
from weakbeam.run.stored import stored_experiment

LIBRARY_FILE = "library.h5"
TRAINING_FILE = "training.h5"
EXPERIMENT_FILE = "experiment.toml"

_BATCH_BYTES = 32 * 2**20
_SHARE_OF_MEMORY = 0.4

Item = TypeVar("Item")


@dataclass(frozen=True)
class Generated:
    """What was written.

    Parameters
    ----------
    file : Path
        The library or training set.
    images : int
        Members of the library, or images of the training set.
    conditions : int
        Frames of each of them.
    types : int
        Types of dislocations.
    hidden : int
        Members that the images cannot show; 0 for a training set, which has none.
    """

    file: Path
    images: int
    conditions: int
    types: int
    hidden: int = 0

    @property
    def summary(self) -> str:
        """What was written, in a few words."""
        each = f", {self.conditions} frames each" if self.conditions > 1 else ""
        return f"{self.images} images of {self.types} types of dislocations{each}"


def generate_images(
    experiment: Experiment,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
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
    record = record_training if identify_table(experiment).is_training else record_library
    return record(experiment, folder, overwrite=overwrite, workers=workers, progress=progress)


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
    room = _room_for(target, experiment, plan, item)
    contrasts: list[Contrast] = []
    with _new_file(target, experiment, plan, overwrite) as file:
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
        file.add_fields(0, TABLES, {**_common(plan), "members": members_table(members)})
    hidden = len(plan) - int(members.visible.sum())
    return Generated(target, len(plan), conditions, len(plan.candidates.types), hidden)


def record_training(
    experiment: Experiment,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Generated:
    """Make a training set, whatever ``identify.mode`` says; see `generate_images`.

    A picture of its first images is drawn beside it, unless the experiment wants no figures.
    """
    target = Path(folder) / TRAINING_FILE
    check_target(target, experiment, overwrite)
    plan = plan_training(experiment, workers)
    shape, conditions = plan.candidates.renderer.shape, len(plan.candidates.renderer.conditions)
    most = plan.table.dislocations if plan.table.labels else 0
    item = conditions * math.prod(shape) * (plan.dtype.itemsize + 3 * most)
    room = _room_for(target, experiment, plan, item)
    drawn: list[Drawn] = []
    ratios: list[Floats] = []
    shown: list[TrainingSample] = []
    with ExitStack() as until_the_end:
        artist = until_the_end.enter_context(Artist())
        file = until_the_end.enter_context(_new_file(target, experiment, plan, overwrite))
        for index in range(conditions if most else 0):
            file.create_labels(index, "contribution", (len(plan), most, *shape), np.float16)
            file.create_labels(index, "mask", (len(plan), most, *shape), np.uint8)
        begun = file.path.stat().st_size
        for batch in batches(plan.samples(), item):
            _write_samples(file, batch, bool(most))
            if experiment.output.figures and not shown:
                shown = [*batch[:MOST_SHOWN]]
                artist.submit({CONTACT_SHEET: contact_sheet(plan, shown)})
            drawn += [sample.drawn for sample in batch]
            room.check(file.path, begun, len(drawn) / len(plan))
            ratios += [sample.signal_to_noise for sample in batch]
            if progress is not None:
                progress(len(batch))
        for index, traces in enumerate(trace_tables(plan, drawn)):
            file.add_fields(index, TRACES, traces)
        file.add_fields(0, TABLES, {**_common(plan), "lines": lines_table(drawn, ratios)})
        save_pictures(artist.finish(), target.parent)
    return Generated(target, len(plan), conditions, len(plan.candidates.types))


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


def member_entries(renderer: Renderer, count: int, dtype: np.dtype[Any]) -> list[Entry]:
    """Entries of a file with one frame of each member under each condition.

    Parameters
    ----------
    renderer : Renderer
        Its conditions are the entries.
    count : int
        Number of members, which count as positions of a motor.
    dtype : dtype
        Type of a pixel.
    """
    numbers = np.arange(count, dtype=float)
    entries = []
    for condition in renderer.conditions:
        setup = renderer.setups[condition.reflection]
        still = describe_entry(renderer.experiment, Acquisition(setup, setup.scans[0]))
        fixed = dict(still.fixed)
        for motor in SCANNED:
            name = MOTORS[motor].beamline_name
            value = setup.stored_position(motor, np.array(getattr(condition, motor)))
            fixed[name] = (float(value), motor_unit(name))
        entries.append(
            replace(
                still,
                title=scan_title([(MEMBER, numbers)], still.exposure_s),
                moving={MEMBER: numbers},
                fixed=fixed,
                dtype=dtype,
                scan_shape=(count,),
                places=None,
                maps={},
            )
        )
    return entries


def batches(items: Iterable[Item], item_bytes: float) -> Iterator[Sequence[Item]]:
    """Collect items until they have some megabytes."""
    at_once = max(1, int(_BATCH_BYTES / item_bytes))
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == at_once:
            yield batch
            batch = []
    if batch:
        yield batch


def check_target(target: Path, experiment: Experiment, overwrite: bool) -> None:
    """Refuse a place where a file cannot be made, or would replace one unasked."""
    folder, beside = claim_folder(target.parent), target.parent / EXPERIMENT_FILE
    claim(target, LIBRARY, overwrite=overwrite, advice="use `overwrite`, or another folder")
    claim(beside, EXPERIMENT, overwrite=True)
    text = experiment.to_toml().encode()
    if not overwrite and beside.exists() and beside.read_bytes() != text:
        raise InputError(
            "folder", str(folder), f"has another {EXPERIMENT_FILE}: choose another folder"
        )


def write_experiment(experiment: Experiment, target: Path) -> None:
    """Write the resolved experiment beside the images."""
    path = claim(target.parent / EXPERIMENT_FILE, EXPERIMENT, overwrite=True)
    place_bytes(path, experiment.to_toml().encode())


def _room_for(
    target: Path, experiment: Experiment, plan: LibraryPlan | TrainingPlan, item: int
) -> Room:
    """Room on the disk for the members of a plan, `item` bytes each."""
    renderer = plan.candidates.renderer
    counts = len(plan) * len(renderer.conditions) * math.prod(renderer.shape) * plan.dtype.itemsize
    least = NOISE_PACKED * counts if plan.dtype.kind == "u" else 0.0
    if experiment.output.compression == "none":
        least = counts
    return Room(target.parent, len(plan) * item, least)


@contextmanager
def _new_file(
    target: Path, experiment: Experiment, plan: LibraryPlan | TrainingPlan, overwrite: bool
) -> Iterator[LibraryFile]:
    """A file for the frames of a plan, with the experiment beside it; its folder is held."""
    renderer = plan.candidates.renderer
    entries = member_entries(renderer, len(plan), plan.dtype)
    compression, workers = experiment.output.compression, renderer.workers
    about = describe(renderer.experiment, renderer.setups, fingerprint_of(renderer.experiment))
    with (
        alone_in(target.parent),
        new_library(
            target, entries, about, compression=compression, overwrite=overwrite, workers=workers
        ) as file,
    ):
        write_experiment(experiment, target)
        yield file


def _write_samples(file: LibraryFile, batch: Sequence[TrainingSample], labels: bool) -> None:
    """Write images one after another in the set, under every condition."""
    numbers = np.array([sample.number for sample in batch])
    for index in range(len(batch[0].frames)):
        frames = np.stack([sample.frames[index] for sample in batch])
        file.write_frames(index, numbers, frames)
        if labels:
            added = np.stack([sample.contributions[index] for sample in batch])
            masks = np.stack([sample.masks[index] for sample in batch])
            file.write_labels(index, "contribution", int(numbers[0]), added)
            file.write_labels(index, "mask", int(numbers[0]), masks)


def _common(plan: LibraryPlan | TrainingPlan) -> dict[str, Fields]:
    """Tables of the types and of the conditions."""
    candidates = plan.candidates
    perfect = mean_intensity(plan.perfect)
    return {
        "types": types_table(candidates.types, candidates.distortion),
        "conditions": conditions_table(candidates.renderer.conditions, perfect),
    }
