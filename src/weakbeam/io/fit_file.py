"""The file of a fit: its table of dislocations, covariance, maps and figure as HDF5."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io import guard
from weakbeam.io.fitted_parts import Rows, put_maps, put_parameters, put_table, sign
from weakbeam.io.targets import FIT_FILE


def fit_file(
    table: Rows,
    parameters: Sequence[str],
    values: Floats,
    covariance: Floats,
    maps: Mapping[str, tuple[Floats, str]],
    record: str,
    figure: str = "{}",
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
    figure : str
        What its figure has besides the maps, as JSON.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        sign(file, "fit")
        put_table(file, "dislocations", table)
        put_parameters(file, parameters, values, covariance)
        put_maps(file, {name: (image, meaning, "") for name, (image, meaning) in maps.items()})
        file["record"] = record
        file["figure"] = figure
    return memory.getvalue()


@dataclass(frozen=True, eq=False)
class StoredFit:
    """A fit that was written.

    Parameters
    ----------
    record : dict
        All numbers of it.
    figure : dict
        What its figure has besides the maps.
    maps : dict of str to (rows, columns) ndarray
        Maps of the stack.
    """

    record: dict[str, Any]
    figure: dict[str, Any]
    maps: dict[str, Floats]


def is_fit(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of a fit."""
    return FIT_FILE.is_one(Path(path))


def read_fit(path: str | os.PathLike[str]) -> StoredFit:
    """Read the file of a fit.

    Raises
    ------
    InputError
        If it is none, or is damaged.
    """
    with guard.reading(path) as file:
        ours = guard.attribute(file, "creator", "") == "weakbeam"
        if not ours or guard.attribute(file, "content", "") != "fit":
            raise InputError("file", str(path), "is no file of a fit")
        drawn = guard.group(file, "maps")
        maps = {name: guard.numbers(drawn, name, kinds="f", ndim=2) for name in drawn}
        told = []
        for name in ("record", "figure"):
            if name not in file:
                raise InputError("file", str(path), f"has no {name}: it is of an earlier version")
            try:
                told.append(json.loads(guard.text(file, name)))
            except ValueError:
                raise guard.Fault(f"/{name}", "is no JSON") from None
        shapes = {image.shape for image in maps.values()}
        if not {"image", "misfit", "residual"} <= set(maps) or len(shapes) > 1:
            raise guard.Fault("/maps", "are not those of a fit")
        return StoredFit(told[0], told[1], maps)
