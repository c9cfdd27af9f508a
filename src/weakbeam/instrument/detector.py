"""The detector: how the image of the sample is blurred, turned, counted, binned and cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.instrument.camera import CameraModel
from weakbeam.instrument.point_spread import PointSpread

LARGEST = 65535
"""Largest count of a stored frame."""


@dataclass(frozen=True)
class Readout:
    """How the frames that are stored follow from the pixels of the camera.

    Parameters
    ----------
    shape : (int, int)
        Rows along 2θ and columns along y of the image of the sample.
    turns : {0, 1, 2, 3}
        Quarters of a circle, counter-clockwise with the first row on top, by which it is turned on
        the camera; two for the inverted image that a lens makes.
    binning : int
        Pixels along each axis that make one; both numbers of pixels are multiples of it.
    region : (int, int, int, int), optional
        First row, first column, rows and columns of the turned and binned image that are kept.
    """

    shape: tuple[int, int]
    turns: int = 0
    binning: int = 1
    region: tuple[int, int, int, int] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is turned, binned or cut."""
        return self.turns == 0 and self.binning == 1 and self.region is None

    @property
    def sensor_shape(self) -> tuple[int, int]:
        """Rows and columns of the turned image, before it is binned and cut."""
        rows, columns = self.shape
        return (columns, rows) if self.turns % 2 else (rows, columns)

    @property
    def whole_shape(self) -> tuple[int, int]:
        """Rows and columns before the image is cut."""
        rows, columns = self.sensor_shape
        return rows // self.binning, columns // self.binning

    @property
    def stored_shape(self) -> tuple[int, int]:
        """Rows and columns of a stored frame."""
        return self.whole_shape if self.region is None else self.region[2:]

    def turn(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Turn images (..., rows, columns) as they fall on the sensor."""
        return np.rot90(frames, self.turns, axes=(-2, -1))

    def bins(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Pixels of turned images by bin: (..., rows, binning, columns, binning)."""
        rows, columns = self.whole_shape
        return frames.reshape(*frames.shape[:-2], rows, self.binning, columns, self.binning)

    def cut(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Keep the region of images that are turned and binned."""
        if self.region is None:
            return frames
        row, column, rows, columns = self.region
        return frames[..., row : row + rows, column : column + columns]

    def mean(self, images: NDArray[Any]) -> NDArray[Any]:
        """Turn, bin and cut images (..., rows, columns); a bin has the mean of its pixels."""
        turned = self.turn(images)
        return self.cut(self.bins(turned).mean(axis=(-3, -1)) if self.binning > 1 else turned)

    def sum(self, images: NDArray[Any]) -> NDArray[Any]:
        """Bin and cut images on the sensor, (..., rows, columns); a bin has the sum of them."""
        if self.binning > 1:
            images = self.bins(images).sum(axis=(-3, -1))
        return self.cut(images)

    def upright(self, images: NDArray[Any]) -> NDArray[Any]:
        """Turn stored images (..., rows, columns) back: rows along 2θ, columns along y."""
        return np.rot90(images, -self.turns, axes=(-2, -1))

    def places(self, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Coordinates of the rows and columns of stored images that are turned back.

        Parameters
        ----------
        rows, columns : ndarray
            Coordinate of each row and of each column of the image of the sample.
        """
        place = np.stack(np.broadcast_arrays(rows[:, None], columns[None, :]))
        x, y = self.upright(self.mean(place))
        return x[:, 0].copy(), y[0].copy()

    def axes(self, rows: Floats, columns: Floats) -> tuple[Floats, Floats, bool]:
        """Coordinates of the stored rows and columns from those of the image of the sample.

        Returns
        -------
        along_rows, along_columns : ndarray
            Mean coordinate of each stored row and column.
        swapped : bool
            Whether the stored rows follow the columns of the image.
        """
        x, y = self.places(rows, columns)
        x = x[::-1] if self.turns in (2, 3) else x
        y = y[::-1] if self.turns in (1, 2) else y
        return (y, x, True) if self.turns % 2 else (x, y, False)


@dataclass(frozen=True, eq=False)
class Detector:
    """Everything between the intensity of an ideal image and the frames of the file.

    Parameters
    ----------
    readout : Readout
        Orientation, binning and region.
    spread : PointSpread, optional
        Blurs the image.
    model : CameraModel, optional
        Counts photons; without one, frames are intensities.
    exposure : float
        Exposure time (s).
    scale : float
        Signal of a pixel of the camera where the intensity is 1 (ADU); 1 without a model.
    flat : float
        Signal of every stored pixel in a frame of uniform light (ADU).
    seed : int
        Seed of the noise.
    """

    readout: Readout
    spread: PointSpread | None = None
    model: CameraModel | None = None
    exposure: float = 1.0
    scale: float = 1.0
    flat: float = 0.0
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a stored frame."""
        return self.readout.stored_shape

    @property
    def unit_signal(self) -> float:
        """Signal of a stored pixel where the intensity is 1."""
        return self.scale if self.model is None else self.scale * self.readout.binning**2

    @property
    def largest(self) -> int | None:
        """Count at which a stored pixel is saturated; None without a model."""
        if self.model is None:
            return None
        return min(LARGEST, self.model.full_well * self.readout.binning**2)

    @cached_property
    def dark(self) -> Floats:
        """Mean of a stored frame without light, (rows, columns); 0 without a model."""
        if self.model is None:
            return np.zeros(self.shape)
        sensor = self.model.dark_frame(self.readout.sensor_shape, self.exposure)
        return np.asarray(self.readout.sum(sensor), dtype=np.float64)

    def image(self, images: NDArray[Any]) -> NDArray[Any]:
        """Blur, turn, bin and cut intensities, (..., rows, columns); they are not counted."""
        return self.readout.mean(self._blurred(images))

    def frames(
        self, images: Floats32, entry: int, numbers: Ints, workers: int | None = None
    ) -> NDArray[Any]:
        """Frames as they are stored.

        Parameters
        ----------
        images : (n, rows, columns) ndarray
            Intensity relative to the perfect crystal at its peak.
        entry : int
            Number of the scan in the file; it and
        numbers : (n,) ndarray of int
            the number of each frame in the scan tell its noise from that of all others.
        workers : int, optional
            Threads.

        Returns
        -------
        (n, rows, columns) ndarray
            Counts (uint16), or intensities (float32) without a model.
        """
        if self.model is None:
            return self.readout.mean(self._blurred(images, workers))
        light = self.readout.turn(self._blurred(images, workers))
        return self._counted(light, self.scale, entry, numbers, workers)

    def companions(
        self,
        kind: Literal["dark", "flat"],
        entry: int,
        numbers: Ints,
        workers: int | None = None,
    ) -> NDArray[np.uint16]:
        """Frames without light, or of uniform light, as in :meth:`frames`.

        Raises
        ------
        ValueError
            Without a model.
        """
        light = np.ones((1, *self.readout.sensor_shape), np.float32)
        frames = np.broadcast_to(light, (len(numbers), *light.shape[1:]))
        scale = self.flat / self.readout.binning**2 if kind == "flat" else 0.0
        return self._counted(frames, scale, entry, numbers, workers)

    def _blurred(self, images: NDArray[Any], workers: int | None = None) -> NDArray[Any]:
        return images if self.spread is None else self.spread.blur(images, workers)

    def _counted(
        self,
        light: NDArray[np.float32],
        scale: float,
        entry: int,
        numbers: Ints,
        workers: int | None,
    ) -> NDArray[np.uint16]:
        if self.model is None:
            raise ValueError("a camera without a model does not count")
        streams = [(entry, int(number)) for number in numbers]
        counts = self.model.counts(light, self.exposure, self.seed, streams, workers, scale=scale)
        if self.readout.binning > 1:
            summed: NDArray[np.uint32] = self.readout.sum(counts.astype(np.uint32))
            return np.minimum(summed, LARGEST).astype(np.uint16)
        cut: NDArray[np.uint16] = np.ascontiguousarray(self.readout.cut(counts))
        return cut
