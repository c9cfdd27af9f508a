"""Locks of folders: one run at a time.

A lock is a file that tells host, process and the start of the process. It is stale when that
process is gone from this host, and then the next run takes it over; no clock enters.
"""

from __future__ import annotations

import json
import os
import platform
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import get_ident

from weakbeam.errors import InputError
from weakbeam.io.diskerrors import creation_error


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Parameters
    ----------
    host : str
        Name of its computer.
    pid : int
        Its number there.
    started : str
        What tells it from other processes that get the same number; empty where nothing does.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> Holder:
        """The process that runs this."""
        return cls(platform.node(), os.getpid(), _started(os.getpid()))

    @property
    def is_gone(self) -> bool:
        """Whether the process is known to have ended."""
        if self.host != platform.node():
            return False
        return not is_running(self.pid) or self.started != _started(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


LOCK = "weakbeam.lock"
"""Name of the lock in the folder of a run."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if need be.

    Raises
    ------
    InputError
        If it cannot be made, or another run writes there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise creation_error(folder, error) from None
    with held(folder / LOCK):
        yield


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock; leaving the context removes it.

    Parameters
    ----------
    path : Path
        The lock, in a folder that exists.

    Raises
    ------
    InputError
        If another process, or another run of this one, holds it, or the folder takes no file.
    RunError
        If the disk fails.
    """
    _acquire(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def refuse_if_held(path: Path) -> None:
    """Refuse to go on where a lock is held; remove it if its process is gone.

    Raises
    ------
    InputError
        If it is held, or may be by a process of another computer.
    """
    try:
        text = _text(path)
    except FileNotFoundError:
        return
    holder = _parse(text)
    if holder is None or not holder.is_gone:
        by = f"by {holder}" if holder else "by another process"
        is_here = holder is not None and holder.host == platform.node()
        where = "" if is_here else f"; if that has ended, delete {path}"
        raise InputError("folder", str(path.parent), f"is in use {by}{where}")
    # Another process may have seen the same and put its own lock here since: look again.
    with suppress(FileNotFoundError):
        if _text(path) == text:
            path.unlink()


def holder_of(path: Path) -> Holder | None:
    """The process that holds a lock; None if there is none, or it is gone or unknown."""
    try:
        holder = _parse(_text(path))
    except OSError:
        return None
    return None if holder is None or holder.is_gone else holder


def is_running(pid: int) -> bool:
    """Whether there is a process of this number on this computer."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        if not (handle := kernel.OpenProcess(0x1000, False, pid)):  # the right to ask about it
            return False
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == 259  # still active
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    # A process that has ended but not been waited for is gone too.
    return _stat(pid)[:1] != ["Z"]


def _text(path: Path) -> str:
    """Text of a lock; empty if it is none, such as a pipe, which would have this wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        return ""
    return path.read_text(encoding="utf-8", errors="replace")


def _stat(pid: int) -> list[str]:
    """What Linux tells of a process after its name: state, ..., start in ticks since the boot."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _started(pid: int) -> str:
    fields = _stat(pid)
    if len(fields) < 20:
        return ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {fields[19]}"
    return fields[19]


def _acquire(path: Path) -> None:
    me = Holder.here()
    draft = path.with_name(f"{path.name}.{me.host}-{me.pid}-{get_ident()}")
    try:
        try:
            draft.write_text(json.dumps(asdict(me)), encoding="utf-8")
            while not _linked(draft, path):
                refuse_if_held(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise creation_error(path, error) from None


def _linked(draft: Path, path: Path) -> bool:
    """Give a complete file its name, unless there is one of this name."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without links.
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(draft.read_text(encoding="utf-8"))
        except FileExistsError:
            return False
    return True


def _parse(text: str) -> Holder | None:
    try:
        holder = Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None
    return holder if type(holder.pid) is int and holder.pid > 0 else None
