"""Frames shifted by parts of a pixel, with what then is not known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints

_TAPS = (-1, 0, 1, 2)
"""Pixels, from that before the place, of which a value is made."""


def shifted(frame: ArrayLike, by: ArrayLike) -> NDArray[np.float32]:
    """The frame with its content moved back: out(r, c) = frame(r + by[0], c + by[1]).

    Parameters
    ----------
    frame : (rows, columns) array_like
        The frame.
    by : (2,) array_like
        Rows and columns by which its content stands too far on.

    Returns
    -------
    (rows, columns) ndarray of float32
        NaN where the place is outside the frame.

    Notes
    -----
    Cubic convolution with a = -1/2 (Keys, IEEE Trans. ASSP 29, 1153, 1981): exact for parabolas,
    with the values of the pixels themselves at whole shifts. A shift by half a pixel leaves 0.80 of
    the noise of a pixel, one by half a pixel along both axes 0.64.
    """
    image = np.asarray(frame, dtype=np.float32)
    for axis, shift in enumerate(np.asarray(by, dtype=np.float64)):
        image = _along(image, float(shift), axis)
    return image


def _along(image: NDArray[np.float32], shift: float, axis: int) -> NDArray[np.float32]:
    if shift == 0.0:
        return image
    length = image.shape[axis]
    whole = math.floor(shift)
    part = shift - whole
    places = np.arange(length) + whole
    total = np.zeros_like(image)
    for tap, weight in zip(_TAPS, _weights(part), strict=True):
        if weight != 0.0:
            total += np.float32(weight) * image.take(places + tap, axis=axis, mode="clip")
    outside = (places + part < 0.0) | (places + part > length - 1.0)
    total[(slice(None),) * axis + (outside,)] = np.nan
    return total


def _weights(t: float) -> tuple[float, float, float, float]:
    """Weights of the four pixels around a place at t after the second."""
    return (
        0.5 * (-(t**3) + 2.0 * t**2 - t),
        0.5 * (3.0 * t**3 - 5.0 * t**2 + 2.0),
        0.5 * (-3.0 * t**3 + 4.0 * t**2 + t),
        0.5 * (t**3 - t**2),
    )


class Coverage:
    """Which pixels are known in shifted frames.

    Parameters
    ----------
    masked : (rows, columns) ndarray of bool
        Pixels of the camera that are not to be used.
    """

    def __init__(self, masked: NDArray[np.bool_]) -> None:
        self._shape = masked.shape
        spread = np.zeros(masked.shape, bool)
        if masked.any():
            for axis in (0, 1):
                source = masked if axis == 0 else spread
                spread = np.zeros(masked.shape, bool)
                for tap in _TAPS:
                    places = np.arange(masked.shape[axis]) + tap
                    inside = (places >= 0) & (places < masked.shape[axis])
                    spread |= source.take(places, axis=axis, mode="clip") & _as_axis(inside, axis)
        self._spread = spread
        """Places, at whole shifts, to which one of these would contribute."""

    def unknown(self, by: ArrayLike) -> NDArray[np.bool_]:
        """Pixels of a shifted frame to which a masked one, or none of the camera, contributes."""
        shifts = np.asarray(by, dtype=np.float64)
        lost = np.zeros(self._shape, bool)
        for axis, shift in enumerate(shifts):
            places = np.arange(self._shape[axis]) + shift
            lost |= _as_axis((places < 0.0) | (places > self._shape[axis] - 1.0), axis)
        if self._spread.any():
            rows, columns = (
                np.clip(np.arange(n) + math.floor(shift), 0, n - 1)
                for n, shift in zip(self._shape, shifts, strict=True)
            )
            lost |= self._spread[np.ix_(rows, columns)]
        return lost

    def ever_unknown(self, shifts: ArrayLike) -> NDArray[np.bool_]:
        """Pixels that at least one of many shifts, (n, 2), leaves unknown."""
        every = np.asarray(shifts, dtype=np.float64)
        lost = np.zeros(self._shape, bool)
        # The ends decide what is outside; whole shifts, which mask reaches where.
        corners = np.concatenate([[every.min(axis=0), every.max(axis=0)], _whole(every)])
        for shift in np.unique(corners, axis=0):
            lost |= self.unknown(shift)
        return lost


def _whole(shifts: Floats) -> Floats:
    return np.unique(np.floor(shifts), axis=0) if len(shifts) else np.zeros((0, 2))


def _as_axis(values: NDArray[np.bool_] | Ints, axis: int) -> NDArray[np.bool_]:
    return np.asarray(values[:, None] if axis == 0 else values[None, :])
