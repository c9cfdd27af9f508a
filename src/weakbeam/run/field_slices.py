"""What a file with deformation on a grid holds, in lines, numbers and slices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble.gridded import GridOfFile, deformation, quaternion_of
from weakbeam.core.arrays import Floats
from weakbeam.defects.gridded import (
    Box,
    RegularGrid,
    lattice_gradient,
    mean_orientation,
    slabs,
)
from weakbeam.errors import InputError, naming
from weakbeam.io.damask import (
    FORMAT,
    DamaskResult,
    check_increment,
    grains_of,
    is_damask,
    lattice_part,
    phase_rows,
    read_result,
)
from weakbeam.io.field_file import is_npz, open_field
from weakbeam.io.xdmf import is_xdmf
from weakbeam.plot.drawing import Drawing
from weakbeam.plot.panels import Panel
from weakbeam.plot.slices import AXES

_TENSOR = [f"{row}{column}" for row in "xyz" for column in "xyz"]
_STRAINS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_MOST_GRAINS = 30
"""Grains that are listed."""


@dataclass(frozen=True)
class Grain:
    """A grain of a result.

    Parameters
    ----------
    phase : str
        Its phase.
    number : int
        Its number among those of the phase.
    cells : int
        How many it has.
    quaternion : tuple of 4 float
        Its mean orientation: w, x, y, z of the rotation from the grid's axes to the crystal's.
    """

    phase: str
    number: int
    cells: int
    quaternion: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ShownField:
    """Deformation in a file.

    Parameters
    ----------
    name : str
        Of the file.
    format, quantity : str
        What it is.
    grid : RegularGrid
        Its points, in `unit`.
    unit : str
        "µm", or "points" where the file has no spacing.
    lit : float
        Share of the voxels that diffract.
    largest : float
        Largest component of β.
    grains : tuple of Grain
        Those of a DAMASK result.
    increment : int or None
        The one that is shown, of `increments`.
    increments : tuple of int
        All of them.
    middle : dict of str to (n, m, 3, 3) ndarray
        β in the middle slice across each axis that has several points; rows and columns as in
        `weakbeam.plot.slices.AXES`. Of a DAMASK result relative to the mean of each grain.
    """

    name: str
    format: str
    quantity: str
    grid: RegularGrid
    unit: str
    lit: float
    largest: float
    grains: tuple[Grain, ...]
    increment: int | None
    increments: tuple[int, ...]
    middle: dict[str, Floats]

    def lines(self) -> Iterator[str]:
        """What is said of it."""
        counts = " × ".join(map(str, self.grid.shape))
        sizes = " × ".join(f"{x:.4g}" for x in self.grid.high - self.grid.low)
        yield f"{self.format}: {self.quantity} at {counts} points, {sizes} {self.unit}"
        if self.increments:
            listed = ", ".join(map(str, self.increments))
            yield f"increments  {listed}; shown: {self.increment}"
        for grain in self.grains[:_MOST_GRAINS]:
            quaternion = ", ".join(f"{x:.5f}" for x in grain.quaternion)
            yield (
                f"phase {grain.phase}, grain {grain.number}  {grain.cells} cells, mean orientation "
                f"{quaternion}"
            )
        if len(self.grains) > _MOST_GRAINS:
            yield f"and {len(self.grains) - _MOST_GRAINS} more grains"
        if self.lit < 1.0:
            yield f"{100.0 * self.lit:.3g} % of the voxels diffract"
        relative = ", relative to the mean of each grain" if self.grains else ""
        yield f"largest component of β  {self.largest:.3g}{relative}"

    def numbers(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "format": self.format,
            "quantity": self.quantity,
            "points": list(self.grid.shape),
            "origin": self.grid.origin.tolist(),
            "spacing": self.grid.spacing.tolist(),
            "unit": "um" if self.unit == "µm" else self.unit,
            "increment": self.increment,
            "increments": list(self.increments),
            "grains": [
                {
                    "phase": grain.phase,
                    "grain": grain.number,
                    "cells": grain.cells,
                    "quaternion": list(grain.quaternion),
                }
                for grain in self.grains
            ],
            "diffracting": self.lit,
            "largest": self.largest,
        }

    def drawings(self) -> dict[str, Drawing]:
        """Figures: β, and rotation and strain, in the middle slice across each axis."""
        made = {}
        for across, beta in self.middle.items():
            right, vertical, _ = AXES[across]
            places = tuple(self._places(name) for name in (vertical, right))
            at = self._places(across)
            # Without what rounding leaves of 0.
            middle = round(float(at[at.size // 2] / self._step(across)), 6) * self._step(across)
            title = f"{self.name}, slice at {across} = {middle:.4g} {self.unit}"
            note = "components along the axes of the grid"
            note += ", relative to the mean of each grain" if self.grains else ""
            for name, panels in (
                ("gradient", _gradient_panels(beta)),
                ("rotation-strain", _rotation_panels(beta)),
            ):
                made[f"{name}-{across}"] = Drawing(
                    "weakbeam.plot.slices.slices_figure",
                    (panels, across, places),
                    {"unit": self.unit, "title": title, "note": note},
                )
        return made

    def _step(self, axis: str) -> float:
        return float(self.grid.spacing["xyz".index(axis)])

    def _places(self, axis: str) -> Floats:
        k = "xyz".index(axis)
        return np.asarray(
            self.grid.origin[k] + self.grid.spacing[k] * np.arange(self.grid.shape[k])
        )


def shown_field(
    path: str, *, increment: int | None = None, mask: str | None = None, grain: int | None = None
) -> ShownField:
    """Read what a file holds, as far as it is shown.

    Parameters
    ----------
    path : str
        The file.
    increment, mask, grain
        As in the experiment file; of a DAMASK result all phases and grains are shown unless one is
        named.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not (is_npz(path) or is_xdmf(path)) and is_damask(path) and mask is None and grain is None:
        return _shown_result(path, increment)
    try:
        file = open_field(path, "field", None, None, increment, mask, grain)
    except InputError as error:
        raise InputError(error.key.rpartition(".")[2], error.value, error.allowed) from None
    grid, unit = file.grid, "µm"
    if not np.isfinite(grid.spacing).all():
        grid, unit = RegularGrid(grid.shape, np.zeros(3), np.ones(3)), "points"
    elif not np.isfinite(grid.origin).all():
        grid = RegularGrid(grid.shape, np.zeros(3), grid.spacing)
    reference = np.eye(3)
    if file.has_orientation:
        with naming("file", path):
            reference = mean_orientation(lambda box: deformation(file, box), file.lit, grid)
    source = GridOfFile(file, grid, reference, key="file")
    lit, largest = 0, 0.0
    for box in slabs(grid):
        beta = source.read(box)
        good = np.isfinite(beta).all(axis=(-2, -1))
        lit += int(good.sum())
        largest = max(largest, float(np.abs(beta[good]).max(initial=0.0)))
    told = file.facts.get("increment")
    return ShownField(
        os.path.basename(path),
        file.format,
        file.quantity,
        grid,
        unit,
        lit / grid.points,
        largest,
        (),
        None if told is None else int(told),
        (),
        {name: _laid_out(name, source.read(box)) for name, box in _middles(grid).items()},
    )


