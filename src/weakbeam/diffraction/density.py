"""What every acceptance p(q) offers, whatever the geometry of the reflection."""

from __future__ import annotations

from typing import Protocol

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.diffraction.closed_form import ClosedForm
from weakbeam.instrument.optics import Optics


class AcceptanceDensity(Protocol):
    """Density p(q) of the diffraction vectors that an instrument carries to the camera.

    All of q is in the imaging frame, (q_rock', q_roll, q_2θ), and dimensionless.
    """

    @property
    def theta(self) -> float:
        """Bragg angle (rad)."""

    @property
    def optics(self) -> Optics:
        """Beam, lens and stops."""

    @property
    def motion(self) -> tuple[float, float, float]:
        """How far q moves during the exposure."""

    @property
    def open(self) -> AcceptanceDensity:
        """The acceptance without stops and with the crystal at rest."""

    @property
    def factors(self) -> AcceptanceFactors | None:
        """The density as a sum of products of a factor of (q_rock', q_2θ) and one of q_roll.

        None where roll does not separate from the rest.
        """

    @property
    def terms(self) -> tuple[ClosedForm, ...]:
        """The density as a sum of closed forms of q."""

    @property
    def peak(self) -> float:
        """Density at q = 0: the perfect crystal at its Bragg setting."""

    @property
    def relative_scale(self) -> float:
        """Intensity relative to the peak of the open instrument, per density."""

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

    def relative(self, q_imaging: ArrayLike) -> Floats:
        """Intensity at q relative to the peak of the open instrument, without stops and blur.

        Parameters
        ----------
        q_imaging
            As for :meth:`density`.

        Returns
        -------
        (...) ndarray
            Never more with a stop than without.
        """

    def projections(
        self, rock: Floats, roll: Floats, two_theta: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Joint densities of two components of q each, with the third one integrated over.

        Parameters
        ----------
        rock, roll, two_theta : (n1,), (n2,) and (n3,) ndarray
            Grid along q_rock', q_roll and q_2θ, dimensionless.

        Returns
        -------
        rock_roll : (n1, n2) ndarray
        rock_two_theta : (n1, n3) ndarray
        roll_two_theta : (n2, n3) ndarray
        """

    def marginal(self, component: int, values: ArrayLike) -> Floats:
        """Density of one component of q, with the other two integrated over.

        Parameters
        ----------
        component : int
            0: q_rock', 1: q_roll, 2: q_2θ.
        values : (n,) array_like
            Where; dimensionless.

        Returns
        -------
        (n,) ndarray
        """

    def jumps(self, component: int) -> Floats:
        """Where the density of one component jumps."""

    def mean(self) -> Floats:
        """Mean of q (3,), which a one-sided stop moves away from zero."""

    def covariance(self) -> Floats:
        """Covariance of q (3, 3), truncations and stops included.

        See docs/explanation/physics.md, C3.
        """
