r"""Monte-Carlo ray tracing of the instrument into a tabulated acceptance.

A ray is a sample of the variables of docs/explanation/physics.md, C1: ε, ζ_v, ζ_h of the beam, δ
and ξ of the lens. Where apertures bound one variable, it is drawn between these bounds; any other
stop lets a ray pass with the probability that it transmits.

Random numbers come from a SplitMix64 sequence (Steele, Lea & Flood 2014) that is addressed by the
index of the ray, so that a result depends on the seed and the number of rays alone, not on threads
or on the chunks that they work through.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.core.random import mixed
from weakbeam.core.workers import worker_count
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.geometry import DiffractionGeometry, symmetric_geometry
from weakbeam.diffraction.kernel import Kernel
from weakbeam.diffraction.ray_loops import CENTRAL, ROUND, WIRE, Rays, collect, count_into
from weakbeam.instrument.stops import (
    AXES,
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
)

REACH = 5.0
"""Standard deviations after which a Gaussian counts as over where ranges are chosen."""

_CHUNK = 1 << 19
_MOST_TRIES = 1 << 26


@dataclass(frozen=True)
class RayOptics:
    """Everything that a ray meets.

    Parameters
    ----------
    acceptance : AcceptanceDensity
        Bragg angle, beam, lens and stops, and the motion during the exposure.
    geometry : DiffractionGeometry, optional
        The reflection at its Bragg setting; by default the symmetric geometry. The divergences
        stay along the axes of the laboratory whatever the azimuth of the reflection.
    exact : bool
        Elastic kinematics without linearisation: angles enter as slopes, (1, ζ_h, ζ_v) along the
        laboratory's axes and (1, ξ, δ) along those of the imaging frame, and both wavevectors have
        the length 1 + ε.

    Raises
    ------
    ValueError
        When the Bragg angles of `geometry` and `acceptance` differ.
    """

    acceptance: AcceptanceDensity
    geometry: DiffractionGeometry | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        theta, ours = self.bragg_setting.theta, self.acceptance.theta
        if not math.isclose(theta, ours, rel_tol=1e-9):
            raise ValueError(f"Bragg angles {theta} of geometry and {ours} of acceptance differ")

    @property
    def bragg_setting(self) -> DiffractionGeometry:
        """The geometry, symmetric unless another was given."""
        return self.geometry or symmetric_geometry(self.acceptance.theta)

    @property
    def ray_map(self) -> Floats:
        """Linear map from (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure to q, shape (3, 6).

        docs/explanation/physics.md, C1, for any geometry.
        """
        beam, horizontal, vertical = np.eye(3)
        setting = self.bragg_setting
        k_out, roll, two_theta = setting.lab_from_imaging.T
        columns = np.column_stack([k_out - beam, -vertical, -horizontal, two_theta, roll])
        linear = setting.lab_from_imaging.T @ columns / (2.0 * math.sin(setting.theta))
        return np.column_stack([linear, self.acceptance.motion])

    @property
    def sigmas(self) -> Floats:
        """Standard deviations of (ζ_v, ζ_h, δ, ξ) before any aperture, shape (4,)."""
        optics = self.acceptance.optics
        beam = [optics.divergence_vertical, optics.divergence_horizontal]
        return np.array([*beam, optics.lens, optics.lens])

    @property
    def limits(self) -> Floats:
        """Bounds between which (ζ_v, ζ_h, δ, ξ) are drawn, shape (4, 2)."""
        optics = self.acceptance.optics
        high = np.array([optics.clip, math.inf, optics.aperture, optics.aperture])
        low = -high
        for stop in optics.stops:
            if isinstance(stop, SquareOpening):
                low[2:] = np.maximum(low[2:], -stop.half_width)
                high[2:] = np.minimum(high[2:], stop.half_width)
            elif isinstance(stop, KnifeBlade):
                lens_angle = 2 + AXES.index(stop.axis)
                if stop.side == "above":
                    low[lens_angle] = max(low[lens_angle], stop.position)
                else:
                    high[lens_angle] = min(high[lens_angle], stop.position)
        return np.column_stack([low, high])

    @property
    def drawn_fraction(self) -> float:
        """Probability that an uncut ray lies within `limits`; a uniform ζ_v always does."""
        sigma, _, span = _angle_draws(self).T
        return float(np.prod(span[sigma != 0.0]))

    def ranges(self) -> Floats:
        """Ranges of q in the imaging frame that contain the rays, shape (3, 2).

        Gaussians without aperture are followed for `REACH` standard deviations, and exact
        kinematics adds the second order of the angles (docs/explanation/physics.md, C5).
        """
        lines = np.array(self.acceptance.optics.energies)
        energy = lines[:, 1:2] + REACH * lines[:, 2:3] * [-1.0, 1.0]
        reach = (REACH * self.sigmas)[:, None] * [-1.0, 1.0]
        low = np.maximum(self.limits[:, 0], reach[:, 0])
        high = np.minimum(self.limits[:, 1], reach[:, 1])
        low = np.concatenate([[energy.min()], low, [-0.5]])
        high = np.concatenate([[energy.max()], high, [0.5]])
        ends = np.sort([self.ray_map * low, self.ray_map * high], axis=0).sum(axis=2)
        if self.exact:
            second_order = np.maximum(low**2, high**2).sum() / (
                2.0 * math.sin(self.acceptance.theta)
            )
            ends += np.array([[-second_order], [second_order]])
        return np.ascontiguousarray(ends.T)


def sample_rays(optics: RayOptics, count: int, seed: int = 0) -> Floats:
    """Draw rays that pass: a point cloud of the acceptance.

    Parameters
    ----------
    optics : RayOptics
        Instrument and reflection.
    count : int
        Number of points.
    seed : int
        Equal seeds give equal rays; the first points do not depend on `count`.

    Returns
    -------
    (count, 3) ndarray
        q in the imaging frame.

    Raises
    ------
    ValueError
        If `count` is negative, or hardly any ray passes.
    """
    if count < 0:
        raise ValueError(f"count {count} is negative")
    rays = _prepared(optics, seed)
    q = np.empty((count, 3))
    tried = passed = 0
    while passed < count:
        if tried >= _MOST_TRIES and passed * 10_000 < tried:
            raise ValueError("the apertures and stops let hardly anything through")
        passed += collect(rays, tried, _CHUNK, q[passed:])
        tried += _CHUNK
    return q


def trace(
    optics: RayOptics,
    rays: int,
    bins: Sequence[int] = (400, 200, 200),
    ranges: ArrayLike | None = None,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
    conditions: dict[str, Any] | None = None,
) -> Kernel:
    """Trace rays into a tabulated acceptance.

    Parameters
    ----------
    optics : RayOptics
        Instrument and reflection.
    rays : int
        Number of rays drawn.
    bins : sequence of 3 int
        Voxels along q_rock', q_roll and q_2θ.
    ranges : (3, 2) array_like, optional
        Lower and upper end along each axis; by default ``optics.ranges()``.
    seed : int
        Equal seeds give equal kernels, whatever the number of threads.
    workers : int, optional
        Threads; by default one per core. Each counts into its own grid of 4 bytes a voxel.
    progress : callable, optional
        Called with the number of rays that were traced since the last call.
    conditions : dict, optional
        What the kernel belongs to; see `weakbeam.diffraction.kernel.conditions`.

    Returns
    -------
    Kernel

    Raises
    ------
    ValueError
        If numbers are not positive, ranges not increasing, or no ray arrives in the grid.
    """
    if rays < 1 or len(bins) != 3 or min(bins) < 1:
        raise ValueError(f"rays {rays} and bins {tuple(bins)} must be positive, with three bins")
    box = np.asarray(optics.ranges() if ranges is None else ranges, dtype=np.float64)
    if box.shape != (3, 2) or not np.isfinite(box).all() or not (box[:, 0] < box[:, 1]).all():
        raise ValueError(f"ranges {box.tolist()} are not three pairs of increasing numbers")
    counts, passed = _histogram(_prepared(optics, seed), rays, bins, box, workers, progress)
    inside = int(counts.sum(dtype=np.int64))
    if inside == 0:
        raise ValueError("no ray passes the stops and arrives within the ranges")
    edges = [np.linspace(low, high, n + 1) for (low, high), n in zip(box, bins, strict=True)]
    volume = math.prod(float(edge[-1] - edge[0]) / (len(edge) - 1) for edge in edges)
    return Kernel(
        edges=(edges[0], edges[1], edges[2]),
        table=counts.astype(np.float32) / np.float32(passed * volume),
        rays=passed,
        outside=1.0 - inside / passed,
        throughput=optics.drawn_fraction * passed / rays,
        conditions=conditions or {},
        tracing={"rays": rays, "seed": seed, "exact": optics.exact},
    )


def _histogram(
    rays: Rays,
    count: int,
    bins: Sequence[int],
    box: Floats,
    workers: int | None,
    progress: Callable[[int], object] | None,
) -> tuple[np.ndarray[Any, np.dtype[np.integer[Any]]], int]:
    """Counts in the voxels, and the number of rays that passed the stops."""
    # A voxel cannot hold more than all rays, so this cannot wrap.
    dtype = np.int32 if count < 1 << 31 else np.int64
    per_step = np.array(bins) / (box[:, 1] - box[:, 0])
    chunks = iter(range(0, count, _CHUNK))
    lock, stopped = threading.Lock(), threading.Event()

    def work() -> tuple[np.ndarray[Any, Any], int]:
        grid, passed = np.zeros(tuple(bins), dtype), 0
        while not stopped.is_set():
            with lock:
                first = next(chunks, None)
            if first is None:
                break
            number = min(_CHUNK, count - first)
            passed += count_into(rays, first, number, box[:, 0], per_step, grid)
            if progress is not None:
                with lock:
                    progress(number)
        return grid, passed

    with ThreadPoolExecutor(worker_count(workers)) as pool:
        tasks = [pool.submit(work) for _ in range(worker_count(workers))]
        try:
            counts, passed = tasks[0].result()
            for task in tasks[1:]:
                more, more_passed = task.result()
                counts += more
                passed += more_passed
        finally:
            stopped.set()
    return counts, passed


def _prepared(optics: RayOptics, seed: int) -> Rays:
    """What the compiled loops need."""
    if not 0 <= seed < 1 << 63:
        raise ValueError(f"seed {seed} is not between 0 and 2⁶³ - 1")
    instrument = optics.acceptance.optics
    stops: list[list[float]] = []
    for stop in instrument.stops:
        if isinstance(stop, RoundOpening):
            stops.append([ROUND, 0.0, 0.0, stop.radius, 0.0])
        elif isinstance(stop, CentralBlock):
            stops.append([CENTRAL, 0.0, 0.0, stop.half_width, 0.0])
        elif isinstance(stop, AbsorbingWire):
            place = [float(AXES.index(stop.axis)), stop.position]
            stops.append([WIRE, *place, stop.radius, stop.optical_depth])
    lines = np.array(instrument.energies)
    lines[:, 0] = np.cumsum(lines[:, 0])
    return Rays(
        key=np.uint64(mixed(np.uint64(seed))),
        lines=lines,
        draws=np.vstack([[1.0, 0.0, 1.0], _angle_draws(optics), [0.0, -0.5, 1.0]]),
        ray_map=optics.ray_map,
        imaging_from_lab=np.ascontiguousarray(optics.bragg_setting.lab_from_imaging.T),
        stops=np.array(stops).reshape(-1, 5),
        exact=optics.exact,
    )


def _angle_draws(optics: RayOptics) -> Floats:
    """σ, probability below the limits and between them of (ζ_v, ζ_h, δ, ξ), shape (4, 3).

    Limits above the mean are mirrored to the lower tail, where probabilities keep their digits;
    σ is negative then. σ = 0 stands for what is uniform, from a start over a span.
    """
    sigmas, (low, high) = optics.sigmas, optics.limits.T
    flip = low > 0.0
    lower, upper = np.where(flip, -high, low), np.where(flip, -low, high)
    scale = np.where((sigmas > 0.0) & np.isfinite(sigmas), sigmas, 1.0)
    below = ndtr(lower / scale)
    draws = np.column_stack([np.where(flip, -sigmas, sigmas), below, ndtr(upper / scale) - below])
    draws[sigmas == 0.0] = 0.0
    uniform = np.isinf(sigmas)
    draws[uniform] = np.column_stack([np.zeros_like(low), low, high - low])[uniform]
    return draws
