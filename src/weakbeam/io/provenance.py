"""Where a result came from: program versions, hashes of inputs, time stamps."""

from __future__ import annotations

import hashlib
import platform
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path

_PACKAGES = ("numpy", "scipy", "numba", "h5py", "isal", "gemmi", "pydantic")


@cache
def program_version() -> str:
    """Version of this program as installed."""
    return _version("weakbeam")


@cache
def environment() -> dict[str, str]:
    """Versions of what the numbers depend on.

    Returns
    -------
    dict of str to str
        Name -> version; ``"not installed"`` for a package that is absent.
    """
    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
    }
    return versions | {name: _version(name) for name in _PACKAGES}


def file_sha256(path: str | PathLike[str]) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits; `OSError` if it cannot be read."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def timestamp() -> str:
    """Local time now in ISO 8601 with its offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
