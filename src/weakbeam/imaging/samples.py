"""q of a deformation at the samples of an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.memory import physical_memory
from weakbeam.defects.field import DisplacementGradientField, FieldAlongRays
from weakbeam.imaging import gradient_loops, sampling_loops
from weakbeam.imaging.contract import ImagedReflection
from weakbeam.imaging.sampling import Block, Sampling

STORE_BYTES = int(min(2**30, max(2**29, physical_memory() / 8.0)))
"""How much of q of all rays is kept at most; the rest is computed again for every batch."""

_POINTS_AT_ONCE = 4096


class Samples:
    """q at the samples of an image, computed in threads; kept as far as it fits in memory.

    Parameters
    ----------
    field : DisplacementGradientField
        The deformation, in the sample frame.
    geometry : ImagedReflection
        The reflection.
    sampling : Sampling
        Where the samples are.
    vignetting : float
        Angle (rad) by which the centre of the lens' acceptance moves per µm of the field of view.
    workers : int
        Threads.
    """

    def __init__(
        self,
        field: DisplacementGradientField,
        geometry: ImagedReflection,
        sampling: Sampling,
        vignetting: float,
        workers: int,
    ) -> None:
        self.sampling = sampling
        self._field, self._geometry = field, geometry
        self._vignetting, self._workers = vignetting, workers
        self._orientation = (
            np.ascontiguousarray(geometry.q0_sample),
            np.ascontiguousarray(geometry.imaging_from_sample),
        )
        self._stored: dict[int, Floats] = {}
        self._room, self._counting = STORE_BYTES, Lock()

    def q(self, block: Block) -> Floats:
        """q of a block, (3, samples, width), as seen off the axis of the lens."""
        stored = self._stored.get(id(block))
        if stored is not None:
            return stored
        q = self.computed(block)
        with self._counting:
            if q.nbytes <= self._room:
                self._room -= q.nbytes
                self._stored[id(block)] = q
        return q

    def computed(self, block: Block, sampling: Sampling | None = None) -> Floats:
        """The same, not kept; of another sampling of the same image, if one is given."""
        sampling = self.sampling if sampling is None else sampling
        q = np.empty((3, block.samples, block.pixels.size))
        if isinstance(self._field, FieldAlongRays):
            constants = *self._field.ray_constants, *self._orientation
            rays = sampling.rays_of(block)
            if len(rays[2]) > block.size:
                # Most of so long a list of displacements is not for this block.
                points = sampling.points(block).reshape(3, -1)
                alone, first = np.zeros((1, 3)), np.zeros(block.size, np.int64)
                rays = points, np.arange(block.size), alone, first
                sampling_loops.q_of_lines(*rays, *constants, q.reshape(3, 1, -1))
            else:
                sampling_loops.q_of_lines(*rays, *constants, q)
        else:
            self._fill(sampling.points(block), q)
        if self._vignetting:
            q += self.off_axis(block.pixels)[:, None]
        return q

    def divide(self, rough: NDArray[np.bool_]) -> None:
        """Cut some pixels, (pixels,), into slices; see :meth:`.Sampling.divide`."""
        for part, block, members in self.sampling.divide(rough):
            q = None if part is block else self._stored.pop(id(block), None)
            if q is not None:
                self._stored[id(part)] = np.ascontiguousarray(q[:, :, members])
                self._room += q.nbytes - self._stored[id(part)].nbytes

    def off_axis(self, pixels: Ints) -> Floats:
        """Shift of q that stands for the lens' acceptance as a pixel off the axis sees it, (3, n).

        With the centre of δ at δ₀ and of ξ at ξ₀, p(q) becomes p(q - (0, ξ₀, δ₀) / (2 sinθ))
        (docs/explanation/physics.md, B2, C1).
        """
        grid = self.sampling.grid
        place = (grid.centres(pixels) + grid.lift * grid.height_axis) @ (
            self._geometry.imaging_from_sample.T
        )
        per_angle = -self._vignetting / (2.0 * math.sin(self._geometry.theta))
        return per_angle * np.stack([np.zeros(len(place)), place[:, 1], place[:, 2]])

    def each(
        self,
        work: Callable[[Block], None],
        blocks: list[Block],
        report: Callable[[Block], None] = lambda _: None,
    ) -> None:
        """Do `work` for each of some blocks, in threads, and then `report` it."""
        if self._workers == 1 or len(blocks) <= 1:
            for block in blocks:
                work(block)
                report(block)
            return
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                for block, _ in zip(blocks, pool.map(work, blocks), strict=True):
                    report(block)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _fill(self, points: Floats, q: Floats) -> None:
        """Fill in q at the points (3, samples, width) of a block."""
        width = points.shape[2]
        step = max(1, _POINTS_AT_ONCE // width)
        for start in range(0, points.shape[1], step):
            some = np.ascontiguousarray(points[:, start : start + step]).reshape(3, -1)
            gradient = np.zeros((9, some.shape[1]))
            self._field.add_to(gradient, some)
            part = np.empty((3, some.shape[1]))
            gradient_loops.q_from_gradient(gradient, *self._orientation, part)
            q[:, start : start + step] = part.reshape(3, -1, width)
