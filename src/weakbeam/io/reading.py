"""Read an output file back: what is in it, and whether it can be resumed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakbeam.core.arrays import Floats
from weakbeam.core.memory import check_memory_for
from weakbeam.errors import InputError, RunError
from weakbeam.io import guard
from weakbeam.io.bliss import DETECTOR, entry_name
from weakbeam.io.chunks import load_filter
from weakbeam.io.diskerrors import disk_reason
from weakbeam.io.entry import ImageAxis

_ENTRY = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map of an output file."""

    values: Floats
    """Shape (rows, columns); NaN where there is nothing to say."""
    unit: str
    long_name: str


@dataclass(frozen=True, eq=False)
class StoredEntry:
    """What an entry holds beside its frames."""

    name: str
    title: str
    end_reason: str
    moving: dict[str, Floats]
    """Positions at each frame, shape (N,), the slowest motor first; deg or mm."""
    fixed: dict[str, tuple[float, str]]
    scan_shape: tuple[int, ...]
    shape: tuple[int, int]
    image_axes: tuple[ImageAxis, ImageAxis]
    done: NDArray[np.bool_]
    """Which frames are there, shape (N,)."""
    image_sum: Floats
    """Sum of all frames, shape (rows, columns); NaN while the run is not finished."""
    intensity: Floats
    """Sum over the pixels of each frame, shape (N,)."""
    maps: dict[str, StoredMap]


def entry_names(path: str | os.PathLike[str]) -> list[str]:
    """Names of the entries of an output file, ``["1.1", "2.1", ...]``, by number."""
    with opened(path) as file:
        return _entry_names(file)


