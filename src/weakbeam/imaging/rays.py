"""From the pixels of the camera to points in the sample.

All points that one pixel sees lie along the diffracted beam. Around the pixel's ray the map from
(row, column, depth) to a point is affine, so that four vectors describe all rays of an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam._typing import ArrayLike, Floats
from weakbeam.diffraction.frames import DiffractionGeometry


@dataclass(frozen=True)
class RayGrid:
    """Sampling points of an image, in the sample frame.

    Parameters
    ----------
    rows, columns : int
        Pixels along 2θ and along y.
    row_step, column_step : (3,) ndarray
        Displacement (µm) of the point seen at height 0 from one pixel to the next.
    along_ray : (3,) ndarray
        Displacement (µm) along the diffracted beam per µm of height.
    height_axis : (3,) ndarray
        Unit vector of the laboratory's vertical.
    depths, weights : (n,) ndarray
        Heights (µm) at which the beam is sampled and their weights, which add up to 1.
    oversampling : int
        Sub-pixels along each axis of a pixel.
    lift : float
        Height (µm) by which the sample is raised above the beam's centre.
    """

    rows: int
    columns: int
    row_step: Floats
    column_step: Floats
    along_ray: Floats
    height_axis: Floats
    depths: Floats
    weights: Floats
    oversampling: int = 1
    lift: float = 0.0

    @property
    def pixels(self) -> int:
        """Pixels of the image."""
        return self.rows * self.columns

    @property
    def sample_offsets(self) -> Floats:
        """Displacement of each of a pixel's samples from the pixel's centre at height 0.

        Returns
        -------
        (samples, 3) ndarray
            In µm, sample frame; sub-pixel rows and columns slow, depths fast.
        """
        fractions = (np.arange(self.oversampling) + 0.5) / self.oversampling - 0.5
        rows, columns, depths = np.meshgrid(fractions, fractions, self.depths, indexing="ij")
        return np.asarray(
            rows.reshape(-1, 1) * self.row_step
            + columns.reshape(-1, 1) * self.column_step
            + depths.reshape(-1, 1) * self.along_ray
        )

    @property
    def sample_weights(self) -> Floats:
        """Weight of each of a pixel's samples; they add up to 1."""
        return np.asarray(np.tile(self.weights, self.oversampling**2) / self.oversampling**2)

    def centres(self, pixels: ArrayLike) -> Floats:
        """Points at the height of the beam's centre seen by the centres of `pixels`.

        Parameters
        ----------
        pixels : (...) array_like of int
            Indices into the flattened image.

        Returns
        -------
        (..., 3) ndarray
            In µm, sample frame.
        """
        row, column = np.divmod(np.asarray(pixels), self.columns)
        return np.asarray(
            (row - (self.rows - 1) / 2.0)[..., None] * self.row_step
            + (column - (self.columns - 1) / 2.0)[..., None] * self.column_step
            - self.lift * self.height_axis
        )

    def points(self, pixels: ArrayLike) -> Floats:
        """All sampling points of `pixels`.

        Parameters
        ----------
        pixels : (...) array_like of int
            Indices into the flattened image.

        Returns
        -------
        (..., samples, 3) ndarray
            In µm, sample frame.
        """
        return self.centres(pixels)[..., None, :] + self.sample_offsets

    @property
    def row_positions(self) -> Floats:
        """Coordinate along the beam (µm) that each row sees at height 0; decreasing with 2θ."""
        pitch = float(np.linalg.norm(self.row_step))
        return np.asarray(((self.rows - 1) / 2.0 - np.arange(self.rows)) * pitch)

    @property
    def column_positions(self) -> Floats:
        """Coordinate along y (µm) of the point that each column sees at height 0."""
        pitch = float(np.linalg.norm(self.column_step))
        return np.asarray((np.arange(self.columns) - (self.columns - 1) / 2.0) * pitch)


def ray_grid(
    geometry: DiffractionGeometry,
    shape: tuple[int, int],
    pixel: float,
    depths: Floats,
    weights: Floats,
    plane: str = "vertical",
    oversampling: int = 1,
    lift: float = 0.0,
) -> RayGrid:
    """Rays of a camera in a vertical scattering plane (η = 0).

    Parameters
    ----------
    geometry : DiffractionGeometry
        The reflection.
    shape : (int, int)
        Rows along 2θ, columns along y.
    pixel : float
        Pixel size in the object plane (µm).
    depths, weights : (n,) ndarray
        Heights (µm) and weights of the beam.
    plane : {"vertical", "normal"}
        Camera vertical in the laboratory, or normal to the diffracted beam: the step along the
        beam is pixel / tan 2θ or pixel / sin 2θ.
    oversampling : int
        Sub-pixels along each axis.
    lift : float
        Height (µm) by which the sample is raised.

    Returns
    -------
    RayGrid

    Raises
    ------
    ValueError
        For an unknown plane.

    Notes
    -----
    Rows follow increasing 2θ, upwards on the camera, and so run against the beam
    (docs/explanation/physics.md, B4 and E1).
    """
    two_theta = 2.0 * geometry.theta
    if plane == "vertical":
        step = pixel / math.tan(two_theta)
    elif plane == "normal":
        step = pixel / math.sin(two_theta)
    else:
        raise ValueError(f"camera plane {plane!r} is neither 'vertical' nor 'normal'")
    k = geometry.k_out_lab
    sample_from_lab = geometry.lab_from_sample.T
    return RayGrid(
        rows=shape[0],
        columns=shape[1],
        row_step=sample_from_lab @ np.array([-step, 0.0, 0.0]),
        column_step=sample_from_lab @ np.array([0.0, pixel, 0.0]),
        along_ray=sample_from_lab @ (k / k[2]),
        height_axis=sample_from_lab @ np.array([0.0, 0.0, 1.0]),
        depths=depths,
        weights=weights,
        oversampling=oversampling,
        lift=lift,
    )
