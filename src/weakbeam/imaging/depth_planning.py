"""Which slices of rays are cut where pixels stand for points: those in which q varies too fast."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.imaging import sampling_loops
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.sampling import Block, Members, Sampling

MOST_SAMPLES = 64
"""Samples of a ray, on average over the image, at which refinement ends; see `LEAST_GAIN`."""

LEAST_GAIN = 4
"""Refinement may always make this many times as many samples as the coarsest grid has."""

SMALL_IMAGE = 4096
"""Rays of an image; one of fewer may have as many samples: a line takes a larger part of it."""

LARGEST_SMOOTH_STEP = 0.2
"""Largest step of q, in units of what an integral tolerates, between samples of the smooth grid."""

_TOLERATED_STEP = 0.5


class Sampled(Protocol):
    """What gives q at the samples of blocks, in threads."""

    def q(self, block: Block) -> Floats:
        """q of a block, (3, samples, width)."""

    def computed(self, block: Block, sampling: Sampling | None = None) -> Floats:
        """The same, not kept; of another sampling of the same image, if one is given."""

    def divide(self, rough: np.ndarray) -> None:
        """Cut some pixels, (pixels,), into slices, without computing q of the others again."""

    def each(self, work: Callable[[Block], None], blocks: list[Block]) -> None:
        """Do something for each of some blocks."""


class DepthPlanner:
    """Cuts rays where q changes fast along them.

    Parameters
    ----------
    grid : RayGrid
        The coarsest.
    acceptance : AcceptanceDensity
        The instrument.
    tolerance : float
        How many times larger than usual steps of q along a ray may be.
    """

    def __init__(self, grid: RayGrid, acceptance: AcceptanceDensity, tolerance: float) -> None:
        self._depths, self._runs = len(grid.depths), grid.oversampling**2
        self._rays = grid.pixels * self._runs
        self._scales = tolerance * _smooth_steps(acceptance)

    def plan(self, sampling: Sampling, sampled: Sampled) -> float:
        """Keep the smooth samples of some pixels, and cut slices of the others.

        Returns
        -------
        float
            How many times larger steps of q are than tolerated, as there would be too many samples.
        """
        rough = np.ones(sampling.pixels, np.bool_)
        if sampling.smooth is not None:
            _, peaks = self._steps(sampling, sampled, len(sampling.smooth.offsets))
            rough = peaks > LARGEST_SMOOTH_STEP
            sampled.divide(rough)
        if len(sampling.samples) == 1:
            return 1.0
        steps, peaks = self._steps(sampling, sampled, sampling.slices)
        return self._refine(sampling, steps, np.where(rough, peaks, np.float32(0.0)))

    def _refine(self, sampling: Sampling, steps: Floats32, peaks: Floats32) -> float:
        """Cut slices, so that steps become less than 1 where that takes no excessive number."""
        most = max(MOST_SAMPLES, LEAST_GAIN * self._depths) * max(self._rays, SMALL_IMAGE)
        cut, tolerance, before = sampling.samples, 1.0, sampling.rays
        # Most pixels are far from any defect.
        rough = np.flatnonzero(peaks > cut[0])
        chosen = np.ascontiguousarray(steps[:, rough].T)
        while True:
            thresholds = tolerance * np.array(cut[:-1], dtype=np.float32)
            levels = np.searchsorted(thresholds, chosen).astype(np.int8)
            counts = np.bincount(levels.ravel(), minlength=len(cut))
            if before - chosen.size + counts @ cut <= most:
                break
            tolerance *= 1.25
        members, slices = np.nonzero(levels)
        sampling.cut(Members(rough[members], slices, levels[members, slices]))
        return tolerance

    def _steps(
        self, sampling: Sampling, sampled: Sampled, samples: int
    ) -> tuple[Floats32, Floats32]:
        """Change of q about the samples of whole rays, in units of what an integral tolerates.

        Returns
        -------
        steps : (samples, pixels) ndarray of float32
            Undefined where the last blocks have no ray.
        peaks : (pixels,) ndarray of float32
            The largest of each ray.
        """
        steps = np.empty((samples, sampling.pixels), np.float32)
        peaks = np.zeros(sampling.pixels, np.float32)

        def work(block: Block) -> None:
            where = block.pixels[: block.count]
            sampling_loops.steepest_steps(
                sampled.q(block), self._runs, self._scales, where, steps, peaks
            )

        sampled.each(work, sampling.blocks[-1])
        return steps, peaks


def _smooth_steps(acceptance: AcceptanceDensity) -> Floats:
    """Steps of (q_rock', q_roll, q_2θ) between samples that an integral over depth tolerates.

    In q_rock' the acceptance changes over tanθ σ_ε, at the edges of the condenser; in the others
    over the width of the lens.
    """
    sine, optics = math.sin(acceptance.theta), acceptance.optics
    edge = sine * optics.bandwidth
    lens = optics.lens / (2.0 * sine)
    return _TOLERATED_STEP * np.array([edge, lens, lens])
