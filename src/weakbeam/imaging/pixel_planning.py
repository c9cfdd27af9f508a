"""Which slices of pixels are cut: those that put an image off most, until it is accurate enough.

The error of a slice is that of the acceptance at its middle for its mean over the range of q_rock'
that the slice spans, all of it lit alike; a table has it for every middle and width. Errors of the
slices of a pixel are partly independent, partly of one sign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.imaging import planning_loops
from weakbeam.imaging.averaging import Averaging
from weakbeam.imaging.cells import CELL_SAMPLES, DEEPEST
from weakbeam.imaging.depth_planning import Sampled
from weakbeam.imaging.edges import EdgeTables
from weakbeam.imaging.reached import Checked, difference
from weakbeam.imaging.routes import RayBlock, Route, Shifts
from weakbeam.imaging.sampling import IN_CELLS, Block, Members, Sampling

SMOOTH_ALONG = 1.0
"""Largest step of q between samples of a smooth pixel, in widths of the acceptance's edge."""

SMOOTH_ACROSS = 0.35
"""Largest step of q across a smooth pixel, for an accuracy of 0.005."""

AIM, AIM_OF_SCAN, AIM_OF_FEW = 0.65, 0.6, 0.45
"""Share of the accuracy that the estimated errors of the slices may add up to.

Those of several frames are estimated less well: a slice has several edges. Of few pixels some may
be off by more than is likely.
"""

MOST_SAMPLES = 2048
"""Samples of a pixel, on average over the image, at which refinement ends."""

SMALL_IMAGE = 2048
"""Pixels of an image; one of fewer may have as many samples: a line takes a larger part of it."""

KEPT = 0.8
"""Share of the squares of the errors that slices have at most which are not cut any more."""

_FIRST = 2
_LITTLE = 0.3
_BISECTIONS, _BISECTIONS_OF_ROOM = 6, 10
_HALVED, _LEAST_MORE = 0.12, 0.02
_USUAL = 0.005
_MOST_WAVES = 16
_MOST_ROCK, _MOST_ROLL = 16, 3
_FEW_FRAMES, _UNSURE, _FEW_PIXELS = 4, 0.3, 1024
_FAINT = 0.1
_BLACK = 1e-6
"""Root mean square of an image, of the peak of the perfect crystal, below which errors are relative
to this instead."""

_MANY, _COSTLY, _FULL, _MOST_TRIES = 2048, 50, 0.7, 3
_BLOCKS_TRIED = 4


class Reach(NamedTuple):
    """What the acceptance is to a plan."""

    scales: Floats
    """(3,): change of each component of q over which it changes."""
    lit: tuple[float, float]
    """Ends of q_rock' between which it is not dark."""
    core: float
    """Step of q (in its first scale), times its length (µm), that tells of a defect nearby."""


