"""Shards of a training set: which images each holds, and how it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.experiment.identify import SPLIT_NAMES
from weakbeam.identify.library.training import (
    Labels,
    TrainingPlan,
    TrainingSample,
)
from weakbeam.identify.library.variation import SHAPES, labels_of, unit_of
from weakbeam.io.image_shards import Arrays, Column, ZarrStore, padded, write_tar

STORE = "training.zarr"


@dataclass(frozen=True)
class Shard:
    """Images that are stored together.

    Parameters
    ----------
    part : str
        The part of the split that they belong to; empty where there is none.
    index : int
        Its number among the shards of the part.
    numbers : tuple of int
        The images.
    """

    part: str
    index: int
    numbers: tuple[int, ...]

    @property
    def name(self) -> str:
        """What it is called, such as ``train/00000``."""
        return f"{self.part}/{self.index:05d}" if self.part else f"{self.index:05d}"


def shards_of(plan: TrainingPlan) -> list[Shard]:
    """The shards of a training set, by their first image."""
    parts, size = plan.parts, plan.table.images_per_shard
    names = [""] if plan.table.split is None else SPLIT_NAMES
    shards = []
    for number, name in enumerate(names):
        mine = np.flatnonzero(parts == number).tolist()
        for index, first in enumerate(range(0, len(mine), size)):
            shards.append(Shard(name, index, tuple(mine[first : first + size])))
    return sorted(shards, key=lambda shard: shard.numbers[0])


class TarWriter:
    """A tar file for each shard."""

    def __init__(self, plan: TrainingPlan, folder: Path, classes: Ints) -> None:
        self._plan, self._folder, self._classes = plan, folder, classes

    def names(self, shard: Shard) -> dict[str, Any]:
        """Where a shard is found, for the index."""
        return {"file": f"{shard.name}.tar"}

    def write(self, shard: Shard, samples: Iterable[TrainingSample]) -> None:
        """Write a shard whole, in place of what an ended run left of it."""
        write_tar(self._folder / f"{shard.name}.tar", (self._member(shard, s) for s in samples))

    def _member(
        self, shard: Shard, sample: TrainingSample
    ) -> tuple[str, Arrays, Mapping[str, Any]]:
        arrays: dict[str, NDArray[Any]] = {"image": sample.frames}
        if self._plan.table.labels:
            arrays |= {"contribution": sample.contributions, "mask": sample.masks}
        about = _told_of(self._plan, sample.labels, self._classes)
        if shard.part:
            about["part"] = shard.part
        return f"{sample.number:08d}", arrays, about


class ZarrWriter:
    """One store, whose arrays have a shard of each."""

    def __init__(
        self, plan: TrainingPlan, folder: Path, shards: Sequence[Shard], classes: Ints, new: bool
    ) -> None:
        self._plan, self._classes = plan, classes
        counts: dict[str, int] = {}
        for shard in shards:
            counts[shard.part] = counts.get(shard.part, 0) + len(shard.numbers)
        size = plan.table.images_per_shard
        self._store = ZarrStore(folder / STORE, counts, self._columns(), size, new)

    def names(self, shard: Shard) -> dict[str, Any]:
        """Where a shard is found, for the index."""
        first = shard.index * self._plan.table.images_per_shard
        return {"group": shard.part, "first": first}

    def write(self, shard: Shard, samples: Iterable[TrainingSample]) -> None:
        """Write a shard whole, in place of what an ended run left of it."""
        every = [*samples]
        rows = self._rows(every)
        self._store.write(shard.part, shard.index * self._plan.table.images_per_shard, rows)

    def _columns(self) -> dict[str, Column]:
        plan = self._plan
        shape, conditions = plan.candidates.renderer.shape, len(plan.candidates.renderer.conditions)
        most, number = plan.table.dislocations, np.dtype(np.float64)
        pixels, whole = ("row", "column"), np.dtype(np.int32)
        columns = {
            "number": Column((), np.dtype(np.int64)),
            "image": Column((conditions, *shape), plan.dtype, ("condition", *pixels)),
        }
        if plan.table.labels:
            dims = ("condition", "dislocation", *pixels)
            for name, kind in (("contribution", np.float16), ("mask", np.uint8)):
                columns[name] = Column((conditions, most, *shape), np.dtype(kind), dims)
        each = ("dislocation",)
        columns |= {
            "type": Column((most,), whole, each),
            "class": Column((most,), whole, each),
            "position": Column((most, 3), number, (*each, "axis"), "um"),
            "signal_to_noise": Column((most,), number, each),
            "piercing": Column(
                (conditions, most, 2), number, ("condition", *each, "pixel"), "pixel"
            ),
            "ends": Column((conditions, most, 4), number, ("condition", *each, "pixels"), "pixel"),
        }
        for key in plan.variation.ranges:
            held = SHAPES.get(key, ())
            axes = tuple(f"{key}_{axis}" for axis in range(len(held)))
            columns[key] = Column(held, number, axes, unit_of(key))
        return columns

    def _rows(self, samples: Sequence[TrainingSample]) -> Arrays:
        most = self._plan.table.dislocations
        conditions = len(samples[0].frames)
        labels = [sample.labels for sample in samples]
        rows: dict[str, NDArray[Any]] = {
            "number": np.array([sample.number for sample in samples]),
            "image": np.stack([sample.frames for sample in samples]),
        }
        if self._plan.table.labels:
            rows["contribution"] = np.stack([sample.contributions for sample in samples])
            rows["mask"] = np.stack([sample.masks for sample in samples])
        types = [one.drawn.types.astype(np.int32) for one in labels]
        rows |= {
            "type": padded(types, (most,), -1),
            "class": padded([self._classes[t].astype(np.int32) for t in types], (most,), -1),
            "position": padded([one.drawn.positions_um for one in labels], (most, 3), np.nan),
            "signal_to_noise": padded([one.signal_to_noise for one in labels], (most,), np.nan),
            "piercing": padded([one.piercing for one in labels], (conditions, most, 2), np.nan),
            "ends": padded([one.ends for one in labels], (conditions, most, 4), np.nan),
        }
        for key in self._plan.variation.ranges:
            rows[key] = np.array([one.values[key] for one in labels])
        return rows


def _told_of(plan: TrainingPlan, labels: Labels, classes: Ints) -> dict[str, Any]:
    """What the JSON beside an image says."""
    lines = []
    for place, number in enumerate(labels.drawn.types.tolist()):
        kind = plan.candidates.types[number]
        lines.append(
            {
                "type": number,
                "class": int(classes[number]),
                "plane": list(kind.plane),
                "burgers": list(kind.burgers),
                "character_deg": kind.character_deg,
                "position_um": _plain(labels.drawn.positions_um[place]),
                "signal_to_noise": _plain(labels.signal_to_noise[place]),
                "piercing_px": _plain(labels.piercing[:, place]),
                "ends_px": _plain(labels.ends[:, place]),
            }
        )
    about: dict[str, Any] = {"number": labels.number, "dislocations": lines}
    if labels.values:
        about["values"] = labels_of(labels.values)
    return about


def _plain(values: Floats | float) -> Any:
    """Numbers as JSON has them; what is not a number is none."""
    if isinstance(values, np.ndarray) and values.ndim:
        return [_plain(value) for value in values]
    return float(values) if np.isfinite(values) else None


def index_of(
    plan: TrainingPlan, shards: Sequence[Shard], classes: Ints, names: Any
) -> dict[str, Any]:
    """What the file beside the shards says."""
    renderer = plan.candidates.renderer
    every = zip(plan.candidates.types, classes.tolist(), strict=True)
    return {
        "format": plan.table.format,
        "images": len(plan),
        "shape": [len(renderer.conditions), *renderer.shape],
        "dtype": str(plan.dtype),
        "conditions": [
            {
                "reflection": c.reflection,
                "phi_rad": c.phi,
                "chi_rad": c.chi,
                "two_theta_rad": c.two_theta,
                "z_um": c.z,
            }
            for c in renderer.conditions
        ],
        "types": [
            {
                "type": kind.number,
                "class": number,
                "plane": list(kind.plane),
                "burgers": list(kind.burgers),
                "character_deg": kind.character_deg,
            }
            for kind, number in every
        ],
        "units": {key: unit_of(key) for key in plan.variation.ranges},
        "shards": [
            {**names(shard), "part": shard.part or None, "images": len(shard.numbers)}
            for shard in shards
        ],
    }
