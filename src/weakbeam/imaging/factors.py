"""The two factors of the acceptance in the form that compiled loops evaluate.

A short sum of Gaussians and windows is evaluated in closed form. A wire of varying thickness or a
motion during the exposure makes that sum long; the factor is then a cubic spline through it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.imaging import factor_loops
from weakbeam.instrument.passage import Window

MOST_PARTS = 8
"""Longest sum that is evaluated in closed form for every ray."""

_UNBOUNDED = 1e6
"""Stands for an infinite angle (rad), so that no infinity enters compiled arithmetic."""

_STEPS_PER_WIDTH = 8.0
_REACH = 9.0
_MOST_SPLINE_NODES = 4e6
_ROLL_NODES = 2**15


class Slopes(NamedTuple):
    """A factor and its derivatives, (samples, settings, pixels) each, to be filled in."""

    factor: Floats32
    by_first: Floats32
    by_third: Floats32


class RockFactor(ABC):
    """Factor of (q_rock', q_2θ)."""

    @abstractmethod
    def fill(self, q: Floats, shifts: Floats, weights: Floats, factor: Floats32) -> None:
        """Evaluate at every shift of q; see :func:`weakbeam.imaging.factor_loops.rock_factor`."""

    def fill_slopes(
        self, q: Floats, shifts: Floats, weights: Floats, steps: Floats, filled: Slopes
    ) -> None:
        """Evaluate it with its derivatives by q_rock' and q_2θ.

        By central differences across `steps` (3,) of q, where there is no closed form.
        """
        factor, *slopes = filled
        for component, slope in zip((0, 2), slopes, strict=True):
            step = steps[component] * np.eye(3)[component]
            self.fill(q, shifts + step, weights, slope)
            self.fill(q, shifts - step, weights, factor)
            slope -= factor
            slope /= np.float32(2.0 * steps[component])
        self.fill(q, shifts, weights, factor)


class RollFactor(Protocol):
    """Factor of q_roll."""

    def fill(self, q: Floats, shifts: Floats, factor: Floats32) -> None:
        """Evaluate at every shift of q; see :func:`weakbeam.imaging.factor_loops.roll_factor`."""


@dataclass(frozen=True)
class FactorPair:
    """One product of the acceptance."""

    rock: RockFactor
    roll: RollFactor


@lru_cache(maxsize=4)
def factor_pairs(factors: AcceptanceFactors) -> tuple[FactorPair, ...]:
    """The acceptance, relative to the peak of the open instrument, as a sum of products.

    The last ones are kept: a spline takes a quarter of a second, and images that differ in other
    things share it.

    Parameters
    ----------
    factors : AcceptanceFactors
        Of the instrument.

    Returns
    -------
    tuple of FactorPair
    """
    whole = factors.optics.open.products[0]
    rock_peak = float(factors.open.rock_two_theta(0.0, 0.0, whole.two_theta))
    roll_peak = float(factors.open.roll(0.0, whole.roll))
    pairs = []
    for term in factors.optics.products:
        parts = len(term.two_theta) * len(factors.optics.energies)
        rock: RockFactor
        if factors.motion[0] or factors.motion[2] or parts > MOST_PARTS:
            rock = _long_rock(factors, term.two_theta, 1.0 / rock_peak)
        else:
            rock = _closed_rock(factors, term.two_theta, 1.0 / rock_peak)
        roll: RollFactor
        if factors.motion[1] or len(term.roll) > MOST_PARTS:
            roll = _tabulated_roll(factors, term.roll, term.weight / roll_peak)
        else:
            roll = _closed_roll(factors, term.roll, term.weight / roll_peak)
        pairs.append(FactorPair(rock, roll))
    return tuple(pairs)


@dataclass(frozen=True)
class _ClosedRock(RockFactor):
    constants: tuple[float, ...]
    parts: Floats

    def fill(self, q: Floats, shifts: Floats, weights: Floats, factor: Floats32) -> None:
        factor_loops.rock_factor(q, shifts, weights, self.constants, self.parts, factor)

    def fill_slopes(
        self, q: Floats, shifts: Floats, weights: Floats, steps: Floats, filled: Slopes
    ) -> None:
        factor_loops.rock_slopes(q, shifts, weights, self.constants, self.parts, *filled)


@dataclass(frozen=True)
class _SumOfRocks(RockFactor):
    """Several factors added up, each at its own shift of q and with its own share."""

    rocks: tuple[RockFactor, ...]
    shifts: Floats
    shares: Floats

    def fill(self, q: Floats, shifts: Floats, weights: Floats, factor: Floats32) -> None:
        factor[:] = 0.0
        part = np.empty_like(factor)
        for rock, shift, share in zip(self.rocks, self.shifts, self.shares, strict=True):
            rock.fill(q, shifts + shift, share * weights, part)
            factor += part


@dataclass(frozen=True)
class _SplineRock(RockFactor):
    constants: tuple[float, ...]
    coefficients: Floats

    def fill(self, q: Floats, shifts: Floats, weights: Floats, factor: Floats32) -> None:
        factor_loops.rock_spline(q, shifts, weights, self.constants, self.coefficients, factor)


@dataclass(frozen=True)
class _ClosedRoll:
    constants: tuple[float, ...]
    windows: Floats

    def fill(self, q: Floats, shifts: Floats, factor: Floats32) -> None:
        factor_loops.roll_factor(q, shifts, self.constants, self.windows, factor)


@dataclass(frozen=True)
class _TabulatedRoll:
    constants: tuple[float, ...]
    values: Floats

    def fill(self, q: Floats, shifts: Floats, factor: Floats32) -> None:
        factor_loops.roll_table(q, shifts, self.constants, self.values, factor)


def _long_rock(factors: AcceptanceFactors, windows: Sequence[Window], scale: float) -> RockFactor:
    """A long sum: a spline for each line of the spectrum, or the sum itself if that is too fine."""
    optics = factors.optics
    lines = [
        replace(factors, optics=replace(optics, bandwidth=rms, spectrum=((1.0, centre, rms),)))
        for _, centre, rms in optics.energies
    ]
    shares = np.array([share for share, _, _ in optics.energies])
    if all(_spline_nodes(line) <= _MOST_SPLINE_NODES for line in lines):
        splines = tuple(_spline_rock(line, windows, scale) for line in lines)
        return _SumOfRocks(splines, np.zeros((len(splines), 3)), shares)
    closed = _closed_rock(factors, windows, scale)
    nodes, shares = factors.motion_nodes()
    shifts = nodes[:, None] * np.array([factors.motion[0], 0.0, factors.motion[2]])
    return _SumOfRocks((closed,) * len(nodes), shifts, shares)


def _closed_rock(
    factors: AcceptanceFactors, windows: Sequence[Window], scale: float
) -> _ClosedRock:
    beam, _, lens = factors.precisions(factors.optics.bandwidth)
    parts = [
        (
            factors.precisions(rms)[1],
            centre * factors.sin,
            centre * factors.cos,
            scale * share * window.transmission * factors.rock_scale(rms),
            _bounded(window.low),
            _bounded(window.high),
        )
        for share, centre, rms in factors.optics.energies
        for window in windows
    ]
    constants = (factors.sin, factors.cos, beam, lens, _bounded(factors.optics.clip))
    return _ClosedRock(constants, np.array(parts))


def _spline_rock(
    factors: AcceptanceFactors, windows: Sequence[Window], scale: float
) -> _SplineRock:
    """Spline in u = -q_rock'/cosθ and w = 2(q_2θ sinθ - q_rock' cosθ)."""
    from scipy.ndimage import spline_filter

    sine, cosine = factors.sin, factors.cos
    step, nodes_u, nodes_w = _spline_grid(factors)
    # A line off the Bragg setting moves u by -ε₀ tanθ.
    middle = -factors.optics.energies[0][1] * sine / cosine
    u = middle + step * np.arange(-nodes_u, nodes_u + 1)
    w = step * np.arange(-nodes_w, nodes_w + 1)
    q = np.zeros((3, u.size, w.size))
    q[0] = -u[:, None] * cosine
    q[2] = (0.5 * w + q[0] * cosine) / sine
    closed = _closed_rock(factors, windows, scale)
    values = np.zeros((u.size, w.size))
    part = np.empty((u.size, 1, w.size), np.float32)
    moved = np.array([[factors.motion[0], 0.0, factors.motion[2]]])
    for node, share in zip(*factors.motion_nodes(), strict=True):
        closed.fill(q, node * moved, np.full(q.shape[1:], share), part)
        values += part[:, 0]
    constants = (sine, cosine, float(u[0]), float(w[0]), 1.0 / step)
    return _SplineRock(constants, np.ascontiguousarray(spline_filter(values, order=3)))


def _spline_grid(factors: AcceptanceFactors) -> tuple[float, int, int]:
    """Step of the grid over (u, w) for one line of the spectrum, and nodes to either side."""
    _, _, rms = factors.optics.energies[0]
    step = sum(factors.precisions(rms)) ** -0.5 / _STEPS_PER_WIDTH
    beam = min(factors.optics.clip, _REACH * factors.optics.divergence_vertical)
    energy = _REACH * rms * factors.sin / factors.cos
    lens = min(factors.optics.aperture, _REACH * factors.optics.lens)
    moved = 0.5 * factors.angles_moved
    reaches = beam + energy + moved, beam + lens + moved
    nodes_u, nodes_w = (min(math.ceil(reach / step), 2**30) for reach in reaches)
    return step, nodes_u, nodes_w


def _spline_nodes(factors: AcceptanceFactors) -> float:
    _, nodes_u, nodes_w = _spline_grid(factors)
    return (2.0 * nodes_u + 1.0) * (2.0 * nodes_w + 1.0)


def _closed_roll(
    factors: AcceptanceFactors, windows: Sequence[Window], scale: float
) -> _ClosedRoll:
    lens, spread = factors.optics.lens, factors.optics.divergence_horizontal
    variance = lens**2 + spread**2
    height = 2.0 * factors.sin * scale / math.sqrt(2.0 * math.pi * variance)
    inverse_width = math.sqrt(variance) / (lens * spread) if spread > 0.0 else 0.0
    constants = (2.0 * factors.sin, 0.5 / variance, lens**2 / variance, inverse_width, height)
    ends = [(_bounded(w.low), _bounded(w.high), w.transmission) for w in windows]
    return _ClosedRoll(constants, np.array(ends))


def _tabulated_roll(
    factors: AcceptanceFactors, windows: Sequence[Window], scale: float
) -> _TabulatedRoll:
    """Values on a fine grid of x = 2 sinθ q_roll."""
    reach = min(factors.optics.aperture, _REACH * factors.optics.lens)
    reach += _REACH * factors.optics.divergence_horizontal
    reach += factors.sin * abs(factors.motion[1])
    x = np.linspace(-reach, reach, _ROLL_NODES)
    values = scale * factors.roll(x / (2.0 * factors.sin), windows)
    return _TabulatedRoll((2.0 * factors.sin, -reach, 1.0 / (x[1] - x[0])), values)


def _bounded(angle: float) -> float:
    return min(max(angle, -_UNBOUNDED), _UNBOUNDED)
