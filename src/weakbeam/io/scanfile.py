"""Write a simulation into its file, frame by frame, so that it survives whatever ends it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError, RunError
from weakbeam.io import bliss
from weakbeam.io.chunks import compression_pool, load_filter, write_frames
from weakbeam.io.diskerrors import creation_error, disk_reason
from weakbeam.io.entry import Description, Entry
from weakbeam.io.guard import Fault, check, dataset, numbers, telling_damage, text
from weakbeam.io.newfiles import Drain, NewFiles
from weakbeam.io.provenance import timestamp
from weakbeam.io.reading import check_resumable
from weakbeam.io.rescue import rescue
from weakbeam.io.targets import RUN, SOURCE, Kind, claim

LAYOUTS = ("single", "bliss")


class ScanFile:
    """An output file that is being written; made by `create` or `open_for_resume`.

    Use it as a context manager. Leaving it by Ctrl-C notes ``USER_ABORT`` in the file; leaving it
    by any other exception leaves the file as after a crash, ``RUNNING``. Either can be resumed.

    Notes
    -----
    A batch of frames is written in the order: frames, flush, marks in ``progress/frame_done``,
    flush. A frame that is marked is in the file.
    """

    kind: ClassVar[Kind] = RUN
    """What it replaces."""

    def __init__(self, path: Path, workers: int | None = None) -> None:
        self.path = path
        self._open_files: list[tuple[h5py.File, Drain]] = []
        self._pool = compression_pool(workers)
        self._file = self._open(path)
        entries = [self._file[bliss.entry_name(index)] for index in range(len(self._file))]
        self._scans = [_Scan(group, self._stack(index)) for index, group in enumerate(entries)]

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        entries: Sequence[Entry],
        description: Description,
        *,
        compression: str = "gzip",
        layout: str = "single",
        overwrite: bool = False,
        workers: int | None = None,
    ) -> Self:
        """Create a file with all its entries and open it for writing.

        Parameters
        ----------
        path : path
            The file; its folder is made if need be.
        entries : sequence of Entry
            The detector scans.
        description : Description
            What is the same for every scan.
        compression : {"gzip", "none", "bitshuffle-lz4"}
            How the frames are compressed.
        layout : {"single", "bliss"}
            Frames in this file, or in one source file a scan beside it.
        overwrite : bool
            Replace a file that exists.
        workers : int, optional
            Threads that compress; as many as there are cores unless given.

        Raises
        ------
        InputError
            If the file exists and is not to be overwritten, is in use by another process,
            or its folder takes no file.
        RunError
            If the disk is full or fails.

        Notes
        -----
        The file appears under its name only when it is complete but for the frames.
        """
        path = Path(path)
        if layout not in LAYOUTS:
            raise InputError("output.layout", layout, "must be one of " + ", ".join(LAYOUTS))
        advice = "resume it, overwrite it or move it"
        claim(path, cls.kind, overwrite=overwrite, advice=advice)
        if path.exists():
            _refuse_if_in_use(path)
        sources = [path.parent / bliss.source_path(index) for index in range(len(entries))]
        if layout == "bliss":
            for source in sources:
                claim(source, SOURCE, overwrite=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with NewFiles() as new:
                if layout == "bliss":
                    for source, entry in zip(sources, entries, strict=True):
                        source.parent.mkdir(exist_ok=True)
                        with new.create(source) as file:
                            bliss.create_source(file, entry, compression)
                with new.create(path) as file:
                    bliss.create_root(file)
                    for index, entry in enumerate(entries):
                        bliss.create_entry(file, index, entry, description, compression, layout)
                if layout == "bliss":
                    # The marks of an old master would vouch for the empty frames of new sources.
                    path.unlink(missing_ok=True)
                new.commit()
        except (OSError, RuntimeError) as error:
            raise creation_error(path, error) from None
        return cls(path, workers)

    @classmethod
    def open_for_resume(
        cls,
        path: str | os.PathLike[str],
        digest: str,
        workers: int | None = None,
        entries: Sequence[Entry] | None = None,
    ) -> Self:
        """Open a file that a run left unfinished.

        Parameters
        ----------
        path : path
            The file.
        digest : str
            Hash of what is to be simulated; it must be that of the file.
        workers : int, optional
            Threads that compress; as many as there are cores unless given.
        entries : sequence of Entry, optional
            What the file must hold.

        Raises
        ------
        InputError
            If there is no such file, it is truncated, not ours, complete, of another experiment,
            lacks a source file, or is in use by another process.
        RunError
            If the disk has no room for a copy of the frames that are there.

        Notes
        -----
        A run that ended by Ctrl-C goes on in its file. After a crash the frames that are marked
        move into a fresh copy first, see `weakbeam.io.rescue`.
        """
        path = Path(path)
        _refuse_if_in_use(path)
        ended = check_resumable(path, digest)
        if ended == "SUCCESS":
            raise InputError("resume", str(path), "is complete: there is nothing to resume")
        if ended == "RUNNING":
            try:
                with telling_damage(path, "resume", OSError, RuntimeError):
                    rescue(path)
            except (OSError, RuntimeError) as error:
                raise RunError(f"{path}: cannot be resumed ({disk_reason(error)})") from None
        with telling_damage(path, "resume"):
            scan_file = cls(path, workers)
            try:
                scan_file._check(entries)
                for scan in scan_file._scans:
                    scan.restore_sums()
                for scan in scan_file._scans:
                    scan.group["end_reason"][()] = "RUNNING"
                scan_file._flush()
            except BaseException:
                with suppress(RunError):
                    scan_file.close()
                raise
        return scan_file

    def frames_done(self, entry_index: int) -> NDArray[np.bool_]:
        """Which frames of an entry are in the file, shape (N,)."""
        return self._scans[entry_index].done.astype(bool)

    def frames_written(self, entry_index: int) -> NDArray[np.intp]:
        """Numbers of the frames of an entry that are in the file, in the order of writing."""
        return self._scans[entry_index].written

    def write_frames(self, entry_index: int, frame_indices: ArrayLike, frames: ArrayLike) -> None:
        """Write a batch of frames and mark them as done.

        Parameters
        ----------
        entry_index : int
            The entry, from 0.
        frame_indices : array_like of int, shape (n,)
            Which frames these are, in any order; none of them may be done already.
        frames : array_like, shape (n, rows, columns)
            The frames, of the type of the entry.

        Raises
        ------
        RunError
            If the disk is full or the file cannot be written for another reason.
        """
        scan = self._scans[entry_index]
        indices = np.atleast_1d(np.asarray(frame_indices))
        block = np.ascontiguousarray(frames)
        scan.check_batch(indices, block)
        try:
            sums = self._pool.submit(scan.sums_with, block)
            write_frames(scan.stack, indices, block, self._pool)
            self._flush()
            scan.mark(indices, *sums.result())
            self._flush()
        except (OSError, RuntimeError) as error:
            raise RunError(
                f"{self.path}: a batch of frames could not be written ({self._reason(error)})"
            ) from error

    def write_maps(self, entry_index: int, maps: Mapping[str, ArrayLike]) -> None:
        """Write maps that the entry announced.

        Parameters
        ----------
        entry_index : int
            The entry, from 0.
        maps : mapping of str to array_like, shape (rows, columns)
            Values in the units announced in `Entry.maps`; NaN where there is nothing to say.
        """
        group = self._scans[entry_index].group
        for name, values in maps.items():
            if f"maps/{name}/{name}" not in group:
                raise ValueError(f"entry {group.name} announced no map {name}")
            group[f"maps/{name}/{name}"][...] = values

    def write_sampling_error(self, entry_index: int, error: float) -> None:
        """Note how far the frames of an entry, from 0, are off by sampling, relative to them."""
        group = self._scans[entry_index].group
        # A file of an earlier version, which is gone on with, has no place for it.
        if "sampling_error" in group:
            group["sampling_error"][()] = error

    def finish(self, end_reason: str = "SUCCESS") -> None:
        """Note how the run ended, with the summed images of what there is.

        Raises
        ------
        ValueError
            If the reason is ``SUCCESS`` and frames are missing.
        RunError
            If the disk is full or the file cannot be written for another reason.
        """
        missing = sum(int((scan.done == 0).sum()) for scan in self._scans)
        if end_reason == "SUCCESS" and missing:
            raise ValueError(f"{missing} frames have not been written")
        try:
            for scan in self._scans:
                scan.write_sums()
                scan.group["end_time"][()] = timestamp()
            self._flush()
            for scan in self._scans:
                scan.group["end_reason"][()] = end_reason
            self._flush()
        except (OSError, RuntimeError) as error:
            raise RunError(f"{self.path}: could not be completed ({self._reason(error)})") from None

    def close(self) -> None:
        """Close the file and end the threads; `RunError` if the disk does not take the rest."""
        self._pool.shutdown()
        failure: Exception | None = None
        while self._open_files:
            file, drain = self._open_files.pop()
            try:
                file.close()
                drain.close()
                drain.check()
            except (OSError, RuntimeError) as error:
                failure = error
        if failure is not None:
            raise RunError(f"{self.path}: could not be closed ({disk_reason(failure)})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is not None and issubclass(kind, KeyboardInterrupt):
                self.finish("USER_ABORT")
        finally:
            # On a full disk closing fails too; what happened first is what to tell.
            with suppress(RunError) if kind is not None else nullcontext():
                self.close()

    def _open(self, path: Path) -> h5py.File:
        try:
            drain = Drain(path)
        except BlockingIOError:
            self.close()
            raise _in_use(path) from None
        file = h5py.File(drain, "r+", libver="earliest")
        self._open_files.append((file, drain))
        return file

    def _stack(self, index: int) -> h5py.Dataset:
        place = f"{bliss.entry_name(index)}/instrument/{bliss.DETECTOR}/image"
        stack = dataset(self._file, place, kinds="fiu", ndim=3)
        if stack.is_virtual:
            source = self._open(self.path.parent / bliss.source_path(index))
            stack = dataset(source, bliss.SOURCE_STACK, kinds="fiu", ndim=3)
        load_filter(stack)
        return stack

    def _check(self, entries: Sequence[Entry] | None) -> None:
        """Find that the file holds other scans than it should."""
        if entries is not None and len(entries) != len(self._scans):
            raise Fault("/", f"has {len(self._scans)} entries and not {len(entries)}")
        for number, scan in enumerate(self._scans):
            scan.check(None if entries is None else entries[number])

    def _reason(self, error: Exception) -> str:
        """What the disk said first, where HDF5 stumbled over what it did not take."""
        for _, drain in self._open_files:
            try:
                drain.check()
            except OSError as first:
                return disk_reason(first)
        return disk_reason(error)

    def _flush(self) -> None:
        # Sources before the master: what the master marks must be there.
        for file, drain in reversed(self._open_files):
            file.flush()
            drain.check()


class _Scan:
    """State of one entry while it is written: marks and running sums."""

    def __init__(self, group: h5py.Group, stack: h5py.Dataset) -> None:
        self.group = group
        self.stack = stack
        frames = stack.shape[:1]
        self.done: NDArray[np.uint8] = numbers(group, "progress/frame_done", shape=frames)
        self.order: NDArray[np.uint64] = numbers(group, "progress/frame_order", shape=frames)
        self.intensity: Floats = numbers(
            group, f"instrument/{bliss.DETECTOR}_sum/data", shape=frames
        )
        self.image_sum: Floats = np.zeros(stack.shape[1:])

    def check(self, entry: Entry | None) -> None:
        """Find that what will be written has no place; `Fault` then."""
        shape = self.stack.shape[1:]
        if entry is not None and (
            self.stack.shape != (entry.frames, *entry.shape) or self.stack.dtype != entry.dtype
        ):
            raise Fault(self.stack.name, "has frames of another number, size or type")
        dataset(self.group, "plot/image_sum", kinds="f", shape=shape)
        numbers(self.group, "progress/scan_place", kinds="iu", shape=self.done.shape)
        for name in ("end_time", "end_reason"):
            text(self.group, name)
        for name in entry.maps if entry is not None else ():
            dataset(self.group, f"maps/{name}/{name}", kinds="f", shape=shape)
        if "scan_map" in self.group:
            dataset(self.group, "scan_map/intensity", kinds="f")

    @property
    def written(self) -> NDArray[np.intp]:
        done = np.flatnonzero(self.done)
        return done[np.argsort(self.order[done])]

    def check_batch(self, indices: NDArray[Any], frames: NDArray[Any]) -> None:
        if (
            frames.shape != (indices.size, *self.stack.shape[1:])
            or frames.dtype != self.stack.dtype
        ):
            raise ValueError(
                f"{indices.size} frames of {self.stack.dtype} {self.stack.shape[1:]} expected, "
                f"got {frames.dtype} {frames.shape}"
            )
        if indices.min(initial=0) < 0 or indices.max(initial=0) >= self.done.size:
            raise ValueError(f"frame indices must lie in 0 to {self.done.size - 1}")
        if np.unique(indices).size != indices.size or self.done[indices].any():
            raise ValueError("a frame is written only once")

    def sums_with(self, frames: NDArray[Any]) -> tuple[Floats, Floats]:
        """Sum over the frames so far, and over the pixels of each of these.

        The frames are added one after the other, so that the rounding depends on their order alone
        and not on the batches in which they came.
        """
        image_sum = self.image_sum.copy()
        intensity = np.empty(len(frames))
        for index, frame in enumerate(frames):
            values = frame.astype(float)
            image_sum += values
            intensity[index] = values.sum()
        return image_sum, intensity

    def mark(self, indices: NDArray[Any], image_sum: Floats, intensity: Floats) -> None:
        self.image_sum = image_sum
        self.intensity[indices] = intensity
        self.order[indices] = self.order.max(initial=0) + 1 + np.arange(indices.size)
        self.done[indices] = 1
        self.group[f"instrument/{bliss.DETECTOR}_sum/data"][...] = self.intensity
        self.group["progress/frame_order"][...] = self.order
        self.group["progress/frame_done"][...] = self.done

    def restore_sums(self) -> None:
        """Add up again, in the order in which they were written, the frames that are there."""
        for index in self.written:
            frames = self.stack[int(index) : int(index) + 1]
            self.image_sum, self.intensity[index : index + 1] = self.sums_with(frames)

    def write_sums(self) -> None:
        self.group["plot/image_sum"][...] = self.image_sum
        scan_map = self.group.get("scan_map/intensity")
        if scan_map is not None and scan_map.ndim == 2:
            order = np.argsort(self.group["progress/scan_place"][()])
            scan_map[...] = self.intensity[order].reshape(scan_map.shape)


def _refuse_if_in_use(path: Path) -> None:
    """Refuse a file that another process is writing; a damaged file is not in use."""
    try:
        check(path)
    except InputError:
        return
    try:
        h5py.File(path, "r").close()
    except BlockingIOError:
        raise _in_use(path) from None
    except OSError:
        return


def _in_use(path: Path) -> InputError:
    return InputError("path", str(path), "is in use by another process")