def is_own_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there and was written by this program; it may be a source of frames."""
    try:
        with guard.reading(path) as file:
            return guard.attribute(file, "creator", "") == "weakbeam"
    except InputError:
        return False


def frames_done(path: str | os.PathLike[str]) -> dict[str, NDArray[np.bool_]]:
    """Which frames of each entry are in the file; it may be in the middle of being written.

    Parameters
    ----------
    path : path
        An output file.

    Returns
    -------
    dict of str to ndarray of bool, shape (N,)
        Entry -> True for each frame that is there.

    Raises
    ------
    InputError
        If there is no such file, or it is not ours.
    """
    with opened(path) as file:
        return {name: _done(file[name]) for name in _entry_names(file)}


def read_configuration(path: str | os.PathLike[str]) -> str:
    """Text of the experiment file (TOML) from which the file was simulated."""
    with opened(path) as file:
        return guard.text(file, f"{_entry_names(file)[0]}/simulation/configuration/data")


def read_entry(path: str | os.PathLike[str], entry: str = "1.1") -> StoredEntry:
    """Read an entry without its frames.

    Parameters
    ----------
    path : path
        An output file.
    entry : str
        Name of the entry.

    Raises
    ------
    InputError
        If there is no such file or entry, or the file is not ours.
    """
    with opened(path) as file:
        group = _entry(file, path, entry)
        positioners = guard.group(group, "instrument/positioners")
        title = guard.text(group, "title")
        done = _done(group)
        moving = {
            name: guard.numbers(group, f"instrument/{name}/value", shape=done.shape)
            for name in title.split()
            if name in positioners and guard.dataset(positioners, name).ndim == 1
        }
        fixed = {
            name: (guard.number(positioners, name), guard.attribute(positioners[name], "units"))
            for name in positioners
            if guard.dataset(positioners, name, kinds="fiu").ndim == 0
        }
        stack = _frames(group)
        shape = (int(stack.shape[1]), int(stack.shape[2]))
        plot = guard.group(group, "plot")
        names = guard.attribute_texts(plot, "axes")
        if len(names) != 2:
            raise guard.Fault(f"{plot.name}@axes", "does not name two axes")
        rows, columns = (
            ImageAxis(
                name,
                guard.numbers(plot, name, shape=(length,)),
                guard.attribute(plot[name], "long_name"),
            )
            for name, length in zip(names, shape, strict=True)
        )
        scan_shape = guard.numbers(group, "progress/scan_shape", kinds="iu", ndim=1)
        return StoredEntry(
            name=entry,
            title=title,
            end_reason=guard.text(group, "end_reason"),
            moving=moving,
            fixed=fixed,
            scan_shape=tuple(int(n) for n in scan_shape),
            shape=shape,
            image_axes=(rows, columns),
            done=done,
            image_sum=guard.numbers(plot, "image_sum", shape=shape),
            intensity=guard.numbers(group, f"instrument/{DETECTOR}_sum/data", shape=done.shape),
            maps=_maps(group, shape),
        )


def read_frames(
    path: str | os.PathLike[str], entry: str = "1.1", indices: ArrayLike | None = None
) -> NDArray[Any]:
    """Read frames of an entry.

    Parameters
    ----------
    path : path
        An output file.
    entry : str
        Name of the entry.
    indices : array_like of int, shape (n,), optional
        Which frames; all of them unless given.

    Returns
    -------
    ndarray, shape (n, rows, columns)
        float32 or uint16.

    Raises
    ------
    InputError
        If there is no such file or entry, or the file is not ours.
    RunError
        If a frame was never written, or its source file is missing.
    """
    with opened(path) as file:
        group = _entry(file, path, entry)
        absent = missing_sources(file, entry)
        if absent:
            raise RunError(f"{path}: the file {absent[0]} with its frames is missing")
        stack = _frames(group)
        _load_filter(file, stack)
        wanted = np.arange(stack.shape[0]) if indices is None else np.atleast_1d(indices)
        done = _done(group)
        if not done[wanted].all():
            lacking = wanted[~done[wanted]]
            raise RunError(f"{path}: frame {lacking[0]} of {entry} has not been simulated yet")
        needed = wanted.size * float(np.prod(stack.shape[1:])) * stack.dtype.itemsize
        check_memory_for(needed, "file", str(path), "read fewer frames at once")
        frames = np.empty((wanted.size, *stack.shape[1:]), dtype=stack.dtype)
        for frame, index in zip(frames, wanted, strict=True):
            try:
                stack.read_direct(frame, np.s_[int(index)])
            except (OSError, RuntimeError) as error:
                reason = f"frame {index} of {entry} cannot be read ({disk_reason(error)})"
                raise RunError(f"{path}: {reason}") from None
        return frames


def missing_sources(file: h5py.File, entry: str) -> list[str]:
    """Source files of an entry's frames that are not where they should be.

    HDF5 reads zeros in their place without a word.
    """
    stack = _frames(file[entry])
    if not stack.is_virtual:
        return []
    folder = Path(file.filename).parent
    names = dict.fromkeys(source.file_name for source in stack.virtual_sources())
    return [name for name in names if not (folder / name).is_file()]


def check_resumable(path: str | os.PathLike[str], digest: str) -> str:
    """Refuse a file that cannot be resumed with an experiment of this digest.

    Returns
    -------
    str
        How its last run ended: ``"RUNNING"`` after a crash, ``"USER_ABORT"`` after Ctrl-C;
        ``"SUCCESS"`` if there is nothing to resume.

    Raises
    ------
    InputError
        If there is no such file, it is truncated, not ours, of another experiment, or lacks a
        source file.
    """
    with opened(path, key="resume") as file:
        names = _entry_names(file)
        stored = guard.text(file, f"{names[0]}/simulation/digest")
        if stored != digest:
            raise InputError(
                "resume", str(path), "belongs to another experiment; choose another output"
            )
        if [*file] != sorted(names) or names != [entry_name(k) for k in range(len(names))]:
            raise guard.Fault("/", f"has {', '.join(file)} and not the entries of a run")
        reasons = {guard.text(file, f"{name}/end_reason") for name in names}
        for name in names:
            absent = missing_sources(file, name)
            if absent:
                raise InputError("resume", str(path), f"its source file {absent[0]} is missing")
        if reasons == {"SUCCESS"}:
            return "SUCCESS"
        return "RUNNING" if "RUNNING" in reasons else "USER_ABORT"


@contextmanager
def opened(path: str | os.PathLike[str], key: str = "file") -> Iterator[h5py.File]:
    """Open an output file for reading, also while another process writes it.

    Raises
    ------
    InputError
        If there is no such file, it is not ours, or what is read of it is damaged; `key` names it.
    """
    with guard.reading(path, key) as file:
        ours = guard.attribute(file, "creator", "") == "weakbeam"
        if not ours or not _entry_names(file):
            raise InputError(key, str(path), "was not written by weakbeam forward")
        yield file


def _entry_names(file: h5py.File) -> list[str]:
    names = sorted((name for name in file if _ENTRY.fullmatch(name)), key=float)
    ours = [name for name in names if f"{name}/progress/frame_done" in file]
    if ours and ours != names:
        lost = next(name for name in names if name not in ours)
        raise guard.Fault(f"/{lost}/progress/frame_done", "is missing")
    return ours


def _entry(file: h5py.File, path: str | os.PathLike[str], entry: str) -> h5py.Group:
    names = _entry_names(file)
    if entry not in names:
        raise InputError("entry", entry, f"{path} has the entries {', '.join(names)}")
    return guard.group(file, entry)


def _done(group: h5py.Group) -> NDArray[np.bool_]:
    """Which frames of an entry are there, one mark for each."""
    frames = (_frames(group).shape[0],)
    done: NDArray[np.bool_] = guard.numbers(
        group, "progress/frame_done", kinds="iub", shape=frames
    ).astype(bool)
    return done


def _frames(group: h5py.Group) -> h5py.Dataset:
    """The stack of frames of an entry."""
    return guard.dataset(group, f"instrument/{DETECTOR}/image", kinds="fiu", ndim=3)


def _maps(group: h5py.Group, shape: tuple[int, int]) -> dict[str, StoredMap]:
    if "maps" not in group:
        return {}
    maps = guard.group(group, "maps")
    return {name: _read_map(guard.group(maps, name), name, shape) for name in maps}


def _load_filter(file: h5py.File, stack: h5py.Dataset) -> None:
    if not stack.is_virtual:
        load_filter(stack)
        return
    source = stack.virtual_sources()[0]
    with guard.reading(Path(file.filename).parent / source.file_name) as frames:
        load_filter(guard.dataset(frames, source.dset_name))


def _read_map(group: h5py.Group, name: str, shape: tuple[int, int]) -> StoredMap:
    values = guard.numbers(group, name, shape=shape)
    unit, long_name = (guard.attribute(group[name], key) for key in ("units", "long_name"))
    return StoredMap(values, unit, long_name)
