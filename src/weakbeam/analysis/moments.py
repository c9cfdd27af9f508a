"""Moments of the intensity over a scan, pixel by pixel: centre of mass, width and shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats

if TYPE_CHECKING:
    from weakbeam.diffraction.density import AcceptanceDensity

DARK = 1e-6
"""Pixels with less than this share of the brightest pixel's intensity have no moments."""

DARK_COUNTS = 1e-3
"""The same for counts, whose noise is never quite zero."""

ORDERS = 4
"""Highest power of the motor position that is summed."""

_ROUNDING = 1e-9
"""Negative variances below this share of the second moment are zeros."""

_PRODUCT = 2**18
"""Multiplications of a matrix product for which BLAS starts no threads: they take longer."""


@dataclass(eq=False)
class ScanMoments:
    """Sums of intensity times powers of the motor positions over the frames of a scan.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a frame.
    centres : mapping of str to float
        For each moving motor a position in the middle of the scan; powers count from there.
    intensity : (rows, columns) ndarray, optional
        Σ w I so far, with the weight w of each frame.
    powers : mapping of str to (4, rows, columns) ndarray, optional
        Σ w I (x - x₀)ᵏ so far, k = 1 to 4, for each motor.
    """

    shape: tuple[int, int]
    centres: Mapping[str, float]
    intensity: Floats = field(default_factory=lambda: np.zeros(0))
    powers: dict[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start from nothing unless sums are given."""
        if self.intensity.size == 0:
            self.intensity = np.zeros(self.shape)
            self.powers = {motor: np.zeros((ORDERS, *self.shape)) for motor in self.centres}

    def add(self, frame: ArrayLike, positions: Mapping[str, float], weight: float = 1.0) -> None:
        """Add a frame taken at `positions` of the motors, which counts `weight` times."""
        image = weight * np.asarray(frame, dtype=np.float64)
        self.intensity += image
        for motor, sums in self.powers.items():
            x = positions[motor] - self.centres[motor]
            for k in range(ORDERS):
                sums[k] += image * x ** (k + 1)

    def add_frames(
        self,
        frames: ArrayLike,
        positions: Mapping[str, ArrayLike],
        rows: slice = slice(None),
        weights: ArrayLike | None = None,
    ) -> None:
        """Add many frames at once, as one matrix product; faster than `add` one by one.

        Parameters
        ----------
        frames : (n, rows, columns) array_like
            The frames.
        positions : mapping of str to (n,) array_like
            Position of each motor at each of them.
        rows : slice
            The rows that the frames show, where it is not all of them.
        weights : (n,) array_like, optional
            How much each frame counts; 1 unless given.
        """
        images = np.asarray(frames, dtype=np.float64).reshape(len(np.asarray(frames)), -1)
        rows_of_factors = [np.ones(len(images))]
        for motor in self.powers:
            x = np.asarray(positions[motor], dtype=np.float64) - self.centres[motor]
            rows_of_factors += [x ** (k + 1) for k in range(ORDERS)]
        factors = np.stack(rows_of_factors)
        if weights is not None:
            factors *= np.asarray(weights, dtype=np.float64)
        sums = np.empty((len(factors), images.shape[1]))
        step = max(_PRODUCT // factors.size, 1)
        for start in range(0, images.shape[1], step):
            part = slice(start, start + step)
            np.matmul(factors, images[:, part], out=sums[:, part])
        added = sums.reshape(len(factors), -1, self.shape[1])
        self.intensity[rows] += added[0]
        for number, powers in enumerate(self.powers.values()):
            powers[:, rows] += added[1 + number * ORDERS : 1 + (number + 1) * ORDERS]

    def center_of_mass(self, motor: str, dark: float = DARK) -> Floats:
        """Centre of mass Σ w I x / Σ w I of each pixel.

        Parameters
        ----------
        motor : str
            One of the moving motors.
        dark : float
            Pixels with no more than this share of the largest ΣI give NaN.

        Returns
        -------
        (rows, columns) ndarray
            In the unit of the motor positions.
        """
        return self._mean(motor, 0, dark) + self.centres[motor]

    def fwhm(self, motor: str, dark: float = DARK) -> Floats:
        """Full width at half maximum of the Gaussian with the variance of each pixel's curve.

        NaN where noise leaves no variance.
        """
        second = self._mean(motor, 1, dark)
        variance = second - self._mean(motor, 0, dark) ** 2
        variance = np.where(variance < -_ROUNDING * np.abs(second), np.nan, variance)
        return np.asarray(2.0 * math.sqrt(2.0 * math.log(2.0)) * np.sqrt(np.maximum(variance, 0.0)))

    def skewness(self, motor: str, dark: float = DARK) -> Floats:
        """Third central moment over the standard deviation cubed; NaN where there is no width."""
        first, second, third = (self._mean(motor, k, dark) for k in range(3))
        variance = second - first**2
        with np.errstate(invalid="ignore", divide="ignore"):
            skewness = (third - 3 * first * second + 2 * first**3) / variance**1.5
        return np.asarray(np.where(variance > 0.0, skewness, np.nan))

    def kurtosis(self, motor: str, dark: float = DARK) -> Floats:
        """Fourth central moment over the variance squared, less 3: 0 for a Gaussian curve."""
        first, second, third, fourth = (self._mean(motor, k, dark) for k in range(ORDERS))
        variance = second - first**2
        central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
        with np.errstate(invalid="ignore", divide="ignore"):
            kurtosis = central / variance**2 - 3.0
        return np.asarray(np.where(variance > 0.0, kurtosis, np.nan))

    def _mean(self, motor: str, order: int, dark: float) -> Floats:
        lit = self.intensity > dark * max(float(self.intensity.max(initial=0.0)), 0.0)
        mean = self.powers[motor][order] / np.where(lit, self.intensity, 1.0)
        return np.where(lit, mean, np.nan)


def com_response(
    acceptance: AcceptanceDensity,
    shifts: ArrayLike,
    positions: ArrayLike,
    weights: ArrayLike | None = None,
) -> Floats:
    r"""How far the centre of mass moves when q changes, for the motor positions of a scan.

    Parameters
    ----------
    acceptance : AcceptanceDensity
        The instrument.
    shifts : (frames, 3) array_like
        Shift of q in the imaging frame at each frame.
    positions : (motors, frames) array_like
        Positions of the moving motors at each frame.
    weights : (frames,) array_like, optional
        How much each frame counts in the centre of mass; 1 unless given.

    Returns
    -------
    (motors, 3) ndarray
        :math:`R = -\partial\,\mathrm{COM}/\partial q` about q = 0, so that COM ≈ -R q; NaN where no
        frame is lit.

    Notes
    -----
    For a Gaussian acceptance with precision matrix P and a scan long enough along the vectors E of
    its motors this is :math:`(E P E^T)^{-1} E P` (docs/explanation/physics.md, E6). Truncations and
    the finite range of the scan enter because the sums run over the frames that are taken. The
    derivative is the mean one over a step of the scan: between coarse steps the centre of mass of a
    sharp acceptance moves by leaps.
    """
    offsets = np.asarray(shifts, dtype=np.float64)
    x = np.asarray(positions, dtype=np.float64)
    counts = np.ones(len(offsets)) if weights is None else np.asarray(weights, dtype=np.float64)
    response = np.empty((len(x), 3))
    smallest = 1e-3 * np.sqrt(np.diag(acceptance.covariance()))
    for k in range(3):
        steps = np.diff(np.unique(np.round(offsets[:, k] / smallest[k], 6))) * smallest[k]
        small = max(smallest[k], 0.5 * float(np.median(steps)) if steps.size else 0.0)
        step = small * np.eye(3)[k]
        plus, minus = (counts * acceptance.density(offsets + sign * step) for sign in (1.0, -1.0))
        lit = plus.sum() > 0.0 and minus.sum() > 0.0
        response[:, k] = (
            (x @ minus / minus.sum() - x @ plus / plus.sum()) / (2.0 * small) if lit else np.nan
        )
    return response
