"""Materials: cell, structure, Poisson ratio and stiffness at room temperature, with sources.

One table holds every constant; an experiment overrides single ones. Atomic sites are part of it so
that absences of special positions (silicon 222) are computed rather than listed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import gemmi
import numpy as np

from weakbeam.crystal.atoms import AtomicStructure, Site, expand_sites
from weakbeam.crystal.lattice import UnitCell, miller
from weakbeam.crystal.symmetry import absence_reason


@dataclass(frozen=True)
class Material:
    """A crystal and its elastic constants.

    Attributes
    ----------
    name : str
        Chemical symbol, or the common name where a symbol has several structures.
    structure : str
        "fcc", "bcc", "hcp", "diamond", "zincblende" or "wurtzite".
    space_group : str
        Hermann-Mauguin symbol.
    cell : UnitCell
        Unit cell at room temperature.
    sites : tuple of Site
        Atoms of the asymmetric unit.
    poisson_ratio : float
        Of the isotropic aggregate.
    stiffness : mapping of str to float
        C11, C12, C44 in GPa, with C13 and C33 for hexagonal crystals.
    source : str
        Where cell, stiffness and Poisson ratio come from, separated by semicolons.
    """

    name: str
    structure: str
    space_group: str
    cell: UnitCell
    sites: tuple[Site, ...]
    poisson_ratio: float
    stiffness: Mapping[str, float]
    source: str

    @property
    def atomic_structure(self) -> AtomicStructure:
        """Cell, space group and atoms."""
        return AtomicStructure(self.cell, self.space_group, self.sites)

    def extinction_reason(self, hkl: Sequence[int]) -> str | None:
        """Say why a reflection is extinct, None if it is not; see `extinction_reason`."""
        return extinction_reason(self.space_group, self.sites, hkl)


def material(name: str) -> Material:
    """Look a material up by name, which is case-sensitive.

    Raises
    ------
    ValueError
        If it is not in the table; the message lists all, and names one that is close.
    """
    if name in MATERIALS:
        return MATERIALS[name]
    # Compared in one case so that "al" finds "Al".
    by_lower = {known.lower(): known for known in MATERIALS}
    nearest = get_close_matches(name.lower(), by_lower, n=1)
    hint = f"did you mean {by_lower[nearest[0]]!r}? " if nearest else ""
    raise ValueError(f"material {name!r} is unknown: {hint}known are {', '.join(MATERIALS)}")


def extinction_reason(space_group: str, sites: Sequence[Site], hkl: Sequence[int]) -> str | None:
    """Say why a reflection is extinct, by symmetry or by the positions of the atoms.

    The geometric structure factor Σ o Z exp(2πi h·x) runs over the atoms of the cell with the
    occupied part o of the atomic number Z for the scattering factor: where it vanishes, spherical
    atoms at rest scatter nothing.

    Parameters
    ----------
    space_group : str
        Hermann-Mauguin symbol.
    sites : sequence of Site
        Atoms of the asymmetric unit; their temperature factors do not matter.
    hkl : sequence of 3 int
        The reflection.

    Returns
    -------
    str or None
        The reason in words; None if the reflection is there.
    """
    reason = absence_reason(space_group, hkl)
    if reason is not None:
        return reason
    amplitude, electrons = 0j, 0.0
    atoms = expand_sites(space_group, sites)
    for site, (element, positions) in zip(sites, atoms, strict=True):
        weight = gemmi.Element(element).atomic_number * Site(*site).occupancy
        phases = 2 * math.pi * (positions @ np.array(miller(hkl)))
        amplitude += weight * complex(np.exp(1j * phases).sum())
        electrons += weight * len(positions)
    if abs(amplitude) < 1e-6 * electrons:
        return "the atoms of the cell scatter in opposite phases and cancel"
    return None


def materials_markdown() -> str:
    """Page docs/reference/materials.md, written from the table."""
    lines = [
        "# Materials",
        "",
        'The constants behind `[crystal] material = "..."` at room temperature: cell in angstrom,',
        "stiffness in GPa, Poisson ratio of the isotropic aggregate. A key beside `material`",
        "overrides the table.",
        "",
        "| name | structure | space group | a | c | Poisson ratio | C11 | C12 | C44 | C13 | C33 "
        "| sources (cell; stiffness; Poisson ratio) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in MATERIALS.values():
        hexagonal = "C33" in entry.stiffness
        cells = [
            entry.name,
            entry.structure,
            entry.space_group,
            f"{entry.cell.a:g}",
            f"{entry.cell.c:g}" if hexagonal else "",
            f"{entry.poisson_ratio:g}",
            *(f"{entry.stiffness[c]:g}" for c in ("C11", "C12", "C44")),
            *(f"{entry.stiffness[c]:g}" if hexagonal else "" for c in ("C13", "C33")),
            entry.source,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Sources", ""]
    lines += [f"- **{short}**: {full}" for short, full in SOURCES.items()]
    return "\n".join(lines) + "\n"


SOURCES = {
    "CRC": "CRC Handbook of Chemistry and Physics, 98th ed. (2017), Crystal Structures and Lattice "
    "Parameters of the Elements; Elastic Constants of Single Crystals.",
    "Hirth": "J. P. Hirth and J. Lothe, Theory of Dislocations, 2nd ed. (Wiley, 1982), appendices.",
    "Simmons": "G. Simmons and H. Wang, Single Crystal Elastic Constants and Calculated Aggregate "
    "Properties (MIT Press, 1971).",
    "Featherston": "F. H. Featherston and J. R. Neighbours, Phys. Rev. 130, 1324 (1963).",
    "Macfarlane": "R. E. Macfarlane, J. A. Rayne and C. K. Jones, Phys. Lett. 18, 91 (1965).",
    "Fisher": "E. S. Fisher and C. J. Renken, Phys. Rev. 135, A482 (1964).",
    "McSkimin 1955": "H. J. McSkimin, J. Appl. Phys. 26, 406 (1955).",
    "McSkimin 1972": "H. J. McSkimin and P. Andreatch, J. Appl. Phys. 43, 2944 (1972).",
    "Adachi": "S. Adachi, J. Appl. Phys. 58, R1 (1985).",
    "Vurgaftman": "I. Vurgaftman and J. R. Meyer, J. Appl. Phys. 94, 3675 (2003).",
    "Polian": "A. Polian, M. Grimsditch and I. Grzegory, J. Appl. Phys. 79, 3343 (1996).",
    "model": "the value of the published forward models, docs/explanation/physics.md, B3 and D6.",
    "common": "the rounded value of common tables for polycrystalline metals.",
    "VRH": "Voigt-Reuss-Hill average of the stiffness given.",
}

_ORIGIN = (0.0, 0.0, 0.0)
_HCP_SITE = (1 / 3, 2 / 3, 1 / 4)


def _cubic(c11: float, c12: float, c44: float) -> dict[str, float]:
    return {"C11": c11, "C12": c12, "C44": c44}


def _hexagonal(c11: float, c12: float, c13: float, c33: float, c44: float) -> dict[str, float]:
    return {"C11": c11, "C12": c12, "C13": c13, "C33": c33, "C44": c44}


def _fcc(name: str, a: float, nu: float, stiffness: dict[str, float], source: str) -> Material:
    cell, sites = UnitCell.cubic(a), (Site(name, _ORIGIN),)
    return Material(name, "fcc", "F m -3 m", cell, sites, nu, stiffness, source)


def _bcc(name: str, a: float, nu: float, stiffness: dict[str, float], source: str) -> Material:
    cell, sites = UnitCell.cubic(a), (Site(name, _ORIGIN),)
    return Material(name, "bcc", "I m -3 m", cell, sites, nu, stiffness, source)


def _hcp(
    name: str, a: float, c: float, nu: float, stiffness: dict[str, float], source: str
) -> Material:
    cell, sites = UnitCell.hexagonal(a, c), (Site(name, _HCP_SITE),)
    return Material(name, "hcp", "P 63/m m c", cell, sites, nu, stiffness, source)


def _diamond(
    name: str, element: str, a: float, nu: float, stiffness: dict[str, float], source: str
) -> Material:
    # Origin choice 1: an atom at the origin.
    cell, sites = UnitCell.cubic(a), (Site(element, _ORIGIN),)
    return Material(name, "diamond", "F d -3 m:1", cell, sites, nu, stiffness, source)


_TABLE = (
    _fcc("Al", 4.0495, 0.334, _cubic(108.2, 61.3, 28.5), "model; Hirth; model"),
    _fcc("Cu", 3.6146, 0.34, _cubic(168.4, 121.4, 75.4), "CRC; Hirth; model"),
    _fcc("Ni", 3.5240, 0.31, _cubic(248.1, 154.9, 124.2), "CRC; CRC; model"),
    _fcc("Au", 4.0782, 0.42, _cubic(192.44, 162.98, 42.0), "CRC; CRC; common"),
    _fcc("Ag", 4.0857, 0.37, _cubic(123.99, 93.67, 46.12), "CRC; CRC; common"),
    _fcc("Pt", 3.9242, 0.38, _cubic(346.7, 250.7, 76.5), "CRC; Macfarlane; common"),
    _bcc("Fe", 2.8665, 0.29, _cubic(231.0, 135.0, 116.0), "CRC; Simmons; model"),
    _bcc("W", 3.1652, 0.28, _cubic(522.0, 204.0, 160.8), "CRC; Featherston; model"),
    _bcc("Mo", 3.1470, 0.31, _cubic(463.7, 157.8, 109.2), "CRC; CRC; common"),
    _bcc("Ta", 3.3030, 0.34, _cubic(260.2, 154.4, 82.55), "CRC; CRC; common"),
    _bcc("Nb", 3.3004, 0.40, _cubic(246.5, 134.5, 28.73), "CRC; CRC; common"),
    _bcc("V", 3.0240, 0.37, _cubic(228.0, 119.0, 42.6), "CRC; Hirth; common"),
    _bcc("Cr", 2.8848, 0.21, _cubic(339.8, 58.6, 99.0), "CRC; CRC; common"),
    _hcp(
        "Ti", 2.9506, 4.6835, 0.32, _hexagonal(162.4, 92.0, 69.0, 180.7, 46.7),
        "CRC; Fisher; model",
    ),
    _hcp(
        "Mg", 3.2094, 5.2107, 0.29, _hexagonal(59.5, 26.12, 21.805, 61.55, 16.35),
        "CRC; CRC; model",
    ),
    _hcp(
        "Zn", 2.6650, 4.9470, 0.25, _hexagonal(163.68, 36.4, 53.0, 63.47, 38.79),
        "CRC; CRC; common",
    ),
    _hcp(
        "Zr", 3.2316, 5.1475, 0.34, _hexagonal(143.4, 72.8, 65.3, 164.8, 32.0),
        "CRC; Fisher; common",
    ),
    _hcp(
        "Co", 2.5071, 4.0695, 0.31, _hexagonal(307.1, 165.0, 102.7, 358.1, 75.5),
        "CRC; McSkimin 1955; common",
    ),
    _diamond("Si", "Si", 5.4310, 0.22, _cubic(165.7, 63.9, 79.6), "CRC; Hirth; VRH"),
    _diamond("Ge", "Ge", 5.6579, 0.21, _cubic(128.9, 48.3, 67.1), "CRC; Hirth; VRH"),
    _diamond("diamond", "C", 3.5670, 0.07, _cubic(1079.0, 124.0, 578.0), "CRC; McSkimin 1972; VRH"),
    Material(
        "GaAs", "zincblende", "F -4 3 m", UnitCell.cubic(5.6533),
        (Site("Ga", _ORIGIN), Site("As", (1 / 4, 1 / 4, 1 / 4))),
        0.24, _cubic(118.8, 53.8, 59.4), "Adachi; Adachi; VRH",
    ),
    Material(
        "GaN", "wurtzite", "P 63 m c", UnitCell.hexagonal(3.189, 5.185),
        (Site("Ga", (1 / 3, 2 / 3, 0.0)), Site("N", (1 / 3, 2 / 3, 0.377))),
        0.26, _hexagonal(390.0, 145.0, 106.0, 398.0, 105.0), "Vurgaftman; Polian; VRH",
    ),
)  # fmt: skip

MATERIALS: Mapping[str, Material] = {entry.name: entry for entry in _TABLE}
