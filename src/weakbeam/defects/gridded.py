"""Deformation that is known on a regular grid: computed elsewhere, or measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.core.memory import check_memory_for
from weakbeam.defects import grid_loops
from weakbeam.defects.many import Bounds

Outside = Literal["perfect", "dark", "extend"]
Interpolation = Literal["linear", "cubic"]
Box = tuple[slice, slice, slice]
"""A part of a grid: which points along each axis."""

_RULES = {
    "perfect": grid_loops.PERFECT,
    "dark": grid_loops.DARK,
    "extend": grid_loops.EXTEND,
}
_ORDERS = {"linear": 1, "cubic": 3}

JUMP_DEG = 2.0
"""Turn of the lattice from voxel to voxel from which on it may be a boundary between grains."""

_BYTES_PER_POINT = 2 * 9 * 8.0
"""Of a grid while its margin is added."""


@dataclass(frozen=True)
class RegularGrid:
    """Places of the points of a regular grid.

    Parameters
    ----------
    shape : tuple of 3 int
        Points along x, y and z of the grid.
    origin : (3,) ndarray
        Where the first one is, along the axes of the grid (µm).
    spacing : (3,) ndarray
        From one to the next (µm).
    """

    shape: tuple[int, int, int]
    origin: Floats
    spacing: Floats

    @property
    def points(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    @property
    def low(self) -> Floats:
        """Outer faces of the first voxels (µm): every point is the middle of a voxel."""
        return np.asarray(self.origin - 0.5 * self.spacing)

    @property
    def high(self) -> Floats:
        """Outer faces of the last voxels (µm)."""
        return np.asarray(self.origin + (np.array(self.shape) - 0.5) * self.spacing)

    @property
    def whole(self) -> Box:
        """The part that is all of it."""
        return tuple(slice(0, count) for count in self.shape)  # type: ignore[return-value]

    def around(self, low: Floats, high: Floats, margin: int) -> Box:
        """The points that interpolation between two corners (µm) takes; at least one."""
        counts = np.array(self.shape)
        first = np.floor((low - self.origin) / self.spacing).astype(np.int64) - margin
        last = np.ceil((high - self.origin) / self.spacing).astype(np.int64) + margin
        first = np.clip(first, 0, counts - 1)
        last = np.clip(last, 0, counts - 1)
        return tuple(  # type: ignore[return-value]
            slice(a, b + 1) for a, b in zip(first.tolist(), last.tolist(), strict=True)
        )


class GriddedGradient:
    """β between the points of a regular grid.

    Parameters
    ----------
    values : (nx, ny, nz, 3, 3) array_like
        β along the axes of the grid at its points; NaN where nothing diffracts. Single precision
        is kept.
    origin, spacing : (3,) array_like
        Of the points (µm).
    lit : (nx, ny, nz) array_like of bool, optional
        Which voxels diffract, beside those that are NaN.
    outside : {"perfect", "dark", "extend"}
        What is beyond the outermost voxels: no deformation, nothing that diffracts, or what is at
        the nearest face.
    interpolation : {"linear", "cubic"}
        Linear in each of the three directions, or by cubic convolution (Keys 1981, IEEE Trans.
        Acoust. Speech Signal Process. 29, 1153), whose derivative is continuous.
    frame_from_grid : (3, 3) array_like, optional
        Rotation from the axes of the grid to the frame of the points that are asked for.
    part_of : RegularGrid, optional
        The grid that the values are a part of; outside is what is outside of it.

    Notes
    -----
    Every point of the grid is the middle of a voxel, and the voxel in which a place lies tells
    whether it diffracts. Between voxels that diffract and others, and at the faces of the grid, β
    goes on linearly (docs/explanation/physics.md, D12).
    """

    def __init__(
        self,
        values: ArrayLike,
        origin: ArrayLike,
        spacing: ArrayLike,
        *,
        lit: ArrayLike | None = None,
        outside: Outside = "perfect",
        interpolation: Interpolation = "linear",
        frame_from_grid: ArrayLike | None = None,
        part_of: RegularGrid | None = None,
    ) -> None:
        given = np.asarray(values)
        if given.dtype != np.float32:
            given = given.astype(np.float64, copy=False)
        if given.ndim != 5 or given.shape[3:] != (3, 3) or 0 in given.shape:
            raise ValueError(f"β on a grid has the shape (nx, ny, nz, 3, 3), not {given.shape}")
        shape = (given.shape[0], given.shape[1], given.shape[2])
        self.grid = RegularGrid(shape, _three(origin), _three(spacing))
        whole = part_of or self.grid
        known = np.isfinite(given).all(axis=(3, 4))
        if lit is not None:
            known &= np.asarray(lit, dtype=bool)
        self._order = _ORDERS[interpolation]
        self._values = _with_margin(given.reshape(*shape, 9), known, (self._order + 1) // 2)
        self._lit = np.zeros((0, 0, 0), np.bool_) if known.all() else known
        self._faces = whole.low, whole.high
        self._outside = _RULES[outside]
        turn = np.eye(3) if frame_from_grid is None else frame_from_grid
        self._turn = np.array(turn, dtype=np.float64).reshape(3, 3)

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        grid_loops.add_interpolated(
            gradient,
            points,
            self._values,
            self._lit,
            self.grid.origin,
            self.grid.spacing,
            *self._faces,
            self._outside,
            self._order,
            self._turn,
        )

    @cached_property
    def jumps(self) -> tuple[int, int]:
        """Pairs of neighbouring voxels that diffract, and between how many the lattice jumps.

        Across these, which turn by more than `JUMP_DEG`, β is interpolated as everywhere.
        """
        limit = 8.0 * math.sin(math.radians(0.5 * JUMP_DEG)) ** 2
        margin = (self._order + 1) // 2
        pairs, jumps = grid_loops.count_jumps(self._values, self._lit, margin, limit)
        return int(pairs), int(jumps)


class GridSource(Protocol):
    """Where β of a grid comes from, part by part."""

    @property
    def grid(self) -> RegularGrid:
        """Places of all its points."""

    def read(self, box: Box) -> NDArray[Any]:
        """β of a part, (nx, ny, nz, 3, 3), along the axes of the grid; NaN: dark."""


@dataclass(frozen=True, eq=False)
class GriddedField:
    """β of a grid that is read only as far as it is asked for.

    Parameters
    ----------
    source : GridSource
        The grid.
    outside, interpolation
        As for :class:`GriddedGradient`.
    frame_from_grid : (3, 3) ndarray
        Rotation from the axes of the grid to the frame of the field.
    key : str
        What names it where it does not fit in memory.
    """

    source: GridSource
    outside: Outside = "perfect"
    interpolation: Interpolation = "linear"
    frame_from_grid: Floats = field(default_factory=lambda: np.eye(3))
    key: str = "field"

    def turned(self, rotation: Floats) -> GriddedField:
        """The same field in a frame that is turned."""
        return replace(self, frame_from_grid=rotation @ self.frame_from_grid)

    def prepared(self, bounds: Bounds, points: int, workers: int | None) -> GriddedGradient:
        """See :meth:`.PreparedField.prepared`: the part of the grid within some bounds."""
        grid, turn = self.source.grid, self.frame_from_grid
        centre = bounds.centre @ turn
        reach = bounds.half @ np.abs(bounds.axes @ turn)
        margin = 1 + (_ORDERS[self.interpolation] + 1) // 2
        box = grid.around(centre - reach, centre + reach, margin)
        # Who asks again for the same region is not to wait for the file again.
        ends = tuple((one.start, one.stop) for one in box)
        if ends not in self._parts:
            self._parts.clear()
            self._parts[ends] = self._part(box)
        return self._parts[ends]

    @property
    def jumps(self) -> tuple[int, int]:
        """Those of :attr:`GriddedGradient.jumps` in what was last prepared, or else everywhere."""
        parts = [part.jumps for part in self._parts.values()]
        return parts[0] if parts else self._all.jumps

    @cached_property
    def _parts(self) -> dict[tuple[tuple[int, int], ...], GriddedGradient]:
        return {}

    @cached_property
    def _all(self) -> GriddedGradient:
        return self._part(self.source.grid.whole)

    def _part(self, box: Box) -> GriddedGradient:
        grid = self.source.grid
        shape = [part.stop - part.start for part in box]
        check_memory_for(
            _BYTES_PER_POINT * math.prod(shape),
            self.key,
            shape,
            "a smaller field of view reads a smaller part of the grid",
        )
        first = np.array([part.start for part in box])
        return GriddedGradient(
            self.source.read(box),
            grid.origin + first * grid.spacing,
            grid.spacing,
            outside=self.outside,
            interpolation=self.interpolation,
            frame_from_grid=self.frame_from_grid,
            part_of=grid,
        )

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`; reads the whole grid once."""
        self._all.add_to(gradient, points)


