"""What the closed forms of p(q) have in common, in either geometry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.closed_form import ClosedForm, closed_form
from weakbeam.diffraction.ray_map import AT_REST, Motion, check_setting, ray_map, ray_moments
from weakbeam.instrument.optics import Optics


@dataclass(frozen=True)
class ClosedAcceptance(ABC):
    """Acceptance p(q) of a reflection, in closed form.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    optics : Optics
        Beam, lens and stops.
    motion : tuple of 3 float
        How far (q_rock', q_roll, q_2θ) of the crystal moves, uniformly and evenly about its place,
        during the exposure: what a motor does to q, times how far it turns.

    Raises
    ------
    ValueError
        When the Bragg angle is not between 0 and π/2, or the motion not finite.
    """

    theta: float
    optics: Optics
    motion: Motion = AT_REST

    def __post_init__(self) -> None:
        """Check Bragg angle and motion."""
        check_setting(self.theta, self.motion)

    @property
    @abstractmethod
    def azimuth(self) -> float:
        """Azimuth η of the diffracted beam about the incident one (rad)."""

    @abstractmethod
    def density(self, q_imaging: ArrayLike) -> Floats:
        """See :meth:`.AcceptanceDensity.density`."""

    @property
    def open(self) -> Self:
        """The acceptance without stops and with the crystal at rest."""
        return replace(self, optics=self.optics.open, motion=AT_REST)

    @cached_property
    def terms(self) -> tuple[ClosedForm, ...]:
        """The density as a sum of closed forms of all three components of q."""
        return closed_form(self.theta, self.azimuth, self.optics, self.motion)

    @cached_property
    def peak(self) -> float:
        """Density at q = 0: the perfect crystal at its Bragg setting."""
        return float(self.density(np.zeros(3)))

    @property
    def relative_scale(self) -> float:
        """Intensity relative to the peak of the open instrument, per density."""
        return self.optics.passed / self.optics.open.passed / self.open.peak

    def relative(self, q_imaging: ArrayLike) -> Floats:
        """See :meth:`.AcceptanceDensity.relative`."""
        return self.density(q_imaging) * self.relative_scale

    def mean(self) -> Floats:
        """See :meth:`.AcceptanceDensity.mean`."""
        return np.asarray(self.linear_map @ ray_moments(self.optics)[0])

    def covariance(self) -> Floats:
        """See :meth:`.AcceptanceDensity.covariance`."""
        matrix = self.linear_map
        return np.asarray(matrix @ ray_moments(self.optics)[1] @ matrix.T)

    @property
    def linear_map(self) -> Floats:
        """From (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure to q, shape (3, 6).

        docs/explanation/physics.md, C1.
        """
        return ray_map(self.theta, self.azimuth, self.motion)
