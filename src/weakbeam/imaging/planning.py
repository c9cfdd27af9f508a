"""Which cells of an image are cut: those that put it off most, until it is as accurate as asked.

The error of a cell is that of the acceptance at its middle for its mean over the range of q_rock'
that the cell spans, all of it lit alike; a table has it for every middle and width. Errors of the
cells of a pixel are partly independent, partly of one sign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.imaging import sampling_loops
from weakbeam.imaging.edges import EdgeTables
from weakbeam.imaging.routes import RayBlock, Route, Shifts
from weakbeam.imaging.sampling import Block, Cells, Sampling

SMOOTH_ALONG = 1.0
"""Largest step of q between samples of the smooth grid, in widths of the acceptance's edge."""

SMOOTH_ACROSS = 0.35
"""Largest step of q across a pixel on the smooth grid, for an accuracy of 0.005."""

AIM = 0.85
"""Share of the accuracy that the estimated errors of the cells may add up to."""

MOST_SAMPLES = 256
"""Samples of a pixel, on average over the image, at which refinement ends."""

SMALL_IMAGE = 4096
"""Pixels of an image; one of fewer may have as many samples: a line takes a larger part of it."""

ALIKE, SLICES_ALIKE = 0.1, 0.6
"""Share of the errors of a pixel's cells that is of one sign: of lattices, of single samples.

The middles of neighbouring slices are off in the same way by what is bent across the pixel.
"""

KEPT = 0.8
"""Share of the squares of the errors that cells have at most which are not cut any more."""

FEW, MANY, CHECKED = 7, 16, 64
"""Samples of a cell, after one; beyond the second number it is cut. The third tells what is off."""

_LITTLE = 0.03
_BISECTIONS = 6
_USUAL = 0.005
_MOST_WAVES = 24
_MOST_ROCK, _MOST_ROLL = 16, 3
_FEW_FRAMES = 4
_FAINT = 0.1
_BLACK = 1e-6
_SETTLED = 0.05
_BLOCKS_TRIED = 8
_PIXELS_TRIED = 128

Map = Callable[[Callable[[Block], None], list[Block]], None]


class Reach(NamedTuple):
    """What the acceptance is to a plan."""

    scales: Floats
    """(3,): change of each component of q over which it changes."""
    lit: tuple[float, float]
    """Ends of q_rock' between which it is not dark."""
    core: float
    """Step of q (in its first scale), times its length (µm), that tells of a defect nearby."""


class _Rated(NamedTuple):
    """A block whose cells are as fine as they come yet."""

    block: Block
    steps: Floats32
    """(3, samples, width): change of q along the edges of each part."""
    errors: Floats32
    """(samples, width): of each part."""


class Checked(NamedTuple):
    """What a plan has come to."""

    expected: float
    """Root mean square error that is expected, relative to the image."""
    squares: Floats
    """(pixels,): sum of the squares of the errors of the cells of each pixel."""
    norm: float
    """Root of the sum of the squares of the brightest frame."""
    weights: Floats
    """(frames,): of each frame that was looked at, in a mean of squares."""


