"""One run at a time in a folder.

A lock tells host, process and the start of the process. It is stale when that process is gone from
this host; no clock enters. It saves work, nothing else: two runs in one folder would write the same
files, each as a whole.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from weakbeam.errors import InputError
from weakbeam.io.diskerrors import creation_error

WHOLE = "sweep.lock"
"""Name of the lock of a run of the whole sweep."""


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
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A process that has ended but not been waited for is gone too.
    return _stat(pid)[:1] != ["Z"]


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


@contextmanager
def locked(folder: Path, name: str = WHOLE) -> Iterator[None]:
    """Hold a lock of a folder.

    Parameters
    ----------
    folder : Path
        The folder.
    name : str
        Name of the lock. The whole sweep excludes every other lock, a part of it the same part and
        the whole.

    Raises
    ------
    InputError
        If another process has it.
    RunError
        If the disk fails.
    """
    path = folder / name
    _acquire(path)
    try:
        rivals = folder.glob("*.lock") if name == WHOLE else [folder / WHOLE]
        for rival in rivals:
            if rival != path:
                _refuse_if_held(rival)
        yield
    finally:
        path.unlink(missing_ok=True)


def _acquire(path: Path) -> None:
    me = Holder.here()
    draft = path.with_name(f"{path.name}.{me.host}-{me.pid}")
    try:
        draft.write_text(json.dumps(asdict(me)), encoding="utf-8")
        try:
            while not _linked(draft, path):
                _refuse_if_held(path)
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


def _refuse_if_held(path: Path) -> None:
    """Refuse to go on where a lock is held; remove it if its process is gone."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    holder = _holder(text)
    if holder is None or not holder.is_gone:
        by = f"by {holder}" if holder else "by another process"
        where = f"; if that has ended, delete {path}" if _is_elsewhere(holder) else ""
        raise InputError("--output", str(path.parent), f"is in use {by}{where}")
    # Another process may have seen the same and put its own lock here since: look again.
    with suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            path.unlink()


def _is_elsewhere(holder: Holder | None) -> bool:
    return holder is None or holder.host != platform.node()


def _holder(text: str) -> Holder | None:
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


def holders(folder: Path) -> list[Holder]:
    """The processes that hold locks of a folder, as far as they are not known to be gone."""
    found = []
    for path in sorted(folder.glob("*.lock")):
        with suppress(OSError):
            holder = _holder(path.read_text(encoding="utf-8"))
            if holder is not None and not holder.is_gone:
                found.append(holder)
    return found
