"""A measured stack: counts above dark, frame after frame, the pixels that count, their noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.fit.observation import Bools, Noise

_NEAR = 5
"""Edge of the squares of pixels over which signals are averaged for their variance."""


class Frames(Protocol):
    """Where the frames of a stack come from."""

    def some(self, numbers: Ints) -> NDArray[Any]:
        """Counts of frames, (n, rows, columns)."""


@dataclass(frozen=True, eq=False)
class FramesInMemory:
    """Frames of an array."""

    stack: NDArray[Any]

    def some(self, numbers: Ints) -> NDArray[Any]:
        """See :meth:`Frames.some`."""
        return self.stack[numbers]


@dataclass(frozen=True, eq=False)
class SomeFrames:
    """Some of the frames of a stack.

    Parameters
    ----------
    frames : Frames
        All of them.
    numbers : (n,) ndarray of int
        Which.
    """

    frames: Frames
    numbers: Ints

    def some(self, numbers: Ints) -> NDArray[Any]:
        """See :meth:`Frames.some`."""
        return self.frames.some(self.numbers[numbers])


@dataclass(frozen=True, eq=False)
class StackData:
    """A stack, and what is known of its pixels.

    Parameters
    ----------
    frames : Frames
        Counts.
    positions : (frames, 3) ndarray
        Where φ, χ and 2θ stood, from the Bragg setting (rad), as they were read.
    noise : Noise
        Variance of a pixel over its signal.
    good : (rows, columns) ndarray of bool
        Pixels that count.
    dark : float or (rows, columns) ndarray
        Subtracted from all frames.
    full : float
        Counts at which a pixel is saturated and does not count.
    settings : tuple of (k, 3) ndarray, optional
        Where the motors stood in all the frames that each is the mean of, a full grid; one of each
        unless given.
    scan : (n, 3) ndarray, optional
        Where they stood in all frames that were taken, if these are means of them.
    """

    frames: Frames
    positions: Floats
    noise: Noise
    good: Bools
    dark: Floats | float = 0.0
    full: float = np.inf
    settings: tuple[Floats, ...] | None = None
    scan: Floats | None = None

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.good.shape[0], self.good.shape[1]

    def part(self, numbers: Ints) -> StackData:
        """Some of its frames."""
        frames, settings = SomeFrames(self.frames, numbers), self.settings
        if settings is not None:
            settings = tuple(settings[number] for number in numbers)
        return replace(self, frames=frames, positions=self.positions[numbers], settings=settings)

    @property
    def taken(self) -> Floats:
        """Where φ, χ and 2θ stood in all frames that were taken (rad), (n, 3)."""
        return self.positions if self.scan is None else self.scan

    def window(self, rows: slice, columns: slice, edge: int, at_once: int = 16) -> StackData:
        """A part of the image, held in memory, without the pixels next to where it is cut."""
        parts = [self.frames.some(numbers)[:, rows, columns] for numbers in self.blocks(at_once)]
        good = self.good[rows, columns].copy()
        top, left = rows.start > 0, columns.start > 0
        below, right = rows.stop < self.shape[0], columns.stop < self.shape[1]
        good[: edge * top] = good[:, : edge * left] = False
        good[len(good) - edge * below :] = good[:, good.shape[1] - edge * right :] = False
        dark = self.dark[rows, columns] if isinstance(self.dark, np.ndarray) else self.dark
        return replace(self, frames=FramesInMemory(np.concatenate(parts)), good=good, dark=dark)

    def read(self, numbers: Ints, model_error: float) -> tuple[Floats32, Floats32, Bools]:
        """Some frames with their variances.

        Parameters
        ----------
        numbers : (n,) ndarray of int
            Which frames.
        model_error : float
            Relative deviation of the signal that stands for what a model has not.

        Returns
        -------
        counts : (n, rows, columns) ndarray of float32
            Above dark; 0 where they do not count.
        variance : (n, rows, columns) ndarray of float32
            By the mean counts of pixels around, so that it does not follow the noise of a pixel and
            is the same for every model.
        good : (n, rows, columns) ndarray of bool
            Which count.
        """
        raw = np.asarray(self.frames.some(numbers), dtype=np.float32)
        good = self.good & np.isfinite(raw) & (raw < self.full)
        counts = np.where(good, raw - np.asarray(self.dark, dtype=np.float32), np.float32(0.0))
        size = (0, _NEAR, _NEAR)
        share = scipy.ndimage.uniform_filter(good.astype(np.float32), size, mode="nearest")
        mean = scipy.ndimage.uniform_filter(counts, size, mode="nearest")
        mean = np.maximum(mean / np.maximum(share, np.float32(0.5 / _NEAR**2)), 0.0)
        variance = self.noise.gain * mean + self.noise.floor
        if self.settings is not None:
            together = np.array([len(self.settings[k]) for k in numbers], np.float32)
            variance /= together[:, None, None]
        variance += (model_error * mean) ** 2
        return counts, variance.astype(np.float32), good

    def blocks(self, at_once: int = 16) -> Iterator[Ints]:
        """Numbers of all frames, some at a time."""
        for start in range(0, len(self), at_once):
            yield np.arange(start, min(start + at_once, len(self)))


def spread_frames(positions: Floats, most: int, others: int) -> Ints:
    """Numbers of frames at settings that are spread evenly over those of every motor.

    Parameters
    ----------
    positions : (frames, 3) ndarray
        Where φ, χ and 2θ stood (rad).
    most : int
        So many settings of the motor that has most of them are enough: of more every n-th is taken.
    others : int
        The same of the other motors.
    """
    along = [np.unique(np.round(values, 10), return_inverse=True) for values in positions.T]
    first = int(np.argmax([len(settings) for settings, _ in along]))
    chosen = np.ones(len(positions), bool)
    for motor, (settings, which) in enumerate(along):
        step = len(settings) // most if motor == first else -(-len(settings) // others)
        step = max(1, step)
        chosen &= (which - (len(settings) - 1) % step // 2) % step == 0
    return np.flatnonzero(chosen)
