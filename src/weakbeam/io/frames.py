"""Frames of a measured scan, read block by block and unpacked by threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from weakbeam.analysis.remarks import frames_text
from weakbeam.core.arrays import ArrayLike, Ints
from weakbeam.errors import InputError, RunError
from weakbeam.io.chunks import compression_pool
from weakbeam.io.edf import read_image
from weakbeam.io.foreign import opened
from weakbeam.io.guard import dataset as guarded_dataset
from weakbeam.io.guard import telling_damage
from weakbeam.io.measured_scan import MeasuredScan

_BLOCK_BYTES = 4 * 2**20
_FRAMES = 8
"""Fewest frames of a block: sums over a few at a time go through memory less often."""

_DEFLATE, _SHUFFLE = 1, 2
"""Numbers of HDF5's own filters."""


class _Part(NamedTuple):
    """Frames of a scan that lie one after another in one dataset."""

    first: int
    length: int
    stack: h5py.Dataset
    offset: int
    """Where in that dataset the first of them is."""


def read_blocks(
    scan: MeasuredScan, rows: slice = slice(None), workers: int | None = None
) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """Read all frames of a scan in blocks of some megabytes.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    rows : slice
        Rows of the frames to return.
    workers : int, optional
        Threads that unpack; as many as there are cores unless given.

    Yields
    ------
    numbers : (n,) ndarray of int
        Numbers of the frames.
    frames : (n, rows, columns) ndarray
        In the type of the file.

    Raises
    ------
    InputError
        If frames are compressed by a filter that is not installed.
    RunError
        If a source file is missing or frames cannot be read.
    """
    if scan.parts:
        first = 0
        for inner in scan.parts:
            for numbers, frames in read_blocks(inner, rows, workers):
                yield first + numbers, frames
            first += inner.frames
        return
    if scan.images:
        yield from _read_images(scan, rows)
        return
    with ExitStack() as stack:
        file = stack.enter_context(opened(scan.path))
        parts = _parts(file, scan, stack)
        pool = stack.enter_context(compression_pool(workers))
        for part in parts:
            _check_filter(part.stack, scan)
            for first, frames in _read_part(part, scan, rows, pool):
                yield np.arange(first, first + len(frames)), frames


def read_frames_of(scan: MeasuredScan, numbers: ArrayLike) -> NDArray[Any]:
    """Read some frames of a scan, in the order of their numbers as given.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    numbers : (n,) array_like of int
        Which frames, from 0.

    Returns
    -------
    (n, rows, columns) ndarray

    Raises
    ------
    InputError
        If there is no such frame, or a filter is not installed.
    RunError
        If a source file is missing or frames cannot be read.
    """
    wanted = np.atleast_1d(np.asarray(numbers))
    for number in wanted:
        if not 0 <= number < scan.frames:
            raise InputError("frame", int(number), f"the scan has frames 0 to {scan.frames - 1}")
    if scan.parts:
        ends = np.cumsum([part.frames for part in scan.parts])
        which = np.searchsorted(ends, wanted, side="right")
        pairs = zip(which, wanted, strict=True)
        read = [
            read_frames_of(scan.parts[k], [n - ends[k] + scan.parts[k].frames]) for k, n in pairs
        ]
        return np.concatenate(read)
    if scan.images:
        return np.stack([_image(scan, int(number)) for number in wanted])
    with ExitStack() as stack:
        parts = _parts(stack.enter_context(opened(scan.path)), scan, stack)
        frames = np.empty((len(wanted), *scan.shape), parts[0].stack.dtype)
        for frame, number in zip(frames, wanted, strict=True):
            part = next(p for p in parts if p.first <= number < p.first + p.length)
            _check_filter(part.stack, scan)
            place = part.offset + int(number) - part.first
            frame[:] = _sliced(part.stack, scan, place, place + 1, slice(None))[0]
        return frames