def _shown_result(path: str, increment: int | None) -> ShownField:
    """All grains of all phases of a DAMASK result that have a lattice part."""
    result = read_result(path, "file")
    if increment is None:
        increment = result.increments[-1]
    check_increment(result, increment, "increment")
    parts = [
        _Phase(path, result, number, increment)
        for number in lattice_part(path, "file", result, increment)
    ]
    lit = sum(part.cells for part in parts)
    largest = max(part.largest for part in parts)
    middle = {}
    for name, box in _middles(result.grid).items():
        beta = np.full((*result.phase[box].shape, 3, 3), np.nan)
        for part in parts:
            own = part.gradient(box)
            there = np.isfinite(own).all(axis=(-2, -1))
            beta[there] = own[there]
        middle[name] = _laid_out(name, beta)
    return ShownField(
        os.path.basename(path),
        FORMAT,
        "lattice_F",
        result.grid,
        "µm",
        lit / result.grid.points,
        largest,
        tuple(grain for part in parts for grain in part.grains),
        increment,
        result.increments,
        middle,
    )


class _Phase:
    """A phase of a result: its grains, and β relative to the mean of each."""

    def __init__(self, path: str, result: DamaskResult, number: int, increment: int) -> None:
        self._read = phase_rows(path, "file", result, number, increment)
        self._labels, counts = grains_of(path, "file", result, number)
        means = np.zeros((len(counts), 9))
        for box in slabs(result.grid):
            labels = self._labels[box].ravel()
            values = self._read(box).reshape(-1, 9)[labels >= 0]
            for component in range(9):
                means[:, component] += np.bincount(
                    labels[labels >= 0], values[:, component], minlength=len(counts)
                )
        left, _, right = np.linalg.svd(means.reshape(-1, 3, 3))
        self._rotations = left @ right
        name = result.phases[number]
        self.cells = sum(counts)
        self.grains = [
            Grain(name, k, count, tuple(quaternion_of(self._rotations[k])))
            for k, count in enumerate(counts)
        ]
        self.largest = max(
            float(np.nanmax(np.abs(self.gradient(box)), initial=0.0)) for box in slabs(result.grid)
        )

    def gradient(self, box: Box) -> NDArray[Any]:
        """β of a part; NaN in other phases."""
        labels = self._labels[box]
        beta = np.full((*labels.shape, 3, 3), np.nan)
        mine = labels >= 0
        turned = self._read(box)[mine] @ np.swapaxes(self._rotations[labels[mine]], -1, -2)
        beta[mine] = lattice_gradient(turned, np.eye(3))
        return beta


