"""Structure factors: how strongly the atoms of a cell scatter into a reflection."""

from __future__ import annotations

import math

import gemmi
import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.atoms import AtomicStructure, Site, expand_sites


def structure_factors(
    crystal: AtomicStructure,
    hkl: ArrayLike,
    energy_kev: float,
) -> NDArray[np.complex128]:
    r"""Structure factors of the unit cell, with anomalous terms.

    .. math:: F_{hkl} = \sum_j o_j\, (f_{0,j} + f'_j + i f''_j)\,
              e^{-B_j \sin^2\theta / \lambda^2}\, e^{2\pi i\, h \cdot x_j}

    Parameters
    ----------
    crystal : AtomicStructure
        Its atoms with their occupancies o and temperature factors B.
    hkl : (..., 3) array_like
        Miller indices.
    energy_kev : float
        Photon energy (keV), for the anomalous terms.

    Returns
    -------
    (...) complex ndarray
        In electrons per unit cell.

    Raises
    ------
    ValueError
        If an element has no tabulated form factor.

    Notes
    -----
    Form factors f0 are the sums of Gaussians of the International Tables for Crystallography C
    (1992), table 6.1.1.4; f' and f'' are those of Cromer & Liberman, J. Chem. Phys. 53, 1891
    (1970), both as gemmi has them. Sites without a temperature factor, such as those of the table
    of materials, are at rest.
    """
    indices = np.asarray(hkl, dtype=np.float64)
    sine_over_wavelength = np.linalg.norm(crystal.cell.plane_normal(indices), axis=-1) / (
        4 * math.pi
    )
    total = np.zeros(indices.shape[:-1], dtype=np.complex128)
    atoms = expand_sites(crystal.space_group, crystal.sites)
    for site, (element, positions) in zip(crystal.sites, atoms, strict=True):
        _, _, occupancy, b_factor = Site(*site)
        phases = np.exp(2j * math.pi * (indices @ positions.T)).sum(axis=-1)
        real, imaginary = anomalous_terms(element, energy_kev)
        amplitude = form_factor(element, sine_over_wavelength) + real + 1j * imaginary
        vibration = np.exp(-b_factor * np.square(sine_over_wavelength))
        total += occupancy * vibration * amplitude * phases
    return total


def form_factor(element: str, sine_over_wavelength: ArrayLike) -> Floats:
    """Scattering factor f0 of a neutral atom.

    Parameters
    ----------
    element : str
        Chemical symbol.
    sine_over_wavelength : (...) array_like
        sinθ/λ in 1/Å, up to 2.

    Returns
    -------
    (...) ndarray
        In electrons; the number of electrons at 0.

    Raises
    ------
    ValueError
        If the element is not in the table.
    """
    gaussians = gemmi.Element(element).it92
    if gemmi.Element(element).atomic_number == 0 or gaussians is None:
        raise ValueError(f"element {element!r} has no tabulated form factor")
    squared = np.square(np.asarray(sine_over_wavelength, dtype=np.float64))
    amplitudes, widths = np.array(gaussians.a), np.array(gaussians.b)
    return np.asarray(np.exp(-squared[..., None] * widths) @ amplitudes + gaussians.c)


def anomalous_terms(element: str, energy_kev: float) -> tuple[float, float]:
    """Anomalous terms f' and f'' of an atom, in electrons, at an energy in keV."""
    number = gemmi.Element(element).atomic_number
    real, imaginary = gemmi.cromer_liberman(number, 1000.0 * energy_kev)
    return float(real), float(imaginary)
