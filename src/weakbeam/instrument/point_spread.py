r"""How the image of a point spreads over the pixels of the camera, and images that are blurred so.

A point spread function is a sum of products of a function of the row and one of the column, so that
images are blurred along their axes one after the other. A Gaussian is one such product, and so is
what an aperture lets pass whose transmission is one; a round aperture takes a few.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.core.workers import worker_count
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.pupil import passing_reach, pupil

REACH = 4.0
"""Standard deviations after which a Gaussian counts as over."""

_SAMPLES = 340
_MOST_PIXELS = 48
_MOST_WAVES = 20.0
_KEPT = 0.999
_LEAST_TERM = 1e-4
_MATCHED = math.pi / 2.0
"""Frequency (rad per pixel) that the weights let pass as the lens does: of 4 pixels."""

_UNRESOLVED = 1e-3
"""How much more of it may pass where the pixels count as resolving the intensity."""


@dataclass(frozen=True, eq=False)
class PointSpread:
    """A point spread function Σ rows[k] × columns[k], of sum 1, its centre in the middle.

    Parameters
    ----------
    rows, columns : (terms, 2n+1) ndarray
        Factors along the two axes of an image.
    """

    rows: Floats
    columns: Floats

    @property
    def image(self) -> Floats:
        """The function itself, what a bright pixel becomes."""
        return np.asarray(self.rows.T @ self.columns)

    def blur(self, frames: NDArray[Any], workers: int | None = None) -> NDArray[Any]:
        """Blur images (..., rows, columns); beyond their edges they go on as in a mirror.

        Parameters
        ----------
        frames : (..., rows, columns) ndarray
            The images.
        workers : int, optional
            Threads; as many as there are cores unless given.

        Returns
        -------
        (..., rows, columns) ndarray
            Of single precision for images of single precision, else double.
        """
        shape, dtype = frames.shape, np.result_type(frames, np.float32)
        stack = np.ascontiguousarray(frames, dtype).reshape(-1, *shape[-2:])
        blurred = np.zeros_like(stack)
        up = _mirrored(shape[-2], self.rows.shape[1] // 2)
        across = _mirrored(shape[-1], self.columns.shape[1] // 2)
        rows, columns = self.rows.astype(dtype), self.columns.astype(dtype)

        def blur_frame(k: int) -> None:
            _blur(stack[k], rows, columns, up, across, blurred[k])

        with ThreadPoolExecutor(worker_count(workers)) as pool:
            list(pool.map(blur_frame, range(len(stack))))
        return blurred.reshape(shape)


def gaussian_spread(sigma: float) -> PointSpread:
    """Gaussian point spread function, for images whose pixels are averages.

    Parameters
    ----------
    sigma : float
        Standard deviation (pixels).

    Notes
    -----
    The weights have the variance of the Gaussian, and its shape: they are values at the centres of
    the pixels, of a Gaussian a little wider where σ is less than a pixel. Averages over pixels are
    blurred already by the pixel, so that light is not to be spread over pixels again; and values of
    the Gaussian itself, which falls between the centres, have too small a variance
    (docs/explanation/physics.md, B4).
    """
    x = np.arange(-math.ceil(REACH * sigma), math.ceil(REACH * sigma) + 1)
    values = np.exp(-0.5 * (x / _width_of_values(sigma)) ** 2)
    factor = (values / values.sum())[None]
    return PointSpread(factor, factor)


def _width_of_values(sigma: float) -> float:
    """Width of the Gaussian whose values at whole numbers have the variance σ²."""
    squares = np.arange(1.0, 12.0 * sigma + 8.0) ** 2

    def variance(width: float) -> float:
        values = np.exp(-0.5 * squares / width**2)
        return float(2.0 * values @ squares / (1.0 + 2.0 * values.sum()))

    return _root(lambda width: variance(width) - sigma**2, 0.5 * sigma, sigma + 0.5)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where an increasing function passes zero."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if function(middle) > 0.0 else (middle, high)
    return high


def lens_spread(optics: Optics, wavelength: float, steps: Floats) -> PointSpread:
    r"""Point spread function of a lens without aberrations: what diffraction leaves of a point.

    Parameters
    ----------
    optics : Optics
        Lens, aperture and stops.
    wavelength : float
        In µm.
    steps : (2, 2) ndarray
        How far (µm) along 2θ and roll, across the diffracted beam, a step by a row (first column)
        and by a column (second column) of the image goes.

    Returns
    -------
    PointSpread
        For images whose pixels are averages.

    Raises
    ------
    ValueError
        If nothing passes.

    Notes
    -----
    The intensity is :math:`|\int A(\alpha) e^{i k \alpha \cdot r} d\alpha|^2` with A the square
    root of the transmission at the angles α = (δ, ξ). A square aperture of half width α gives a
    full width at half maximum of 0.44 λ/α, and a Gaussian acceptance of standard deviation σ a
    Gaussian image with the standard deviation λ/(4πσ); it is not resolved where it takes less than
    a fortieth of a pixel. Points are taken as independent sources that fill the lens. Tails that
    hold a thousandth of the light are cut, or what lies beyond 48 pixels.

    The weight of a pixel is the intensity about its centre, averaged with a Gaussian that is as
    wide along each axis as makes variations of the image over 4 pixels fade as they do in the
    lens: of no width where the pixels resolve the intensity (docs/explanation/physics.md, B4).
    """
    matrix = np.asarray(steps, dtype=np.float64)
    phases = 2.0 * math.pi / wavelength * matrix
    waves_per_pixel = passing_reach(optics) * np.abs(matrix).sum(axis=0).max() / wavelength
    if waves_per_pixel > _MOST_WAVES:
        return PointSpread(np.ones((1, 1)), np.ones((1, 1)))
    fine = 2 * math.ceil(max(3.0 * waves_per_pixel, 1.0)) + 1
    largest = min(_MOST_PIXELS, max(2, _SAMPLES // fine))
    for half in sorted({min(6, largest), min(16, largest), largest}):
        samples = (fine * (2 * half + 1)) // 2
        x = np.arange(-samples, samples + 1) / fine
        passing = pupil(optics, phases, half + 0.5)
        intensity = passing.intensity(samples, 1.0 / fine)
        # All of the light falls somewhere.
        whole = passing.light * (2.0 * math.pi * fine) ** 2
        if intensity.sum() >= _KEPT * whole:
            break
    weights = [_weights(intensity.sum(axis=1 - axis), x, half) for axis in (0, 1)]
    return _separated(
        _cut(weights[0] @ intensity @ weights[1].T, min(_KEPT * whole / intensity.sum(), 1.0))
    )


def _weights(line: Floats, x: Floats, half: int) -> Floats:
    """How much each pixel takes of the intensity between and in pixels, (pixels, samples).

    Parameters
    ----------
    line : (n,) ndarray
        The intensity along the axis.
    x : (n,) ndarray
        Places of the samples (pixels).
    half : int
        Pixels on either side of the middle one.
    """
    places = np.arange(-half, half + 1)
    wanted = float(line @ np.cos(_MATCHED * x) / line.sum())

    def windows(width: float) -> Floats:
        # The sample at the centre alone where the Gaussian falls between the samples.
        distance = np.subtract.outer(places, x)
        return np.asarray(np.exp(-0.5 * (distance / width) ** 2))

    def excess(width: float) -> float:
        weights = windows(width) @ line
        return wanted - float(weights @ np.cos(_MATCHED * places) / weights.sum())

    narrowest = 0.05 * (x[1] - x[0])
    resolved = excess(narrowest) > -_UNRESOLVED
    return windows(narrowest if resolved else _root(excess, narrowest, 1.0))


def combined(first: PointSpread, second: PointSpread) -> PointSpread:
    """One point spread function after the other."""

    def products(a: Floats, b: Floats) -> Floats:
        return np.array([np.convolve(x, y) for x in a for y in b])

    return PointSpread(products(first.rows, second.rows), products(first.columns, second.columns))


def _cut(pixels: Floats, share: float) -> Floats:
    """The middle of a point spread function, as small as holds a share of it; its sum is 1."""
    middle = len(pixels) // 2
    for n in range(middle + 1):
        part = pixels[middle - n : middle + n + 1, middle - n : middle + n + 1]
        if part.sum() >= share * pixels.sum():
            break
    return np.asarray(part / part.sum())


def _separated(image: Floats) -> PointSpread:
    """A function of row and column as a sum of products."""
    rows, weights, columns = np.linalg.svd(image)
    terms = int(np.sum(weights > _LEAST_TERM * weights[0]))
    rows, columns = rows.T[:terms] * weights[:terms, None], columns[:terms]
    total = float(rows.sum(axis=1) @ columns.sum(axis=1))
    return PointSpread(rows / total, columns)


def _mirrored(length: int, reach: int) -> Ints:
    """Which pixel stands at each place from -reach to length + reach - 1."""
    folded = np.arange(-reach, length + reach) % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


@compiled
def _blur(
    frame: NDArray[Any],
    rows: NDArray[Any],
    columns: NDArray[Any],
    up: Ints,
    across: Ints,
    result: NDArray[Any],
) -> None:
    """Add the blurred frame to the result."""
    height, width = frame.shape
    along = np.empty_like(frame)
    padded = np.empty(len(across), frame.dtype)
    for term in range(len(rows)):
        along[:] = 0.0
        for y in range(height):
            line = along[y]
            for i in range(len(across)):
                padded[i] = frame[y, across[i]]
            for j in range(columns.shape[1]):
                weight, shifted = columns[term, j], padded[j : j + width]
                for i in range(width):
                    line[i] += weight * shifted[i]
        for y in range(height):
            line = result[y]
            for j in range(rows.shape[1]):
                weight, other = rows[term, j], along[up[y + j]]
                for i in range(width):
                    line[i] += weight * other[i]
