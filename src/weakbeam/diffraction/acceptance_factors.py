"""The two factors of the acceptance, where roll shares no variable with the rest of q."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.quadrature import even_nodes, normal_between
from weakbeam.diffraction.ray_map import AT_REST, Motion, angles_moved
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.passage import Window, transmission


@dataclass(frozen=True)
class AcceptanceFactors:
    """Factors of p(q) = Σ weight · rock_two_theta(q_rock', q_2θ) · roll(q_roll) / passed.

    The sum runs over the passages of the optics, `Optics.products`, whose windows the factors take.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    optics : Optics
        Beam, lens and stops.
    motion : tuple of 3 float
        How far (q_rock', q_roll, q_2θ) of the crystal moves during the exposure.
    """

    theta: float
    optics: Optics
    motion: Motion = AT_REST

    @property
    def sin(self) -> float:
        """Sine of the Bragg angle."""
        return math.sin(self.theta)

    @property
    def cos(self) -> float:
        """Cosine of the Bragg angle."""
        return math.cos(self.theta)

    @property
    def open(self) -> AcceptanceFactors:
        """The factors without stops and with the crystal at rest."""
        return replace(self, optics=self.optics.open, motion=AT_REST)

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
            for weight, centre, rms in self.optics.energies:
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
            low = np.maximum(-self.optics.clip, w - window.high)
            high = np.maximum(low, np.minimum(self.optics.clip, w - window.low))
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
        return (self.optics.divergence_vertical**-2, (tangent * rms) ** -2, self.optics.lens**-2)

    def rock_scale(self, rms: float) -> float:
        """Factor before exponential and normal integral in the density of (q_rock', q_2θ)."""
        width = 1.0 / math.sqrt(sum(self.precisions(rms)))
        beam = self.optics.peak_of_vertical_divergence
        return 2.0 * beam * width / (math.sqrt(2.0 * math.pi) * rms * self.optics.lens)

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
        return angles_moved(self.theta, self.motion)

    @property
    def sharpest(self) -> float:
        """Narrowest of the Gaussians in ζ_v of `rock_two_theta`, over the lines of the spectrum."""
        return min(1.0 / math.sqrt(sum(self.precisions(rms))) for _, _, rms in self.optics.energies)

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
        if self.optics.divergence_horizontal == 0.0:
            total = np.zeros(x.shape)
            for window in windows:
                low = np.maximum(window.low, x - 0.5 * moved)
                high = np.maximum(low, np.minimum(window.high, x + 0.5 * moved))
                inside = normal_between(low / self.optics.lens, high / self.optics.lens)
                total += window.transmission * inside
            return np.asarray(2.0 * self.sin * total / moved)
        width = self.optics.lens * self.optics.divergence_horizontal
        width /= math.hypot(self.optics.lens, self.optics.divergence_horizontal)
        nodes, shares = even_nodes(moved / width)
        parts = [
            share * self._still_roll(x + moved * node, windows)
            for node, share in zip(nodes, shares, strict=True)
        ]
        return np.asarray(sum(parts))

    def _still_roll(self, x: Floats, windows: Sequence[Window]) -> Floats:
        """Density of q_roll = x / 2 sinθ of the crystal at rest."""
        variance = self.optics.lens**2 + self.optics.divergence_horizontal**2
        gauss = np.exp(-0.5 * x**2 / variance) / math.sqrt(2 * math.pi * variance)
        if self.optics.divergence_horizontal == 0.0:
            share = transmission(windows, x)
        else:
            share = np.zeros(x.shape)
            middle = x * self.optics.lens**2 / variance
            width = self.optics.lens * self.optics.divergence_horizontal / math.sqrt(variance)
            for window in windows:
                ends = (window.low - middle) / width, (window.high - middle) / width
                share += window.transmission * normal_between(*ends)
        return np.asarray(2.0 * self.sin * gauss * share)
