"""Where commands may write: one rule for all of them.

`claim` is asked before a file is written, and by commands before they compute anything:

- What is no regular file (a device, a pipe, a socket, a folder) is never replaced, and no path that
  goes round in circles is followed.
- What a command reads it does not write, under whatever name, nor anything inside a folder that it
  reads.
- A file that is there stays unless it may be overwritten, and then too unless it is of the kind
  that the command writes, by its content: `written_by`. A file without content is nobody's.

Pictures have the name of the program in them (the text ``Software`` of PNG, ``Creator`` of SVG and
PDF, the comment of GIF and MP4), so that no picture of another one is taken for one of ours.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weakbeam.errors import InputError, RunError
from weakbeam.io.diskerrors import creation_error, disk_reason

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"GIF8", b"<?xml", b"%PDF-")
_MARK = b"weakbeam"
_MARKED_BYTES = 4096
"""Within so many bytes from the beginning or the end the pictures are marked."""

_LARGEST_TEXT = 64 * 2**20


@dataclass(frozen=True)
class Kind:
    """A kind of file that a command writes.

    Parameters
    ----------
    name : str
        What it is called in messages, with its article.
    is_one : callable
        Whether a file that is there, and has content, is one.
    """

    name: str
    is_one: Callable[[Path], bool]


def claim(
    path: str | os.PathLike[str],
    kind: Kind,
    *,
    overwrite: bool = False,
    inputs: Iterable[str | os.PathLike[str]] = (),
    key: str = "path",
    advice: str = "`overwrite` replaces it",
) -> Path:
    """Make sure that a file may be written.

    Parameters
    ----------
    path : path
        The file.
    kind : Kind
        What will be written.
    overwrite : bool
        Whether a file of that kind may be replaced.
    inputs : iterable of path
        Files and folders that are read.
    key : str
        What names the path in messages.
    advice : str
        What to do about a file that is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If it may not.
    """
    target = claim_place(path, inputs=inputs, key=key)
    status = _status(target, key)
    if status is None:
        return target
    if stat.S_ISDIR(status.st_mode):
        raise InputError(key, str(target), "is a folder; give a file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(key, str(target), f"is {_called(status.st_mode)}, which stays as it is")
    if not overwrite:
        raise InputError(key, str(target), f"exists: {advice}")
    if status.st_size and not kind.is_one(target):
        raise InputError(key, str(target), f"is not {kind.name} of weakbeam, and stays as it is")
    return target


def claim_folder(
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    key: str = "folder",
) -> Path:
    """Make sure that files may be written into a folder, which need not be there.

    Parameters
    ----------
    path, inputs, key
        As for `claim`.

    Raises
    ------
    InputError
        If it is no folder, or inside of one that is read.
    """
    folder = claim_place(path, inputs=inputs, key=key)
    status = _status(folder, key)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        called = "a file" if stat.S_ISREG(status.st_mode) else _called(status.st_mode)
        raise InputError(key, str(folder), f"is {called}; it must be a folder")
    return folder


def claim_place(
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    key: str = "path",
) -> Path:
    """Make sure that a path leads somewhere, and not to or into what is read; see `claim`."""
    if not os.fspath(path):
        raise InputError(key, "", "is empty; give a name")
    target = Path(path)
    for place in (target, *target.absolute().parents):
        status = _status(place, key)
        if status is None:
            continue
        if place != target and not stat.S_ISDIR(status.st_mode):
            raise InputError(key, str(target), f"lies in {place}, which is no folder")
        break
    real = os.path.realpath(target)
    for name in inputs:
        if not os.path.lexists(name):
            continue
        read = os.path.realpath(name)
        if real == read or (os.path.exists(real) and os.path.samefile(real, read)):
            raise InputError(key, str(target), "is what this command reads; give another name")
        if os.path.isdir(read) and os.path.commonpath([real, read]) == read:
            allowed = f"lies in {os.fspath(name)}, which this command reads; give another place"
            raise InputError(key, str(target), allowed)
    return target


def place_bytes(path: Path, data: bytes) -> None:
    """Write a file that has been claimed, as a whole or not at all.

    Parameters
    ----------
    path : Path
        The file. Its folder is made if need be.
    data : bytes
        What it will hold.

    Raises
    ------
    InputError
        If its folder takes no file.
    RunError
        If the disk is full or fails.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                part.unlink()
            with part.open("xb") as file:
                file.write(data)
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise creation_error(path, error) from None


def claim_regular(path: Path, key: str = "path") -> None:
    """Refuse a name that is that of something else than a regular file."""
    status = _status(path, key)
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise InputError(key, str(path), f"is {_called(status.st_mode)}, which stays as it is")


# ---------------------------------------------------------------------------- kinds


def written_by(path: Path) -> str:
    """What an HDF5 file of this program is.

    Returns
    -------
    str
        ``run``, ``source``, ``library``, ``truth``, ``kernel``, ``maps``, ``fit``, ``shard`` or
        ``index``;
        ``damaged`` if it is HDF5 that cannot be read; empty if it is something else.
    """
    from weakbeam.io import guard

    if not _begins(path, _HDF5):
        return ""
    try:
        with guard.reading(path) as file:
            if guard.attribute(file, "creator", "") != "weakbeam":
                return ""
            if guard.attribute(file, "default", "") == "kernel":
                return "kernel"
            content = guard.attribute(file, "content", "")
            if content in ("maps", "fit", "match"):
                return str(content)
            for name in file:
                inside = [*guard.group(file, name)]
                if name == "entry_0000":
                    return "source"
                if "progress" in inside:
                    made = {"library", "labels", "traces"} & {*inside}
                    members = "instrument" in inside and "member" in file[f"{name}/instrument"]
                    return "library" if made or members else "run"
                if "image" in inside:
                    return "shard" if "experiment" in inside else "index"
                if "simulation" in inside:
                    return "truth"
            # The index of a sweep none of whose tasks has images.
            return "index" if "failures" in file else ""
    except (InputError, RunError):
        return "damaged"


