"""Results of DAMASK on a grid: the layout of DADF5 files, as their documentation has it.

https://damask-multiphysics.org/documentation/file_formats/hdf5_file.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Ints
from weakbeam.defects.gridded import RegularGrid, slabs
from weakbeam.errors import InputError
from weakbeam.io import guard
from weakbeam.io.field_data import TENSOR, FieldFile, Rows, Selection, refuse_extra

FORMAT = "DAMASK result"
_UM_PER_M = 1e6
_VERSION = "DADF5_version_major"
_INCREMENT = re.compile(r"increment_(\d+)")

_SAME_ORIENTATION = 1e-6
"""Cells whose F_e differs by less at the first increment are one grain."""


@dataclass(frozen=True, eq=False)
class DamaskResult:
    """What a result holds beside its fields.

    Parameters
    ----------
    grid : RegularGrid
        Middles of the cells, undeformed.
    increments : tuple of int
        Those that were written, in order.
    phases : tuple of str
        Names of the phases.
    phase : (nx, ny, nz) ndarray of int
        Number of each cell's phase.
    entry : (nx, ny, nz) ndarray of int
        Row of each cell in the data sets of its phase.
    """

    grid: RegularGrid
    increments: tuple[int, ...]
    phases: tuple[str, ...]
    phase: Ints
    entry: Ints

    def rows(self, phase: int) -> Ints:
        """Row of each cell that has a phase; -1 for others."""
        return np.where(self.phase == phase, self.entry, -1)


def is_damask(path: str) -> bool:
    """Whether a file is a result of DAMASK."""
    try:
        with guard.reading(path) as file:
            return _VERSION in file.attrs
    except InputError:
        return False


def read_result(path: str, key: str) -> DamaskResult:
    """Read what a result holds.

    Raises
    ------
    InputError
        If it is damaged, of a mesh, or has cells of several constituents.
    """
    with guard.reading(path, key) as file:
        geometry = guard.group(file, "geometry")
        if "cells" not in geometry.attrs and "cells" not in geometry:
            raise InputError(
                key,
                path,
                "is a DAMASK result of a mesh; only those of a grid are read: interpolate F_e onto "
                "a regular grid and give it as lattice_F of shape (nx, ny, nz, 3, 3) in an .npz",
            )
        cells, size, origin = (_of(geometry, name) for name in ("cells", "size", "origin"))
        if cells.shape != (3,) or not (cells >= 1).all() or not (size > 0).all():
            raise guard.Fault("/geometry", "has no three numbers of cells and sizes")
        shape = tuple(int(count) for count in cells)
        mapping = guard.dataset(file, "cell_to/phase", kinds="V", ndim=2)
        if mapping.shape[1] != 1:
            raise InputError(
                key,
                path,
                f"has {mapping.shape[1]} constituents in a cell, each with a lattice of its own; "
                "only results with one are read",
            )
        if mapping.shape[0] != np.prod(shape):
            raise guard.Fault("/cell_to/phase", f"has {mapping.shape[0]} rows for {shape} cells")
        labels, entries = mapping["label"][:, 0], mapping["entry"][:, 0].astype(np.int64)
        found = sorted(int(m[1]) for name in file if (m := _INCREMENT.fullmatch(name)))
    if not found:
        raise InputError(key, path, "is a DAMASK result without increments")
    names, phase = np.unique(labels, return_inverse=True)
    step = _UM_PER_M * size / cells

    def placed(values: NDArray[Any]) -> Ints:
        # x runs fastest.
        return np.ascontiguousarray(values.reshape(shape, order="F"), dtype=np.int64)

    return DamaskResult(
        RegularGrid(shape, _UM_PER_M * origin + 0.5 * step, step),  # type: ignore[arg-type]
        tuple(found),
        tuple(name.decode(errors="replace") for name in names.tolist()),
        placed(phase),
        placed(entries),
    )


def open_damask(path: str, key: str, selection: Selection) -> FieldFile:
    """The lattice part of the deformation gradient at one increment of a result.

    Parameters
    ----------
    path : str
        The file.
    key : str
        What names its table, for messages.
    selection : Selection
        What of it is meant; `dataset` and other quantities than lattice_F are refused.

    Raises
    ------
    InputError
        If the result lacks F_e, or it is not clear which crystal of it is meant.
    """
    quantity, dataset, increment, mask, grain = selection
    file_key = f"{key}.file"
    why = "it is read for its lattice part F_e; F holds the slip as well"
    refuse_extra(key, FORMAT, why, dataset=dataset)
    if quantity not in (None, "lattice_F"):
        refuse_extra(key, FORMAT, why, quantity=quantity)
    result = read_result(path, file_key)
    if increment is None:
        increment = result.increments[-1]
    else:
        check_increment(result, increment, f"{key}.increment")
    names = ", ".join(result.phases)
    lattice_part(path, file_key, result, increment)
    if mask is None and len(result.phases) > 1:
        raise InputError(
            f"{key}.mask", None, f"missing; name the phase that is this crystal, of {names}"
        )
    if mask is not None and mask not in result.phases:
        raise InputError(f"{key}.mask", mask, f"is no phase of this result; there are {names}")
    number = 0 if mask is None else result.phases.index(mask)
    name = _lattice_name(path, file_key, result, number, increment)
    rows = result.rows(number)
    lit = rows >= 0
    labels, cells = grains_of(path, file_key, result, number)
    if grain is None and len(cells) > 1:
        raise InputError(
            f"{key}.grain",
            None,
            f"missing; there are {len(cells)} grains, by the orientation at increment "
            f"{result.increments[0]}, of {_listed(cells)} cells: weakbeam show tells more",
        )
    if grain is not None:
        if grain >= len(cells):
            raise InputError(f"{key}.grain", grain, f"must be from 0 to {len(cells) - 1}")
        lit &= labels == grain
    return FieldFile(
        FORMAT,
        "lattice_F",
        name,
        result.grid,
        Rows(path, file_key, name, rows, TENSOR),
        lit=lit,
        has_orientation=True,
        facts={"increment": str(increment), "phase": result.phases[number]},
    )


def grains_of(path: str, key: str, result: DamaskResult, phase: int) -> tuple[Ints, list[int]]:
    """Grains of a phase: cells that had one orientation at the first increment.

    Returns
    -------
    labels : (nx, ny, nz) ndarray of int
        Number of each cell's grain, in the order in which they come in the file; -1: other phases.
    cells : list of int
        How many each has.
    """
    read = phase_rows(path, key, result, phase, result.increments[0])
    # One number for the nine; that two orientations share one is as good as impossible.
    factors = np.random.default_rng(1).integers(1, 2**62, 9)
    mixed = np.zeros(result.grid.shape, np.int64)
    for box in slabs(result.grid):
        values = np.nan_to_num(read(box)).clip(-1e3, 1e3).reshape(-1, 9) / _SAME_ORIENTATION
        mixed[box] = (np.rint(values).astype(np.int64) @ factors).reshape(mixed[box].shape)
    mine = (read.index >= 0).ravel(order="F")
    _, first, member, counts = np.unique(
        mixed.ravel(order="F")[mine], return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    labels = np.full(mixed.size, -1)
    labels[mine] = np.argsort(order)[member]
    return labels.reshape(mixed.shape, order="F"), counts[order].tolist()


def _lattice_name(path: str, key: str, result: DamaskResult, phase: int, increment: int) -> str:
    """Where F_e of a phase is; refused in one line if it is not there."""
    group, have = _mechanical(path, key, result.phases[phase], increment)
    if "F_e" not in have:
        raise _without_lattice_part(path, key, f" of the phase {result.phases[phase]}", have)
    return f"{group}/F_e"


def lattice_part(path: str, key: str, result: DamaskResult, increment: int) -> list[int]:
    """The phases that have F_e at an increment; a result without any is refused."""
    have = [_mechanical(path, key, name, increment)[1] for name in result.phases]
    found = [number for number, names in enumerate(have) if "F_e" in names]
    if not found:
        raise _without_lattice_part(path, key, "", set().union(*have))
    return found


def phase_rows(path: str, key: str, result: DamaskResult, phase: int, increment: int) -> Rows:
    """What reads F_e of a phase at an increment."""
    place = _lattice_name(path, key, result, phase, increment)
    return Rows(path, key, place, result.rows(phase), TENSOR)


def check_increment(result: DamaskResult, increment: int, key: str) -> None:
    """Refuse an increment that was not written."""
    if increment not in result.increments:
        told = f"was not written; there are {_listed(result.increments)}"
        raise InputError(key, increment, told)


def _mechanical(path: str, key: str, phase: str, increment: int) -> tuple[str, set[str]]:
    """Where a phase has its mechanical fields, and their names."""
    group = f"increment_{increment}/phase/{phase}/mechanical"
    with guard.reading(path, key) as file:
        return group, set(guard.group(file, group)) if group in file else set()


def _without_lattice_part(path: str, key: str, which: str, have: set[str]) -> InputError:
    lacks = "has F, which holds the slip too, but no F_e" if "F" in have else "has no F_e"
    return InputError(
        key,
        path,
        f"{lacks}{which}; let DAMASK write it: output: [F, F_e, F_p, O] under phase, mechanical of "
        "the material file",
    )


def _of(geometry: h5py.Group, name: str) -> NDArray[Any]:
    """Three numbers that are an attribute, or in later versions a data set too."""
    if name in geometry.attrs:
        values = np.asarray(geometry.attrs[name], dtype=np.float64)
    else:
        values = guard.numbers(geometry, name).astype(np.float64)
    if values.shape != (3,) or not np.isfinite(values).all():
        raise guard.Fault(f"/geometry@{name}", "is not three numbers")
    return values


def _listed(values: tuple[int, ...] | list[int], most: int = 12) -> str:
    words = [str(value) for value in values[:most]]
    return ", ".join(words + [f"... {values[-1]}"] * (len(values) > most))
