"""Where a point or a line of the crystal appears in a stored image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weakbeam.assemble import Setup
from weakbeam.core.arrays import ArrayLike, Floats

_QUARTER_TURNS = (((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0)))
"""Steps along rows and columns of the image that a stored row, a stored column makes, by turns."""

_PROFILE_STEPS = 4096


@dataclass(frozen=True, eq=False)
class View:
    """The affine map from the crystal to the stored image under one condition.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the stored image.
    corner : (3,) ndarray
        What the middle of pixel (0, 0) sees at the height of the beam's centre (µm).
    row_step, column_step : (3,) ndarray
        From there to what the next row, the next column sees at this height.
    along_ray : (3,) ndarray
        Displacement along the diffracted beam per µm of height.
    up : (3,) ndarray
        Unit vector of the height.
    lift : float
        Height (µm) of the sample.
    lit : (float, float)
        Heights between which the beam has more than half of its largest intensity (µm).

    Notes
    -----
    All vectors are in the sample frame of the first reflection. A point at height h above the
    beam's centre is seen where the one at height 0 on the same diffracted ray is
    (docs/explanation/physics.md, E1).
    """

    shape: tuple[int, int]
    corner: Floats
    row_step: Floats
    column_step: Floats
    along_ray: Floats
    up: Floats
    lift: float
    lit: tuple[float, float]

    def point(self, pixel: ArrayLike, height: ArrayLike = 0.0) -> Floats:
        """Points that are seen at pixels.

        Parameters
        ----------
        pixel : (..., 2) array_like
            Row and column; whole numbers are the middles of pixels.
        height : (...) array_like
            Height of the point above the beam's centre (µm), measured straight up from what the
            pixel sees there.

        Returns
        -------
        (..., 3) ndarray
            In µm, sample frame of the first reflection.
        """
        row, column = np.moveaxis(np.asarray(pixel, dtype=float), -1, 0)
        raised = np.asarray(height, dtype=float)[..., None] * self.up
        sheet = row[..., None] * self.row_step + column[..., None] * self.column_step
        return np.asarray(self.corner + sheet + raised)

    def height(self, points: ArrayLike) -> Floats:
        """Height of points above the beam's centre (µm), (...)."""
        return np.asarray(np.asarray(points) @ self.up + self.lift)

    def pixel(self, points: ArrayLike) -> Floats:
        """Row and column at which points (..., 3) are seen, (..., 2)."""
        offset = np.asarray(points) - self.corner
        return self._pixels_of(offset - self.height(points)[..., None] * self.along_ray)

    def piercing(self, point: Floats, direction: Floats) -> Floats:
        """Row and column where a line crosses the beam's centre; NaN for one that does not."""
        rise = float(direction @ self.up)
        if abs(rise) < 1e-9:
            return np.full(2, np.nan)
        return self.pixel(point - float(self.height(point)) / rise * direction)

    def trace(self, point: Floats, direction: Floats) -> Floats:
        """The part of a line that is lit and seen.

        Parameters
        ----------
        point, direction : (3,) ndarray
            A point of the line (µm) and a vector along it, sample frame of the first reflection.

        Returns
        -------
        (2, 2) ndarray
            Row and column of its two ends, clipped to the edges of the image; NaN if no part of it
            is seen.
        """
        start = self.pixel(point)
        step = self.pixel(point + direction) - start
        rows, columns = self.shape
        low, high = -np.inf, np.inf
        for at, slope, least, most in (
            (float(self.height(point)), float(direction @ self.up), *self.lit),
            (start[0], step[0], -0.5, rows - 0.5),
            (start[1], step[1], -0.5, columns - 0.5),
        ):
            if abs(slope) < 1e-12:
                if not least <= at <= most:
                    return np.full((2, 2), np.nan)
                continue
            ends = sorted(((least - at) / slope, (most - at) / slope))
            low, high = max(low, ends[0]), min(high, ends[1])
        if low > high:
            return np.full((2, 2), np.nan)
        return np.stack([start + low * step, start + high * step])

    def _pixels_of(self, displacement: Floats) -> Floats:
        return np.asarray(displacement @ self._pixel_of_point)

    @cached_property
    def _pixel_of_point(self) -> Floats:
        return np.asarray(np.linalg.pinv(np.stack([self.row_step, self.column_step])))


def view_of(setup: Setup, first: Setup, z: float) -> View:
    """How a reflection shows the crystal with the sample at a height.

    Parameters
    ----------
    setup : Setup
        The reflection.
    first : Setup
        The first reflection, in whose sample frame points are given.
    z : float
        Height of the sample (µm).
    """
    grid, readout = setup.grid, setup.detector.readout
    rows, columns = readout.shape
    centres = np.moveaxis(grid.centres(np.arange(grid.pixels)).reshape(rows, columns, 3), -1, 0)
    corner = readout.mean(centres)[:, 0, 0] - z * grid.height_axis
    per_row, per_column = (
        readout.binning * (a * grid.row_step + b * grid.column_step)
        for a, b in _QUARTER_TURNS[readout.turns]
    )
    # Points of the crystal have other components in the sample frame of a remounted one.
    first_from_this = first.sample_from_crystal @ setup.sample_from_crystal.T
    return View(
        shape=setup.detector.shape,
        corner=first_from_this @ corner,
        row_step=first_from_this @ per_row,
        column_step=first_from_this @ per_column,
        along_ray=first_from_this @ grid.along_ray,
        up=first_from_this @ grid.height_axis,
        lift=z,
        lit=_lit_heights(setup),
    )


def _lit_heights(setup: Setup) -> tuple[float, float]:
    profile = setup.beam
    heights = np.linspace(*profile.ends, _PROFILE_STEPS + 1)
    intensity = profile.intensity(heights)
    bright = heights[intensity >= 0.5 * intensity.max()]
    return float(bright[0]), float(bright[-1])
