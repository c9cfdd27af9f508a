"""The file of a fit: its table of dislocations, covariance and maps as HDF5."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.provenance import program_version, timestamp


def fit_file(
    table: Sequence[Mapping[str, Any]],
    parameters: Sequence[str],
    values: Floats,
    covariance: Floats,
    maps: Mapping[str, tuple[Floats, str]],
    record: str,
) -> bytes:
    """What a file of a fit holds.

    Parameters
    ----------
    table : sequence of mappings
        A dislocation each, with the same keys.
    parameters : sequence of str
        Names of all parameters.
    values, covariance : (n,) and (n, n) ndarray
        Their values, and the covariance of their errors.
    maps : mapping of str to ((rows, columns) ndarray, str)
        Maps of the stack, with what each is.
    record : str
        All of it as JSON.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.attrs.update(
            {
                "creator": "weakbeam",
                "creator_version": program_version(),
                "content": "fit",
                "file_time": timestamp(),
            }
        )
        group = file.create_group("dislocations")
        for key in table[0] if table else ():
            column = [row[key] for row in table]
            texts = isinstance(column[0], str)
            kind = h5py.string_dtype() if texts else None
            group.create_dataset(key, data=column if texts else np.array(column), dtype=kind)
        fitted = file.create_group("parameters")
        fitted.create_dataset("names", data=list(parameters), dtype=h5py.string_dtype())
        fitted["values"] = values
        fitted["covariance"] = covariance
        drawn = file.create_group("maps")
        for name, (image, meaning) in maps.items():
            data = drawn.create_dataset(name, data=np.asarray(image, np.float32), compression=4)
            data.attrs["long_name"] = meaning
        file["record"] = record
    return memory.getvalue()
