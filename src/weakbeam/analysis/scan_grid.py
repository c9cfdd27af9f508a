"""The grid of a scan, found from the positions of its motors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints

_JUMP = 4.0
"""Positions belong to different levels where a gap is this many times as wide as a smaller one."""

_CANDIDATES = 6
_EMPTIEST = 0.5
"""Least share of the grid's places that frames must fill."""

_TIE = 1e-6
"""Positions of one motor this share of its range apart are the same."""


@dataclass(frozen=True, eq=False)
class ScanGrid:
    """Where each frame of a scan stands on a grid of motor positions.

    Parameters
    ----------
    kind : {"line", "grid", "zigzag", "irregular"}
        One motor, or several that move together; a grid of rows; one whose rows alternate in
        direction; positions on no grid.
    axes : mapping of str to (n,) ndarray
        For each motor, the slowest first, its positions in increasing order, each the mean over
        the frames taken there. Empty for an irregular scan.
    index : mapping of str to (frames,) ndarray of int
        Which of these positions each frame was taken at.
    complete : bool
        Whether there is a frame at every place.
    """

    kind: str
    axes: Mapping[str, Floats]
    index: Mapping[str, Ints]
    complete: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of positions along each axis of the grid."""
        lengths = [len(axis) for axis in self.axes.values()]
        return tuple(lengths[:1] if self.kind == "line" else lengths)


def find_grid(positions: Mapping[str, ArrayLike]) -> ScanGrid:
    """Find the grid on which a scan was taken.

    Motors never stand exactly where they are told to: positions closer together than the steps of
    the scan count as one. A grid is accepted if no two frames share a place and at least half of
    the places have a frame, so that an aborted scan is still one.

    Parameters
    ----------
    positions : mapping of str to (frames,) array_like
        Position of each moving motor at every frame.

    Returns
    -------
    ScanGrid

    Raises
    ------
    ValueError
        If there is no motor, lengths differ, a position is not finite, or a motor stands still.
    """
    motors = {name: np.asarray(values, dtype=np.float64) for name, values in positions.items()}
    if not motors or len({values.shape for values in motors.values()}) > 1:
        raise ValueError("a grid needs positions of equal number for at least one motor")
    for name, values in motors.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has positions that are not finite")
        if np.ptp(values) == 0.0:
            raise ValueError(f"{name} does not move")
    if _together(motors):
        return _line(motors)
    frames = len(next(iter(motors.values())))
    best: dict[str, Ints] | None = None
    fewest = frames / _EMPTIEST
    for levels in product(*(list(_levels(values)) for values in motors.values())):
        places = prod(int(level.max()) + 1 for level in levels)
        if frames <= places <= fewest and _distinct(levels) == frames:
            best = dict(zip(motors, levels, strict=True))
            fewest = places - 1
    if best is None:
        return ScanGrid("irregular", {}, {}, False)
    # The slowest motor changes its place most rarely.
    order = sorted(best, key=lambda name: int(np.count_nonzero(np.diff(best[name]))))
    index = {name: best[name] for name in order}
    axes = {name: _mean_positions(motors[name], level) for name, level in index.items()}
    kind = "zigzag" if _alternates(index) else "grid"
    return ScanGrid(kind, axes, index, prod(len(axis) for axis in axes.values()) == frames)


def _line(motors: Mapping[str, Floats]) -> ScanGrid:
    """One motor, or several that move in proportion: places along the first."""
    first = next(iter(motors.values()))
    order = np.argsort(first, kind="stable")
    steps = np.diff(first[order]) > _TIE * np.ptp(first)
    place = np.empty(len(first), np.int64)
    place[order] = np.concatenate([[0], np.cumsum(steps)])
    axes = {name: _mean_positions(values, place) for name, values in motors.items()}
    return ScanGrid("line", axes, dict.fromkeys(motors, place), True)


def _together(motors: Mapping[str, Floats]) -> bool:
    first, *others = motors.values()
    return all(abs(np.corrcoef(first, values)[0, 1]) > 0.9999 for values in others)


def _levels(values: Floats) -> Iterator[Ints]:
    """Ways to tell which frames share a position of a motor, each as the number of the level."""
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    gaps[gaps < 1e-12 * np.ptp(values)] = 0.0
    sizes = np.unique(gaps[gaps > 0.0])
    ratios = sorted(
        ((wide / narrow, narrow) for narrow, wide in pairwise(sizes) if wide > _JUMP * narrow),
        reverse=True,
    )
    for narrow in [0.0, *(narrow for _, narrow in ratios[:_CANDIDATES])]:
        level = np.empty(len(values), np.int64)
        level[order] = np.concatenate([[0], np.cumsum(gaps > narrow)])
        yield level


def _distinct(levels: tuple[Ints, ...]) -> int:
    """Number of different places among those of the frames."""
    place = np.zeros(len(levels[0]), np.int64)
    for level in levels:
        place = place * (int(level.max()) + 1) + level
    return len(np.unique(place))


def _mean_positions(values: Floats, level: Ints) -> Floats:
    return np.asarray(np.bincount(level, values) / np.bincount(level))


def _alternates(index: Mapping[str, Ints]) -> bool:
    """Whether the fastest motor runs both ways within rows."""
    *slow, fast = index.values()
    same_row = np.all([np.diff(level) == 0 for level in slow], axis=0)
    steps = np.diff(fast)[same_row]
    return bool((steps > 0).any() and (steps < 0).any())
