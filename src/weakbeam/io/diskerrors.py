"""What HDF5 and the operating system say when a file cannot be written, in a few words."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from weakbeam.errors import InputError, RunError

_BAD_CHOICE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EISDIR,
        errno.EAGAIN,
        errno.ENAMETOOLONG,
        errno.ENOENT,
    }
)


def disk_reason(error: Exception) -> str:
    """Return the reason in a few words, such as "No space left on device"."""
    number = getattr(error, "errno", None)
    if number:
        return os.strerror(number)
    named = re.search(r"error message = '([^']*)'", str(error))
    return named.group(1) if named else " ".join(str(error).split())


def creation_error(path: Path, error: Exception) -> InputError | RunError:
    """Tell a badly chosen place for a file (`InputError`) from a disk that fails (`RunError`)."""
    reason = disk_reason(error)
    if getattr(error, "errno", None) in _BAD_CHOICE:
        return InputError("path", str(path), f"cannot be created: {reason}")
    return RunError(f"{path}: could not be created ({reason})")
