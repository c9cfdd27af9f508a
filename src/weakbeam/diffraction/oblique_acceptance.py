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

from dataclasses import dataclass, field

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.closed_acceptance import ClosedAcceptance
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.diffraction.oblique_marginals import oblique_marginal, oblique_projections
from weakbeam.diffraction.ray_map import AT_REST, Motion
from weakbeam.instrument.optics import Optics


@dataclass(frozen=True)
class ObliqueAcceptance(ClosedAcceptance):
    """Acceptance p(q) of a reflection at azimuth η, a sum of closed forms of all of q.

    Parameters
    ----------
    theta, optics, motion
        Those of :class:`ClosedAcceptance`.
    eta : float
        Azimuth of the diffracted beam about the incident one (rad).
    """

    eta: float = field(kw_only=True)

    @property
    def azimuth(self) -> float:
        """Azimuth of the diffracted beam (rad)."""
        return self.eta

    @property
    def factors(self) -> None:
        """None: ζ_v and ζ_h enter every component of q."""

    def density(self, q_imaging: ArrayLike) -> Floats:
        """See :meth:`.AcceptanceDensity.density`."""
        q = np.asarray(q_imaging, dtype=np.float64)
        total = np.zeros(q.shape[:-1])
        for term in self.terms:
            total += term(q)
        return total

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
    return ObliqueAcceptance(geometry.theta, optics, motion, eta=geometry.eta)
