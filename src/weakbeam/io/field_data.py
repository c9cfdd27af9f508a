"""What a file with deformation on a grid holds, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Ints
from weakbeam.core.memory import lacking_memory
from weakbeam.defects.gridded import Box, RegularGrid
from weakbeam.errors import InputError
from weakbeam.io import guard

Quantity = Literal["lattice_F", "beta", "u", "orientation"]

NAMES: Mapping[Quantity, tuple[str, ...]] = {
    "lattice_F": ("lattice_F", "F"),
    "beta": ("beta",),
    "u": ("u",),
    "orientation": ("orientation",),
}
"""What arrays of a quantity are called unless their name is given."""

TENSOR, VECTOR, QUATERNION = (3, 3), (3,), (4,)
SHAPES: Mapping[Quantity, tuple[tuple[int, ...], ...]] = {
    "lattice_F": (TENSOR,),
    "beta": (TENSOR,),
    "u": (VECTOR,),
    "orientation": (TENSOR, QUATERNION),
}
"""What stands at every point."""

Reader = Callable[[Box], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class FieldFile:
    """Deformation on a regular grid in a file, of which parts are read when they are asked for.

    Parameters
    ----------
    format : str
        Such as "DAMASK result".
    quantity : str
        What it holds; see :data:`SHAPES`.
    name : str
        Where in the file that is.
    grid : RegularGrid
        Its points; a spacing of NaN is not known, and an origin of NaN neither.
    read : callable
        Gives a part: (nx, ny, nz, ...), in µm if it is a displacement.
    read_strain : callable, optional
        Gives the strain tensor beside an orientation.
    lit : (nx, ny, nz) ndarray of bool, optional
        Which voxels diffract; all those that are finite unless given.
    has_orientation : bool
        Whether F holds the orientation of the crystal too, and not only its change.
    facts : dict of str to str
        What else is known, for people.
    """

    format: str
    quantity: Quantity
    name: str
    grid: RegularGrid
    read: Reader
    read_strain: Reader | None = None
    lit: NDArray[np.bool_] | None = None
    has_orientation: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rows:
    """A data set of an HDF5 file with a row for each point.

    Parameters
    ----------
    path, key
        The file, and what names it in messages.
    place : str
        The data set.
    index : (nx, ny, nz) ndarray of int
        The row of each point; -1 where there is none.
    shape : tuple of int
        What a row is read as.
    """

    path: str
    key: str
    place: str
    index: Ints
    shape: tuple[int, ...]

    def __call__(self, box: Box) -> NDArray[Any]:
        """Read the rows of a part, no more of the data set than between the first and the last."""
        wanted = self.index[box]
        there = wanted >= 0
        if not there.any():
            return np.full((*wanted.shape, *self.shape), np.nan)
        first, last = int(wanted[there].min()), int(wanted.max())
        with guard.reading(self.path, self.key) as file:
            data = guard.dataset(file, self.place, kinds="fiu")
            if last >= data.shape[0] or np.prod(data.shape[1:]) != np.prod(self.shape):
                raise guard.Fault(f"/{self.place}", f"has the shape {data.shape}")
            rows = part_of(data, slice(first, last + 1))
        found = rows.reshape(-1, *self.shape)
        if there.all():
            return np.asarray(found[wanted - first], dtype=np.float64)
        out = np.full((*wanted.shape, *self.shape), np.nan)
        out[there] = found[wanted[there] - first]
        return out


def part_of(data: h5py.Dataset, which: Any) -> NDArray[Any]:
    """A part of a data set, if it fits in memory."""
    if told := lacking_memory(float(data.nbytes) if which is Ellipsis else 0.0):
        raise guard.Fault(str(data.name), told)
    return np.asarray(data[which])


@dataclass(frozen=True)
class Layout:
    """What the axes of an array are.

    Parameters
    ----------
    points : tuple of 3 int
        Points along x, y and z.
    at_point : tuple of int
        What stands at each.
    in_plane : bool
        Whether the array has no axis for z.
    """

    points: tuple[int, int, int]
    at_point: tuple[int, ...]
    in_plane: bool = False

    def reader(self, read: Callable[[Any], NDArray[Any]], scale: float = 1.0) -> Reader:
        """What reads parts of the grid, of what reads parts of the array."""

        def part(box: Box) -> NDArray[Any]:
            values = read(box[:2] if self.in_plane else box)
            counts = [one.stop - one.start for one in box]
            values = values.reshape(*counts, *self.at_point)
            if values.dtype != np.float32:
                values = values.astype(np.float64, copy=False)
            return values if scale == 1.0 else scale * values

        return part


def layout_of(shape: tuple[int, ...], quantity: Quantity) -> Layout | None:
    """The layout of an array of a shape; None if it is that of no grid.

    Tensors may be flat rows of nine, and a grid in a plane has one layer.
    """
    for at_point in SHAPES[quantity]:
        flat = (9,) if at_point == TENSOR else at_point
        for ending in dict.fromkeys((at_point, flat)):
            points = shape[: len(shape) - len(ending)]
            if shape[len(points) :] != ending or 0 in shape or len(points) not in (2, 3):
                continue
            x, y, z = (*points, 1)[:3]
            return Layout((x, y, z), at_point, len(points) == 2)
    return None


class Selection(NamedTuple):
    """What of a file is meant, as the experiment file says it; None where it does not."""

    quantity: Quantity | None = None
    dataset: str | None = None
    increment: int | None = None
    mask: str | None = None
    grain: int | None = None


def refuse_extra(key: str, format: str, why: str, **given: object) -> None:
    """Refuse keys that mean nothing to a format."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{key}.{name}", value, f"means nothing to a {format}: {why}")