class PixelPlanner:
    """Chooses the samples of images of one instrument whose pixels stand for their area.

    Parameters
    ----------
    sampling : Sampling
        Of an image before anything is cut.
    averaging : Averaging
        How accurate it shall be.
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
        averaging: Averaging,
        route: Route,
        relative: Callable[[Floats], Floats],
        shifts: Shifts,
        reach: Reach,
    ) -> None:
        grid = sampling.grid
        self.route, self.accuracy, self.reach = route, averaging.accuracy, reach
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
        # Lengths of the edges of a slice (µm); between given depths that from one to the next.
        ray = float(np.linalg.norm(grid.along_ray))
        deep, heights = averaging.heights is not None, grid.depths
        if averaging.heights is not None:
            heights = averaging.heights
        across = np.linalg.norm([grid.row_step, grid.column_step], axis=1)
        height = float(np.ptp(heights)) / max(len(grid.depths) - (not deep), 1)
        self.edges = np.append(across / grid.oversampling, ray * height)
        shape = self.edges[:2] / self.edges[2] if height > 0.0 else np.ones(2)
        self.shape = np.append(shape, float(deep))
        depths = grid.depths
        if sampling.smooth is not None:
            depths = sampling.smooth.offsets @ grid.along_ray / ray**2
        self.nearest = np.abs(grid.depths[:, None] - depths).argmin(axis=1)
        self.spacing = ray * float(np.diff(depths).max(initial=0.0))

    def covers(self, shifts: Shifts) -> bool:
        """Whether frames lie between those that samples are chosen for, or nearly so."""
        near = 0.5 * self.reach.scales
        return all(
            np.all(asked >= mine.min(axis=0) - near) and np.all(asked <= mine.max(axis=0) + near)
            for asked, mine in zip(shifts, self.frames, strict=True)
        )

    def plan(self, sampling: Sampling, sampled: Sampled) -> Checked:
        """Choose the samples of an image.

        Parameters
        ----------
        sampling : Sampling
            Before anything is cut.
        sampled : Sampled
            Gives q at its samples.

        Returns
        -------
        Checked
            What it has come to.
        """
        return _Plan(self, sampling, sampled).make()


class _Plan:
    """The choice of samples for one image."""

    def __init__(self, planner: PixelPlanner, sampling: Sampling, sampled: Sampled) -> None:
        self._of, self._sampling, self._sampled = planner, sampling, sampled

    def make(self) -> Checked:
        """Choose them; see :meth:`PixelPlanner.plan`."""
        sampling = self._sampling
        self._rough = np.arange(sampling.pixels)
        if sampling.smooth is not None:
            self._divide()
        else:
            self._look_across(sampling.blocks[0])
        self._row = np.zeros(sampling.pixels, np.int64)
        self._row[self._rough] = np.arange(self._rough.size)
        self._measure(self._even())
        self._off: float = 0.0
        self._trust: float = 1.0
        self._tries = 0
        self._rate_slices(sampling.blocks[-1])
        wave = 0
        while wave < _MOST_WAVES:
            blocks = self._refine(wave == 0)
            if not blocks and not self._misjudged():
                break
            if wave == 0 and self._off > _UNSURE and self._of.count <= _FEW_FRAMES:
                # Finer samples may tell another brightness.
                self._measure(self._squares_of_even)
            self._rate(blocks)
            wave += 1
        return self._checked()

    def _misjudged(self) -> bool:
        """Try whether errors are larger than they are taken for, where they are many."""
        of, sampling = self._of, self._sampling
        is_many = self._rough.size >= _MANY and sampling.size > _COSTLY * sampling.pixels
        if self._tries == _MOST_TRIES or not is_many or sampling.size > _FULL * of.most:
            return False
        self._tries += 1
        off = difference(
            sampling, self._checked(), self._sampled.computed, of.route, of.frames, twins=2
        )
        if off <= max(of.accuracy, self._off):
            return False
        larger = off / self._off
        self._trust *= larger
        for errors in (self._errors, *self._cell_errors):
            errors *= np.float32(larger)
        return True

    def _checked(self) -> Checked:
        """What there is now."""
        sampling = self._sampling
        squares = (self._errors.astype(np.float64) ** 2).sum(axis=1)
        for generation, errors in zip(sampling.generations, self._cell_errors, strict=True):
            np.add.at(squares, self._row[generation.cells.pixels], errors.astype(np.float64) ** 2)
        return Checked(self._rough, squares, self._norm, self._weights)

    # ------------------------------------------------------------------ whole pixels

    def _look_across(self, blocks: list[Block]) -> Floats32:
        """Change of q along each ray; and fill in that from pixel to pixel."""
        sampling, scales = self._sampling, self._of.reach.scales
        along = np.empty(sampling.pixels, np.float32)
        runs = self._of.runs if sampling.smooth is None else 1
        depths = blocks[0].samples // runs
        middles = np.empty((3, depths, sampling.pixels))

        def work(block: Block) -> None:
            q, pixels = self._sampled.q(block), block.pixels[: block.count]
            # Along the middle of the pixel.
            q = q[:, runs // 2 * depths : (runs // 2 + 1) * depths]
            planning_loops.steps_along_rays(q, scales, pixels, along, middles)

        self._sampled.each(work, blocks)
        self._across = np.empty((2, middles.shape[1], sampling.pixels), np.float32)
        planning_loops.steps_across(middles, sampling.grid.columns, scales, self._across)
        return along

    def _divide(self) -> None:
        """Keep the smooth samples where q hardly varies; slice the other pixels."""
        of = self._of
        along = self._look_across(self._sampling.blocks[0])
        across = self._across.sum(axis=0).max(axis=0)
        most = SMOOTH_ACROSS * np.sqrt(of.accuracy / _USUAL)
        rough = along > min(SMOOTH_ALONG, of.reach.core / of.spacing)
        rough |= across > min(most, of.reach.core / (of.edges[:2].max() * np.sqrt(of.runs)))
        self._rough = np.flatnonzero(rough)
        self._sampled.divide(rough)

    # ------------------------------------------------------------------ how bright frames are

    def _even(self) -> Floats:
        """Sum of the squares of every frame over the smooth pixels, from some of them."""
        smooth = self._sampling.blocks[0] if len(self._sampling.blocks) > 1 else []
        step = max(1, -(-len(smooth) // _BLOCKS_TRIED))
        tried = smooth[step // 2 :: step]
        share = sum(b.count for b in tried) / max(1, sum(b.count for b in smooth))
        self._squares_of_even = self._squares([tried]) / max(share, 1e-9)
        return self._squares_of_even

    def _measure(self, even: Floats) -> None:
        """The norm of the image, and the weight of each frame in a mean of squares."""
        first = 1 if self._sampling.smooth is not None else 0
        norms = np.sqrt(even + self._squares(self._sampling.blocks[first:]))
        least = _BLACK * np.sqrt(self._sampling.pixels)
        self._norm = max(float(norms.max()), least)
        faint = _FAINT if self._of.count > 1 else least / self._norm
        self._weights = 1.0 / (np.maximum(norms / self._norm, faint) ** 2 * self._of.count)
        self._edges = self._of.tables.weighed(self._weights)
        # All of the intensity of each frame.
        self._unknown = 0.5 * float(np.sqrt(self._weights.sum()))

    def _squares(self, lists: list[list[Block]]) -> Floats:
        """Sum of the squares of every frame over the pixels of some blocks."""
        rock, roll = self._of.frames
        shape = len(roll), len(rock)
        if len(lists) == 1:
            parts: dict[int, Floats] = {}

            def alone(block: Block) -> None:
                light = np.empty((*shape, block.count), np.float32)
                self._light(block, np.arange(block.count), light)
                parts[id(block)] = np.einsum("jip,jip->ji", light, light, dtype=np.float64)

            self._sampled.each(alone, lists[0])
            return sum((parts[id(b)] for b in lists[0]), np.zeros(shape)).ravel()
        image = np.zeros((*shape, self._rough.size), np.float32)

        def work(block: Block) -> None:
            self._light(block, self._row[block.pixels[: block.count]], image)

        for blocks in lists:
            self._sampled.each(work, blocks)
        return np.asarray(np.einsum("jip,jip->ji", image, image, dtype=np.float64).ravel())

    def _light(self, block: Block, places: Ints, image: Floats32) -> None:
        weights = self._sampling.weights(block)
        rays = RayBlock(self._sampled.q(block), weights, places, not block.whole)
        self._of.route.frames(rays, self._of.frames, image)

    # ------------------------------------------------------------------ errors of slices

    def _rate_slices(self, blocks: list[Block]) -> None:
        """Estimate the errors of slices with one sample each."""
        of, edges, sampling = self._of, self._edges, self._sampling
        shape = self._rough.size, sampling.slices
        self._steps, self._wildness = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._errors, self._levels = np.empty(shape, np.float32), np.zeros(shape, np.int8)
        self._cell_errors: list[Floats32] = []
        self._cell_steps: list[Floats32] = []
        wild, weights = of.reach.core / np.maximum(of.edges, 1e-12), sampling.cut_of(0).weights
        self._across /= np.sqrt(of.runs)

        def work(block: Block) -> None:
            pixels = block.pixels[: block.count]
            mine = slice(self._row[pixels[0]], self._row[pixels[0]] + block.count)
            planning_loops.rate_slices(
                self._sampled.q(block), weights, of.runs, of.reach.scales, edges.bent,
                edges.change, edges.grid, of.shape, wild, self._unknown, pixels, self._across,
                of.nearest, self._steps[mine], self._wildness[mine], self._errors[mine],
            )  # fmt: skip

        self._sampled.each(work, blocks)

    def _rate(self, blocks: list[Block]) -> None:
        """Estimate the errors of slices with a lattice of samples, and of cells."""
        of, edges, sampling = self._of, self._edges, self._sampling
        cuts, whole = sampling.cell_cuts, sampling.cut_of(0).weights

        def work(block: Block) -> None:
            some = slice(0, block.count)
            rows = self._row[block.pixels[some]]
            if block.cells is None or cuts is None:
                slices = block.first[some] // block.samples
                weights, expected = whole[slices], self._steps[rows, slices].astype(np.float64)
                calm = np.maximum(expected, 1e-9) / np.maximum(self._wildness[rows, slices], 1e-9)
            else:
                depth, members = block.cells.depth, block.cells.members[some]
                list_ = cuts.lattice(depth)[1]
                weights = list_.reshape(-1, CELL_SAMPLES).sum(axis=1)[
                    block.first[some] // CELL_SAMPLES
                ]
                expected = self._cell_steps[depth][members].astype(np.float64)
                calm = np.full(block.count, of.reach.core / cuts.longest(depth))
            steps, errors = np.empty((2, block.count), np.float32)
            weights = self._trust * weights
            planning_loops.rate_lattices(
                self._sampled.q(block), weights, of.reach.scales, edges.varied, edges.ended,
                edges.grid, self._unknown, expected, calm, steps, errors,
            )  # fmt: skip
            if block.cells is None:
                self._steps[rows, slices], self._errors[rows, slices] = steps, errors
            else:
                self._cell_steps[depth][members] = steps
                self._cell_errors[depth][members] = errors

        self._sampled.each(work, blocks)

    def _refine(self, is_first: bool) -> list[Block]:
        """Cut the slices and cells that are off most; the new blocks, none where nothing is cut."""
        of, sampling = self._of, self._sampling
        aim = AIM if of.count == 1 else AIM_OF_SCAN
        if self._rough.size < _FEW_PIXELS:
            aim = min(aim, AIM_OF_FEW)
        wanted = (aim * of.accuracy * self._norm) ** 2
        # The many that do not matter need not be looked at.
        least = float(_LITTLE * np.sqrt(wanted / max(self._errors.size, 1)))
        pixels, errors = self._listed(least)
        cells = np.concatenate([np.zeros(0, np.float32), *self._cell_errors]).astype(np.float64)
        total = self._total(pixels, errors) + float(cells @ cells)
        self._off = float(np.sqrt(total)) / self._norm
        room = of.most - sampling.size
        if is_first:
            # What finer samples tell of errors is worth some of the room.
            room //= 3
        if total <= wanted or room <= 0:
            return []
        # A part of it is left for what finer ones will be off.
        every = np.concatenate([errors, cells[cells > least]])
        low, high = float(every.min()), float(every.max())
        largest = 1.01 * high
        # If to halve all is enough, no more than are needed; else those that will have to be.
        left = _HALVED if _HALVED * total < KEPT * wanted else 0.0
        for _ in range(_BISECTIONS):
            limit = float(np.sqrt(low * high))
            rest = cells[cells < limit]
            below = self._total(pixels, errors, limit) + float(rest @ rest)
            if below + left * (total - below) > KEPT * wanted:
                high = limit
            else:
                low = limit
        rows, slices = np.empty(errors.size, np.int64), np.empty(errors.size, np.int64)
        levels = np.empty(errors.size, np.int8)
        # Errors of single samples are a guess: lattices are not much finer than these at first.
        levels_now = sampling.samples[: _FIRST + 1] if is_first else sampling.samples
        cells_from, is_bounded = _FIRST if is_first else IN_CELLS, False

        def finer(limit: float) -> tuple[int, int]:
            """How many slices are cut with errors from a limit on, and the samples of all."""
            count, more = planning_loops.finer_levels(
                self._errors, self._steps, levels_now, cells_from, limit, self._levels,
                rows, slices, levels,
            )  # fmt: skip
            return count, more + 8 * CELL_SAMPLES * int((cells >= limit).sum())

        count, more = finer(low)
        if more > room:
            low = self._bounded(lambda limit: finer(limit)[1], low, largest, room)
            is_bounded = True
            count, more = finer(low)
        if is_bounded and more < _LEAST_MORE * sampling.size:
            return []
        return self._cut(Members(self._rough[rows[:count]], slices[:count], levels[:count]), low)

    def _cut(self, members: Members, limit: float) -> list[Block]:
        """Cut slices as told, and cells with errors from a limit on."""
        sampling = self._sampling
        pixels, slices, levels = members
        rows = self._row[pixels]
        self._levels[rows, slices] = levels
        lattices = levels < IN_CELLS
        blocks = sampling.cut(Members(pixels[lattices], slices[lattices], levels[lattices]))
        # Of those that there are now.
        lists = [np.flatnonzero(errors >= limit) for errors in self._cell_errors]
        into = ~lattices
        if into.any():
            before = len(sampling.generations[0].whole) if sampling.generations else 0
            blocks += sampling.into_cells(pixels[into], slices[into])
            self._errors[rows[into], slices[into]] = 0.0
            self._grown(0, self._steps[rows[into], slices[into]])
            self._inherit(0, np.arange(before, before + int(into.sum())))
        for depth, found in enumerate(lists):
            if found.size and depth < DEEPEST:
                blocks += sampling.halve(depth, found)
                self._cell_errors[depth][found] = 0.0
                self._inherit(depth, found)
        return blocks

    def _inherit(self, depth: int, members: Ints) -> None:
        """The parts of cells, each of which is expected to have its share of the change of q."""
        cuts = self._sampling.cell_cuts
        assert cuts is not None
        times = cuts.parts[depth + 1] // cuts.parts[depth]
        steps = np.repeat(self._cell_steps[depth][members] / times.max(), times.prod())
        # In the order that they are listed in.
        pixels = np.repeat(self._sampling.generations[depth].cells.pixels[members], times.prod())
        self._grown(depth + 1, steps[np.argsort(pixels, kind="stable")])

    def _grown(self, depth: int, steps: Floats32) -> None:
        """New cells of a depth."""
        if depth == len(self._cell_steps):
            self._cell_steps.append(np.zeros(0, np.float32))
            self._cell_errors.append(np.zeros(0, np.float32))
        self._cell_steps[depth] = np.append(self._cell_steps[depth], steps.astype(np.float32))
        self._cell_errors[depth] = np.append(
            self._cell_errors[depth], np.zeros(steps.size, np.float32)
        )

    def _listed(self, least: float) -> tuple[Ints, Floats]:
        """Errors of slices that are more than some, as loops take them."""
        pixels, errors = np.empty(self._errors.size, np.int64), np.empty(self._errors.size)
        count = planning_loops.listed(self._errors, self._levels, least, pixels, errors)
        return pixels[:count], errors[:count]

    @staticmethod
    def _bounded(samples: Callable[[float], int], low: float, high: float, room: int) -> float:
        """The least limit from which on there is room for the samples of all."""
        for _ in range(_BISECTIONS_OF_ROOM):
            limit = float(np.sqrt(low * high))
            if samples(limit) > room:
                low = limit
            else:
                high = limit
        return high

    @staticmethod
    def _total(pixels: Ints, errors: Floats, limit: float = np.inf) -> float:
        """Sum of the squares of the errors of all pixels, by slices with errors below a limit."""
        return planning_loops.sum_of_squares(pixels, errors, limit)


def _spread(shifts: Floats, most: int) -> Floats:
    """At most so many of a list, evenly, both ends included."""
    if len(shifts) <= most:
        return shifts
    return np.ascontiguousarray(shifts[np.linspace(0, len(shifts) - 1, most).round().astype(int)])
