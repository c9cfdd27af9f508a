"""Which points of the crystal each pixel takes, and how they are gathered in blocks.

A pixel and the height of the beam span a parallelepiped in the crystal. Where q hardly varies in
it, a few samples along its middle stand for all of it. Else it is cut into slices of the beam. A
slice has one sample in its middle; or, where that matters, a lattice of 7 or 16 that cover it in
all directions; or it is cut in two along those of its edges along which q varies most, each part
has its own lattice and may be cut again. A block holds cells with the same lattice, so that
compiled loops run over whole vectors.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.imaging import sampling_loops
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.refinement import Refinement

VECTOR = 16
"""Widths of blocks are multiples of this many members."""

_LATTICES = {7: (2, 3), 16: (5, 7), 64: (19, 27)}
"""Samples of a cell, and how many parts they are apart along rows and columns."""

_BLOCK_WIDTH = 512
_BLOCK_POINTS = 8192


class Cells(NamedTuple):
    """Parts of pixels; each an array of (n,)."""

    pixels: Ints
    """The pixel of each."""
    middles: Floats
    """(3, n): along rows and columns, in pixels from that pixel's centre; and height (µm)."""
    sizes: Floats
    """(3, n): likewise."""
    weights: Floats
    """Share of the pixel's light, if all were lit alike."""

    def chosen(self, which: Ints) -> Cells:
        """Some of them."""
        return Cells(
            self.pixels[which], self.middles[:, which], self.sizes[:, which], self.weights[which]
        )


class Rule(NamedTuple):
    """Where the samples of a cell are."""

    offsets: Floats
    """(samples, 3): from the middle of the cell, in its sizes."""
    weights: Floats | None
    """(samples,): share of the cell's weight; None for parts of the beam as it is."""


@dataclass(frozen=True, eq=False)
class Block:
    """Cells whose samples are computed together.

    Parameters
    ----------
    rule : Rule
        Where their samples are.
    cells : Cells
        The cells. The last is repeated to fill up.
    count : int
        Cells without the repetitions.
    weights : (samples, width) ndarray
        Of each sample; 0 where those of finer parts replace it.
    whole : bool
        Whether they are whole pixels, not parts that are added to others.
    """

    rule: Rule
    cells: Cells
    count: int
    weights: Floats
    whole: bool

    @property
    def samples(self) -> int:
        """Samples of each."""
        return len(self.rule.offsets)

    @property
    def width(self) -> int:
        """Cells with the repetitions."""
        return self.cells.pixels.size

    @property
    def size(self) -> int:
        """Samples of the whole block."""
        return self.weights.size

    @property
    def pixels(self) -> Ints:
        """The pixels of its cells, without the repetitions."""
        return self.cells.pixels[: self.count]

    @property
    def used(self) -> int:
        """Samples that count."""
        return int(np.count_nonzero(self.weights[:, : self.count]))


