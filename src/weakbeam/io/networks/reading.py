"""A file of a dislocation network, whatever its format."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from weakbeam.errors import InputError
from weakbeam.io.networks.dxa import read_dxa
from weakbeam.io.networks.exadis import read_restart, read_vtk
from weakbeam.io.networks.network_file import NetworkFile
from weakbeam.io.networks.paradis import read_paradis
from weakbeam.io.networks.table import COLUMNS, holds_segments, read_csv, read_hdf5
from weakbeam.io.networks.text import TextFile

Format = Literal["auto", "paradis", "exadis", "dxa", "table"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_network(path: str, key: str = "file", form: Format = "auto") -> NetworkFile:
    """Read a network.

    Parameters
    ----------
    path : str
        The file.
    key : str
        What names it, for messages.
    form : {"auto", "paradis", "exadis", "dxa", "table"}
        Its format; "auto" tells by how it begins.

    Raises
    ------
    InputError
        If it cannot be read or is of no such format, with the number of the line.
    """
    if _begins(path, key, len(_HDF5)) == _HDF5:
        if form not in ("auto", "table"):
            raise InputError(key, path, f"is HDF5, no file of the format {form}")
        return read_hdf5(path, key)
    file = TextFile.read(path, key)
    found = _format_of(file)
    if found is None:
        raise InputError(
            key,
            path,
            "is no network: neither ParaDiS, ExaDiS (VTK or restart), OVITO .ca nor table",
        )
    name, reader = found
    if form not in ("auto", name):
        raise InputError(key, path, f"begins as a file of the format {name}, not {form}")
    return reader(file)


def is_network(path: str) -> bool:
    """Whether a file begins as a network, or is a table of segments in HDF5."""
    try:
        start = _begins(path, "file", 4096)
        if start.startswith(_HDF5):
            return holds_segments(path)
    except InputError:
        return False
    try:
        text = start.decode("utf-8-sig", errors="strict" if len(start) < 4096 else "ignore")
    except UnicodeDecodeError:
        return False
    return _format_of(TextFile(path, "file", tuple(text.splitlines()))) is not None


def _begins(path: str, key: str, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError as error:
        raise InputError(key, path, f"cannot be read: {error.strerror or error}") from None


def _format_of(file: TextFile) -> tuple[Format, Callable[[TextFile], NetworkFile]] | None:
    """Name and reader of the format that a file begins in."""
    head = [line.strip() for line in file.lines[:400]]
    first = next((line for line in head if line), "")
    if first.lower().startswith("# vtk datafile"):
        return "exadis", read_vtk
    if first.lower().startswith("# exadis restart"):
        return "exadis", read_restart
    if first.startswith("CA_FILE_VERSION"):
        return "dxa", read_dxa
    told = [line for line in head if line and not line.startswith("#")]
    if any(re.match(r"(dataFileVersion|nodalData|minCoordinates)\s*=", line) for line in told):
        return "paradis", read_paradis
    if told and {"x0", "bx"} <= {cell.strip() for cell in told[0].split(",")}:
        return "table", read_csv
    if told and sum(name in told[0] for name in COLUMNS) >= 5:
        return "table", read_csv
    return None
