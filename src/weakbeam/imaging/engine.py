"""The fast route from deformation to images: factors of the acceptance and their products.

Every motor shifts q by a constant vector. The acceptance is a product of one factor that only
(q_rock', q_2θ) enters and one that only q_roll enters, so that a scan of n settings of φ and 2θ
by m settings of χ needs n + m evaluations for each ray instead of n·m, and a frame is a sum of
products (docs/explanation/physics.md, E8). Blocks of neighbouring pixels run in threads; frames
come in batches of bounded size, whatever the length of the scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.routes import Powers, RayBlock, Shifts, route_of
from weakbeam.imaging.sampling import Block, Sampling
from weakbeam.imaging.tiles import size, tiles

BATCH_BYTES = 320 * 2**20
"""Largest batch of frames that is held at a time."""

STORE_BYTES = 512 * 2**20
"""Largest q of all rays that is kept; above, it is computed again for every batch."""

_POINTS_AT_ONCE = 4096
_TOLERATED_STEP = 0.5

SMOOTH = 0.2
"""Largest step of q, in units of what an integral tolerates, between samples of the smooth grid."""


class Engine:
    """Images and moments of one deformed crystal seen by one instrument: compiled loops in threads.

    An :class:`weakbeam.imaging.contract.ImagingEngine`.

    Parameters
    ----------
    field : DisplacementGradientField
        The deformation, in the sample frame.
    geometry : ImagedReflection
        The reflection.
    rays : RayGrid or sequence of RayGrid
        The sampling points. Of several grids, which differ in their depth samples only, each slice
        of a ray takes the coarsest in which q varies smoothly from sample to sample.
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
    smooth : RayGrid, optional
        A coarser grid than the others, for rays along which q hardly varies.
    tolerance : float
        How many times larger than usual steps of q along a ray may be.
    """

    def __init__(
        self,
        field: DisplacementGradientField,
        geometry: ImagedReflection,
        rays: RayGrid | Sequence[RayGrid],
        acceptance: AcceptanceDensity,
        workers: int | None = None,
        kernel: Kernel | None = None,
        vignetting: float = 0.0,
        smooth: RayGrid | None = None,
        tolerance: float = 1.0,
    ) -> None:
        self.field = field
        self.geometry = geometry
        self._orientation = (
            np.ascontiguousarray(geometry.q0_sample),
            np.ascontiguousarray(geometry.imaging_from_sample),
        )
        self.grids = (rays,) if isinstance(rays, RayGrid) else tuple(rays)
        self.vignetting = vignetting
        self._tolerated = tolerance * _smooth_steps(acceptance)
        self.workers = worker_count(workers)
        self._route = route_of(acceptance, kernel)
        self._stored: dict[int, Floats] = {}
        self.sampling = Sampling(self.grids, smooth)
        self._plan()

    def with_field(self, field: DisplacementGradientField) -> Engine:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.with_field`."""
        other = copy(self)
        other.field = field
        other._stored = {}
        other.sampling = self.sampling.fresh()
        other._plan()
        return other

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.grids[0].rows, self.grids[0].columns

    @property
    def loosened(self) -> float:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.loosened`."""
        return self.sampling.tolerance

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
        pixels = self.grids[0].pixels
        mean, total, masked = np.zeros((3, pixels)), np.zeros(pixels), np.zeros(pixels, np.int64)

        def work(block: Block) -> None:
            where = block.pixels[: block.count]
            weights = self.sampling.weights(block)[:, : block.count]
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
        weights, pixels = self.sampling.weights(block), block.pixels[: block.count]
        return RayBlock(self._q(block), weights, pixels, not block.whole)

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
        width = block.pixels.size
        q = np.empty((3, block.samples, width))
        if isinstance(self.field, FieldAlongRays):
            rays = self.sampling.rays_of(block)
            sampling_loops.q_of_lines(*rays, *self.field.ray_constants, *self._orientation, q)
        else:
            self._fill_q(self.sampling.points(block), q)
        if self.vignetting:
            q += self._off_axis(block.pixels)[:, None]
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
        grid = self.grids[0]
        place = (grid.centres(pixels) + grid.lift * grid.height_axis) @ (
            self.geometry.imaging_from_sample.T
        )
        per_angle = -self.vignetting / (2.0 * math.sin(self.geometry.theta))
        return per_angle * np.stack([np.zeros(len(place)), place[:, 1], place[:, 2]])

    # ------------------------------------------------------------------ plan

    def _plan(self) -> None:
        """Choose the grid of each ray, and cut its slices where q varies too fast."""
        sampling = self.sampling
        self._keep = 24 * sampling.size <= STORE_BYTES
        rough = np.ones(self.grids[0].pixels, np.bool_)
        if sampling.smooth is not None:
            _, peaks = self._steps(-1)
            rough = peaks > SMOOTH
            for part, block, members in sampling.divide(rough):
                q = None if part is block else self._stored.pop(id(block), None)
                if q is not None:
                    self._stored[id(part)] = np.ascontiguousarray(q[:, :, members])
        if len(self.grids) > 1:
            steps, peaks = self._steps(0)
            sampling.refine(steps, np.where(rough, peaks, np.float32(0.0)))
        self._keep = 24 * sampling.size <= STORE_BYTES
        if not self._keep:
            self._stored.clear()

    def _steps(self, level: int) -> tuple[Floats32, Floats32]:
        """Change of q about the samples of whole rays, in units of what an integral tolerates.

        Parameters
        ----------
        level : int
            Of the last blocks that there are.

        Returns
        -------
        steps : (samples, pixels) ndarray of float32
            Undefined where the blocks have no ray.
        peaks : (pixels,) ndarray of float32
            The largest of each ray.
        """
        coarse = self.grids[0]
        steps = np.empty((len(self.sampling.offsets[level]), coarse.pixels), np.float32)
        peaks = np.zeros(coarse.pixels, np.float32)

        def work(block: Block) -> None:
            where = block.pixels[: block.count]
            sampling_loops.steepest_steps(
                self._q(block), coarse.oversampling**2, self._tolerated, where, steps, peaks
            )

        self._map(work, self.sampling.blocks[-1], lambda _: None)
        return steps, peaks

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


def _smooth_steps(acceptance: AcceptanceDensity) -> Floats:
    """Steps of (q_rock', q_roll, q_2θ) between samples that an integral over depth tolerates.

    In q_rock' the acceptance changes over tanθ σ_ε, at the edges of the condenser; in the others
    over the width of the lens.
    """
    sine, optics = math.sin(acceptance.theta), acceptance.optics
    edge = sine * optics.bandwidth
    lens = optics.lens / (2.0 * sine)
    return _TOLERATED_STEP * np.array([edge, lens, lens])


def _shifts(values: ArrayLike) -> Floats:
    shifts = np.ascontiguousarray(values, dtype=np.float64)
    if shifts.ndim != 2 or shifts.shape[1] != 3:
        raise ValueError(f"shifts must have shape (n, 3), not {shifts.shape}")
    return shifts
