"""The acceptance of any geometry as a sum of closed forms of q, one integral over ζ_v each."""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.diffraction.quadrature import even_nodes, normal_between
from weakbeam.diffraction.ray_map import Motion, angles_moved, ray_map
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.passage import Window

_SMALLEST = 1e-12
"""Stands for a cosine or sine of η that is zero, so that a limit on ζ_v goes to infinity."""

_REACH = 5.5
_MOST_NODES = 500


class ClosedForm(NamedTuple):
    """One term of the acceptance: height · exp(-|y|²/2) · [Φ(high - m) - Φ(low - m)].

    With y and m linear in q, and low and high the narrowest of three pairs of limits, or of four
    where a circle limits δ and ξ together.
    """

    height: float
    """Density where exponential and bracket are 1."""
    offset: Floats
    """(3,): subtracted from q first."""
    whitening: Floats
    """(3, 3): y = whitening · q."""
    middle: Floats
    """(3,): m = middle · q, the mean of ζ_v in units of its width at given q."""
    clip: float
    """Half width of the condenser in the same units."""
    delta: Floats
    """(3,): limits from δ are delta · q - delta_ends."""
    delta_ends: tuple[float, float]
    """The larger one first."""
    xi: Floats
    """(3,): limits from ξ are xi · q + xi_ends."""
    xi_ends: tuple[float, float]
    """The smaller one first."""
    chord: Floats
    """(3,): chord · q is the middle of the chord along which (δ, ξ) moves in a circle with ζ_v."""
    distance: Floats
    """(3,): distance · q is how far that chord passes from the centre of the circle."""
    radius: float
    """Of the circle, whose limits are chord · q ± √(radius² - (distance · q)²); may be infinite."""

    def __call__(self, q_imaging: Floats) -> Floats:
        """Density at q, (..., 3)."""
        q = q_imaging - self.offset
        exponent = ((q @ self.whitening.T) ** 2).sum(axis=-1)
        middle, delta, xi = q @ self.middle, q @ self.delta, q @ self.xi
        low = np.maximum.reduce(
            [np.full(middle.shape, -self.clip), delta - self.delta_ends[0], xi + self.xi_ends[0]]
        )
        high = np.minimum.reduce(
            [np.full(middle.shape, self.clip), delta - self.delta_ends[1], xi + self.xi_ends[1]]
        )
        if math.isfinite(self.radius):
            half = np.sqrt(np.maximum(self.radius**2 - (q @ self.distance) ** 2, 0.0))
            chord = q @ self.chord
            low, high = np.maximum(low, chord - half), np.minimum(high, chord + half)
        inside = normal_between(low - middle, np.maximum(low, high) - middle)
        return np.asarray(self.height * np.exp(-0.5 * exponent) * inside)


def closed_form(theta: float, eta: float, optics: Optics, motion: Motion) -> tuple[ClosedForm, ...]:
    r"""The acceptance, a term for each energy, pair of windows, ζ_h and moment.

    Parameters
    ----------
    theta, eta, optics
        As for :func:`.oblique_projections`.
    motion : tuple of 3 float
        How far q moves during the exposure.

    Returns
    -------
    tuple of ClosedForm
        Their sum is the density p(q).

    Notes
    -----
    With s, c the sine and cosine of θ and those of η written out, q fixes at given ζ = ζ_v (and
    ζ_h, which only moves q) :math:`\varepsilon = (q_{rock'} + c\zeta\cos\eta)/s`, :math:`\delta
    = w - \zeta\cos\eta` with :math:`w = 2s q_{2\theta} - 2c q_{rock'}`, and :math:`\xi = 2s
    q_{roll} + \zeta\sin\eta`; the Jacobian is 4s. Each is a Gaussian in :math:`\alpha_i\zeta -
    x_i` with precision p_i and x_i linear in q. Their product is a Gaussian in ζ of precision
    :math:`A = \sum p_i\alpha_i^2` about :math:`\sum p_i\alpha_i x_i / A`, times
    :math:`\exp(-\tfrac12 \sum_{i<j} p_i p_j (\alpha_i x_j - \alpha_j x_i)^2 / A)`
    (docs/explanation/physics.md, C4). The condenser and the windows of δ and ξ limit ζ. With ζ,
    (δ, ξ) moves along a straight line by as much, so that a circle leaves of ζ a chord of it:
    :math:`|\zeta - w\cos\eta + x\sin\eta|^2 < r^2 - (w\sin\eta + x\cos\eta)^2` with :math:`x
    = 2s q_{roll}`. The horizontal divergence and a motion are sums over shifts of q.
    """
    shifts, shares = _shifts(theta, eta, optics, motion)
    terms = []
    for (passage, (weight, centre, rms)), (shift, share) in product(
        product(optics.passages, optics.energies), zip(shifts, shares, strict=True)
    ):
        offset = shift + centre * np.array([math.sin(theta), 0.0, math.cos(theta)])
        for delta, xi in product(passage.two_theta, passage.roll):
            height = passage.weight * weight * share * delta.transmission * xi.transmission
            height /= optics.passed
            terms.append(_term(theta, eta, optics, height, offset, rms, delta, xi, passage.radius))
    return tuple(terms)


