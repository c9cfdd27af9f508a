"""How strongly a crystal diffracts and absorbs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from weakbeam.crystal.atoms import AtomicStructure, Site, expand_sites
from weakbeam.crystal.slip import UM_PER_ANGSTROM
from weakbeam.crystal.structure_factor import structure_factors
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.instrument.matter import cross_section

ELECTRON_RADIUS_ANGSTROM = 2.8179403e-5
"""Classical radius of the electron, r_e."""


@dataclass(frozen=True)
class DiffractionStrength:
    r"""The strength of a reflection, for a beam polarised horizontally as at a synchrotron.

    Parameters
    ----------
    structure_factor : float
        :math:`|F|` in electrons per unit cell.
    theta : float
        Bragg angle (rad).
    d_spacing : float
        Spacing of the lattice planes (Å).
    cell_volume : float
        Volume V of the unit cell (Å³).
    polarization : float
        :math:`P = 1 - \sin^2 2\theta\, \sin^2\eta`: 1 in the vertical diffraction plane,
        :math:`\cos^2 2\theta` in the horizontal one.
    """

    structure_factor: float
    theta: float
    d_spacing: float
    cell_volume: float
    polarization: float

    @property
    def extinction_length(self) -> float:
        r"""Pendellösung period of the symmetric Laue case (µm).

        .. math:: \Lambda = \frac{\pi V \cos\theta}{r_e \lambda |F| C}, \qquad C = \sqrt{P}

        Over a thickness :math:`t \ll \Lambda` the kinematical intensity is right to a relative
        error of :math:`(\pi t / \Lambda)^2 / 3` (Authier 2001, Dynamical Theory of X-ray
        Diffraction, two beams in the symmetric Laue case).
        """
        wave = 2.0 * self.d_spacing * math.sin(self.theta)
        scattering = ELECTRON_RADIUS_ANGSTROM * wave * self._amplitude
        return math.pi * self.cell_volume * math.cos(self.theta) / scattering * UM_PER_ANGSTROM

    @property
    def reflectivity(self) -> float:
        r"""Kinematical integrated reflectivity per path (1/µm).

        .. math:: Q = \frac{r_e^2 \lambda^3 |F|^2}{V^2}\, \frac{P}{\sin 2\theta}

        The intensity integrated over the rocking angle, of a perfect crystal of thickness t, is
        Q t of the incident one (Warren 1969, X-ray Diffraction, integrated intensity of a small
        crystal). The Lorentz factor is the last denominator.
        """
        wave = 2.0 * self.d_spacing * math.sin(self.theta)
        scattering = (ELECTRON_RADIUS_ANGSTROM * self._amplitude / self.cell_volume) ** 2
        return scattering * wave**3 / math.sin(2.0 * self.theta) / UM_PER_ANGSTROM

    @property
    def scattering_power(self) -> float:
        r"""Weight of the acceptance p(q), which is normalised, of this reflection (1/µm).

        .. math:: w = \frac{r_e^2 |F|^2 P\, d^3}{V^2}

        A path s diffracts the part :math:`w\, s\, \Omega\, p(q)` of the incident beam into an
        objective that accepts the solid angle Ω: the scattering cross-section with
        :math:`(2\pi)^3 \delta(\Delta k - Q)`, in units of :math:`|Q| = 2\pi/d`. Reflections on one
        scale need this weight and no Lorentz factor, which is in p(q).
        """
        scattering = (ELECTRON_RADIUS_ANGSTROM * self._amplitude / self.cell_volume) ** 2
        return scattering * self.d_spacing**3 / UM_PER_ANGSTROM

    def path_in_beam(self, beam_height: float, eta: float = 0.0) -> float:
        """Path of the diffracted beam through a line beam of this height (µm): h/(sin2θ cosη)."""
        slope = abs(math.sin(2.0 * self.theta) * math.cos(eta))
        return beam_height / slope if slope > 0.0 else math.inf

    def kinematic_error(self, path: float) -> float:
        """Relative error of the kinematical intensity over a path (µm) at the Bragg angle.

        (π t/Λ)²/3 for a path t of the diffracted beam, at most 1 (see `extinction_length`). What
        the incident beam has lost before is apart (`weakbeam.diffraction.depletion`).
        """
        return min(1.0, (math.pi * path / self.extinction_length) ** 2 / 3.0)

    @property
    def _amplitude(self) -> float:
        return self.structure_factor * math.sqrt(self.polarization)


def polarization(theta: float, eta: float) -> float:
    r"""Polarisation factor P of a beam polarised horizontally.

    .. math:: P = 1 - \sin^2 2\theta\, \sin^2\eta

    Parameters
    ----------
    theta, eta : float
        Bragg angle and azimuth of the diffracted beam (rad).
    """
    return 1.0 - (math.sin(2.0 * theta) * math.sin(eta)) ** 2


def diffraction_strength(
    crystal: AtomicStructure,
    hkl: Sequence[int],
    energy_kev: float,
    eta: float = 0.0,
) -> DiffractionStrength:
    """Strength of a reflection of a crystal whose atoms are known.

    Parameters
    ----------
    crystal : AtomicStructure
        Its atoms; vibrations count where they have a temperature factor.
    hkl : sequence of 3 int
        The reflection.
    energy_kev : float
        Photon energy (keV).
    eta : float
        Azimuth of the diffracted beam (rad), 0 in the vertical plane.

    Returns
    -------
    DiffractionStrength

    Raises
    ------
    ValueError
        If the reflection is out of reach, or an element has no form factor.
    """
    spacing = float(crystal.cell.d_spacing(hkl))
    theta = bragg_angle(spacing, energy_kev)
    return DiffractionStrength(
        structure_factor=float(abs(structure_factors(crystal, hkl, energy_kev))),
        theta=theta,
        d_spacing=spacing,
        cell_volume=crystal.cell.volume,
        polarization=polarization(theta, eta),
    )


def absorption_length(crystal: AtomicStructure, energy_kev: float) -> float:
    r"""Path over which a crystal takes the beam to 1/e (µm), away from any reflection.

    .. math:: 1/\mu, \qquad \mu = \frac{1}{V} \sum_j o_j \sigma_j

    with the total cross-sections σ of the atoms, absorption and scattering
    (`weakbeam.instrument.matter.cross_section`).

    Parameters
    ----------
    crystal : AtomicStructure
        Its cell and atoms.
    energy_kev : float
        Photon energy (keV).

    Raises
    ------
    ValueError
        For an energy outside the tables.
    """
    atoms = expand_sites(crystal.space_group, crystal.sites)
    total = sum(
        Site(*site).occupancy * len(positions) * cross_section(element, energy_kev)
        for site, (element, positions) in zip(crystal.sites, atoms, strict=True)
    )
    return crystal.cell.volume / total * UM_PER_ANGSTROM
