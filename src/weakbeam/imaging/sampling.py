"""Which points of the crystal each pixel takes, and how they are gathered in blocks.

A pixel is cut into slices of the beam's height, and slices that matter into more samples; pixels in
which q hardly varies take few samples of their own. A block holds slices of neighbouring pixels
that are all cut alike, so that compiled loops run over whole vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.imaging.cuts import Cut, runs_of
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.sampling_loops import block_points, weights_of_slices, weights_of_uncut

VECTOR = 16
"""Widths of blocks are multiples of this many members."""

SMOOTH = -1
"""Level of pixels in which q hardly varies."""

_BLOCK_WIDTH = 512
_BLOCK_POINTS = 8192


@dataclass(frozen=True, eq=False)
class Block:
    """Slices of pixels, or runs of their samples, that are computed together.

    Parameters
    ----------
    level : int
        The cut that they take their samples from.
    pixels : (width,) ndarray of int
        The pixel of each. The last is repeated to fill up.
    first : (width,) ndarray of int
        Number of its first sample in the cut's list.
    samples : int
        Samples of each.
    count : int
        Members without the repetitions.
    whole : bool
        Whether they are whole pixels, not slices that are added to them.
    """

    level: int
    pixels: Ints
    first: Ints
    samples: int
    count: int
    whole: bool

    @property
    def size(self) -> int:
        """Samples of the whole block."""
        return self.samples * self.pixels.size

    def some(self, members: Ints) -> Block:
        """A block of some of its members."""
        return _filled(
            self.level, self.pixels[members], self.first[members], self.samples, self.whole
        )


class Members(NamedTuple):
    """Slices of pixels, in the order of their pixels."""

    pixels: Ints
    slices: Ints
    levels: NDArray[np.int8]
    """What each is cut to."""


class Sampling:
    """The sampling points of an image, some of them cut more finely.

    Parameters
    ----------
    grid : RayGrid
        Where the pixels are.
    cuts : sequence of Cut
        From coarse to fine: the slices of a pixel, and more samples in each.
    samples : sequence of int
        Of a slice, in each of them.
    smooth : Cut, optional
        Few samples for pixels in which q hardly varies.
    """

    def __init__(
        self,
        grid: RayGrid,
        cuts: Sequence[Cut],
        samples: Sequence[int],
        smooth: Cut | None = None,
    ) -> None:
        self.grid, self.smooth, self._cuts = grid, smooth, cuts
        self.slices, self.pixels = len(cuts[0].offsets), grid.pixels
        self.samples = np.array(samples)
        """Of a slice, by level."""
        self._centres = np.ascontiguousarray(grid.centres(np.arange(self.pixels)).T)
        level = 0 if smooth is None else SMOOTH
        self._first_blocks = self.whole_pixels(level, np.arange(self.pixels))
        self._start()

    def _start(self) -> None:
        self.levels = np.zeros((self.slices, self.pixels), np.int8)
        """Level of each slice of each pixel."""
        self._few = 0 if self.smooth is None else self.pixels
        self._counts = np.zeros(len(self.samples), np.int64)
        self._counts[0] = self.slices * (self.pixels - self._few)
        self.blocks: list[list[Block]] = [self._first_blocks]
        """Lists of blocks; those of one list share no pixel."""

    def cut_of(self, level: int) -> Cut:
        """Samples of a pixel whose slices are all cut to a level."""
        if level == SMOOTH:
            assert self.smooth is not None
            return self.smooth
        return self._cuts[level]

    def fresh(self) -> Sampling:
        """Return the sampling of the same image before anything is cut."""
        other = copy(self)
        other._start()
        return other

    @property
    def rays(self) -> int:
        """Number of sampling points of the image."""
        return int(self._counts @ self.samples) + self._few * (
            0 if self.smooth is None else len(self.smooth.offsets)
        )

    @property
    def size(self) -> int:
        """Number of sampling points that are computed, those that finer ones replace included."""
        return sum(block.size for blocks in self.blocks for block in blocks)

    def weights(self, block: Block) -> Floats:
        """Weight of each sample of a block, (samples, width); 0 where finer ones replace it."""
        weights = np.empty((block.samples, block.pixels.size))
        every = self.cut_of(block.level).weights
        if block.whole and block.level == 0:
            weights_of_uncut(every, self.levels, block.pixels, weights)
        else:
            samples = self.samples[max(block.level, 0)]
            weights_of_slices(
                every, self.levels, block.level, samples, block.pixels, block.first, weights
            )
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
        return self._centres, block.pixels, self.cut_of(block.level).offsets, block.first

    def divide(self, rough: NDArray[np.bool_]) -> list[tuple[Block, Block, Ints]]:
        """Keep the smooth samples for some pixels; the others are cut into slices.

        Parameters
        ----------
        rough : (pixels,) ndarray of bool
            Those that the smooth samples do not do for.

        Returns
        -------
        list of (Block, Block, (width,) ndarray of int)
            Each block of smooth pixels that is left, the one that it is a part of, and which
            members of that one it has.
        """
        parts = []
        for block in self.blocks[0]:
            mine = np.flatnonzero(~rough[block.pixels[: block.count]])
            if mine.size == block.count:
                parts.append((block, block, np.arange(block.pixels.size)))
            elif mine.size:
                part = block.some(mine)
                members = np.concatenate([mine, np.repeat(mine[-1:], part.pixels.size - mine.size)])
                parts.append((part, block, members))
        others = np.flatnonzero(rough)
        self._few = self.pixels - others.size
        self._counts[0] = self.slices * others.size
        self.blocks = [[part for part, _, _ in parts], self.whole_pixels(0, others)]
        return parts

    def cut(self, members: Members) -> list[Block]:
        """Cut slices more finely than they are; the blocks that came of it."""
        pixels, slices, levels = members
        self._counts -= np.bincount(self.levels[slices, pixels], minlength=len(self._counts))
        self._counts += np.bincount(levels, minlength=len(self._counts))
        self.levels[slices, pixels] = levels
        blocks: list[Block] = []
        for level in range(1, len(self.samples)):
            mine = np.flatnonzero(levels == level)
            if mine.size:
                found = self.slices_of(level, pixels[mine], slices[mine])
                self.blocks.append(found)
                blocks += found
        return blocks

    def whole_pixels(self, level: int, pixels: Ints) -> list[Block]:
        """Some pixels with all of their slices, in blocks of neighbours."""
        samples = len(self.cut_of(level).offsets)
        width = _width(pixels.size, max(_BLOCK_WIDTH, _BLOCK_POINTS // samples))
        starts = range(0, pixels.size, width)
        first = np.zeros(1, np.int64)
        return [
            _filled(level, pixels[start : start + width], first, samples, True) for start in starts
        ]

    def slices_of(self, level: int, pixels: Ints, slices: Ints) -> list[Block]:
        """Slices cut alike; those of one pixel stay in one block, which adds them in order."""
        samples = int(self.samples[level])
        first, runs = slices * samples, runs_of(samples)
        samples //= runs
        if runs > 1:
            pixels = np.repeat(pixels, runs)
            first = (first[:, None] + np.arange(runs) * samples).ravel()
        ends = np.append(np.flatnonzero(np.diff(pixels)) + 1, pixels.size)
        most = int(np.diff(ends, prepend=0).max())
        width = _width(pixels.size, max(_BLOCK_POINTS // samples, most))
        blocks, start = [], 0
        while start < pixels.size:
            # As many whole pixels as fit.
            stop = int(ends[np.searchsorted(ends, start + width, side="right") - 1])
            part = slice(start, stop)
            blocks.append(_filled(level, pixels[part], first[part], samples, False))
            start = stop
        return blocks

    @property
    def even(self) -> Ints:
        """The pixels that have the smooth samples."""
        few = [] if self.smooth is None else self.blocks[0]
        return np.concatenate([np.zeros(0, np.int64), *(b.pixels[: b.count] for b in few)])

    def united(self, others: Sequence[Sampling]) -> Sampling:
        """The sampling in which each slice is cut as finely as in any of some of the same image."""
        rough = np.zeros(self.pixels, np.bool_)
        for other in others:
            mine = np.ones(self.pixels, np.bool_)
            mine[other.even] = False
            rough |= mine
        united = self.fresh()
        if self.smooth is not None:
            united.divide(rough)
        levels = np.maximum.reduce([other.levels for other in others])
        pixels, slices = np.nonzero(levels.T)
        united.cut(Members(pixels, slices, levels[slices, pixels]))
        return united

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


def _width(members: int, most: int) -> int:
    """A whole number of vectors, and no wider than a small image needs."""
    return VECTOR * math.ceil(max(min(members, most), 1) / VECTOR)


def _filled(level: int, pixels: Ints, first: Ints, samples: int, whole: bool) -> Block:
    """A block filled up with its last member to whole vectors.

    Full blocks keep every pixel in the vector part of the compiled loops, so that its value does
    not depend on where in a block it stands.
    """
    count = pixels.size
    members = np.empty((2, _width(count, count)), np.int64)
    members[0, :count], members[1, :count] = pixels, first
    members[:, count:] = members[:, count - 1 : count]
    return Block(level, members[0], members[1], samples, count, whole)
