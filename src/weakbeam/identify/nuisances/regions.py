"""Where images are explained and where they are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects, label

from weakbeam.core.arrays import Floats
from weakbeam.fit.observation import Bools

BLOCK = 8
"""Edge of the parts that are judged (pixels)."""

_TOLERATED = 1.25
"""Largest mean squared residual of a part that counts as explained, but for its scatter. Where the
type is right parts reach 1.0 to 1.45, errors of the model being part of the variance."""

_MOST = 25.0
"""What the squared residual of one pixel counts at most: one bad pixel is no region."""

_WHOLE = 0.98
"""Share of parts from which on all of the images counts as explained."""


@dataclass(frozen=True, eq=False)
class Regions:
    """A map of what is explained.

    Parameters
    ----------
    misfit : (rows, columns) ndarray
        Mean squared residual over its variance of each part, all images together, that of each
        pixel being 25 at most; NaN where no pixel counts.
    holds : (rows, columns) ndarray of bool
        Which parts are explained.
    share : float
        Share of the parts that are explained.
    left : tuple of (int, int, int, int)
        First and last row, first and last column (pixels) of the largest places that are not.
    """

    misfit: Floats
    holds: Bools
    share: float
    left: tuple[tuple[int, int, int, int], ...]

    @property
    def explained(self) -> bool:
        """Whether all of the images is explained."""
        return self.share >= _WHOLE

    @property
    def sentence(self) -> str:
        """Where they are and where not, in words."""
        if self.explained:
            return "explained everywhere"
        places = "; ".join(
            f"rows {rows} to {last_row}, columns {columns} to {last_column}"
            for rows, last_row, columns, last_column in self.left
        )
        return f"explained in {100.0 * self.share:.0f} % of the window, not in {places}"


def regions_of(residual: Floats, good: Bools, most: int = 3) -> Regions:
    """Judge parts of images by their residuals.

    Parameters
    ----------
    residual : (conditions, rows, columns) ndarray
        In standard deviations of noise and model; NaN where nothing was compared.
    good : (conditions, rows, columns) ndarray of bool
        Pixels that count.
    most : int
        How many places that are not explained are told at most.
    """
    known = good & np.isfinite(residual)
    squares = np.minimum(np.where(known, residual, 0.0) ** 2, _MOST)
    rows, columns = (-(-n // BLOCK) for n in residual.shape[1:])
    room = [(0, 0), (0, rows * BLOCK - residual.shape[1]), (0, columns * BLOCK - residual.shape[2])]

    def summed(values: Floats) -> Floats:
        whole = np.pad(values, room).sum(axis=0)
        return np.asarray(whole.reshape(rows, BLOCK, columns, BLOCK).sum(axis=(1, 3)))

    total, number = summed(squares), summed(known.astype(np.float64))
    misfit = np.where(number > 0, total / np.maximum(number, 1.0), np.nan)
    compared = np.isfinite(misfit)
    # Parts of few pixels scatter more.
    limit = _TOLERATED + 3.0 * np.sqrt(2.0 / np.maximum(number, 1.0))
    bad = compared & (misfit > limit)
    parts, _ = label(bad)
    found = sorted(
        ((int((parts[place] == k).sum()), place) for k, place in enumerate(find_objects(parts), 1)),
        key=lambda entry: -entry[0],
    )
    left = tuple(
        (
            place[0].start * BLOCK,
            min(place[0].stop * BLOCK, residual.shape[1]) - 1,
            place[1].start * BLOCK,
            min(place[1].stop * BLOCK, residual.shape[2]) - 1,
        )
        for _, place in found[:most]
    )
    share = 1.0 - float(bad.sum()) / max(int(compared.sum()), 1)
    return Regions(misfit, compared & ~bad, share, left)