def _hdf5(*kinds: str) -> Callable[[Path], bool]:
    return lambda path: written_by(path) in kinds


def _begins(path: Path, *starts: bytes) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(max(map(len, starts))).startswith(starts)
    return False


def _is_picture(path: Path) -> bool:
    """Whether a file is a picture with the mark of this program."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(_MARKED_BYTES)
        file.seek(max(0, path.stat().st_size - _MARKED_BYTES))
        begins = head.startswith(_PICTURES) or head[4:8] == b"ftyp"
        return begins and _MARK in head + file.read()
    return False


def _is_table(path: Path) -> bool:
    """Whether a file is an experiment or a manifest, by its keys."""
    from weakbeam.experiment import Experiment
    from weakbeam.experiment.sweep import Manifest

    try:
        if path.stat().st_size > _LARGEST_TEXT:
            return False
        keys = tomllib.loads(path.read_text(encoding="utf-8-sig")).keys()
    except (OSError, ValueError, RecursionError):
        return False
    known = {*Experiment.model_fields, *Manifest.model_fields, "experiment"}
    return bool(keys) and keys <= known


def _is_template(path: Path) -> bool:
    if _begins(path, b"#!/bin/bash\n# A sweep as an array of "):
        return True
    return _is_table(path)


def _is_npz_of(*names: str) -> Callable[[Path], bool]:
    """Whether a file is a zip archive of numpy arrays of these names, and no others."""

    def is_one(path: Path) -> bool:
        try:
            with zipfile.ZipFile(path) as archive:
                return sorted(archive.namelist()) == sorted(f"{name}.npy" for name in names)
        except (OSError, zipfile.BadZipFile):
            return False

    return is_one


def _json(*keys: str) -> Callable[[Path], bool]:
    """Whether a file is a record in JSON with certain keys."""

    def is_one(path: Path) -> bool:
        try:
            if path.stat().st_size > _LARGEST_TEXT:
                return False
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(found, dict) and found.keys() >= {*keys}

    return is_one


def _is_note(path: Path) -> bool:
    """Whether a file is the name of a plan."""
    with suppress(OSError, UnicodeDecodeError):
        return re.fullmatch(r"[0-9a-f]+\.toml\n", path.read_text(encoding="utf-8")) is not None
    return False


def starting_with(name: str, *starts: str) -> Kind:
    """Texts that begin in certain ways, such as the first line of a table."""
    return Kind(name, lambda path: _begins(path, *(start.encode() for start in starts)))


def _is_exported(path: Path) -> bool:
    """Whether a file is an array of numpy, or a TIFF or a text with the mark of this program."""
    if _begins(path, b"\x93NUMPY", b"# weakbeam "):
        return True
    with suppress(OSError), path.open("rb") as file:
        head = file.read(_MARKED_BYTES)
        file.seek(max(0, path.stat().st_size - _MARKED_BYTES))
        return head.startswith((b"II*\0", b"MM\0*")) and _MARK in head + file.read()
    return False


RUN = Kind("a run", _hdf5("run", "damaged"))
SOURCE = Kind("a file of frames", _hdf5("source", "damaged"))
TRUTH = Kind("a file of the deformation", _hdf5("truth", "damaged"))
LIBRARY = Kind("a library or training set", _hdf5("library", "damaged"))
KERNEL = Kind("a kernel", _hdf5("kernel"))
MAPS = Kind("a file of maps", _hdf5("maps"))
NOTE = Kind("the note of a sweep", _is_note)
INDEX = Kind("the index of a sweep", _hdf5("index", "damaged"))
PICTURE = Kind("a figure", _is_picture)
PAGE = starting_with("a planning sheet", "<!doctype html>\n<!-- weakbeam -->")
EXPERIMENT = Kind("an experiment", _is_table)
EXPORTED = Kind("an exported map or image", _is_exported)
COMPARED = starting_with("the table of a comparison", "quantity,of,against,")
TEMPLATE = Kind("a template", _is_template)
FIT = Kind("the record of a fit", _json("dislocations", "covariance"))
FIT_TABLE = starting_with("the table of a fit", "number,plane,burgers,character_deg,")
FIT_FILE = Kind("the file of a fit", _hdf5("fit", "damaged"))
TILT = Kind("the lattice's tilt of a fit", _is_npz_of("beta", "origin_um", "spacing_um"))
CALIBRATION = Kind("a calibration", _json("parameters", "covariance"))
MATCH = Kind("a match", _json("verdict", "candidates"))
MATCH_FILE = Kind("the file of a match", _hdf5("match", "damaged"))
STUDY = Kind("a study", _json("types", "twins", "told_apart"))
TRAINING_INDEX = Kind("the index of a training set", _json("format", "shards"))
CIRCUITS = starting_with("the table of circuits", "circuit,frame,bx_um,")
XDMF = starting_with("a description of maps", '<?xml version="1.0"?>\n<!-- weakbeam: maps of ')
TYPES = starting_with("the table of a study", "type,plane,burgers,")
TASKS = starting_with("the table of a sweep", "number,status,id,")


# ---------------------------------------------------------------------------- the file system


def _status(path: Path, key: str) -> os.stat_result | None:
    """What is at a path; None if there is nothing."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(key, os.fspath(path), f"cannot be used: {disk_reason(error)}") from None


def _called(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "no regular file")
