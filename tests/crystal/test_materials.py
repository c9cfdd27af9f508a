import re
from itertools import product
from pathlib import Path

import gemmi
import numpy as np
import pytest

from weakbeam.crystal.atoms import expand_sites
from weakbeam.crystal.materials import (
    MATERIALS,
    SOURCES,
    extinction_reason,
    material,
    materials_markdown,
)
from weakbeam.crystal.symmetry import check_cell

ALL = pytest.mark.parametrize("name", MATERIALS)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "materials.md"

# Densities at room temperature, g/cm³.
DENSITY = {
    "Al": 2.699,
    "Cu": 8.96,
    "Ni": 8.908,
    "Au": 19.30,
    "Ag": 10.49,
    "Pt": 21.45,
    "Fe": 7.874,
    "W": 19.25,
    "Mo": 10.22,
    "Ta": 16.65,
    "Nb": 8.57,
    "V": 6.11,
    "Cr": 7.19,
    "Ti": 4.506,
    "Mg": 1.738,
    "Zn": 7.14,
    "Zr": 6.52,
    "Co": 8.86,
    "Si": 2.329,
    "Ge": 5.323,
    "diamond": 3.515,
    "GaAs": 5.318,
    "GaN": 6.10,
    "ZnO": 5.67,
    "4H-SiC": 3.21,
    "quartz": 2.648,
    "rutile": 4.25,
    "Sn": 7.29,
}


def stiffness_matrix(c):
    """Voigt matrix of a cubic, hexagonal, trigonal or tetragonal crystal."""
    c11, c12, c44 = c["C11"], c["C12"], c["C44"]
    c13, c33 = c.get("C13", c12), c.get("C33", c11)
    c66 = c.get("C66", (c11 - c12) / 2 if "C33" in c else c44)
    matrix = np.diag([c11, c11, c33, c44, c44, c66])
    matrix[0, 1] = matrix[1, 0] = c12
    matrix[0, 2] = matrix[2, 0] = matrix[1, 2] = matrix[2, 1] = c13
    c14 = c.get("C14", 0.0)
    for i, j, sign in ((0, 3, 1), (1, 3, -1), (4, 5, 1)):
        matrix[i, j] = matrix[j, i] = sign * c14
    return matrix


def moduli(matrix, shear_factor):
    """Sums of a Voigt matrix that enter its bulk and shear averages."""
    diagonal, off = np.trace(matrix[:3, :3]), matrix[0, 1] + matrix[0, 2] + matrix[1, 2]
    return diagonal + 2 * off, shear_factor * (diagonal - off), np.trace(matrix[3:, 3:])


def voigt_reuss_hill(c):
    """Poisson ratio of the isotropic aggregate (Hill, Proc. Phys. Soc. A 65, 349, 1952)."""
    stiff = stiffness_matrix(c)
    sum_voigt, shear_voigt, corner_voigt = moduli(stiff, 1)
    k_voigt, g_voigt = sum_voigt / 9, (shear_voigt + 3 * corner_voigt) / 15
    sum_reuss, shear_reuss, corner_reuss = moduli(np.linalg.inv(stiff), 4)
    k_reuss, g_reuss = 1 / sum_reuss, 15 / (shear_reuss + 3 * corner_reuss)
    k, g = (k_voigt + k_reuss) / 2, (g_voigt + g_reuss) / 2
    return (3 * k - 2 * g) / (2 * (3 * k + g))


def test_voigt_reuss_hill_of_an_isotropic_crystal_is_its_poisson_ratio():
    nu, mu = 0.3, 50.0
    c12 = 2 * mu * nu / (1 - 2 * nu)
    assert voigt_reuss_hill({"C11": c12 + 2 * mu, "C12": c12, "C44": mu}) == pytest.approx(nu)


@pytest.mark.parametrize(
    ("name", "expected"), [("Al", 0.346), ("Cu", 0.345), ("Fe", 0.290), ("W", 0.280)]
)
def test_voigt_reuss_hill_agrees_with_published_values(name, expected):
    assert voigt_reuss_hill(material(name).stiffness) == pytest.approx(expected, abs=1e-3)


@ALL
def test_poisson_ratio_agrees_with_the_stiffness(name):
    entry = material(name)
    assert entry.poisson_ratio == pytest.approx(voigt_reuss_hill(entry.stiffness), abs=0.03)


@ALL
def test_crystal_is_mechanically_stable(name):
    assert np.linalg.eigvalsh(stiffness_matrix(material(name).stiffness)).min() > 0


@ALL
def test_stiffness_has_the_constants_of_its_system(name):
    system = gemmi.find_spacegroup_by_name(material(name).space_group).crystal_system_str()
    names = {
        "cubic": {"C11", "C12", "C44"},
        "hexagonal": {"C11", "C12", "C13", "C33", "C44"},
        "trigonal": {"C11", "C12", "C13", "C14", "C33", "C44"},
        "tetragonal": {"C11", "C12", "C13", "C33", "C44", "C66"},
    }
    assert set(material(name).stiffness) == names[system]


@ALL
def test_stiffness_matrix_is_that_of_the_textbooks(name):
    entry = material(name)
    np.testing.assert_allclose(
        entry.stiffness_matrix, stiffness_matrix(entry.stiffness), rtol=1e-12, atol=1e-10
    )


