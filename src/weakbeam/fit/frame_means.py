"""Frames of a scan whose steps are much finer than what the instrument resolves, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.fit.stack_data import Frames, FramesInMemory, StackData

_SAME = 3e-7
"""Readings of a motor (rad) that are nearer to each other are one setting."""

_FEWEST = 6
"""Settings of a motor that are left at least, of so many."""

_KEPT_BYTES = 800 * 2**20
_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class MeanFrames:
    """Means over frames of a stack.

    Parameters
    ----------
    frames : Frames
        All of them.
    members : sequence of (k,) ndarray of int
        Which each is the mean of.
    full : float
        Counts at which a pixel is full, in any of them, so that it does not count.
    """

    frames: Frames
    members: Sequence[Ints]
    full: float

    def some(self, numbers: Ints) -> NDArray[Any]:
        """See :meth:`weakbeam.fit.stack_data.Frames.some`; NaN where a pixel does not count."""
        means = []
        for number in numbers:
            own = self.frames.some(self.members[number])
            mean = own.mean(axis=0, dtype=np.float32)
            mean[(own >= self.full).any(axis=0)] = np.nan
            means.append(mean)
        return np.stack(means)


def put_together(data: StackData, resolved: Floats) -> StackData:
    """Means over frames at settings that are much closer than the instrument resolves.

    No photon is lost, and no mistake is made: the model makes the same means
    (:class:`weakbeam.imaging.routes.Means`).

    Parameters
    ----------
    data : StackData
        The stack.
    resolved : (3,) ndarray
        How far settings of φ, χ and 2θ may span (rad): as far as curves change by a quarter of
        their peak, :func:`.resolved`, which takes less than 2 % of what a Gaussian curve tells of
        its place; infinite along a motor that does not move.

    Returns
    -------
    StackData
        The same where steps are not finer, or settings are on no full grid.
    """
    along = [settings_of(values) for values in data.positions.T]
    counts = [int(labels.max()) + 1 for labels in along]
    place = np.ravel_multi_index(along, counts)
    if len(data) != np.prod(counts) or len(np.unique(place)) != len(data):
        return data
    bins = [
        _bins(values, labels, far)
        for values, labels, far in zip(data.positions.T, along, resolved, strict=True)
    ]
    each = [of[labels] for of, labels in zip(bins, along, strict=True)]
    which = np.ravel_multi_index(each, [int(of.max()) + 1 for of in bins])
    groups, which = np.unique(which, return_inverse=True)
    if len(groups) == len(data):
        return data
    members = [np.flatnonzero(which == k) for k in range(len(groups))]
    # In the order in which they were taken: those at the same χ follow each other.
    members.sort(key=lambda own: (each[1][own[0]], own[0]))
    frames: Frames = MeanFrames(data.frames, members, data.full)
    if 4 * len(members) * data.good.size <= _KEPT_BYTES:
        stack = np.empty((len(members), *data.shape), np.float32)
        for start in range(0, len(members), _AT_ONCE):
            part = np.arange(start, min(start + _AT_ONCE, len(members)))
            stack[part] = frames.some(part)
        frames = FramesInMemory(stack)
    positions = np.array([data.positions[own].mean(axis=0) for own in members])
    settings = tuple(data.positions[own] for own in members)
    scan = data.positions if data.scan is None else data.scan
    return replace(
        data, frames=frames, positions=positions, full=np.inf, settings=settings, scan=scan
    )


def settings_of(values: Floats) -> Ints:
    """Number of the setting of every reading of a motor, in order of their angles."""
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order]) > _SAME
    labels = np.empty(len(values), np.intp)
    labels[order] = np.concatenate([[0], np.cumsum(steps)])
    return labels


def _bins(values: Floats, labels: Ints, far: float) -> Ints:
    """Which settings of a motor are put together, (settings,)."""
    count = int(labels.max()) + 1
    span = float(np.ptp(values))
    if count < _FEWEST or not np.isfinite(far):
        return np.arange(count)
    step = span / (count - 1)
    at_once = max(1, min(int(far / step), count // _FEWEST))
    parts = np.array_split(np.arange(count), -(-count // at_once))
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
