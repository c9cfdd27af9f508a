"""Where a file of images came from, and whether another one holds the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.errors import InputError
from weakbeam.io import guard
from weakbeam.io.bliss import DETECTOR
from weakbeam.io.kernel_file import is_kernel
from weakbeam.io.library_file import LABELS, TABLES, TRACES
from weakbeam.io.members import dataset_at, group_at
from weakbeam.io.reading import entry_names, frames_done, opened, read_frames

_BATCH_BYTES = 64 * 2**20

_NOT_COMPARED = frozenset({"start_time", "end_time", "end_reason", "simulation", "sampling_error"})
"""Members of an entry that tell when and how it was made."""

Kind = Literal["run", "library", "shard"]


@dataclass(frozen=True)
class InputFile:
    """A file that the experiment of another file names.

    Parameters
    ----------
    original : str
        Where it was.
    sha256 : str
        Of its content.
    kept_as : str
        Its place from the folder of the other file, if it lies there; else empty.
    """

    original: str
    sha256: str
    kept_as: str = ""


@dataclass(frozen=True)
class Provenance:
    """What a file tells of its origin.

    Parameters
    ----------
    version : str
        Version of the program.
    environment : mapping of str to str
        Versions of everything else, as from `weakbeam.io.provenance.environment`.
    inputs : tuple of InputFile
        The files that the experiment names.
    digest : str
        Of the experiment, or what stands for it; "" where none is told.
    """

    version: str
    environment: Mapping[str, str]
    inputs: tuple[InputFile, ...]
    digest: str = ""


@dataclass(frozen=True)
class FrameDifference:
    """How the frames of an entry differ from those of another file.

    Parameters
    ----------
    name : str
        The entry.
    frames : int
        Frames that were compared.
    differing : int
        Frames with a pixel that is not the same bit for bit.
    largest : float
        Largest difference of a pixel, in the unit of the frames.
    brightest : float
        Largest absolute value of a pixel.
    """

    name: str
    frames: int = 0
    differing: int = 0
    largest: float = 0.0
    brightest: float = 0.0

    def plus(self, stored: NDArray[Any], repeated: NDArray[Any]) -> FrameDifference:
        """Add frames, (n, rows, columns), of both files."""
        a, b = (frames.astype(np.float64) for frames in (stored, repeated))
        with np.errstate(invalid="ignore"):
            apart = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b))
        # One that is not finite in one file only is as far off as can be.
        apart[np.isnan(apart) | (np.isinf(a) != np.isinf(b))] = np.inf
        apart[a == b] = 0.0
        brightest = np.abs(a, where=np.isfinite(a), out=np.zeros_like(a)).max(initial=0.0)
        return FrameDifference(
            self.name,
            self.frames + len(a),
            self.differing + int((apart > 0.0).any(axis=(-2, -1)).sum()),
            max(self.largest, float(apart.max(initial=0.0))),
            max(self.brightest, float(brightest)),
        )


def kind_of(path: str | os.PathLike[str]) -> Kind:
    """What a file is: a run, a library or training set, or a file of a sweep.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if is_kernel(path):
        raise InputError("file", str(path), "is a kernel: weakbeam bootstrap makes it again")
    with guard.reading(path) as file:
        if guard.attribute(file, "creator", "") == "weakbeam":
            groups = [group for name in file if (group := group_at(file, name)) is not None]
            if any("image" in group and "experiment" in group for group in groups):
                return "shard"
            if any("image" in group and "file" in group for group in groups):
                allowed = "is the index of a sweep; give one of the files in shards"
                raise InputError("file", str(path), allowed)
    first = entry_names(path)[0]
    with opened(path) as file:
        made = any(name in guard.group(file, first) for name in (TABLES, LABELS, TRACES))
    return "library" if made else "run"


def read_provenance(path: str | os.PathLike[str]) -> Provenance:
    """Read what a run or library tells of its origin.

    Raises
    ------
    InputError
        If there is no such file, or it does not tell.
    """
    first = entry_names(path)[0]
    with opened(path) as file:
        group = guard.group(file, f"{first}/simulation")
        columns = [
            guard.texts(group, f"inputs/{column}")
            for column in ("file", "sha256", "kept_as")
            if f"inputs/{column}" in group
        ]
        if len({*map(len, columns)}) > 1:
            raise guard.Fault(f"{group.name}/inputs", "has columns of several lengths")
        programs = guard.group(group, "environment")
        return Provenance(
            version=guard.text(group, "version"),
            environment={name: guard.text(programs, name) for name in programs},
            inputs=tuple(map(InputFile, *columns)) if columns else (),
            digest=guard.text(group, "digest") if "digest" in group else "",
        )


def compare_frames(
    stored: str | os.PathLike[str],
    repeated: str | os.PathLike[str],
    progress: Callable[[float], object] | None = None,
) -> Iterator[FrameDifference]:
    """Compare the frames of every entry, as far as both files have them.

    Parameters
    ----------
    stored, repeated : path
        Two files of the same experiment.
    progress : callable, optional
        Told how many frames are newly compared.

    Raises
    ------
    InputError
        If a file cannot be read, or they have other entries or shapes.
    RunError
        If a frame cannot be read.
    """
    here, there = frames_done(stored), frames_done(repeated)
    if {name: done.size for name, done in here.items()} != {
        name: done.size for name, done in there.items()
    }:
        raise InputError("file", str(stored), "has other scans than its experiment gives now")
    for name, done in here.items():
        numbers = np.flatnonzero(done & there[name])
        difference = FrameDifference(name)
        for some in np.array_split(numbers, _batches(stored, name, numbers.size)):
            pair = [read_frames(path, name, some) for path in (stored, repeated)]
            if pair[0].shape != pair[1].shape or pair[0].dtype != pair[1].dtype:
                allowed = f"has images of another size or type in {name} than it would have now"
                raise InputError("file", str(stored), allowed)
            difference = difference.plus(*pair)
            if progress is not None:
                progress(some.size)
        yield difference


def other_differences(
    stored: str | os.PathLike[str], repeated: str | os.PathLike[str]
) -> tuple[str, ...]:
    """Names of the data sets beside the frames that differ: maps, tables, positions."""
    found: list[str] = []
    with opened(stored) as a, opened(repeated) as b:
        for name in entry_names(stored):
            found += _differing(guard.group(a, name), guard.group(b, name), name)
    return tuple(found)


def _batches(path: str | os.PathLike[str], name: str, frames: int) -> int:
    with opened(path) as file:
        stack = guard.dataset(file, f"{name}/instrument/{DETECTOR}/image", ndim=3)
        size = int(np.prod(stack.shape[1:])) * int(stack.dtype.itemsize)
    return max(1, -(-frames * size // _BATCH_BYTES))


def _differing(a: h5py.Group, b: h5py.Group, name: str) -> Iterator[str]:
    for key in sorted(set(a) | set(b)):
        path = f"{name}/{key}"
        if key in _NOT_COMPARED or path.endswith(f"{DETECTOR}/image"):
            continue
        links = [side.get(key, getlink=True) if key in [*side] else None for side in (a, b)]
        if all(isinstance(link, h5py.SoftLink) for link in links):
            continue
        groups = group_at(a, key), group_at(b, key)
        if groups[0] is not None and groups[1] is not None:
            yield from _differing(groups[0], groups[1], path)
        elif not _equal(dataset_at(a, key), dataset_at(b, key)):
            yield path


def _equal(a: h5py.Dataset | None, b: h5py.Dataset | None) -> bool:
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(a[()], b[()], equal_nan=a.dtype.kind == "f"))
