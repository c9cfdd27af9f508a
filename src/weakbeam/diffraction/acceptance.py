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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.marginals import normal_between, rock_marginal, two_theta_marginal
from weakbeam.diffraction.ray_map import ray_map, ray_moments
from weakbeam.instrument.passage import (
    Passage,
    Window,
    gaussian_moments,
    passages,
    transmission,
)
from weakbeam.instrument.stops import Stop


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
        Standard deviation of ζ_v (rad) before the condenser cuts it; ``inf`` for a uniform one,
        which needs a finite `clip`.
    clip : float
        Half width (rad) of the condenser's aperture on ζ_v; ``inf`` for none.
    divergence_horizontal : float
        Standard deviation of ζ_h (rad); 0 for a parallel beam.
    lens : float
        Standard deviation of the objective's Gaussian angular acceptance (rad), for δ and ξ.
    aperture : float
        Half width (rad) of the square angular aperture on δ and ξ; ``inf`` for none.
    stops : tuple of Stop
        What stands in the back focal plane of the objective.
    spectrum : tuple of (weight, centre, rms)
        Gaussians in ε that make up the spectrum, instead of one of width `bandwidth` about 0.
    motion : tuple of 3 float
        How far (q_rock', q_roll, q_2θ) of the crystal moves, uniformly and evenly about its place,
        during the exposure: what a motor does to q, times how far it turns.

    Raises
    ------
    ValueError
        When a width is not positive, the Bragg angle is not between 0 and π/2, or nothing passes.
    """

    theta: float
    bandwidth: float
    divergence_vertical: float
    clip: float
    divergence_horizontal: float
    lens: float
    aperture: float
    stops: tuple[Stop, ...] = ()
    spectrum: tuple[tuple[float, float, float], ...] = ()
    motion: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Check the widths, and that some rays pass."""
        if not 0.0 < self.theta < math.pi / 2:
            raise ValueError(f"theta {self.theta} is not between 0 and π/2")
        for name in ("bandwidth", "lens"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} {getattr(self, name)} is not positive and finite")
        for name in ("divergence_vertical", "clip", "aperture"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} {getattr(self, name)} is not positive")
        if math.isinf(self.divergence_vertical) and math.isinf(self.clip):
            raise ValueError("a uniform divergence_vertical needs a finite clip")
        if not 0.0 <= self.divergence_horizontal < math.inf:
            raise ValueError(
                f"divergence_horizontal {self.divergence_horizontal} is negative or not finite"
            )
        if not all(map(math.isfinite, self.motion)):
            raise ValueError(f"motion {self.motion} is not finite")
        for weight, centre, rms in self.spectrum:
            if not (weight > 0.0 and rms > 0.0 and math.isfinite(weight + centre + rms)):
                raise ValueError(f"spectrum {(weight, centre, rms)} is no (weight, centre, rms)")
        if not self.throughput > 0.0:
            raise ValueError("the apertures and stops let nothing through")

    @property
    def sin(self) -> float:
        """Sine of the Bragg angle."""
        return math.sin(self.theta)

    @property
    def cos(self) -> float:
        """Cosine of the Bragg angle."""
        return math.cos(self.theta)

    @property
    def open(self) -> Acceptance:
        """The same instrument without its stops and with the crystal at rest."""
        return replace(self, stops=(), motion=(0.0, 0.0, 0.0))

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """Transmission of aperture and stops as a sum of products."""
        return passages(self.aperture, self.stops)

    @property
    def energies(self) -> tuple[tuple[float, float, float], ...]:
        """Share, centre and width of each Gaussian of the spectrum; the shares add up to 1."""
        parts = self.spectrum or ((1.0, 0.0, self.bandwidth),)
        total = sum(weight for weight, _, _ in parts)
        return tuple((weight / total, centre, rms) for weight, centre, rms in parts)

    @property
    def passed_by_condenser(self) -> float:
        """Probability that ζ_v passes the condenser's aperture; 1 for a uniform divergence."""
        if math.isinf(self.divergence_vertical):
            return 1.0
        return _inside(self.clip / self.divergence_vertical)

    @property
    def passed_by_aperture(self) -> float:
        """Probability that one of δ, ξ passes the aperture of the lens."""
        return _inside(self.aperture / self.lens)

    @property
    def throughput(self) -> float:
        """Share of the rays within the lens' aperture that the stops let pass."""
        return self.passed / self.passed_by_aperture**2

    @cached_property
    def passed(self) -> float:
        """Probability that (δ, ξ) passes aperture and stops."""
        return float(sum(term.weight * a[0] * b[0] for term, a, b in self.lens_moments))

    @cached_property
    def lens_moments(self) -> list[tuple[Passage, Floats, Floats]]:
        """Each product of the transmission, with its moments of δ and of ξ."""
        return [
            (
                term,
                gaussian_moments(term.two_theta, self.lens),
                gaussian_moments(term.roll, self.lens),
            )
            for term in self.passages
        ]

    def density(self, q_imaging: ArrayLike) -> Floats:
        """Probability density p(q), with ∫p d³q = 1.

        Parameters
        ----------
        q_imaging : (..., 3) array_like
            (q_rock', q_roll, q_2θ), dimensionless.

        Returns
        -------
        (...) ndarray

        Raises
        ------
        ValueError
            If roll moves together with the rest during the exposure, which no longer factorises.
        """
        if self.motion[1] and (self.motion[0] or self.motion[2]):
            raise ValueError(f"motion {self.motion} of roll and the rest at once never factorises")
        q = np.asarray(q_imaging, dtype=np.float64)
        total = np.zeros(q.shape[:-1])
        for term in self.passages:
            rock = self.rock_two_theta(q[..., 0], q[..., 2], term.two_theta)
            total += term.weight * rock * self.roll(q[..., 1], term.roll)
        return total / self.passed

    @property
    def peak(self) -> float:
        """Density at q = 0: the perfect crystal at its Bragg setting."""
        return float(self.density(np.zeros(3)))

    def relative(self, q_imaging: ArrayLike) -> Floats:
        """Intensity at q relative to the peak of the open instrument, without stops and blur.

        Parameters
        ----------
        q_imaging : (..., 3) array_like
            (q_rock', q_roll, q_2θ), dimensionless.

        Returns
        -------
        (...) ndarray
            Never more with a stop than without.
        """
        reference = self.open
        return self.density(q_imaging) * (self.passed / reference.passed / reference.peak)

    def density_rock_two_theta(self, q_rock: ArrayLike, q_two_theta: ArrayLike) -> Floats:
        """Joint density of (q_rock', q_2θ), with q_roll integrated over.

        Parameters
        ----------
        q_rock, q_two_theta : array_like
            Dimensionless; broadcast against each other.

        Returns
        -------
        ndarray
        """
        parts = [
            term.weight * b[0] * self.rock_two_theta(q_rock, q_two_theta, term.two_theta)
            for term, _, b in self.lens_moments
        ]
        return np.asarray(sum(parts) / self.passed)

    def density_roll(self, q_roll: ArrayLike) -> Floats:
        """Density of q_roll, with the other two integrated over.

        Parameters
        ----------
        q_roll : array_like
            Dimensionless.

        Returns
        -------
        ndarray
        """
        parts = [
            term.weight * a[0] * self.roll(q_roll, term.roll) for term, a, _ in self.lens_moments
        ]
        return np.asarray(sum(parts) / self.passed)

    def rock_two_theta(
        self, q_rock: ArrayLike, q_two_theta: ArrayLike, windows: Sequence[Window]
    ) -> Floats:
        r"""Density of (q_rock', q_2θ) of the rays whose δ passes some windows.

        Parameters
        ----------
        q_rock, q_two_theta : array_like
            Dimensionless; broadcast against each other.
        windows : sequence of Window
            Where δ passes.

        Returns
        -------
        ndarray
            Its integral is the probability that δ passes.

        Notes
        -----
        At given ζ = ζ_v the other two variables follow from q: :math:`\sin\theta\,\varepsilon =
        (\zeta - u)\cos\theta` with :math:`u = -q_{rock'}/\cos\theta`, and :math:`\delta = w -
        \zeta` with :math:`w = 2(q_{2\theta}\sin\theta - q_{rock'}\cos\theta)`; the Jacobian is 2.
        The three Gaussians in ζ (about 0, u and w) multiply to one, integrated where ζ passes the
        condenser and w - ζ a window (docs/explanation/physics.md, C4). Several energies add up; a
        motion is a Gauss-Legendre sum of shifts.
        """
        q1, q3 = np.asarray(q_rock, dtype=np.float64), np.asarray(q_two_theta, dtype=np.float64)
        nodes, shares = self.motion_nodes()
        total = np.zeros(np.broadcast_shapes(q1.shape, q3.shape))
        for shift, share in zip(nodes, shares, strict=True):
            for weight, centre, rms in self.energies:
                rock = q1 + shift * self.motion[0] - centre * self.sin
                two_theta = q3 + shift * self.motion[2] - centre * self.cos
                total += share * weight * self._one_energy(rock, two_theta, rms, windows)
        return total

    def _one_energy(self, q1: Floats, q3: Floats, rms: float, windows: Sequence[Window]) -> Floats:
        u = -q1 / self.cos
        w = 2.0 * (q3 * self.sin - q1 * self.cos)
        a, b, c = self.precisions(rms)
        total = a + b + c
        width = 1.0 / math.sqrt(total)
        exponent = (a * b * u**2 + a * c * w**2 + b * c * (u - w) ** 2) / total
        middle = (b * u + c * w) / total
        share = np.zeros(np.broadcast_shapes(u.shape, w.shape))
        for window in windows:
            low = np.maximum(-self.clip, w - window.high)
            high = np.maximum(low, np.minimum(self.clip, w - window.low))
            inside = normal_between((low - middle) / width, (high - middle) / width)
            share += window.transmission * inside
        return np.asarray(self.rock_scale(rms) * np.exp(-0.5 * exponent) * share)

    def precisions(self, rms: float) -> tuple[float, float, float]:
        """Inverse variances of the Gaussians in ζ_v: of the beam, of the energy, of the lens.

        Parameters
        ----------
        rms : float
            Width of one Gaussian of the spectrum.
        """
        tangent = self.sin / self.cos
        return (self.divergence_vertical**-2, (tangent * rms) ** -2, self.lens**-2)

    def rock_scale(self, rms: float) -> float:
        """Factor before exponential and normal integral in the density of (q_rock', q_2θ)."""
        root = math.sqrt(2.0 * math.pi)
        if math.isinf(self.divergence_vertical):
            beam = 0.5 / self.clip
        else:
            beam = 1.0 / (root * self.divergence_vertical * self.passed_by_condenser)
        width = 1.0 / math.sqrt(sum(self.precisions(rms)))
        return 2.0 * beam * width / (root * rms * self.lens)

    def motion_nodes(self) -> tuple[Floats, Floats]:
        """Moments of the exposure, from -1/2 to 1/2 of the motion, and their shares of the time.

        As many as the density of (q_rock', q_2θ) resolves on the way.
        """
        rock, _, two_theta = self.motion
        if rock == 0.0 == two_theta:
            return np.zeros(1), np.ones(1)
        return even_nodes(self.angles_moved / self.sharpest)

    @property
    def angles_moved(self) -> float:
        """How far the Gaussians in ζ_v about u and w of `rock_two_theta` move in the exposure."""
        rock, _, two_theta = self.motion
        across = 2.0 * (two_theta * self.sin - rock * self.cos)
        return max(abs(rock) / self.cos, abs(across))

    @property
    def sharpest(self) -> float:
        """Narrowest of the Gaussians in ζ_v of `rock_two_theta`, over the lines of the spectrum."""
        return min(1.0 / math.sqrt(sum(self.precisions(rms))) for _, _, rms in self.energies)

    def roll(self, q_roll: ArrayLike, windows: Sequence[Window]) -> Floats:
        """Density of q_roll of the rays whose ξ passes some windows.

        Parameters
        ----------
        q_roll : array_like
            Dimensionless.
        windows : sequence of Window
            Where ξ passes.

        Returns
        -------
        ndarray
            Its integral is the probability that ξ passes.
        """
        x = 2.0 * self.sin * np.asarray(q_roll, dtype=np.float64)
        if moved := 2.0 * self.sin * abs(self.motion[1]):
            return self._moving_roll(x, moved, windows)
        return self._still_roll(x, windows)

    def _moving_roll(self, x: Floats, moved: float, windows: Sequence[Window]) -> Floats:
        """Average of `_still_roll` over x ± moved/2."""
        if self.divergence_horizontal == 0.0:
            total = np.zeros(x.shape)
            for window in windows:
                low = np.maximum(window.low, x - 0.5 * moved)
                high = np.maximum(low, np.minimum(window.high, x + 0.5 * moved))
                inside = normal_between(low / self.lens, high / self.lens)
                total += window.transmission * inside
            return np.asarray(2.0 * self.sin * total / moved)
        width = self.lens * self.divergence_horizontal
        width /= math.hypot(self.lens, self.divergence_horizontal)
        nodes, shares = even_nodes(moved / width)
        parts = [
            share * self._still_roll(x + moved * node, windows)
            for node, share in zip(nodes, shares, strict=True)
        ]
        return np.asarray(sum(parts))

    def _still_roll(self, x: Floats, windows: Sequence[Window]) -> Floats:
        """Density of q_roll = x / 2 sinθ of the crystal at rest."""
        variance = self.lens**2 + self.divergence_horizontal**2
        gauss = np.exp(-0.5 * x**2 / variance) / math.sqrt(2 * math.pi * variance)
        if self.divergence_horizontal == 0.0:
            share = transmission(windows, x)
        else:
            share = np.zeros(x.shape)
            middle = x * self.lens**2 / variance
            width = self.lens * self.divergence_horizontal / math.sqrt(variance)
            for window in windows:
                ends = (window.low - middle) / width, (window.high - middle) / width
                share += window.transmission * normal_between(*ends)
        return np.asarray(2.0 * self.sin * gauss * share)

    def density_rock(self, q_rock: ArrayLike) -> Floats:
        """Marginal density of q_rock' alone; the stops do not enter.

        Parameters
        ----------
        q_rock : array_like
            Dimensionless.

        Returns
        -------
        ndarray
        """
        return rock_marginal(self, q_rock)

    def density_two_theta(self, q_two_theta: ArrayLike) -> Floats:
        """Marginal density of q_2θ alone.

        Parameters
        ----------
        q_two_theta : array_like
            Dimensionless.

        Returns
        -------
        ndarray
        """
        parts = [
            term.weight * b[0] * two_theta_marginal(self, q_two_theta, term.two_theta)
            for term, _, b in self.lens_moments
        ]
        return np.asarray(sum(parts) / self.passed)

    def density_roll_two_theta(self, q_roll: ArrayLike, q_two_theta: ArrayLike) -> Floats:
        """Joint density of (q_roll, q_2θ), with q_rock' integrated over.

        Parameters
        ----------
        q_roll, q_two_theta : array_like
            Dimensionless; broadcast against each other.

        Returns
        -------
        ndarray
        """
        parts = [
            term.weight
            * self.roll(q_roll, term.roll)
            * two_theta_marginal(self, q_two_theta, term.two_theta)
            for term in self.passages
        ]
        return np.asarray(sum(parts) / self.passed)

    def mean(self) -> Floats:
        """Mean of q in the imaging frame, which a one-sided stop moves away from zero.

        Returns
        -------
        (3,) ndarray
            Of (q_rock', q_roll, q_2θ).
        """
        return self.linear_map @ self.ray_moments[0]

    def covariance(self) -> Floats:
        """Covariance of q in the imaging frame, truncations and stops included.

        Returns
        -------
        (3, 3) ndarray
            Of (q_rock', q_roll, q_2θ); see docs/explanation/physics.md, C3.
        """
        matrix = self.linear_map
        return np.asarray(matrix @ self.ray_moments[1] @ matrix.T)

    @property
    def linear_map(self) -> Floats:
        """From (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure to q, shape (3, 6)."""
        return ray_map(self.theta, 0.0, self.motion)

    @cached_property
    def ray_moments(self) -> tuple[Floats, Floats]:
        """Mean and covariance of (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure, ± 1/2."""
        return ray_moments(self)


def even_nodes(length: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes from -1/2 to 1/2, and weights, for a motion over `length` widths."""
    node, weight = np.polynomial.legendre.leggauss(min(6 + math.ceil(3.0 * length), 500))
    return 0.5 * node, 0.5 * weight


def _inside(ratio: float) -> float:
    """Probability that a standard normal variable lies within ±`ratio`."""
    return math.erf(ratio / math.sqrt(2.0))
