"""The fast route from deformation to images: factors of the acceptance and their products.

Every motor shifts q by a constant vector. The acceptance is a product of one factor that only
(q_rock', q_2θ) enters and one that only q_roll enters, so that a scan of n settings of φ and 2θ
by m settings of χ needs n + m evaluations for each ray instead of n·m, and a frame is a sum of
products (docs/explanation/physics.md, E8). Blocks of neighbouring pixels run in threads; frames
come in batches of bounded size, whatever the length of the scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Floats32, Ints
from weakbeam.core.workers import worker_count
from weakbeam.defects.field import DisplacementGradientField, FieldAlongRays
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.kernel import Kernel
from weakbeam.imaging import gradient_loops, sampling_loops
from weakbeam.imaging.contract import ImagedReflection, Progress
from weakbeam.imaging.planning import Checked, Planner, Reach
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.refinement import Refinement
from weakbeam.imaging.routes import Powers, RayBlock, Shifts, route_of
from weakbeam.imaging.sampling import Block, Sampling
from weakbeam.imaging.tiles import size, tiles

BATCH_BYTES = 320 * 2**20
"""Largest batch of frames that is held at a time."""

STORE_BYTES = 512 * 2**20
"""Largest q of all rays that is kept; above, it is computed again for every batch."""

_POINTS_AT_ONCE = 4096
_WIDEST = 3.0
"""Widths of the acceptance in q_roll and q_2θ count as no more than so many of its edge."""

_CORE = 2.5e-4 / (40.0 * math.pi)
"""Step of q, times the length (µm) over which it is, that tells of a dislocation not farther away.

