"""Going through an HDF5 file once, in a process that may die of it.

HDF5 does not survive every file: some damage has it go round in circles, or crash. The process goes
through the tree, the attributes and all that is small, and looks where links and virtual data sets
lead.
"""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import h5py
from h5py._objects import phil

try:
    import resource
except ImportError:  # Windows.
    resource = None  # type: ignore[assignment]

_WALK_S = 1.0
"""After this time the process looks at no further node: of very many most are as the first."""

_HANG_S = 2
"""Processor time beyond that after which a node is taken never to be read."""

_WAIT_S = 120.0
"""Wall time after which the process is given up, however slow the disk is."""

_STUCK_S = 5.0
"""A copy of this process that uses no processor for so long may wait for what it has no thread to
let go: a lock that another thread held when it was made."""

_SMALL_BYTES = 2**20
"""Data sets up to this size are read."""

_ENDLESS = "does not come to an end with it"

_PIPE_BYTES = 4096
"""What every pipe takes at once."""

_MOST_NAMES = 20
"""Files outside that are named."""


def gone_through(path: str | os.PathLike[str]) -> tuple[str, list[str]]:
    """Have another process go through a file.

    Returns
    -------
    ended : str
        Empty if it came to an end, else what HDF5 did.
    outside : list of str
        Files outside its folder to which it leads.
    """
    if sys.platform == "linux":
        with suppress(_Stuck):
            return _by_fork(path)
    return _by_program(path)


class _Stuck(Exception):
    """A copy of this process waits, maybe without end."""


def _by_fork(path: str | os.PathLike[str]) -> tuple[str, list[str]]:
    """A copy of this process does it: some milliseconds, as all is imported."""
    answers, pipe = os.pipe()
    with phil, warnings.catch_warnings():
        # With h5py's lock in hand no other thread is in HDF5, whose state is copied. What else
        # other threads may hold is of no use to the copy.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            faulthandler.disable()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            _walk_alone(os.fspath(path), pipe)
        finally:
            os._exit(0)
    try:
        os.close(pipe)
        return _outcome(child), _names_from(answers)
    except BaseException:
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    finally:
        os.close(answers)


def _outcome(child: int) -> str:
    begun, pause, used = time.monotonic(), 1e-4, ""
    look = begun + _STUCK_S
    while time.monotonic() < begun + _WAIT_S:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return _said(os.waitstatus_to_exitcode(status))
        if time.monotonic() > look:
            before, used = used, _processor_time(child)
            if used == before:
                raise _Stuck
            look = time.monotonic() + _STUCK_S
        time.sleep(pause)
        pause = min(2.0 * pause, 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return _ENDLESS


def _processor_time(child: int) -> str:
    """What a process has used up to now, as Linux writes it."""
    with suppress(OSError):
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        return f"{fields[11]} {fields[12]}"
    return ""


def _names_from(answers: int) -> list[str]:
    """What a process that has ended has written: less than a pipe holds."""
    os.set_blocking(answers, False)
    with suppress(BlockingIOError):
        return [name for name in os.fsdecode(os.read(answers, _PIPE_BYTES)).split("\0") if name]
    return []


def _by_program(path: str | os.PathLike[str]) -> tuple[str, list[str]]:
    """A new Python does it, where processes cannot be copied."""
    from weakbeam.core.processes import can_start, start_python

    if not can_start():
        return "", []
    try:
        process = start_python(f"{__name__}.serve", subprocess.DEVNULL)
    except OSError:
        return "", []
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout:
        with suppress(OSError), process.stdin as pipe:
            pipe.write(os.fsencode(os.path.abspath(path)))
        try:
            ended = _said(process.wait(_WAIT_S))
            return ended, _names_from(process.stdout.fileno())
        except subprocess.TimeoutExpired:
            return _ENDLESS, []
        finally:
            process.kill()
            process.wait()


def serve(names: IO[bytes], answers: IO[bytes]) -> None:
    """Go through the file whose name comes through the pipe."""
    try:
        _walk_alone(os.fsdecode(names.read()), answers.fileno())
    finally:
        os._exit(0)


def _said(code: int) -> str:
    if code >= 0:
        return ""
    if code == -getattr(signal, "SIGXCPU", 0):
        return _ENDLESS
    with suppress(ValueError):
        return f"crashes over it ({signal.Signals(-code).name})"
    return f"crashes over it (signal {-code})"


def _walk_alone(path: str, pipe: int) -> None:
    """Go through a file, in a process that ends by a signal if that takes too long."""
    if resource is not None:
        most = math.ceil(_WALK_S) + _HANG_S + math.ceil(time.process_time())
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    named: dict[str, None] = {}
    with suppress(Exception), h5py.File(path, "r", locking=False) as file:
        _walk(file, named)
    outside = list(outside_of(Path(path).parent, named))[:_MOST_NAMES]
    text = "\0".join(outside)
    os.write(pipe, os.fsencode(text)[:_PIPE_BYTES])


def outside_of(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """Those of some file names, as a file in `folder` has them, that lie outside of it."""
    home = os.path.realpath(folder)
    for name in names:
        with suppress(ValueError):
            place = os.path.realpath(os.path.join(home, name))
            if os.path.commonpath([home, place]) != home:
                yield name


def _walk(file: h5py.File, named: dict[str, None]) -> None:
    """Read the tree, the attributes and the small data sets of a file, as far as time allows.

    Faults are passed over: whoever reads the file will meet them, and tell. `named` gets the names
    of the files to which it leads; those are not looked into.
    """
    end = time.monotonic() + _WALK_S
    seen: set[int] = set()
    waiting: list[Any] = [file]
    while waiting and time.monotonic() < end:
        node = waiting.pop()
        with suppress(Exception):
            address = h5py.h5o.get_info(node.id).addr
            if address in seen:
                continue
            seen.add(address)
        with suppress(Exception):
            for name in node.attrs:
                with suppress(Exception):
                    node.attrs[name]
        if isinstance(node, h5py.Dataset):
            with suppress(Exception):
                _look_at(node, named)
        elif isinstance(node, h5py.Group):
            with suppress(Exception):
                # The first is looked at first.
                for name in reversed(list(node)):
                    with suppress(Exception):
                        link = node.get(name, getlink=True)
                        if isinstance(link, h5py.ExternalLink):
                            named[link.filename] = None
                        else:
                            waiting.append(node[name])


def _look_at(node: h5py.Dataset, named: dict[str, None]) -> None:
    plist = node.id.get_create_plist()
    for number in range(plist.get_nfilters()):
        plist.get_filter(number)
    if node.is_virtual:
        named.update(dict.fromkeys(source.file_name for source in node.virtual_sources()))
        return
    if node.external:
        named.update(dict.fromkeys(os.fsdecode(name) for name, _, _ in node.external))
        return
    if node.chunks is not None:
        node.id.get_num_chunks()
    size = math.prod(node.shape or ()) * node.dtype.itemsize
    if 0 < size <= _SMALL_BYTES:
        node[()]
    elif node.chunks is not None and node.shape and all(node.shape):
        node.id.read_direct_chunk((0,) * node.ndim)
