"""Which lens angles pass: the transmission of aperture and stops as a sum of products.

Everything that stands in the back focal plane transmits T(δ, ξ). For whatever acts on one angle at
a time, or on a rectangle, T is a short sum of products of a function of δ and a function of ξ, and
so is the acceptance (docs/explanation/physics.md, C2, C4). Both functions are constant over
windows. A circle is no such product: it is a limit of its own on a product, which the closed form
of all of q takes exactly, or many thin slabs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.instrument.stops import (
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
    Stop,
)

WIRE_SLICES = {"two_theta": 96, "roll": 2048}
"""Windows that stand for the varying thickness of an absorbing wire.

The energy spread smooths over δ, but nothing need smooth over ξ.
"""

ROUND_SLABS = 96
"""Fewest products that stand for a round aperture, where its exact form is not taken."""

MOST_ROUND_SLABS = 1024
"""Most of them."""

_RADIUS_PER_BLUR = 40.0
"""Radius over the width that blurs ξ from which on more slabs than the fewest are needed.

Their error is then 0.2 % of the peak at most, and falls as the square of their number.
"""


@dataclass(frozen=True)
class Window:
    """A range of one lens angle.

    Parameters
    ----------
    low, high : float
        Ends (rad); may be infinite. The lower one belongs to the window, the upper one does not, so
        that windows that join leave no gap.
    transmission : float
        Share of the rays between them that passes.
    """

    low: float
    high: float
    transmission: float = 1.0

    def cut(self, low: float, high: float) -> Window:
        """The part of the window between `low` and `high`; it may be empty."""
        return Window(max(self.low, low), min(self.high, high), self.transmission)

    @property
    def empty(self) -> bool:
        """Whether no angle lies in it."""
        return not self.low < self.high


@dataclass(frozen=True)
class Passage:
    """One product of the sum, weight · T₁(δ) · T₂(ξ), within a circle.

    Parameters
    ----------
    two_theta, roll : tuple of Window
        Where δ and ξ pass; windows do not overlap.
    weight : float
        Factor of the product; negative where a blocked rectangle is taken away.
    radius : float
        Nothing passes where √(δ² + ξ²) is more than this (rad); ``inf`` for a plain product.
    """

    two_theta: tuple[Window, ...]
    roll: tuple[Window, ...]
    weight: float = 1.0
    radius: float = math.inf

    @property
    def empty(self) -> bool:
        """Whether nothing passes."""
        return not self.two_theta or not self.roll

    def cut(self, axis: str, low: float, high: float) -> Passage:
        """Let pass only angles of `axis` between `low` and `high`."""
        windows = tuple(window.cut(low, high) for window in getattr(self, axis))
        return self._with(axis, tuple(window for window in windows if not window.empty))

    def shade(self, axis: str, shades: Sequence[Window]) -> Passage:
        """Multiply the transmission along `axis`; outside of `shades` nothing passes."""
        windows = tuple(
            Window(low, high, window.transmission * shade.transmission)
            for shade in shades
            for window in getattr(self, axis)
            if (low := max(window.low, shade.low)) < (high := min(window.high, shade.high))
        )
        return self._with(axis, windows)

    def within(self, radius: float) -> Passage:
        """Let pass only angles within a circle, which is left out where the windows are in it."""
        corner = math.hypot(*(_furthest(windows) for windows in (self.two_theta, self.roll)))
        if corner <= radius:
            return self
        inner = self.cut("two_theta", -radius, radius).cut("roll", -radius, radius)
        return replace(inner, radius=min(radius, self.radius))

    def slabs(self, blur: float = 0.0) -> tuple[Passage, ...]:
        """The same as plain products: the circle as slabs in ξ, each with its true area.

        Parameters
        ----------
        blur : float
            Width that smooths the acceptance along ξ (rad), which tells how many are needed.
        """
        if math.isinf(self.radius):
            return (self,)
        whole = replace(self, radius=math.inf)
        parts = (
            whole.cut("roll", low, high).cut("two_theta", -reach, reach)
            for low, high, reach in _round_slabs(self.radius, slab_count(self.radius, blur))
        )
        return tuple(part for part in parts if not part.empty)

    def _with(self, axis: str, windows: tuple[Window, ...]) -> Passage:
        if axis == "two_theta":
            return replace(self, two_theta=windows)
        return replace(self, roll=windows)


def passages(aperture: float, stops: Sequence[Stop] = ()) -> tuple[Passage, ...]:
    """The transmission of the lens' square aperture and of all stops.

    Parameters
    ----------
    aperture : float
        Half width of the angular aperture (rad); ``inf`` for none.
    stops : sequence of Stop
        What stands in the back focal plane; a ray has to pass all of them.

    Returns
    -------
    tuple of Passage
        Exact but for wires of varying thickness; empty if nothing passes.
    """
    whole = (Window(-aperture, aperture),)
    terms = [Passage(whole, whole)]
    for stop in stops:
        terms = [new for term in terms for new in _through(term, stop)]
    return tuple(term for term in terms if not term.empty)


def slab_count(radius: float, blur: float) -> int:
    """How many slabs stand for a circle, where `blur` smooths the acceptance along ξ (rad)."""
    if blur == 0.0:
        return ROUND_SLABS
    return math.ceil(ROUND_SLABS * max(1.0, radius / (_RADIUS_PER_BLUR * blur)))


def approximations(stops: Sequence[Stop]) -> list[str]:
    """Say, a sentence for each stop, where :func:`passages` is not exact."""
    sentences = []
    for stop in stops:
        if isinstance(stop, AbsorbingWire) and math.isfinite(stop.optical_depth):
            sentences.append(
                f"the wire is taken as {WIRE_SLICES[stop.axis]} slices of even thickness"
            )
    return sentences


def transmission(windows: Sequence[Window], angle: ArrayLike) -> Floats:
    """Transmission at an angle: that of the window in which it lies, else 0.

    Parameters
    ----------
    windows : sequence of Window
        Of one axis.
    angle : array_like
        In rad.

    Returns
    -------
    ndarray
    """
    x = np.asarray(angle, dtype=np.float64)
    ordered = sorted(windows, key=lambda window: window.low)
    lows, highs, shares = np.array([(w.low, w.high, w.transmission) for w in ordered]).T
    nearest = np.maximum(np.searchsorted(lows, x, side="right") - 1, 0)
    return np.where((lows[nearest] <= x) & (x < highs[nearest]), shares[nearest], 0.0)


def gaussian_moments(windows: Sequence[Window], sigma: float) -> Floats:
    """Moments of a Gaussian angle that passes the windows.

    Parameters
    ----------
    windows : sequence of Window
        Of one axis.
    sigma : float
        Standard deviation of the angle before it is cut (rad).

    Returns
    -------
    (3,) ndarray
        ∫ T x^k N(x) dx for k = 0, 1, 2.
    """
    total = np.zeros(3)
    for window in windows:
        low, high = window.low / sigma, window.high / sigma
        edge_low, edge_high = _edge(low), _edge(high)
        inside = 0.5 * (math.erfc(low / math.sqrt(2)) - math.erfc(high / math.sqrt(2)))
        if low > 0.0 or high < 0.0:
            near, far = sorted((abs(low), abs(high)))
            inside = 0.5 * (math.erfc(near / math.sqrt(2)) - math.erfc(far / math.sqrt(2)))
        first = edge_low - edge_high
        second = inside + _times(low, edge_low) - _times(high, edge_high)
        total += window.transmission * np.array([inside, sigma * first, sigma**2 * second])
    return total


def _through(term: Passage, stop: Stop) -> list[Passage]:
    """The products that a product becomes behind a stop."""
    match stop:
        case SquareOpening(half_width=h):
            return [term.cut("two_theta", -h, h).cut("roll", -h, h)]
        case KnifeBlade(position=p, axis=axis, side="above"):
            return [term.cut(axis, p, math.inf)]
        case KnifeBlade(position=p, axis=axis):
            return [term.cut(axis, -math.inf, p)]
        case CentralBlock(half_width=h):
            blocked = term.cut("two_theta", -h, h).cut("roll", -h, h)
            return [term, replace(blocked, weight=-term.weight)]
        case AbsorbingWire(axis=axis):
            return [term.shade(axis, _wire_windows(stop))]
        case RoundOpening(radius=r):
            return [term if term.empty else term.within(r)]


@lru_cache(maxsize=8)
def _wire_windows(wire: AbsorbingWire) -> tuple[Window, ...]:
    """Windows beside and through a wire; equal steps of its polar angle, so fine at the rims."""
    left, right = wire.position - wire.radius, wire.position + wire.radius
    beside = (Window(-math.inf, left), Window(right, math.inf))
    if math.isinf(wire.optical_depth):
        return beside
    slices = WIRE_SLICES[wire.axis]
    edges = np.linspace(-0.5 * math.pi, 0.5 * math.pi, slices + 1)
    node, weight = np.polynomial.legendre.leggauss(8)
    through = []
    for low, high in pairwise(edges):
        angle = 0.5 * (high + low) + 0.5 * (high - low) * node
        share = weight * np.cos(angle)
        mean = float(share @ np.exp(-wire.optical_depth * np.cos(angle)) / share.sum())
        ends = wire.position + wire.radius * np.sin([low, high])
        through.append(Window(float(ends[0]), float(ends[1]), mean))
    return (*beside, *through)


def _round_slabs(radius: float, count: int) -> list[tuple[float, float, float]]:
    """Slabs in ξ of a circle, each with the half width in δ that gives it its true area."""
    edges = np.linspace(-0.5 * math.pi, 0.5 * math.pi, count + 1)
    area = 0.5 * (edges + 0.5 * np.sin(2.0 * edges))
    ends = np.sin(edges)
    return [
        (radius * float(ends[k]), radius * float(ends[k + 1]), radius * float(reach))
        for k, reach in enumerate(np.diff(area) / np.diff(ends))
    ]


def _furthest(windows: Sequence[Window]) -> float:
    return max(max(abs(window.low), abs(window.high)) for window in windows)


def _edge(x: float) -> float:
    return 0.0 if math.isinf(x) else math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def _times(x: float, edge: float) -> float:
    return 0.0 if math.isinf(x) else x * edge