class Planner:
    """Chooses the samples of images of one instrument.

    Parameters
    ----------
    sampling : Sampling
        Of an image before anything is cut.
    route : Route
        Evaluates the acceptance.
    relative : callable
        Intensity at q (n, 3).
    shifts : Shifts
        The frames that images are taken for.
    reach : Reach
        Of the acceptance.
    """

    def __init__(
        self,
        sampling: Sampling,
        route: Route,
        relative: Callable[[Floats], Floats],
        shifts: Shifts,
        reach: Reach,
    ) -> None:
        grid, refinement = sampling.grid, sampling.refinement
        assert refinement is not None
        self.route, self.refinement, self.reach = route, refinement, reach
        rock, roll = shifts
        self.frames = Shifts(_spread(rock, _MOST_ROCK), _spread(roll, _MOST_ROLL))
        self.count = len(self.frames.rock) * len(self.frames.roll)
        gap = 0.0
        if len(self.frames.rock) > 1:
            gap = float(np.ptp(self.frames.rock[:, 0])) / (len(self.frames.rock) - 1)
        every = (self.frames.roll[:, None] + self.frames.rock[None]).reshape(-1, 3)
        lit = reach.lit[0] - every[:, 0].max(), reach.lit[1] - every[:, 0].min()
        self.tables = EdgeTables(relative, every, np.array(lit), reach.scales[0], gap)
        self.most = MOST_SAMPLES * max(grid.pixels, SMALL_IMAGE)
        self.runs = grid.oversampling**2
        depths = grid.depths
        if sampling.smooth is not None:
            depths, _ = refinement.smooth_depths()
        self.lengths = np.linalg.norm(sampling.axes, axis=1)
        self.depths = depths
        self.nearest = np.abs(grid.depths[:, None] - depths).argmin(axis=1)
        # Length of the ray between its samples.
        self.spacing = float(np.diff(depths).max(initial=0.0) * self.lengths[2])

    def plan(
        self,
        sampling: Sampling,
        q_of: Callable[[Block], Floats],
        moved: Callable[[Block, Block, Ints | None], None],
        run: Map,
    ) -> Checked:
        """Choose the samples of an image.

        Parameters
        ----------
        sampling : Sampling
            Before anything is cut; its blocks are replaced.
        q_of : callable
            Gives q of a block.
        moved : callable
            Told that a block has become another one, which has some of its members; none if they
            are None.
        run : callable
            Does something for each of a list of blocks, in threads.

        Returns
        -------
        Checked
            What it has come to.
        """
        return _Plan(self, sampling, q_of, moved, run).make()

    def difference(
        self, sampling: Sampling, checked: Checked, q_of: Callable[[Block], Floats]
    ) -> float:
        """How far an image is off, by some of its pixels with several times as many samples.

        Parameters
        ----------
        sampling : Sampling
            Of the image.
        checked : Checked
            What its plan has come to.
        q_of : callable
            Gives q of a block.

        Returns
        -------
        float
            Root mean square, relative to the image, estimated from the pixels that are tried.
        """
        squares = checked.squares
        if not squares.any():
            return 0.0
        # Those that are off most are tried most often, each of them counting for less.
        chances = 0.9 * squares / squares.sum() + 0.1 / squares.size
        drawn = np.random.default_rng(0).choice(squares.size, _PIXELS_TRIED, p=chances)
        tried, times = np.unique(drawn, return_counts=True)
        change = np.zeros((self.count, squares.size))
        for block, sign in [*self._as_it_is(sampling, tried), *self._finer(sampling, tried)]:
            light = np.einsum("fkp,kp->fp", self.intensity(q_of(block)), block.weights)
            for frame, part in zip(change, sign * light[:, : block.count], strict=True):
                np.add.at(frame, block.pixels, part)
        off = checked.weights @ change[:, tried] ** 2
        return float(np.sqrt(off / chances[tried] @ times / drawn.size)) / checked.norm

    def intensity(self, q: Floats) -> Floats32:
        """Intensity at q (3, samples, width) in every frame, (frames, samples, width)."""
        count = q.shape[1] * q.shape[2]
        rock, roll = self.frames
        out = np.empty((len(roll), len(rock), count), np.float32)
        rays = RayBlock(q.reshape(3, 1, count), np.ones((1, count)), np.arange(count), False)
        self.route.frames(rays, self.frames, out)
        return out.reshape(self.count, *q.shape[1:])

    @staticmethod
    def _as_it_is(sampling: Sampling, pixels: Ints) -> list[tuple[Block, float]]:
        """The samples of some pixels, to be taken off."""
        every = [block for blocks in sampling.blocks for block in blocks]
        mine = [(block, np.flatnonzero(np.isin(block.pixels, pixels))) for block in every]
        return [(sampling.some_of(block, members), -1.0) for block, members in mine if members.size]

    @staticmethod
    def _finer(sampling: Sampling, pixels: Ints) -> list[tuple[Block, float]]:
        """Several times as many samples of some pixels."""
        found: list[tuple[Block, float]] = []
        for blocks in sampling.blocks:
            for block in blocks:
                members = np.flatnonzero(np.isin(block.pixels, pixels))
                if not members.size:
                    continue
                part = sampling.some_of(block, members)
                if block.whole and block.samples != len(sampling.slices.offsets):
                    part = sampling.of_pixels(sampling.slices, part.pixels)
                if part.whole:
                    member, sample = np.nonzero(part.weights[:, : part.count].T)
                    cells, count = sampling.parts_of(part, sample, member), MANY
                else:
                    kept = np.flatnonzero(part.weights[:, : part.count].any(axis=0))
                    cells, count = part.cells.chosen(kept), CHECKED
                if cells.pixels.size:
                    rounds = sampling.lattices(cells, count)
                    found += [(new, 1.0) for some in rounds for new, _ in some]
        return found


