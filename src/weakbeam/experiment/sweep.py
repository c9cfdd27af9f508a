"""The manifest of a sweep: which experiments, how they are stored, where they are computed."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from weakbeam.errors import InputError
from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import Allowed, FileName, integer, number

__all__ = ["Axis", "Draw", "DrawRange", "ExecutorOptions", "Manifest", "SweepOutput"]

_KEY = re.compile(r"[A-Za-z0-9_-]+(\[\d+\])*(\.[A-Za-z0-9_-]+(\[\d+\])*)*")

Key = Annotated[
    StrictStr,
    Allowed('a key of the experiment, such as "beam.energy_keV"', lambda k: _is_key(k)),
]
Keys = Annotated[
    tuple[StrictStr, ...],
    Allowed(
        "a list of keys of the experiment, at least one",
        lambda keys: len(keys) > 0 and all(map(_is_key, keys)),
    ),
]
Values = Annotated[
    tuple[Any, ...], Allowed("a list of values, at least one", lambda values: len(values) > 0)
]
Finite = Annotated[StrictFloat, number(-1e15, 1e15)]
Count = Annotated[StrictInt, integer(1, 1_000_000_000)]
Line = Annotated[
    StrictStr, Allowed("one line of text", lambda s: 0 < len(s) <= 1000 and s.isprintable())
]
Lines = Annotated[
    tuple[StrictStr, ...],
    Allowed("a list of lines", lambda lines: all(line.isprintable() for line in lines)),
]
Address = Annotated[
    StrictStr,
    Allowed(
        'the address of a Dask scheduler, such as "tcp://host:8786"',
        lambda text: re.fullmatch(r"((tcp|tls|ws|wss|ucx)://)?[^\s/:]+:\d{1,5}", text) is not None,
    ),
]
NO_IMAGE = {
    "identify": "weakbeam identify generate makes images of many candidates",
    "output": "set it once, in the base experiment",
}
"""Tables of the experiment that no image depends on, and what to do instead of varying them."""

Executors = Literal["local", "dask", "slurm", "lsf"]


def _is_key(key: str) -> bool:
    return len(key) <= 200 and _KEY.fullmatch(key) is not None


class Axis(Table):
    """What a key, or several keys together, go through."""

    exclusive = (("key", "keys"),)

    key: Key | None = Field(None, description="the key that varies")
    keys: Keys | None = Field(None, description="keys that vary together, in step")
    values: Values | None = Field(
        None, description="values of the key; of several keys a list of a value each"
    )
    start: Finite | None = Field(None, description="first value of a range")
    stop: Finite | None = Field(None, description="last value of the range")
    steps: Count | None = Field(None, description="number of values in the range")
    seeds: Count | None = Field(None, description="the key takes the seeds 0 to N - 1")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.key is None and self.keys is None:
            raise InputError("key", None, "missing; give key, or keys")
        choice = "give one of values; start, stop and steps; seeds"
        in_range = [name for name in ("start", "stop", "steps") if getattr(self, name) is not None]
        forms = [name for name in ("values", "seeds") if getattr(self, name) is not None]
        forms += in_range[:1]
        if not forms:
            raise InputError("values", None, f"missing; {choice}")
        if len(forms) > 1:
            raise InputError(forms[1], getattr(self, forms[1]), choice)
        if in_range and len(in_range) < 3:
            lacking = next(n for n in ("start", "stop", "steps") if n not in in_range)
            raise InputError(lacking, None, "missing; a range is start, stop and steps")
        if self.keys is not None:
            for number_, value in enumerate(self.values or ()):
                if not isinstance(value, list | tuple) or len(value) != len(self.keys):
                    raise InputError(
                        f"values[{number_}]", value, f"must be a list of {len(self.keys)} values"
                    )
            if self.values is None and len(self.keys) > 1:
                raise InputError(forms[0], getattr(self, forms[0]), "is for one key; give values")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that vary."""
        return self.keys if self.keys is not None else (str(self.key),)

    @property
    def count(self) -> int:
        """Number of positions."""
        return len(self.values) if self.values is not None else int(self.steps or self.seeds or 0)

    def at(self, index: int) -> tuple[Any, ...]:
        """Value of each key at a position, from 0."""
        if self.values is not None:
            value = self.values[index]
            return tuple(value) if self.keys is not None else (value,)
        if self.seeds is not None:
            return (index,)
        assert self.start is not None
        assert self.stop is not None
        last = self.count - 1
        if 0 < index == last:
            return (self.stop,)
        return (self.start + (self.stop - self.start) * (index / max(last, 1)),)


