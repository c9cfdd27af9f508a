r"""Reciprocal-space acceptance p(q) of the instrument, in closed form.

A ray is set by five independent variables: its relative wavevector deviation ε, the vertical and
horizontal angles of incidence ζ_v, ζ_h, and the angles δ (in the diffraction plane) and ξ (out of
it) at which it enters the objective. To first order the diffraction vector that carries it to the
camera is, in the imaging frame (docs/explanation/physics.md, C1),

.. math:: q_{rock'} = \varepsilon\sin\theta - \zeta_v\cos\theta,\quad
          q_{roll} = \frac{\xi - \zeta_h}{2\sin\theta},\quad
          q_{2\theta} = \varepsilon\cos\theta
                        + \frac{\delta - \zeta_v\cos 2\theta}{2\sin\theta}.

Roll shares no variable with the other two, so p factorises exactly, and both factors are Gaussian
integrals between finite limits (C2, C4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam._numba import elementwise
from weakbeam._typing import ArrayLike, Floats


@dataclass(frozen=True)
class Acceptance:
    """Closed-form acceptance in the symmetric geometry.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    bandwidth : float
        Standard deviation of the relative wavevector deviation ε.
    divergence_vertical : float
        Standard deviation of ζ_v (rad) before the condenser cuts it.
    clip : float
        Half width (rad) of the condenser's aperture on ζ_v; ``inf`` for none.
    divergence_horizontal : float
        Standard deviation of ζ_h (rad); 0 for a parallel beam.
    lens : float
        Standard deviation of the objective's Gaussian angular acceptance (rad), for δ and ξ.
    aperture : float
        Half width (rad) of the square angular aperture on δ and ξ; ``inf`` for none.

    Raises
    ------
    ValueError
        When a width is not positive or the Bragg angle is not between 0 and π/2.
    """

    theta: float
    bandwidth: float
    divergence_vertical: float
    clip: float
    divergence_horizontal: float
    lens: float
    aperture: float

    def __post_init__(self) -> None:
        """Check the widths."""
        if not 0.0 < self.theta < math.pi / 2:
            raise ValueError(f"theta {self.theta} is not between 0 and π/2")
        for name in ("bandwidth", "divergence_vertical", "lens"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} {getattr(self, name)} is not positive and finite")
        for name in ("clip", "aperture"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} {getattr(self, name)} is not positive")
        if not 0.0 <= self.divergence_horizontal < math.inf:
            raise ValueError(
                f"divergence_horizontal {self.divergence_horizontal} is negative or not finite"
            )

    @property
    def sin(self) -> float:
        """Sine of the Bragg angle."""
        return math.sin(self.theta)

    @property
    def cos(self) -> float:
        """Cosine of the Bragg angle."""
        return math.cos(self.theta)

    @property
    def passed_by_condenser(self) -> float:
        """Probability that ζ_v passes the condenser's aperture."""
        return _inside(self.clip / self.divergence_vertical)

    @property
    def passed_by_aperture(self) -> float:
        """Probability that one of δ, ξ passes the aperture of the lens."""
        return _inside(self.aperture / self.lens)

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
        return self.density_rock_two_theta(q[..., 0], q[..., 2]) * self.density_roll(q[..., 1])

    @property
    def peak(self) -> float:
        """Density at q = 0: the perfect crystal at its Bragg setting."""
        return float(self.density(np.zeros(3)))

    def density_rock_two_theta(self, q_rock: ArrayLike, q_two_theta: ArrayLike) -> Floats:
        r"""Joint density of (q_rock', q_2θ).

        Parameters
        ----------
        q_rock, q_two_theta : array_like
            Dimensionless; broadcast against each other.

        Returns
        -------
        ndarray

        Notes
        -----
        At given ζ = ζ_v the other two variables follow from q: :math:`\sin\theta\,\varepsilon =
        (\zeta - u)\cos\theta` with :math:`u = -q_{rock'}/\cos\theta`, and :math:`\delta = w -
        \zeta` with :math:`w = 2(q_{2\theta}\sin\theta - q_{rock'}\cos\theta)`; the Jacobian is 2.
        The three Gaussians in ζ (about 0, u and w) multiply to one, integrated where both |ζ| and
        |w - ζ| pass (docs/explanation/physics.md, C4).
        """
        u = -np.asarray(q_rock, dtype=np.float64) / self.cos
        w = 2.0 * (np.asarray(q_two_theta) * self.sin + u * self.cos**2)
        a, b, c = self.precisions
        total = a + b + c
        width = total**-0.5
        exponent = (a * b * u**2 + a * c * w**2 + b * c * (u - w) ** 2) / total
        middle = (b * u + c * w) / total
        low = np.maximum(-self.clip, w - self.aperture)
        high = np.maximum(low, np.minimum(self.clip, w + self.aperture))
        share = _normal_between((low - middle) / width, (high - middle) / width)
        return np.asarray(self._scale_rock_two_theta * np.exp(-0.5 * exponent) * share)

    @property
    def precisions(self) -> tuple[float, float, float]:
        """Inverse variances of the Gaussians in ζ_v: of the beam, the bandwidth, the lens."""
        tangent = self.sin / self.cos
        return (
            self.divergence_vertical**-2,
            (tangent * self.bandwidth) ** -2,
            self.lens**-2,
        )

    @property
    def _scale_rock_two_theta(self) -> float:
        width = 1.0 / math.sqrt(sum(self.precisions))
        sigmas = self.divergence_vertical * self.bandwidth * self.lens
        passed = self.passed_by_condenser * self.passed_by_aperture
        return width / (math.pi * sigmas * passed)

    def density_roll(self, q_roll: ArrayLike) -> Floats:
        """Density of q_roll: a truncated Gaussian, smeared by the horizontal divergence.

        Parameters
        ----------
        q_roll : array_like
            Dimensionless.

        Returns
        -------
        ndarray
        """
        x = 2.0 * self.sin * np.asarray(q_roll, dtype=np.float64)
        variance = self.lens**2 + self.divergence_horizontal**2
        gauss = np.exp(-0.5 * x**2 / variance) / math.sqrt(2 * math.pi * variance)
        if self.divergence_horizontal == 0.0:
            share = np.where(np.abs(x) < self.aperture, 1.0, 0.0)
        else:
            middle = x * self.lens**2 / variance
            width = self.lens * self.divergence_horizontal / math.sqrt(variance)
            share = _normal_between(
                (-self.aperture - middle) / width, (self.aperture - middle) / width
            )
        return np.asarray(2.0 * self.sin * gauss * share / self.passed_by_aperture)

    def density_rock(self, q_rock: ArrayLike) -> Floats:
        """Marginal density of q_rock' alone.

        Parameters
        ----------
        q_rock : array_like
            Dimensionless.

        Returns
        -------
        ndarray
        """
        u = -np.asarray(q_rock, dtype=np.float64) / self.cos
        a, b, _ = self.precisions
        total = a + b
        width = total**-0.5
        middle = b * u / total
        share = _normal_between((-self.clip - middle) / width, (self.clip - middle) / width)
        scale = math.sqrt(a * b / (2 * math.pi * total)) / (self.cos * self.passed_by_condenser)
        return np.asarray(scale * np.exp(-0.5 * a * b / total * u**2) * share)

    def density_two_theta(self, q_two_theta: ArrayLike, nodes: int = 64) -> Floats:
        """Marginal density of q_2θ alone.

        Parameters
        ----------
        q_two_theta : array_like
            Dimensionless.
        nodes : int
            Gauss-Legendre nodes in ζ_v, the one variable that is left to integrate over.

        Returns
        -------
        ndarray
        """
        y = 2.0 * self.sin * np.asarray(q_two_theta, dtype=np.float64)[..., None]
        reach = min(self.clip, 8.0 * self.divergence_vertical)
        node, weight = np.polynomial.legendre.leggauss(nodes)
        zeta, weight = reach * node, reach * weight
        weight = weight * np.exp(-0.5 * (zeta / self.divergence_vertical) ** 2)
        weight /= math.sqrt(2 * math.pi) * self.divergence_vertical * self.passed_by_condenser
        # y + ζ cos2θ = 2 sinθ cosθ ε + δ: a Gaussian and a truncated Gaussian.
        x = y + zeta * math.cos(2 * self.theta)
        smear = math.sin(2 * self.theta) * self.bandwidth
        variance = smear**2 + self.lens**2
        middle = x * self.lens**2 / variance
        width = smear * self.lens / math.sqrt(variance)
        share = _normal_between((-self.aperture - middle) / width, (self.aperture - middle) / width)
        gauss = np.exp(-0.5 * x**2 / variance) / math.sqrt(2 * math.pi * variance)
        return np.asarray(2.0 * self.sin * (gauss * share) @ weight / self.passed_by_aperture)

    def covariance(self) -> Floats:
        """Covariance of q in the imaging frame, truncations included.

        Returns
        -------
        (3, 3) ndarray
            Of (q_rock', q_roll, q_2θ); see docs/explanation/physics.md, C3.
        """
        s, c, c2 = self.sin, self.cos, math.cos(2 * self.theta)
        energy = self.bandwidth**2
        beam = _truncated_variance(self.divergence_vertical, self.clip)
        lens = _truncated_variance(self.lens, self.aperture)
        covariance = np.zeros((3, 3))
        covariance[0, 0] = s**2 * energy + c**2 * beam
        covariance[1, 1] = (lens + self.divergence_horizontal**2) / (4 * s**2)
        covariance[2, 2] = c**2 * energy + (lens + beam * c2**2) / (4 * s**2)
        covariance[0, 2] = covariance[2, 0] = s * c * energy + beam * c * c2 / (2 * s)
        return covariance


def _inside(ratio: float) -> float:
    """Probability that a standard normal variable lies within ±`ratio`."""
    return math.erf(ratio / math.sqrt(2.0))


def _truncated_variance(sigma: float, limit: float) -> float:
    """Variance of N(0, sigma²) cut to ±limit."""
    if math.isinf(limit):
        return sigma**2
    x = limit / sigma
    edge = math.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    return sigma**2 * (1.0 - 2.0 * x * edge / _inside(x))


@elementwise
def _normal_between(low: Any, high: Any) -> Any:
    """Φ(high) - Φ(low), accurate in both tails because it is taken in the upper one."""
    if low + high < 0.0:
        low, high = -high, -low
    root = math.sqrt(0.5)
    return 0.5 * (math.erfc(low * root) - math.erfc(high * root))
