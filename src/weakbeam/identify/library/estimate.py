"""What a library or a training set will take, before it is made."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.experiment import Experiment
from weakbeam.experiment.identify import SPLIT_NAMES
from weakbeam.identify.library.candidates import identify_table
from weakbeam.identify.library.library import LibraryPlan, plan_library
from weakbeam.identify.library.training import TrainingPlan, TrainingSample, plan_training
from weakbeam.identify.library.training_shards import shards_of
from weakbeam.identify.library.twins import classes_of
from weakbeam.io.chunks import shuffle_and_deflate

_USES = ("train with", "validate with", "test with")
_TRIED = 3
"""Images that are made to see what others will take."""

_WRITING = 1.25
"""How many times longer it takes to make and to write images than to make them."""


@dataclass(frozen=True)
class ImageNeeds:
    """What images take.

    Parameters
    ----------
    images : int
        Members of the library, or images of the training set.
    conditions : int
        Frames of each of them.
    shape : (int, int)
        Rows and columns of a frame.
    types, visible : int
        Types of dislocations, and how many of them some reflection shows.
    classes : int, optional
        Of types whose images are the same; of a training set.
    shards : int
        Files, or shards of a store; 0 for a single file.
    disk : float
        Bytes.
    seconds : float
        Time.
    parts : dict of str to int
        Images of each part of a split set, by what they are for.
    """

    images: int
    conditions: int
    shape: tuple[int, int]
    types: int
    visible: int
    classes: int | None
    shards: int
    disk: float
    seconds: float
    parts: dict[str, int] = field(default_factory=dict)


def estimate_images(experiment: Experiment, workers: int | None = None) -> ImageNeeds:
    """Estimate what the images of an experiment will take, by making the first ones.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, scan and ``[identify]``.
    workers : int, optional
        Threads or processes; as many as there are cores unless given.

    Raises
    ------
    InputError
        As `plan_library` or `plan_training`.
    """
    plan: LibraryPlan | TrainingPlan
    if identify_table(experiment).is_training:
        plan = plan_training(experiment, workers)
    else:
        plan = plan_library(experiment, workers)
    renderer = plan.candidates.renderer
    tried = np.linspace(0, len(plan) - 1, min(_TRIED, len(plan))).astype(int).tolist()
    # The first call of a loop compiles it, or loads it.
    plan.make(tried[0])
    start = time.perf_counter()
    made = [plan.make(number) for number in tried]
    seconds = (time.perf_counter() - start) / len(tried)
    arrays: list[NDArray[Any]] = []
    for one in made:
        if isinstance(one, TrainingSample):
            arrays += [one.frames, one.contributions, one.masks]
        else:
            arrays.append(one[0])
    classes, shards, parts = None, 0, {}
    is_packed = experiment.output.compression != "none"
    if isinstance(plan, TrainingPlan):
        classes = int(classes_of(plan.candidates, plan.variation).max()) + 1
        if plan.table.format != "hdf5":
            shards = len(shards_of(plan))
        if plan.table.split is not None:
            counts = np.bincount(plan.parts, minlength=len(SPLIT_NAMES)).tolist()
            parts = dict(zip(_USES, counts, strict=True))
        is_packed = plan.table.format != "webdataset" and is_packed
    sizes = [len(shuffle_and_deflate(array)) if is_packed else array.nbytes for array in arrays]
    return ImageNeeds(
        images=len(plan),
        conditions=len(renderer.conditions),
        shape=renderer.shape,
        types=len(plan.candidates.types),
        visible=len(plan.candidates.visible),
        classes=classes,
        shards=shards,
        disk=sum(sizes) / len(tried) * len(plan),
        seconds=_WRITING * seconds * math.ceil(len(plan) / renderer.workers),
        parts=parts,
    )