class _Plan:
    """The choice of samples for one image."""

    def __init__(
        self,
        planner: Planner,
        sampling: Sampling,
        q_of: Callable[[Block], Floats],
        moved: Callable[[Block, Block, Ints | None], None],
        run: Map,
    ) -> None:
        self._of, self._sampling = planner, sampling
        self._q_of, self._moved, self._run = q_of, moved, run
        pixels = sampling.grid.pixels
        self._squares = np.zeros(planner.count)
        # Where the frames are few the image is followed while it becomes finer.
        self._image = np.zeros((planner.count, pixels)) if planner.count <= _FEW_FRAMES else None

    def make(self) -> Checked:
        """Choose them; see :meth:`Planner.plan`."""
        sampling = self._sampling
        if sampling.smooth is not None:
            self._divide()
        else:
            self._look_across(sampling.blocks[0])
        self._measure(sampling.blocks[-1])
        rated = self._rate_slices(sampling.blocks[-1])
        for _ in range(_MOST_WAVES):
            limit = self._limit(rated)
            if not np.isfinite(limit):
                break
            blocks, before = self._cut(rated, limit)
            rated += self._rate(blocks, before)
        pixels, errors, alike = _listed(rated, 0.0)
        expected = float(np.sqrt(self._total(pixels, errors, alike))) / self._norm
        squares = np.zeros(sampling.grid.pixels)
        np.add.at(squares, pixels, errors**2)
        return Checked(expected, squares, self._norm, self._weights)

    # ------------------------------------------------------------------ whole rays

    def _look_across(self, blocks: list[Block]) -> Floats32:
        """Change of q along each ray; and fill in that from sub-pixel to sub-pixel."""
        grid = self._sampling.grid
        samples = len(self._of.depths)
        along, middles = np.empty(grid.pixels, np.float32), np.empty((3, samples, grid.pixels))

        def work(block: Block) -> None:
            sampling_loops.steps_along_rays(
                self._q_of(block),
                self._of.runs,
                self._of.reach.scales,
                block.pixels,
                along,
                middles,
            )

        self._run(work, blocks)
        self._across = np.empty((2, samples, grid.pixels), np.float32)
        sampling_loops.steps_across(middles, grid.columns, self._of.reach.scales, self._across)
        self._across /= grid.oversampling
        return along

    def _divide(self) -> None:
        """Keep the smooth grid where q hardly varies; slice the other rays."""
        sampling, refinement = self._sampling, self._of.refinement
        along = self._look_across(sampling.blocks[0])
        axes = self._of.lengths
        rough = along > min(SMOOTH_ALONG, self._of.reach.core / self._of.spacing)
        if refinement.pixels:
            across = self._across.sum(axis=0).max(axis=0)
            most = SMOOTH_ACROSS * np.sqrt(refinement.accuracy / _USUAL)
            rough |= across > min(most, self._of.reach.core / (axes[:2] * sampling.part[:2]).max())
        smooth = []
        for block in sampling.blocks[0]:
            mine = np.flatnonzero(~rough[block.pixels])
            if mine.size == block.count:
                smooth.append(block)
            elif mine.size:
                part = sampling.of_pixels(block.rule, block.pixels[mine])
                padded = np.concatenate([mine, np.repeat(mine[-1:], part.width - mine.size)])
                self._moved(block, part, padded)
                smooth.append(part)
            else:
                self._moved(block, block, None)
        sampling.blocks = [smooth, sampling.whole(sampling.slices, np.flatnonzero(rough))]

    # ------------------------------------------------------------------ how bright frames are

    def _measure(self, slices: list[Block]) -> None:
        """Sum of the squares of every frame."""
        smooth = self._sampling.blocks[0] if len(self._sampling.blocks) > 1 else []
        step = max(1, len(smooth) // _BLOCKS_TRIED)
        tried = smooth[step // 2 :: step]
        squares = {}

        def work(block: Block) -> None:
            image = self._light(block, self._intensity(block))
            squares[id(block)] = (image**2).sum(axis=1)
            if self._image is not None and block not in tried:
                self._image[:, block.pixels] = image

        self._run(work, [*tried, *slices])
        share = sum(b.count for b in tried) / max(1, sum(b.count for b in smooth))
        self._squares = sum((squares[id(b)] for b in tried), np.zeros(self._of.count)) / max(
            share, 1e-9
        )
        if self._image is None:
            self._squares += sum((squares[id(b)] for b in slices), np.zeros(self._of.count))
        self._weigh()

    def _weigh(self) -> None:
        """The norm of the image, and the weight of each frame in a mean of squares."""
        squares = self._squares
        if self._image is not None:
            squares = squares + (self._image**2).sum(axis=1)
        norms = np.sqrt(squares)
        least = _BLACK * np.sqrt(self._sampling.grid.pixels)
        self._norm = max(float(norms.max()), least)
        relative = np.maximum(
            norms / self._norm, _FAINT if self._of.count > 1 else least / self._norm
        )
        self._weights = 1.0 / (relative**2 * self._of.count)
        self._edges = self._of.tables.weighed(self._weights)
        # All of the intensity of each frame.
        self._unknown = 0.5 * float(np.sqrt(self._weights.sum()))

    def _light(self, block: Block, intensity: Floats32) -> Floats:
        """Light of each cell of a block, (frames, cells)."""
        light = np.einsum("fkp,kp->fp", intensity, block.weights)
        return np.asarray(light[:, : block.count])

    def _intensity(self, block: Block) -> Floats32:
        """Intensity at every sample of a block, (frames, samples, width)."""
        return self._of.intensity(self._q_of(block))

    # ------------------------------------------------------------------ cells

    def _rate_slices(self, blocks: list[Block]) -> list[_Rated]:
        """Estimate the errors of the slices of whole rays."""
        rated: dict[int, _Rated] = {}
        refinement, edges = self._of.refinement, self._edges
        lengths = self._of.lengths * self._sampling.part
        shape = np.append(lengths[:2] / lengths[2] if lengths[2] > 0.0 else lengths[:2] * 0 + 1, 1)
        shape *= [refinement.pixels, refinement.pixels, refinement.heights is not None]
        wild = self._of.reach.core / np.maximum(lengths, 1e-12)

        def work(block: Block) -> None:
            steps = np.empty((3, block.samples, block.width), np.float32)
            errors = np.empty((block.samples, block.width), np.float32)
            sampling_loops.rate_slices(
                self._q_of(block), block.weights, self._of.runs, self._of.reach.scales, edges.bent,
                edges.change, edges.grid, shape, wild, self._unknown, block.cells.pixels,
                self._across, self._of.nearest, steps, errors,
            )  # fmt: skip
            errors[:, block.count :] = 0.0
            rated[id(block)] = _Rated(block, steps, errors)

        self._run(work, blocks)
        return [rated[id(block)] for block in blocks]

    def _rate(self, blocks: list[Block], before: dict[int, Floats32]) -> list[_Rated]:
        """Estimate the errors of cells with a lattice of samples."""
        if self._image is not None:
            self._follow(blocks)
        rated: dict[int, _Rated] = {}
        axes, edges, scales = self._of.lengths, self._edges, self._of.reach.scales

        def work(block: Block) -> None:
            steps = np.empty((3, 1, block.width), np.float32)
            errors = np.empty((1, block.width), np.float32)
            wild = self._of.reach.core / np.maximum(block.cells.sizes * axes[:, None], 1e-12)
            sampling_loops.rate_lattices(
                self._q_of(block),
                block.cells.weights,
                scales,
                edges.varied,
                edges.grid,
                before[id(block)],
                wild,
                self._unknown,
                steps[:, 0],
                errors[0],
            )
            errors[:, block.count :] = 0.0
            rated[id(block)] = _Rated(block, steps, errors)

        self._run(work, blocks)
        return [rated[id(block)] for block in blocks]

    def _follow(self, blocks: list[Block]) -> None:
        """Add the light of parts to the image, whose cells have been taken off it."""
        assert self._image is not None
        lights = {}

        def work(block: Block) -> None:
            lights[id(block)] = self._light(block, self._intensity(block))

        self._run(work, blocks)
        for block in blocks:
            for image, light in zip(self._image, lights[id(block)], strict=True):
                np.add.at(image, block.pixels, light)
        before = self._norm
        self._weigh()
        if abs(self._norm - before) < _SETTLED * before:
            # Finer samples will not change how bright it is.
            self._squares = self._squares + (self._image**2).sum(axis=1)
            self._image = None

    def _limit(self, rated: list[_Rated]) -> float:
        """Largest error of a cell that is not cut.

        Infinite where nothing needs to be cut, or there would be too many samples.
        """
        wanted = (AIM * self._of.refinement.accuracy * self._norm) ** 2
        count = sum(r.errors.size for r in rated)
        # The many that do not matter need not be looked at.
        pixels, errors, alike = _listed(rated, _LITTLE * float(np.sqrt(wanted / max(count, 1))))
        pixels = pixels - pixels.min(initial=self._sampling.grid.pixels)
        room = (self._of.most - self._sampling.size) // MANY
        if not errors.size or room <= 0 or self._total(pixels, errors, alike) <= wanted:
            return np.inf
        # A part of it is left for what finer ones will be off.
        low, high = float(errors.min()), float(errors.max())
        for _ in range(_BISECTIONS):
            limit = float(np.sqrt(low * high))
            if self._total(pixels, errors, alike, limit) > KEPT * wanted:
                high = limit
            else:
                low = limit
        if np.count_nonzero(errors >= low) > room:
            low = float(np.partition(errors, errors.size - room)[errors.size - room])
        return low

    def _total(self, pixels: Ints, errors: Floats, alike: Floats, limit: float = np.inf) -> float:
        """Sum of the squares of the errors of all pixels, by cells with errors below a limit."""
        sums = np.zeros(int(pixels.max(initial=0)) + 1)
        return sampling_loops.sum_of_squares(pixels, errors, alike, limit, sums)

    def _cut(self, rated: list[_Rated], limit: float) -> tuple[list[Block], dict[int, Floats32]]:
        """Sample the cells with larger errors more finely; the new blocks, and their steps of q."""
        sampling = self._sampling
        found: dict[int, list[tuple[Cells, Floats32]]] = {}
        replaced: dict[int, Block] = {}
        for n, r in enumerate(rated):
            worse = r.errors >= limit
            if not worse.any():
                continue
            member, part = np.nonzero(worse.T)
            steps = r.steps[:, part, member]
            if r.block.whole:
                cells, finer = sampling.parts_of(r.block, part, member), worse
                count = FEW
            else:
                cells, finer = r.block.cells.chosen(member), np.repeat(worse, r.block.samples, 0)
                count = MANY
            if self._image is not None:
                light = np.where(finer, r.block.weights, 0.0) * self._intensity(r.block)
                for image, lost in zip(self._image, light.sum(axis=1), strict=True):
                    np.subtract.at(image, r.block.cells.pixels, lost)
            if r.block.samples >= MANY and not r.block.whole:
                cells, steps = sampling.halved(cells, steps)
            found.setdefault(count, []).append((cells, steps))
            new = sampling.without(r.block, finer)
            replaced[id(r.block)] = new
            r.errors[worse] = 0.0
            rated[n] = r._replace(block=new)
            self._moved(r.block, new, np.arange(r.block.width))
        sampling.blocks = [
            [replaced.get(id(block), block) for block in blocks] for blocks in sampling.blocks
        ]
        blocks: list[Block] = []
        before: dict[int, Floats32] = {}
        for count, parts in found.items():
            step = np.concatenate([steps for _, steps in parts], axis=1)
            cells = Cells(
                *(
                    np.concatenate([getattr(c, name) for c, _ in parts], axis=-1)
                    for name in Cells._fields
                )
            )
            order = np.argsort(cells.pixels, kind="stable")
            for some in sampling.lattices(cells.chosen(order), count):
                sampling.blocks.append([block for block, _ in some])
                for block, members in some:
                    blocks.append(block)
                    before[id(block)] = np.ascontiguousarray(step[:, order[members]])
        return blocks, before


def _listed(rated: list[_Rated], least: float) -> tuple[Ints, Floats, Floats]:
    """Pixel, error, and what is of one sign, of each cell whose error is more than some."""
    pixels, errors = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    alike = [np.zeros(0)]
    for r in rated:
        every = r.errors.ravel()
        mine = np.flatnonzero(every > least)
        if not mine.size:
            continue
        pixels.append(r.block.cells.pixels[mine % r.block.width])
        errors.append(every[mine])
        alike.append(np.full(mine.size, SLICES_ALIKE if r.block.whole else ALIKE))
    return np.concatenate(pixels), np.concatenate(errors).astype(np.float64), np.concatenate(alike)


def _spread(shifts: Floats, most: int) -> Floats:
    """At most so many of a list, evenly, both ends included."""
    if len(shifts) <= most:
        return shifts
    return np.ascontiguousarray(shifts[np.linspace(0, len(shifts) - 1, most).round().astype(int)])