def _term(
    theta: float,
    eta: float,
    optics: Optics,
    height: float,
    offset: Floats,
    rms: float,
    delta: Window,
    xi: Window,
    radius: float,
) -> ClosedForm:
    s, c = math.sin(theta), math.cos(theta)
    cosine, sine = _away_from_zero(math.cos(eta)), _away_from_zero(math.sin(eta))
    w = np.array([-2.0 * c, 0.0, 2.0 * s])
    r = np.array([0.0, 2.0 * s, 0.0])
    energy = np.array([1.0 / s, 0.0, 0.0])
    precision = np.array([optics.divergence_vertical**-2, rms**-2, *[optics.lens**-2] * 2])
    alpha = np.array([1.0, c * cosine / s, cosine, sine])
    x = np.stack([np.zeros(3), -energy, w, -r])
    total = float(precision @ alpha**2)
    width = 1.0 / math.sqrt(total)
    matrix = np.zeros((3, 3))
    for i in range(4):
        for j in range(i):
            pair = alpha[i] * x[j] - alpha[j] * x[i]
            matrix += precision[i] * precision[j] / total * np.outer(pair, pair)
    # Not a Cholesky factor: a uniform divergence leaves one direction without a Gaussian.
    size, axes = np.linalg.eigh(matrix)
    root = math.sqrt(2.0 * math.pi)
    beam = optics.peak_of_vertical_divergence
    height *= 4.0 * s * beam * root * width / (root**3 * rms * optics.lens**2)
    along, across = 1.0 / (cosine * width), 1.0 / (sine * width)
    return ClosedForm(
        height=height,
        offset=offset,
        whitening=np.sqrt(np.maximum(size, 0.0))[:, None] * axes.T,
        middle=(precision * alpha) @ x / (total * width),
        clip=optics.clip / width,
        delta=w * along,
        delta_ends=_ordered(delta.high * along, delta.low * along),
        xi=-r * across,
        xi_ends=_ordered(xi.low * across, xi.high * across)[::-1],
        chord=(w * math.cos(eta) - r * math.sin(eta)) / width,
        distance=(w * math.sin(eta) + r * math.cos(eta)) / width,
        radius=radius / width,
    )


def _shifts(theta: float, eta: float, optics: Optics, motion: Motion) -> tuple[Floats, Floats]:
    """Shifts of q (n, 3) by ζ_h and by the motion, and their shares."""
    shifts, shares = np.zeros((1, 3)), np.ones(1)
    if optics.divergence_horizontal > 0.0:
        node, share = horizontal_nodes(theta, eta, optics)
        shifts, shares = node[:, None] * ray_map(theta, eta, motion)[:, 2], share
    if any(motion):
        node, share = even_nodes(_widths_moved(theta, optics, motion))
        moves = -node[:, None] * np.array(motion)
        shifts = (shifts[:, None] + moves).reshape(-1, 3)
        shares = np.outer(shares, share).reshape(-1)
    return shifts, shares


def _widths_moved(theta: float, optics: Optics, motion: Motion) -> float:
    """How far the closed form moves in the exposure, in units of its narrowest width."""
    across = 2.0 * math.sin(theta) * abs(motion[1])
    # The lens cuts ξ without smearing, so a few nodes for each of its widths will do.
    return max(angles_moved(theta, motion) / _sharpest(theta, optics), 4.0 * across / optics.lens)


def _sharpest(theta: float, optics: Optics) -> float:
    """Narrowest line of the spectrum as an angle of incidence (rad)."""
    sine, cosine = math.sin(theta), math.cos(theta)
    return min(rms * sine / cosine for _, _, rms in optics.energies)


def horizontal_nodes(theta: float, eta: float, optics: Optics) -> tuple[Floats, Floats]:
    """Nodes of ζ_h, as fine as what the closed form resolves along it; trapezoidal rule.

    The rule converges like a Fourier series, but for the jumps at the edges of the lens'
    aperture and of stops: these turn into stairs, the finer the higher the jump is. Where (δ, ξ)
    moves with ζ_v along the rim of a circle nothing softens the edge but the length of the chord,
    which is that of the sharpest Gaussian at the depth λ²/2r; a fiftieth of the divergence keeps
    the stairs below 0.3 % of the peak.
    """
    sine, cosine = abs(math.sin(eta)), abs(math.cos(eta))
    sigma = optics.divergence_horizontal
    # Energy and lens follow ζ_h through ζ_∥ and ζ_⊥.
    sharpest = _sharpest(theta, optics)
    widths = [sigma, sharpest / max(sine, _SMALLEST), optics.lens / max(cosine, _SMALLEST)]
    ends = [
        end
        for passage in optics.passages
        for window in (*passage.two_theta, *passage.roll)
        for end in (window.low, window.high)
    ]
    jump = max(math.exp(-0.5 * (end / optics.lens) ** 2) for end in ends)
    step = 1.15 / math.sqrt(sum(width**-2 for width in widths))
    step = min(step, sigma * max(0.1, 0.004 / max(jump, 1e-3)))
    radii = [passage.radius for passage in optics.passages if math.isfinite(passage.radius)]
    if radii:
        step = min(step, max(0.02 * sigma, 0.25 * sharpest**2 / max(radii)))
    count = min(math.ceil(_REACH * sigma / step), _MOST_NODES)
    node = np.linspace(-_REACH * sigma, _REACH * sigma, 2 * count + 1)
    share = np.exp(-0.5 * (node / sigma) ** 2)
    return node, share / share.sum()


def _away_from_zero(x: float) -> float:
    return math.copysign(max(abs(x), _SMALLEST), x)


def _ordered(a: float, b: float) -> tuple[float, float]:
    """The two numbers, the larger one first; infinite ones made large."""
    large, small = max(a, b), min(a, b)
    return min(large, 1e30), max(small, -1e30)
