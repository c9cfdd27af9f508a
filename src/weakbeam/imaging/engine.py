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
from copy import copy

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Floats32, Ints
from weakbeam.core.workers import worker_count
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.kernel import Kernel
from weakbeam.imaging import gradient_loops
from weakbeam.imaging.averaging import Averaging
from weakbeam.imaging.cells import CellCuts
from weakbeam.imaging.contract import ImagedReflection, Progress
from weakbeam.imaging.cuts import Cut, PixelCuts, cuts_along_rays
from weakbeam.imaging.depth_planning import DepthPlanner
from weakbeam.imaging.pixel_planning import PixelPlanner, Reach
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.reached import Checked, difference
from weakbeam.imaging.routes import Changes, Means, Powers, RayBlock, Shifts, route_of
from weakbeam.imaging.samples import Samples
from weakbeam.imaging.sampling import Block, Sampling
from weakbeam.imaging.tiles import size, tiles

BATCH_BYTES = 320 * 2**20
"""Largest batch of frames that is held at a time."""

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
    averaging : Averaging, optional
        How accurate images shall be whose pixels stand for their area. The first grid is then that
        of the slices. Else pixels stand for the points that the grids have.
    shifts : pair of (n, 3) and (m, 3) ndarray, optional
        Shifts of q of the frames for which samples are chosen, of φ and 2θ and of χ, at the Bragg
        setting unless given; for frames far from all of them samples are chosen anew.
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
        averaging: Averaging | None = None,
        shifts: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        self.field = field
        self.geometry = geometry
        self.grids = (rays,) if isinstance(rays, RayGrid) else tuple(rays)
        self.vignetting = vignetting
        self.workers = worker_count(workers)
        self._route = route_of(acceptance, kernel)
        self._planner: DepthPlanner | PixelPlanner
        grid = self.grids[0]
        if averaging is None:
            cuts, few = cuts_along_rays(self.grids, smooth)
            samples = [len(cut.offsets) // len(cuts[0].offsets) for cut in cuts]
            self._first = Sampling(grid, cuts, samples, few)
            self._planner = DepthPlanner(grid, acceptance, tolerance)
        else:
            few = None if smooth is None else Cut(smooth.sample_offsets, smooth.sample_weights)
            pixel_cuts = PixelCuts(grid, averaging)
            cells = CellCuts(grid, averaging)
            self._first = Sampling(grid, pixel_cuts, pixel_cuts.samples, few, cells)
            rock, roll = shifts if shifts is not None else (np.zeros((1, 3)), np.zeros((1, 3)))
            self._planner = PixelPlanner(
                self._first,
                averaging,
                self._route,
                acceptance.relative,
                Shifts(_shifts(rock), _shifts(roll)),
                reach_of(acceptance, kernel),
            )
            self._averaging, self._relative = averaging, acceptance.relative
        self._chosen: Samples | None = None
        self._held: Sampling | None = None

    def with_field(self, field: DisplacementGradientField) -> Engine:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.with_field`."""
        other = copy(self)
        other.field = field
        other._chosen = None
        return other

    def held(self, fields: Sequence[DisplacementGradientField]) -> Engine:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.held`."""
        if len(fields) == 1:
            # What its samples have been found to be is kept with them.
            alone = self.with_field(fields[0])
            alone._held = alone.sampling
            return alone
        other = copy(self)
        other._chosen = None
        other._held = self._first.united([self.with_field(field).sampling for field in fields])
        return other

    def _aim(self, shifts: Shifts) -> None:
        """Choose samples anew for frames far from those that they were chosen for."""
        planner = self._planner
        if isinstance(planner, PixelPlanner) and self._held is None and not planner.covers(shifts):
            self._planner = PixelPlanner(
                self._first, self._averaging, self._route, self._relative, shifts, planner.reach
            )
            self._chosen = None

    @property
    def sampling(self) -> Sampling:
        """The samples of each pixel; chosen when they are first asked for."""
        return self._samples.sampling

    @property
    def _samples(self) -> Samples:
        if self._chosen is None:
            sampling = self._first.fresh() if self._held is None else self._held
            self._chosen = Samples(
                self.field, self.geometry, sampling, self.vignetting, self.workers
            )
            self._planned = None
            if self._held is None:
                self._planned = self._planner.plan(sampling, self._chosen)
        return self._chosen

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.grids[0].rows, self.grids[0].columns

    @property
    def loosened(self) -> float:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.loosened`."""
        _ = self._samples
        return self._planned if isinstance(self._planned, float) else 1.0

    @property
    def reached(self) -> float:
        """See :meth:`weakbeam.imaging.contract.ImagingEngine.reached`."""
        samples = self._samples
        if not isinstance(self._planner, PixelPlanner) or not isinstance(self._planned, Checked):
            return math.nan
        planner, q_of = self._planner, samples.computed
        return difference(samples.sampling, self._planned, q_of, planner.route, planner.frames)

    @property
    def rays(self) -> int:
        """Number of sampling points of an image."""
        return self.sampling.rays

    def aimed(self, rock_shifts: ArrayLike, roll_shifts: ArrayLike) -> Engine:
        """Return an engine whose samples are chosen for the frames of a scan, and kept for others.

        Parameters
        ----------
        rock_shifts, roll_shifts : (n, 3) and (m, 3) array_like
            See :meth:`images`.
        """
        other = copy(self)
        other._chosen = None
        other._aim(Shifts(_shifts(rock_shifts), _shifts(roll_shifts)))
        return other

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
        self._aim(Shifts(rock, roll))
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
        self._aim(Shifts(rock, roll))
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

    def slopes(
        self,
        rock_shifts: ArrayLike,
        roll_shifts: ArrayLike,
        tilt: Floats | None = None,
        changes: Callable[[Floats, Ints], Changes] | None = None,
        known: dict[Block, Changes] | None = None,
        means: Means | None = None,
    ) -> tuple[Floats32, Floats32]:
        """All frames of a scan, and their derivatives by parameters that change q.

        Parameters
        ----------
        rock_shifts, roll_shifts : (n, 3) and (m, 3) array_like
            See :meth:`images`.
        tilt : (3, rows, columns) ndarray, optional
            Added to q of all rays of each pixel.
        changes : callable, optional
            Told points (3, samples, width) in the sample (µm) and the pixel (width,) of each, how q
            changes there with each parameter.
        known : dict, optional
            Keeps what was told from one call of this engine to the next.
        means : Means, optional
            Of which of these settings each frame is the mean; one of each unless given.

        Returns
        -------
        frames : (m, n, rows, columns) ndarray of float32
            As of :meth:`images`.
        slopes : (parameters, m, n, rows, columns) ndarray of float32
            None of them without `changes`.
        """
        shifts = Shifts(_shifts(rock_shifts), _shifts(roll_shifts))
        self._aim(shifts)
        settings = shifts if means is None else means
        shape = len(settings.roll), len(settings.rock), self.shape[0] * self.shape[1]
        frames = np.empty(shape, np.float32)
        slopes = np.empty((0, *shape), np.float32)
        if changes is not None:
            count = len(changes(np.zeros((3, 1, 1)), np.zeros(1, np.int64)).q)
            slopes = np.zeros((count, *shape), np.float32)
        shift = None if tilt is None else np.asarray(tilt, dtype=np.float64).reshape(3, -1)

        def work(block: Block) -> None:
            rays = self._ray_block(block)
            if shift is not None:
                rays = rays._replace(q=rays.q + shift[:, block.pixels][:, None])
            self._route.frames(rays, shifts, frames, means)
            if changes is not None:
                told = None if known is None else known.get(block)
                if told is None:
                    told = self._route.prepared(changes(self.sampling.points(block), block.pixels))
                    if known is not None:
                        known[block] = told
                self._route.slopes(rays, told, shifts, slopes, means)

        self._run(work, None, 0)
        return frames.reshape(*shape[:2], *self.shape), slopes.reshape(-1, *shape[:2], *self.shape)

    # ------------------------------------------------------------------ q of the rays

    def mean_q(self) -> tuple[Floats, int]:
        """See :meth:`.ImagingEngine.mean_q`."""
        samples, pixels = self._samples, self.grids[0].pixels
        mean, total, masked = np.zeros((3, pixels)), np.zeros(pixels), np.zeros(pixels, np.int64)

        def work(block: Block) -> None:
            where = block.pixels[: block.count]
            weights = self.sampling.weights(block)[:, : block.count]
            q = samples.q(block)[:, :, : block.count] - samples.off_axis(where)[:, None]
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
        return RayBlock(self._samples.q(block), weights, pixels, not block.whole)

    def _run(self, work: Callable[[Block], None], progress: Progress | None, frames: int) -> None:
        """Do `work` for every block, level after level: two of a level never share a pixel."""
        samples, total = self._samples, self.sampling.size

        def report(block: Block) -> None:
            if progress is not None:
                progress(frames * block.size / total)

        for blocks in samples.sampling.blocks:
            samples.each(work, blocks, report)


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