class DrawRange(Table):
    """The range from which a key is drawn."""

    key: Key = Field(description="the key that is drawn")
    low: Finite = Field(description="lower end of the range")
    high: Finite = Field(description="upper end of the range")
    scale: Literal["linear", "log"] = Field(
        "linear", description="uniform in the value, or in its logarithm"
    )
    whole: StrictBool = Field(False, description="whole numbers only, both ends included")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.high <= self.low:
            raise InputError("high", self.high, f"must be greater than low = {self.low:g}")
        if self.whole and math.ceil(self.low) > math.floor(self.high):
            raise InputError("high", self.high, f"no whole number from {self.low:g} to here")
        if self.scale == "log" and self.low <= 0.0:
            raise InputError("low", self.low, 'must be greater than 0 with scale = "log"')
        return self

    def value(self, u: float) -> float | int:
        """The value at the share `u` of the range, from 0 to below 1."""
        low, high = self.low, self.high
        if self.whole and self.scale == "linear":
            # Every whole number gets the same share.
            low, high = math.ceil(low) - 0.5, math.floor(high) + 0.5
        if self.scale == "log":
            x = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            x = low + u * (high - low)
        if not self.whole:
            return min(max(x, self.low), self.high)
        return min(max(round(x), math.ceil(self.low)), math.floor(self.high))


class Draw(Table):
    """Points that fill a space of several keys evenly."""

    method: Literal["latin-hypercube", "sobol"] = Field(
        "sobol",
        description='"sobol": more points later keep the first ones; "latin-hypercube": '
        "every key has one value in each of count equal parts of its range",
    )
    count: Count = Field(description="number of points")
    seed: Annotated[StrictInt, integer(0, 2**32 - 1)] = Field(
        0, description="another seed draws other points"
    )
    ranges: tuple[DrawRange, ...] = Field(description="the keys and their ranges")

    @model_validator(mode="after")
    def _has_ranges(self) -> Self:
        if not self.ranges:
            raise InputError("ranges", None, "empty; at least one is needed")
        if self.method == "latin-hypercube" and self.count > 1_000_000:
            raise InputError("count", self.count, 'at most 1000000; or method = "sobol"')
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that are drawn."""
        return tuple(r.key for r in self.ranges)


class SweepOutput(Table):
    """How the images are stored."""

    format: Literal["hdf5", "webdataset", "zarr"] = Field(
        "hdf5", description='"hdf5", or "webdataset" (tar) or "zarr" (zip) for training'
    )
    tasks_per_shard: Annotated[StrictInt, integer(1, 1_000_000)] | Literal["auto"] = Field(
        "auto", description="experiments in a file; auto: by their size and number"
    )


class ExecutorOptions(Table):
    """Where the experiments are computed. None of this changes what is stored."""

    kind: Executors = Field("local", description="where, unless a run is told another place")
    workers: Annotated[StrictInt, integer(1, 100_000)] | None = Field(
        None, description="processes, or jobs of a cluster; default: the cores, or 1 job"
    )
    threads: Annotated[StrictInt, integer(1, 1024)] | None = Field(
        None, description="threads of each process; default: 1, more where cores would be idle"
    )
    retries: Annotated[StrictInt, integer(0, 100)] = Field(
        2, description="how often a file is tried again whose worker was lost"
    )
    address: Address | None = Field(
        None, description="Dask scheduler, such as tcp://host:8786; default: one is started here"
    )
    queue: Line | None = Field(None, description="queue or partition of the cluster")
    project: Line | None = Field(None, description="project or account that pays")
    walltime: Line | None = Field(None, description='longest time of a job, such as "02:00:00"')
    cores: Annotated[StrictInt, integer(1, 1024)] = Field(1, description="cores of a job")
    memory_GB: Annotated[StrictFloat, number(0.1, 1e5)] = Field(4.0, description="memory of a job")
    interface: Line | None = Field(None, description="network interface, such as ib0")
    directives: Lines = Field((), description="further lines for the head of the job script")
    prologue: Lines = Field(
        (), description="commands before the worker starts, such as module load"
    )
    wait_s: Annotated[StrictFloat, number(1, 1e7)] = Field(
        60.0, description="how long to wait for a scheduler to answer"
    )


class Manifest(Table):
    """A sweep: a base experiment and what varies in it."""

    base: FileName | None = Field(
        None, description="the base experiment, relative to this file; or write [experiment]"
    )
    axes: tuple[Axis, ...] = Field(
        (), description="what varies: every combination; the first axis is the slowest"
    )
    draw: Draw | None = Field(None, description="points drawn for every combination of the axes")
    output: SweepOutput = Field(SweepOutput(), description="How the images are stored.")
    executor: ExecutorOptions = Field(
        ExecutorOptions(), description="Where the experiments are computed."
    )

    @model_validator(mode="after")
    def _varies_each_key_once(self) -> Self:
        named = [(f"axes[{n}]", key) for n, axis in enumerate(self.axes) for key in axis.names]
        named += [("draw", key) for key in (self.draw.names if self.draw else ())]
        places: dict[str, str] = {}
        for place, key in named:
            table = re.split(r"[.\[]", key)[0]
            if table in NO_IMAGE:
                raise InputError(place, None, f"{key} changes no image; {NO_IMAGE[table]}")
            if key in places:
                raise InputError(place, key, f"varies already in {places[key]}")
            places[key] = place
        if not named:
            raise InputError("axes", None, "missing; a sweep has [[axes]], or [draw]")
        return self
