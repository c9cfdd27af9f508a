"""The file of a match with nuisances: candidates, what was fitted along, and maps, as HDF5."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.provenance import program_version, timestamp

Table = Sequence[Mapping[str, Any]]


def match_file(
    tables: Mapping[str, Table],
    parameters: Sequence[str],
    values: Floats,
    covariance: Floats,
    maps: Mapping[str, tuple[Floats, str, str]],
    record: str,
) -> bytes:
    """What a file of a match holds.

    Parameters
    ----------
    tables : mapping of str to sequence of mappings
        Tables by name: rows with the same keys, whose values are numbers or texts.
    parameters : sequence of str
        Names of all parameters of the best candidate.
    values, covariance : (n,) and (n, n) ndarray
        Their values, and the covariance of their errors.
    maps : mapping of str to (ndarray, str, str)
        Images and maps, with what each is and its unit.
    record : str
        All of it as JSON.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.attrs.update(
            {
                "creator": "weakbeam",
                "creator_version": program_version(),
                "content": "match",
                "file_time": timestamp(),
            }
        )
        for name, rows in tables.items():
            group = file.create_group(name)
            for key in rows[0] if rows else ():
                column = [row[key] for row in rows]
                texts = isinstance(column[0], str)
                kind = h5py.string_dtype() if texts else None
                group.create_dataset(key, data=column if texts else np.array(column), dtype=kind)
        fitted = file.create_group("parameters")
        fitted.create_dataset("names", data=list(parameters), dtype=h5py.string_dtype())
        fitted["values"] = values
        fitted["covariance"] = covariance
        shown = file.create_group("maps")
        for name, (image, meaning, unit) in maps.items():
            data = shown.create_dataset(name, data=np.asarray(image, np.float32), compression=4)
            data.attrs["long_name"] = meaning
            if unit:
                data.attrs["units"] = unit
        file["record"] = record
    return memory.getvalue()
