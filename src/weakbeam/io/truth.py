"""The second file of a run: what the images were made from, for comparison with what they show."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io import bliss
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.entry import ImageAxis
from weakbeam.io.newfiles import NewFiles
from weakbeam.io.provenance import timestamp
from weakbeam.io.targets import TRUTH, claim


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


@dataclass(frozen=True, eq=False)
class TruthEntry:
    """The fields of one reflection.

    Parameters
    ----------
    arrays : mapping of str to TruthArray
        Each becomes an NXdata group that plots by itself; the first is the default.
    image_axes : (ImageAxis, ImageAxis)
        The axes along the rows index and along the columns index.
    title : str
        Title of the entry.

    Raises
    ------
    ValueError
        If there is no array, or the shape of one is not that of the image.
    """

    arrays: Mapping[str, TruthArray]
    image_axes: tuple[ImageAxis, ImageAxis]
    title: str = "deformation"

    def __post_init__(self) -> None:
        shape = tuple(len(axis.values_um) for axis in self.image_axes)
        for name, array in self.arrays.items():
            if np.shape(array.values)[-2:] != shape:
                raise ValueError(
                    f"{name} {np.shape(array.values)} does not end in the image's {shape}"
                )
        if not self.arrays:
            raise ValueError("no array to write")


def write_truth(
    path: str | os.PathLike[str],
    entries: Sequence[TruthEntry],
    *,
    configuration: str = "",
    overwrite: bool = False,
) -> None:
    """Write fields on the pixels of the image into a file of their own.

    Parameters
    ----------
    path : path
        The file; its folder is made if need be.
    entries : sequence of TruthEntry
        Become ``/1.1``, ``/2.1``, …, each with a group for every array.
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

    Notes
    -----
    The file appears under its name only when it is complete.
    """
    path = claim(path, TRUTH, overwrite=overwrite, advice="overwrite it or move it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NewFiles() as new:
            with new.create(path) as file:
                _fill(file, entries, configuration)
            new.commit()
    except (OSError, RuntimeError) as error:
        raise creation_error(path, error) from None


def _fill(file: h5py.File, entries: Sequence[TruthEntry], configuration: str) -> None:
    bliss.create_root(file)
    for index, entry in enumerate(entries):
        group = bliss.create_group(file, bliss.entry_name(index), "NXentry")
        group.attrs["default"] = next(iter(entry.arrays))
        now = timestamp()
        bliss.write_fields(group, {"title": entry.title, "start_time": now, "end_time": now})
        for name, array in entry.arrays.items():
            _write_array(group, name, array, entry.image_axes)
        bliss.create_simulation(group, {}, configuration)


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
