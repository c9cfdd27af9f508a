"""One run at a time in the folder of a sweep.

A lock saves work, nothing else: two runs in one folder would write the same files, each as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weakbeam.io.lock import Holder, held, holder_of, refuse_if_held

WHOLE = "sweep.lock"
"""Name of the lock of a run of the whole sweep."""


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


def holders(folder: Path) -> list[Holder]:
    """The processes that hold locks of a folder, as far as they are not known to be gone."""
    found = (holder_of(path) for path in sorted(folder.glob("*.lock")))
    return [holder for holder in found if holder is not None]
