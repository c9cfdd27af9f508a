"""The file of a match with nuisances: candidates, what was fitted along, and maps, as HDF5."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import h5py

from weakbeam.core.arrays import Floats
from weakbeam.io.fitted_parts import Rows, put_maps, put_parameters, put_table, sign


def match_file(
    tables: Mapping[str, Rows],
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
        sign(file, "match")
        for name, rows in tables.items():
            put_table(file, name, rows)
        put_parameters(file, parameters, values, covariance)
        put_maps(file, maps)
        file["record"] = record
    return memory.getvalue()
