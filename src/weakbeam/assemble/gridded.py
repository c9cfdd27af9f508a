"""Deformation on a grid, in the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble.placed import Column, Host, ShownLines, Sources
from weakbeam.core.arrays import Floats
from weakbeam.crystal.orientation import rotations_of_quaternions, sample_from_crystal_quaternion
from weakbeam.crystal.stiffness import point_group
from weakbeam.defects.gridded import (
    Box,
    GriddedField,
    RegularGrid,
    displacement_gradient,
    lattice_gradient,
    mean_orientation,
    rotation_of,
)
from weakbeam.errors import InputError, naming
from weakbeam.experiment.gridded import Grid

if TYPE_CHECKING:
    from weakbeam.io.field_data import FieldFile

ALIGNED_DEG = 1.0
"""By how much the lattice of a grid in the axes of the sample may be turned against the crystal."""

_STENCIL = 4
"""Points about a part of a grid that differences of a displacement take."""


@dataclass(frozen=True, eq=False)
class GridOfFile:
    """β of a file, a :class:`weakbeam.defects.gridded.GridSource`.

    Parameters
    ----------
    file : FieldFile
        What the file has.
    grid : RegularGrid
        Where its points are.
    reference : (3, 3) ndarray
        Orientation of the lattice without deformation; unity where there is none.
    spectral : bool
        How a displacement is differentiated.
    key : str
        What names the table.
    """

    file: FieldFile
    grid: RegularGrid
    reference: Floats
    spectral: bool = False
    key: str = "field"

    def read(self, box: Box) -> NDArray[Any]:
        """See :meth:`.GridSource.read`."""
        beta = self._gradient(box)
        if self.file.lit is not None:
            beta[~self.file.lit[box]] = np.nan
        return beta

    def _gradient(self, box: Box) -> NDArray[Any]:
        if self.file.quantity == "u":
            return self._of_displacement(box)
        if self.file.quantity == "beta":
            return np.array(self.file.read(box))
        return lattice_gradient(deformation(self.file, box), self.reference)

    def _of_displacement(self, box: Box) -> NDArray[Any]:
        if self.spectral:
            wide = self.grid.whole
        else:
            wide = tuple(  # type: ignore[assignment]
                slice(max(one.start - _STENCIL, 0), min(one.stop + _STENCIL, count))
                for one, count in zip(box, self.grid.shape, strict=True)
            )
        with naming(f"{self.key}.file", self.file.name):
            beta = displacement_gradient(
                self.file.read(wide),
                self.grid.spacing,
                "spectral" if self.spectral else "differences",
            )
        inner = tuple(
            slice(one.start - out.start, one.stop - out.start)
            for one, out in zip(box, wide, strict=True)
        )
        return np.ascontiguousarray(beta[inner])


def deformation(file: FieldFile, box: Box) -> NDArray[Any]:
    """F of a part of a file: the lattice's, or (1 + ε) R of its orientation R and strain ε."""
    values = file.read(box)
    if file.quantity != "orientation":
        return values
    turned = rotations_of_quaternions(values) if values.shape[-1] == 4 else values
    if file.read_strain is None:
        return turned
    return np.asarray(turned + file.read_strain(box) @ turned)


@dataclass(frozen=True, eq=False)
class PlacedGrid:
    """Deformation on a grid.

    Parameters
    ----------
    field : GriddedField
        It, in the sample frame.
    file : str
        Where it is from.
    quantity, name : str
        What the file has, and where in it.
    told : str
        What people are told of it.
    kind : str
        What the table is called.
    """

    field: GriddedField
    file: str
    quantity: str
    name: str
    told: str
    kind: str = "grid"

    @property
    def sources(self) -> Sources:
        """The field."""
        return Sources(fields=(self.field,))

    def turned(self, rotation: Floats) -> PlacedGrid:
        """The same grid in a sample that is turned."""
        return replace(self, field=self.field.turned(rotation))

    def rows(self) -> dict[str, Column]:
        """One row: which grid of which file, and where it is."""
        grid = self.field.source.grid
        return {
            "file": (np.array([self.file], dtype=np.str_), ""),
            "quantity": (np.array([self.quantity], dtype=np.str_), ""),
            "dataset": (np.array([self.name], dtype=np.str_), ""),
            "grid_points": (np.array([grid.shape], dtype=np.float64), ""),
            "grid_origin": (grid.origin[None], "um"),
            "grid_spacing": (grid.spacing[None], "um"),
            "sample_from_grid": (self.field.frame_from_grid[None], ""),
        }

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """Nothing: it has no lines."""
        return ShownLines()

    def summary(self) -> str:
        """What it is, in a few words."""
        return self.told


