"""Read an output file back: what is in it, and whether it can be resumed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError, RunError
from weakbeam.io.bliss import DETECTOR
from weakbeam.io.chunks import load_filter
from weakbeam.io.diskerrors import disk_reason
from weakbeam.io.entry import ImageAxis


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
        with h5py.File(path, "r", locking=False) as file:
            return bool(file.attrs.get("creator") == "weakbeam")
    except (OSError, RuntimeError, KeyError):
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
        return {
            name: file[f"{name}/progress/frame_done"][()].astype(bool)
            for name in _entry_names(file)
        }


def read_configuration(path: str | os.PathLike[str]) -> str:
    """Text of the experiment file (TOML) from which the file was simulated."""
    with opened(path) as file:
        return str(file[f"{_entry_names(file)[0]}/simulation/configuration/data"].asstr()[()])


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
        positioners = group["instrument/positioners"]
        moving = {
            name: group[f"instrument/{name}/value"][()]
            for name in group["title"].asstr()[()].split()
            if name in positioners and positioners[name].ndim == 1
        }
        fixed = {
            name: (float(value[()]), str(value.attrs["units"]))
            for name, value in positioners.items()
            if value.ndim == 0
        }
        plot = group["plot"]
        rows, columns = (
            ImageAxis(name, plot[name][()], str(plot[name].attrs["long_name"]))
            for name in plot.attrs["axes"]
        )
        return StoredEntry(
            name=entry,
            title=group["title"].asstr()[()],
            end_reason=group["end_reason"].asstr()[()],
            moving=moving,
            fixed=fixed,
            scan_shape=tuple(int(n) for n in group["progress/scan_shape"]),
            shape=plot["image_sum"].shape,
            image_axes=(rows, columns),
            done=group["progress/frame_done"][()].astype(bool),
            image_sum=plot["image_sum"][()],
            intensity=group[f"instrument/{DETECTOR}_sum/data"][()],
            maps={name: _read_map(group[f"maps/{name}/{name}"]) for name in group.get("maps", ())},
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
        stack = group[f"instrument/{DETECTOR}/image"]
        _load_filter(file, stack)
        wanted = np.arange(stack.shape[0]) if indices is None else np.atleast_1d(indices)
        done = group["progress/frame_done"][()]
        if not done[wanted].all():
            lacking = wanted[done[wanted] == 0]
            raise RunError(f"{path}: frame {lacking[0]} of {entry} has not been simulated yet")
        frames = np.empty((wanted.size, *stack.shape[1:]), dtype=stack.dtype)
        for frame, index in zip(frames, wanted, strict=True):
            stack.read_direct(frame, np.s_[int(index)])
        return frames


def missing_sources(file: h5py.File, entry: str) -> list[str]:
    """Source files of an entry's frames that are not where they should be.

    HDF5 reads zeros in their place without a word.
    """
    stack = file[f"{entry}/instrument/{DETECTOR}/image"]
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
        stored = file[f"{names[0]}/simulation/digest"].asstr()[()]
        if stored != digest:
            raise InputError(
                "resume", str(path), "belongs to another experiment; choose another output"
            )
        reasons = {file[f"{name}/end_reason"].asstr()[()] for name in names}
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
    if not Path(path).is_file():
        raise InputError(key, str(path), "there is no such file")
    try:
        try:
            # Without a lock: looking at a run must not be in the way of the process that writes it.
            file = h5py.File(path, "r", locking=False)
        except OSError:
            # HDF5 wants the same flag again where this process has the file open.
            file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(key, str(path), f"is no readable HDF5 file ({error})") from None
    with file, telling_damage(path, key):
        if file.attrs.get("creator") != "weakbeam" or not _entry_names(file):
            raise InputError(key, str(path), "was not written by weakbeam forward")
        yield file


@contextmanager
def telling_damage(path: str | os.PathLike[str], key: str) -> Iterator[None]:
    """Turn what h5py says of a damaged file, in many ways, into one line.

    Raises
    ------
    InputError
        If what is in the file cannot be read, or is missing.
    """
    try:
        yield
    except (InputError, RunError):
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        allowed = f"is damaged, or of another version ({disk_reason(error)})"
        raise InputError(key, str(path), allowed) from error


def _entry_names(file: h5py.File) -> list[str]:
    names = [name for name in file if f"{name}/progress/frame_done" in file]
    return sorted(names, key=float)


def _entry(file: h5py.File, path: str | os.PathLike[str], entry: str) -> h5py.Group:
    names = _entry_names(file)
    if entry not in names:
        raise InputError("entry", entry, f"{path} has the entries {', '.join(names)}")
    return file[entry]


def _load_filter(file: h5py.File, stack: h5py.Dataset) -> None:
    if not stack.is_virtual:
        load_filter(stack)
        return
    source = stack.virtual_sources()[0]
    with h5py.File(Path(file.filename).parent / source.file_name, "r") as frames:
        load_filter(frames[source.dset_name])


def _read_map(values: h5py.Dataset) -> StoredMap:
    return StoredMap(values[()], str(values.attrs["units"]), str(values.attrs["long_name"]))
