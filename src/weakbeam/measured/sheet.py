"""One grid of the sample for cameras that look at the same sheet of it from different sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.errors import InputError
from weakbeam.measured.reflection_map import ReflectionMap, camera_indices

_PARALLEL = math.radians(0.5)
"""Angle between the sheets of two settings up to which they count as one: 0.1 µm over 10 µm."""

MEAN_REDUCTION = 0.663
"""Variance of a place between pixels over that of a pixel, on average over all places."""

_MOST_PLACES = 4_000_000


@dataclass(frozen=True)
class Correction:
    """What a camera is moved by on the grid, beyond its geometry.

    Parameters
    ----------
    x, y : float
        Shift (µm).
    rotation : float
        Right-handed, about the middle (rad).
    magnification : float
        Relative change.
    """

    x: float = 0.0
    y: float = 0.0
    rotation: float = 0.0
    magnification: float = 0.0

    def taken_off(self, places: Floats) -> Floats:
        """Where the geometry alone has what is seen at places (..., 2)."""
        size = 1.0 + self.magnification
        cosine, sine = math.cos(self.rotation) / size, math.sin(self.rotation) / size
        moved = places - np.array([self.x, self.y])
        return np.stack(
            [
                cosine * moved[..., 0] + sine * moved[..., 1],
                -sine * moved[..., 0] + cosine * moved[..., 1],
            ],
            axis=-1,
        )

    def put_on(self, places: Floats) -> Floats:
        """Where what geometry has at places (..., 2) is: the inverse of :meth:`taken_off`."""
        size = 1.0 + self.magnification
        cosine, sine = math.cos(self.rotation) * size, math.sin(self.rotation) * size
        turned = [
            cosine * places[..., 0] - sine * places[..., 1],
            sine * places[..., 0] + cosine * places[..., 1],
        ]
        return np.asarray(np.stack(turned, axis=-1) + np.array([self.x, self.y]))


@dataclass(frozen=True, eq=False)
class CameraView:
    """How a camera sees the sheet.

    Parameters
    ----------
    origin : (2,) ndarray
        Place (µm) of the stored pixel 0, 0.
    steps : (2, 2) ndarray
        Rows: steps (µm) from a stored row, and from a stored column, to the next.
    shape : (int, int)
        Stored rows and columns.
    """

    origin: Floats
    steps: Floats
    shape: tuple[int, int]

    @property
    def corners(self) -> Floats:
        """The middles of the four outermost pixels, (4, 2)."""
        rows, columns = self.shape[0] - 1, self.shape[1] - 1
        index = np.array([[0, 0], [rows, 0], [rows, columns], [0, columns]], dtype=np.float64)
        return np.asarray(self.origin + index @ self.steps)

    def indices(self, places: Floats) -> Floats:
        """Stored row and column, between pixels too, that see places (..., 2)."""
        return np.asarray((places - self.origin) @ np.linalg.inv(self.steps))

    @property
    def pitch(self) -> float:
        """Side (µm) of the square with the area of a pixel."""
        return math.sqrt(abs(float(np.linalg.det(self.steps))))


@dataclass(frozen=True, eq=False)
class Sheet:
    """A grid on the sheet that all reflections see.

    Parameters
    ----------
    axes : (3, 3) ndarray
        Rows: x and y of the grid and the normal, in the sample frame of the first reflection.
    x, y : (n,) ndarray
        Coordinates (µm) of the columns and rows of the maps, increasing.
    views : tuple of CameraView
        One for each reflection.
    """

    axes: Floats
    x: Floats
    y: Floats
    views: tuple[CameraView, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (y) and columns (x)."""
        return len(self.y), len(self.x)

    @property
    def step(self) -> float:
        """Distance (µm) of two places."""
        return float(self.x[1] - self.x[0])

    @property
    def places(self) -> Floats:
        """All places, (rows, columns, 2)."""
        return np.stack(np.meshgrid(self.x, self.y), axis=-1)