class Sampling:
    """The sampling points of an image.

    Parameters
    ----------
    grid : RayGrid
        Those of rays along which q varies; without a refinement, of all.
    refinement : Refinement, optional
        What may become finer than that, or coarser.
    """

    def __init__(self, grid: RayGrid, refinement: Refinement | None = None) -> None:
        self.grid, self.refinement = grid, refinement
        n, depths = grid.oversampling, len(grid.depths)
        fractions = (np.arange(n) + 0.5) / n - 0.5
        weights = grid.weights
        if refinement is not None and refinement.heights is not None:
            # What is in a slice: it may be resolved, unlike the beam by the slices.
            low, high = float(refinement.heights[0]), float(refinement.heights[-1])
            ends = np.linspace(low, high, depths + 1)
            assert refinement.below is not None
            weights = np.diff(_between(ends, refinement.heights, refinement.below))
        self.slices = _product(fractions, grid.depths, weights)
        self.smooth = None
        if refinement is not None and refinement.heights is not None:
            self.smooth = _product(fractions, *refinement.smooth_depths())
        # The part of pixel and beam that each sample of the grid stands for.
        height = 0.0 if depths == 1 else float(np.ptp(grid.depths)) / (depths - 1)
        if refinement is not None and refinement.heights is not None:
            height = float(np.ptp(refinement.heights)) / depths
        self.part = np.array([1.0 / n, 1.0 / n, height])
        wide, deep = refinement is not None and refinement.pixels, self.smooth is not None
        edges = np.array([wide, wide, deep], dtype=np.float64)
        self._lattices = {n: _lattice(n, steps, edges) for n, steps in _LATTICES.items()}
        self.centres = np.ascontiguousarray(grid.centres(np.arange(grid.pixels)).T)
        self.axes = np.stack([grid.row_step, grid.column_step, grid.along_ray])
        self._filled: dict[tuple[int, int], tuple[Floats, Floats, Floats, Floats]] = {}
        self._first = self.whole(self.smooth or self.slices)
        self.blocks: list[list[Block]] = [self._first]

    def fresh(self) -> Sampling:
        """The sampling of the same image before anything is cut."""
        other = copy(self)
        other.blocks = [self._first]
        return other

    @property
    def rays(self) -> int:
        """Number of sampling points of the image."""
        return sum(block.used for blocks in self.blocks for block in blocks)

    @property
    def size(self) -> int:
        """Number of sampling points that are computed, those that finer ones replace included."""
        return sum(block.size for blocks in self.blocks for block in blocks)

    def whole(self, rule: Rule, pixels: Ints | None = None) -> list[Block]:
        """Blocks of whole pixels, all unless some are given."""
        if pixels is None:
            pixels = np.arange(self.grid.pixels)
        samples = len(rule.offsets)
        width = _width(pixels.size, max(_BLOCK_WIDTH, _BLOCK_POINTS // samples))
        starts = range(0, pixels.size, width)
        return [self.of_pixels(rule, pixels[start : start + width]) for start in starts]

    def of_pixels(self, rule: Rule, pixels: Ints) -> Block:
        """One block of whole pixels."""
        count, width = pixels.size, _width(pixels.size, pixels.size)
        filled = np.full(width, pixels[-1])
        filled[:count] = pixels
        key = len(rule.offsets), width
        if key not in self._filled:
            ones = np.ones(width)
            assert rule.weights is not None
            weights = np.multiply.outer(rule.weights, ones)
            self._filled[key] = np.zeros((3, width)), np.ones((3, width)), ones, weights
        middles, sizes, ones, weights = self._filled[key]
        return Block(rule, Cells(filled, middles, sizes, ones), count, weights, True)

    @staticmethod
    def some_of(block: Block, members: Ints) -> Block:
        """Some cells of a block."""
        padded = members[
            np.minimum(np.arange(_width(members.size, members.size)), members.size - 1)
        ]
        weights = np.ascontiguousarray(block.weights[:, padded])
        return Block(block.rule, block.cells.chosen(padded), members.size, weights, block.whole)

    def lattices(self, cells: Cells, samples: int) -> list[list[tuple[Block, Ints]]]:
        """Cells, sorted by pixel, each with a lattice of samples.

        Returns
        -------
        list of list of (Block, (width,) ndarray of int)
            Blocks, and which of all cells are theirs. Those of one list share no pixel.
        """
        rule = self._lattices[samples]
        most = max(VECTOR, _BLOCK_POINTS // samples)
        rounds: list[list[tuple[Block, Ints]]] = []
        for number, part in _rounds(cells.pixels, most):
            while len(rounds) <= number:
                rounds.append([])
            width = _width(part.size, part.size)
            members = part[np.minimum(np.arange(width), part.size - 1)]
            mine = cells.chosen(members)
            weights = self._shares(mine, samples) * mine.weights
            rounds[number].append((Block(rule, mine, part.size, weights, False), members))
        return rounds

    def _shares(self, cells: Cells, parts: int) -> Floats:
        """Share of the light of cells in equal parts of their height, (parts, cells)."""
        refinement = self.refinement
        if refinement is None or refinement.heights is None or refinement.below is None:
            return np.full((parts, cells.pixels.size), 1.0 / parts)
        low = cells.middles[2] - 0.5 * cells.sizes[2]
        ends = low + np.arange(parts + 1)[:, None] * (cells.sizes[2] / parts)
        shares = np.diff(_between(ends, refinement.heights, refinement.below), axis=0)
        total = shares.sum(axis=0)
        dark = total <= 0.0
        return np.asarray(np.where(dark, 1.0 / parts, shares / np.where(dark, 1.0, total)))

    def halved(self, cells: Cells, steps: Floats32) -> tuple[Cells, Floats32]:
        """Cut cells in two along each edge along which q varies at least half as much as most.

        Parameters
        ----------
        cells : Cells
            The cells.
        steps : (3, n) ndarray of float32
            Change of q along each edge.

        Returns
        -------
        cells : Cells
            Their halves, quarters and eighths.
        steps : (3, m) ndarray of float32
            Of those.
        """
        parts, kinds = [], np.array([4, 2, 1]) @ (steps >= 0.5 * steps.max(axis=0))
        for kind in np.unique(kinds):
            mine = np.flatnonzero(kinds == kind)
            some, step = cells.chosen(mine), steps[:, mine]
            for axis in range(3):
                if not int(kind) >> (2 - axis) & 1:
                    continue
                shares = self._shares(some, 2) if axis == 2 else np.full((2, some.pixels.size), 0.5)
                middles, sizes = [some.middles.copy(), some.middles.copy()], some.sizes.copy()
                sizes[axis] *= 0.5
                middles[0][axis] -= 0.5 * sizes[axis]
                middles[1][axis] += 0.5 * sizes[axis]
                some = Cells(
                    np.tile(some.pixels, 2),
                    np.concatenate(middles, axis=1),
                    np.tile(sizes, 2),
                    np.concatenate(list(shares * some.weights)),
                )
                step = np.tile(step, 2)
                step[axis] *= 0.5
            parts.append((some, step))
        return (
            Cells(
                *(
                    np.concatenate([getattr(c, name) for c, _ in parts], axis=-1)
                    for name in Cells._fields
                )
            ),
            np.concatenate([step for _, step in parts], axis=1),
        )

    @staticmethod
    def without(block: Block, finer: NDArray[np.bool_]) -> Block:
        """A block without the samples (samples, width) that finer ones replace."""
        return replace(block, weights=np.where(finer, 0.0, block.weights))

    def parts_of(self, block: Block, sample: Ints, member: Ints) -> Cells:
        """The parts that some samples of a block of whole pixels stand for."""
        cells = block.cells
        sizes = cells.sizes[:, member]
        middles = cells.middles[:, member] + block.rule.offsets[sample].T * sizes
        sizes = self.part[:, None] * np.ones(sizes.shape)
        return Cells(cells.pixels[member], middles, sizes, block.weights[sample, member])

    def points(self, block: Block) -> Floats:
        """Sampling points of a block in the sample frame (µm), (3, samples, width)."""
        points = np.empty((3, block.samples, block.width))
        sampling_loops.points_of_cells(
            self.centres, self.axes, *block.cells[:3], block.rule.offsets, points
        )
        return points

    def rays_of(self, block: Block) -> tuple[Floats, Ints, Floats, Ints]:
        """Sampling points of a block as :func:`.sampling_loops.q_of_lines` takes them.

        Whole pixels with their samples, or each sample of parts alone.
        """
        if block.whole:
            first = np.zeros(block.width, np.int64)
            return self.centres, block.cells.pixels, block.rule.offsets @ self.axes, first
        points = self.points(block).reshape(3, -1)
        count = points.shape[1]
        return points, np.arange(count), np.zeros((1, 3)), np.zeros(count, np.int64)

    def of_pixel(self, pixel: int) -> tuple[Floats, Floats]:
        """Points (n, 3) of a pixel in the sample frame (µm), and weights (n,) that add up to 1."""
        points, weights = [], []
        for blocks in self.blocks:
            for block in blocks:
                mine = np.flatnonzero(block.pixels == pixel)
                if mine.size:
                    points.append(self.points(block)[:, :, mine].reshape(3, -1).T)
                    weights.append(block.weights[:, mine].ravel())
        return np.concatenate(points), np.concatenate(weights)


def _product(fractions: Floats, depths: Floats, weights: Floats) -> Rule:
    """Every sub-pixel at every depth; sub-pixel rows and columns slow, depths fast."""
    mesh = np.meshgrid(fractions, fractions, depths, indexing="ij")
    offsets = np.stack([part.ravel() for part in mesh], axis=1)
    share = np.tile(weights, fractions.size**2) / fractions.size**2
    return Rule(offsets, share)


def _lattice(samples: int, steps: tuple[int, int], edges: Floats) -> Rule:
    """Samples in a cell that differ from each other along every edge, and across it.

    Parameters
    ----------
    samples : int
        Number of samples; each is in a part of its own of the height, from low to high.
    steps : pair of int
        From one to the next along rows and columns, in parts.
    edges : (3,) ndarray
        1, or 0 for an edge along which all are in the middle.
    """
    k = np.arange(samples)
    places = np.stack([k * steps[0] % samples, k * steps[1] % samples, k], axis=1)
    return Rule(edges * ((places + 0.5) / samples - 0.5), None)


def _between(z: Floats, heights: Floats, below: Floats) -> Floats:
    """Share of the beam below the heights `z`."""
    at = (z - heights[0]) * ((heights.size - 1) / (heights[-1] - heights[0]))
    whole = np.clip(at.astype(np.int64), 0, heights.size - 2)
    rest = np.clip(at - whole, 0.0, 1.0)
    return np.asarray(below[whole] + rest * (below[whole + 1] - below[whole]))


def _rounds(pixels: Ints, most: int) -> list[tuple[int, Ints]]:
    """Parts of a sorted list of pixels, each with the number of its round.

    Within a round no pixel comes in two parts. A pixel with more than `most` members goes on in the
    next round.
    """
    starts = np.flatnonzero(np.diff(pixels, prepend=-1))
    within = np.arange(pixels.size) - np.repeat(starts, np.diff(np.append(starts, pixels.size)))
    parts = []
    for number in range(int(within.max(initial=-1)) // most + 1):
        members = np.flatnonzero(within // most == number)
        mine = pixels[members]
        first = np.flatnonzero(np.diff(mine, prepend=-1))
        ends = np.append(first[1:], mine.size)
        start = 0
        while start < mine.size:
            # As many whole pixels as fit.
            stop = int(ends[max(int(np.searchsorted(ends, start + most, side="right")) - 1, 0)])
            parts.append((number, members[start:stop]))
            start = stop
    return parts


def _width(members: int, most: int) -> int:
    """A whole number of vectors, and no wider than a small image needs.

    Full blocks keep every pixel in the vector part of the compiled loops, so that its value does
    not depend on where in a block it stands.
    """
    return VECTOR * math.ceil(max(min(members, most), 1) / VECTOR)