def displacement_gradient(
    displacement: ArrayLike,
    spacing: ArrayLike,
    method: Literal["differences", "spectral"] = "differences",
) -> Floats:
    """β of a displacement on a regular grid.

    Parameters
    ----------
    displacement : (nx, ny, nz, 3) array_like
        In µm.
    spacing : (3,) array_like
        From point to point (µm).
    method : {"differences", "spectral"}
        Differences of fourth order, one-sided at the faces; or by Fourier transforms, for what is
        periodic from the first point to the one behind the last.

    Returns
    -------
    (nx, ny, nz, 3, 3) ndarray
        β_ij = ∂u_i/∂x_j; no change along an axis with one point.

    Raises
    ------
    ValueError
        For an axis with two, three or four points, of which differences need five.
    """
    u = np.asarray(displacement, dtype=np.float64)
    step = _three(spacing)
    beta = np.zeros((*u.shape, 3))
    for axis in range(3):
        if u.shape[axis] > 1:
            differentiate = _spectral if method == "spectral" else _differences
            beta[..., axis] = differentiate(u, axis, float(step[axis]))
    return beta


# Fornberg (1988), Math. Comput. 51, 699: fourth order, about the first, second and third point.
_STENCILS = (
    np.array([-25.0, 48.0, -36.0, 16.0, -3.0]) / 12.0,
    np.array([-3.0, -10.0, 18.0, -6.0, 1.0]) / 12.0,
    np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12.0,
)


