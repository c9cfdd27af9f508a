"""From the pixels of the camera to points in the sample.

All points that one pixel sees lie along the diffracted beam. Around the pixel's ray the map from
(row, column, depth) to a point is affine, so that four vectors describe all rays of an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.geometry import DiffractionGeometry


@dataclass(frozen=True)
class RayGrid:
    """Sampling points of an image, in the sample frame.

    Parameters
    ----------
    rows, columns : int
        Pixels along 2θ and along y.
    pixel : float
        Pixel size in the object plane (µm).
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
    downwards : bool
        Whether the diffracted beam goes down.
    """

    rows: int
    columns: int
    pixel: float
    row_step: Floats
    column_step: Floats
    along_ray: Floats
    height_axis: Floats
    depths: Floats
    weights: Floats
    oversampling: int = 1
    lift: float = 0.0
    downwards: bool = False

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
        pixels
            As for :meth:`centres`.

        Returns
        -------
        (..., samples, 3) ndarray
            In µm, sample frame.
        """
        return self.centres(pixels)[..., None, :] + self.sample_offsets

    def corners(self, heights: ArrayLike) -> Floats:
        """Corners of what the image shows, at some heights within the beam.

        Parameters
        ----------
        heights : (n,) array_like
            In µm.

        Returns
        -------
        (4 n, 3) ndarray
            In µm, sample frame.
        """
        middle = 0.5 * (self.centres(0) + self.centres(self.pixels - 1))
        mesh = np.meshgrid([-0.5, 0.5], [-0.5, 0.5], np.asarray(heights), indexing="ij")
        rows, columns, depths = (part.reshape(-1, 1) for part in mesh)
        across = rows * self.rows * self.row_step + columns * self.columns * self.column_step
        return np.asarray(middle + across + depths * self.along_ray)

    def length_along(self, direction: Floats) -> float:
        """Longest way across the image's parallelogram in the sample, along a line in its plane.

        Parameters
        ----------
        direction : (3,) ndarray
            Unit vector, sample frame.

        Returns
        -------
        float
            In µm.
        """
        edges = np.stack([self.rows * self.row_step, self.columns * self.column_step], axis=1)
        shares = np.linalg.lstsq(edges, direction, rcond=None)[0]
        return 1.0 / float(np.abs(shares).max())

    def turned(self, rotation: Floats) -> RayGrid:
        """Return the same rays in a sample that is turned: their directions d are ``rotation @ d``.

        Parameters
        ----------
        rotation : (3, 3) ndarray
            In the sample frame.
        """
        names = ("row_step", "column_step", "along_ray", "height_axis")
        return replace(self, **{name: rotation @ getattr(self, name) for name in names})

    @property
    def on_camera(self) -> bool:
        """Whether `row_positions` are those on the camera: the scattering plane leans.

        Else rows and columns follow two perpendicular lines in the sample.
        """
        across = abs(float(self.row_step @ self.column_step))
        return across > 1e-9 * float(np.linalg.norm(self.row_step) * self.pixel)

    @property
    def _forwards(self) -> Floats:
        """The way of the incident beam, x of the laboratory, of some length."""
        level = self.along_ray - (self.along_ray @ self.height_axis) * self.height_axis
        # Per height: upstream where the beam goes down. Sideways parts fall out below.
        return np.asarray(-level if self.downwards else level)

    @property
    def against_two_theta(self) -> bool:
        """Whether 2θ falls from row to row, as on an upright camera below a beam that goes down."""
        return bool(self.row_step @ self._forwards > 0.0)

    @property
    def row_positions(self) -> Floats:
        """Where each row looks (µm).

        In a vertical scattering plane the coordinate along the beam of the point that it sees at
        height 0, which decreases with 2θ; else the coordinate along the columns of the camera.
        """
        rows = np.arange(self.rows) - (self.rows - 1) / 2.0
        if self.on_camera:
            return np.asarray(rows * self.pixel)
        step = float(np.linalg.norm(self.row_step))
        return np.asarray(rows * (step if self.against_two_theta else -step))

    @property
    def column_positions(self) -> Floats:
        """Where each column looks (µm), along y, or along the rows of the camera."""
        columns = (np.arange(self.columns) - (self.columns - 1) / 2.0) * self.pixel
        if self.on_camera:
            return np.asarray(columns)
        # Those of a normal camera below a beam that goes down run along -y.
        along_y = float(self.column_step @ np.cross(self.height_axis, self._forwards))
        return np.asarray(math.copysign(1.0, along_y) * columns)

    @property
    def axis_labels(self) -> tuple[str, str]:
        """What the two coordinates are."""
        if self.on_camera:
            way = "against" if self.against_two_theta else "along"
            return f"{way} 2θ on the camera (µm)", "across, on the camera (µm)"
        return "x, along the beam (µm)", "y (µm)"


LEAST_SLOPE = 0.01
"""Smallest vertical part of the diffracted beam's direction for which depth can be sampled."""


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
    r"""Rays of a camera.

    Parameters
    ----------
    geometry : DiffractionGeometry
        The reflection.
    shape : (int, int)
        Rows and columns.
    pixel : float
        Pixel size in the object plane (µm).
    depths, weights : (n,) ndarray
        Heights (µm) and weights of the beam.
    plane : {"vertical", "normal"}
        Camera vertical in the laboratory with its rows horizontal, or normal to the diffracted beam
        and turned with its azimuth η. In a vertical scattering plane the step along the beam is
        pixel / tan 2θ or pixel / sin 2θ.
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
        For an unknown plane, or a diffracted beam that hardly leaves the plane of the line beam.

    Notes
    -----
    Row and column of a point at height 0 follow :math:`(r\cdot\hat e_{2\theta},
    r\cdot\hat e_{roll})` on a normal camera, which turns with η, and on a vertical one
    :math:`(-x k_z/k_x, y - x k_y/k_x)`: upwards and along y. So rows follow increasing 2θ and run
    against the beam, but on a vertical camera below a beam that goes down (docs/explanation/
    physics.md, B4, E1 and E2).
    """
    k = geometry.k_out_lab
    if abs(k[2]) < LEAST_SLOPE:
        raise ValueError(
            f"the diffracted beam runs within the sheet of the line beam (it rises by "
            f"{math.degrees(math.asin(k[2])):.2g} deg): every pixel would look along the whole beam"
        )
    if plane == "vertical":
        row = np.array([-pixel * k[0] / k[2], -pixel * k[1] / k[2], 0.0])
        column = np.array([0.0, pixel, 0.0])
    elif plane == "normal":
        _, roll, two_theta = geometry.lab_from_imaging.T
        camera_from_lab = np.array([two_theta[:2], roll[:2]])
        steps = np.linalg.inv(camera_from_lab) * pixel
        row, column = np.array([*steps[:, 0], 0.0]), np.array([*steps[:, 1], 0.0])
    else:
        raise ValueError(f"camera plane {plane!r} is neither 'vertical' nor 'normal'")
    sample_from_lab = geometry.lab_from_sample.T
    return RayGrid(
        rows=shape[0],
        columns=shape[1],
        pixel=pixel,
        row_step=sample_from_lab @ row,
        column_step=sample_from_lab @ column,
        along_ray=sample_from_lab @ (k / k[2]),
        height_axis=sample_from_lab @ np.array([0.0, 0.0, 1.0]),
        depths=depths,
        weights=weights,
        oversampling=oversampling,
        lift=lift,
        downwards=bool(k[2] < 0.0),
    )
