"""Positions of motors that cannot be what they say: stuck, jumping, past a full circle."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.scan_grid import find_grid
from weakbeam.core.arrays import ArrayLike, Floats, Ints

_STUCK = 3
"""Frames in a row, at least, at one place where all others move on."""

_LEAP = 3.0
"""Usual steps that a motor leaps on its way to or from a place where it is stuck."""

_ONE_WAY = 0.8
"""Share of the steps, at least, that go one way in a scan of which single frames can be odd."""

_FEW = 0.1
"""Share of the frames, at most, that are off."""

_ALIKE = 0.9
"""Correlation of motors that move in proportion, with a few frames that are odd."""

_STILL = 1e-3
"""Part of the usual step that is no step."""


def unwrapped(positions: ArrayLike, circle: float) -> Floats:
    """Positions of a turning motor without the leap where its scale starts again.

    Parameters
    ----------
    positions : (frames,) array_like
        Positions in the order of the frames.
    circle : float
        A full turn in their unit.

    Returns
    -------
    (frames,) ndarray
        The same, but for whole turns: no two positions are more than half a turn apart if there is
        a place on the circle to cut it for which this is so.

    Notes
    -----
    The circle is cut in the middle of its widest part without any position, whatever the order.
    """
    values = np.asarray(positions, dtype=np.float64)
    if np.ptp(values) <= 0.5 * circle:
        return values
    on_circle = np.sort(np.mod(values, circle))
    gaps = np.diff(on_circle, append=on_circle[0] + circle)
    widest = int(np.argmax(gaps))
    if gaps[widest] < 0.5 * circle:
        return values
    start = on_circle[(widest + 1) % len(on_circle)]
    # Digits are kept: only whole turns are added.
    turns = np.floor((values - start + 1e-9 * circle) / circle)
    moved = values - circle * turns
    return np.asarray(moved + circle * turns[0])


def odd_frames(positions: Mapping[str, ArrayLike]) -> dict[str, Ints]:
    """Frames at which a motor cannot have stood where it says.

    Parameters
    ----------
    positions : mapping of str to (frames,) array_like
        Positions of each moving motor, in the order of the frames.

    Returns
    -------
    dict of str to (n,) ndarray of int
        Motors with such frames. They are *stuck*, several in a row at one place to or from which
        the motor leaps, while it moves in the rest of the scan; or *off* by more than the steps of
        the scan, alone between neighbours that follow one another.
    """
    motors = {name: np.asarray(values, dtype=np.float64) for name, values in positions.items()}
    if len(motors) > 1 and not _together(list(motors.values())):
        return _odd_of_rows(motors)
    return {name: np.array(odd) for name, x in motors.items() if (odd := sorted(_odd(x)))}


def _odd(x: Floats) -> set[int]:
    """Odd frames of a motor that moves at every frame."""
    steps = np.diff(x)
    moving = np.abs(steps[steps != 0.0])
    if len(x) < 2 * _STUCK or not len(moving):
        return set()
    usual = float(np.median(moving))
    odd: set[int] = set()
    same = np.abs(steps) <= _STILL * usual
    runs = _runs(same)
    # Where frames are repeated at every place, a place with several frames is nothing odd.
    if sum(last - first for first, last in runs) < 0.5 * len(x):
        for first, last in runs:
            leaps = [abs(steps[k]) for k in (first - 1, last) if 0 <= k < len(steps)]
            if last - first + 1 >= _STUCK and max(leaps, default=0.0) > _LEAP * usual:
                odd.update(range(first, last + 1))
    kept = np.array([k for k in range(len(x)) if k not in odd])
    return odd | {int(kept[k]) for k in _off(x[kept])}


def _off(x: Floats) -> list[int]:
    """Single frames out of order in a scan that goes one way."""
    steps = np.diff(x)
    forward = float(np.mean(steps > 0.0)), float(np.mean(steps < 0.0))
    if len(x) < 2 * _STUCK or not _ONE_WAY <= max(forward) < 1.0:
        return []
    sign = 1.0 if forward[0] > forward[1] else -1.0
    # The frames of the longest part that goes one way are right.
    right = _longest_rise(sign * x)
    off = np.setdiff1d(np.arange(len(x)), right)
    between = np.interp(off, right, x[right])
    far = np.abs(x[off] - between) > _LEAP * float(np.median(np.abs(steps)))
    # Of several sweeps each is a part of its own, and none is off.
    return [int(k) for k in off[far]] if len(off) <= _FEW * len(x) else []


def _longest_rise(x: Floats) -> list[int]:
    """Numbers of a longest subsequence that does not fall."""
    tails: list[int] = []
    values: list[float] = []
    before = np.full(len(x), -1)
    for number, value in enumerate(x.tolist()):
        place = bisect_right(values, value)
        before[number] = tails[place - 1] if place else -1
        tails[place : place + 1], values[place : place + 1] = [number], [value]
    chain, number = [], tails[-1]
    while number >= 0:
        chain.append(int(number))
        number = before[number]
    return chain[::-1]


def _odd_of_rows(motors: Mapping[str, Floats]) -> dict[str, Ints]:
    """Odd frames of a scan of several motors.

    All stand still where one should have moved, or one leaps to a place of its own.
    """
    still = np.ones(len(next(iter(motors.values()))) - 1, bool)
    for x in motors.values():
        steps = np.abs(np.diff(x))
        moving = steps[steps > 0.0]
        still &= steps <= _STILL * float(np.median(moving) if len(moving) else 1.0)
    runs = _runs(still)
    if sum(last - first for first, last in runs) >= 0.5 * len(still):
        return _leaps_of_rows(motors)
    odd = [k for first, last in runs if last - first + 1 >= _STUCK for k in range(first, last + 1)]
    return {**({"all motors": np.array(odd)} if odd else {}), **_leaps_of_rows(motors)}


def _leaps_of_rows(motors: Mapping[str, Floats]) -> dict[str, Ints]:
    """Frames in the middle of a grid at a level of their own.

    Of the fastest motor, whose rows may begin anywhere, that level is far from all others.
    """
    if any(np.ptp(x) == 0.0 for x in motors.values()):
        return {}
    grid = find_grid(motors)
    odd = {}
    for name, axis in grid.axes.items():
        if len(axis) < _STUCK + 1:
            continue
        steps = np.diff(axis)
        nearest = np.minimum(np.append(steps, np.inf), np.insert(steps, 0, np.inf))
        count = np.bincount(grid.index[name], minlength=len(axis))
        few = count <= max(_FEW * float(np.median(count)), 1.0)
        if name == list(grid.axes)[-1]:
            few &= nearest > _LEAP * float(np.median(steps))
        at_once = few[grid.index[name]]
        others = np.nonzero(~at_once)[0]
        numbers = np.nonzero(at_once)[0]
        numbers = numbers[(numbers > others[0]) & (numbers < others[-1])]
        if len(numbers):
            odd[name] = numbers
    return odd


def _runs(same: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame of each run of frames that do not differ from the one before."""
    padded = np.concatenate([[False], same, [False]])
    edges = np.nonzero(np.diff(padded))[0]
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _together(motors: list[Floats]) -> bool:
    """Whether motors move in proportion, but for a few frames."""
    first, *others = motors
    return all(abs(float(np.corrcoef(first, x)[0, 1])) > _ALIKE for x in others)
