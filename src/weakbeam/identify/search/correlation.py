"""Images compared at every shift within a bound: correlations and likelihoods by Fourier sums.

Arrays are padded with zeros, so that what leaves on one side of the image does not come in again on
the other. A bound on the shift keeps the padding small: with padded length L, image length N and
largest shift M, L ≥ N + M is enough.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Floats32

Complex64 = NDArray[np.complex64]
Shape = tuple[int, int]


class Correlator:
    r"""Correlations :math:`C(s) = \sum_x a(x)\,b(x - s)` for whole-pixel shifts within a bound.

    Parameters
    ----------
    image_shape, model_shape : (int, int)
        Rows and columns of a and of b. At shift 0 their middles lie on each other, to the pixel.
    max_shift : int or (int, int)
        Largest shift along rows and along columns, in either direction.

    Raises
    ------
    ValueError
        If the shift is negative.
    """

    def __init__(
        self, image_shape: Shape, model_shape: Shape, max_shift: int | tuple[int, int]
    ) -> None:
        bounds = (max_shift, max_shift) if isinstance(max_shift, int) else max_shift
        if min(bounds) < 0:
            raise ValueError(f"max_shift = {max_shift}: must not be negative")
        self.bounds = bounds
        self.image_shape, self.model_shape = image_shape, model_shape
        self._taken = []
        sizes = []
        for image, model, bound, real in zip(
            image_shape, model_shape, bounds, (False, True), strict=True
        ):
            offset = (image - model) // 2
            lags = offset + np.arange(-bound, bound + 1)
            # Lags that hold anything run from 1 - model to image - 1; none may fall on another.
            least = max(image, model, image - int(lags[0]), model + int(lags[-1]))
            sizes.append(scipy.fft.next_fast_len(least, real=real))
            self._taken.append(lags % sizes[-1])
        self.size = (sizes[0], sizes[1])

    def spectra(self, arrays: ArrayLike) -> Complex64:
        """Fourier transforms of arrays (..., rows, columns), padded with zeros."""
        values = np.asarray(arrays, dtype=np.float32)
        along = scipy.fft.rfft(values, n=self.size[1], axis=-1)
        return np.asarray(scipy.fft.fft(along, n=self.size[0], axis=-2, overwrite_x=True))

    def correlate(self, image_spectra: Complex64, model_spectra: Complex64) -> Floats32:
        """Correlations at all shifts, (..., 2 M + 1, 2 M + 1), shift −M first."""
        product = image_spectra * np.conj(model_spectra)
        rows = scipy.fft.ifft(product, axis=-2, overwrite_x=True)[..., self._taken[0], :]
        whole = scipy.fft.irfft(rows, n=self.size[1], axis=-1, overwrite_x=True)
        return np.asarray(whole[..., self._taken[1]])

    def shift_at(self, place: tuple[int, int]) -> tuple[int, int]:
        """Shift along rows and columns that an element of the correlations stands for."""
        return place[0] - self.bounds[0], place[1] - self.bounds[1]


def normalised_correlation(
    image: ArrayLike, model: ArrayLike, max_shift: int | tuple[int, int]
) -> Floats:
    r"""Correlation of two images at all whole-pixel shifts within a bound, from −1 to 1.

    Parameters
    ----------
    image, model : (rows, columns) or (conditions, rows, columns) array_like
        What to compare, usually after `search.background.remove_background`.
        Conditions are added up at equal shifts.
    max_shift : int or (int, int)
        Largest shift (pixels).

    Returns
    -------
    (2 M + 1, 2 M' + 1) ndarray
        :math:`C_{ab}(s)/\sqrt{C_{aa}(0)\,C_{bb}(0)}`; element (M + i, M' + j) belongs to the model
        moved by i rows and j columns. 0 everywhere if an image is.

    Raises
    ------
    ValueError
        If the images do not have the same number of conditions.
    """
    a, b = (np.asarray(x, dtype=np.float32) for x in (image, model))
    a, b = (x[None] if x.ndim == 2 else x for x in (a, b))
    if len(a) != len(b):
        raise ValueError(f"images of {len(a)} conditions and of {len(b)}")
    correlator = Correlator((a.shape[1], a.shape[2]), (b.shape[1], b.shape[2]), max_shift)
    sums = correlator.correlate(correlator.spectra(a), correlator.spectra(b))
    size = math.sqrt(float(np.sum(a.astype(float) ** 2)) * float(np.sum(b.astype(float) ** 2)))
    total = sums.sum(axis=0, dtype=np.float64)
    return np.asarray(total / size if size > 0.0 else np.zeros(total.shape))


def sub_pixel_peak(values: ArrayLike) -> tuple[float, float, float]:
    """Where a map is highest, between its elements.

    Parameters
    ----------
    values : (n, m) array_like
        A map, such as a correlation over shifts.

    Returns
    -------
    height, row, column : float
        Of the paraboloid through the highest element and its eight neighbours (least squares). At
        an edge of the map, or where the paraboloid has no peak within a pixel, the highest element.
    """
    array = np.asarray(values, dtype=np.float64)
    row, column = (int(k) for k in np.unravel_index(int(np.argmax(array)), array.shape))
    highest = float(array[row, column])
    if not (0 < row < array.shape[0] - 1 and 0 < column < array.shape[1] - 1):
        return highest, float(row), float(column)
    near = array[row - 1 : row + 2, column - 1 : column + 2]
    across, along = near.sum(axis=1), near.sum(axis=0)
    slope = np.array([across[2] - across[0], along[2] - along[0]]) / 6.0
    mixed = float(near[0, 0] + near[2, 2] - near[0, 2] - near[2, 0]) / 4.0
    curvature = np.array(
        [
            [(across[0] - 2.0 * across[1] + across[2]) / 3.0, mixed],
            [mixed, (along[0] - 2.0 * along[1] + along[2]) / 3.0],
        ]
    )
    if not (curvature[0, 0] < 0.0 < float(np.linalg.det(curvature))):
        return highest, float(row), float(column)
    step = -np.linalg.solve(curvature, slope)
    if np.abs(step).max() > 1.0:
        return highest, float(row), float(column)
    # The paraboloid need not pass through the highest element: only its shape is taken.
    return highest + 0.5 * float(slope @ step), row + float(step[0]), column + float(step[1])
