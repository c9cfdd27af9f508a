"""How much of the incident beam a crystal diffracts away, and where images are kinematical."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.quadrature import normal_between
from weakbeam.diffraction.strength import DiffractionStrength
from weakbeam.instrument.optics import Optics

NOT_KINEMATICAL = 0.05
"""Error of the kinematical intensity from which on the images are no longer called kinematical."""

_SMALLEST_COSINE = 1e-9
_REACH = 9.0
_ANGLES = 2001


def bragg_density(theta: float, eta: float, optics: Optics, offset: ArrayLike = 0.0) -> Floats:
    r"""Density of the incident rays that a perfect crystal diffracts, over its rocking angle.

    Parameters
    ----------
    theta, eta : float
        Bragg angle and azimuth of the diffracted beam (rad).
    optics : Optics
        The beam; lens and stops come later and do not enter.
    offset : array_like
        Angle (rad) by which the crystal is turned off its peak, in the scattering plane.

    Returns
    -------
    ndarray
        In 1/rad; its integral is 1.

    Notes
    -----
    A ray meets the Bragg condition of a crystal turned by Δ if :math:`\zeta_\parallel -
    \varepsilon\tan\theta = \Delta` (docs/explanation/physics.md, C1): the sum of ζ_v cosη, a
    Gaussian cut by the condenser, and of two plain Gaussians, ζ_h sinη and the energy.
    """
    angle = np.asarray(offset, dtype=np.float64)
    cosine, tangent = max(abs(math.cos(eta)), _SMALLEST_COSINE), math.tan(theta)
    clip = optics.clip * cosine
    total = np.zeros(angle.shape)
    for share, centre, rms in optics.energies:
        x = angle + centre * tangent
        blur = math.hypot(rms * tangent, optics.divergence_horizontal * math.sin(eta))
        if math.isinf(optics.divergence_vertical):
            inside = normal_between((-clip - x) / blur, (clip - x) / blur)
            total += share * inside / (2.0 * clip)
            continue
        sigma = optics.divergence_vertical * cosine
        width = math.hypot(sigma, blur)
        middle, rest = x * (sigma / width) ** 2, sigma * blur / width
        inside = normal_between((-clip - middle) / rest, (clip - middle) / rest)
        gauss = np.exp(-0.5 * (x / width) ** 2) / (math.sqrt(2.0 * math.pi) * width)
        total += share * gauss * inside / optics.passed_by_condenser
    return total


@dataclass(frozen=True)
class Depletion:
    r"""What a crystal takes away from the incident beam before the last point of the field.

    Images take the incident beam for the same everywhere. In truth a crystal of which all is at the
    Bragg condition diffracts of it, per path,

    .. math:: \kappa(\Delta) = Q\,\rho(\Delta)

    with its integrated reflectivity Q (`DiffractionStrength.reflectivity`) and the density ρ of
    the incident rays over the rocking angle Δ (:func:`bragg_density`): the kinematical power ratio
    (Zachariasen 1945, Theory of X-ray Diffraction in Crystals) of a beam with divergence and
    bandwidth (docs/explanation/physics.md, E4).

    Parameters
    ----------
    strength : DiffractionStrength
        The reflection.
    optics : Optics
        The beam.
    eta : float
        Azimuth of the diffracted beam (rad).
    beam_height : float
        Height of the line beam (µm).
    path : float
        Path of the incident beam through the crystal (µm): its thickness, or the field of view.
    absorption_length : float
        Path over which absorption takes the beam to 1/e (µm).
    """

    strength: DiffractionStrength
    optics: Optics
    eta: float
    beam_height: float
    path: float
    absorption_length: float

    def per_path(self, offset: ArrayLike = 0.0) -> Floats:
        """Share of the beam that is diffracted away per path (1/µm), at an angle off the peak."""
        density = bragg_density(self.strength.theta, self.eta, self.optics, offset)
        return np.asarray(self.strength.reflectivity * density)

    def over_path(self, offset: ArrayLike = 0.0) -> Floats:
        """Share of the beam that is diffracted away before the end of the path."""
        return np.asarray(-np.expm1(-self.path * self.per_path(offset)))

    @property
    def absorbed(self) -> float:
        """Share of the beam that is absorbed and scattered before the end of the path."""
        return -math.expm1(-self.path / self.absorption_length)

    def share(self, offset: ArrayLike) -> Floats:
        """Rays that meet the Bragg condition at an angle off the peak, relative to the peak."""
        return np.asarray(self.per_path(offset) / self.per_path())

    def error(self, offset: ArrayLike = 0.0) -> Floats:
        """Relative error of the kinematical intensity where it is worst, off the peak by an angle.

        Of the incident beam at the end of its path, and of the diffracted one on its way out of the
        line beam (`DiffractionStrength.kinematic_error`), of which only those rays suffer that
        meet the Bragg condition.
        """
        on_the_way_out = self.strength.kinematic_error(self.path_out) * self.share(offset)
        return np.asarray(1.0 - (1.0 - self.over_path(offset)) * (1.0 - on_the_way_out))

    @property
    def path_out(self) -> float:
        """Path of the diffracted beam out of the line beam (µm)."""
        return self.strength.path_in_beam(self.beam_height, self.eta)

    @property
    def size(self) -> float:
        """How far from kinematical the peak is; other than the error it has no upper limit."""
        ways = self.path_out / self.strength.extinction_length
        return float(self.path * self.per_path()) + (math.pi * ways) ** 2 / 3.0

    @cached_property
    def harmless_from(self) -> float:
        """Angle off the peak (rad) from which on the error is less than `NOT_KINEMATICAL`.

        On both sides; 0 where it is less at the peak and everywhere.
        """
        tangent = math.tan(self.strength.theta)
        beam = min(self.optics.clip, _REACH * self.optics.divergence_vertical)
        energy = max(abs(centre) + _REACH * rms for _, centre, rms in self.optics.energies)
        reach = beam + energy * tangent + _REACH * self.optics.divergence_horizontal
        angle = np.linspace(0.0, reach, _ANGLES)
        error = np.maximum(self.error(angle), self.error(-angle))
        wrong = np.flatnonzero(error >= NOT_KINEMATICAL)
        return float(angle[min(wrong[-1] + 1, angle.size - 1)]) if wrong.size else 0.0

    def note(self) -> str:
        """Say in one line what the beam loses, and where images are kinematical."""
        error = float(self.error())
        verdict = (
            f"kinematical to {100.0 * error:.2g} %"
            if error < NOT_KINEMATICAL
            else f"not kinematical at the peak, to {100.0 * NOT_KINEMATICAL:g} % from "
            f"{1e3 * self.harmless_from:.2g} mrad off it"
        )
        out = f"{self.path_out:.3g} µm" if math.isfinite(self.path_out) else "the whole sample"
        return (
            f"at the peak the incident beam loses {percent(float(self.per_path()))} % per µm to "
            f"the diffracted one, {percent(float(self.over_path()))} % over the {self.path:.3g} µm "
            f"of the field, and {percent(self.absorbed)} % to absorption; {out} along the "
            f"diffracted beam, extinction length {self.strength.extinction_length:.3g} µm: "
            f"{verdict}"
        )


def percent(share: float) -> str:
    """A share in percent, with two digits."""
    return f"{100.0 * share:.2g}" if share < 0.995 else f"{100.0 * share:.0f}"
