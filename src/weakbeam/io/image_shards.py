"""Shards of small images for programs that learn: tar files (WebDataset) and Zarr arrays."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.errors import InputError, RunError
from weakbeam.io.diskerrors import creation_error, disk_reason

Arrays = Mapping[str, NDArray[Any]]


def write_tar(path: Path, samples: Iterable[tuple[str, Arrays, Mapping[str, Any]]]) -> None:
    """Write samples as WebDataset reads them, as a whole or not at all.

    Parameters
    ----------
    path : Path
        The file. Its folder is made if need be; a file that is there is replaced.
    samples : iterable of (str, mapping of str to ndarray, mapping)
        Key of each, without a point; its arrays, which become ``KEY.NAME.npy``; and what is told of
        it, ``KEY.json``.

    Raises
    ------
    RunError
        If the disk is full or fails.

    Notes
    -----
    Equal samples make equal bytes: members have no time and no owner.
    """
    part = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
            for key, arrays, about in samples:
                for name, array in arrays.items():
                    data = io.BytesIO()
                    np.save(data, array)
                    _add(tar, f"{key}.{name}.npy", data.getvalue())
                _add(tar, f"{key}.json", json.dumps(about, ensure_ascii=False).encode())
        part.replace(path)
    except OSError as error:
        raise RunError(f"{path}: not written ({disk_reason(error)})") from None
    finally:
        with suppress(OSError):
            part.unlink()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(data)
    tar.addfile(about, io.BytesIO(data))


@dataclass(frozen=True)
class Column:
    """An array with a row for each image.

    Parameters
    ----------
    shape : tuple of int
        Of a row.
    dtype : dtype
        Type of its numbers.
    dims : tuple of str
        What the axes of a row are called.
    unit : str
        Unit of the numbers; empty for none.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dims: tuple[str, ...] = ()
    unit: str = ""


def load_zarr() -> Any:
    """The package that writes Zarr stores.

    Raises
    ------
    InputError
        If it is not installed, or too old to know shards.
    """
    try:
        import zarr
    except ImportError:
        zarr = None
    if zarr is None or int(zarr.__version__.partition(".")[0]) < 3:
        raise InputError(
            "identify.format", "zarr", "needs the package zarr 3: pip install 'weakbeam[zarr]'"
        )
    return zarr


class ZarrStore:
    """Arrays of images in a Zarr store of format 3, a chunk for each image, in shards.

    Parameters
    ----------
    path : Path
        The store, a folder.
    groups : mapping of str to int
        Groups with their numbers of images; the empty name is the store itself.
    columns : mapping of str to Column
        The arrays of each group.
    shard : int
        Images in a shard.
    new : bool
        Whether a store that is there is begun again; else it is gone on with.

    Raises
    ------
    InputError
        If zarr is not installed, or the place takes no folder.
    """

    def __init__(
        self,
        path: Path,
        groups: Mapping[str, int],
        columns: Mapping[str, Column],
        shard: int,
        new: bool,
    ) -> None:
        zarr = load_zarr()
        try:
            self._root = zarr.open_group(str(path), mode="w" if new else "a", zarr_format=3)
            for group, count in groups.items():
                for name, column in columns.items():
                    place = f"{group}/{name}" if group else name
                    if place not in self._root:
                        self._create(place, count, column, shard)
        except OSError as error:
            raise creation_error(path, error) from None
        self._path = path

    def write(self, group: str, first: int, rows: Arrays) -> None:
        """Write a whole shard of every array of a group, from its row `first` on.

        Raises
        ------
        RunError
            If the disk is full or fails.
        """
        try:
            for name, values in rows.items():
                array = self._root[f"{group}/{name}" if group else name]
                array[first : first + len(values)] = values
        except OSError as error:
            raise RunError(f"{self._path}: not written ({disk_reason(error)})") from None

    def _create(self, place: str, count: int, column: Column, shard: int) -> None:
        # A chunk that is one number would cost more than it holds.
        images = math.prod(column.shape) * column.dtype.itemsize >= 4096
        array = self._root.create_array(
            place,
            shape=(count, *column.shape),
            dtype=column.dtype,
            chunks=(1 if images else shard, *column.shape),
            shards=(shard, *column.shape),
            dimension_names=("sample", *column.dims),
            fill_value=0,
        )
        if column.unit:
            array.attrs["units"] = column.unit


def padded(rows: Sequence[NDArray[Any]], shape: tuple[int, ...], empty: float) -> NDArray[Any]:
    """Stack arrays that may be shorter along their axes, filled up.

    Parameters
    ----------
    rows : sequence of ndarray
        Each of as many axes as `shape`.
    shape : tuple of int
        Of a row.
    empty : float
        What stands where there is nothing.
    """
    stacked = np.full((len(rows), *shape), empty, rows[0].dtype if rows else np.float64)
    for place, row in zip(stacked, rows, strict=True):
        place[tuple(slice(0, count) for count in row.shape)] = row
    return stacked
