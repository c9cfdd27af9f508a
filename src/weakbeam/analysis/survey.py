"""What the counts of a scan tell of themselves before anything is subtracted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints

_FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
"""Largest counts of cameras."""

_FEW_EMPTY = 0.4
"""Share of the frames, at most, that can be lost; more of them are dark."""

_LEAST_FRAMES = 5
"""Frames, at least, of which one can stand out, or a pixel can be said never to change."""

_WRAPPED = 0.25
"""Part of the range of a signed whole number below which negative counts are wrapped ones."""

_OUTSTANDING = 3.0
"""Times the brightest of the others that a value in a single frame is for a zinger."""


_FEW = 0.1
"""Share of the pixels, at most, that zingers hit."""

_SUDDEN = math.log(2.0)
"""By how much more the logarithm of the light falls in one step than in the one before: Gaussian
curves with σ above 1.2 steps do not, so that what does is no curve."""

_HOLDS_LIGHT = 0.05

_FALL = math.log(1.6)
_BRIGHT = 0.2
_FEW_DARK = 0.1
"""Share of the frames, at most, that are without beam in a scan that is worth anything."""

_DARK_LEVEL = 1e-3
"""Part of the brightest, at least, to which a dark level amounts where numbers are no counts."""

_LEAST_FLAT = 1000.0
"""Counts above which noise does not let a pixel have the same count in several frames."""

_LEAST_SATURATED = 3
"""Values at the full scale of a camera, at least, that are no chance."""


class FrameSurvey:
    """Gathers sums and extremes of the raw frames, in any order.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    frames : int
        How many there are.
    dtype : dtype
        Type of a value.
    used : (rows, columns) ndarray of bool, optional
        Pixels that count; others must be 0 in every frame. All unless given.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        frames: int,
        dtype: np.dtype[Any],
        used: NDArray[np.bool_] | None = None,
    ) -> None:
        self.dtype = dtype
        self.used = np.ones(shape, bool) if used is None else used
        self.totals = np.zeros(frames)
        """Sum of each frame."""
        self.empty = np.ones(frames, bool)
        """Frames in which all is 0."""
        self.unknown = np.full(frames, dtype.kind == "f")
        """Frames without any finite number."""
        self.highest = np.full((2, *shape), -np.inf)
        """Largest value of each pixel in the frames with even numbers, and in the others."""
        self.lowest = np.full(shape, np.inf)
        """Smallest value of each pixel in frames that are not all 0."""
        self.full_scale = 0.0
        """The largest of all counts."""
        self._at_full_scale = np.zeros(shape, np.int64)
        self.wrapped = np.zeros(frames, bool)
        """Frames with negative counts so large that they must be wrapped ones."""
        self.wrapped_values = 0

    def add(self, numbers: ArrayLike, frames: NDArray[Any], rows: slice) -> None:
        """Add some rows of frames by their numbers."""
        which = np.asarray(numbers)
        wide = np.float64 if frames.dtype.kind == "f" else np.int64
        with np.errstate(invalid="ignore"):
            sums = frames.sum(axis=(1, 2), dtype=wide)
        known = np.ones(len(which), bool)
        if not np.isfinite(sums).all():
            finite = np.isfinite(frames)
            known = (finite & self.used[rows]).any(axis=(1, 2))
            frames = np.where(finite, frames, 0.0)
            sums = frames.sum(axis=(1, 2), dtype=wide)
        self.unknown[which[known]] = False
        self.totals[which] += sums
        self.empty[which[sums != 0]] = False
        for k in np.nonzero(sums == 0)[0]:
            self.empty[which[k]] &= not frames[k].any()
        largest = -math.inf
        in_order = len(which) < 2 or which[-1] - which[0] == len(which) - 1
        for parity, highest in enumerate(self.highest):
            first = int(which[0] % 2 != parity)
            some = frames[first::2] if in_order else frames[which % 2 == parity]
            if len(some):
                top = some.max(axis=0)
                largest = max(largest, float(top.max()))
                np.maximum(highest[rows], top, out=highest[rows])
        some = frames if (sums != 0).all() else frames[sums != 0]
        if len(some):
            np.minimum(self.lowest[rows], some.min(axis=0), out=self.lowest[rows])
        if frames.dtype.kind != "f":
            self._look_at_the_ends(which, frames, rows, largest)

    def _look_at_the_ends(
        self, which: Ints, frames: NDArray[Any], rows: slice, largest: float
    ) -> None:
        if largest > self.full_scale:
            self.full_scale = largest
            self._at_full_scale[:] = 0
        if largest == self.full_scale > 0.0:
            self._at_full_scale[rows] += (frames == largest).sum(axis=0)
        if self.dtype.kind == "i":
            wrapped = frames < _WRAPPED * float(np.iinfo(self.dtype).min)
            if wrapped.any():
                self.wrapped[which] |= wrapped.any(axis=(1, 2))
                self.wrapped_values += int(wrapped.sum())

    @property
    def top(self) -> Floats:
        """Largest value of each pixel."""
        return np.asarray(self.highest.max(axis=0))

    @property
    def is_saturated(self) -> bool:
        """Whether the largest of all counts is one at which a camera ends.

        It is the largest of its type, or one of those at which cameras end that was reached several
        times, or any at which several pixels stayed for several frames.
        """
        if self.dtype.kind == "f" or not self.saturated_values:
            return False
        if self.full_scale == np.iinfo(self.dtype).max:
            return True
        if self.full_scale in _FULL_SCALES:
            return self.saturated_values >= _LEAST_SATURATED
        there = self._at_full_scale[(self._at_full_scale > 0) & ~self.stuck]
        # Tops of curves may be alike by chance, or without noise, but then for a frame or two.
        flat = len(there) >= _LEAST_SATURATED and float(there.mean()) >= _LEAST_SATURATED
        return self.full_scale > _LEAST_FLAT and flat

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Pixels that reached the largest of all counts."""
        return np.asarray(self._at_full_scale > 0)

    @property
    def saturated_values(self) -> int:
        """How often it was reached."""
        return int(self._at_full_scale.sum())

    @property
    def stuck(self) -> NDArray[np.bool_]:
        """Pixels that have one value in all frames while others change, or do not count."""
        zero = (self.top == 0.0) & ~np.isfinite(self.lowest)
        same = ((self.top == self.lowest) | zero) & (len(self.totals) >= _LEAST_FRAMES)
        return np.asarray((same & (not same[self.used].all())) | ~self.used)

    def lost_frames(self, line: bool = False) -> Ints:
        """Frames of zeros in a scan whose other frames are never that dark.

        Frames without light have counts, too, where the camera has a dark level: pixels that are
        above 0 in all other frames. Where they are not, frames of zeros are dark. Numbers that are
        no counts may be a model's, without dark level: of them only frames between others of a
        scan along one line are lost.
        """
        none = np.zeros(0, np.int64)
        empty = self.empty & ~self.unknown
        if not 0.0 < empty.mean() <= _FEW_EMPTY:
            return none
        lowest, least = float(np.median(self.lowest[self.used])), 0.0
        if self.dtype.kind == "f":
            there = np.nonzero(~self.empty)[0]
            numbers = np.arange(len(empty))
            empty = empty & (numbers > there[0]) & (numbers < there[-1])
            least = _DARK_LEVEL * float(np.median(self.top[self.used])) if line else math.inf
        return np.nonzero(empty)[0] if lowest > least else none

    def scale(self, background: ArrayLike) -> tuple[float, NDArray[np.bool_]]:
        """Brightest value above a background that more than one frame vouches for.

        Returns
        -------
        scale : float
            The largest value, unless that is a zinger.
        zingers : (rows, columns) ndarray of bool
            Pixels with a value in a single frame that is three times as large as what every other
            pixel reaches in two frames of a scan.
        """
        above = self.highest - np.asarray(background, dtype=np.float64)
        usable = ~self.stuck
        both = np.where(usable, above.min(axis=0), -np.inf)
        vouched = float(both.max())
        top = np.where(usable, above.max(axis=0), -np.inf)
        few = len(self.totals) < _LEAST_FRAMES
        if few or not (vouched > 0.0 and math.isfinite(vouched)):
            return float(top.max()), np.zeros(top.shape, bool)
        zingers = (top > _OUTSTANDING * vouched) & (both < top / _OUTSTANDING)
        # Curves narrower than a step stand in single frames everywhere, and are none.
        if zingers.sum() > max(_FEW * usable.sum(), 1):
            zingers = np.zeros(top.shape, bool)
        return float(top[~zingers].max()), zingers

    def frozen(self) -> Ints:
        """Frames in a row that hold light and have one sum, where noise would change it.

        Returns
        -------
        (n,) ndarray of int
            All but the first of three or more in a row, brighter than a twentieth of the brightest.
        """
        above = self.totals - self.totals.min()
        same = (np.diff(self.totals) == 0.0) & (above[1:] > _HOLDS_LIGHT * above.max())
        in_a_row = np.zeros(len(same), bool)
        in_a_row[1:] |= same[1:] & same[:-1]
        in_a_row[:-1] |= in_a_row[1:] & same[:-1]
        return np.nonzero(in_a_row)[0] + 1

    def dips(self, lines: Sequence[Ints]) -> Ints:
        """Frames without beam, or with far less of it, by the sums of the frames.

        Parameters
        ----------
        lines : sequence of (n,) ndarray of int
            Frames that follow one another in time or along a motor.

        Returns
        -------
        (n,) ndarray of int
            Single frames, or a few in a row, at whose ends the sum falls and rises at once.
        """
        none = np.zeros(0, np.int64)
        if self.empty.all():
            return none
        totals = self.totals - self.totals[~self.empty].min()
        top = float(totals.max())
        if not top > 0.0:
            return none
        dark = [line[_sudden_dips(totals[line] / top)] for line in lines if len(line)]
        numbers = np.unique(np.concatenate([none, *dark]))
        # A scan that does so often is one of narrow curves.
        return numbers if len(numbers) <= _FEW_DARK * len(totals) + 1 else none


def _sudden_dips(light: Floats) -> list[int]:
    """Places between a sudden fall and a sudden rise of the light, which is 1 at most."""
    dark: list[int] = []
    if len(light) < _LEAST_FRAMES:
        return dark
    steps = np.diff(np.log(np.maximum(light, 1e-3)), prepend=0.0, append=0.0)
    steps[0] = steps[-1] = 0.0
    bright = light > _BRIGHT
    falls = np.nonzero(bright[:-1] & (steps[1:-1] < -_FALL) & (steps[1:-1] < steps[:-2] - _SUDDEN))[
        0
    ]
    rises = np.nonzero(bright[1:] & (steps[1:-1] > _FALL) & (steps[1:-1] > steps[2:] + _SUDDEN))[0]
    longest = max(int(_FEW_DARK * len(light)), 2)
    for fall in falls:
        later = rises[(rises > fall) & (rises <= fall + longest)]
        if len(later):
            dark += range(int(fall) + 1, int(later[0]) + 1)
    return dark
