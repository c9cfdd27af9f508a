"""How X-rays are refracted and attenuated by what lenses, beam stops and crystals are made of.

The numbers come from the tables of xraydb, which takes half a second to import and is imported
where its file alone does not do (`elam_tables`). Attenuation is the total cross-section of Elam,
Ravel & Sieber (2002, Radiat. Phys. Chem. 63, 121), in which scattered photons count as lost;
refraction is the forward scattering of Chantler (2000, J. Phys. Chem. Ref. Data 29, 597).

For beryllium at 17 keV that is δ = 1.1782·10⁻⁶, where the classical formula r_e λ² n_e / 2π has
1.1783·10⁻⁶, and μ = 48.6 /m. The 49.6 /m found elsewhere is a straight line in log-log through the
values of NIST at 15 and 20 keV, with which these tables agree to four digits; the curve runs 2 %
below that line (docs/explanation/lens.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from weakbeam.core.material_names import table_name
from weakbeam.instrument.elam_tables import total_cross_section

ENERGY_RANGE_KEV = (0.1, 800.0)
"""Where the tables of attenuation begin and end."""

_AVOGADRO = 6.02214076e23
_SQUARE_ANGSTROM_PER_SQUARE_CM = 1e16


@dataclass(frozen=True)
class Substance:
    """What something is made of.

    Attributes
    ----------
    formula : str
        Atoms of the formula unit.
    density : float
        In g/cm³.
    """

    formula: str
    density: float


SUBSTANCES = {
    "Be": Substance("Be", 1.848),
    "Al": Substance("Al", 2.699),
    "diamond": Substance("C", 3.51),
    # The monomer of the epoxy; the resist is cross-linked, and its density is quoted as 1.19-1.22.
    "SU-8": Substance("C87H118O16", 1.2),
    "Ni": Substance("Ni", 8.902),
    "W": Substance("W", 19.3),
    "Au": Substance("Au", 19.32),
}
"""Substances by name: refractive lenses are made of the first five, beam stops of the last two."""


def substance(name: str) -> Substance:
    """Look up a substance of the table by its name, or by another one that people use.

    Raises
    ------
    ValueError
        If it is not in the table; the message names the nearest and lists all.
    """
    name = table_name(name)
    if name in SUBSTANCES:
        return SUBSTANCES[name]
    by_lower = {known.lower(): known for known in SUBSTANCES}
    nearest = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    hint = f"did you mean {by_lower[nearest[0]]!r}? " if nearest else ""
    raise ValueError(f"material {name!r} is unknown: {hint}known are {', '.join(SUBSTANCES)}")


def refractive_decrement(name: str, energy_kev: float) -> float:
    r"""Decrement δ of the refractive index n = 1 - δ + iβ.

    .. math:: \delta = \frac{r_e \lambda^2}{2\pi} \sum_j n_j f_{1j}

    with n_j atoms of kind j per volume and their forward scattering f_1.

    Parameters
    ----------
    name : str
        Name in the table of substances.
    energy_kev : float
        Photon energy (keV).

    Returns
    -------
    float
        δ, dimensionless; below an absorption edge it may be negative.

    Raises
    ------
    ValueError
        For an unknown substance or an energy outside the tables.
    """
    matter, energy_ev = substance(name), _tabulated(energy_kev)
    import xraydb

    delta, _, _ = xraydb.xray_delta_beta(matter.formula, matter.density, energy_ev)
    return float(delta)


def attenuation(name: str, energy_kev: float) -> float:
    """Linear attenuation coefficient μ, absorption and scattering together.

    Parameters
    ----------
    name, energy_kev
        As for :func:`refractive_decrement`, which refuses the same.

    Returns
    -------
    float
        μ in 1/µm: the thickness t transmits exp(-μ t).

    """
    matter, energy_ev = substance(name), _tabulated(energy_kev)
    import xraydb

    per_cm = xraydb.material_mu(matter.formula, energy_ev, density=matter.density, kind="total")
    return float(per_cm) * 1e-4


def cross_section(element: str, energy_kev: float) -> float:
    """Total cross-section of an atom, absorption and scattering together.

    Parameters
    ----------
    element : str
        Chemical symbol.
    energy_kev : float
        Photon energy (keV).

    Returns
    -------
    float
        In Å².

    Raises
    ------
    ValueError
        For an element or an energy outside the tables.
    """
    energy_ev = _tabulated(energy_kev)
    molar = total_cross_section(element, energy_ev)
    if molar is None:
        import xraydb

        square_cm_per_gram = float(xraydb.mu_elam(element, energy_ev, kind="total"))
        molar = square_cm_per_gram * float(xraydb.atomic_mass(element))
    return molar / _AVOGADRO * _SQUARE_ANGSTROM_PER_SQUARE_CM


def _tabulated(energy_kev: float) -> float:
    """Return the energy in eV; outside its tables xraydb would silently take their last value."""
    least, most = ENERGY_RANGE_KEV
    if not least <= energy_kev <= most:
        raise ValueError(
            f"energy {energy_kev:g} keV is outside the tables of attenuation, {least:g} to "
            f"{most:g} keV"
        )
    return 1e3 * energy_kev
