"""Wavelength of the beam, its height profile, and the depths at which it is sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats

HC_KEV_ANGSTROM = 12.398419843
"""Planck's constant times the speed of light, in keV Å."""

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian over its standard deviation: 2.354820045."""

GAUSSIAN_REACH = 4.0
"""Standard deviations at which the sampled Gaussian beam ends; 6·10⁻⁵ of it lies outside."""


def wavelength(energy_kev: float) -> float:
    """Wavelength in Å of X-rays of `energy_kev` keV."""
    return HC_KEV_ANGSTROM / energy_kev


@dataclass(frozen=True)
class BeamProfile:
    """Intensity of the line beam against height.

    Parameters
    ----------
    height : float
        Full width at half maximum (µm); of a box: its full height. Of no meaning for a table.
    shape : {"gaussian", "box", "tabulated"}
        The profile.
    heights, values : tuple of float
        A tabulated profile: increasing heights (µm) and the intensity there, linear in between and
        zero beyond.

    Raises
    ------
    ValueError
        For a height that is not positive and finite, an unknown shape, or a table that is not one
        of increasing heights and non-negative intensities, some of them positive.
    """

    height: float
    shape: str = "gaussian"
    heights: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check height, shape and table."""
        if not 0.0 < self.height < math.inf:
            raise ValueError(f"beam height {self.height} µm is not positive and finite")
        if self.shape not in ("gaussian", "box", "tabulated"):
            raise ValueError(
                f"beam profile {self.shape!r} is none of 'gaussian', 'box' and 'tabulated'"
            )
        if self.shape == "tabulated":
            z, v = np.array(self.heights), np.array(self.values)
            if len(z) < 2 or len(z) != len(v) or not np.isfinite([*z, *v]).all():
                raise ValueError("a tabulated beam profile needs two or more heights with values")
            if (np.diff(z) <= 0.0).any() or (v < 0.0).any() or not v.any():
                raise ValueError(
                    "a tabulated beam profile needs increasing heights, and values that are not "
                    "negative and not all zero"
                )

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest height that is sampled (µm)."""
        if self.shape == "tabulated":
            return self.heights[0], self.heights[-1]
        reach = 0.5 if self.shape == "box" else GAUSSIAN_REACH / FWHM_PER_SIGMA
        return -reach * self.height, reach * self.height

    @property
    def half_reach(self) -> float:
        """Largest height above or below the centre that is sampled (µm)."""
        low, high = self.ends
        return max(-low, high)

    def intensity(self, z: ArrayLike) -> Floats:
        """Relative intensity at height `z` (µm); 1 at the centre, or at the table's largest."""
        heights = np.asarray(z, dtype=np.float64)
        if self.shape == "tabulated":
            values = np.array(self.values) / max(self.values)
            return np.asarray(np.interp(heights, self.heights, values, left=0.0, right=0.0))
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
            Share of the beam in each slice; they add up to 1. For a table it is the exact one,
            for a Gaussian that of the middle of the slice.
        """
        edges = np.linspace(*self.ends, count + 1)
        z = 0.5 * (edges[1:] + edges[:-1])
        weights = self.intensity(z)
        if self.shape == "tabulated":
            weights = np.diff(self._below(edges))
        return z, weights / weights.sum()

    def _below(self, z: Floats) -> Floats:
        """Integral of a tabulated intensity up to the heights `z` (µm)."""
        nodes = np.array(self.heights)
        values = self.intensity(nodes)
        whole = np.concatenate(
            [[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(nodes))]
        )
        last = np.clip(np.searchsorted(nodes, z, side="right") - 1, 0, len(nodes) - 2)
        step = z - nodes[last]
        return np.asarray(whole[last] + 0.5 * step * (values[last] + np.interp(z, nodes, values)))
