"""How well a measured map agrees with a predicted one, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike


@dataclass(frozen=True)
class Agreement:
    """Numbers that compare two maps over the pixels where both have a value.

    Parameters
    ----------
    pixels : int
        Number of these pixels.
    correlation : float
        Pearson's r; NaN where a map is constant.
    rms : float
        Root of the mean square difference.
    offset : float
        Mean of measured less predicted.
    slope : float
        Of the line of least squares, measured against predicted; NaN where that is constant.
    """

    pixels: int
    correlation: float
    rms: float
    offset: float
    slope: float


def compare_maps(measured: ArrayLike, predicted: ArrayLike) -> Agreement:
    """Compare two maps.

    Parameters
    ----------
    measured, predicted : array_like of equal shape
        The maps, NaN where there is no value.

    Returns
    -------
    Agreement
        All numbers are NaN where no pixel is common.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    a, b = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"maps of shapes {a.shape} and {b.shape} cannot be compared")
    common = np.isfinite(a) & np.isfinite(b)
    if not common.any():
        return Agreement(0, math.nan, math.nan, math.nan, math.nan)
    a, b = a[common], b[common]
    covariance = float(np.mean((a - a.mean()) * (b - b.mean())))
    spread_a, spread_b = float(a.std()), float(b.std())
    both = spread_a * spread_b
    return Agreement(
        pixels=int(common.sum()),
        correlation=covariance / both if both > 0.0 else math.nan,
        rms=float(np.sqrt(np.mean((a - b) ** 2))),
        offset=float(np.mean(a - b)),
        slope=covariance / spread_b**2 if spread_b > 0.0 else math.nan,
    )


def relative_difference(
    measured: ArrayLike, predicted: ArrayLike, about_mean: bool = False
) -> float:
    """Difference of two maps relative to the first, over the pixels where both have a value.

    Parameters
    ----------
    measured, predicted : array_like of equal shape
        The maps, NaN where there is no value.
    about_mean : bool
        Relative to how the first varies about its mean: for positions, whose zero means nothing.

    Returns
    -------
    float
        Root of the sum of the squared differences over that of the first; NaN where no pixel is
        common or the first is 0.
    """
    a, b = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    common = np.isfinite(a) & np.isfinite(b)
    a, b = a[common], b[common]
    if not a.size:
        return math.nan
    whole = float(np.linalg.norm(a - a.mean() if about_mean else a))
    return float(np.linalg.norm(a - b)) / whole if whole > 0.0 else math.nan
