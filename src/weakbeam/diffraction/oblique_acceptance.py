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

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.closed_form import ClosedForm, closed_form
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.diffraction.oblique_marginals import oblique_marginal, oblique_projections
from weakbeam.diffraction.ray_map import AT_REST, Motion, check_setting, ray_map, ray_moments
from weakbeam.instrument.optics import Optics


@dataclass(frozen=True)
class ObliqueAcceptance:
    """Acceptance p(q) of a reflection at azimuth η, a sum of closed forms of all of q.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    eta : float
        Azimuth of the diffracted beam about the incident one (rad).
    optics : Optics
        Beam, lens and stops.
    motion : tuple of 3 float
        How far (q_rock', q_roll, q_2θ) of the crystal moves, uniformly and evenly about its place,
        during the exposure.

    Raises
    ------
    ValueError
        When the Bragg angle is not between 0 and π/2, or the motion not finite.
    """

    theta: float
    eta: float
    optics: Optics
    motion: Motion = AT_REST

    def __post_init__(self) -> None:
        """Check Bragg angle and motion."""
        check_setting(self.theta, self.motion)

    @property
    def open(self) -> ObliqueAcceptance:
        """The acceptance without stops and with the crystal at rest."""
        return replace(self, optics=self.optics.open, motion=AT_REST)

    @property
    def factors(self) -> None:
        """None: ζ_v and ζ_h enter every component of q."""

    @cached_property
    def terms(self) -> tuple[ClosedForm, ...]:
        """The density as a sum of closed forms."""
        return closed_form(self.theta, self.eta, self.optics, self.motion)

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

    def projections(
        self, rock: Floats, roll: Floats, two_theta: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """See :func:`weakbeam.diffraction.oblique_marginals.oblique_projections`."""
        return oblique_projections(self.theta, self.eta, self.optics, rock, roll, two_theta)

    def marginal(self, component: int, values: ArrayLike) -> Floats:
        """See :func:`weakbeam.diffraction.oblique_marginals.oblique_marginal`."""
        return oblique_marginal(self.theta, self.eta, self.optics, component, values)

    def jumps(self, component: int) -> Floats:
        """Where the density of a component jumps: nowhere, as the divergences smooth them all."""
        del component
        return np.empty(0)

    def mean(self) -> Floats:
        """Mean of q in the imaging frame, shape (3,)."""
        return np.asarray(self.linear_map @ ray_moments(self.optics)[0])

    def covariance(self) -> Floats:
        """Covariance of q in the imaging frame, truncations and stops included, shape (3, 3)."""
        matrix = self.linear_map
        return np.asarray(matrix @ ray_moments(self.optics)[1] @ matrix.T)

    @property
    def linear_map(self) -> Floats:
        """From (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure to q, shape (3, 6).

        docs/explanation/physics.md, C1.
        """
        return ray_map(self.theta, self.eta, self.motion)


def oblique_acceptance(
    optics: Optics, geometry: DiffractionGeometry, motion: Motion = AT_REST
) -> ObliqueAcceptance:
    """The acceptance of an instrument for a reflection in any geometry.

    Parameters
    ----------
    optics : Optics
        Beam, lens and stops.
    geometry : DiffractionGeometry
        The reflection at its Bragg setting.
    motion : tuple of 3 float
        How far q moves during the exposure.
    """
    return ObliqueAcceptance(geometry.theta, geometry.eta, optics, motion)