def sheet_of(maps: Sequence[ReflectionMap], step: float | None = None) -> Sheet:
    """The sheet that some reflections share, and a grid on it that covers all that any sees.

    Parameters
    ----------
    maps : sequence of ReflectionMap
        Of each reflection.
    step : float, optional
        Distance of two places (µm); by default the side of the smallest pixel.

    Raises
    ------
    InputError
        If the settings cut different sheets out of the crystal, or the grid would be huge.
    """
    first = maps[0].scan.setup
    views, normals = [], []
    for one in maps:
        setup = one.scan.setup
        # Between sample frames, which mounts of the same crystal turn against each other.
        turn = first.sample_from_crystal @ setup.sample_from_crystal.T
        grid = setup.grids[0]
        normals.append(turn @ grid.height_axis)
        rows, columns = camera_indices(one.scan)
        place = np.array([grid.row_step, grid.column_step]) @ turn.T
        here = rows[..., None] * place[0] + columns[..., None] * place[1]
        views.append(
            (
                here[0, 0],
                here[min(1, len(here) - 1), 0] - here[0, 0],
                here[0, min(1, here.shape[1] - 1)] - here[0, 0],
                one.scan.shape,
            )
        )
    normal = normals[0]
    for one, other in zip(maps[1:], normals[1:], strict=True):
        angle = math.acos(min(abs(float(normal @ other)), 1.0))
        if angle > _PARALLEL:
            raise InputError(
                "scan",
                one.scan.where,
                f"cuts the crystal {math.degrees(angle):.3g} deg off the sheet of "
                f"{maps[0].scan.name}: they share a line, not a map; reflections reached by a "
                "rotation about the vertical share one (geometry oblique)",
            )
    along = first.geometry.lab_from_sample[0] if abs(normal[0]) > 0.9 else np.eye(3)[0]
    x_axis = along - (along @ normal) * normal
    x_axis /= np.linalg.norm(x_axis)
    axes = np.stack([x_axis, np.cross(normal, x_axis), normal])
    plane = axes[:2].T
    cameras = tuple(
        CameraView(origin @ plane, np.stack([row @ plane, column @ plane]), shape)
        for origin, row, column, shape in views
    )
    pitch = min(camera.pitch for camera in cameras) if step is None else step
    if not (pitch > 0.0 and math.isfinite(pitch)):
        raise InputError("step_um", step, "must be positive")
    corners = np.concatenate([camera.corners for camera in cameras])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if float(np.prod((high - low) / pitch + 1.0)) > _MOST_PLACES:
        raise InputError("step_um", pitch, f"makes more than {_MOST_PLACES} places")
    # Zero is one of the places, so that maps of different sets have places in common.
    x, y = (
        pitch * np.arange(math.ceil(a / pitch - 1e-9), math.floor(b / pitch + 1e-9) + 1)
        for a, b in zip(low, high, strict=True)
    )
    if min(len(x), len(y)) < 2:
        raise InputError("step_um", pitch, "leaves fewer than two places along an axis")
    return Sheet(axes, x, y, cameras)


def sampled(
    view: CameraView,
    places: Floats,
    correction: Correction,
    change: Floats,
    information: Floats | None = None,
) -> tuple[Floats, Floats | None]:
    """Maps of a camera at places of the sheet, between its pixels (bicubic).

    Parameters
    ----------
    view : CameraView
        The camera.
    places : (..., 2) ndarray
        Where (µm).
    correction : Correction
        What it is moved by.
    change : (rows, columns, k) ndarray
        Values; NaN where dark.
    information : (rows, columns, 3, 3) ndarray, optional
        Their information.

    Returns
    -------
    change : (..., k) ndarray
        NaN outside, and where one of the pixels that contribute is dark.
    information : (..., 3, 3) ndarray or None
        That of the mean of the pixels, whose errors are independent.
    """
    index = view.indices(correction.taken_off(places))
    flat = index.reshape(-1, 2)
    rows, columns = view.shape
    values = np.full((len(flat), change.shape[-1]), np.nan)
    told = None if information is None else np.full((len(flat), 3, 3), np.nan)
    edge = 1e-6
    last = np.array([rows - 1, columns - 1])
    (inside,) = np.nonzero(((flat >= -edge) & (flat <= last + edge)).all(axis=-1))
    if len(inside):
        first = np.clip(np.floor(flat[inside]), 0, np.maximum(last - 1, 0)).astype(np.int64)
        weights = _cubic(np.clip(flat[inside] - first, 0.0, 1.0))
        value = np.zeros((len(inside), change.shape[-1]))
        tell, squares = np.zeros((len(inside), 3, 3)), np.zeros(len(inside))
        shares = np.zeros(len(inside))
        for i in range(4):
            for j in range(4):
                weight = weights[i, :, 0] * weights[j, :, 1]
                # Beyond the rim the pixels at it count once more.
                r = np.clip(first[:, 0] + i - 1, 0, rows - 1)
                c = np.clip(first[:, 1] + j - 1, 0, columns - 1)
                # Pixels that do not contribute may be dark.
                some = np.abs(weight) > 1e-9
                value[some] += weight[some, None] * change[r[some], c[some]]
                squares += weight**2
                if information is not None:
                    share = np.maximum(weight, 0.0)
                    shares += share
                    near = share > 1e-9
                    tell[near] += share[near, None, None] * information[r[near], c[near]]
        values[inside] = value
        if told is not None:
            told[inside] = tell / (shares * squares)[:, None, None]
    shape = index.shape[:-1]
    out = values.reshape(*shape, change.shape[-1])
    return out, None if told is None else told.reshape(*shape, 3, 3)


def _cubic(share: Floats) -> Floats:
    """Weights (4, n, 2) of the pixels before, at, after and beyond (Catmull & Rom)."""
    f, g, h = share, share**2, share**3
    return np.stack(
        [
            -0.5 * f + g - 0.5 * h,
            1.0 - 2.5 * g + 1.5 * h,
            0.5 * f + 2.0 * g - 1.5 * h,
            -0.5 * g + 0.5 * h,
        ]
    )


def seen_by(sheet: Sheet, corrections: Sequence[Correction]) -> NDArray[np.int64]:
    """How many cameras look at each place, whether there is light or not, (rows, columns)."""
    places = sheet.places
    count = np.zeros(sheet.shape, np.int64)
    for view, correction in zip(sheet.views, corrections, strict=True):
        index = view.indices(correction.taken_off(places))
        count += ((index >= -1e-6) & (index <= np.array(view.shape) - 1 + 1e-6)).all(axis=-1)
    return count


def corrections_of(values: ArrayLike) -> list[Correction]:
    """Corrections from their numbers (n, 4)."""
    return [Correction(*row) for row in np.asarray(values, dtype=np.float64).tolist()]
