"""Fields at the points of a regular grid, as XDMF with HDF5 beside it."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.gridded import RegularGrid
from weakbeam.errors import InputError
from weakbeam.io import guard
from weakbeam.io.field_data import NAMES, SHAPES, FieldFile, Rows, Selection, refuse_extra

FORMAT = "grid of points in XDMF"
_LARGEST_TEXT = 2**22
_EVEN = 1e-3
"""How far points may be from a regular grid, in its spacing."""


def is_xdmf(path: str) -> bool:
    """Whether a file is called like one."""
    return path.lower().endswith((".xdmf", ".xmf"))


def open_xdmf(path: str, key: str, selection: Selection) -> FieldFile:
    """The attribute of a quantity in a file whose points are those of a regular grid.

    Parameters
    ----------
    path : str
        The XML; its data are in the HDF5 file that it names, or in one that is called like itself
        if that is gone.
    key : str
        What names its table, for messages.
    selection : Selection
        What of it is meant; `dataset` and `mask` are names of attributes, and it has no increments.

    Raises
    ------
    InputError
        If it is no such file.
    """
    quantity, dataset, increment, mask, grain = selection
    file_key = f"{key}.file"
    root = _parsed(path, file_key)
    refuse_extra(key, FORMAT, "it has no increments", increment=increment)
    geometry = root.find(".//Geometry")
    if geometry is None or geometry.get("GeometryType", "XYZ") != "XYZ":
        raise InputError(file_key, path, 'must list its points: Geometry of the type "XYZ"')
    data = _Data(path, file_key)
    points = data.numbers(geometry)
    grid, index = regular(points, path, file_key)
    items = {str(node.get("Name")): node for node in root.iter("Attribute")}
    if dataset is not None:
        found = {dataset: quantity or "lattice_F"} if dataset in items else {}
    else:
        found = {
            name: kind
            for kind, names in NAMES.items()
            for name in names
            if name in items and quantity in (None, kind)
        }
    if len(found) != 1:
        meant = dataset or (" or ".join(NAMES[quantity]) if quantity else "F, beta or u")
        raise InputError(
            f"{key}.dataset",
            dataset,
            f"must name one attribute of {', '.join(items) or 'none'}; {len(found)} of them "
            f"are {meant}",
        )
    ((name, kind),) = found.items()
    place, rows = data.shape(items[name])
    if rows[0] != index.size:
        raise InputError(file_key, path, f"{name} has {rows[0]} rows for {index.size} points")
    fitting = [shape for shape in SHAPES[kind] if np.prod(shape) == np.prod(rows[1:])]
    if not fitting:
        raise InputError(
            file_key, path, f"{name} has {np.prod(rows[1:]):.0f} numbers at a point, not {kind}"
        )
    lit = None
    if mask is not None:
        if mask not in items:
            raise InputError(f"{key}.mask", mask, f"is no attribute; there are {', '.join(items)}")
        values = data.numbers(items[mask]).ravel()[index]
        lit = np.asarray(values != 0 if grain is None else values == grain)
    elif grain is not None:
        raise InputError(f"{key}.grain", grain, "needs mask, the attribute with these numbers")
    return FieldFile(
        FORMAT, kind, name, grid, Rows(data.path, file_key, place, index, fitting[0]), lit=lit
    )


def data_file(path: str) -> str | None:
    """The HDF5 file beside a file; None if there is none, or what is there cannot be read."""
    try:
        names = {name for name, _ in _places(_parsed(path, "file"))}
    except InputError:
        return None
    for name in sorted(names):
        beside = os.path.join(os.path.dirname(path), name)
        if os.path.isfile(beside):
            return beside
    alike = os.path.splitext(path)[0] + ".h5"
    return alike if os.path.isfile(alike) else None


class _Data:
    """The data of a file."""

    def __init__(self, xml: str, key: str) -> None:
        self.xml, self.key = xml, key
        found = data_file(xml)
        if found is None:
            named = sorted({name for name, _ in _places(_parsed(xml, key))})
            raise InputError(
                key,
                xml,
                f"names the file {', '.join(named) or 'of no data'}, which is not beside it",
            )
        self.path = found

    def shape(self, node: ET.Element) -> tuple[str, tuple[int, ...]]:
        """Name and shape of the data set of a node."""
        item = node.find("DataItem")
        parts = _place(item) if item is not None else None
        if parts is None:
            raise InputError(self.key, self.xml, 'must keep its data in HDF5: Format="HDF"')
        with guard.reading(self.path, self.key) as file:
            found = guard.dataset(file, parts[1], kinds="fiu")
            return parts[1], tuple(found.shape)

    def numbers(self, node: ET.Element) -> NDArray[np.float64]:
        """The values of a node."""
        place, _ = self.shape(node)
        with guard.reading(self.path, self.key) as file:
            return np.asarray(guard.numbers(file, place), dtype=np.float64)


def regular(points: Floats, path: str, key: str) -> tuple[RegularGrid, Ints]:
    """The regular grid that points (n, 3) make, in whatever order they are listed.

    Returns
    -------
    grid : RegularGrid
        The grid.
    index : (nx, ny, nz) ndarray of int
        Which of the points each one is.

    Raises
    ------
    InputError
        If they do not fill a regular grid.
    """
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise InputError(key, path, f"has points of the shape {points.shape}, not (n, 3)")
    if not np.isfinite(points).all():
        raise InputError(key, path, "has points that are nowhere")
    low, high = points.min(axis=0), points.max(axis=0)
    shape, steps, numbers = [], [], []
    for c in range(3):
        x = np.sort(points[:, c])
        gaps = np.diff(x)
        gaps = gaps[gaps > 1e-6 * (high[c] - low[c])]
        count = 1 if not gaps.size else round((high[c] - low[c]) / float(np.median(gaps))) + 1
        step = (high[c] - low[c]) / (count - 1) if count > 1 else 1.0
        number = np.rint((points[:, c] - low[c]) / step)
        if np.abs(points[:, c] - low[c] - number * step).max() > _EVEN * step:
            raise InputError(key, path, f"has points that are not evenly spaced along {'xyz'[c]}")
        shape.append(count)
        steps.append(step)
        numbers.append(number.astype(np.int64))
    index = np.full(shape, -1)
    if len(points) != index.size:
        raise InputError(
            key, path, f"has {len(points)} points, and {' × '.join(map(str, shape))} fill its grid"
        )
    index[tuple(numbers)] = np.arange(len(points))
    if index.min() < 0:
        raise InputError(key, path, "has points twice, and others not at all")
    return RegularGrid((shape[0], shape[1], shape[2]), low, np.array(steps)), index


def _parsed(path: str, key: str) -> ET.Element:
    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST_TEXT + 1)
    except OSError as error:
        raise InputError(key, path, f"cannot be read: {error.strerror or error}") from None
    if len(text) > _LARGEST_TEXT or b"<!ENTITY" in text:
        raise InputError(key, path, "is no plain XDMF: too long, or with entities of its own")
    try:
        return ET.fromstring(text)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise InputError(key, path, f"is no XDMF: {error}") from None


def _places(root: ET.Element) -> list[tuple[str, str]]:
    return [place for item in root.iter("DataItem") if (place := _place(item)) is not None]


def _place(item: ET.Element) -> tuple[str, str] | None:
    """File and data set that an item names."""
    if item.get("Format", "").upper() not in ("HDF", "HDF5"):
        return None
    name, colon, place = (item.text or "").strip().rpartition(":")
    return (name, place) if colon else None