def _differences(u: Floats, axis: int, step: float) -> Floats:
    count = u.shape[axis]
    if count < 5:
        raise ValueError(f"{count} points along an axis; differences of fourth order need five")
    x = np.moveaxis(u, axis, 0)
    out = np.empty_like(x)
    out[2:-2] = sum(w * x[n : count - 4 + n] for n, w in enumerate(_STENCILS[2]) if w)
    for row in range(2):
        stencil = _STENCILS[row]
        out[row] = np.tensordot(stencil, x[:5], axes=1)
        out[-1 - row] = -np.tensordot(stencil, x[:-6:-1], axes=1)
    return np.moveaxis(out / step, 0, axis)


def _spectral(u: Floats, axis: int, step: float) -> Floats:
    count = u.shape[axis]
    waves = 2.0j * np.pi * np.fft.rfftfreq(count, step)
    if count % 2 == 0:
        # The highest frequency has no derivative on the points.
        waves[-1] = 0.0
    shape = [1] * u.ndim
    shape[axis] = len(waves)
    return np.fft.irfft(waves.reshape(shape) * np.fft.rfft(u, axis=axis), count, axis=axis)


def lattice_gradient(lattice_f: NDArray[Any], reference: Floats) -> NDArray[Any]:
    """β of a lattice whose deformation gradient is known from some reference orientation.

    Parameters
    ----------
    lattice_f : (..., 3, 3) ndarray
        F of the lattice, from the axes of the crystal, or from what is undeformed.
    reference : (3, 3) ndarray
        U_ref, the rotation that the undeformed crystal has.

    Returns
    -------
    (..., 3, 3) ndarray
        β = F U_refᵀ − 1.
    """
    beta = lattice_f @ reference.T.astype(lattice_f.dtype)
    for k in range(3):
        beta[..., k, k] -= 1.0
    return np.asarray(beta)


def rotation_of(deformation: ArrayLike) -> Floats:
    """The rotation R of deformation gradients F = R U (polar decomposition), (..., 3, 3)."""
    left, _, right = np.linalg.svd(np.asarray(deformation, dtype=np.float64))
    return np.asarray(left @ right)


def mean_orientation(
    read: Callable[[Box], NDArray[Any]], lit: NDArray[np.bool_] | None, grid: RegularGrid
) -> Floats:
    """The rotation of the mean deformation gradient of all voxels that diffract.

    Parameters
    ----------
    read : callable
        Gives F of a part of the grid.
    lit : (nx, ny, nz) ndarray of bool or None
        Which voxels diffract; those that are not finite do not.
    grid : RegularGrid
        The grid.

    Raises
    ------
    ValueError
        If none does.
    """
    total, count = np.zeros((3, 3)), 0
    for box in slabs(grid):
        part = read(box).reshape(-1, 3, 3)
        good = np.isfinite(part).all(axis=(1, 2))
        if lit is not None:
            good &= lit[box].ravel()
        total += part[good].sum(axis=0, dtype=np.float64)
        count += int(good.sum())
    if not count:
        raise ValueError("no voxel diffracts")
    return rotation_of(total / count)


def slabs(grid: RegularGrid, most: int = 2**18) -> list[Box]:
    """Parts of a grid of at most about so many points, one after the other along z."""
    layers = max(1, most // (grid.shape[0] * grid.shape[1]))
    x, y, _ = grid.whole
    return [
        (x, y, slice(start, min(start + layers, grid.shape[2])))
        for start in range(0, grid.shape[2], layers)
    ]


def _three(value: ArrayLike) -> Floats:
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (3,)))


def _with_margin(values: NDArray[Any], known: NDArray[np.bool_], margin: int) -> NDArray[Any]:
    """Values with some points more on every side, extrapolated like those that are not known."""
    shape = [count + 2 * margin for count in known.shape]
    inner = (slice(margin, -margin),) * 3
    wide = np.zeros((*shape, 9), values.dtype)
    wide[inner] = values
    have = np.zeros(shape, np.bool_)
    have[inner] = known
    for _ in range(margin):
        filled = have.copy()
        grid_loops.fill_next(wide, have, filled)
        have = filled
    return wide
