r"""How the image of a point spreads over the pixels of the camera, and images that are blurred so.

A point spread function is a sum of products of a function of the row and one of the column, so that
images are blurred along their axes one after the other. A Gaussian is one such product, and so is
what an aperture lets pass whose transmission is one; a round aperture takes a few.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.core.workers import worker_count
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.stops import (
    AXES,
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
    Stop,
)

REACH = 4.0
"""Standard deviations after which a Gaussian counts as over."""

_NODES = 513
_SAMPLES = 340
_MOST_WAVES = 20.0
_MOST_PIXELS = 48
_KEPT = 0.999
_LEAST_TERM = 1e-3


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
    """Gaussian point spread function, taken at the centres of the pixels.

    Parameters
    ----------
    sigma : float
        Standard deviation (pixels).
    """
    reach = math.ceil(REACH * sigma)
    x = np.arange(-reach, reach + 1)
    values = np.exp(-0.5 * (x / sigma) ** 2)
    factor = (values / values.sum())[None]
    return PointSpread(factor, factor)


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
        The light of a point in the middle of a pixel on this and the pixels around it.

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
    a fortieth of a pixel. Points are taken as independent sources
    that fill the lens. Tails that hold a thousandth of the light are cut.
    """
    reach = min(optics.aperture, math.sqrt(2.0) * REACH * optics.lens)
    matrix = np.asarray(steps, dtype=np.float64)
    along = [np.linspace(-1.0, 1.0, _NODES) * reach * np.abs(matrix[:, k]).sum() for k in range(2)]
    row, column = np.meshgrid(*along, indexing="ij")
    delta, xi = np.tensordot(np.linalg.inv(matrix).T, np.stack([row, column]), axes=1)
    amplitude = _amplitude(optics, delta, xi)
    if not amplitude.any():
        raise ValueError("the apertures and stops let nothing through")
    waves_per_pixel = max(nodes[-1] for nodes in along) / wavelength
    if waves_per_pixel > _MOST_WAVES:
        return PointSpread(np.ones((1, 1)), np.ones((1, 1)))
    fine = 2 * math.ceil(max(3.0 * waves_per_pixel, 1.0)) + 1
    size = 2 * min(_MOST_PIXELS, max(2, _SAMPLES // fine)) + 1
    x = (np.arange(size * fine) - (size * fine - 1) / 2.0) / fine
    waves = [np.exp(2j * np.pi / wavelength * np.outer(x, nodes)) for nodes in along]
    intensity = np.abs(waves[0] @ amplitude @ waves[1].T) ** 2
    pixels = intensity.reshape(size, fine, size, fine).sum(axis=(1, 3))
    return _separated(_cut(pixels))


def combined(first: PointSpread, second: PointSpread) -> PointSpread:
    """One point spread function after the other."""

    def products(a: Floats, b: Floats) -> Floats:
        return np.array([np.convolve(x, y) for x in a for y in b])

    return PointSpread(products(first.rows, second.rows), products(first.columns, second.columns))


def _amplitude(optics: Optics, delta: Floats, xi: Floats) -> Floats:
    """Square root of the transmission of lens, aperture and stops."""
    amplitude = np.exp(-(delta**2 + xi**2) / (4.0 * optics.lens**2))
    amplitude *= (np.abs(delta) <= optics.aperture) & (np.abs(xi) <= optics.aperture)
    for stop in optics.stops:
        amplitude *= np.sqrt(_transmission(stop, delta, xi))
    return amplitude


def _transmission(stop: Stop, delta: Floats, xi: Floats) -> Floats:
    match stop:
        case SquareOpening():
            passes = np.maximum(np.abs(delta), np.abs(xi)) < stop.half_width
        case RoundOpening():
            passes = np.hypot(delta, xi) < stop.radius
        case CentralBlock():
            passes = np.maximum(np.abs(delta), np.abs(xi)) >= stop.half_width
        case KnifeBlade():
            x = (delta, xi)[AXES.index(stop.axis)]
            passes = x > stop.position if stop.side == "above" else x < stop.position
        case AbsorbingWire():
            x = ((delta, xi)[AXES.index(stop.axis)] - stop.position) / stop.radius
            chord = np.sqrt(np.maximum(1.0 - x**2, 0.0))
            return np.exp(-np.where(chord > 0.0, stop.optical_depth * np.maximum(chord, 1e-300), 0))
    return passes.astype(np.float64)


def _cut(pixels: Floats) -> Floats:
    """The middle of a point spread function, as small as holds nearly all of it; its sum is 1."""
    middle = len(pixels) // 2
    for n in range(middle + 1):
        part = pixels[middle - n : middle + n + 1, middle - n : middle + n + 1]
        if part.sum() >= _KEPT * pixels.sum():
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
