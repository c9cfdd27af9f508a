"""Routes from q of the rays to a block of pixels: by factors, ray by ray, or by a table."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.kernel import Kernel
from weakbeam.imaging import oblique_loops, slope_loops, sum_loops
from weakbeam.imaging.factors import Slopes, factor_pairs

_FAR_AWAY = 1e30
"""Stands for an infinite limit, so that no infinity enters compiled arithmetic."""

_SLOPE_STEP = 0.25
"""Step of q, in units of what the acceptance changes over, across which slopes are taken."""


class RayBlock(NamedTuple):
    """The rays of a block of pixels, and where what they sum to belongs."""

    q: Floats
    """(3, samples, block): of the rays, imaging frame."""
    weights: Floats
    """(samples, block): of each sample."""
    pixels: Ints
    """(k,): where the first k pixels lie in the image; if they are added, one may come twice."""
    add: bool
    """Whether it is added to what is there, instead of replacing it."""


class Shifts(NamedTuple):
    """Shifts of q in a scan: a frame takes one of each kind."""

    rock: Floats
    """(n, 3): by φ and 2θ."""
    roll: Floats
    """(m, 3): by χ."""


class Powers(NamedTuple):
    """Frame (j, i) enters moment l with the product of rock[l, i] and roll[l, j]."""

    rock: Floats
    """(l, n)."""
    roll: Floats
    """(l, m)."""


class Means(NamedTuple):
    """Which settings frames are means over, that motors have come through during each."""

    rock: Ints
    """(n',): the first setting of φ and 2θ of each; the others follow it."""
    roll: Ints
    """(m',): the same of χ."""


class Changes(NamedTuple):
    """How q of a block's rays changes with some parameters."""

    q: Floats32
    """(c, 3, samples, block): change of q per unit of each parameter."""
    steps: Floats
    """(c,): change of each parameter that differences of images may span."""


class Route(Protocol):
    """Evaluates the acceptance for blocks of pixels, in any number of threads."""

    def frames(
        self, block: RayBlock, shifts: Shifts, out: Floats32, means: Means | None = None
    ) -> None:
        """Fill, or add to, the pixels of every frame.

        Parameters
        ----------
        block : RayBlock
            The rays.
        shifts : Shifts
            Of the scan.
        out : (m, n, pixels of the image) ndarray of float32
            Filled in at the block's pixels.
        means : Means, optional
            Of which settings of the scan each frame is the mean; one of each unless given.
        """

    def prepared(self, changes: Changes) -> Changes:
        """What :meth:`slopes` takes of changes, which it may be asked for many times."""

    def slopes(
        self,
        block: RayBlock,
        changes: Changes,
        shifts: Shifts,
        out: Floats32,
        means: Means | None = None,
    ) -> None:
        """Fill, or add to, the pixels of derivatives of every frame.

        Parameters
        ----------
        block, shifts, means
            As for :meth:`frames`.
        changes : Changes
            Of q with each parameter, as :meth:`prepared` has them.
        out : (c, m, n, pixels of the image) ndarray of float32
            Filled in at the block's pixels.
        """

    def moments(self, block: RayBlock, shifts: Shifts, powers: Powers, out: Floats) -> None:
        """Fill, or add to, the pixels of moments over all frames.

        Parameters
        ----------
        block, shifts
            As for :meth:`frames`.
        powers : Powers
            What each frame is multiplied with.
        out : (l, pixels of the image) ndarray
            Filled in at the block's pixels.
        """


def route_of(acceptance: AcceptanceDensity, kernel: Kernel | None = None) -> Route:
    """The fastest route that an acceptance offers.

    Parameters
    ----------
    acceptance : AcceptanceDensity
        The instrument.
    kernel : Kernel, optional
        Tabulated acceptance to be used instead of the closed form.
    """
    if kernel is not None:
        return TableRoute(kernel, acceptance)
    if acceptance.factors is not None:
        return FactorRoute(acceptance.factors)
    return GeneralRoute(acceptance)


class FactorRoute:
    """Products of the factors of the closed form.

    Parameters
    ----------
    factors : AcceptanceFactors
        Of the instrument. φ and 2θ must not move q_roll, nor χ the rest.
    """

    def __init__(self, factors: AcceptanceFactors) -> None:
        self._pairs = factor_pairs(factors)
        self._scratch = _Scratch()
        lens = factors.optics.lens / (2.0 * factors.sin)
        edge = min(factors.sin * factors.optics.bandwidth, lens)
        self._steps = _SLOPE_STEP * np.array([edge, lens, lens])

    def frames(
        self, block: RayBlock, shifts: Shifts, out: Floats32, means: Means | None = None
    ) -> None:
        """See :meth:`Route.frames`."""
        rock, roll = self._factors(block, shifts)
        if means is not None:
            rock, roll = _mean(rock, means.rock), _mean(roll, means.roll)
        sum_loops.sum_products(rock, roll, block.pixels, block.add, out)

    def moments(self, block: RayBlock, shifts: Shifts, powers: Powers, out: Floats) -> None:
        """See :meth:`Route.moments`."""
        factors = self._factors(block, shifts)
        sum_loops.sum_moments(*factors, *powers, block.pixels, block.add, out)

    def prepared(self, changes: Changes) -> Changes:
        """See :meth:`Route.prepared`: bounded where a step leads out of the acceptance."""
        sizes = (changes.steps[:, None] / self._steps * _SLOPE_STEP).astype(np.float32)
        q = np.empty(changes.q.shape, np.float32)
        for change, size, bounded in zip(changes.q, sizes, q, strict=True):
            square = np.square(size[:, None, None] * change).sum(axis=0)
            np.divide(change, np.sqrt(np.float32(1.0) + square), out=bounded)
        return Changes(q, changes.steps)

    def slopes(
        self,
        block: RayBlock,
        changes: Changes,
        shifts: Shifts,
        out: Floats32,
        means: Means | None = None,
    ) -> None:
        """See :meth:`Route.slopes`."""
        samples, width = block.q.shape[1:]
        count = len(self._pairs) * samples
        rock = Slopes(
            *(
                self._scratch.array(name, count, len(shifts.rock), width)
                for name in ("rock", "rock by first", "rock by third")
            )
        )
        roll, by_second = (
            self._scratch.array(name, count, len(shifts.roll), width)
            for name in ("roll", "roll by second")
        )
        step = self._steps[1] * np.eye(3)[1]
        for n, pair in enumerate(self._pairs):
            part = slice(n * samples, (n + 1) * samples)
            filled = Slopes(*(array[part] for array in rock))
            pair.rock.fill_slopes(block.q, shifts.rock, block.weights, self._steps, filled)
            pair.roll.fill(block.q, shifts.roll + step, by_second[part])
            pair.roll.fill(block.q, shifts.roll - step, roll[part])
            by_second[part] -= roll[part]
            pair.roll.fill(block.q, shifts.roll, roll[part])
        by_second /= np.float32(2.0 * self._steps[1])
        if means is not None:
            rock = Slopes(*(_mean(array, means.rock) for array in rock))
            roll, by_second = (_mean(array, means.roll) for array in (roll, by_second))
        slope_loops.sum_slopes(*rock, roll, by_second, changes.q, block.pixels, block.add, out)

    def _factors(self, block: RayBlock, shifts: Shifts) -> tuple[Floats32, Floats32]:
        samples, width = block.q.shape[1:]
        a = self._scratch.array("rock", len(self._pairs) * samples, len(shifts.rock), width)
        b = self._scratch.array("roll", len(self._pairs) * samples, len(shifts.roll), width)
        for n, pair in enumerate(self._pairs):
            part = slice(n * samples, (n + 1) * samples)
            pair.rock.fill(block.q, shifts.rock, block.weights, a[part])
            pair.roll.fill(block.q, shifts.roll, b[part])
        return a, b


class _FrameByFrame(ABC):
    """A route without factors: means and derivatives are those of frames."""

    @abstractmethod
    def each_frame(self, block: RayBlock, shifts: Shifts, out: Floats32) -> None:
        """Put the block's part of every frame into `out`."""

    @abstractmethod
    def moments(self, block: RayBlock, shifts: Shifts, powers: Powers, out: Floats) -> None:
        """See :meth:`Route.moments`."""

    def frames(
        self, block: RayBlock, shifts: Shifts, out: Floats32, means: Means | None = None
    ) -> None:
        """See :meth:`Route.frames`."""
        if means is not None:
            _mean_frames(self, block, shifts, out, means)
        else:
            self.each_frame(block, shifts, out)

    def prepared(self, changes: Changes) -> Changes:
        """See :meth:`Route.prepared`."""
        return changes

    def slopes(
        self,
        block: RayBlock,
        changes: Changes,
        shifts: Shifts,
        out: Floats32,
        means: Means | None = None,
    ) -> None:
        """See :meth:`Route.slopes`."""
        _differences(self, block, changes, shifts, out, means)


class GeneralRoute(_FrameByFrame):
    """The closed forms of any acceptance, evaluated for every ray and frame.

    Parameters
    ----------
    acceptance : AcceptanceDensity
        The instrument; every motor may move all of q.
    """

    def __init__(self, acceptance: AcceptanceDensity) -> None:
        scale, terms = acceptance.relative_scale, acceptance.terms
        forms = [
            [*term.whitening, term.middle, term.delta - term.middle, term.xi - term.middle]
            for term in terms
        ]
        ends = [[scale * term.height, term.clip, *term.delta_ends, *term.xi_ends] for term in terms]
        if any(math.isfinite(term.radius) for term in terms):
            for form, end, term in zip(forms, ends, terms, strict=True):
                form += [term.chord - term.middle, term.distance]
                end.append(term.radius**2)
        offsets = [term.offset for term in terms]
        self._terms = np.array(forms), np.array(offsets), np.minimum(ends, _FAR_AWAY)

    def each_frame(self, block: RayBlock, shifts: Shifts, out: Floats32) -> None:
        """See :meth:`_FrameByFrame.each_frame`."""
        q, weights, pixels, add = block
        oblique_loops.sum_general(q, weights, *shifts, *self._terms, pixels, add, out)

    def moments(self, block: RayBlock, shifts: Shifts, powers: Powers, out: Floats) -> None:
        """See :meth:`Route.moments`."""
        q, weights, pixels, add = block
        oblique_loops.sum_general_moments(
            q, weights, *shifts, *self._terms, *powers, pixels, add, out
        )


class TableRoute(_FrameByFrame):
    """Interpolation in a tabulated acceptance, for every ray and frame.

    Parameters
    ----------
    kernel : Kernel
        The table.
    acceptance : AcceptanceDensity
        The instrument that it was traced for; its open form sets the scale of the intensity.
    """

    def __init__(self, kernel: Kernel, acceptance: AcceptanceDensity) -> None:
        optics = acceptance.optics
        passed = optics.passed_by_condenser * optics.passed_by_aperture**2
        self._scale = kernel.throughput / (passed * acceptance.open.peak)
        self._table = kernel.table
        self._first = np.array([centers[0] for centers in kernel.centers])
        self._density = 1.0 / kernel.steps
        self._scratch = _Scratch()

    def each_frame(self, block: RayBlock, shifts: Shifts, out: Floats32) -> None:
        """See :meth:`_FrameByFrame.each_frame`."""
        sum_loops.put(self._images(block, shifts), block.pixels, block.add, out)

    def moments(self, block: RayBlock, shifts: Shifts, powers: Powers, out: Floats) -> None:
        """See :meth:`Route.moments`."""
        images = self._images(block, shifts)
        sums = np.einsum("lj,li,jip->lp", powers.roll, powers.rock, images, optimize=True)
        sum_loops.put(sums[None], block.pixels, block.add, out[None])

    def _images(self, block: RayBlock, shifts: Shifts) -> Floats32:
        """The block's part of every frame, (m, n, block)."""
        width = block.q.shape[2]
        images = self._scratch.array("images", len(shifts.roll), len(shifts.rock), width)
        weights = block.weights * self._scale
        sum_loops.sum_table(
            block.q, weights, *shifts, self._table, self._first, self._density, images
        )
        return images


def _mean(factor: Floats32, first: Ints) -> Floats32:
    """Means of a factor (samples, settings, block) over settings that follow each other."""
    if len(first) == factor.shape[1]:
        return factor
    count = np.diff(first, append=factor.shape[1]).astype(np.float32)
    return np.asarray(np.add.reduceat(factor, first, axis=1) / count[:, None], dtype=np.float32)


def _mean_frames(
    route: Route, block: RayBlock, shifts: Shifts, out: Floats32, means: Means
) -> None:
    """Means of frames that a route makes one by one."""
    every = np.zeros((len(shifts.roll), len(shifts.rock), block.q.shape[2]), np.float32)
    route.frames(
        RayBlock(block.q, block.weights, np.arange(len(block.pixels)), False), shifts, every
    )
    by_rock = _mean(every, means.rock)
    mean = _mean(by_rock.transpose(1, 0, 2), means.roll).transpose(1, 0, 2)
    sum_loops.put(np.ascontiguousarray(mean), block.pixels, block.add, out)


def _differences(
    route: Route,
    block: RayBlock,
    changes: Changes,
    shifts: Shifts,
    out: Floats32,
    means: Means | None,
) -> None:
    """Derivatives as central differences of frames."""
    ends = np.zeros((2, *out.shape[1:3], block.q.shape[2]), np.float32)
    # A pixel that comes twice is added up at the end.
    own = np.arange(len(block.pixels))
    for c, (change, step) in enumerate(zip(changes.q, changes.steps, strict=True)):
        for end, way in zip(ends, (step, -step), strict=True):
            moved = RayBlock(block.q + way * change, block.weights, own, False)
            route.frames(moved, shifts, end, means)
        slope = (ends[0] - ends[1]) / np.float32(2.0 * step)
        sum_loops.put(slope, block.pixels, block.add, out[c])


class _Scratch(threading.local):
    """Arrays that a thread uses again and again."""

    def __reduce__(self) -> tuple[type[_Scratch], tuple[()]]:
        """Let engines be copied and sent to other processes, which have threads of their own."""
        return _Scratch, ()

    def array(self, name: str, *shape: int) -> Floats32:
        size = math.prod(shape)
        memory = getattr(self, name, None)
        if memory is None or memory.size < size:
            memory = np.empty(size, np.float32)
            setattr(self, name, memory)
        return np.asarray(memory[:size].reshape(shape))
