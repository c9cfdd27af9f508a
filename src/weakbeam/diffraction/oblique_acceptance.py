r"""Acceptance of a reflection at any azimuth η, conditioned on the vertical divergence.

The divergences of the beam stay along the laboratory's vertical and horizontal while the axes of
the imaging frame turn with η. Both then mix in every component of q (docs/explanation/physics.md,
C1):

.. math:: q_{rock'} = s\varepsilon - c\zeta_\parallel,\quad
          q_{roll} = \frac{\xi - \zeta_\perp}{2s},\quad
          q_{2\theta} = c\varepsilon + \frac{\delta - \zeta_\parallel\cos 2\theta}{2s},

with :math:`\zeta_\parallel = \zeta_v\cos\eta - \zeta_h\sin\eta` and :math:`\zeta_\perp =
\zeta_v\sin\eta + \zeta_h\cos\eta`. Roll no longer separates from the rest; but at given ζ_v and ζ_h
everything follows from q, and the integral over ζ_v is one of Gaussians between limits (C4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.acceptance import Acceptance, even_nodes
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.diffraction.marginals import normal_between
from weakbeam.diffraction.ray_map import ray_map
from weakbeam.instrument.passage import Window
from weakbeam.instrument.stops import Stop

_SMALLEST = 1e-12
"""Stands for a cosine or sine of η that is zero, so that a limit on ζ_v goes to infinity."""

_REACH = 5.5
_MOST_NODES = 500


class ClosedForm(NamedTuple):
    """One term of the acceptance: height · exp(-|y|²/2) · [Φ(high - m) - Φ(low - m)].

    With y and m linear in q, and low and high the narrowest of three pairs of limits.
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
    """(3,): limits from δ are delta · q - delta_ends, ..."""
    delta_ends: tuple[float, float]
    """... the larger one first."""
    xi: Floats
    """(3,): limits from ξ are xi · q + xi_ends, ..."""
    xi_ends: tuple[float, float]
    """... the smaller one first."""

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
        inside = normal_between(low - middle, np.maximum(low, high) - middle)
        return np.asarray(self.height * np.exp(-0.5 * exponent) * inside)


