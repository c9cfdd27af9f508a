"""Read back the files of a sweep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.errors import InputError, RunError
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
    with _opened(path) as file:
        try:
            return sum(len(group["number"]) for group in file.values())
        except (OSError, RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, error) from None


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
    with _opened(path) as file:
        try:
            for name, group in file.items():
                load_filter(group["image"])
                ids, texts = (group[key].asstr()[()] for key in ("id", "experiment"))
                for row, (identity, text) in enumerate(zip(ids, texts, strict=True)):
                    images = np.asarray(group["image"][row])
                    yield StoredSample(f"{name}[{row}]", str(identity), str(text), images)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, InputError | RunError):
                raise
            raise _damaged(path, error) from None


def _opened(path: str | os.PathLike[str]) -> h5py.File:
    if not Path(path).is_file():
        raise InputError("file", str(path), "there is no such file")
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        allowed = f"is no readable HDF5 file ({disk_reason(error)})"
        raise InputError("file", str(path), allowed) from None


def _damaged(path: str | os.PathLike[str], error: Exception) -> RunError:
    return RunError(f"{path}: is no file of a sweep, or is damaged ({disk_reason(error)})")
