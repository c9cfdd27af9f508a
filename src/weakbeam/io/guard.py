"""Reading HDF5 files that may be damaged, of another program, or made to do harm.

Whatever is wrong with a file becomes one `InputError` that names the file and the place in it.
Every file is opened by `reading`; `group`, `dataset`, `numbers`, `text` and `attribute` tell in
their own words what is missing or of another kind, and what HDF5 itself complains of is told too.

HDF5 does not survive every file. So a process of its own goes through a file first, once
(:mod:`weakbeam.io.file_walk`). Where that process dies or does not come to an end, the file is
refused; files outside the folder to which it leads are named before they are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.core.memory import lacking_memory
from weakbeam.core.notices import notice
from weakbeam.errors import InputError, RunError
from weakbeam.io.diskerrors import disk_reason
from weakbeam.io.file_walk import gone_through

_ERRORS = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
"""What h5py raises of a damaged file, and numpy of what is in it."""

_Stamp = tuple[int, int, int, int]

_sound: set[_Stamp] = set()
"""Files that have been gone through."""

_unsound: dict[_Stamp, str] = {}
"""Files over which a process has died, and how."""

_own: set[tuple[int, int]] = set()
"""Files that this process is writing."""


class Fault(ValueError):
    """What is wrong at a place of a file.

    Parameters
    ----------
    place : str
        Where: the path of a node, and the name of an attribute after ``@``.
    reason : str
        What is wrong there.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")


# ---------------------------------------------------------------------------- opening


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as HDF5 does; it may be damaged still."""
    return bool(h5py.is_hdf5(path))


@contextmanager
def reading(path: str | os.PathLike[str], key: str = "file") -> Iterator[h5py.File]:
    """Open an HDF5 file for reading only, also while another process writes it.

    Parameters
    ----------
    path : path
        The file.
    key : str
        What names it in messages.

    Raises
    ------
    InputError
        If there is no such file, it is no HDF5, or anything that is read of it inside the ``with``
        block is missing, of another kind or damaged.
    """
    check(path, key)
    try:
        try:
            # Without a lock: looking at a run must not be in the way of the process that writes it.
            file = h5py.File(path, "r", locking=False)
        except OSError:
            # HDF5 wants the same flag again where this process has the file open.
            file = h5py.File(path, "r")
    except _ERRORS as error:
        raise InputError(
            key, str(path), f"is no readable HDF5 file, or damaged ({disk_reason(error)})"
        ) from None
    with telling_damage(path, key), file:
        yield file


@contextmanager
def telling_damage(
    path: str | os.PathLike[str], key: str = "file", *others: type[Exception]
) -> Iterator[None]:
    """Turn what h5py says of a damaged file, in many ways, into one line.

    Parameters
    ----------
    path : path
        The file.
    key : str
        What names it in messages.
    *others : type
        Exceptions that are told by whoever calls, as h5py raises them of full disks too.

    Raises
    ------
    InputError
        If what is in the file cannot be read, is missing, or is not what it should be.
    """
    try:
        yield
    except _ERRORS as error:
        if isinstance(error, (InputError, RunError, *others)):
            raise
        allowed = f"is damaged, or of another version ({_told(error)})"
        raise InputError(key, str(path), allowed) from error


def check(path: str | os.PathLike[str], key: str = "file") -> None:
    """Refuse a file with which HDF5 would crash, or never come to an end.

    Raises
    ------
    InputError
        For such a file, or if there is none.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        missing = isinstance(error, FileNotFoundError | NotADirectoryError) or number is None
        reason = "there is no such file" if missing else f"cannot be read ({disk_reason(error)})"
        raise InputError(key, os.fspath(path), reason) from None
    if not stat.S_ISREG(status.st_mode):
        kind = "is a folder; give a file" if stat.S_ISDIR(status.st_mode) else "is no regular file"
        raise InputError(key, os.fspath(path), kind)
    stamp = _stamp(status)
    if stamp in _sound or stamp[:2] in _own:
        return
    if stamp not in _unsound:
        ended, outside = gone_through(path)
        if ended:
            _unsound[stamp] = ended
    if stamp in _unsound:
        raise InputError(key, os.fspath(path), f"is damaged: HDF5 {_unsound[stamp]}")
    for name in outside:
        notice(f"{os.fspath(path)} leads to the file {name}, outside its folder")
    _sound.add(stamp)


def trust(descriptor: int) -> None:
    """Note that this process begins to write a file, which it need not check meanwhile."""
    _own.add(_stamp(os.fstat(descriptor))[:2])


def trust_as_left(descriptor: int) -> None:
    """Note that it ends, and that the file as it is now is sound."""
    stamp = _stamp(os.fstat(descriptor))
    _own.discard(stamp[:2])
    _sound.add(stamp)


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _told(error: BaseException) -> str:
    return disk_reason(error) if isinstance(error, Exception) else str(error)


# ---------------------------------------------------------------------------- what is in a file


def group(parent: Any, name: str) -> h5py.Group:
    """The group of a name; `Fault` if there is none."""
    return _member(parent, name, h5py.Group, "group")


