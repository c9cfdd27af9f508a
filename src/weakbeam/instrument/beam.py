"""Height profile of the line beam, and the depths at which it is sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam._typing import ArrayLike, Floats

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian over its standard deviation: 2.354820045."""

GAUSSIAN_REACH = 3.7
"""Standard deviations at which the sampled Gaussian beam ends; 2·10⁻⁴ of it lies outside."""


@dataclass(frozen=True)
class BeamProfile:
    """Intensity of the line beam against height.

    Parameters
    ----------
    height : float
        Full width at half maximum (µm); of a box: its full height.
    shape : {"gaussian", "box"}
        The profile.

    Raises
    ------
    ValueError
        For a height that is not positive and finite, or an unknown shape.
    """

    height: float
    shape: str = "gaussian"

    def __post_init__(self) -> None:
        """Check height and shape."""
        if not 0.0 < self.height < math.inf:
            raise ValueError(f"beam height {self.height} µm is not positive and finite")
        if self.shape not in ("gaussian", "box"):
            raise ValueError(f"beam profile {self.shape!r} is neither 'gaussian' nor 'box'")

    @property
    def half_reach(self) -> float:
        """Largest height above or below the centre that is sampled (µm)."""
        if self.shape == "box":
            return self.height / 2.0
        return GAUSSIAN_REACH * self.height / FWHM_PER_SIGMA

    def intensity(self, z: ArrayLike) -> Floats:
        """Relative intensity at height `z` (µm); 1 at the centre."""
        heights = np.asarray(z, dtype=np.float64)
        if self.shape == "box":
            return np.where(np.abs(heights) <= self.height / 2.0, 1.0, 0.0)
        return np.exp(-0.5 * (heights * FWHM_PER_SIGMA / self.height) ** 2)

    def samples(self, count: int) -> tuple[Floats, Floats]:
        """Depths at the middles of `count` equal slices, and their weights.

        Parameters
        ----------
        count : int
            Number of slices between the two ends of the profile, at least 1.

        Returns
        -------
        z : (count,) ndarray
            Heights (µm), increasing.
        weights : (count,) ndarray
            Share of the beam in each slice; they add up to 1.
        """
        edges = np.linspace(-self.half_reach, self.half_reach, count + 1)
        z = 0.5 * (edges[1:] + edges[:-1])
        weights = self.intensity(z)
        return z, weights / weights.sum()
