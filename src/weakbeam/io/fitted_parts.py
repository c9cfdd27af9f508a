"""What files of fits and of matches have alike: tables, parameters with their covariance, maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.provenance import program_version, timestamp

Rows = Sequence[Mapping[str, Any]]
"""Rows of a table, with the same keys; their values are numbers or texts."""


def sign(file: h5py.File, content: str) -> None:
    """Say which program has written a file, when, and what is in it."""
    file.attrs.update(
        {
            "creator": "weakbeam",
            "creator_version": program_version(),
            "content": content,
            "file_time": timestamp(),
        }
    )


def put_table(file: h5py.File, name: str, rows: Rows) -> None:
    """Write a table, a column each."""
    group = file.create_group(name)
    for key in rows[0] if rows else ():
        column = [row[key] for row in rows]
        texts = isinstance(column[0], str)
        kind = h5py.string_dtype() if texts else None
        group.create_dataset(key, data=column if texts else np.array(column), dtype=kind)


def put_parameters(
    file: h5py.File, names: Sequence[str], values: Floats, covariance: Floats
) -> None:
    """Write what was fitted, and how sure it is."""
    group = file.create_group("parameters")
    group.create_dataset("names", data=list(names), dtype=h5py.string_dtype())
    group["values"] = values
    group["covariance"] = covariance


def put_maps(file: h5py.File, maps: Mapping[str, tuple[Floats, str, str]]) -> None:
    """Write images and maps, with what each is and its unit."""
    group = file.create_group("maps")
    for name, (image, meaning, unit) in maps.items():
        data = group.create_dataset(name, data=np.asarray(image, np.float32), compression=4)
        data.attrs["long_name"] = meaning
        if unit:
            data.attrs["units"] = unit
