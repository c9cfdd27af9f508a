"""What writing libraries and training sets has in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from weakbeam.assemble.inputs import fingerprint_of
from weakbeam.core.arrays import Ints
from weakbeam.core.notices import notice
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.disk_room import NOISE_PACKED, Room
from weakbeam.identify.library.library import LibraryPlan, mean_intensity
from weakbeam.identify.library.tables import conditions_table, types_table
from weakbeam.identify.library.training import TrainingPlan
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.io.entry import MEMBER, Entry, Fields, motor_unit, scan_title
from weakbeam.io.library_file import LibraryFile, new_library
from weakbeam.io.lock import alone_in
from weakbeam.io.targets import EXPERIMENT, LIBRARY, Kind, claim, claim_folder, place_bytes
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.description import describe, describe_entry
from weakbeam.run.kept_inputs import kept_inputs, text_in
from weakbeam.run.render import Renderer

EXPERIMENT_FILE = "experiment.toml"

_BATCH_BYTES = 32 * 2**20

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
    bytes : int
        Size of what was written.
    made : int, optional
        Images that were made now; the others were there. All unless given.
    """

    file: Path
    images: int
    conditions: int
    types: int
    hidden: int = 0
    bytes: int = 0
    made: int | None = None

    @property
    def summary(self) -> str:
        """What was written, in a few words."""
        each = f", {self.conditions} frames each" if self.conditions > 1 else ""
        return f"{self.images} images of {self.types} types of dislocations{each}"


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


def check_target(
    target: Path,
    experiment: Experiment,
    overwrite: bool,
    kind: Kind = LIBRARY,
    exists: bool = False,
) -> None:
    """Refuse a place where a file cannot be made, or would replace one unasked.

    With `exists` it may be there: it is not touched.
    """
    folder, beside = claim_folder(target.parent), target.parent / EXPERIMENT_FILE
    advice = "use `overwrite`, or another folder"
    claim(target, kind, overwrite=overwrite or exists, advice=advice)
    claim(beside, EXPERIMENT, overwrite=True)
    if (
        not overwrite
        and beside.exists()
        and beside.read_bytes() != text_in(experiment, target.parent).encode()
    ):
        raise InputError(
            "folder", str(folder), f"has another {EXPERIMENT_FILE}: choose another folder"
        )


def write_experiment(experiment: Experiment, target: Path) -> None:
    """Write the resolved experiment beside the images, with copies of the files that it names."""
    path = claim(target.parent / EXPERIMENT_FILE, EXPERIMENT, overwrite=True)
    kept = kept_inputs(experiment, fingerprint_of(experiment), target.parent)
    for note in kept.notes:
        notice(note)
    kept.write()
    place_bytes(path, kept.experiment.to_toml().encode())


def room_for(
    target: Path,
    experiment: Experiment,
    plan: LibraryPlan | TrainingPlan,
    item: int,
    packed: bool = True,
) -> Room:
    """Room on the disk for the members of a plan, `item` bytes each; less if they are packed."""
    if not packed:
        return Room(target.parent, len(plan) * item, len(plan) * item)
    renderer = plan.candidates.renderer
    counts = len(plan) * len(renderer.conditions) * math.prod(renderer.shape) * plan.dtype.itemsize
    least = NOISE_PACKED * counts if plan.dtype.kind == "u" else 0.0
    if experiment.output.compression == "none":
        least = counts
    return Room(target.parent, len(plan) * item, least)


@contextmanager
def new_file(
    target: Path, experiment: Experiment, plan: LibraryPlan | TrainingPlan, overwrite: bool
) -> Iterator[LibraryFile]:
    """A file for the frames of a plan, with the experiment beside it; its folder is held."""
    renderer = plan.candidates.renderer
    entries = member_entries(renderer, len(plan), plan.dtype)
    compression, workers = experiment.output.compression, renderer.workers
    kept = kept_inputs(experiment, fingerprint_of(experiment), target.parent)
    digest = fingerprint_of(renderer.experiment).digest
    about = describe(kept.of(renderer.experiment), renderer.setups, digest)
    with (
        alone_in(target.parent),
        new_library(
            target, entries, about, compression=compression, overwrite=overwrite, workers=workers
        ) as file,
    ):
        write_experiment(experiment, target)
        yield file


def common_tables(
    plan: LibraryPlan | TrainingPlan, classes: Ints | None = None
) -> dict[str, Fields]:
    """Tables of the types and of the conditions."""
    candidates = plan.candidates
    perfect = mean_intensity(plan.perfect)
    return {
        "types": types_table(candidates.types, candidates.distortion, classes),
        "conditions": conditions_table(candidates.renderer.conditions, perfect),
    }
