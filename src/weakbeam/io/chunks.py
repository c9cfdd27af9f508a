"""Stacks of frames in HDF5: one chunk a frame, compressed by threads and written directly.

HDF5 compresses in one thread and under one lock. Here worker threads shuffle and compress the
frames, and the finished chunks are handed to HDF5 as they are; any reader undoes them with the
filters that every HDF5 library has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np
from h5py._objects import phil
from isal import isal_zlib
from numpy.typing import NDArray

from weakbeam.errors import InputError

COMPRESSIONS = ("gzip", "none", "bitshuffle-lz4")

# Levels 1 and 2 of ISA-L take the same time; level 0 saves a tenth of it and makes counts 40 %
# larger, level 3 takes twice as long to make only ideal images smaller (benchmarks/compression.py).
DEFLATE_LEVEL = 2


def create_stack(
    group: h5py.Group,
    name: str,
    frames: int,
    shape: tuple[int, int],
    dtype: np.dtype[np.generic],
    compression: str = "gzip",
) -> h5py.Dataset:
    """Create a stack of frames in which every chunk has its place from the start.

    Parameters
    ----------
    group : h5py.Group
        Where the stack goes.
    name : str
        Name of the dataset.
    frames : int
        Number of frames, N.
    shape : (int, int)
        Rows and columns.
    dtype : dtype
        Type of a pixel.
    compression : {"gzip", "none", "bitshuffle-lz4"}
        ``gzip`` (with byte shuffle) and ``none`` are readable everywhere.

    Returns
    -------
    h5py.Dataset
        Shape (N, rows, columns), chunks (1, rows, columns), all zero.

    Raises
    ------
    InputError
        If the compression is unknown or needs a package that is not installed.

    Notes
    -----
    The index of the chunks is complete when this returns. Writing a frame later changes one
    record of it in place and never its structure, so that a process that is killed while it writes
    cannot lose frames that were written before. What it leaves of the frames that it was writing
    is another matter, see `weakbeam.io.rescue`.
    """
    options: dict[str, Any] = {"shape": (frames, *shape), "dtype": dtype, "chunks": (1, *shape)}
    if compression == "gzip":
        options |= {"compression": "gzip", "shuffle": True}
    elif compression == "bitshuffle-lz4":
        options |= _bitshuffle()
    elif compression != "none":
        raise InputError(
            "output.compression", compression, "must be one of " + ", ".join(COMPRESSIONS)
        )
    if compression == "none":
        return _create_uncompressed(group, name, options)
    stack = group.create_dataset(name, **options)
    stack[0] = 0
    mask, dark_frame = stack.id.read_direct_chunk((0, 0, 0))
    for frame in range(1, frames):
        write_chunk(stack, (frame, 0, 0), dark_frame, mask)
    return stack


def write_frames(
    stack: h5py.Dataset,
    indices: NDArray[np.integer[Any]],
    frames: NDArray[Any],
    pool: ThreadPoolExecutor,
) -> None:
    """Write frames into a stack that `create_stack` made.

    Parameters
    ----------
    stack : h5py.Dataset
        Shape (N, rows, columns).
    indices : ndarray of int, shape (n,)
        Where each frame goes, in any order.
    frames : ndarray, shape (n, rows, columns)
        The frames, C-contiguous and of the type of the stack.
    pool : ThreadPoolExecutor
        Threads that compress.
    """
    if stack.chunks is None or frames.dtype != stack.dtype or not frames.flags.c_contiguous:
        raise ValueError(f"frames must be a C-contiguous block of {stack.dtype}")
    compression = compression_of(stack)
    if compression == "gzip":
        chunks: Iterator[Any] = pool.map(shuffle_and_deflate, frames)
    elif compression == "none":
        chunks = iter(frames)
    else:
        for index, frame in zip(indices, frames, strict=True):
            stack[int(index)] = frame
        return
    for index, chunk in zip(indices, chunks, strict=True):
        write_chunk(stack, (int(index), 0, 0), chunk)


def write_chunk(stack: h5py.Dataset, place: tuple[int, ...], chunk: Any, mask: int = 0) -> None:
    """Write a chunk as it is to be stored.

    Parameters
    ----------
    stack : h5py.Dataset
        Where.
    place : tuple of int
        Index of the chunk's first pixel.
    chunk : bytes-like
        The chunk, compressed.
    mask : int
        Filters of the stack that the chunk has not gone through.
    """
    # Before h5py 3.15 nothing keeps other threads out of HDF5 here, which a file that is written
    # by Python (`weakbeam.io.newfiles.Drain`) lets in.
    with phil:
        stack.id.write_direct_chunk(place, chunk, mask)


def compression_of(stack: h5py.Dataset) -> str:
    """Return with which of `COMPRESSIONS` a stack was created."""
    if stack.compression == "gzip":
        return "gzip"
    return "bitshuffle-lz4" if stack.id.get_create_plist().get_nfilters() else "none"


def load_filter(stack: h5py.Dataset) -> None:
    """Make a stack readable that is compressed by a filter from outside HDF5.

    Raises
    ------
    InputError
        If the package with the filter is not installed.
    """
    if compression_of(stack) == "bitshuffle-lz4":
        _bitshuffle()


def compression_pool(workers: int | None = None) -> ThreadPoolExecutor:
    """Threads for `write_frames`: as many as the process may use cores unless told otherwise."""
    if workers is None:
        has_affinity = hasattr(os, "sched_getaffinity")
        workers = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    return ThreadPoolExecutor(max_workers=workers, thread_name_prefix="compress")


def shuffle_and_deflate(frame: NDArray[Any], level: int = DEFLATE_LEVEL) -> bytes:
    """Compress one chunk as HDF5's filters shuffle and deflate would.

    Parameters
    ----------
    frame : ndarray
        The chunk, C-contiguous.
    level : int
        Level of ISA-L, 0 to 3.
    """
    by_value = frame.reshape(-1).view(np.uint8).reshape(-1, frame.dtype.itemsize)
    by_byte = np.ascontiguousarray(by_value.T)
    compressed: bytes = isal_zlib.compress(by_byte, level)
    return compressed


def _create_uncompressed(group: h5py.Group, name: str, options: dict[str, Any]) -> h5py.Dataset:
    """Reserve the space of all chunks without writing it; unwritten parts read as zero."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(options["chunks"])
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(options["shape"])
    kind = h5py.h5t.py_create(options["dtype"], logical=True)
    h5py.h5d.create(group.id, name.encode(), kind, space, plist)
    return group[name]


def _bitshuffle() -> dict[str, Any]:
    try:
        import hdf5plugin
    except ImportError:
        raise InputError(
            "output.compression",
            "bitshuffle-lz4",
            "needs hdf5plugin (pip install 'weakbeam[bitshuffle]'); or use \"gzip\"",
        ) from None
    return dict(hdf5plugin.Bitshuffle(cname="lz4"))
