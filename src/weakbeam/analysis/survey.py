"""What the counts of a scan tell of themselves before anything is subtracted."""

from __future__ import annotations

import math
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


_FEW = 0.01
"""Share of the pixels, at most, that zingers hit."""

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
    """

    def __init__(self, shape: tuple[int, int], frames: int, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.totals = np.zeros(frames)
        """Sum of each frame."""
        self.empty = np.ones(frames, bool)
        """Frames in which all is 0."""
        self.highest = np.full((2, *shape), -np.inf)
        """Largest value of each pixel in the frames with even numbers, and in the others."""
        self.lowest = np.full(shape, np.inf)
        """Smallest value of each pixel in frames that are not all 0."""
        self.saturated = np.zeros(shape, bool)
        """Pixels that reached the largest count of a camera, that in `full_scale`."""
        self.saturated_values = 0
        self.full_scale = 0.0
        self.wrapped = np.zeros(frames, bool)
        """Frames with negative counts so large that they must be wrapped ones."""
        self.wrapped_values = 0

    def add(self, numbers: ArrayLike, frames: NDArray[Any], rows: slice) -> None:
        """Add some rows of frames by their numbers."""
        which = np.asarray(numbers)
        wide = np.float64 if frames.dtype.kind == "f" else np.int64
        with np.errstate(invalid="ignore"):
            sums = frames.sum(axis=(1, 2), dtype=wide)
        if not np.isfinite(sums).all():
            frames = np.where(np.isfinite(frames), frames, 0.0)
            sums = frames.sum(axis=(1, 2), dtype=wide)
        self.totals[which] += sums
        self.empty[which[sums != 0]] = False
        for k in np.nonzero(sums == 0)[0]:
            self.empty[which[k]] &= not frames[k].any()
        in_order = len(which) < 2 or which[-1] - which[0] == len(which) - 1
        for parity, highest in enumerate(self.highest):
            first = int(which[0] % 2 != parity)
            some = frames[first::2] if in_order else frames[which % 2 == parity]
            if len(some):
                np.maximum(highest[rows], some.max(axis=0), out=highest[rows])
        some = frames if (sums != 0).all() else frames[sums != 0]
        if len(some):
            np.minimum(self.lowest[rows], some.min(axis=0), out=self.lowest[rows])
        if frames.dtype.kind != "f":
            self._look_at_the_ends(which, frames, rows)

    def _look_at_the_ends(self, which: Ints, frames: NDArray[Any], rows: slice) -> None:
        largest = float(self.highest[:, rows].max())
        if largest in _FULL_SCALES or largest == np.iinfo(self.dtype).max:
            if largest > self.full_scale:
                self.full_scale, self.saturated_values = largest, 0
                self.saturated[:] = False
            full = frames == largest
            if full.any():
                self.saturated[rows] |= full.any(axis=0)
                self.saturated_values += int(full.sum())
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
        """Whether the largest of all counts is one at which cameras end."""
        if not self.saturated_values or float(self.highest.max()) != self.full_scale:
            return False
        certain = self.full_scale == np.iinfo(self.dtype).max
        return certain or self.saturated_values >= _LEAST_SATURATED

    @property
    def stuck(self) -> NDArray[np.bool_]:
        """Pixels that have one value in all frames while others change."""
        same = (self.top == self.lowest) & (len(self.totals) >= _LEAST_FRAMES)
        return np.asarray(same & (not same.all()))

    def lost_frames(self) -> Ints:
        """Frames of zeros in a scan whose other frames are never that dark.

        Frames without light have counts, too, where the camera has a dark level: pixels that are
        above 0 in all other frames. Where they are not, frames of zeros are dark.
        """
        none = np.zeros(0, np.int64)
        if self.dtype.kind == "f" or not 0.0 < self.empty.mean() <= _FEW_EMPTY:
            return none
        return np.nonzero(self.empty)[0] if float(np.median(self.lowest)) > 0.0 else none

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

    def dips(self) -> Ints:
        """Single frames far darker than both frames beside them, of a scan that is smooth.

        Returns
        -------
        (n,) ndarray of int
            Frames with less than half of the smaller of their neighbours, above the darkest frame,
            where these have more than a fifth of the brightest.
        """
        totals = (
            self.totals - self.totals[~self.empty].min() if not self.empty.all() else self.totals
        )
        if len(totals) < 5:
            return np.zeros(0, np.int64)
        beside = np.minimum(totals[:-2], totals[2:])
        dark = (totals[1:-1] < 0.5 * beside) & (beside > 0.2 * totals.max())
        numbers = np.nonzero(dark)[0] + 1
        # A scan that does so often is one of narrow curves.
        return numbers if len(numbers) <= 0.02 * len(totals) + 1 else np.zeros(0, np.int64)