def dataset(
    parent: Any,
    name: str,
    *,
    kinds: str | None = None,
    ndim: int | None = None,
    shape: tuple[int, ...] | None = None,
) -> h5py.Dataset:
    """The data set of a name.

    Parameters
    ----------
    parent : h5py.Group
        Where it is.
    name : str
        Its name, or path from there.
    kinds : str, optional
        Letters of numpy's kinds of types that it may have, such as ``"fiu"``.
    ndim : int, optional
        How many axes it must have.
    shape : tuple of int, optional
        The shape that it must have.

    Raises
    ------
    Fault
        If there is none, or it is another.
    """
    found = _member(parent, name, h5py.Dataset, "data set")
    place = _place(parent, name)
    with _at(place):
        kind, its = found.dtype.kind, found.shape
    if its is None:
        raise Fault(place, "is empty")
    if kinds is not None and kind not in kinds:
        raise Fault(place, f"holds {found.dtype}, which is not expected there")
    if ndim is not None and len(its) != ndim:
        raise Fault(place, f"has {len(its)} axes and not {ndim}")
    if shape is not None and its != shape:
        raise Fault(place, f"has the shape {its} and not {shape}")
    return found


def numbers(
    parent: Any,
    name: str,
    *,
    kinds: str = "fiu",
    ndim: int | None = None,
    shape: tuple[int, ...] | None = None,
) -> NDArray[Any]:
    """The values of a data set of numbers; see `dataset`."""
    found = dataset(parent, name, kinds=kinds, ndim=ndim, shape=shape)
    if told := lacking_memory(found.nbytes):
        raise Fault(_place(parent, name), told)
    with _at(_place(parent, name)):
        return np.asarray(found[()])


def number(parent: Any, name: str) -> float:
    """A single number; `Fault` if there is none."""
    return float(numbers(parent, name, ndim=0))


def text(parent: Any, name: str) -> str:
    """A single text in UTF-8; `Fault` if there is none."""
    found = dataset(parent, name, ndim=0)
    return str(_decoded(found, _place(parent, name))[()])


def texts(parent: Any, name: str) -> list[str]:
    """A list of texts in UTF-8; `Fault` if there is none."""
    found = dataset(parent, name, ndim=1)
    return [str(value) for value in _decoded(found, _place(parent, name))]


def column(parent: Any, name: str) -> NDArray[Any]:
    """A column of a table: numbers, or texts as objects; `Fault` if there is none."""
    found = dataset(parent, name)
    if h5py.check_string_dtype(found.dtype) is None:
        return numbers(parent, name, kinds="fiub")
    return np.asarray(_decoded(found, _place(parent, name)), dtype=object)


def table(parent: Any, name: str) -> dict[str, NDArray[Any]]:
    """The columns of a table, which have one length; `Fault` if there is none."""
    rows = group(parent, name)
    with _at(_place(parent, name)):
        names = list(rows)
    columns = {one: column(rows, one) for one in names}
    lengths = {len(values) if values.ndim else -1 for values in columns.values()}
    if len(lengths) > 1 or -1 in lengths:
        raise Fault(_place(parent, name), "has columns of several lengths")
    return columns


def attribute(node: Any, name: str, default: str | None = None) -> str:
    """An attribute that is a text.

    Parameters
    ----------
    node : h5py.Group or h5py.Dataset
        Whose it is.
    name : str
        Its name.
    default : str, optional
        What to return where there is none, or it is no text or cannot be read.

    Raises
    ------
    Fault
        Then, unless there is a default.
    """
    value: Any = None
    try:
        value = node.attrs[name]
        if isinstance(value, bytes):
            value = value.decode()
    except _ERRORS as error:
        if default is None:
            reason = "is missing" if isinstance(error, KeyError) else _told(error)
            raise Fault(f"{node.name}@{name}", reason) from None
    if isinstance(value, str):
        return value
    if default is None:
        raise Fault(f"{node.name}@{name}", "is no text")
    return default


def attribute_texts(node: Any, name: str) -> list[str]:
    """An attribute that is a list of texts; `Fault` if there is none."""
    place = f"{node.name}@{name}"
    with _at(place):
        value = node.attrs[name]
        if isinstance(value, np.ndarray) and value.ndim == 1:
            found = [one.decode() if isinstance(one, bytes) else one for one in value]
            if all(isinstance(one, str) for one in found):
                return [str(one) for one in found]
    raise Fault(place, "is no list of texts")


def _member(parent: Any, name: str, kind: type, called: str) -> Any:
    place = _place(parent, name)
    with _at(place):
        try:
            found = parent[name]
        except KeyError as error:
            link = parent.get(name, getlink=True) if "/" not in name else None
            if isinstance(link, h5py.ExternalLink):
                raise Fault(place, f"leads to {link.filename}, which cannot be read") from None
            reason = "leads nowhere" if isinstance(link, h5py.SoftLink) else "is missing"
            if link is None and "doesn't exist" not in str(error):
                reason = _told(error).strip("'\"")
            raise Fault(place, reason) from None
    if not isinstance(found, kind):
        raise Fault(place, f"is no {called}")
    return found


def _place(parent: Any, name: str) -> str:
    return f"{(parent.name or '').rstrip('/')}/{name}"


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Have what goes wrong name its place."""
    try:
        yield
    except Fault:
        raise
    except _ERRORS as error:
        raise Fault(place, _told(error)) from None


def _decoded(found: h5py.Dataset, place: str) -> Any:
    """The texts of a data set, of any number of axes."""
    if h5py.check_string_dtype(found.dtype) is None:
        raise Fault(place, "is no text")
    with _at(place):
        values = found.asstr()[()]
    return np.asarray(values, dtype=object)
