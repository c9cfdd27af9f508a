"""Where a result came from: program versions, hashes of inputs, time stamps."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from os import PathLike
from pathlib import Path

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "h5py",
    "hdf5plugin",
    "isal",
    "gemmi",
    "xraydb",
    "pydantic",
    "matplotlib",
    "pillow",
    "click",
    "tomlkit",
    "tqdm",
)
"""What numbers, files and figures depend on."""

_NOT_INSTALLED = "not installed"

_VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)


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
        Name -> version; ``"not installed"`` for a package that is absent. ``processor`` is the kind
        for which loops are compiled: another one may round the last digits differently.
    """
    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
    }
    return versions | {name: _version(name) for name in _PACKAGES}


def requirements(program: str, versions: Mapping[str, str]) -> str:
    """The packages of an environment in the form that pip installs.

    Parameters
    ----------
    program : str
        Version of this program.
    versions : mapping of str to str
        As from `environment`.

    Returns
    -------
    str
        ``NAME==VERSION``, a line each.
    """
    packages = {"weakbeam": program} | {name: versions.get(name) for name in _PACKAGES}
    known = {name: v for name, v in packages.items() if v and v != _NOT_INSTALLED}
    return "".join(f"{name}=={version}\n" for name, version in known.items())


def file_sha256(path: str | PathLike[str]) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits; `OSError` if it cannot be read."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bytes_sha256(data: bytes) -> str:
    """SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def timestamp() -> str:
    """Local time now in ISO 8601 with its offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _processor() -> str:
    try:
        from llvmlite.binding import get_host_cpu_name

        return str(get_host_cpu_name())
    except (ImportError, RuntimeError):
        return platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        found = distribution(package)
    except PackageNotFoundError:
        return _NOT_INSTALLED
    # The first line of its kind, found without parsing the whole description of the package.
    line = _VERSION.search(found.read_text("METADATA") or "")
    return line.group(1) if line else found.version
