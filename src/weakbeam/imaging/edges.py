"""The acceptance along q_rock', where it has its sharp edges: what samples apart do not see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats

FINEST = 0.5
"""Step of the tables, in widths of the acceptance's edge."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Mean squares over frames of what a range of q_rock' does to the intensity.

    All are (rows, columns): ranges, which double from row to row, by their middles.

    Parameters
    ----------
    grid : tuple of 3 float
        q_rock' of the first column, columns per q_rock', and the first range (in scales).
    bent : ndarray
        Root mean square of the difference between the mean over the range and its middle.
    change : ndarray
        Root of the largest mean square of the difference between two ends, over this and all
        narrower ranges.
    varied : ndarray
        Half of the mean square of the difference between both ends.
    ended : (1, columns) ndarray
        Half of the mean square of the intensity: where what diffracts ends.
    """

    grid: tuple[float, float, float]
    bent: Floats
    change: Floats
    varied: Floats
    ended: Floats


class EdgeTables:
    """Makes the tables for frames of any weights.

    Parameters
    ----------
    relative : callable
        Intensity at q (..., 3).
    shifts : (frames, 3) ndarray
        Shifts of q of each frame.
    lit : (2,) ndarray
        Ends of what is lit of q_rock' in some frame.
    scale : float
        Width of the acceptance's edge in q_rock'.
    gap : float
        Distance of neighbouring frames in q_rock', over which the mean squares are averaged.
    """

    def __init__(
        self,
        relative: Callable[[Floats], Floats],
        shifts: Floats,
        lit: Floats,
        scale: float,
        gap: float,
    ) -> None:
        step = FINEST * scale
        columns = math.ceil((lit[1] - lit[0]) / step) + 32
        rows = 2 + max(0, math.ceil(math.log2(columns)))
        first = lit[0] - 16.0 * step
        self._grid = (float(first), 1.0 / step, FINEST)
        self._last: tuple[Floats, Edges | None] = np.zeros(0), None
        self._gap = round(gap / step)
        margin = 2 ** (rows - 1)
        q = np.zeros((columns + 2 * margin, 3))
        q[:, 0] = first + step * np.arange(-margin, columns + margin)
        self._bent = np.empty((len(shifts), rows, columns), np.float32)
        self._ends = np.empty_like(self._bent)
        self._light = np.empty((len(shifts), 1, columns), np.float32)
        at = np.arange(margin, margin + columns)
        for k, shift in enumerate(shifts):
            p = relative(q + shift)
            below = np.concatenate([[0.0], np.cumsum(0.5 * (p[1:] + p[:-1]))])
            self._light[k, 0] = p[at]
            # A range of a single step is interpolated.
            self._bent[k, 0] = (p[at + 1] + p[at - 1] - 2.0 * p[at]) / 24.0
            self._ends[k, 0] = 0.5 * (p[at + 1] - p[at - 1])
            for row in range(1, rows):
                half = 2 ** (row - 1)
                self._bent[k, row] = (below[at + half] - below[at - half]) / (2 * half) - p[at]
                self._ends[k, row] = p[at + half] - p[at - half]

    def weighed(self, weights: Floats) -> Edges:
        """The tables, with a weight (frames,) for each frame in the mean of squares."""
        last, edges = self._last
        if edges is None or not np.array_equal(last, weights):
            edges = self._made(weights)
            self._last = weights, edges
        return edges

    def _made(self, weights: Floats) -> Edges:
        bent = np.sqrt(self._mean(self._bent, weights))
        ends = self._mean(self._ends, weights)
        change = np.sqrt(np.maximum.accumulate(ends, axis=0))
        columns = np.arange(change.shape[1])
        # Ends alike may have something else between them.
        for row in range(1, len(change)):
            half = 2 ** (row - 1)
            for at in (columns - half // 2, columns + half // 2):
                beside = change[row - 1, np.clip(at, 0, columns[-1])]
                change[row] = np.maximum(change[row], beside)
        ended = 0.5 * self._mean(self._light, weights)
        return Edges(self._grid, bent, change, 0.5 * ends, ended)

    def _mean(self, values: Floats, weights: Floats) -> Floats:
        table = np.einsum("k,krc->rc", weights, values.astype(np.float64) ** 2)
        if self._gap > 1:
            width = min(self._gap, table.shape[1])
            padded = np.pad(table, ((0, 0), (width // 2 + 1, width - width // 2 - 1)), "edge")
            sums = np.cumsum(padded, axis=1)
            table = (sums[:, width:] - sums[:, :-width]) / width
        return np.ascontiguousarray(np.maximum(table, 0.0))
