"""Many experiments from Python: the verb ``sweep``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.index import contents
from weakbeam.batch.manifest import Sweep, parse_sweep, read_sweep
from weakbeam.batch.run import run_sweep
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.toml_text import parse_toml
from weakbeam.io.shards import read_images
from weakbeam.run.records import Records


class SweepTable(Records):
    """The experiments of a sweep, a row each, and their images.

    Parameters
    ----------
    folder : Path
        Where the sweep is.
    rows : sequence of mapping
        ``number``, ``status`` ("done", "failed", "missing"), ``reason``, ``file``, ``group``,
        ``row``, and a column for each key that varies.
    """

    def __init__(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"sweep in {folder.name}", rows)
        self.folder = folder

    def images(self, number: int) -> NDArray[Any]:
        """Images of an experiment.

        Parameters
        ----------
        number : int
            Its row.

        Returns
        -------
        ndarray
            Axes: the moving motors, then those of a frame.

        Raises
        ------
        InputError
            If it has no images in HDF5 files, or they cannot be read.
        """
        row = self[number]
        if row["status"] != "done":
            raise InputError("number", number, f"has no images: {row['status']} {row['reason']}")
        path = self.folder / row["file"]
        return read_images(path, row["group"], row["row"])


def sweep(
    description: Experiment | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    axes: Mapping[str, Sequence[Any]] | None = None,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> SweepTable:
    """Simulate many experiments into a folder, in parallel.

    Parameters
    ----------
    description : Experiment or path
        The base experiment of which `axes` vary, or the file of a manifest.
    folder : path-like
        Gets the images and tables, as from ``weakbeam sweep``.
    axes : mapping of str to sequence, optional
        Values of each key that varies, such as ``{"beam.energy_keV": [16, 17]}``; all
        combinations are simulated, the first key being the slowest.
    workers : int, optional
        Processes; as many as there are cores unless given.
    resume, overwrite : bool
        Go on with, or replace, a sweep that is in the folder.

    Returns
    -------
    SweepTable

    Raises
    ------
    InputError
        If the description is none, the folder holds a sweep, or no experiment is possible.
    RunError
        If the disk is full.

    Examples
    --------
    >>> import weakbeam as wb
    >>> energies = {"beam.energy_keV": [16.5, 17.0, 17.5]}
    >>> table = wb.sweep(wb.Experiment(), "energies", axes=energies)  # doctest: +SKIP
    >>> table.images(1).shape  # doctest: +SKIP
    (170, 510)
    """
    described = _described(description, axes)
    options = described.manifest.executor
    if workers is not None:
        options = options.replace(workers=workers)
    run_sweep(described, folder, options, resume=resume, overwrite=overwrite)
    place = Path(folder)
    return SweepTable(place, _rows(described, place))


def _described(
    description: Experiment | str | os.PathLike[str], axes: Mapping[str, Sequence[Any]] | None
) -> Sweep:
    if not isinstance(description, Experiment):
        if axes is not None:
            raise InputError("axes", None, "belong to an experiment; a manifest has its own")
        return read_sweep(description)
    if not axes:
        raise InputError("axes", None, "missing; a sweep needs a key that varies")
    listed = [{"key": key, "values": [*values]} for key, values in axes.items()]
    return parse_sweep(
        {"experiment": parse_toml(description.to_toml(), "experiment"), "axes": listed}
    )


def _rows(described: Sweep, folder: Path) -> list[dict[str, Any]]:
    found = contents(SweepFolder(folder), described)
    rows = []
    for task in described.tasks():
        row: dict[str, Any] = {"number": task.number, **task.settings}
        row |= {"status": "missing", "reason": "", "file": None, "group": None, "row": None}
        if task.number in found.places:
            file, group, at, _ = found.places[task.number]
            row |= {"status": "done", "file": f"shards/{file}", "group": group, "row": at}
        elif task.number in found.failures:
            row |= {"status": "failed", "reason": found.failures[task.number].reason}
        rows.append(row)
    return rows
