"""Materials: cell, structure, Poisson ratio and stiffness at room temperature, with sources.

One table holds every constant; an experiment overrides single ones. Atomic sites are part of it so
that absences of special positions (silicon 222) are computed rather than listed.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import gemmi
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.material_names import NAMES, table_name
from weakbeam.crystal.atoms import AtomicStructure, Site, expand_sites
from weakbeam.crystal.lattice import UnitCell, miller
from weakbeam.crystal.stiffness import averages, completed, zener_ratio
from weakbeam.crystal.symmetry import absence_reason


@dataclass(frozen=True)
class Material:
    """A crystal and its elastic constants.

    Attributes
    ----------
    name : str
        Chemical symbol, or the common name where a symbol has several structures.
    structure : str or None
        "fcc", "bcc", "hcp", "diamond", "zincblende" or "wurtzite"; None where the slip systems of
        none of them are the crystal's.
    space_group : str
        Hermann-Mauguin symbol.
    cell : UnitCell
        Unit cell at room temperature.
    sites : tuple of Site
        Atoms of the asymmetric unit.
    poisson_ratio : float
        Of the isotropic aggregate.
    stiffness : mapping of str to float
        The constants that the crystal class leaves free, in GPa, in the Cartesian crystal frame:
        C11, C12, C44 of cubic crystals; C13 and C33 besides of hexagonal ones, with C14 of trigonal
        and C66 of tetragonal ones.
    source : str
        Where cell, stiffness and Poisson ratio come from, separated by semicolons.
    """

    name: str
    structure: str | None
    space_group: str
    cell: UnitCell
    sites: tuple[Site, ...]
    poisson_ratio: float
    stiffness: Mapping[str, float]
    source: str

    @property
    def stiffness_matrix(self) -> Floats:
        """Voigt's matrix (6, 6), in GPa, in the Cartesian crystal frame."""
        given = {name.lower(): value for name, value in self.stiffness.items()}
        return completed(given, self.space_group, self.cell)

    @property
    def atomic_structure(self) -> AtomicStructure:
        """Cell, space group and atoms."""
        return AtomicStructure(self.cell, self.space_group, self.sites)

    def extinction_reason(self, hkl: Sequence[int]) -> str | None:
        """Say why a reflection is extinct, None if it is not; see `extinction_reason`."""
        return extinction_reason(self.space_group, self.sites, hkl)


def material(name: str) -> Material:
    """Look a material up by the name in the table, or by another one that people use.

    Raises
    ------
    ValueError
        If it is not in the table; the message lists all, and names one that is close.
    """
    name = table_name(name)
    if name in MATERIALS:
        return MATERIALS[name]
    by_lower = {
        text.lower(): text for known in MATERIALS for text in (known, *NAMES.get(known, ()))
    }
    nearest = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    hint = f"did you mean {by_lower[nearest[0]]!r}? " if nearest else ""
    raise ValueError(f"material {name!r} is unknown: {hint}known are {', '.join(MATERIALS)}")


