"""Images to be identified: counts above dark, the pixels that count, and their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats

if TYPE_CHECKING:
    from weakbeam.instrument.camera import CameraModel

Bools = NDArray[np.bool_]

_ROUNDING = 1.0 / 12.0
"""Variance of the rounding of a count to a whole number."""

_GAUSSIAN_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

_LEVELS = 24
"""Classes of brightness from which gain and floor are estimated."""

_FEWEST_PIXELS = 100


@dataclass(frozen=True)
class Noise:
    """Variance of a pixel, a straight line over its signal.

    Parameters
    ----------
    gain : float
        Variance per signal (ADU), from the Poisson statistics of the photons; 0 for noise that does
        not grow with the signal.
    floor : float
        Variance without signal (ADU²), of the read-out and the dark current.

    Raises
    ------
    ValueError
        If the gain does not lie between 0 and 1e9, or the floor between 1e-15 and 1e15.
    """

    gain: float
    floor: float

    def __post_init__(self) -> None:
        # Squares of what is divided by them have to fit in single precision.
        if not (0.0 <= self.gain <= 1e9 and 1e-15 <= self.floor <= 1e15):
            raise ValueError(
                f"noise of gain {self.gain:g} and floor {self.floor:g}: the gain must lie between "
                "0 and 1e9 and the floor between 1e-15 and 1e15"
            )

    @classmethod
    def of_camera(
        cls, model: CameraModel, exposure: float, frames: int = 1, dark_frames: int | None = None
    ) -> Noise:
        """The noise of a camera (docs/explanation/physics.md, E5).

        Parameters
        ----------
        model : CameraModel
            The camera.
        exposure : float
            Exposure time of a frame (s).
        frames : int
            How many frames the image is the mean of.
        dark_frames : int, optional
            How many frames the dark image is the mean of that was subtracted; by default it has no
            noise.
        """
        dark = model.read_variance + model.dark_variance_rate * exposure + _ROUNDING
        floor = dark / frames + (0.0 if dark_frames is None else dark / dark_frames)
        return cls(model.gain / frames, floor)

    def variance(self, signal: ArrayLike) -> Floats:
        """Variance (ADU²) of pixels of the given expected signal (ADU)."""
        light = np.maximum(np.asarray(signal, dtype=np.float64), 0.0)
        return self.gain * light + self.floor


@dataclass(frozen=True, eq=False)
class Observation:
    """Images of one place of the crystal under one or several conditions.

    Parameters
    ----------
    images : (conditions, rows, columns) array_like
        Counts above dark (ADU); one image may be given without its first axis.
    good : array_like of bool, shape of the images
        Pixels that count. Those that are no finite numbers never do. By default all others.
    noise : Noise
        Their noise.

    Raises
    ------
    ValueError
        If the shapes do not belong together or an image has no pixel that counts.
    """

    images: Floats
    good: Bools
    noise: Noise

    def __init__(self, images: ArrayLike, noise: Noise, good: ArrayLike | None = None) -> None:
        values = np.array(images, dtype=np.float64)
        values = values[None] if values.ndim == 2 else values
        if values.ndim != 3 or values.size == 0:
            raise ValueError("images must have the axes conditions, rows and columns")
        known = np.isfinite(values)
        if good is not None:
            known &= np.asarray(good, dtype=np.bool_).reshape(values.shape)
        for number, pixels in enumerate(known):
            if not pixels.any():
                raise ValueError(f"image {number} has no pixel that counts")
        values[~known] = 0.0
        object.__setattr__(self, "images", values)
        object.__setattr__(self, "good", known)
        object.__setattr__(self, "noise", noise)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return self.images.shape[1], self.images.shape[2]

    def __len__(self) -> int:
        return len(self.images)

    def only(self, *numbers: int) -> Observation:
        """The observation of some of the images."""
        chosen = list(numbers)
        return Observation(self.images[chosen], self.noise, self.good[chosen])


def estimate_noise(images: ArrayLike, good: ArrayLike | None = None) -> Noise:
    r"""Gain and floor of the noise from the images themselves.

    Parameters
    ----------
    images : (conditions, rows, columns) array_like
        Counts above dark (ADU).
    good : array_like of bool, optional
        Pixels that count.

    Returns
    -------
    Noise

    Raises
    ------
    ValueError
        If there are fewer than 100 squares of 3 x 3 good pixels, or no noise in them.

    Notes
    -----
    The second difference along rows and columns,
    ((1, −2, 1), (−2, 4, −2), (1, −2, 1)), of a smooth image is small and has 36 times the variance
    of a pixel (Immerkær, Comput. Vis. Image Underst. 64, 1996, 300). Its median absolute deviation
    among pixels of like brightness gives a variance for each brightness; a straight line through
    those has the gain as slope. Sharp features of the image count as noise.
    """
    values = np.asarray(images, dtype=np.float64)
    values = values[None] if values.ndim == 2 else values
    known = np.isfinite(values)
    if good is not None:
        known &= np.asarray(good, dtype=np.bool_).reshape(values.shape)
    clean = np.where(known, values, 0.0)
    whole = _three_by_three(known, (1.0, 1.0, 1.0)) > 8.5
    level = (_three_by_three(clean, (1.0, 1.0, 1.0)) / 9.0)[whole]
    rough = (_three_by_three(clean, (1.0, -2.0, 1.0)) / 6.0)[whole]
    if level.size < _FEWEST_PIXELS:
        raise ValueError(f"noise cannot be estimated from {level.size} pixels with good neighbours")
    count = min(_LEVELS, level.size // _FEWEST_PIXELS)
    order = np.argsort(level, kind="stable")
    groups = np.array_split(order, count)
    light = np.array([max(level[group].mean(), 0.0) for group in groups])
    spread = np.array([_GAUSSIAN_MAD * np.median(np.abs(rough[group])) for group in groups])
    variance = spread**2
    if not variance.any():
        raise ValueError("noise cannot be estimated: neighbouring pixels are all alike")
    gain, floor = _line(light, variance)
    return Noise(gain, floor)


def isolated_pixels(images: ArrayLike, noise: Noise, threshold: float = 8.0) -> Bools:
    """Pixels far brighter than all of their neighbours: hot ones, and hits of stray radiation.

    Parameters
    ----------
    images : (conditions, rows, columns) array_like
        Counts above dark (ADU).
    noise : Noise
        Their noise.
    threshold : float
        How many standard deviations of the brightest neighbour a pixel must lie above it.

    Returns
    -------
    ndarray of bool, shape of the images
        A dislocation core that lights up a single pixel looks the same.
    """
    values = np.asarray(images, dtype=np.float64)
    framed = np.pad(values, [(0, 0), (1, 1), (1, 1)], constant_values=-np.inf)
    rows, columns = values.shape[1:]
    brightest = np.full(values.shape, -np.inf)
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                neighbour = framed[:, down : down + rows, right : right + columns]
                np.fmax(brightest, neighbour, out=brightest)
    isolated: Bools = values - brightest > threshold * np.sqrt(noise.variance(brightest))
    return isolated


def _three_by_three(values: ArrayLike, weights: tuple[float, float, float]) -> Floats:
    """Sums of the neighbourhoods inside the images, weighted along both axes alike."""
    array = np.asarray(values, dtype=np.float64)
    a, b, c = weights
    rows = a * array[:, :-2] + b * array[:, 1:-1] + c * array[:, 2:]
    return np.asarray(a * rows[:, :, :-2] + b * rows[:, :, 1:-1] + c * rows[:, :, 2:])


def _line(light: Floats, variance: Floats) -> tuple[float, float]:
    """Slope and offset, neither negative, of the variance over the light."""
    least = 1e-3 * float(variance.max())
    slope, offset = 0.0, float(np.median(variance))
    for _ in range(5):
        # The variance of a variance is proportional to its square.
        weight = 1.0 / np.maximum(slope * light + offset, least) ** 2
        mean = float(weight @ light / weight.sum())
        middle = float(weight @ variance / weight.sum())
        spread = float(weight @ (light - mean) ** 2)
        slope = 0.0 if spread == 0.0 else float(weight @ ((light - mean) * variance)) / spread
        slope = max(slope, 0.0)
        offset = middle - slope * mean
        if offset <= 0.0:
            slope, offset = float(weight @ (light * variance) / (weight @ light**2)), least
    return slope, offset
