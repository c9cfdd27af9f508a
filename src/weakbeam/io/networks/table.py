"""Our own tables of segments: comma-separated values, or HDF5, in µm."""

from __future__ import annotations

import csv
import math
import re
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.errors import InputError
from weakbeam.io.networks.network_file import NetworkFile, joined_where_they_meet
from weakbeam.io.networks.text import TextFile, known_planes, unknown_planes

COLUMNS = ("x0", "y0", "z0", "x1", "y1", "z1", "bx", "by", "bz")
_NORMAL = ("nx", "ny", "nz")

_MEETING = 1e-5
"""Distance (µm) up to which ends of segments are the same node."""


def read_csv(file: TextFile) -> NetworkFile:
    """Read comma-separated values under a line of names.

    Raises
    ------
    InputError
        If a column is missing or a value is no number, with the number of the line.
    """
    names: list[str] = []
    rows, lines = [], []
    for number, text in enumerate(file.lines, 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([text], strict=True))]
        except csv.Error as error:
            raise file.mistake(number, str(error)) from None
        if not names:
            names = cells
            for name in COLUMNS:
                if names.count(name) != 1:
                    found = "is missing" if name not in names else "stands there twice"
                    raise file.mistake(number, f"column {name} {found}")
            wanted = [*COLUMNS, *(_NORMAL if set(_NORMAL) <= set(names) else ())]
            places = [names.index(name) for name in wanted]
            continue
        if len(cells) != len(names):
            raise file.mistake(number, f"has {len(cells)} values for {len(names)} columns")
        row = []
        for name, place in zip(wanted, places, strict=True):
            try:
                value = float(cells[place])
            except ValueError:
                value = math.nan
            if not abs(value) <= 1e6:
                raise file.mistake(
                    number, f"{name} = {cells[place]!r} is no number from -1e6 to 1e6"
                )
            row.append(value)
        rows.append(row)
        lines.append(number)
    if not names:
        raise file.mistake(0, f"the names of the columns, {','.join(COLUMNS)}, are missing")
    return _network(file, np.array(rows).reshape(len(rows), len(wanted)), np.array(lines, int))


def read_hdf5(path: str, key: str) -> NetworkFile:
    """Read an HDF5 table of the same columns: data sets in a group, or one compound data set.

    Raises
    ------
    InputError
        If there is none, or the columns do not belong together.
    """
    from weakbeam.io import guard

    with guard.reading(path, key) as opened, guard.telling_damage(path, key):
        columns = _columns(opened, guard)
        if columns is None:
            raise InputError(key, path, f"has no table of the columns {','.join(COLUMNS)}")
        wanted = [*COLUMNS, *(_NORMAL if set(_NORMAL) <= set(columns) else ())]
        values = np.stack([np.asarray(columns[name], dtype=np.float64) for name in wanted], axis=1)
    file = TextFile(path, key, ())
    bad = np.flatnonzero(~(np.abs(values) <= 1e6).all(axis=1))
    if len(bad):
        raise InputError(key, path, f"row {bad[0]} has a value that is no number from -1e6 to 1e6")
    return _network(file, values, np.zeros(len(values), np.int64))


def holds_segments(path: str) -> bool:
    """Whether an HDF5 file is a table of segments, and neither ours nor one of scans.

    Raises
    ------
    InputError
        If it is damaged.
    """
    from weakbeam.io import guard

    with guard.reading(path, "file") as opened, guard.telling_damage(path, "file"):
        if guard.attribute(opened, "creator", ""):
            return False
        if any(re.fullmatch(r"\d+\.\d+", name) for name in opened):
            return False
        return _columns(opened, guard) is not None


def _columns(parent: Any, guard: Any) -> dict[str, Any] | None:
    """The first table of the columns, in the file or a group of it."""
    if set(COLUMNS) <= set(parent):
        return {name: guard.column(parent, name) for name in (*COLUMNS, *_NORMAL) if name in parent}
    for name in parent:
        node = parent[name]
        fields = getattr(getattr(node, "dtype", None), "names", None)
        if fields is not None and set(COLUMNS) <= set(fields):
            values = node[()]
            return {field: values[field] for field in fields}
        if hasattr(node, "keys"):
            found = _columns(node, guard)
            if found is not None:
                return found
    return None


def _network(file: TextFile, rows: Floats, lines: Ints) -> NetworkFile:
    ends = rows[:, :6].reshape(-1, 2, 3)
    steps = ends[:, 1] - ends[:, 0]
    short = np.flatnonzero(np.linalg.norm(steps, axis=1) <= _MEETING)
    if len(short):
        which = int(short[0])
        number = int(lines[which])
        where = f"line {number}" if number else f"row {which}"
        raise InputError(file.key, file.path, f"{where}: the segment has no length")
    numbers, nodes = joined_where_they_meet(
        ends.reshape(-1, 3), None, np.zeros(3), (False, False, False), _MEETING
    )
    planes = known_planes(rows[:, 9:]) if rows.shape[1] > 9 else unknown_planes(len(rows))
    return NetworkFile(
        "table",
        nodes,
        tuple(str(number) for number in range(len(nodes))),
        numbers.reshape(-1, 2),
        steps,
        rows[:, 6:9],
        lines,
        "um",
        "um",
        planes,
    )
