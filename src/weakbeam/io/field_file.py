"""Deformation on a regular grid, read from files: DAMASK results, XDMF, arrays in npz or HDF5."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.core.memory import lacking_memory
from weakbeam.defects.gridded import RegularGrid
from weakbeam.errors import InputError
from weakbeam.io import guard
from weakbeam.io.damask import is_damask, open_damask
from weakbeam.io.field_data import (
    NAMES,
    SHAPES,
    FieldFile,
    Quantity,
    Selection,
    layout_of,
    part_of,
    refuse_extra,
)
from weakbeam.io.xdmf import is_xdmf, open_xdmf

_STRAIN = "strain"
_SPACING, _ORIGIN = "spacing_um", "origin_um"

_UM = {"": 1.0, "m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "angstrom": 1e-4}
"""Lengths in µm, by the attribute `unit` or `units` of a data set."""


def open_field(
    path: str,
    key: str,
    quantity: Quantity | None = None,
    dataset: str | None = None,
    increment: int | None = None,
    mask: str | None = None,
    grain: int | None = None,
) -> FieldFile:
    """Open a file with deformation on a regular grid; its arrays are read later.

    Parameters
    ----------
    path : str
        The file: a result of DAMASK, XDMF with HDF5 beside it, or arrays in .npz or HDF5.
    key : str
        What names its table, for messages.
    quantity : {"lattice_F", "beta", "u", "orientation"}, optional
        What to read; what the file has unless given.
    dataset : str, optional
        Name of the array; that of the quantity unless given.
    increment : int, optional
        Increment of a DAMASK result; the last unless given.
    mask : str, optional
        Phase of a DAMASK result; otherwise name of an array that is 0 where nothing diffracts.
    grain : int, optional
        Grain of a DAMASK result; otherwise the value in the mask of what diffracts.

    Raises
    ------
    InputError
        If it cannot be read, or it is not clear what of it is meant.
    """
    selection = Selection(quantity, dataset, increment, mask, grain)
    if is_xdmf(path):
        return open_xdmf(path, key, selection)
    if not is_npz(path) and is_damask(path):
        return open_damask(path, key, selection)
    return _open_arrays(path, key, selection)


def is_field(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds deformation on a grid, by its name and what is at its top."""
    name = os.fspath(path)
    if is_xdmf(name) or is_npz(name):
        return True
    if not h5py.is_hdf5(name):
        return False
    if is_damask(name):
        return True
    try:
        with guard.reading(name) as file:
            return any(
                one in file and isinstance(file[one], h5py.Dataset)
                for names in NAMES.values()
                for one in names
            )
    except InputError:
        return False


def is_npz(path: str) -> bool:
    """Whether a file is called like numpy's archives."""
    return path.lower().endswith(".npz")


class _Arrays(Protocol):
    """Arrays of a file by their names."""

    format: str

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every array of numbers."""

    def unit(self, name: str) -> str:
        """Unit of an array; "" if none is told."""

    def read(self, name: str, which: Any) -> NDArray[Any]:
        """A part of an array."""


class _Npz:
    """Arrays of an .npz, each of which is read as a whole."""

    format = "file of arrays"

    def __init__(self, path: str, key: str) -> None:
        self.path, self.key = path, key

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                if told := lacking_memory(sum(info.file_size for info in archive.infolist())):
                    raise InputError(self.key, self.path, told)
                with np.load(self.path, allow_pickle=False) as arrays:
                    yield arrays
        except OSError as error:
            reason = error.strerror or error
            raise InputError(self.key, self.path, f"cannot be read: {reason}") from None
        except InputError:
            raise
        except Exception as error:
            # Of damaged heads numpy tells in many ways, those of Python's own parser among them.
            raise InputError(self.key, self.path, f"is no readable .npz ({error})") from None

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See :class:`_Arrays`."""
        with self._opened() as arrays:
            found = {}
            for name in arrays.files:
                # The head of a member tells its shape.
                with arrays.zip.open(f"{name}.npy") as member:
                    version = np.lib.format.read_magic(member)
                    head = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, kind = head(member)
                    if kind.kind in "fiub":
                        found[name] = shape
            return found

    def unit(self, name: str) -> str:
        """See :class:`_Arrays`."""
        return ""

    def read(self, name: str, which: Any) -> NDArray[Any]:
        """See :class:`_Arrays`."""
        with self._opened() as arrays:
            return np.asarray(arrays[name][which])


class _Hdf5:
    """Data sets at the top of an HDF5 file, or by their paths."""

    format = "HDF5 file of arrays"

    def __init__(self, path: str, key: str) -> None:
        self.path, self.key = path, key

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """See :class:`_Arrays`."""
        found: dict[str, tuple[int, ...]] = {}

        def add(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset) and node.dtype.kind in "fiub":
                found[name] = tuple(node.shape or ())

        with guard.reading(self.path, self.key) as file:
            file.visititems(add)
        return found

    def unit(self, name: str) -> str:
        """See :class:`_Arrays`."""
        with guard.reading(self.path, self.key) as file:
            data = guard.dataset(file, name)
            return guard.attribute(data, "units", "") or guard.attribute(data, "unit", "")

    def read(self, name: str, which: Any) -> NDArray[Any]:
        """See :class:`_Arrays`."""
        with guard.reading(self.path, self.key) as file:
            return part_of(guard.dataset(file, name, kinds="fiub"), which)


