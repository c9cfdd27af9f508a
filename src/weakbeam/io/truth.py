"""The second file of a run: what the images were made from, for comparison with what they show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from weakbeam._typing import Floats
from weakbeam.errors import InputError
from weakbeam.io import bliss
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.entry import ImageAxis
from weakbeam.io.newfiles import NewFiles
from weakbeam.io.provenance import timestamp


@dataclass(frozen=True, eq=False)
class TruthArray:
    """A field on the pixels of the image.

    Parameters
    ----------
    values : ndarray, shape (..., rows, columns)
        For example the components of q, shape (3, rows, columns).
    unit : str
        Unit of the values; ``""`` for a number.
    long_name : str
        What a plot writes at it.
    components : tuple of str
        Names of what the leading axis counts, such as ``("rock", "roll", "two_theta")``.
    """

    values: Floats
    unit: str
    long_name: str
    components: tuple[str, ...] = ()


def write_truth(
    path: str | os.PathLike[str],
    arrays: Mapping[str, TruthArray],
    image_axes: tuple[ImageAxis, ImageAxis],
    *,
    title: str = "deformation",
    configuration: str = "",
    overwrite: bool = False,
) -> None:
    """Write fields on the pixels of the image into a file of their own.

    Parameters
    ----------
    path : path
        The file; its folder is made if need be.
    arrays : mapping of str to TruthArray
        Each becomes an NXdata group ``/1.1/NAME`` that plots by itself; the first is the default.
    image_axes : (ImageAxis, ImageAxis)
        The axes along the rows index and along the columns index.
    title : str
        Title of the entry.
    configuration : str
        The experiment file (TOML) that gives these fields again.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InputError
        If the file exists and is not to be overwritten, or its folder takes no file.
    RunError
        If the disk is full or fails.
    ValueError
        If there is no array, or the shape of one is not that of the image.

    Notes
    -----
    The file appears under its name only when it is complete.
    """
    path = Path(path)
    shape = tuple(len(axis.values_um) for axis in image_axes)
    for name, array in arrays.items():
        if np.shape(array.values)[-2:] != shape:
            raise ValueError(f"{name} {np.shape(array.values)} does not end in the image's {shape}")
    if not arrays:
        raise ValueError("no array to write")
    if path.exists() and not overwrite:
        raise InputError("--output", str(path), "exists: overwrite it or move it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NewFiles() as new:
            with new.create(path) as file:
                _fill(file, arrays, image_axes, title, configuration)
            new.commit()
    except (OSError, RuntimeError) as error:
        raise creation_error(path, error) from None


def _fill(
    file: h5py.File,
    arrays: Mapping[str, TruthArray],
    image_axes: tuple[ImageAxis, ImageAxis],
    title: str,
    configuration: str,
) -> None:
    bliss.create_root(file)
    entry = bliss.create_group(file, bliss.entry_name(0), "NXentry")
    entry.attrs["default"] = next(iter(arrays))
    now = timestamp()
    bliss.write_fields(entry, {"title": title, "start_time": now, "end_time": now})
    for name, array in arrays.items():
        _write_array(entry, name, array, image_axes)
    bliss.create_simulation(entry, {}, configuration)


def _write_array(
    entry: h5py.Group, name: str, array: TruthArray, image_axes: tuple[ImageAxis, ImageAxis]
) -> None:
    values = np.asarray(array.values, dtype=float)
    axes = ["."] * (values.ndim - 2) + [axis.name for axis in image_axes]
    group = bliss.create_nxdata(entry, name, array.long_name, name, axes)
    group.create_dataset(name, data=values, compression="gzip", shuffle=True)
    group[name].attrs.update(
        {"units": array.unit, "long_name": array.long_name, "interpretation": "image"}
    )
    bliss.write_image_axes(group, image_axes)
    if array.components:
        group[name].attrs["components"] = list(array.components)
