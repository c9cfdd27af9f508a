"""Which points of the crystal each pixel takes, and how they are gathered in blocks.

A ray is cut into slices of the beam's height. Where q changes fast from one slice to the next, near
a defect, a slice is cut again, up to as many times as the finest grid has it; elsewhere one sample
stands for it. Rays along which q hardly varies at all take the few samples of a smooth grid. A
block holds slices of neighbouring pixels that are all cut alike, so that compiled loops run over
whole vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.sampling_loops import block_points, weights_of_slices, weights_of_uncut

_VECTOR = 16
"""Widths of blocks are multiples of this many pixels."""

MOST_SAMPLES = 64
"""Samples of a ray, on average over the image, at which refinement ends; see `LEAST_GAIN`."""

LEAST_GAIN = 4
"""Refinement may always make this many times as many samples as the coarsest grid has."""

SMALL_IMAGE = 4096
"""Rays of an image; one of fewer may have as many samples: a line takes a larger part of it."""

_BLOCK_WIDTH = 512
_BLOCK_POINTS = 8192


@dataclass(frozen=True, eq=False)
class Block:
    """Slices of rays that are computed together.

    Parameters
    ----------
    level : int
        The grid that they take their samples from; -1 for the smooth one.
    pixels : (width,) ndarray of int
        The pixel of each; up to level 0 whole rays, one for each pixel. The last is repeated to
        fill up.
    first : (width,) ndarray of int
        Number of its first sample in the grid's list.
    samples : int
        Samples of each.
    count : int
        Members without the repetitions.
    """

    level: int
    pixels: Ints
    first: Ints
    samples: int
    count: int

    @property
    def size(self) -> int:
        """Samples of the whole block."""
        return self.samples * self.pixels.size

    @property
    def whole(self) -> bool:
        """Whether it holds whole rays, not slices that are added to them."""
        return self.level <= 0


class Sampling:
    """The sampling points of an image, refined where that is asked for.

    Parameters
    ----------
    grids : sequence of RayGrid
        From coarse to fine; they differ in the number of their depth samples only, which is that of
        the one before times a whole number.
    smooth : RayGrid, optional
        A still coarser one for rays along which q hardly varies.

    Raises
    ------
    ValueError
        If the grids do not follow each other so.
    """

    def __init__(self, grids: Sequence[RayGrid], smooth: RayGrid | None = None) -> None:
        self.grids, self.smooth = tuple(grids), smooth
        every = self.grids if smooth is None else (smooth, *self.grids)
        for coarse, fine in pairwise(every):
            if len(fine.depths) % len(coarse.depths) or coarse.oversampling != fine.oversampling:
                raise ValueError("every grid must cut the slices of the one before it evenly")
        # By level; the smooth one is last, as level -1.
        offsets = [grid.sample_offsets for grid in every]
        # A slice has the weight of the finest samples in it, however finely it is cut.
        finest = self.grids[-1].sample_weights
        weights = [finest.reshape(len(o), -1).sum(axis=1) for o in offsets]
        first = len(every) - len(self.grids)
        self.offsets = offsets[first:] + offsets[:first]
        self._weights = weights[first:] + weights[:first]
        slices, self._pixels = len(offsets[first]), self.grids[0].pixels
        self._cut = [len(o) // slices for o in offsets[first:]]
        self._centres = np.ascontiguousarray(self.grids[0].centres(np.arange(self._pixels)).T)
        self._first_blocks = _whole_rays(-first, np.arange(self._pixels), len(offsets[0]))
        self._start()

    def _start(self) -> None:
        self.tolerance = 1.0
        """Step of q that is tolerated; more than 1 where there would be too many samples."""
        slices = len(self.offsets[0])
        self._levels = np.zeros((slices, self._pixels), np.int8)
        self._few = 0 if self.smooth is None else self._pixels
        self._counts = np.zeros(len(self.grids), np.int64)
        self._counts[0] = slices * (self._pixels - self._few)
        self.blocks: list[list[Block]] = [self._first_blocks]

    def fresh(self) -> Sampling:
        """Return the sampling of the same grids before anything is cut."""
        other = copy(self)
        other._start()
        return other

    @property
    def levels(self) -> NDArray[np.int8]:
        """Level of each slice of each pixel, (slices, pixels)."""
        return self._levels

    @property
    def rays(self) -> int:
        """Number of sampling points of the image."""
        return int(self._counts @ self._cut) + self._few * len(self.offsets[-1])

    @property
    def size(self) -> int:
        """Number of sampling points that are computed, those that finer ones replace included."""
        return sum(block.size for blocks in self.blocks for block in blocks)

    def weights(self, block: Block) -> Floats:
        """Weight of each sample of a block, (samples, width); 0 where finer ones replace it."""
        weights = np.empty((block.samples, block.pixels.size))
        if block.level == 0:
            weights_of_uncut(self._weights[0], self._levels, block.pixels, weights)
        else:
            weights_of_slices(self._weights[block.level], block.first, weights)
        return weights

    def points(self, block: Block) -> Floats:
        """Sampling points of a block in the sample frame (µm), (3, samples, width)."""
        points = np.empty((3, block.samples, block.pixels.size))
        block_points(*self.rays_of(block), points)
        return points

    def rays_of(self, block: Block) -> tuple[Floats, Ints, Floats, Ints]:
        """Rays of a block.

        Returns
        -------
        centres : (3, pixels of the image) ndarray
            Where each pixel looks at height 0 (µm, sample frame).
        pixels : (width,) ndarray of int
            The pixel of each ray.
        offsets : (n, 3) ndarray
            Displacements of a pixel's samples, in a list.
        first : (width,) ndarray of int
            Where in the list each ray begins.
        """
        return self._centres, block.pixels, self.offsets[block.level], block.first

    def divide(self, rough: NDArray[np.bool_]) -> list[tuple[Block, Block, Ints]]:
        """Keep the smooth grid for some rays; the others take the coarsest of the grids.

        Parameters
        ----------
        rough : (pixels,) ndarray of bool
            Those that the smooth grid does not do for.

        Returns
        -------
        list of (Block, Block, (width,) ndarray of int)
            Each block of smooth rays that is left, the one that it is a part of, and which members
            of that one it has.
        """
        parts = []
        for block in self.blocks[0]:
            mine = np.flatnonzero(~rough[block.pixels[: block.count]])
            if mine.size == block.count:
                parts.append((block, block, np.arange(block.pixels.size)))
            elif mine.size:
                part = _filled(-1, block.pixels[mine], block.first[:1], block.samples)
                members = np.concatenate([mine, np.repeat(mine[-1:], part.pixels.size - mine.size)])
                parts.append((part, block, members))
        others = np.flatnonzero(rough)
        slices = len(self.offsets[0])
        self._few = self._pixels - others.size
        self._counts[0] = slices * others.size
        self.blocks = [[part for part, _, _ in parts], _whole_rays(0, others, slices)]
        return parts

    def refine(self, steps: Floats32, peaks: Floats32) -> None:
        """Cut slices, so that steps become less than 1 where that takes no excessive number.

        Parameters
        ----------
        steps : (slices, pixels) ndarray of float32
            Change of q about each slice of each pixel, in units of what an integral tolerates.
        peaks : (pixels,) ndarray of float32
            The largest of each pixel; 0 for those of the smooth grid.
        """
        most = max(MOST_SAMPLES, LEAST_GAIN * len(self.grids[0].depths))
        most *= max(self.grids[0].pixels * self.grids[0].oversampling ** 2, SMALL_IMAGE)
        self.tolerance = 1.0
        # Most pixels are far from any defect.
        rough = np.flatnonzero(peaks > self._cut[0])
        chosen = np.ascontiguousarray(steps[:, rough].T)
        while True:
            thresholds = self.tolerance * np.array(self._cut[:-1], dtype=np.float32)
            levels = np.searchsorted(thresholds, chosen).astype(np.int8)
            self._counts = np.bincount(levels.ravel(), minlength=len(self._cut))
            self._counts[0] += steps.size - chosen.size - self._few * len(steps)
            if self.rays <= most:
                break
            self.tolerance *= 1.25
        self._levels[:] = 0
        self._levels[:, rough] = levels.T
        for level in range(1, len(self.grids)):
            members, slices = np.nonzero(levels == level)
            self.blocks.append(_slices(level, self._cut[level], rough[members], slices))

    def of_pixel(self, pixel: int) -> tuple[Floats, Floats]:
        """Points (n, 3) of a pixel in the sample frame (µm), and weights (n,) that add up to 1."""
        points, weights = [], []
        for blocks in self.blocks:
            for block in blocks:
                mine = np.flatnonzero(block.pixels[: block.count] == pixel)
                if mine.size:
                    points.append(self.points(block)[:, :, mine].reshape(3, -1).T)
                    weights.append(self.weights(block)[:, mine].ravel())
        return np.concatenate(points), np.concatenate(weights)


def _whole_rays(level: int, pixels: Ints, samples: int) -> list[Block]:
    """Whole rays of some pixels with all slices, in blocks of neighbours."""
    width = _width(pixels.size, max(_BLOCK_WIDTH, _BLOCK_POINTS // samples))
    starts = range(0, pixels.size, width)
    first = np.zeros(1, np.int64)
    return [_filled(level, pixels[start : start + width], first, samples) for start in starts]


def _slices(level: int, samples: int, pixels: Ints, slices: Ints) -> list[Block]:
    """Slices that are cut alike; those of one pixel stay in one block, which adds them in order."""
    if pixels.size == 0:
        return []
    _, starts, counts = np.unique(pixels, return_index=True, return_counts=True)
    width = _width(pixels.size, max(_BLOCK_POINTS // samples, int(counts.max())))
    ends = starts + counts
    blocks, start = [], 0
    while start < pixels.size:
        # As many whole pixels as fit.
        stop = int(ends[np.searchsorted(ends, start + width, side="right") - 1])
        part = slice(start, stop)
        blocks.append(_filled(level, pixels[part], slices[part] * samples, samples))
        start = stop
    return blocks


def _width(members: int, most: int) -> int:
    """A whole number of vectors, and no wider than a small image needs."""
    return _VECTOR * math.ceil(max(min(members, most), 1) / _VECTOR)


def _filled(level: int, pixels: Ints, first: Ints, samples: int) -> Block:
    """A block filled up with its last member to whole vectors.

    Full blocks keep every pixel in the vector part of the compiled loops, so that its value does
    not depend on where in a block it stands.
    """
    count = pixels.size
    members = np.empty((2, _width(count, count)), np.int64)
    members[0, :count], members[1, :count] = pixels, first
    members[:, count:] = members[:, count - 1 : count]
    return Block(level, members[0], members[1], samples, count)
