"""Files of images of many experiments, each written by one process from beginning to end.

The same experiments give the same bytes: nothing tells when or where a file was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.errors import InputError
from weakbeam.io.chunks import compression_of, shuffle_and_deflate, write_chunk
from weakbeam.io.guard import dataset, reading
from weakbeam.io.newfiles import Drain
from weakbeam.io.sample import Sample, settings_text

SUFFIXES = {"hdf5": ".h5", "webdataset": ".tar", "zarr": ".zarr.zip"}
"""Formats and the ends of their files' names."""

_LONG_TEXT = 200
"""Texts of more bytes are compressed."""


class ShardWriter(Protocol):
    """Writes a file of samples."""

    def add(self, sample: Sample) -> None:
        """Append a sample."""

    def close(self) -> None:
        """Complete the file."""


def shard_writer(form: str, path: Path, compression: str = "gzip") -> ShardWriter:
    """Open a new file of samples.

    Parameters
    ----------
    form : {"hdf5", "webdataset", "zarr"}
        HDF5; a tar file as WebDataset reads it; or a zip file that is a Zarr store (format 2).
    path : Path
        The file.
    compression : {"gzip", "none", "bitshuffle-lz4"}
        Of the images in HDF5. A tar file holds them as they are, a Zarr store as with ``gzip``.
    """
    if form == "hdf5":
        return HDF5Writer(path, compression)
    from weakbeam.io.training_shards import TarWriter, ZarrWriter

    return TarWriter(path) if form == "webdataset" else ZarrWriter(path)


def read_images(path: Path, group: str, row: int) -> NDArray[Any]:
    """Images of a sample in an HDF5 file of samples.

    Parameters
    ----------
    path : Path
        The file.
    group : str
        Its group.
    row : int
        Its place there.

    Raises
    ------
    InputError
        If it is no such file, or cannot be read.
    """
    if path.suffix != ".h5":
        raise InputError("file", str(path), "is no HDF5 file; read its images with their own tools")
    with reading(path) as file:
        return np.asarray(dataset(file, f"{group}/image")[row])


class HDF5Writer:
    """Samples in HDF5: a group for each shape of images, with a row for each sample.

    Every dataset is flushed once it is written. HDF5 would else place it in the file when Python
    forgets the last object that stands for it, and such as profilers and debuggers, that of a Dask
    worker among them, remember objects for some time: equal files would not have equal bytes.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self._drain = Drain(path, new=True)
        # "earliest" is the format that every reader knows.
        self._file = h5py.File(self._drain, "w", libver="earliest")
        self._file.attrs.update({"NX_class": "NXroot", "creator": "weakbeam"})
        self._compression = compression
        self._samples: dict[str, list[Sample]] = {}

    def add(self, sample: Sample) -> None:
        """Append a sample to its group."""
        if sample.group not in self._samples:
            self._create(sample)
        samples = self._samples.setdefault(sample.group, [])
        stack = self._file[sample.group]["image"]
        self._write_images(stack, len(samples), sample.images)
        samples.append(sample.without_images())
        self._drain.check()

    def close(self) -> None:
        """Complete the file."""
        with closing(self._drain):
            with self._file:
                for name, samples in self._samples.items():
                    _write_columns(self._file[name], samples)
            self._drain.check()

    def _create(self, sample: Sample) -> None:
        if "default" not in self._file.attrs:
            self._file.attrs["default"] = sample.group
        group = self._file.create_group(sample.group)
        group.attrs.update({"NX_class": "NXdata", "signal": "image"})
        shape = sample.images.shape
        options: dict[str, Any] = {}
        if self._compression == "gzip":
            options = {"compression": "gzip", "shuffle": True}
        elif self._compression == "bitshuffle-lz4":
            import hdf5plugin

            options = dict(hdf5plugin.Bitshuffle(cname="lz4"))
        image = group.create_dataset(
            "image",
            (0, *shape),
            sample.images.dtype,
            maxshape=(None, *shape),
            chunks=(1,) * (len(shape) - 1) + shape[-2:],
            **options,
        )
        image.attrs["interpretation"] = "image"

    def _write_images(self, stack: h5py.Dataset, row: int, images: NDArray[Any]) -> None:
        stack.resize(row + 1, axis=0)
        if compression_of(stack) != "gzip":
            stack[row] = images
            stack.flush()
            return
        for index in np.ndindex(*images.shape[:-2]):
            chunk = shuffle_and_deflate(np.ascontiguousarray(images[index]))
            write_chunk(stack, (row, *index, 0, 0), chunk)


def _write_columns(group: h5py.Group, samples: Sequence[Sample]) -> None:
    """Write what belongs to the images, a row for each sample."""
    _write_numbers(group, "number", np.array([s.number for s in samples], np.int64))
    write_texts(group, "id", [s.id for s in samples])
    write_texts(group, "settings", [settings_text(s.settings) for s in samples])
    write_texts(group, "experiment", [s.experiment for s in samples])
    for name in samples[0].coords:
        positions = _write_numbers(group, name, np.array([s.coords[name] for s in samples]))
        if name in samples[0].units:
            positions.attrs["units"] = samples[0].units[name]


def _write_numbers(group: h5py.Group, name: str, values: NDArray[Any]) -> h5py.Dataset:
    column = group.create_dataset(name, data=values)
    column.flush()
    return column


def write_texts(group: h5py.Group, name: str, texts: Sequence[str]) -> None:
    """Write texts in UTF-8 of one length, filled up with zeros.

    HDF5 keeps texts of any length together with whatever was in memory beside them, so that equal
    files would not have equal bytes.
    """
    encoded = [text.encode() for text in texts]
    length = max(map(len, encoded), default=0) or 1
    kind = h5py.string_dtype("utf-8", length)
    options: dict[str, Any] = {}
    if length > _LONG_TEXT and encoded:
        options = {"compression": "gzip", "shuffle": False}
    group.create_dataset(name, data=np.array(encoded, kind), **options).flush()
