"""Make a file that lost its writer fit to be written again.

A process that is killed may leave chunks that the index knows and the end of the file does not, or
space that is used twice, all of it in frames that are not marked as done. Reading the marked frames
is safe; writing into such a file is not, as HDF5 would hand out that space again. So the marked
frames move, compressed as they are, into a fresh copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.io.bliss import DETECTOR, SOURCE_STACK, entry_name, source_path
from weakbeam.io.chunks import compression_of, create_stack, write_chunk
from weakbeam.io.newfiles import NewFiles


def rescue(path: Path) -> None:
    """Replace an output file, and its source files, by copies that hold the marked frames only.

    Parameters
    ----------
    path : Path
        The master file. It is replaced when its copy is complete; a crash before changes nothing.
    """
    with NewFiles() as new, h5py.File(path, "r") as master:
        own_stacks: dict[str, NDArray[np.uint8]] = {}
        for index in range(len(master)):
            entry = master[entry_name(index)]
            done = entry["progress/frame_done"][()]
            stack = entry[f"instrument/{DETECTOR}/image"]
            if stack.is_virtual:
                source = path.parent / source_path(index)
                with h5py.File(source, "r") as file, new.create(source) as copy:
                    _copy_group(file, copy, {SOURCE_STACK: done})
            else:
                own_stacks[stack.name] = done
        with new.create(path) as copy:
            _copy_group(master, copy, own_stacks)
        new.commit()


def _copy_group(
    source: h5py.Group, target: h5py.Group, stacks: dict[str, NDArray[np.uint8]]
) -> None:
    target.attrs.update(source.attrs)
    for name in source:
        link = source.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            target[name] = h5py.SoftLink(link.path)
        elif isinstance(source[name], h5py.Group):
            _copy_group(source[name], target.create_group(name), stacks)
        elif source[name].name in stacks:
            _copy_stack(source[name], target, stacks[source[name].name])
        else:
            source.copy(name, target)


def _copy_stack(source: h5py.Dataset, target: h5py.Group, done: NDArray[Any]) -> None:
    frames, rows, columns = source.shape
    name = source.name.rpartition("/")[2]
    stack = create_stack(
        target, name, frames, (rows, columns), source.dtype, compression_of(source)
    )
    stack.attrs.update(source.attrs)
    for frame in np.flatnonzero(done):
        mask, chunk = source.id.read_direct_chunk((int(frame), 0, 0))
        write_chunk(stack, (int(frame), 0, 0), chunk, mask)
