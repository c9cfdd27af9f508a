"""Dislocations that an output file lists, read back as they were."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np

from weakbeam._typing import Floats, Ints
from weakbeam.defects.lines import StraightLines
from weakbeam.errors import InputError

LISTED = ("dislocation", "random", "stored")
"""Kinds of defect whose rows are single straight dislocations."""

_ENTRY = "1.1"


@dataclass(frozen=True, eq=False)
class StoredLines:
    """The single dislocations of an output file.

    Parameters
    ----------
    lines : StraightLines
        In the sample frame of the first reflection.
    system : (n,) ndarray of int
        Number of each one's slip system in `labels`; -1 for none.
    labels : tuple of str
        Slip systems, as plane and direction.
    sample_from_crystal : (3, 3) ndarray
        The orientation that belongs to that frame.
    """

    lines: StraightLines
    system: Ints
    labels: tuple[str, ...]
    sample_from_crystal: Floats


def read_lines(path: str, key: str) -> StoredLines:
    """Read the dislocations of an output file.

    Parameters
    ----------
    path : str
        The file.
    key : str
        What names it, for messages.

    Raises
    ------
    InputError
        If the file cannot be read, or lists no single dislocations.
    """
    try:
        with h5py.File(path, "r") as file:
            sample = file[f"{_ENTRY}/sample"]
            orientation = np.array(sample["orientation_matrix"][()], dtype=np.float64)
            table = sample.get("defects", {})
            columns = {name: table[name][()] for name in table}
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = "is no output file of weakbeam" if isinstance(error, KeyError) else str(error)
        raise InputError(key, path, f"cannot be read: {reason}") from None
    kinds = np.array([text.decode() for text in columns.get("kind", ())])
    single = np.isin(kinds, LISTED)
    if not single.any():
        raise InputError(key, path, "lists no single dislocations")
    try:
        lines = StraightLines(
            columns["burgers_vector"][single],
            columns["line"][single],
            columns["position"][single],
            columns["poisson_ratio"][single],
            columns["core_radius"][single],
        )
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(key, path, f"has a damaged list of dislocations: {error}") from None
    names = [text.decode() for text in columns.get("slip_system", np.full(len(kinds), b""))]
    chosen = np.array(names)[single]
    labels = tuple(dict.fromkeys(name for name in chosen.tolist() if name))
    number = {"": -1, **{label: index for index, label in enumerate(labels)}}
    system = np.array([number[name] for name in chosen.tolist()], dtype=np.int64)
    return StoredLines(lines, system, labels, orientation)