def _read_images(scan: MeasuredScan, rows: slice) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """Images of files of their own, some at a time."""
    size = scan.shape[0] * scan.shape[1] * scan.dtype.itemsize
    at_once = max(_BLOCK_BYTES // max(size, 1), _FRAMES)
    for start in range(0, scan.frames, at_once):
        numbers = np.arange(start, min(start + at_once, scan.frames))
        yield numbers, np.stack([_image(scan, int(number))[rows] for number in numbers])


def _image(scan: MeasuredScan, number: int) -> NDArray[Any]:
    return read_image(scan.images[number], scan.shape).astype(scan.dtype, copy=False)


def _parts(file: h5py.File, scan: MeasuredScan, stack: ExitStack) -> list[_Part]:
    """Where the frames really are: HDF5 reads zeros for a virtual source that is not there."""
    whole = file[scan.stack]
    if not whole.is_virtual:
        return [_Part(0, scan.frames, whole, 0)]
    folder = Path(whole.file.filename).parent
    parts = []
    for source in whole.virtual_sources():
        same_file = source.file_name == "."
        path = Path(whole.file.filename) if same_file else folder / source.file_name
        start, end = source.vspace.get_select_bounds()
        if not path.is_file():
            raise RunError(
                f"{scan.path}: the file {source.file_name} with its frames is missing "
                f"({frames_text(range(int(start[0]), int(end[0]) + 1))})"
            )
        inner = whole.file if same_file else stack.enter_context(opened(path))
        everything = source.src_space.get_select_type() == h5py.h5s.SEL_ALL
        offset = 0 if everything else source.src_space.get_select_bounds()[0][0]
        with telling_damage(path):
            dataset = guarded_dataset(inner, source.dset_name, kinds="fiu")
        whole_frames = dataset.ndim == 3 and dataset.shape[1:] == whole.shape[1:]
        if not whole_frames or start[1:] != (0, 0) or dataset.is_virtual:
            return [_Part(0, scan.frames, whole, 0)]
        count = int(end[0] - start[0]) + 1
        if offset + count > dataset.shape[0]:
            raise RunError(f"{path} has {dataset.shape[0]} of {offset + count} frames")
        parts.append(_Part(int(start[0]), count, dataset, int(offset)))
    parts.sort(key=lambda part: part.first)
    kept = [part for part in parts if part.first < scan.frames]
    kept = [part._replace(length=min(part.length, scan.frames - part.first)) for part in kept]
    if sum(part.length for part in kept) != scan.frames:
        return [_Part(0, scan.frames, whole, 0)]
    return kept


def _read_part(
    part: _Part, scan: MeasuredScan, rows: slice, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, NDArray[Any]]]:
    stack = part.stack
    filters = _filters(stack)
    frame_bytes = max(int(np.prod(stack.shape[1:])) * stack.dtype.itemsize, 1)
    depth = stack.chunks[0] if stack.chunks else 1
    # Whole chunks, so that none is unpacked twice.
    at_once = max(_BLOCK_BYTES // frame_bytes, _FRAMES, depth) // depth * depth
    ends = [*range(0, part.length, at_once), part.length]
    if stack.chunks != (1, *stack.shape[1:]) or filters not in ([_SHUFFLE, _DEFLATE], [_DEFLATE]):
        for start, end in pairwise(ends):
            frames = _sliced(stack, scan, part.offset + start, part.offset + end, rows)
            yield part.first + start, frames
        return

    def submit(start: int, end: int) -> tuple[NDArray[Any], list[Future[None]]]:
        block = np.empty((end - start, *stack.shape[1:]), stack.dtype)
        chunks = [_chunk(stack, part.offset + number) for number in range(start, end)]
        pairs = zip(chunks, block, strict=True)
        return block, [pool.submit(_unpack, chunk, filters, frame) for chunk, frame in pairs]

    blocks = list(pairwise(ends))
    coming = submit(*blocks[0])
    for number, (start, _) in enumerate(blocks):
        block, unpacking = coming
        # The next block is unpacked while the caller is busy with this one.
        if number + 1 < len(blocks):
            coming = submit(*blocks[number + 1])
        for k, future in enumerate(unpacking):
            _wait(future, scan, part.first + start + k)
        yield part.first + start, block[:, rows]


def _chunk(stack: h5py.Dataset, number: int) -> bytes | NDArray[Any]:
    """The packed bytes of a frame, or the frame where it is stored in another way."""
    try:
        mask, packed = stack.id.read_direct_chunk((number, 0, 0))
    except (OSError, RuntimeError):
        mask, packed = 1, b""
    return packed if mask == 0 else np.asarray(stack[number])


def _unpack(chunk: bytes | NDArray[Any], filters: Sequence[int], frame: NDArray[Any]) -> None:
    """Fill a frame with what its chunk holds."""
    if isinstance(chunk, np.ndarray):
        frame[:] = chunk
        return
    raw = np.frombuffer(isal_zlib.decompress(chunk), np.uint8)
    size = frame.dtype.itemsize
    by_value = frame.reshape(-1).view(np.uint8).reshape(-1, size)
    by_value[:] = raw.reshape(size, -1).T if _SHUFFLE in filters else raw.reshape(-1, size)


def _wait(future: Future[None], scan: MeasuredScan, number: int) -> None:
    try:
        future.result()
    except Exception as error:  # isal has errors of its own, which are no OSError.
        raise RunError(_unreadable(scan, number, error)) from None


def _sliced(
    stack: h5py.Dataset, scan: MeasuredScan, start: int, end: int, rows: slice
) -> NDArray[Any]:
    try:
        return np.asarray(stack[start:end, rows])
    except (OSError, ValueError, RuntimeError) as error:
        raise RunError(_unreadable(scan, start, error)) from None


def _unreadable(scan: MeasuredScan, number: int, error: Exception) -> str:
    return f"{scan.path}::{scan.entry}: frame {number} cannot be read ({error})"


def _filters(stack: h5py.Dataset) -> list[int]:
    plist = stack.id.get_create_plist()
    return [int(plist.get_filter(number)[0]) for number in range(plist.get_nfilters())]


def _check_filter(stack: h5py.Dataset, scan: MeasuredScan) -> None:
    """Load the filters of hdf5plugin where one is needed: cameras write bitshuffle."""
    lacking = [code for code in _filters(stack) if not h5py.h5z.filter_avail(code)]
    if not lacking:
        return
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401
    if not all(h5py.h5z.filter_avail(code) for code in lacking):
        raise InputError(
            "file",
            str(scan.path),
            f"is compressed by HDF5 filter {lacking[0]}; pip install 'weakbeam[bitshuffle]'",
        )
