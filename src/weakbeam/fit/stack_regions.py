"""Which regions of a stack a model explains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats

_BLOCKS = 8
"""Regions along the longer edge."""

_EXPLAINED, _SURE = 1.1, 5.0


def regions_of(misfit: Floats, frames: int) -> tuple[dict[str, Any], ...]:
    """Goodness of fit of the parts of an image: rows, columns, misfit, whether explained.

    Parameters
    ----------
    misfit : (rows, columns) ndarray
        Mean squared residual over its variance of each pixel; NaN of those that do not count.
    frames : int
        How many frames there are.
    """
    rows, columns = misfit.shape
    edge = max(1, -(-max(rows, columns) // _BLOCKS))
    found = []
    for top in range(0, rows, edge):
        for left in range(0, columns, edge):
            part = misfit[top : top + edge, left : left + edge]
            values = part[np.isfinite(part)]
            mean = float(values.mean()) if values.size else math.nan
            limit = _EXPLAINED + _SURE * math.sqrt(2.0 / max(values.size * frames, 1))
            found.append(
                {
                    "rows": [top, min(top + edge, rows)],
                    "columns": [left, min(left + edge, columns)],
                    "chi2": mean,
                    "explained": mean < limit if math.isfinite(mean) else None,
                }
            )
    return tuple(found)


def is_explained(misfit: Floats, frames: int) -> bool:
    """Whether all regions are."""
    return all(region["explained"] is not False for region in regions_of(misfit, frames))
