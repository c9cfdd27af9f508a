"""Write training sets into a folder, streaming: one HDF5 file, or shards of other formats."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.identify import SPLIT_NAMES
from weakbeam.identify.library.contact_sheet import CONTACT_SHEET, MOST_SHOWN, contact_sheet
from weakbeam.identify.library.library import Progress
from weakbeam.identify.library.new_files import (
    EXPERIMENT_FILE,
    Generated,
    batches,
    check_target,
    common_tables,
    new_file,
    room_for,
    write_experiment,
)
from weakbeam.identify.library.tables import images_table, lines_table, trace_tables
from weakbeam.identify.library.training import (
    Labels,
    TrainingPlan,
    TrainingSample,
    plan_training,
)
from weakbeam.identify.library.training_shards import (
    TarWriter,
    ZarrWriter,
    index_of,
    shards_of,
)
from weakbeam.identify.library.twins import classes_of
from weakbeam.io.image_shards import load_zarr, padded
from weakbeam.io.library_file import (
    LABELS,
    TABLES,
    TRACES,
    LibraryFile,
    StoredTraining,
    stored_training,
)
from weakbeam.io.lock import alone_in
from weakbeam.io.targets import TRAINING_INDEX, place_bytes
from weakbeam.plot.drawing import FORMAT, Artist
from weakbeam.plot.files import claim_pictures, save_pictures
from weakbeam.run.kept_inputs import text_in

TRAINING_FILE = "training.h5"
INDEX_FILE = "training.json"
PROGRESS_FILE = "training.progress"


def record_training(
    experiment: Experiment,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Generated:
    """Make a training set, whatever ``identify.mode`` says; see `generate_images`.

    A picture of its first images is drawn beside it, unless the experiment wants no figures.
    """
    table = experiment.identify
    kind = "hdf5" if table is None else table.format
    record = {"hdf5": _record_hdf5, "webdataset": _record_shards, "zarr": _record_shards}[kind]
    return record(experiment, Path(folder), overwrite, resume, workers, progress)


# ---------------------------------------------------------------------- one file


def _record_hdf5(
    experiment: Experiment,
    folder: Path,
    overwrite: bool,
    resume: bool,
    workers: int | None,
    progress: Progress | None,
) -> Generated:
    target = folder / TRAINING_FILE
    if resume and target.exists():
        check_target(target, experiment, overwrite=False, exists=True)
        return _complete(experiment, target, workers)
    check_target(target, experiment, overwrite)
    unfinished = target.with_name(f"{target.name}.new")
    left = [unfinished, unfinished.with_suffix(".old")]
    _check_unfinished(folder, left, experiment, overwrite, resume)
    _claim_sheet(experiment, folder, overwrite or resume)
    plan = plan_training(experiment, workers)
    shape, conditions = plan.candidates.renderer.shape, len(plan.candidates.renderer.conditions)
    most = plan.table.dislocations if plan.table.labels else 0
    item = conditions * math.prod(shape) * (plan.dtype.itemsize + 3 * most)
    room = room_for(target, experiment, plan, item)
    classes = classes_of(plan.candidates, plan.variation)
    known: list[Labels] = []
    with ExitStack() as until_the_end:
        artist = until_the_end.enter_context(Artist())
        stored = until_the_end.enter_context(_aside(left, plan, resume))
        file = until_the_end.enter_context(new_file(target, experiment, plan, overwrite))
        for index in range(conditions if most else 0):
            file.create_labels(index, "contribution", (len(plan), most, *shape), np.float16)
            file.create_labels(index, "mask", (len(plan), most, *shape), np.uint8)
        if most:
            file.add_fields(0, LABELS, {"signal_to_noise": np.full((len(plan), most), np.nan)})
        begun = file.path.stat().st_size
        sheet = _Sheet(plan, artist, experiment.output.figures)
        kept = 0 if stored is None else stored.count
        samples = chain(
            (_restored(plan, stored, number) for number in range(kept)),
            plan.samples(range(kept, len(plan))),
        )
        for batch in batches(_told(samples, progress), item):
            _write_samples(file, batch, bool(most))
            sheet.show(batch)
            known += [sample.labels for sample in batch]
            room.check(file.path, begun, len(known) / len(plan))
        for index, traces in enumerate(trace_tables(known)):
            file.add_fields(index, TRACES, traces)
        parts = None if plan.table.split is None else plan.parts
        tables = {"images": images_table(known, parts), "lines": lines_table(known, classes)}
        file.add_fields(0, TABLES, {**common_tables(plan, classes), **tables})
        save_pictures(sheet.finish(), folder, overwrite=True)
    return _generated(plan, target, target.stat().st_size, len(plan) - kept)


@contextmanager
def _aside(
    left: Sequence[Path], plan: TrainingPlan, resume: bool
) -> Iterator[StoredTraining | None]:
    """What unfinished files hold, moved aside to the last of their names until the set is whole.

    Whoever died while going on with a set has left two.
    """
    *_, aside = left
    stored = None
    if resume:
        configuration = text_in(plan.candidates.renderer.experiment, aside.parent)
        found = [
            stored_training(path, configuration, plan.table.labels)
            for path in left
            if path.exists()
        ]
        usable = [one for one in found if one is not None and one.count]
        if usable:
            best = max(usable, key=lambda one: one.count)
            best.path.replace(aside)
            stored = replace(best, path=aside)
    yield stored
    aside.unlink(missing_ok=True)


def _check_unfinished(
    folder: Path, left: Sequence[Path], experiment: Experiment, overwrite: bool, resume: bool
) -> None:
    """Refuse to begin anew in the place of a set that is unfinished, or to go on with another."""
    there = [path for path in left if path.exists()]
    if resume:
        beside = folder / EXPERIMENT_FILE
        if not there or not beside.exists():
            raise InputError("resume", str(folder), "has no training set that is unfinished")
        if beside.read_bytes() != text_in(experiment, folder).encode():
            raise InputError("resume", str(folder), "has a training set of another experiment")
    elif there and not overwrite:
        raise InputError(
            "folder",
            str(folder),
            "has an unfinished training set: `resume` goes on with it, `overwrite` begins anew",
        )


def _claim_sheet(experiment: Experiment, folder: Path, overwrite: bool) -> None:
    """Refuse a picture that is in the place of the contact sheet, before anything is computed."""
    if experiment.output.figures:
        claim_pictures([CONTACT_SHEET], folder, FORMAT, overwrite=overwrite)


def _restored(plan: TrainingPlan, stored: StoredTraining | None, number: int) -> TrainingSample:
    """An image that has been made before."""
    assert stored is not None
    frames, contributions, masks, ratios = stored.read(number)
    count = len(plan.draw(number).types)
    labels = plan.labels(number, np.full(count, np.nan) if ratios is None else ratios[:count])
    return TrainingSample(labels, frames, contributions, masks)


def _write_samples(file: LibraryFile, batch: Sequence[TrainingSample], labels: bool) -> None:
    """Write images one after another in the set, under every condition; labels, then frames.

    An image is marked when its frames are there, and then its labels are as well.
    """
    numbers = np.array([sample.number for sample in batch])
    if labels:
        most = batch[0].masks.shape[1]
        rows = padded([sample.signal_to_noise for sample in batch], (most,), np.nan)
        file.write_rows(0, "signal_to_noise", int(numbers[0]), rows)
    for index in range(len(batch[0].frames)):
        if labels:
            added = np.stack([sample.contributions[index] for sample in batch])
            masks = np.stack([sample.masks[index] for sample in batch])
            file.write_labels(index, "contribution", int(numbers[0]), added)
            file.write_labels(index, "mask", int(numbers[0]), masks)
    for index in range(len(batch[0].frames)):
        frames = np.stack([sample.frames[index] for sample in batch])
        file.write_frames(index, numbers, frames)


# ---------------------------------------------------------------------- shards


def _record_shards(
    experiment: Experiment,
    folder: Path,
    overwrite: bool,
    resume: bool,
    workers: int | None,
    progress: Progress | None,
) -> Generated:
    index = folder / INDEX_FILE
    check_target(index, experiment, overwrite, TRAINING_INDEX, exists=resume)
    if resume and index.exists():
        return _complete(experiment, index, workers)
    begun = [folder / PROGRESS_FILE]
    _check_unfinished(folder, begun, experiment, overwrite, resume)
    _claim_sheet(experiment, folder, overwrite or resume)
    plan = plan_training(experiment, workers)
    if plan.table.format == "zarr":
        load_zarr()
    shape, conditions = plan.candidates.renderer.shape, len(plan.candidates.renderer.conditions)
    most = plan.table.dislocations if plan.table.labels else 0
    item = conditions * math.prod(shape) * (plan.dtype.itemsize + 3 * most)
    room_for(index, experiment, plan, item, packed=plan.table.format == "zarr")
    shards, classes = shards_of(plan), classes_of(plan.candidates, plan.variation)
    with ExitStack() as until_the_end:
        artist = until_the_end.enter_context(Artist())
        folder.mkdir(parents=True, exist_ok=True)
        until_the_end.enter_context(alone_in(folder))
        if not resume:
            for path in _of_other_sets(folder):
                path.unlink()
            index.unlink(missing_ok=True)
            write_experiment(experiment, index)
        log = _Log(begun[0], new=not resume)
        writer: TarWriter | ZarrWriter
        if plan.table.format == "zarr":
            writer = ZarrWriter(plan, folder, shards, classes, new=not resume)
        else:
            writer = TarWriter(plan, folder, classes)
        left = [shard for shard in shards if shard.name not in log.done]
        wanted = [number for shard in left for number in shard.numbers]
        if progress is not None and len(wanted) < len(plan):
            progress(len(plan) - len(wanted))
        samples = _told(plan.samples(wanted), progress)
        sheet = _Sheet(plan, artist, experiment.output.figures)
        for shard in left:
            writer.write(shard, sheet.watched(islice(samples, len(shard.numbers))))
            log.add(shard.name)
        save_pictures(sheet.finish(), folder, overwrite=True)
        about = index_of(plan, shards, classes, writer.names)
        place_bytes(index, json.dumps(about, indent=1, ensure_ascii=False).encode())
        begun[0].unlink()
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return _generated(plan, index, size, len(wanted))


class _Log:
    """Names of the shards that are complete, a line each."""

    def __init__(self, path: Path, new: bool) -> None:
        if new:
            path.write_text("")
        self._path = path
        # A line that is cut off is that of a shard that is made again.
        self.done = set(path.read_text().split("\n")[:-1])

    def add(self, name: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{name}\n")


def _of_other_sets(folder: Path) -> list[Path]:
    """Tar files that an earlier set has left in a folder, which must not be mixed with new ones."""
    return [
        path
        for part in ("", *SPLIT_NAMES)
        for path in (folder / part).glob("[0-9][0-9][0-9][0-9][0-9].tar")
    ]


# ---------------------------------------------------------------------- both


class _Sheet:
    """The picture of the first images, drawn as soon as they are there."""

    def __init__(self, plan: TrainingPlan, artist: Artist, wanted: bool) -> None:
        self._plan, self._artist, self._wanted = plan, artist, wanted
        self._first: dict[int, TrainingSample] = {}
        self._is_drawn = not wanted

    def show(self, samples: Iterable[TrainingSample]) -> None:
        """Look at more samples."""
        for sample in samples:
            if not self._is_drawn and sample.number < MOST_SHOWN:
                self._first[sample.number] = sample
        if len(self._first) == min(MOST_SHOWN, len(self._plan)):
            self._draw()

    def watched(self, samples: Iterable[TrainingSample]) -> Iterator[TrainingSample]:
        """Hand samples on, and look at them."""
        for sample in samples:
            self.show([sample])
            yield sample

    def finish(self) -> Any:
        """The picture; images that an earlier run has made are made again for it."""
        for number in range(0 if self._is_drawn else min(MOST_SHOWN, len(self._plan))):
            if number not in self._first:
                self._first[number] = self._plan.make(number)
        self._draw()
        return self._artist.finish()

    def _draw(self) -> None:
        if self._is_drawn:
            return
        self._is_drawn = True
        shown = [self._first[number] for number in sorted(self._first)]
        self._artist.submit({CONTACT_SHEET: contact_sheet(self._plan, shown)})
        self._first = {}


def _told(samples: Iterable[TrainingSample], progress: Progress | None) -> Iterator[TrainingSample]:
    """Hand samples on, and tell of each."""
    for sample in samples:
        if progress is not None:
            progress(1)
        yield sample


def _generated(plan: TrainingPlan, file: Path, size: int, made: int) -> Generated:
    conditions = len(plan.candidates.renderer.conditions)
    return Generated(file, len(plan), conditions, len(plan.candidates.types), 0, size, made)


def _complete(experiment: Experiment, file: Path, workers: int | None) -> Generated:
    """What a set is that needs no more work."""
    plan = plan_training(experiment, workers)
    return _generated(plan, file, file.stat().st_size, 0)
