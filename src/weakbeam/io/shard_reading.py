"""Read back the files of a sweep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.errors import RunError
from weakbeam.io import guard
from weakbeam.io.chunks import load_filter
from weakbeam.io.diskerrors import disk_reason


@dataclass(frozen=True, eq=False)
class StoredSample:
    """The images of one experiment.

    Parameters
    ----------
    name : str
        Group and row.
    id : str
        Hash of the experiment and the files that it names.
    experiment : str
        The experiment (TOML).
    images : ndarray
        The last two axes are those of the image.
    """

    name: str
    id: str
    experiment: str
    images: NDArray[Any]


def sample_count(path: str | os.PathLike[str]) -> int:
    """How many experiments a file of a sweep holds; errors as for :func:`read_samples`."""
    with guard.reading(path) as file:
        return sum(len(guard.dataset(file, f"{name}/number", ndim=1)) for name in file)


def read_samples(path: str | os.PathLike[str]) -> Iterator[StoredSample]:
    """Read a file of a sweep, sample by sample.

    Parameters
    ----------
    path : path
        An HDF5 file of images of a sweep.

    Raises
    ------
    InputError
        If there is no such file, or it is not ours.
    RunError
        If its images cannot be read.
    """
    with guard.reading(path) as file:
        for name in file:
            group = guard.group(file, name)
            stack = guard.dataset(group, "image", kinds="fiu")
            if stack.ndim < 3:
                raise guard.Fault(stack.name, "is no stack of images")
            load_filter(stack)
            ids, texts = (guard.texts(group, key) for key in ("id", "experiment"))
            if not len(ids) == len(texts) == len(stack):
                raise guard.Fault(group.name, "has columns of several lengths")
            for row, (identity, text) in enumerate(zip(ids, texts, strict=True)):
                try:
                    images = np.asarray(stack[row])
                except (OSError, RuntimeError) as error:
                    reason = f"{name}[{row}] cannot be read ({disk_reason(error)})"
                    raise RunError(f"{path}: {reason}") from None
                yield StoredSample(f"{name}[{row}]", identity, text, images)
