"""Frames of a measured scan, read block by block and unpacked by threads."""

from __future__ import annotations

import math
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

from weakbeam.analysis.hot_pixels import Replacement
from weakbeam.analysis.remarks import frames_text
from weakbeam.analysis.shifting import Coverage, shifted
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

    Of a scan with a region only that is read. Hot pixels are replaced, and drift is taken out:
    frames then are float32, and NaN where a masked pixel, or none of the camera, would contribute.
    Values of masked pixels are left as they are otherwise.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    rows : slice
        Rows of the frames to return, counted from the first that is read.
    workers : int, optional
        Threads that unpack; as many as there are cores unless given.

    Yields
    ------
    numbers : (n,) ndarray of int
        Numbers of the frames.
    frames : (n, rows, columns) ndarray
        In the type of the file, or float32.

    Raises
    ------
    InputError
        If frames are compressed by a filter that is not installed.
    RunError
        If a source file is missing or frames cannot be read.
    """
    mended = _Mended(scan)
    wanted = slice(*rows.indices(scan.shape[0])[:2])
    read = mended.rows_for(wanted)
    for numbers, frames in _stored_blocks(scan, _part_of(scan, read), workers):
        yield numbers, mended.frames(numbers, frames, read, wanted)


class _Mended:
    """Frames as they are wanted, made of those that are stored."""

    def __init__(self, scan: MeasuredScan) -> None:
        self._scan, self._shifts = scan, scan.shifts
        self._replacement = None
        masked = np.zeros(scan.shape, bool) if scan.masked is None else scan.masked
        if scan.hot is not None and scan.hot.any():
            self._replacement = Replacement(scan.hot, masked)
        self._coverage = Coverage(masked) if self._shifts is not None else None

    def rows_for(self, rows: slice) -> slice:
        """The rows that these are made of."""
        if self._shifts is not None:
            return slice(0, self._scan.shape[0])
        if self._replacement is not None:
            return slice(max(rows.start - 1, 0), min(rows.stop + 1, self._scan.shape[0]))
        return rows

    def frames(
        self, numbers: Ints, stored: NDArray[Any], read: slice, wanted: slice
    ) -> NDArray[Any]:
        """Some rows of frames, of the stored ones with the rows that were read."""
        if self._replacement is not None:
            self._replacement.apply(stored, read.start)
        if self._shifts is not None and self._coverage is not None:
            moved = np.empty(stored.shape, np.float32)
            for frame, image, number in zip(moved, stored, numbers, strict=True):
                frame[:] = shifted(image, self._shifts[number])
                frame[self._coverage.unknown(self._shifts[number])] = np.nan
            stored = moved
        return stored[:, wanted.start - read.start : wanted.stop - read.start]


_Rectangle = tuple[slice, slice]


def _part_of(scan: MeasuredScan, rows: slice) -> _Rectangle:
    """Rows and columns of the camera that hold these rows of a scan's frames."""
    row, column = scan.first
    columns = slice(column, column + scan.shape[1])
    return slice(row + rows.start, row + rows.stop), columns


def _stored_blocks(
    scan: MeasuredScan, part: _Rectangle, workers: int | None
) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """Some rows and columns of the camera, frame after frame."""
    if scan.parts:
        first = 0
        for inner in scan.parts:
            for numbers, frames in _stored_blocks(inner, part, workers):
                yield first + numbers, frames
            first += inner.frames
        return
    if scan.images:
        yield from _read_images(scan, part)
        return
    with ExitStack() as stack:
        file = stack.enter_context(opened(scan.path))
        parts = _parts(file, scan, stack)
        pool = stack.enter_context(compression_pool(workers))
        for piece in parts:
            _check_filter(piece.stack, scan)
            for first, frames in _read_part(piece, scan, part, pool):
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
        As :func:`read_blocks` has them.

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
    every = slice(0, scan.shape[0])
    stored = _stored_frames(scan, wanted, _part_of(scan, every))
    return _Mended(scan).frames(wanted, stored, every, every)


def _stored_frames(scan: MeasuredScan, wanted: Ints, part: _Rectangle) -> NDArray[Any]:
    if scan.parts:
        ends = np.cumsum([inner.frames for inner in scan.parts])
        which = np.searchsorted(ends, wanted, side="right")
        pairs = zip(which, wanted, strict=True)
        read = [
            _stored_frames(scan.parts[k], np.array([n - ends[k] + scan.parts[k].frames]), part)
            for k, n in pairs
        ]
        return np.concatenate(read)
    if scan.images:
        return np.stack([_image(scan, int(number), part) for number in wanted])
    with ExitStack() as stack:
        parts = _parts(stack.enter_context(opened(scan.path)), scan, stack)
        frames = np.empty((len(wanted), *_shape_of(part)), parts[0].stack.dtype)
        for frame, number in zip(frames, wanted, strict=True):
            piece = next(p for p in parts if p.first <= number < p.first + p.length)
            _check_filter(piece.stack, scan)
            place = piece.offset + int(number) - piece.first
            frame[:] = _sliced(piece.stack, scan, place, place + 1, part)[0]
        return frames


def _shape_of(part: _Rectangle) -> tuple[int, int]:
    return part[0].stop - part[0].start, part[1].stop - part[1].start


def _read_images(scan: MeasuredScan, part: _Rectangle) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """Images of files of their own, some at a time."""
    size = math.prod(_shape_of(part)) * scan.dtype.itemsize
    at_once = max(_BLOCK_BYTES // max(size, 1), _FRAMES)
    for start in range(0, scan.frames, at_once):
        numbers = np.arange(start, min(start + at_once, scan.frames))
        yield numbers, np.stack([_image(scan, int(number), part) for number in numbers])


def _image(scan: MeasuredScan, number: int, part: _Rectangle) -> NDArray[Any]:
    rows, columns = part
    image = read_image(scan.images[number], scan.camera or scan.shape, rows)
    return image[:, columns].astype(scan.dtype, copy=False)


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
    part: _Part, scan: MeasuredScan, place: _Rectangle, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, NDArray[Any]]]:
    stack = part.stack
    filters = _filters(stack)
    whole_chunks = filters in ([_SHUFFLE, _DEFLATE], [_DEFLATE])
    by_frame = stack.chunks == (1, *stack.shape[1:]) and whole_chunks
    pixels = math.prod(stack.shape[1:] if by_frame else _shape_of(place))
    frame_bytes = max(pixels * stack.dtype.itemsize, 1)
    depth = stack.chunks[0] if stack.chunks else 1
    # Whole chunks, so that none is unpacked twice.
    at_once = max(_BLOCK_BYTES // frame_bytes, _FRAMES, depth) // depth * depth
    ends = [*range(0, part.length, at_once), part.length]
    if not by_frame:
        for start, end in pairwise(ends):
            frames = _sliced(stack, scan, part.offset + start, part.offset + end, place)
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
        yield part.first + start, block[:, place[0], place[1]]


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
    stack: h5py.Dataset, scan: MeasuredScan, start: int, end: int, part: _Rectangle
) -> NDArray[Any]:
    try:
        return np.asarray(stack[start:end, part[0], part[1]])
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
