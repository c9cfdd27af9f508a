"""Which points of the crystal each pixel takes, and how they are gathered in blocks.

A pixel is cut into slices of the beam's height, and slices that matter into more samples; pixels in
which q hardly varies take few samples of their own. A block holds slices of neighbouring pixels
that are all cut alike, so that compiled loops run over whole vectors. What matters most is cut into
cells, and these into smaller ones (`cells`).
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
from weakbeam.imaging.cells import CELL_SAMPLES, CellCuts, Cells
from weakbeam.imaging.cuts import Cut, PixelCuts
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.sampling_loops import (
    block_points,
    weights_of_cells,
    weights_of_slices,
    weights_of_uncut,
)

VECTOR = 16
"""Widths of blocks are multiples of this many members."""

SMOOTH = -1
"""Level of pixels in which q hardly varies."""

IN_CELLS = 100
"""Level of slices that are cut into cells."""

_BLOCK_WIDTH = 512
_BLOCK_POINTS = 8192


@dataclass(frozen=True, eq=False)
class Block:
    """Pixels, slices of them or cells that are computed together.

    Parameters
    ----------
    level : int
        The cut that they take their samples from.
    pixels : (width,) ndarray of int
        The pixel of each. The last is repeated to fill up.
    first : (width,) ndarray of int
        Number of its first sample in the cut's list, or of its weight in that of cells.
    samples : int
        Samples of each.
    count : int
        Members without the repetitions.
    whole : bool
        Whether they are whole pixels, not slices that are added to them.
    cells : CellPart, optional
        Of which cells it is.
    """

    level: int
    pixels: Ints
    first: Ints
    samples: int
    count: int
    whole: bool
    cells: CellPart | None = None

    @property
    def size(self) -> int:
        """Samples of the whole block."""
        return self.samples * self.pixels.size

    def some(self, members: Ints) -> Block:
        """A block of some of its members."""
        return _filled(
            self.level, self.pixels[members], self.first[members], self.samples, self.whole
        )


@dataclass(frozen=True, eq=False)
class CellPart:
    """Which cells a block has.

    Parameters
    ----------
    depth : int
        How often they are halved.
    members : (width,) ndarray of int
        Their places in the list of those of that depth.
    centres : (3, width) ndarray
        Their middles (µm, sample frame).
    kinds : (width,) ndarray of int
        Where their samples begin in the list of displacements from them.
    """

    depth: int
    members: Ints
    centres: Floats
    kinds: Ints


@dataclass(frozen=True, eq=False)
class Generation:
    """All cells of one depth.

    Parameters
    ----------
    cells : Cells
        Them, in the order of their pixels.
    whole : (n,) ndarray of bool
        Whether each is not halved again.
    """

    cells: Cells
    whole: NDArray[np.bool_]


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
    cell_cuts : CellCuts, optional
        Where cells are, if slices may be cut into some.
    """

    def __init__(
        self,
        grid: RayGrid,
        cuts: Sequence[Cut],
        samples: Sequence[int],
        smooth: Cut | None = None,
        cell_cuts: CellCuts | None = None,
    ) -> None:
        self.grid, self.smooth, self._cuts, self.cell_cuts = grid, smooth, cuts, cell_cuts
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
        self.generations: list[Generation] = []
        """Cells, by depth."""

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
        cells = sum(int(generation.whole.sum()) for generation in self.generations)
        few = 0 if self.smooth is None else len(self.smooth.offsets)
        return int(self._counts @ self.samples) + self._few * few + CELL_SAMPLES * cells

    @property
    def size(self) -> int:
        """Number of sampling points that are computed, those that finer ones replace included."""
        return sum(block.size for blocks in self.blocks for block in blocks)

    def weights(self, block: Block) -> Floats:
        """Weight of each sample of a block, (samples, width); 0 where finer ones replace it."""
        weights = np.empty((block.samples, block.pixels.size))
        if block.cells is not None and self.cell_cuts is not None:
            whole = self.generations[block.cells.depth].whole[block.cells.members]
            every = self.cell_cuts.lattice(block.cells.depth)[1]
            weights_of_cells(every, block.first, whole, weights)
            return weights
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
        if block.cells is not None and self.cell_cuts is not None:
            offsets, _ = self.cell_cuts.lattice(block.cells.depth)
            every = np.arange(block.pixels.size)
            return block.cells.centres, every, offsets, block.cells.kinds
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
        before = self.levels[slices, pixels]
        self._counts -= np.bincount(before, minlength=len(self._counts))
        lattices = levels != IN_CELLS
        self._counts += np.bincount(levels[lattices], minlength=len(self._counts))
        self.levels[slices, pixels] = levels
        blocks: list[Block] = []
        for level in range(1, len(self.samples)):
            mine = np.flatnonzero(levels == level)
            if mine.size:
                found = self.slices_of(level, pixels[mine], slices[mine])
                self.blocks.append(found)
                blocks += found
        return blocks

    def into_cells(self, pixels: Ints, slices: Ints) -> list[Block]:
        """Cut slices into cells; the blocks that came of it."""
        assert self.cell_cuts is not None
        self._counts -= np.bincount(self.levels[slices, pixels], minlength=len(self._counts))
        self.levels[slices, pixels] = IN_CELLS
        cells = self.cell_cuts.of_slices(pixels, slices)
        return self.halve(0, self._listed(0, cells))

    def halve(self, depth: int, members: Ints) -> list[Block]:
        """Halve cells; the blocks that came of it.

        Parameters
        ----------
        depth : int
            How often they are halved already.
        members : (n,) ndarray of int
            Their places in the list of those of that depth.
        """
        assert self.cell_cuts is not None
        generation = self.generations[depth]
        generation.whole[members] = False
        parts = self.cell_cuts.halved(generation.cells.some(members), depth)
        parts = parts.some(np.argsort(parts.pixels, kind="stable"))
        lists = self.cells_of(depth + 1, parts, self._listed(depth + 1, parts))
        self.blocks += lists
        return [block for blocks in lists for block in blocks]

    def _listed(self, depth: int, cells: Cells) -> Ints:
        """Places of new cells in the list of those of their depth."""
        whole = np.ones(len(cells.pixels), np.bool_)
        if depth == len(self.generations):
            self.generations.append(Generation(cells, whole))
            return np.arange(whole.size)
        before = self.generations[depth]
        every = Cells(*map(np.concatenate, zip(before.cells, cells, strict=True)))
        self.generations[depth] = Generation(every, np.append(before.whole, whole))
        return np.arange(before.whole.size, before.whole.size + whole.size)

    def cells_of(self, depth: int, cells: Cells, members: Ints) -> list[list[Block]]:
        """Blocks of cells, in the order of their pixels: lists in which none share a pixel."""
        assert self.cell_cuts is not None
        centres = self._centres[:, cells.pixels] + self.cell_cuts.centres(cells, depth)
        first, kinds = self.cell_cuts.first(cells, depth), self.cell_cuts.kinds(cells)
        start = np.flatnonzero(np.diff(cells.pixels, prepend=-1))
        rank = np.arange(members.size) - np.repeat(start, np.diff(start, append=members.size))
        turn = rank // (_BLOCK_POINTS // CELL_SAMPLES)
        lists = []
        for number in range(int(turn.max(initial=-1)) + 1):
            mine = np.flatnonzero(turn == number)
            lists.append(
                [
                    _filled(
                        IN_CELLS,
                        cells.pixels[mine[part]],
                        first[mine[part]],
                        CELL_SAMPLES,
                        False,
                        CellPart(
                            depth, members[mine[part]], centres[:, mine[part]], kinds[mine[part]]
                        ),
                    )
                    for part in _parts(cells.pixels[mine], _BLOCK_POINTS // CELL_SAMPLES)
                ]
            )
        return lists

    def whole_pixels(self, level: int, pixels: Ints) -> list[Block]:
        """Some pixels with all of their slices, in blocks of neighbours."""
        samples = len(self.cut_of(level).offsets)
        width = _width(pixels.size, max(_BLOCK_WIDTH, _BLOCK_POINTS // samples))
        starts = range(0, pixels.size, width)
        parts = [pixels[start : start + width] for start in starts]
        return [_filled(level, part, np.zeros_like(part), samples, True) for part in parts]

    def slices_of(self, level: int, pixels: Ints, slices: Ints) -> list[Block]:
        """Slices cut alike; those of one pixel stay in one block, which adds them in order."""
        samples = int(self.samples[level])
        first = slices * samples
        return [
            _filled(level, pixels[part], first[part], samples, False)
            for part in _parts(pixels, _BLOCK_POINTS // samples)
        ]

    def part(self, pixels: Ints, levels: NDArray[np.int8], moved: int) -> Sampling:
        """Some pixels with all of their slices cut as told, and cells as they are.

        Parameters
        ----------
        pixels : (n,) ndarray of int
            Which.
        levels : (slices, n) ndarray of int8
            Of their slices; `SMOOTH` for whole pixels, `IN_CELLS` only where there are some.
        moved : int
            Lattices stand elsewhere for every such number.
        """
        some = self.fresh()
        some._cuts, some.cell_cuts = self._cuts, self.cell_cuts
        if moved and isinstance(self._cuts, PixelCuts) and self.cell_cuts is not None:
            some._cuts, some.cell_cuts = self._cuts.moved(moved), self.cell_cuts.moved(moved)
        order = np.argsort(pixels)
        pixels, levels = pixels[order], levels[:, order]
        whole = pixels[(levels == SMOOTH).all(axis=0)]
        some.blocks = [self.whole_pixels(SMOOTH, whole)] if whole.size else []
        for level in range(len(self.samples)):
            members, slices = np.nonzero(np.isin(levels.T, [level]))
            if members.size:
                some.blocks.append(self.slices_of(level, pixels[members], slices))
        some.levels = self.levels.copy()
        some.levels[:, pixels] = levels
        some.generations = self.generations
        for depth, generation in enumerate(self.generations):
            mine = np.flatnonzero(generation.whole & np.isin(generation.cells.pixels, pixels))
            mine = mine[np.argsort(generation.cells.pixels[mine], kind="stable")]
            if mine.size:
                some.blocks += self.cells_of(depth, generation.cells.some(mine), mine)
        return some

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
        pixels, slices = np.nonzero((levels.T > 0) & (levels.T < IN_CELLS))
        united.cut(Members(pixels, slices, levels[slices, pixels]))
        pixels, slices = np.nonzero(np.isin(levels.T, [IN_CELLS]))
        if pixels.size:
            united.into_cells(pixels, slices)
        for depth in range(1, max(len(other.generations) for other in others) - 1):
            halved = [other.halved_of(depth) for other in others if depth < len(other.generations)]
            places = self._numbers(depth, united.generations[depth].cells)
            united.halve(depth, np.flatnonzero(np.isin(places, np.concatenate(halved))))
        return united

    def halved_of(self, depth: int) -> Ints:
        """Numbers of the cells of a depth that are halved."""
        generation = self.generations[depth]
        return self._numbers(depth, generation.cells.some(np.flatnonzero(~generation.whole)))

    def _numbers(self, depth: int, cells: Cells) -> Ints:
        """One number for each cell, by which it can be told from all others of its depth."""
        assert self.cell_cuts is not None
        rows, columns, heights = self.cell_cuts.parts[depth]
        row, column, height = cells.places.T
        place = (row * columns + column) * heights + height
        slices = cells.pixels * self.slices + cells.slices
        return np.asarray(slices * (rows * columns * heights) + place)

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


def _parts(pixels: Ints, most: int) -> list[slice]:
    """Parts of members that are ordered by their pixels, none of which divides a pixel."""
    ends = np.append(np.flatnonzero(np.diff(pixels)) + 1, pixels.size)
    most = max(most, int(np.diff(ends, prepend=0).max()))
    width, parts, start = _width(pixels.size, most), [], 0
    while start < pixels.size:
        # As many whole pixels as fit.
        stop = int(ends[np.searchsorted(ends, start + width, side="right") - 1])
        parts.append(slice(start, stop))
        start = stop
    return parts


def _filled(
    level: int,
    pixels: Ints,
    first: Ints,
    samples: int,
    whole: bool,
    cells: CellPart | None = None,
) -> Block:
    """A block filled up with its last member to whole vectors.

    Full blocks keep every pixel in the vector part of the compiled loops, so that its value does
    not depend on where in a block it stands.
    """
    count = pixels.size
    members = np.minimum(np.arange(_width(count, count)), count - 1)
    if cells is not None:
        centres = np.ascontiguousarray(cells.centres[:, members])
        cells = CellPart(cells.depth, cells.members[members], centres, cells.kinds[members])
    return Block(level, pixels[members], first[members], samples, count, whole, cells)
