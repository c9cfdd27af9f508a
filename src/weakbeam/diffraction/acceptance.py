r"""Reciprocal-space acceptance p(q) in the symmetric geometry, in closed form.

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
from functools import cached_property

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.diffraction.closed_acceptance import ClosedAcceptance
from weakbeam.diffraction.marginals import rock_marginal, two_theta_marginal


@dataclass(frozen=True)
class SymmetricAcceptance(ClosedAcceptance):
    """Acceptance p(q) of a reflection in the symmetric geometry, a sum of products of two factors.

    Its parameters are those of :class:`ClosedAcceptance`. Marginal and joint densities take
    components of q, dimensionless, which are broadcast against each other.
    """

    @property
    def azimuth(self) -> float:
        """Azimuth of the diffracted beam: it stays in the vertical plane."""
        return 0.0

    @property
    def factors(self) -> AcceptanceFactors | None:
        """The density as a sum of products of a factor of (q_rock', q_2θ) and one of q_roll.

        None where a round aperture joins them: slabs would be wrong at its rim.
        """
        return self._products if self.optics.separates else None

    @cached_property
    def _products(self) -> AcceptanceFactors:
        return AcceptanceFactors(self.theta, self.optics, self.motion)

    def density(self, q_imaging: ArrayLike) -> Floats:
        """See :meth:`.AcceptanceDensity.density`.

        Raises
        ------
        ValueError
            If roll moves together with the rest during the exposure, which no longer factorises.
        """
        if self.motion[1] and (self.motion[0] or self.motion[2]):
            raise ValueError(f"motion {self.motion} of roll and the rest at once never factorises")
        q = np.asarray(q_imaging, dtype=np.float64)
        total = np.zeros(q.shape[:-1])
        if not self.optics.separates:
            for form in self.terms:
                total += form(q)
            return total
        for term in self.optics.products:
            rock = self._products.rock_two_theta(q[..., 0], q[..., 2], term.two_theta)
            total += term.weight * rock * self._products.roll(q[..., 1], term.roll)
        return total / self.optics.passed

    def density_rock_two_theta(self, q_rock: ArrayLike, q_two_theta: ArrayLike) -> Floats:
        """Joint density of (q_rock', q_2θ), with q_roll integrated over."""
        parts = [
            term.weight * b[0] * self._products.rock_two_theta(q_rock, q_two_theta, term.two_theta)
            for term, _, b in self.optics.lens_moments
        ]
        return np.asarray(sum(parts) / self.optics.passed)

    def density_roll(self, q_roll: ArrayLike) -> Floats:
        """Density of q_roll, with the other two integrated over."""
        parts = [
            term.weight * a[0] * self._products.roll(q_roll, term.roll)
            for term, a, _ in self.optics.lens_moments
        ]
        return np.asarray(sum(parts) / self.optics.passed)

    def density_rock(self, q_rock: ArrayLike) -> Floats:
        """Marginal density of q_rock' alone; the stops do not enter."""
        return rock_marginal(self._products, q_rock)

    def density_two_theta(self, q_two_theta: ArrayLike) -> Floats:
        """Marginal density of q_2θ alone."""
        parts = [
            term.weight * b[0] * two_theta_marginal(self._products, q_two_theta, term.two_theta)
            for term, _, b in self.optics.lens_moments
        ]
        return np.asarray(sum(parts) / self.optics.passed)

    def density_roll_two_theta(self, q_roll: ArrayLike, q_two_theta: ArrayLike) -> Floats:
        """Joint density of (q_roll, q_2θ), with q_rock' integrated over."""
        parts = [
            term.weight
            * self._products.roll(q_roll, term.roll)
            * two_theta_marginal(self._products, q_two_theta, term.two_theta)
            for term in self.optics.products
        ]
        return np.asarray(sum(parts) / self.optics.passed)

    def projections(
        self, rock: Floats, roll: Floats, two_theta: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """See :meth:`.AcceptanceDensity.projections`."""
        # q_rock' has no variable in common with the lens' angles, so with q_roll it is a product.
        return (
            self.density_rock(rock)[:, None] * self.density_roll(roll),
            self.density_rock_two_theta(rock[:, None], two_theta),
            self.density_roll_two_theta(roll[:, None], two_theta),
        )

    def marginal(self, component: int, values: ArrayLike) -> Floats:
        """See :meth:`.AcceptanceDensity.marginal`."""
        return (self.density_rock, self.density_roll, self.density_two_theta)[component](values)

    def jumps(self, component: int) -> Floats:
        """Where the density of a component jumps: that of q_roll, at the edges of the stops.

        Parameters
        ----------
        component : int
            As for :meth:`marginal`; q_2θ is smoothed by the spread of energy.

        Returns
        -------
        (n,) ndarray
        """
        if component != 1:
            return np.empty(0)
        ends = [(w.low, w.high) for term in self.optics.products for w in term.roll]
        return np.unique(ends) / (2.0 * math.sin(self.theta))