At twice that length from a line q changes by b/8π over it; by a fifth of that where the reflection
hardly shows the dislocation.
"""

_REACHES = 6.0
"""Standard deviations of q from its mean beyond which it is dark."""


class Engine:
    """Images and moments of one deformed crystal seen by one instrument: compiled loops in threads.

    An :class:`weakbeam.imaging.contract.ImagingEngine`.

    Parameters
    ----------
    field : DisplacementGradientField
        The deformation, in the sample frame.
    geometry : ImagedReflection
        The reflection.
    rays : RayGrid
        The sampling points.
    acceptance : AcceptanceDensity
        The instrument. Where it has factors they are used: φ and 2θ must not move q_roll then, nor
        χ the rest. Else its closed forms are taken ray by ray, for motors that may move all.
    workers : int, optional
        Threads; as many as there are cores unless given. Results do not depend on it.
    kernel : Kernel, optional
        Tabulated acceptance to be used instead of the closed form.
    vignetting : float
        Angle (rad) by which the centre of the lens' acceptance moves per µm of the field of view;
        negative, towards the axis.
    refinement : Refinement, optional
        How accurate images shall be, and what is cut for that; without it the grid is all.
    shifts : pair of (n, 3) and (m, 3) ndarray, optional
        Shifts of q of the frames for which samples are chosen, of φ and 2θ and of χ; those of other
        frames are less accurate. Only at the Bragg setting unless given.
    """

    def __init__(
        self,
        field: DisplacementGradientField,
        geometry: ImagedReflection,
        rays: RayGrid,
        acceptance: AcceptanceDensity,
        workers: int | None = None,
        kernel: Kernel | None = None,
        vignetting: float = 0.0,
        refinement: Refinement | None = None,
        shifts: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        self.field = field
        self.geometry = geometry
        self._orientation = (
            np.ascontiguousarray(geometry.q0_sample),
            np.ascontiguousarray(geometry.imaging_from_sample),
        )
        self.grid = rays
        self.vignetting = vignetting
        self.workers = worker_count(workers)
        self._route = route_of(acceptance, kernel)
        rock, roll = shifts if shifts is not None else (np.zeros((1, 3)), np.zeros((1, 3)))
        planned = Shifts(_shifts(rock), _shifts(roll))
        self._first = Sampling(rays, refinement)
        self._planner = None
        if refinement is not None:
            self._planner = Planner(
                self._first,
                self._route,
                acceptance.relative,
                planned,
                reach_of(acceptance, kernel),
            )
        self._sampling: Sampling | None = None

    def with_field(self, field: DisplacementGradientField) -> Engine:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.with_field`."""
        other = copy(self)
        other.field = field
        other._sampling = None
        return other

    @property
    def sampling(self) -> Sampling:
        """The samples of each pixel; chosen when they are first asked for."""
        if self._sampling is None:
            self._plan()
            assert self._sampling is not None
        return self._sampling

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.grid.rows, self.grid.columns

    @property
    def reached(self) -> float:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.reached`."""
        sampling = self.sampling
        if self._planner is None or self._checked is None:
            return math.nan
        return self._planner.difference(sampling, self._checked, self._compute_q)

    @property
    def rays(self) -> int:
        """Number of sampling points of an image."""
        return self.sampling.rays

    # ------------------------------------------------------------------ images

    def images(
        self, rock_shifts: ArrayLike, roll_shifts: ArrayLike, progress: Progress | None = None
    ) -> Floats32:
        """See :meth:`.ImagingEngine.images`."""
        rock, roll = _shifts(rock_shifts), _shifts(roll_shifts)
        frames = np.empty((len(roll), len(rock), *self.shape), np.float32)
        for i, j, batch in self.batches(rock, roll, progress=progress):
            frames[j, i] = batch
        return frames

    def batches(
        self,
        rock_shifts: ArrayLike,
        roll_shifts: ArrayLike,
        wanted: Callable[[slice, slice], bool] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[slice, slice, Floats32]]:
        """See :meth:`.ImagingEngine.batches`."""
        rock, roll = _shifts(rock_shifts), _shifts(roll_shifts)
        pixels = self.shape[0] * self.shape[1]
        parts = tiles(len(rock), len(roll), max(1, BATCH_BYTES // (4 * pixels)))
        largest = max((size(i) * size(j) for i, j in parts), default=0)
        store = np.empty(largest * pixels, np.float32)
        for i, j in parts:
            if wanted is not None and not wanted(i, j):
                continue
            count = size(i) * size(j)
            frames = store[: count * pixels].reshape(size(j), size(i), pixels)
            shifts = Shifts(rock[i], roll[j])

            def work(block: Block, shifts: Shifts = shifts, out: Floats32 = frames) -> None:
                self._route.frames(self._ray_block(block), shifts, out)

            self._run(work, progress, count)
            yield i, j, frames.reshape(size(j), size(i), *self.shape)

    def moments(
        self,
        rock_shifts: ArrayLike,
        roll_shifts: ArrayLike,
        rock_powers: ArrayLike,
        roll_powers: ArrayLike,
        progress: Progress | None = None,
    ) -> Floats:
        """See :meth:`.ImagingEngine.moments`."""
        rock, roll = _shifts(rock_shifts), _shifts(roll_shifts)
        left = np.ascontiguousarray(rock_powers, dtype=np.float64)
        right = np.ascontiguousarray(roll_powers, dtype=np.float64)
        total = np.zeros((len(left), *self.shape))
        part = np.empty((len(left), self.shape[0] * self.shape[1]))
        for i, j in tiles(len(rock), len(roll), len(rock) * len(roll)):
            shifts = Shifts(rock[i], roll[j])
            powers = Powers(np.ascontiguousarray(left[:, i]), np.ascontiguousarray(right[:, j]))

            def work(block: Block, shifts: Shifts = shifts, powers: Powers = powers) -> None:
                self._route.moments(self._ray_block(block), shifts, powers, part)

            self._run(work, progress, size(i) * size(j))
            total += part.reshape(total.shape)
        return total

    # ------------------------------------------------------------------ q of the rays

    def mean_q(self) -> tuple[Floats, int]:
        """See :meth:`.ImagingEngine.mean_q`."""
        pixels = self.grid.pixels
        mean, total, masked = np.zeros((3, pixels)), np.zeros(pixels), np.zeros(pixels, np.int64)

        def work(block: Block) -> None:
            where = block.pixels
            weights = block.weights[:, : block.count]
            q = self._q(block)[:, :, : block.count] - self._off_axis(where)[:, None]
            dark = q[0] >= 0.5 * gradient_loops.NOWHERE
            np.add.at(masked, where, ((weights > 0.0) & dark).sum(axis=0))
            weights = np.where(dark, 0.0, weights)
            np.add.at(total, where, weights.sum(axis=0))
            for component in range(3):
                np.add.at(mean[component], where, (q[component] * weights).sum(axis=0))

        self._run(work, None, 0)
        with np.errstate(invalid="ignore"):
            mean /= total
        return mean.reshape(3, *self.shape), int(masked.sum())

    def _ray_block(self, block: Block) -> RayBlock:
        """A block as a route takes it."""
        return RayBlock(self._q(block), block.weights, block.pixels, not block.whole)

    def _q(self, block: Block) -> Floats:
        """q of a block's rays, (3, samples, pixels); kept if the whole image's fits in memory."""
        stored = self._stored.get(id(block))
        if stored is not None:
            return stored
        q = self._compute_q(block)
        if self._keep:
            self._stored[id(block)] = q
        return q

    def _compute_q(self, block: Block) -> Floats:
        cells = block.cells
        q = np.empty((3, block.samples, block.width))
        # Parts of pixels are a list of points, whole ones have the same displacements.
        q_of_list = q if block.whole else q.reshape(3, 1, -1)
        if isinstance(self.field, FieldAlongRays):
            constants = (*self.field.ray_constants, *self._orientation)
            sampling_loops.q_of_lines(*self.sampling.rays_of(block), *constants, q_of_list)
        else:
            self._fill_q(self.sampling.points(block), q)
        if self.vignetting:
            q += self._off_axis(cells.pixels)[:, None]
        return q

    def _fill_q(self, points: Floats, q: Floats) -> None:
        """Fill in q at the points (3, samples, width) of a block."""
        width = points.shape[2]
        step = max(1, _POINTS_AT_ONCE // width)
        for start in range(0, points.shape[1], step):
            some = np.ascontiguousarray(points[:, start : start + step]).reshape(3, -1)
            gradient = np.zeros((9, some.shape[1]))
            self.field.add_to(gradient, some)
            part = np.empty((3, some.shape[1]))
            gradient_loops.q_from_gradient(gradient, *self._orientation, part)
            q[:, start : start + step] = part.reshape(3, -1, width)

    def _off_axis(self, pixels: Ints) -> Floats:
        """Shift of q that stands for the lens' acceptance as a pixel off the axis sees it, (3, n).

        With the centre of δ at δ₀ and of ξ at ξ₀, p(q) becomes p(q - (0, ξ₀, δ₀) / (2 sinθ))
        (docs/explanation/physics.md, B2, C1).
        """
        grid = self.grid
        place = (grid.centres(pixels) + grid.lift * grid.height_axis) @ (
            self.geometry.imaging_from_sample.T
        )
        per_angle = -self.vignetting / (2.0 * math.sin(self.geometry.theta))
        return per_angle * np.stack([np.zeros(len(place)), place[:, 1], place[:, 2]])

    # ------------------------------------------------------------------ plan

    def _plan(self) -> None:
        """Choose the samples of each pixel."""
        self._stored: dict[int, Floats] = {}
        sampling = self._sampling = self._first.fresh()
        self._keep = 24 * sampling.size <= STORE_BYTES
        self._checked: Checked | None = None
        if self._planner is None:
            return

        def moved(old: Block, new: Block, members: Ints | None) -> None:
            q = self._stored.pop(id(old), None)
            if q is not None and members is not None:
                whole = np.array_equal(members, np.arange(q.shape[2]))
                self._stored[id(new)] = q if whole else np.ascontiguousarray(q[:, :, members])

        def run(work: Callable[[Block], None], blocks: list[Block]) -> None:
            self._keep = 24 * self.sampling.size <= STORE_BYTES
            if not self._keep:
                self._stored.clear()
            self._map(work, blocks, lambda _: None)

        self._checked = self._planner.plan(self.sampling, self._q, moved, run)
        self._keep = 24 * self.sampling.size <= STORE_BYTES
        if not self._keep:
            self._stored.clear()

    # ------------------------------------------------------------------ work

    def _run(self, work: Callable[[Block], None], progress: Progress | None, frames: int) -> None:
        """Do `work` for every block, level after level: two of a level never share a pixel."""
        total = self.sampling.size

        def report(block: Block) -> None:
            if progress is not None:
                progress(frames * block.size / total)

        for blocks in self.sampling.blocks:
            self._map(work, blocks, report)

    def _map(
        self,
        work: Callable[[Block], None],
        blocks: list[Block],
        report: Callable[[Block], None],
    ) -> None:
        if self.workers == 1 or len(blocks) == 1:
            for block in blocks:
                work(block)
                report(block)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for block, _ in zip(blocks, pool.map(work, blocks), strict=True):
                    report(block)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def reach_of(acceptance: AcceptanceDensity, kernel: Kernel | None) -> Reach:
    """Over which steps of (q_rock', q_roll, q_2θ) the acceptance changes, and where it is dark.

    In q_rock' it changes over tanθ σ_ε, at the edges of the condenser; in the others over the width
    of the lens.
    """
    sine, optics = math.sin(acceptance.theta), acceptance.optics
    edge = sine * optics.bandwidth
    # Near a core a component may be alike at two places by chance, but not all three.
    lens = min(optics.lens / (2.0 * sine), _WIDEST * edge)
    scales = np.array([edge, lens, lens])
    if kernel is not None:
        first, step = kernel.centers[0], kernel.steps[0]
        return Reach(scales, (float(first[0] - step), float(first[-1] + step)), _CORE / edge)
    mean, width = float(acceptance.mean()[0]), _REACHES * math.sqrt(acceptance.covariance()[0, 0])
    return Reach(scales, (mean - width, mean + width), _CORE / edge)


def _shifts(values: ArrayLike) -> Floats:
    shifts = np.ascontiguousarray(values, dtype=np.float64)
    if shifts.ndim != 2 or shifts.shape[1] != 3:
        raise ValueError(f"shifts must have shape (n, 3), not {shifts.shape}")
    return shifts
