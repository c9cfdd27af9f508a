"""What those who compute the files of a sweep tell while they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Ticked:
    """A worker has done some tasks of its file; a negative number takes them back."""

    tasks: int


@dataclass(frozen=True)
class Found:
    """Tasks of a file that was complete already."""

    tasks: int


@dataclass(frozen=True)
class Finished:
    """A file is complete."""

    shard: int
    tasks: int
    failures: int


@dataclass(frozen=True)
class Lost:
    """A file could not be computed, as often as it was tried."""

    shard: int
    reason: str


@dataclass(frozen=True)
class Submitted:
    """Jobs wait in the queue of a cluster; what they print goes to files in the folder `logs`."""

    jobs: int
    logs: str


Event = Ticked | Found | Finished | Lost | Submitted
Watch = Callable[[Event], object]
"""Told of what happens."""

Executor = Callable[[Iterator[int]], Iterator[Event]]
"""Computes files by their numbers, and tells of it. It raises what nobody can go on after."""
