"""The file of a library or a training set: an entry for each condition, a frame for each member.

Beside the frames, arranged like those of any scan, the first entry has tables of what they show,
and the entries of a training set the labels of each frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from weakbeam.errors import InputError, RunError
from weakbeam.io import bliss, guard
from weakbeam.io.chunks import (
    compression_of,
    compression_pool,
    load_filter,
    shuffle_and_deflate,
    write_chunk,
)
from weakbeam.io.diskerrors import creation_error, disk_reason
from weakbeam.io.entry import Description, Entry, Fields
from weakbeam.io.guard import telling_damage
from weakbeam.io.reading import entry_names, opened, read_configuration
from weakbeam.io.scanfile import ScanFile
from weakbeam.io.targets import LIBRARY, claim

TABLES = "library"
"""Group of the first entry that holds the tables."""

LABELS = "labels"
"""Group of each entry of a training set that holds the labels of its frames."""

TRACES = "traces"
"""Group of each entry of a training set that tells where the lines appear in its frames."""

_RATIOS = f"{LABELS}/signal_to_noise"

_READ_AT_ONCE = 16

Table = dict[str, NDArray[Any]]


class LibraryFile(ScanFile):
    """A library that is being written; made by `new_library`."""

    kind = LIBRARY

    def create_labels(self, index: int, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        """Create labels of the frames of an entry that are images themselves.

        Parameters
        ----------
        index : int
            The entry, from 0.
        name : str
            Name of the dataset.
        shape : (frames, n, rows, columns)
            Chunks hold what belongs to one frame.
        dtype : dtype
            Type of a pixel.
        """
        group = self._file[bliss.entry_name(index)]
        if LABELS not in group:
            bliss.create_group(group, LABELS, "NXcollection")
        labels = group[LABELS].create_dataset(
            name, shape, dtype, chunks=(1, *shape[1:]), compression="gzip", shuffle=True
        )
        labels.attrs.update({"units": "", "interpretation": "image"})

    def write_labels(self, index: int, name: str, first: int, labels: NDArray[Any]) -> None:
        """Write the labels of frames one after another, of the type of the dataset.

        Raises
        ------
        RunError
            If the disk is full or the file cannot be written for another reason.
        """
        stack = self._file[f"{bliss.entry_name(index)}/{LABELS}/{name}"]
        try:
            chunks = self._pool.map(shuffle_and_deflate, np.ascontiguousarray(labels))
            for number, chunk in enumerate(chunks, first):
                write_chunk(stack, (number, 0, 0, 0), chunk)
        except (OSError, RuntimeError) as error:
            raise RunError(f"{self.path}: labels not written ({disk_reason(error)})") from error

    def write_rows(self, index: int, name: str, first: int, rows: NDArray[Any]) -> None:
        """Write numbers of frames one after another into a dataset among the labels.

        Raises
        ------
        RunError
            If the disk is full or the file cannot be written for another reason.
        """
        try:
            dataset = self._file[f"{bliss.entry_name(index)}/{LABELS}/{name}"]
            dataset[first : first + len(rows)] = rows
        except (OSError, RuntimeError) as error:
            raise RunError(f"{self.path}: labels not written ({disk_reason(error)})") from error

    def add_fields(self, index: int, name: str, fields: Fields) -> None:
        """Write fields into a group of an entry, which is made if need be.

        Raises
        ------
        RunError
            If the disk is full or the file cannot be written for another reason.
        """
        group = self._file[bliss.entry_name(index)]
        try:
            if name not in group:
                bliss.create_group(group, name, "NXcollection")
            bliss.write_fields(group[name], fields)
        except (OSError, RuntimeError) as error:
            raise RunError(f"{self.path}: table not written ({disk_reason(error)})") from error


@contextmanager
def new_library(
    path: str | os.PathLike[str],
    entries: Sequence[Entry],
    description: Description,
    *,
    compression: str = "gzip",
    overwrite: bool = False,
    workers: int | None = None,
) -> Iterator[LibraryFile]:
    """Write a library, which appears under its name when it is complete.

    Before that its name ends in ``.new``. Ctrl-C leaves it there, to be gone on with.

    Parameters
    ----------
    path : path
        The file; its folder is made if need be.
    entries : sequence of Entry
        One for each condition.
    description : Description
        What is the same for all.
    compression : {"gzip", "none", "bitshuffle-lz4"}
        How frames are compressed.
    overwrite : bool
        Replace a file that exists.
    workers : int, optional
        Threads that compress.

    Raises
    ------
    InputError
        If the file exists and is not to be overwritten, or its folder takes no file.
    RunError
        If the disk is full or fails.
    """
    advice = "overwrite it or choose another folder"
    path = claim(path, LIBRARY, overwrite=overwrite, advice=advice)
    part = path.with_name(path.name + ".new")
    is_interrupted = False
    try:
        with LibraryFile.create(
            part,
            entries,
            description,
            compression=compression,
            overwrite=True,
            workers=workers,
        ) as file:
            yield file
            file.finish()
        try:
            part.replace(path)
        except OSError as error:
            raise creation_error(path, error) from None
    except KeyboardInterrupt:
        is_interrupted = True
        raise
    finally:
        if not is_interrupted:
            part.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Frames of a library in its file, read and unpacked by threads when they are asked for.

    Parameters
    ----------
    path : Path
        The file.
    entries : tuple of str
        Its entries, one for each condition.
    shape : (int, int, int, int)
        Members, conditions, rows and columns.
    dtype : dtype
        Type of a pixel.
    """

    path: Path
    entries: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Size of all frames in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __getitem__(self, members: Any) -> NDArray[Any]:
        """Frames of one member, of a slice or of a list of members.

        Raises
        ------
        RunError
            If a frame cannot be read.
        """
        numbers = np.arange(len(self))[members]
        some = np.atleast_1d(numbers)
        frames = np.empty((len(some), *self.shape[1:]), self.dtype)
        with opened(self.path) as file, compression_pool() as pool:
            for place, entry in enumerate(self.entries):
                stack = guard.dataset(file, f"{entry}/instrument/{bliss.DETECTOR}/image", ndim=3)
                _read(stack, some, frames[:, place], pool)
        return frames if np.ndim(numbers) else frames[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        frames = self[:]
        return frames if dtype is None else frames.astype(dtype, copy=False)


@dataclass(frozen=True, eq=False)
class StoredTraining:
    """What an unfinished training set holds.

    Parameters
    ----------
    path : Path
        The file.
    entries : tuple of str
        Its entries, one for each condition.
    count : int
        Images that are complete: the first ones.
    labels : bool
        Whether there are labels that are images.
    """

    path: Path
    entries: tuple[str, ...]
    count: int
    labels: bool

    def read(
        self, number: int
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Frames, contributions and masks of an image under each condition, and its ratios.

        Raises
        ------
        RunError
            If they cannot be read.
        """
        with telling_damage(self.path, "resume"), opened(self.path) as file:
            stacks = [
                [file[f"{entry}/{place}"][number] for entry in self.entries]
                for place in self._places
            ]
            frames, *labels = [np.stack(stack) for stack in stacks]
            if not self.labels:
                nothing = (len(self.entries), 0, *frames.shape[1:])
                return frames, np.zeros(nothing, np.float16), np.zeros(nothing, np.uint8), None
            return frames, labels[0], labels[1], file[f"{self.entries[0]}/{_RATIOS}"][number]

    @property
    def _places(self) -> list[str]:
        places = [f"instrument/{bliss.DETECTOR}/image"]
        return places + [f"{LABELS}/contribution", f"{LABELS}/mask"] * self.labels


def stored_training(path: Path, configuration: str, labels: bool = True) -> StoredTraining | None:
    """Look at an unfinished training set.

    Parameters
    ----------
    path : Path
        The file.
    configuration : str
        The experiment (TOML) that it must be of.
    labels : bool
        Whether it has labels that are images.

    Returns
    -------
    StoredTraining or None
        None if nothing of it can be used.

    Raises
    ------
    InputError
        If it is of another experiment.
    """
    try:
        found = read_configuration(path)
        entries = tuple(entry_names(path))
        with opened(path) as file:
            done = [guard.numbers(file[entry], "progress/frame_done") for entry in entries]
            complete = np.logical_and.reduce([marks > 0 for marks in done])
    except (InputError, KeyError, OSError, RuntimeError):
        return None
    if found != configuration:
        raise InputError("resume", str(path), "is of another experiment")
    count = len(complete) if complete.all() else int(np.argmin(complete))
    return StoredTraining(path, entries, count, labels)


def read_tables(path: str | os.PathLike[str]) -> tuple[str, dict[str, Table], StoredImages]:
    """Read what a library tells beside its frames.

    Parameters
    ----------
    path : path
        A library or a training set.

    Returns
    -------
    configuration : str
        The experiment (TOML).
    tables : dict of str to dict of str to ndarray
        Columns of each table.
    images : StoredImages

    Raises
    ------
    InputError
        If there is no such file, or it is no library.
    """
    configuration = read_configuration(path)
    names = tuple(entry_names(path))
    with opened(path) as file:
        group = guard.group(file, names[0])
        if TABLES not in group:
            raise InputError(
                "library", str(path), "has images but no candidates: weakbeam identify generate"
            )
        tables = {name: guard.table(group[TABLES], name) for name in guard.group(group, TABLES)}
        place = f"instrument/{bliss.DETECTOR}/image"
        stack = guard.dataset(group, place, kinds="fiu", ndim=3)
        frames, rows, columns = stack.shape
        for name in names[1:]:
            # One image of every member under every condition.
            guard.dataset(file[name], place, kinds=stack.dtype.kind, shape=stack.shape)
        images = StoredImages(Path(path), names, (frames, len(names), rows, columns), stack.dtype)
    return configuration, tables, images


def read_labels(
    path: str | os.PathLike[str], name: str, entry: str = "1.1", frames: slice = slice(None)
) -> NDArray[Any]:
    """Read labels of a training set's frames that are images themselves.

    Parameters
    ----------
    path : path
        A training set.
    name : str
        ``"contribution"`` or ``"mask"``.
    entry : str
        Name of the entry, which is one condition.
    frames : slice
        Which frames.

    Returns
    -------
    (frames, dislocations, rows, columns) ndarray

    Raises
    ------
    InputError
        If there is no such file, or it has no such labels.
    """
    with opened(path) as file:
        if f"{entry}/{LABELS}/{name}" not in file:
            raise InputError("labels", name, f"{path} has no such labels in {entry}")
        labels = guard.dataset(file, f"{entry}/{LABELS}/{name}", kinds="fiu", ndim=4)
        return np.asarray(labels[frames])


def read_traces(path: str | os.PathLike[str], entry: str = "1.1") -> Table:
    """Read where the lines of a training set appear under one condition.

    Raises
    ------
    InputError
        If there is no such file, or it is no training set.
    """
    with opened(path) as file:
        if f"{entry}/{TRACES}" not in file:
            raise InputError("traces", str(path), f"has none in {entry}: it is no training set")
        return guard.table(file[entry], TRACES)


def _read(
    stack: h5py.Dataset, numbers: NDArray[Any], frames: NDArray[Any], pool: ThreadPoolExecutor
) -> None:
    """Read frames of a stack into an array, one chunk each."""
    try:
        if compression_of(stack) != "gzip":
            load_filter(stack)
            for frame, number in zip(frames, numbers, strict=True):
                frame[...] = stack[int(number)]
            return
        for first in range(0, len(numbers), _READ_AT_ONCE):
            some = numbers[first : first + _READ_AT_ONCE]
            chunks = [stack.id.read_direct_chunk((int(number), 0, 0))[1] for number in some]
            list(pool.map(_unpack, chunks, frames[first : first + len(some)]))
    except Exception as error:  # isal has errors of its own, which are no OSError.
        raise RunError(f"{stack.file.filename}: a frame cannot be read ({error})") from None


def _unpack(chunk: bytes, frame: NDArray[Any]) -> None:
    """Undo HDF5's filters deflate and shuffle."""
    raw = np.frombuffer(isal_zlib.decompress(chunk), np.uint8)
    by_value = np.ascontiguousarray(raw.reshape(frame.dtype.itemsize, -1).T)
    frame[...] = by_value.reshape(-1).view(frame.dtype).reshape(frame.shape)
