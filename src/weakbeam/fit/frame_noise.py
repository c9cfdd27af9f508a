"""From ideal images to the frames of a library: their noise and their digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Floats32
from weakbeam.fit.observation import Noise
from weakbeam.instrument.camera_loops import Levels, expose, frame_key, tables
from weakbeam.instrument.detector import Detector

IDEAL_SIGMA = 0.01
"""Deviation in place of noise, relative to the perfect crystal's peak, where nothing counts."""

_DROPPED_BITS = 8


@dataclass(frozen=True, eq=False)
class FrameNoise:
    """The noise of stored pixels, given their intensity.

    Parameters
    ----------
    detector : Detector
        The camera.
    """

    detector: Detector

    @cached_property
    def noise(self) -> Noise | None:
        """Variance of a stored pixel over its signal (ADU); None without counts."""
        model = self.detector.model
        if model is None:
            return None
        pixel = Noise.of_camera(model, self.detector.exposure)
        return Noise(pixel.gain, pixel.floor * self.detector.readout.binning**2)

    def sigma(self, intensity: ArrayLike) -> Floats:
        """Standard deviation of pixels, as relative intensity like their mean.

        Parameters
        ----------
        intensity : array_like
            Mean, relative to the perfect crystal at its Bragg setting.
        """
        mean = np.asarray(intensity, dtype=np.float64)
        if self.noise is None:
            return np.full(mean.shape, IDEAL_SIGMA)
        signal = self.detector.unit_signal
        return np.asarray(np.sqrt(self.noise.variance(signal * mean)) / signal)

    def counts(self, image: Floats32, entry: int, number: int) -> NDArray[np.uint16]:
        """A noisy frame.

        Parameters
        ----------
        image : (rows, columns) ndarray
            Relative intensity of every stored pixel.
        entry, number : int
            Number of the entry and of the frame in it: noise depends on these and the camera's
            seed, not on other frames or threads.

        Raises
        ------
        ValueError
            If the camera does not count.
        """
        detector = self.detector
        if detector.model is None:
            raise ValueError("a camera without a model does not count")
        light = np.ascontiguousarray(image, np.float32).reshape(-1)
        counts = np.empty(light.shape, np.uint16)
        photons = detector.unit_signal / detector.model.gain
        key = np.uint64(frame_key(detector.seed, entry, number))
        expose(light, photons, key, self._levels, tables(), counts)
        return counts.reshape(image.shape)

    @cached_property
    def _levels(self) -> Levels:
        """Binned pixels add up the dark counts and the variances of the pixels in them."""
        detector, model = self.detector, self.detector.model
        assert model is not None
        assert detector.largest is not None
        variance = model.read_variance + model.dark_variance_rate * detector.exposure
        dark = np.ascontiguousarray(detector.dark, np.float32).reshape(-1)
        deviation = detector.readout.binning * math.sqrt(variance)
        return Levels(model.gain, dark, deviation, detector.largest)


def shortened(images: Floats32) -> Floats32:
    """Round to 16 significant binary digits, which halves the size of what is compressed.

    The relative error, at most 1.5·10⁻⁵, is that of the images themselves and far below any noise;
    the type stays float32, which every program reads.
    """
    bits = np.ascontiguousarray(images, np.float32).view(np.uint32)
    half = np.uint32((1 << (_DROPPED_BITS - 1)) - 1)
    even = (bits >> np.uint32(_DROPPED_BITS)) & np.uint32(1)
    mask = np.uint32(0xFFFFFFFF << _DROPPED_BITS & 0xFFFFFFFF)
    return ((bits + half + even) & mask).view(np.float32)