@dataclass(frozen=True)
class ObliqueAcceptance:
    """Acceptance of a reflection at azimuth η.

    Parameters
    ----------
    optics : Acceptance
        Beam, lens and stops, with the Bragg angle.
    eta : float
        Azimuth of the diffracted beam about the incident one (rad).
    """

    optics: Acceptance
    eta: float

    @property
    def theta(self) -> float:
        """Bragg angle (rad)."""
        return self.optics.theta

    @property
    def stops(self) -> tuple[Stop, ...]:
        """What stands in the back focal plane."""
        return self.optics.stops

    @property
    def open(self) -> ObliqueAcceptance:
        """The same instrument without its stops and with the crystal at rest."""
        return replace(self, optics=self.optics.open)

    @property
    def throughput(self) -> float:
        """Share of the rays within the lens' aperture that the stops let pass."""
        return self.optics.throughput

    @property
    def gaussian(self) -> bool:
        """Whether nothing is cut, so that every term is a plain Gaussian."""
        optics = self.optics
        return math.isinf(optics.clip) and math.isinf(optics.aperture) and not optics.stops

    def density(self, q_imaging: ArrayLike) -> Floats:
        """Probability density p(q), with ∫p d³q = 1.

        Parameters
        ----------
        q_imaging : (..., 3) array_like
            (q_rock', q_roll, q_2θ), dimensionless.

        Returns
        -------
        (...) ndarray
        """
        q = np.asarray(q_imaging, dtype=np.float64)
        total = np.zeros(q.shape[:-1])
        for term in self.terms:
            total += term(q)
        return total

    @cached_property
    def peak(self) -> float:
        """Density at q = 0: the perfect crystal at its Bragg setting."""
        return float(self.density(np.zeros(3)))

    @property
    def relative_scale(self) -> float:
        """Intensity relative to the peak of the open instrument, per density."""
        return self.optics.passed / self.optics.open.passed / self.open.peak

    def relative(self, q_imaging: ArrayLike) -> Floats:
        """Intensity at q relative to the peak of the open instrument, without stops and blur.

        Parameters
        ----------
        q_imaging : (..., 3) array_like
            (q_rock', q_roll, q_2θ), dimensionless.

        Returns
        -------
        (...) ndarray
        """
        return self.density(q_imaging) * self.relative_scale

    @cached_property
    def terms(self) -> tuple[ClosedForm, ...]:
        r"""The closed form, a term for each energy, pair of windows, ζ_h and moment.

        Notes
        -----
        With s, c the sine and cosine of θ and those of η written out, q fixes at given ζ = ζ_v (and
        ζ_h, which only moves q) :math:`\varepsilon = (q_{rock'} + c\zeta\cos\eta)/s`, :math:`\delta
        = w - \zeta\cos\eta` with :math:`w = 2s q_{2\theta} - 2c q_{rock'}`, and :math:`\xi = 2s
        q_{roll} + \zeta\sin\eta`; the Jacobian is 4s. Each is a Gaussian in :math:`\alpha_i\zeta -
        x_i` with precision p_i and x_i linear in q. Their product is a Gaussian in ζ of precision
        :math:`A = \sum p_i\alpha_i^2` about :math:`\sum p_i\alpha_i x_i / A`, times
        :math:`\exp(-\tfrac12 \sum_{i<j} p_i p_j (\alpha_i x_j - \alpha_j x_i)^2 / A)`
        (docs/explanation/physics.md, C4). The condenser and the windows of δ and ξ limit ζ. The
        horizontal divergence and a motion are sums over shifts of q.
        """
        optics = self.optics
        shifts, shares = self._shifts()
        terms = []
        for (passage, (weight, centre, rms)), (shift, share) in product(
            product(optics.passages, optics.energies), zip(shifts, shares, strict=True)
        ):
            offset = shift + centre * np.array([optics.sin, 0.0, optics.cos])
            for delta, xi in product(passage.two_theta, passage.roll):
                height = passage.weight * weight * share * delta.transmission * xi.transmission
                terms.append(self._term(height / optics.passed, offset, rms, delta, xi))
        return tuple(terms)

    def _term(
        self, height: float, offset: Floats, rms: float, delta: Window, xi: Window
    ) -> ClosedForm:
        optics = self.optics
        s, c = optics.sin, optics.cos
        cosine, sine = _away_from_zero(math.cos(self.eta)), _away_from_zero(math.sin(self.eta))
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
        if math.isinf(optics.divergence_vertical):
            beam = 0.5 / optics.clip
        else:
            beam = 1.0 / (root * optics.divergence_vertical * optics.passed_by_condenser)
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
        )

    def _shifts(self) -> tuple[Floats, Floats]:
        """Shifts of q (n, 3) by ζ_h and by the motion, and their shares."""
        optics = self.optics
        shifts, shares = np.zeros((1, 3)), np.ones(1)
        if optics.divergence_horizontal > 0.0:
            node, share = self.horizontal_nodes()
            shifts, shares = node[:, None] * self.linear_map[:, 2], share
        if any(optics.motion):
            node, share = even_nodes(self._widths_moved)
            moves = -node[:, None] * np.array(optics.motion)
            shifts = (shifts[:, None] + moves).reshape(-1, 3)
            shares = np.outer(shares, share).reshape(-1)
        return shifts, shares

    @property
    def _widths_moved(self) -> float:
        """How far the closed form moves in the exposure, in units of its narrowest width."""
        optics = self.optics
        sharpest = min(rms * optics.sin / optics.cos for _, _, rms in optics.energies)
        across = 2.0 * optics.sin * abs(optics.motion[1])
        # The lens cuts ξ without smearing, so a few nodes for each of its widths will do.
        return max(optics.angles_moved / sharpest, 4.0 * across / optics.lens)

    def horizontal_nodes(self) -> tuple[Floats, Floats]:
        """Nodes of ζ_h, as fine as what the closed form resolves along it; trapezoidal rule.

        The rule converges like a Fourier series, but for the jumps at the edges of the lens'
        aperture and of stops: these turn into stairs, the finer the higher the jump is.
        """
        optics = self.optics
        sine, cosine = abs(math.sin(self.eta)), abs(math.cos(self.eta))
        sigma = optics.divergence_horizontal
        # Energy and lens follow ζ_h through ζ_∥ and ζ_⊥.
        sharpest = min(rms * optics.sin / optics.cos for _, _, rms in optics.energies)
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
        count = min(math.ceil(_REACH * sigma / step), _MOST_NODES)
        node = np.linspace(-_REACH * sigma, _REACH * sigma, 2 * count + 1)
        share = np.exp(-0.5 * (node / sigma) ** 2)
        return node, share / share.sum()

    @property
    def linear_map(self) -> Floats:
        """From (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure to q, shape (3, 6).

        docs/explanation/physics.md, C1.
        """
        return ray_map(self.theta, self.eta, self.optics.motion)

    def mean(self) -> Floats:
        """Mean of q in the imaging frame, shape (3,)."""
        return np.asarray(self.linear_map @ self.optics.ray_moments[0])

    def covariance(self) -> Floats:
        """Covariance of q in the imaging frame, truncations and stops included, shape (3, 3)."""
        matrix = self.linear_map
        return np.asarray(matrix @ self.optics.ray_moments[1] @ matrix.T)


def oblique_acceptance(optics: Acceptance, geometry: DiffractionGeometry) -> ObliqueAcceptance:
    """The acceptance of an instrument for a reflection in any geometry.

    Parameters
    ----------
    optics : Acceptance
        Beam, lens and stops.
    geometry : DiffractionGeometry
        The reflection at its Bragg setting.

    Returns
    -------
    ObliqueAcceptance

    Raises
    ------
    ValueError
        If the Bragg angles of both differ.
    """
    if not math.isclose(optics.theta, geometry.theta, rel_tol=1e-9):
        raise ValueError(f"Bragg angles {geometry.theta} and {optics.theta} differ")
    return ObliqueAcceptance(optics, geometry.eta)


def _away_from_zero(x: float) -> float:
    return math.copysign(max(abs(x), _SMALLEST), x)


def _ordered(a: float, b: float) -> tuple[float, float]:
    """The two numbers, the larger one first; infinite ones made large."""
    large, small = max(a, b), min(a, b)
    return min(large, 1e30), max(small, -1e30)