def _open_arrays(path: str, key: str, selection: Selection) -> FieldFile:
    quantity, dataset, increment, mask, grain = selection
    file_key = f"{key}.file"
    arrays: _Arrays = _Npz(path, file_key) if is_npz(path) else _Hdf5(path, file_key)
    shapes = arrays.shapes()
    refuse_extra(key, arrays.format, "it has no increments", increment=increment)
    listed = ", ".join(list(shapes)[:12]) or "none"
    name, kind = _chosen(key, path, shapes, quantity, dataset, listed)
    layout = layout_of(shapes[name], kind)
    if layout is None:
        needs = " or ".join(f"(nx, ny, nz, {str(at)[1:-1].rstrip(',')})" for at in SHAPES[kind])
        told = f"{name} has the shape {shapes[name]}; {kind} needs {needs}"
        raise InputError(file_key, path, told)
    shape = layout.points
    folder = name.rpartition("/")[0]

    def beside(wanted: str) -> str | None:
        return next(
            (one for one in (f"{folder}/{wanted}".lstrip("/"), wanted) if one in shapes), None
        )

    def lengths(wanted: str) -> Floats:
        place = beside(wanted)
        if place is None:
            return np.full(3, np.nan)
        values = np.asarray(arrays.read(place, ...), dtype=np.float64)
        if values.size not in (1, 3) or not np.isfinite(values).all():
            raise InputError(file_key, path, f"{place} is neither one number nor three")
        return np.array(np.broadcast_to(values.ravel(), (3,)))

    scale = 1.0
    if kind == "u":
        unit = arrays.unit(name)
        if unit not in _UM:
            raise InputError(file_key, path, f"{name} has the unit {unit!r}, which is no length")
        scale = _UM[unit]
    read_strain = None
    if kind == "orientation" and (strain := beside(_STRAIN)) is not None:
        its = layout_of(shapes[strain], "beta")
        if its is None or its.points != shape:
            told = f"{strain} has the shape {shapes[strain]}, and {name} {shapes[name]}"
            raise InputError(file_key, path, told)
        read_strain = its.reader(partial(arrays.read, strain))
    return FieldFile(
        arrays.format,
        kind,
        name,
        RegularGrid(shape, lengths(_ORIGIN), lengths(_SPACING)),
        layout.reader(partial(arrays.read, name), scale),
        read_strain,
        _lit(arrays, key, shapes, shape, mask, grain, listed),
        has_orientation=kind == "orientation",
    )


def _chosen(
    key: str,
    path: str,
    shapes: Mapping[str, tuple[int, ...]],
    quantity: Quantity | None,
    dataset: str | None,
    listed: str,
) -> tuple[str, Quantity]:
    """The array that is meant, and what it is."""
    known = {
        name: kind
        for kind, names in NAMES.items()
        for name in names
        if quantity in (None, kind) and name in shapes
    }
    if dataset is not None:
        if dataset not in shapes:
            raise InputError(f"{key}.dataset", dataset, f"is not in {path}; there are {listed}")
        last = dataset.rpartition("/")[2]
        kind = quantity or next((k for k, names in NAMES.items() if last in names), None)
        if kind is None:
            raise InputError(f"{key}.quantity", None, f"missing; it does not tell what {last} is")
        return dataset, kind
    if len(known) != 1:
        wanted = " or ".join(NAMES[quantity]) if quantity else "F, beta, u and orientation"
        told = "names none" if not known else f"names {', '.join(known)}"
        raise InputError(
            f"{key}.dataset",
            None,
            f"missing; of {wanted} the file {told} (it has {listed})",
        )
    ((name, kind),) = known.items()
    return name, kind


def _lit(
    arrays: _Arrays,
    key: str,
    shapes: Mapping[str, tuple[int, ...]],
    shape: tuple[int, int, int],
    mask: str | None,
    grain: int | None,
    listed: str,
) -> NDArray[np.bool_] | None:
    """Which voxels a mask lets diffract."""
    if mask is None:
        if grain is not None:
            raise InputError(f"{key}.grain", grain, "needs mask, the array with these numbers")
        return None
    if mask not in shapes:
        raise InputError(f"{key}.mask", mask, f"is no array of the file; there are {listed}")
    values = arrays.read(mask, ...)
    if values.size != np.prod(shape):
        raise InputError(f"{key}.mask", mask, f"has the shape {values.shape}, and the grid {shape}")
    values = values.reshape(shape)
    lit = np.asarray(values != 0 if grain is None else values == grain)
    if not lit.any():
        raise InputError(f"{key}.grain", grain, f"is nowhere in {mask}")
    return lit
