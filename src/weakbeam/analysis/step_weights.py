r"""How much of a scan each frame stands for: moments of a sampled curve are integrals.

The centre of mass of a curve I(x) is :math:`\int x I\,dx / \int I\,dx`. Of frames at uneven
positions each counts by the step that it stands for,
:math:`w_i = (x_{i+1} - x_{i-1}) / 2`; frames at one position share its step. The first and the last
position stand for the whole step beside them, so that even steps count alike: there the sums are
plain ones, as darfix and darling form them. (Half a step would be the trapezoidal rule; the two
differ only where a curve does not fall off inside the scan.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.core.arrays import ArrayLike, Floats, Ints

EVEN = 0.02
"""Steps that differ by less than this share of their median are even: what differs is jitter."""

_SAME = 1e-6
"""Positions this share of the range apart are one."""


@dataclass(frozen=True, eq=False)
class FrameWeights:
    """Weights of the frames of a scan.

    Parameters
    ----------
    frame : (frames,) ndarray
        For sums over all frames; their mean is 1.
    along : mapping of str to (frames,) ndarray
        For the curve along each motor, which is an integral over the other motors only.
    """

    frame: Floats
    along: Mapping[str, Floats]

    @property
    def even(self) -> bool:
        """Whether all frames count alike."""
        return bool((self.frame == 1.0).all())

    def times(self, factors: ArrayLike) -> FrameWeights:
        """The same, each frame multiplied by its own factor, such as that of a beam monitor."""
        by = np.asarray(factors, dtype=np.float64)
        return FrameWeights(self.frame * by, {name: w * by for name, w in self.along.items()})


def step_weights(positions: ArrayLike) -> Floats:
    """Step that each position of a motor stands for.

    Parameters
    ----------
    positions : (n,) array_like
        Positions in any order; those that are equal share their step.

    Returns
    -------
    (n,) ndarray
        In the unit of the positions, all above 0; 1 where there is but one position.
    """
    values = np.asarray(positions, dtype=np.float64)
    place = _places(values)
    count = np.bincount(place)
    return (_cells(np.bincount(place, values) / count) / count)[place]


def repeat_shares(positions: ArrayLike) -> Floats:
    """Share of each position in those that are equal to it: 1 where there are no others."""
    place = _places(np.asarray(positions, dtype=np.float64))
    return np.asarray(1.0 / np.bincount(place)[place])


def _places(values: Floats) -> Ints:
    """Number of each position among those that differ, in increasing order."""
    order = np.argsort(values, kind="stable")
    place = np.empty(len(values), np.int64)
    new = np.diff(values[order]) > _SAME * np.ptp(values)
    place[order] = np.concatenate([[0], np.cumsum(new)])
    return place


def _cells(levels: Floats) -> Floats:
    """Step of each of the positions, which increase."""
    if len(levels) < 2:
        return np.ones(len(levels))
    steps = np.diff(levels)
    middle = float(np.median(steps))
    if np.abs(steps - middle).max() <= EVEN * middle:
        return np.full(len(levels), middle)
    return np.concatenate([steps[:1], 0.5 * (steps[1:] + steps[:-1]), steps[-1:]])


def frame_weights(positions: Mapping[str, ArrayLike], grid: ScanGrid) -> FrameWeights:
    """Weigh the frames of a scan by the steps of its motors.

    Parameters
    ----------
    positions : mapping of str to (frames,) array_like
        Position of each moving motor at every frame.
    grid : ScanGrid
        Their grid. On none, all frames count alike.

    Returns
    -------
    FrameWeights
        On a grid the product of the steps of its axes, of which those of the fastest motor are
        each row's own: rows may be cut, have gaps, or begin at different places.
    """
    frames = len(np.asarray(next(iter(positions.values()))))
    ones = np.ones(frames)
    if grid.kind == "irregular":
        return FrameWeights(ones, dict.fromkeys(positions, ones))
    if grid.kind == "line":
        name = next(iter(grid.axes))
        place = grid.index[name]
        shared = 1.0 / np.bincount(place)[place]
        weights = _mean_one(_cells(grid.axes[name])[place] * shared)
        return FrameWeights(weights, dict.fromkeys(positions, shared))
    *slow, fast = grid.axes
    by_motor = {name: _mean_one(_cells(grid.axes[name]))[grid.index[name]] for name in slow}
    by_motor[fast] = _mean_one(_row_weights(np.asarray(positions[fast], dtype=float), grid, fast))
    along = {
        name: np.prod([ones, *(w for other, w in by_motor.items() if other != name)], axis=0)
        for name in by_motor
    }
    return FrameWeights(_mean_one(np.prod(list(by_motor.values()), axis=0)), along)


def _row_weights(positions: Floats, grid: ScanGrid, fast: str) -> Floats:
    """Steps of the fastest motor among the frames of each row, over the usual one."""
    row = np.zeros(len(grid.index[fast]), np.int64)
    for name, index in grid.index.items():
        if name != fast:
            row = row * len(grid.axes[name]) + index
    order = np.argsort(row, kind="stable")
    rows = np.split(order, np.nonzero(np.diff(row[order]))[0] + 1)
    weights = np.empty(len(row))
    usual = float(np.median(np.concatenate([np.diff(np.sort(positions[k])) for k in rows])))
    for frames in rows:
        steps = step_weights(positions[frames]) if len(frames) > 1 else np.full(1, usual)
        even = np.ptp(steps) == 0.0 and abs(steps[0] - usual) <= EVEN * usual
        weights[frames] = 1.0 if even else steps / usual
    return weights


def _mean_one(weights: Floats) -> Floats:
    mean = float(weights.mean())
    return np.ones(len(weights)) if np.ptp(weights) < 1e-12 * mean else weights / mean
