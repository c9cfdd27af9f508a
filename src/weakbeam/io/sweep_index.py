"""The index of a sweep: one HDF5 file that shows the images of all its files.

The images are virtual datasets with relative paths: the folder can be moved. HDF5 shows zeros
where a file is missing, so :func:`missing_sources` tells which are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from weakbeam.io import guard
from weakbeam.io.shards import write_texts

FAILURES = "failures"
MANIFEST = "manifest"


@dataclass(frozen=True)
class Row:
    """Images of a task: row `row` of the group in `file`, which is relative to the index."""

    number: int
    id: str
    file: str
    row: int


@dataclass(frozen=True, eq=False)
class IndexGroup:
    """Images of one shape.

    Parameters
    ----------
    name : str
        Name of the group, here and in the files of images.
    shape : tuple of int
        Shape of the images of a task.
    dtype : str
        Type of a pixel.
    rows : sequence of Row
        The tasks, in order.
    settings : mapping of str to sequence
        Values of the keys that vary, one for each row.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    rows: Sequence[Row]
    settings: Mapping[str, Sequence[Any]]


def write_index(
    path: Path,
    groups: Sequence[IndexGroup],
    failures: Sequence[tuple[int, str, str]],
    manifest: str,
) -> None:
    """Write the index of a sweep.

    Parameters
    ----------
    path : Path
        The file, which is to stand in the folder of the sweep.
    groups : sequence of IndexGroup
        The images.
    failures : sequence of (int, str, str)
        Number, id and reason of tasks without images.
    manifest : str
        The manifest (TOML).
    """
    # In memory first: HDF5 does not always survive that a disk is full.
    with h5py.File(path, "w", libver="earliest", driver="core", backing_store=False) as file:
        file.attrs.update({"NX_class": "NXroot", "creator": "weakbeam"})
        if groups:
            file.attrs["default"] = groups[0].name
        for group in groups:
            _write_group(file, group)
        table = file.create_group(FAILURES)
        table.attrs["NX_class"] = "NXcollection"
        table["number"] = np.array([number for number, _, _ in failures], np.int64)
        write_texts(table, "id", [identity for _, identity, _ in failures])
        write_texts(table, "reason", [reason for _, _, reason in failures])
        note = file.create_group(MANIFEST)
        note.attrs["NX_class"] = "NXnote"
        note["type"], note["data"] = "application/toml", manifest
        file.flush()
        path.write_bytes(file.id.get_file_image())


def _write_group(file: h5py.File, part: IndexGroup) -> None:
    group = file.create_group(part.name)
    group.attrs.update({"NX_class": "NXdata", "signal": "image"})
    layout = h5py.VirtualLayout((len(part.rows), *part.shape), part.dtype)
    source_rows: dict[str, int] = {}
    for row in part.rows:
        source_rows[row.file] = max(source_rows.get(row.file, 0), row.row + 1)
    for first, count in _runs(part.rows):
        start = part.rows[first]
        source = h5py.VirtualSource(
            start.file, f"{part.name}/image", (source_rows[start.file], *part.shape), part.dtype
        )
        layout[first : first + count] = source[start.row : start.row + count]
    # Unlike other datasets of h5py, these would hold the time at which they were made.
    layout.dcpl.set_obj_track_times(False)
    image = group.create_virtual_dataset("image", layout)
    image.attrs["interpretation"] = "image"
    group["number"] = np.array([row.number for row in part.rows], np.int64)
    group["row"] = np.array([row.row for row in part.rows], np.int64)
    write_texts(group, "id", [row.id for row in part.rows])
    write_texts(group, "file", [row.file for row in part.rows])
    settings = group.create_group("settings")
    settings.attrs["NX_class"] = "NXcollection"
    for key, values in part.settings.items():
        _write_column(settings, key, values)


def _runs(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield start and length of rows that follow each other in one file."""
    start = 0
    for place in range(1, len(rows) + 1):
        last = rows[place - 1]
        if place < len(rows) and rows[place].file == last.file and rows[place].row == last.row + 1:
            continue
        yield start, place - start
        start = place


def _write_column(group: h5py.Group, key: str, values: Sequence[Any]) -> None:
    """Write numbers, or lists of them, as such; everything else as text."""
    array = None
    if not any(isinstance(value, str) for value in values):
        with suppress(ValueError, TypeError):
            array = np.array(values)
    if array is None or array.dtype.kind not in "bif":
        write_texts(group, key, [str(value) for value in values])
    else:
        group[key] = array


def missing_sources(path: str | os.PathLike[str]) -> list[str]:
    """Files that an index points at and that are not there.

    Parameters
    ----------
    path : path-like
        The index.

    Returns
    -------
    list of str
        Their names as the index has them; their images would be read as zeros.

    Raises
    ------
    InputError
        If the index cannot be read.
    """
    folder = Path(path).parent
    named: set[str] = set()
    with guard.reading(path, str(path)) as file:
        for name in file:
            if name in (FAILURES, MANIFEST):
                continue
            image = guard.dataset(file, f"{name}/image")
            if image.is_virtual:
                named.update(source.file_name for source in image.virtual_sources())
    return sorted(name for name in named if not (folder / name).is_file())