def _middles(grid: RegularGrid) -> dict[str, Box]:
    """The middle layer across each axis that has several points, z first."""
    boxes = {}
    for name in "zyx":
        k = "xyz".index(name)
        others = [count for axis, count in enumerate(grid.shape) if axis != k]
        if min(others) > 1 or name == "z":
            box = list(grid.whole)
            box[k] = slice(grid.shape[k] // 2, grid.shape[k] // 2 + 1)
            boxes[name] = (box[0], box[1], box[2])
    return boxes


def _laid_out(across: str, beta: NDArray[Any]) -> Floats:
    """A layer with its rows along what is vertical in a picture."""
    right, vertical, _ = AXES[across]
    order = ["xyz".index(name) for name in (across, vertical, right)]
    return np.asarray(np.moveaxis(beta, order, (0, 1, 2))[0], dtype=np.float64)


def _gradient_panels(beta: Floats) -> list[Panel]:
    factor, unit = _unit(beta, "10⁻³", "10⁻⁶")
    return [
        Panel(f"β {name}", factor * beta[..., k // 3, k % 3], f"β ({unit})", diverging=True)
        for k, name in enumerate(_TENSOR)
    ]


def _rotation_panels(beta: Floats) -> list[Panel]:
    vectors, strain = rotation_and_strain(beta)
    factor, unit = _unit(vectors, "mrad", "µrad")
    panels = [
        Panel(f"rotation about {name}", factor * vectors[..., k], f"rotation ({unit})", True)
        for k, name in enumerate("xyz")
    ]
    factor, unit = _unit(strain, "10⁻³", "10⁻⁶")
    return panels + [
        Panel(f"strain {'xyz'[i]}{'xyz'[j]}", factor * strain[..., i, j], f"strain ({unit})", True)
        for i, j in _STRAINS
    ]


def rotation_and_strain(beta: Floats) -> tuple[Floats, Floats]:
    """Rotation vector (rad) and strain of F = 1 + β = R (1 + ε), of any size.

    Parameters
    ----------
    beta : (..., 3, 3) ndarray
        NaN where there is nothing.

    Returns
    -------
    vector : (..., 3) ndarray
    strain : (..., 3, 3) ndarray
    """
    good = np.asarray(np.isfinite(beta).all(axis=(-2, -1)))
    inside = np.where(good[..., None, None], beta, 0.0)
    left, stretch, right = np.linalg.svd(np.eye(3) + inside)
    turn = left @ right
    strain = np.swapaxes(right, -1, -2) @ ((stretch - 1.0)[..., None] * right)
    sine = 0.5 * np.stack(
        [turn[..., i, j] - turn[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0))], axis=-1
    )
    size = np.linalg.norm(sine, axis=-1)
    angle = np.arctan2(size, 0.5 * (np.trace(turn, axis1=-2, axis2=-1) - 1.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        vector = sine * np.where(size > 1e-12, angle / size, 1.0)[..., None]
    return (
        np.where(good[..., None], vector, np.nan),
        np.where(good[..., None, None], strain, np.nan),
    )


def _unit(values: Floats, thousandth: str, millionth: str) -> tuple[float, str]:
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    return (1e3, thousandth) if largest > 1e-4 else (1e6, millionth)