def test_sign_of_c14_of_quartz_goes_with_its_axes():
    """Plates near the major rhombohedron (BT cut) are stiffer than near the minor (AT cut).

    The faces of the major one scatter more strongly. A shear along the twofold axis a in the plane
    of normal n has the modulus C_1jkl n_j n_l; 29.2 and 68.8 GPa at the two cuts are the textbooks'
    (Bottom, Introduction to Quartz Crystal Unit Design, 1982).
    """
    quartz = material("quartz")
    strengths = {}
    for hkl in ((1, 0, 1), (0, 1, 1)):
        amplitude = sum(
            gemmi.Element(element).atomic_number * np.exp(2j * np.pi * positions @ hkl).sum()
            for element, positions in expand_sites(quartz.space_group, quartz.sites)
        )
        strengths[hkl] = abs(amplitude)
    assert strengths[1, 0, 1] > 1.3 * strengths[0, 1, 1]
    c = quartz.stiffness_matrix

    def modulus(angle):
        y, z = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        return c[5, 5] * y * y + c[4, 4] * z * z + 2 * c[4, 5] * y * z

    # The normal of (0 1 1), in the plane of y and z: that of a minor face here.
    normal = quartz.cell.plane_normal((0, 1, 1))
    assert normal[0] == pytest.approx(0, abs=1e-12)
    minor = np.degrees(np.arctan2(normal[2], normal[1]))
    assert abs(minor - 35.25) < 4
    assert modulus(35.25) == pytest.approx(29.2, abs=0.4)
    assert modulus(-49.2) == pytest.approx(68.8, abs=1.5)


@ALL
def test_density_from_cell_and_sites(name):
    entry = material(name)
    atoms = expand_sites(entry.space_group, entry.sites)
    mass = sum(gemmi.Element(e).weight * len(positions) for e, positions in atoms)
    density = mass / 0.602214076 / entry.cell.volume  # u/Å³ to g/cm³
    assert density == pytest.approx(DENSITY[name], rel=0.01)


@ALL
def test_cell_fits_its_space_group(name):
    check_cell(material(name).space_group, material(name).cell, tolerance=1e-12)


@ALL
def test_sources_are_listed(name):
    sources = material(name).source.split("; ")
    assert len(sources) == 3
    assert set(sources) <= set(SOURCES)


def test_every_source_is_used():
    used = {short for entry in MATERIALS.values() for short in entry.source.split("; ")}
    assert used == set(SOURCES)


def test_unknown_material_names_the_nearest_and_all():
    with pytest.raises(ValueError, match="did you mean 'aluminum'") as error:
        material("Alumin")
    assert all(name in str(error.value) for name in MATERIALS)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="'Unobtainium' is unknown: known are"):
        material("Unobtainium")
    with pytest.raises(ValueError, match="did you mean 'diamond'"):
        material("Diamand")
    with pytest.raises(ValueError, match="unknown"):
        material("")


@pytest.mark.parametrize(
    ("name", "hkl"),
    [
        ("Al", (-1, 1, -1)),
        ("Al", (0, 0, 2)),
        ("Fe", (1, 1, 0)),
        ("Si", (1, 1, 1)),
        ("Si", (2, 2, 0)),
        ("Si", (4, 0, 0)),
        ("GaAs", (2, 0, 0)),
        ("GaAs", (2, 2, 2)),
        ("Mg", (0, 0, 2)),
        ("Mg", (1, 0, 0)),
        ("Mg", (1, 0, 1)),
        ("Mg", (1, 1, 2)),
        ("GaN", (0, 0, 2)),
        ("GaN", (1, 0, 5)),
    ],
)
def test_present_reflections(name, hkl):
    assert material(name).extinction_reason(hkl) is None


@pytest.mark.parametrize(
    ("name", "hkl", "words"),
    [
        ("Al", (1, 0, 0), "F centring"),
        ("Fe", (1, 0, 0), "I centring"),
        ("Si", (2, 0, 0), "screw axis|glide plane"),
        ("Si", (2, 2, 2), "opposite phases"),
        ("Si", (4, 4, 2), "opposite phases"),
        ("diamond", (2, 2, 2), "opposite phases"),
        ("Mg", (0, 0, 1), "screw axis"),
        ("Mg", (1, 1, 1), "glide plane"),
        ("Mg", (3, 0, 1), "opposite phases"),
        ("Mg", (1, -2, 3), "glide plane"),
        ("GaN", (0, 0, 1), "screw axis"),
    ],
)
def test_extinct_reflections_say_why(name, hkl, words):
    assert re.search(words, material(name).extinction_reason(hkl))


def unmixed(hkl):
    return len({index % 2 for index in hkl}) == 1


# Reflections that are present, by the textbook (Warren, X-Ray Diffraction, chapter 3).
RULES = {
    "Cu": unmixed,
    "W": lambda hkl: sum(hkl) % 2 == 0,
    "Ti": lambda hkl: (hkl[0] + 2 * hkl[1]) % 3 != 0 or hkl[2] % 2 == 0,
    "Ge": lambda hkl: unmixed(hkl) and (sum(hkl) % 2 == 1 or sum(hkl) % 4 == 0),
}


@pytest.mark.parametrize("name", RULES)
def test_extinctions_follow_the_textbook_rule_everywhere(name):
    for hkl in product(range(-2, 4), repeat=3):
        if any(hkl):
            present = material(name).extinction_reason(hkl) is None
            assert present == RULES[name](hkl), hkl


def test_extinction_of_own_sites_does_not_depend_on_the_origin():
    other_origin = [("Si", (1 / 8, 1 / 8, 1 / 8))]
    for hkl in ((2, 2, 2), (2, 0, 0), (1, 1, 1), (4, 2, 2), (4, 0, 0)):
        first = material("Si").extinction_reason(hkl)
        second = extinction_reason("F d -3 m:2", other_origin, hkl)
        assert (first is None) == (second is None)


def test_page_of_the_documentation_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == materials_markdown(), (
        f"write materials_markdown() to {PAGE}"
    )
