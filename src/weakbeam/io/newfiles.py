"""Files that HDF5 writes: safe from full disks, and new ones that appear when they are complete."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py

from weakbeam.io.guard import trust, trust_as_left

try:
    import fcntl
except ImportError:  # Windows, which locks a file that is open anyway.
    fcntl = None  # type: ignore[assignment]


class NewFiles:
    """HDF5 files that replace those of the same names, if any, together.

    They are written as ``NAME.part``. Leaving the context without `commit` removes them; `OSError`
    is raised then where the disk did not take them.
    """

    def __init__(self) -> None:
        self._moves: list[tuple[Drain, Path, Path]] = []

    def create(self, path: Path) -> h5py.File:
        """Open a new file that is to become `path`; the caller closes it.

        Raises
        ------
        OSError
            If it cannot be created, or another process is writing it.
        """
        part = path.with_name(path.name + ".part")
        drain = Drain(part, new=True)
        self._moves.append((drain, part, path))
        # "earliest" is the format that a killed process leaves readable.
        return h5py.File(drain, "w", libver="earliest")

    def commit(self) -> None:
        """Move the files to their places, in the order of their creation.

        Raises
        ------
        OSError
            If the disk has not taken all of them; none has moved then.
        """
        for drain, _, _ in self._moves:
            drain.close()
            drain.check()
        for _, part, path in self._moves:
            part.replace(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for drain, part, _ in self._moves:
            drain.close()
            part.unlink(missing_ok=True)
        if kind is not None and issubclass(kind, OSError | RuntimeError):
            # HDF5 may have stumbled over what the disk did not take: that is what to tell.
            for drain, _, _ in self._moves:
                drain.check()


class Drain(io.RawIOBase):
    """A file for HDF5 to write, which keeps the first error for itself.

    HDF5 cannot close a file that the disk does not take: it goes on to write what it can, says so
    many times over, and crashes when the program ends. Here, after the first error nothing more is
    written, so that the file is as a kill at that moment would have left it; `check` raises it.

    Parameters
    ----------
    path : Path
        The file.
    new : bool
        Begin an empty one, rather than go on with one that is there.

    Raises
    ------
    OSError
        If it cannot be opened; `BlockingIOError` if another process is writing it.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0)
        if new:
            # A name that is ours while we write may not lead to what is not.
            flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        self._file = io.FileIO(os.open(path, flags, 0o666), "r+")
        self._error: OSError | None = None
        self._lost_end = 0
        try:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            if fcntl is not None:
                _lock(self._file.fileno())
            if new:
                self._file.truncate(0)
            trust(self._file.fileno())
        except OSError:
            self._file.close()
            raise

    def check(self) -> None:
        """Raise the error that a write has met, if any."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close the file."""
        if not self._file.closed:
            trust_as_left(self._file.fileno())
        self._file.close()
        super().close()

    def write(self, data: Any) -> int:
        """Write all of `data`, or nothing more after an error."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._error is None:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._error = error
        if left:
            self._lost_end = max(self._lost_end, self._file.tell() + len(left))
        return size

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, beyond the end of the file with zeros."""
        place = memoryview(buffer).cast("B")
        count = 0
        while count < len(place) and (read := self._file.readinto(place[count:])):
            count += read
        place[count:] = bytes(len(place) - count)
        return len(place)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; the end is where it would be had everything been written."""
        place = self._file.seek(offset, whence)
        return max(place, self._lost_end) if whence == os.SEEK_END else place

    def truncate(self, size: int | None = None) -> int:
        """Make the file as long as `size`."""
        length = self._file.tell() if size is None else size
        try:
            if self._error is None:
                self._file.truncate(length)
        except OSError as error:
            self._error = error
        if self._error is not None:
            self._lost_end = length
        return length

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True


def _lock(descriptor: int) -> None:
    """Lock a file as HDF5 does; `BlockingIOError` if another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        # A file system without locks: HDF5 goes on there as well.
        return
