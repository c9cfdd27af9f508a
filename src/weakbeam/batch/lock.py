"""One run at a time in the folder of a sweep.

A lock saves work, nothing else: two runs in one folder would write the same files, each as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from weakbeam.errors import InputError
from weakbeam.io.lock import Holder, held, holder_of, refuse_if_held

WHOLE = "sweep.lock"
"""Name of the lock of a run of the whole sweep."""

_PAUSE = 0.05


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
    with held(path):
        rivals = folder.glob("*.lock") if name == WHOLE else [folder / WHOLE]
        for rival in rivals:
            if rival != path:
                refuse_if_held(rival)
        yield


@contextmanager
def one_by_one(folder: Path, name: str, longest: float = 600.0) -> Iterator[None]:
    """Wait until no other process is in a block of the same name, `longest` (s) at most.

    Parameters
    ----------
    folder : Path
        The folder.
    name : str
        Name of the lock.
    longest : float
        After this time (s) the lock is taken to have been left by a computer that is gone.
    """
    path, start = folder / name, time.monotonic()
    with ExitStack() as locked:
        while True:
            try:
                locked.enter_context(held(path))
                break
            except InputError:
                if not path.exists():
                    raise
                if time.monotonic() > start + longest:
                    path.unlink(missing_ok=True)
                time.sleep(_PAUSE)
        yield


def holders(folder: Path) -> list[Holder]:
    """The processes that hold locks of a folder, as far as they are not known to be gone."""
    by_lock = (holder_of(path) for path in sorted(folder.glob("*.lock")))
    return list(dict.fromkeys(holder for holder in by_lock if holder is not None))
