"""A sweep as described by its manifest: its tasks, by number, and the files that hold them."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from weakbeam.assemble.inputs import input_files
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.files import (
    beside,
    files_named,
    keys_of_files,
    renamed_values,
    with_files,
)
from weakbeam.experiment.sweep import Axis, Manifest
from weakbeam.experiment.toml_text import read_toml, toml_value
from weakbeam.io.provenance import file_sha256
from weakbeam.run.kept_inputs import groups_of

_SHARD_BYTES = 128e6
"""Largest file of images, before compression."""

_LEAST_SHARDS = 64
"""Fewest files of a sweep, so that many workers share it evenly and a crash costs little."""

_RAYS = ("acceptance.rays", "acceptance.bins", "acceptance.seed")

_MOST_TASKS = 1000
"""Most tasks of a file."""


@dataclass(frozen=True)
class Task:
    """One experiment of a sweep.

    Parameters
    ----------
    number : int
        Place in the sweep, from 0.
    settings : mapping of str to object
        The keys that vary, and their values here.
    """

    number: int
    settings: Mapping[str, Any]

    def experiment(self, base: Experiment) -> Experiment:
        """The experiment: `base` with the settings.

        Raises
        ------
        InputError
            If a key or value is not allowed.
        """
        return base.with_settings([f"{k}={toml_value(v)}" for k, v in self.settings.items()])


@dataclass(frozen=True)
class Sweep:
    """A base experiment and what varies in it.

    Parameters
    ----------
    base : Experiment
        What the settings of a task change.
    manifest : Manifest
        What varies, and how it is stored and computed.

    Examples
    --------
    >>> from weakbeam.batch.manifest import parse_sweep
    >>> sweep = parse_sweep({"axes": [{"key": "beam.energy_keV", "values": [17, 18]},
    ...                               {"key": "scan.chi.value_mrad", "values": [0, 0.1, 0.2]}]})
    >>> sweep.count, dict(sweep.task(4).settings)
    (6, {'beam.energy_keV': 18, 'scan.chi.value_mrad': 0.1})
    """

    base: Experiment
    manifest: Manifest

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        draw = self.manifest.draw
        return (*(axis.count for axis in self.manifest.axes), draw.count if draw else 1)

    @property
    def count(self) -> int:
        """Number of tasks."""
        return math.prod(self._counts)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary, in the order of the manifest."""
        draw = self.manifest.draw
        named = [key for axis in self.manifest.axes for key in axis.names]
        return (*named, *(draw.names if draw else ()))

    def task(self, number: int) -> Task:
        """The task of a number, from 0."""
        return next(self.tasks(number, number + 1))

    def tasks(self, start: int = 0, stop: int | None = None) -> Iterator[Task]:
        """Tasks from `start` to below `stop`, made one after the other."""
        stop = self.count if stop is None else min(stop, self.count)
        for first in range(start, stop, _MOST_TASKS):
            yield from self._some(first, min(first + _MOST_TASKS, stop))

    def _some(self, start: int, stop: int) -> Iterator[Task]:
        points = self._points(start, stop)
        for number in range(start, stop):
            rest, places = number, []
            for count in reversed(self._counts):
                rest, place = divmod(rest, count)
                places.append(place)
            *along, drawn = reversed(places)
            settings: dict[str, Any] = {}
            for axis, place in zip(self.manifest.axes, along, strict=True):
                settings.update(zip(axis.names, axis.at(place), strict=True))
            if self.manifest.draw is not None:
                for span, u in zip(self.manifest.draw.ranges, points[drawn], strict=True):
                    settings[span.key] = span.value(u)
            yield Task(number, settings)

    def _points(self, start: int, stop: int) -> Mapping[int, list[float]]:
        """The points that some tasks take of the draw, each by its number."""
        draw = self.manifest.draw
        if draw is None:
            return {}
        from weakbeam.batch.draws import latin_hypercube, sobol

        dimensions = len(draw.ranges)
        if draw.method == "latin-hypercube":
            table = latin_hypercube(dimensions, draw.count, draw.seed)
            return {n % draw.count: table[n % draw.count].tolist() for n in range(start, stop)}
        points: dict[int, list[float]] = {}
        while start < stop:
            first = start % draw.count
            last = min(first + stop - start, draw.count)
            part = sobol(dimensions, first, last, draw.seed).tolist()
            points.update(zip(range(first, last), part, strict=True))
            start += last - first
        return points

    # ------------------------------------------------------------------ files

    @cached_property
    def tasks_per_shard(self) -> int:
        """Number of tasks in a file."""
        given = self.manifest.output.tasks_per_shard
        if given != "auto":
            return given
        size = 4.0 * math.prod(self.base.camera.pixels) * self.base.scan.frames
        most = min(_SHARD_BYTES / size, self.count / _LEAST_SHARDS, _MOST_TASKS)
        return max(1, math.ceil(most))

    @property
    def shards(self) -> int:
        """Number of files."""
        return -(-self.count // self.tasks_per_shard)

    def shard(self, number: int) -> range:
        """Numbers of the tasks in a file."""
        first = number * self.tasks_per_shard
        return range(first, min(first + self.tasks_per_shard, self.count))

    # ------------------------------------------------------------------ text

    def to_toml(self) -> str:
        """The manifest with the base experiment in it; reading it gives an equal sweep."""
        manifest = self.manifest
        lines = []
        for axis in manifest.axes:
            lines += ["[[axes]]", *_lines(axis.model_dump(exclude_none=True)), ""]
        if manifest.draw is not None:
            draw = manifest.draw.model_dump(exclude_none=True)
            ranges = draw.pop("ranges")
            lines += ["[draw]", *_lines(draw), ""]
            for span in ranges:
                lines += ["[[draw.ranges]]", *_lines(span), ""]
        output = manifest.output.model_dump() | {"tasks_per_shard": self.tasks_per_shard}
        lines += ["[output]", *_lines(output), ""]
        lines += ["[executor]", *_lines(manifest.executor.model_dump(exclude_none=True)), ""]
        base = re.sub(r"^(\[\[?)", r"\1experiment.", self.base.to_toml(), flags=re.M)
        return "\n".join(lines) + f"\n[experiment]\n{base}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides what is stored in which file, hexadecimal."""
        neutral = self.manifest.model_dump(exclude={"base", "executor"}, exclude_none=True)
        neutral["output"]["tasks_per_shard"] = self.tasks_per_shard
        by_content = self.with_files(lambda name: self.hashes.get(name, name))
        neutral["axes"] = [axis.model_dump(exclude_none=True) for axis in by_content.manifest.axes]
        parts = [toml_value(neutral), by_content.base.to_toml()]
        parts += [self.hashes[name] for name in self._led_to if name in self.hashes]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    # ------------------------------------------------------------------ files that are read

    @cached_property
    def _led_to(self) -> list[str]:
        """The files to which those lead that the base experiment names."""
        named = {name for _, name in files_named(self.base)}
        return [name for name in input_files(self.base) if name not in named]

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file that the base experiment or an axis names, if it can be read."""
        found: dict[str, None] = dict.fromkeys(input_files(self.base))
        self.with_files(lambda name: found.setdefault(name) or name)
        hashes = {}
        for name in found:
            with suppress(OSError):
                if os.path.isfile(name):
                    hashes[name] = file_sha256(name)
        return hashes

    @property
    def groups(self) -> list[list[str]]:
        """The files that are read, each with those to which it leads."""
        groups = [*groups_of(self.base)]
        led_to = {*self._led_to, *(group[0] for group in groups)}
        return groups + [[name] for name in self.hashes if name not in led_to]

    def with_files(self, renamed: Callable[[str], str]) -> Sweep:
        """The sweep with other names of the files that it reads."""
        axes = tuple(_with_files(axis, renamed) for axis in self.manifest.axes)
        manifest = self.manifest.model_copy(update={"axes": axes})
        return Sweep(with_files(self.base, renamed), manifest)


def read_sweep(path: str | os.PathLike[str]) -> Sweep:
    """Read the manifest of a sweep.

    Parameters
    ----------
    path : path-like
        The manifest (TOML). Its ``base`` is looked for beside it, and so are the files that
        ``[experiment]`` and the axes name; those of ``base`` are looked for beside that.

    Raises
    ------
    InputError
        If a file cannot be read, or a key or value is not allowed, in the manifest or in the
        experiment that the first value of every axis gives.
    """
    return parse_sweep(read_toml(path), Path(path).parent)


def parse_sweep(data: Mapping[str, Any], folder: Path = Path(".")) -> Sweep:
    """Make a sweep of a manifest's data; see :func:`read_sweep`."""
    rest = {key: value for key, value in data.items() if key != "experiment"}
    inline = data.get("experiment")
    if inline is not None and not isinstance(inline, Mapping):
        raise InputError("experiment", None, "must be a table")
    manifest = Manifest.model_validate(rest)
    if manifest.base is not None and inline is not None:
        raise InputError("base", manifest.base, "give either base or [experiment]")
    if manifest.base is not None:
        base = Experiment.from_toml(folder / manifest.base)
    else:
        base = with_files(_inline_experiment(inline or {}), beside(folder))
    # Workers may be started elsewhere.
    sweep = Sweep(with_files(base, os.path.abspath), manifest)
    _check(sweep)
    return sweep.with_files(lambda name: os.path.abspath(folder / name))


def _inline_experiment(data: Mapping[str, Any]) -> Experiment:
    try:
        return Experiment.model_validate(data)
    except InputError as mistake:
        raise InputError(f"experiment.{mistake.key}", mistake.value, mistake.allowed) from None


def _check(sweep: Sweep) -> None:
    """Find mistakes in keys and values before anything is computed."""
    output = sweep.base.output
    for key in ("perfect_crystal", "field"):
        if getattr(output, key):
            raise InputError(f"output.{key}", True, "is not for sweeps, which store images only")
    _check_needs(sweep)
    # What is wrong with one value of one axis is found without going through all combinations.
    first = dict(sweep.task(0).settings)
    Task(0, first).experiment(sweep.base)
    for axis in sweep.manifest.axes:
        if axis.values is None:
            _check_end(sweep, first, axis.names[0], axis.at(axis.count - 1)[0])
            continue
        for place in range(1, min(axis.count, _MOST_TASKS)):
            changed = dict(zip(axis.names, axis.at(place), strict=True))
            Task(0, first | changed).experiment(sweep.base)
    for span in sweep.manifest.draw.ranges if sweep.manifest.draw else ():
        _check_end(sweep, first, span.key, span.value(0.0))
        _check_end(sweep, first, span.key, span.value(1.0))


def _check_needs(sweep: Sweep) -> None:
    """Refuse to vary what the other keys of the base experiment leave without effect."""
    base = sweep.base
    for keys, choice, has_effect, needs in (
        (
            _RAYS,
            "acceptance.method",
            base.acceptance.method == "ray-trace",
            'acceptance.method = "ray-trace"',
        ),
        (
            ("camera.seed",),
            "camera.model",
            base.camera.is_counting,
            'camera.model = "pco_edge", or another that counts',
        ),
    ):
        # A sweep may choose it as well.
        if has_effect or not {choice, choice.partition(".")[0]}.isdisjoint(sweep.keys):
            continue
        for key in sweep.keys:
            if key in keys:
                raise InputError(key, None, f"changes no image; needs {needs}")


def _check_end(sweep: Sweep, first: Mapping[str, Any], key: str, value: Any) -> None:
    """Find that the end of a range is no value of its key; other keys may change with it."""
    try:
        Task(0, {**first, key: value}).experiment(sweep.base)
    except InputError as mistake:
        if mistake.key == key:
            raise


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {toml_value(value)}" for key, value in table.items()]


def _with_files(axis: Axis, renamed: Callable[[str], str]) -> Axis:
    """An axis with other names of the files among its values."""
    if axis.values is None:
        return axis
    keys = keys_of_files(Experiment)
    rows = []
    for place in range(axis.count):
        named = zip(axis.names, axis.at(place), strict=True)
        # The last part of a key tells what its value is, as in a table.
        row = [
            renamed_values({key.rpartition(".")[2]: value}, renamed, keys) for key, value in named
        ]
        values = [value for pair in row for value in pair.values()]
        rows.append(values if axis.keys is not None else values[0])
    return axis if rows == [*axis.values] else axis.model_copy(update={"values": tuple(rows)})