def place_grid(table: Grid, key: str, host: Host) -> tuple[PlacedGrid]:
    """The deformation of a file, in the sample frame.

    Raises
    ------
    InputError
        If the file cannot be read, or contradicts the table or the crystal.
    """
    from weakbeam.io.field_file import open_field

    file = open_field(
        table.file, key, table.quantity, table.dataset, table.increment, table.mask, table.grain
    )
    if file.quantity != "u" and table.derivative is not None:
        raise InputError(f"{key}.derivative", table.derivative, f"is for u, not {file.quantity}")
    grid = placed_grid(table, key, file)
    reference, how = _reference(table, key, host, file, grid)
    if file.quantity == "u" and table.derivative != "spectral":
        few = [count for count in grid.shape if 1 < count < 5]
        if few:
            told = f"{few[0]} points along an axis; differences of fourth order need five"
            raise InputError(f"{key}.file", table.file, told)
    field = GriddedField(
        GridOfFile(file, grid, reference, table.derivative == "spectral", key),
        table.outside,
        table.interpolation,
        _sample_from_grid(table, key, host, reference, how),
        f"{key}.file",
    )
    size = " × ".join(map(str, grid.shape))
    steps = " × ".join(f"{step:.4g}" for step in np.unique(grid.spacing))
    facts = "".join(f", {name} {value}" for name, value in file.facts.items())
    told = f"{size} points, {steps} µm apart, of {file.quantity} in a {file.format}{facts}"
    if how:
        quaternion = ", ".join(f"{x:.5f}" for x in quaternion_of(reference))
        told += f"; reference orientation ({how}) {quaternion}"
    return (PlacedGrid(field, table.file, file.quantity, file.name, told),)


def placed_grid(table: Grid, key: str, file: FieldFile) -> RegularGrid:
    """The points of a file where the table puts them."""
    grid = file.grid
    if table.spacing_um is not None:
        spacing = np.array(np.broadcast_to(np.array(table.spacing_um, dtype=np.float64), (3,)))
        # Where the file has a unit of its own, places follow.
        factor = np.where(np.isfinite(grid.spacing), spacing / grid.spacing, 1.0)
        grid = RegularGrid(grid.shape, factor * grid.origin, spacing)
    if not (np.isfinite(grid.spacing).all() and (grid.spacing > 0.0).all()):
        raise InputError(
            f"{key}.spacing_um", table.spacing_um, "missing; the file does not tell spacing_um"
        )
    origin = table.origin_um
    if origin is None and not np.isfinite(grid.origin).all():
        origin = "centre"
    if origin == "centre":
        origin = tuple((-grid.spacing * _middle(file, grid)).tolist())
    if origin is None:
        return grid
    return RegularGrid(grid.shape, np.array(origin, dtype=np.float64), grid.spacing)


def _middle(file: FieldFile, grid: RegularGrid) -> Floats:
    """Middle of the box about what diffracts, in points from the first one."""
    if file.lit is None or not file.lit.any():
        return 0.5 * (np.array(grid.shape) - 1.0)
    ends = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(file.lit.any(axis=others))
        ends.append(0.5 * (there[0] + there[-1]))
    return np.array(ends)


def _reference(
    table: Grid, key: str, host: Host, file: FieldFile, grid: RegularGrid
) -> tuple[Floats, str]:
    """Orientation of the lattice without deformation, and where it is from; "" for none."""
    wanted = table.reference
    if file.quantity in ("beta", "u"):
        if wanted is not None:
            shown = list(wanted) if isinstance(wanted, tuple) else wanted
            raise InputError(f"{key}.reference", shown, f"{file.quantity} has none")
        return np.eye(3), ""
    if wanted is None:
        wanted = "mean" if file.has_orientation else "none"
    if wanted == "none":
        return np.eye(3), ""
    if wanted == "mount":
        return host.sample_from_crystal, "mount"
    if wanted == "mean":
        with naming(f"{key}.file", table.file):
            return mean_orientation(lambda box: deformation(file, box), file.lit, grid), "mean"
    return sample_from_crystal_quaternion(wanted), "given"


def _sample_from_grid(table: Grid, key: str, host: Host, reference: Floats, how: str) -> Floats:
    """Rotation from the axes of the grid to those of the sample."""
    mount = host.sample_from_crystal
    if table.axes == "crystal":
        return np.asarray(mount @ reference.T)
    if how in ("mean", "given"):
        crystal = host.crystal
        group = point_group(crystal.space_group, crystal.cell)
        # The inversion changes no direction of a lattice plane.
        turns = mount.T @ reference @ (group * np.linalg.det(group)[:, None, None])
        cosine = (np.trace(turns, axis1=1, axis2=2).max() - 1.0) / 2.0
        angle = math.degrees(math.acos(min(max(float(cosine), -1.0), 1.0)))
        if angle > ALIGNED_DEG:
            raise InputError(
                f"{key}.axes",
                table.axes,
                f"the lattice of the grid is turned {angle:.3g} deg against the crystal as it is "
                'mounted; axes = "crystal" turns the grid with its lattice, or give crystal.'
                f"quaternion = {[round(x, 6) for x in quaternion_of(reference)]}",
            )
    return np.eye(3)


def quaternion_of(rotation: Floats) -> list[float]:
    """w, x, y, z of a rotation, w ≥ 0."""
    r = rotation_of(rotation)
    # The eigenvector of the largest eigenvalue is the quaternion (Bar-Itzhack 2000).
    k = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2]],
            [r[0, 2] - r[2, 0], r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2]],
            [r[1, 0] - r[0, 1], r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    vector = np.linalg.eigh(k)[1][:, -1]
    return [float(x) + 0.0 for x in vector * (-1.0 if vector[0] < 0.0 else 1.0)]