def find_materials(text: str) -> list[Material]:
    """The materials that a name, the beginning of one or a structure stands for.

    Parameters
    ----------
    text : str
        Such as "copper", "Cu" or "hcp".

    Returns
    -------
    list of Material
        The one of that name; else all with that structure, or whose names begin so.

    Raises
    ------
    ValueError
        If there is none; see `material`.
    """
    if table_name(text) in MATERIALS:
        return [material(text)]
    word = text.lower()
    alike = [entry for entry in _TABLE if entry.structure == word]
    alike = alike or [
        entry
        for entry in _TABLE
        if len(word) > 1
        and any(name.lower().startswith(word) for name in (entry.name, *NAMES.get(entry.name, ())))
    ]
    return alike or [material(text)]


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
        "| name | structure | space group | a | c | Poisson ratio "
        "| sources (cell; stiffness; Poisson ratio) |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in MATERIALS.values():
        cells = [
            entry.name,
            entry.structure or "",
            entry.space_group,
            f"{entry.cell.a:g}",
            f"{entry.cell.c:g}" if entry.cell.c != entry.cell.a else "",
            f"{entry.poisson_ratio:g}",
            entry.source,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += _elasticity_markdown()
    lines += ["", "## Sources", ""]
    lines += [f"- **{short}**: {full}" for short, full in SOURCES.items()]
    return "\n".join(lines) + "\n"


_CONSTANTS = ("C11", "C12", "C44", "C13", "C33", "C14", "C66")


def _elasticity_markdown() -> list[str]:
    """Section on the elastic constants: as they are used, with what they make of the crystal."""
    lines = [
        "",
        "## Elastic constants",
        "",
        'What `elasticity = "anisotropic"` uses, in GPa. Axes: x along a, z along c (the cube axes',
        "of cubic crystals). Constants that are not listed follow from the crystal class. A is the",
        "universal anisotropy 5 G_V/G_R + K_V/K_R - 6, 0 of an isotropic crystal; K, G and the",
        "Poisson ratio are the Voigt-Reuss-Hill averages of the constants.",
        "",
        f"| name | {' | '.join(_CONSTANTS)} | Zener ratio | A | K | G | Poisson ratio |",
        "|---" * (len(_CONSTANTS) + 6) + "|",
    ]
    for entry in MATERIALS.values():
        matrix = entry.stiffness_matrix
        mean, ratio = averages(matrix), zener_ratio(matrix)
        cells = [
            entry.name,
            *(f"{entry.stiffness[c]:g}" if c in entry.stiffness else "" for c in _CONSTANTS),
            "" if ratio is None else f"{ratio:.3g}",
            f"{mean.universal_anisotropy:.2g}",
            f"{mean.bulk:.3g}",
            f"{mean.shear:.3g}",
            f"{mean.poisson_ratio:.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *textwrap.wrap(_QUARTZ_AXES, 100)]
    lines += ["", *textwrap.wrap(_UNCONFIRMED, 100)]
    return lines


_QUARTZ_AXES = (
    "The sign of C14 belongs to a choice of axes: a half turn about c reverses it. The table's "
    "quartz is the structure P 31 2 1 with silicon at (0.4697, 0, 1/3), whose planes {1 0 -1 1} "
    "scatter more strongly than {0 1 -1 1} and are the faces of the major rhombohedron; in these "
    "axes, those of the IRE standard of 1949, C14 is negative. With the structure P 32 2 1 and "
    "silicon at (0.4697, 0, 2/3) it is positive: give `stiffness_GPa` then."
)

_UNCONFIRMED = (
    "Unconfirmed: no second source was found for the constants of 4H-SiC (C13 is that of 6H-SiC, "
    "whose others are 501, 111, 553 and 163 GPa in the same paper, the same within its errors) and "
    "of rutile. Look them up in the papers that are named before results depend on them."
)


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
    "Abrahams 1969": "S. C. Abrahams and J. L. Bernstein, Acta Cryst. B25, 1233 (1969).",
    "Abrahams 1971": "S. C. Abrahams and J. L. Bernstein, J. Chem. Phys. 55, 3206 (1971).",
    "Levien": "L. Levien, C. T. Prewitt and D. J. Weidner, Am. Mineral. 65, 920 (1980).",
    "Bateman": "T. B. Bateman, J. Appl. Phys. 33, 3309 (1962).",
    "Bauer": "A. Bauer et al., Phys. Rev. B 57, 2647 (1998).",
    "Kamitani": "K. Kamitani et al., J. Appl. Phys. 82, 3152 (1997).",
    "Isaak": "D. G. Isaak, J. D. Carnes, O. L. Anderson, H. Cynn and E. Hake, Phys. Chem. Minerals "
    "26, 31 (1998).",
    "McSkimin 1965": "H. J. McSkimin, P. Andreatch and R. N. Thurston, J. Appl. Phys. 36, 1624 "
    "(1965).",
    "Rayne": "J. A. Rayne and B. S. Chandrasekhar, Phys. Rev. 120, 1658 (1960).",
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
    Material(
        "ZnO", "wurtzite", "P 63 m c", UnitCell.hexagonal(3.2495, 5.2069),
        (Site("Zn", (1 / 3, 2 / 3, 0.0)), Site("O", (1 / 3, 2 / 3, 0.3826))),
        0.36, _hexagonal(209.7, 121.1, 105.1, 210.9, 42.47), "Abrahams 1969; Bateman; VRH",
    ),
    Material(
        "4H-SiC", None, "P 63 m c", UnitCell.hexagonal(3.0805, 10.0848),
        (
            Site("Si", _ORIGIN), Site("Si", (1 / 3, 2 / 3, 1 / 4)),
            Site("C", (0.0, 0.0, 3 / 16)), Site("C", (1 / 3, 2 / 3, 7 / 16)),
        ),
        0.16, _hexagonal(507.0, 108.0, 52.0, 547.0, 159.0), "Bauer; Kamitani; VRH",
    ),
    Material(
        "quartz", None, "P 31 2 1", UnitCell.hexagonal(4.916, 5.4054),
        (Site("Si", (0.4697, 0.0, 1 / 3)), Site("O", (0.4135, 0.2669, 0.2142))),
        0.08, _hexagonal(86.80, 7.04, 11.91, 105.75, 58.20) | {"C14": -18.04},
        "Levien; McSkimin 1965; VRH",
    ),
    Material(
        "rutile", None, "P 42/m n m", UnitCell(4.5937, 4.5937, 2.9587, 90.0, 90.0, 90.0),
        (Site("Ti", _ORIGIN), Site("O", (0.3048, 0.3048, 0.0))),
        0.28, _hexagonal(268.0, 174.9, 147.4, 484.2, 123.8) | {"C66": 190.2},
        "Abrahams 1971; Isaak; VRH",
    ),
    Material(
        "Sn", None, "I 41/a m d:1", UnitCell(5.8316, 5.8316, 3.1815, 90.0, 90.0, 90.0),
        (Site("Sn", _ORIGIN),),
        0.36, _hexagonal(72.3, 59.4, 35.8, 88.4, 22.0) | {"C66": 24.0},
        "CRC; Rayne; VRH",
    ),
)  # fmt: skip

MATERIALS: Mapping[str, Material] = {entry.name: entry for entry in _TABLE}
