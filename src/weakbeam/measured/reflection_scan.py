"""All scans of one reflection, with where φ, χ and 2θ stood at every frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.scan_grid import find_grid
from weakbeam.analysis.step_weights import frame_weights
from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats, Ints
from weakbeam.imaging.motors import ANGLES
from weakbeam.io.frames import read_blocks
from weakbeam.io.measured_scan import MeasuredScan

_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class ReflectionScan:
    """Frames of one reflection, of one scan or of several that differ in a motor at rest.

    Parameters
    ----------
    setup : Setup
        The microscope set up for the reflection, without defects.
    scans : tuple of MeasuredScan
        The scans, which have frames of one shape.
    offsets : (frames, 3) ndarray
        φ, χ and 2θ (rad) from the Bragg setting at every frame that is not left out.
    numbers : tuple of ndarray of int
        Numbers of those frames in each scan.
    moving : tuple of str
        Which of φ, χ and 2θ move.
    own : bool
        Whether the file is a simulated one, so that its zeros are those of the geometry.
    heights : (frames,) ndarray
        How much the sample is raised at every frame that is not left out (µm).
    """

    setup: Setup
    scans: tuple[MeasuredScan, ...]
    offsets: Floats
    numbers: tuple[Ints, ...]
    moving: tuple[str, ...]
    own: bool
    heights: Floats

    @property
    def where(self) -> str:
        """How a message calls the scans."""
        first, last = self.scans[0], self.scans[-1]
        if first.path != last.path:
            return f"{first.where} … {last.where}"
        return first.where if first is last else f"{first.where}-{last.entry}"

    @property
    def height(self) -> float:
        """How much the sample is raised (µm)."""
        return float(self.heights.mean())

    @property
    def name(self) -> str:
        """The reflection, such as ``(1 -1 3)``."""
        return "(" + " ".join(str(index) for index in self.setup.hkl) + ")"

    @property
    def frames(self) -> int:
        """Frames that are not left out."""
        return len(self.offsets)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.scans[0].shape

    @property
    def counts(self) -> bool:
        """Whether frames are counts."""
        return self.scans[0].counts

    @property
    def steps(self) -> Floats:
        """How much each frame counts in a centre of mass, by the steps of the motors."""
        names = [ANGLES.index(motor) for motor in self.moving]
        positions = {ANGLES[k]: self.offsets[:, k] for k in names}
        if len(names) < 3:
            return frame_weights(positions, find_grid(positions)).frame
        # Of three motors the slowest one's steps, times those of the grid of the two others.
        slow = min(names, key=lambda k: len(np.unique(np.round(self.offsets[:, k] / _SAME))))
        weights = np.ones(self.frames)
        levels, which = np.unique(np.round(self.offsets[:, slow] / _SAME), return_inverse=True)
        of_level = (
            frame_weights({"slow": levels}, find_grid({"slow": levels})).frame
            if len(levels) > 1
            else np.ones(1)
        )
        for number in range(len(levels)):
            here = which == number
            inner = {name: x[here] for name, x in positions.items() if name != ANGLES[slow]}
            weights[here] = of_level[number] * frame_weights(inner, find_grid(inner)).frame
        return weights

    def at(self, frames: NDArray[np.bool_]) -> ReflectionScan:
        """Some of the frames alone."""
        ends = np.cumsum([len(numbers) for numbers in self.numbers])[:-1]
        parts = [
            (scan, numbers[kept])
            for scan, numbers, kept in zip(
                self.scans, self.numbers, np.split(frames, ends), strict=True
            )
            if kept.any()
        ]
        return replace(
            self,
            scans=tuple(scan for scan, _ in parts),
            numbers=tuple(numbers for _, numbers in parts),
            offsets=self.offsets[frames],
            heights=self.heights[frames],
        )

    def band(self, rows: slice, workers: int | None = None) -> NDArray[Any]:
        """Some rows of all frames that are not left out, (frames, rows, columns)."""
        first = self.scans[0]
        height = len(range(*rows.indices(first.shape[0])))
        out = np.empty((self.frames, height, first.shape[1]), first.frame_dtype)
        start = 0
        for scan, numbers in zip(self.scans, self.numbers, strict=True):
            place = np.full(scan.frames, -1)
            place[numbers] = start + np.arange(len(numbers))
            for which, frames in read_blocks(scan, rows, workers):
                there = place[which] >= 0
                if (
                    there.all()
                    and len(which)
                    and place[which[-1]] - place[which[0]] == len(which) - 1
                ):
                    out[place[which[0]] : place[which[0]] + len(which)] = frames
                elif there.any():
                    out[place[which][there]] = frames[there]
            start += len(numbers)
        return out


def blocks_of_rows(scan: ReflectionScan, memory: int) -> Iterator[slice]:
    """Bands of rows whose frames fit into so many bytes, the middle of the image first."""
    rows, columns = scan.shape
    size = scan.frames * columns * scan.scans[0].frame_dtype.itemsize
    height = max(1, min(rows, memory // size))
    count = math.ceil(rows / height)
    height = math.ceil(rows / count)
    starts = list(range(0, rows, height))
    middle = len(starts) // 2
    for number in sorted(range(len(starts)), key=lambda k: abs(k - middle)):
        yield slice(starts[number], min(starts[number] + height, rows))
