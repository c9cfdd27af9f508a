"""Routes from q of the rays to a block of pixels: by factors, ray by ray, or by a table."""

from __future__ import annotations

import math
import threading
from typing import Protocol

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.kernel import Kernel
from weakbeam.imaging import oblique_loops, sum_loops
from weakbeam.imaging.factors import factor_pairs

_FAR_AWAY = 1e30
"""Stands for an infinite limit, so that no infinity enters compiled arithmetic."""


class Route(Protocol):
    """Evaluates the acceptance for blocks of pixels, in any number of threads."""

    def frames(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        pixels: Ints,
        add: bool,
        out: Floats32,
    ) -> None:
        """Fill, or add to, the pixels of every frame.

        Parameters
        ----------
        q : (3, samples, block) ndarray
            Of the rays of a block of pixels, imaging frame.
        weights : (samples, block) ndarray
            Weight of each sample.
        rock, roll : (n, 3) and (m, 3) ndarray
            Shifts of q by φ and 2θ, and by χ.
        pixels : (k,) ndarray of int64
            Where the first k pixels of the block lie in the image; if added, one may come twice.
        add : bool
            Add to what is there, instead of replacing it.
        out : (m, n, pixels of the image) ndarray of float32
            Filled in at `pixels`.
        """

    def moments(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        powers: tuple[Floats, Floats],
        pixels: Ints,
        add: bool,
        out: Floats,
    ) -> None:
        """Fill, or add to, the pixels of moments over all frames.

        Parameters
        ----------
        q, weights, rock, roll, pixels, add
            As for :meth:`frames`.
        powers : ((l, n) ndarray, (l, m) ndarray)
            Frame (j, i) enters moment l with the product of powers[0][l, i] and powers[1][l, j].
        out : (l, pixels of the image) ndarray
            Filled in at `pixels`.
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

    def frames(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        pixels: Ints,
        add: bool,
        out: Floats32,
    ) -> None:
        """See :meth:`Route.frames`."""
        sum_loops.sum_products(*self._factors(q, weights, rock, roll), pixels, add, out)

    def moments(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        powers: tuple[Floats, Floats],
        pixels: Ints,
        add: bool,
        out: Floats,
    ) -> None:
        """See :meth:`Route.moments`."""
        sum_loops.sum_moments(*self._factors(q, weights, rock, roll), *powers, pixels, add, out)

    def _factors(
        self, q: Floats, weights: Floats, rock: Floats, roll: Floats
    ) -> tuple[Floats32, Floats32]:
        samples, width = q.shape[1:]
        a = self._scratch.array("rock", len(self._pairs) * samples, len(rock), width)
        b = self._scratch.array("roll", len(self._pairs) * samples, len(roll), width)
        for n, pair in enumerate(self._pairs):
            part = slice(n * samples, (n + 1) * samples)
            pair.rock.fill(q, rock, weights, a[part])
            pair.roll.fill(q, roll, b[part])
        return a, b


class GeneralRoute:
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
        offsets = [term.offset for term in terms]
        self._terms = np.array(forms), np.array(offsets), np.minimum(ends, _FAR_AWAY)

    def frames(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        pixels: Ints,
        add: bool,
        out: Floats32,
    ) -> None:
        """See :meth:`Route.frames`."""
        oblique_loops.sum_general(q, weights, rock, roll, *self._terms, pixels, add, out)

    def moments(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        powers: tuple[Floats, Floats],
        pixels: Ints,
        add: bool,
        out: Floats,
    ) -> None:
        """See :meth:`Route.moments`."""
        oblique_loops.sum_general_moments(
            q, weights, rock, roll, *self._terms, *powers, pixels, add, out
        )


class TableRoute:
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

    def frames(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        pixels: Ints,
        add: bool,
        out: Floats32,
    ) -> None:
        """See :meth:`Route.frames`."""
        sum_loops.put(self._block(q, weights, rock, roll), pixels, add, out)

    def moments(
        self,
        q: Floats,
        weights: Floats,
        rock: Floats,
        roll: Floats,
        powers: tuple[Floats, Floats],
        pixels: Ints,
        add: bool,
        out: Floats,
    ) -> None:
        """See :meth:`Route.moments`."""
        block = self._block(q, weights, rock, roll)
        sums = np.einsum("lj,li,jip->lp", powers[1], powers[0], block, optimize=True)
        sum_loops.put(sums[None], pixels, add, out[None])

    def _block(self, q: Floats, weights: Floats, rock: Floats, roll: Floats) -> Floats32:
        block = self._scratch.array("block", len(roll), len(rock), q.shape[2])
        sum_loops.sum_table(
            q, weights * self._scale, rock, roll, self._table, self._first, self._density, block
        )
        return block


class _Scratch(threading.local):
    """Arrays that a thread uses again and again."""

    def array(self, name: str, *shape: int) -> Floats32:
        size = math.prod(shape)
        memory = getattr(self, name, None)
        if memory is None or memory.size < size:
            memory = np.empty(size, np.float32)
            setattr(self, name, memory)
        return np.asarray(memory[:size].reshape(shape))
