import cmath
import math

import gemmi
import numpy as np
import pytest

from weakbeam.crystal.atoms import AtomicStructure, expand_sites
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.materials import MATERIALS, extinction_reason, material
from weakbeam.crystal.structure_factor import anomalous_terms, form_factor, structure_factors

ENERGY = 17.0


def factor(name: str, hkl, energy: float = ENERGY) -> complex:
    m = material(name)
    return complex(structure_factors(m.atomic_structure, hkl, energy))


def of_atom(element: str, cell: UnitCell, hkl, energy: float = ENERGY) -> complex:
    at_rest = float(form_factor(element, 0.5 / cell.d_spacing(hkl)))
    return at_rest + complex(*anomalous_terms(element, energy))


@pytest.mark.parametrize("name", ["Al", "W", "Ti", "Si", "GaAs", "GaN"])
def test_equals_the_sum_over_the_atoms_written_out(name: str) -> None:
    m = material(name)
    for hkl in [(1, 1, 1), (2, 0, 0), (1, 0, 1), (2, -1, 3), (0, 0, 2), (2, 2, 2), (4, 0, 0)]:
        total = 0j
        for element, positions in expand_sites(m.space_group, m.sites):
            for x, y, z in positions:
                phase = 2 * math.pi * (hkl[0] * x + hkl[1] * y + hkl[2] * z)
                total += of_atom(element, m.cell, hkl) * cmath.exp(1j * phase)
        assert factor(name, hkl) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("name", MATERIALS)
def test_equals_gemmi_without_the_anomalous_terms(name: str) -> None:
    m = material(name)
    small = gemmi.SmallStructure()
    c = m.cell
    small.cell = gemmi.UnitCell(c.a, c.b, c.c, c.alpha, c.beta, c.gamma)
    small.spacegroup_hm = m.space_group
    small.spacegroup = gemmi.find_spacegroup_by_name(m.space_group)
    for element, position, *_ in m.sites:
        site = gemmi.SmallStructure.Site()
        site.type_symbol, site.element = element, gemmi.Element(element)
        site.fract, site.occ = gemmi.Fractional(*position), 1.0
        small.add_site(site)
    small.setup_cell_images()
    small.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    for hkl in [(1, 1, 1), (2, 0, 0), (0, 1, 1), (3, 1, 1), (0, 0, 2), (2, -1, 0)]:
        ours = structure_factors(AtomicStructure(c, m.space_group, m.sites), hkl, ENERGY)
        for element, positions in expand_sites(m.space_group, m.sites):
            phases = np.exp(2j * math.pi * positions @ hkl).sum()
            ours = ours - complex(*anomalous_terms(element, ENERGY)) * phases
        theirs = calculator.calculate_sf_from_small_structure(small, list(hkl))
        assert abs(ours) == pytest.approx(abs(theirs), abs=2e-3)


@pytest.mark.parametrize(
    ("name", "hkl", "atoms"),
    [("Al", (1, 1, 1), 4), ("Al", (2, 2, 0), 4), ("Fe", (1, 1, 0), 2), ("Si", (2, 2, 0), 8)],
)
def test_atoms_in_phase_add_up(name: str, hkl, atoms: int) -> None:
    m = material(name)
    assert abs(factor(name, hkl)) == pytest.approx(atoms * abs(of_atom(name, m.cell, hkl)))


def test_silicon_111_is_root_two_times_four_atoms() -> None:
    cell = material("Si").cell
    expected = 4 * math.sqrt(2) * abs(of_atom("Si", cell, (1, 1, 1)))
    assert abs(factor("Si", (1, 1, 1))) == pytest.approx(expected)


def test_zincblende_superlattice_reflection_is_the_difference_of_the_atoms() -> None:
    cell = material("GaAs").cell
    expected = 4 * abs(of_atom("Ga", cell, (2, 0, 0)) - of_atom("As", cell, (2, 0, 0)))
    assert abs(factor("GaAs", (2, 0, 0))) == pytest.approx(expected)
    assert 0 < expected < 0.1 * abs(factor("GaAs", (4, 0, 0)))


@pytest.mark.parametrize(
    ("name", "hkl"),
    [
        ("Al", (1, 0, 0)),
        ("Al", (2, 1, 1)),
        ("Fe", (1, 1, 1)),
        ("Si", (2, 0, 0)),
        ("Si", (2, 2, 2)),
        ("diamond", (4, 4, 2)),
        ("Ti", (0, 0, 1)),
        ("Mg", (1, 1, 1)),
        ("GaN", (0, 0, 3)),
    ],
)
def test_known_extinctions(name: str, hkl) -> None:
    m = material(name)
    assert extinction_reason(m.space_group, m.sites, hkl) is not None
    assert abs(factor(name, hkl)) < 1e-9


def test_forward_scattering_counts_the_electrons() -> None:
    for element, electrons in (("Al", 13), ("W", 74), ("Si", 14)):
        assert float(form_factor(element, 0.0)) == pytest.approx(electrons, abs=0.05)
    assert float(form_factor("Al", 0.2)) == pytest.approx(9.16, abs=0.02)


def test_anomalous_terms_of_the_international_tables() -> None:
    """Volume C, table 4.2.6.8, at Mo Kα."""
    assert anomalous_terms("Al", 17.479) == pytest.approx((0.0645, 0.0514), abs=0.001)
    assert anomalous_terms("Cu", 17.479) == pytest.approx((0.3201, 1.2651), abs=0.01)


def test_friedel_mates_differ_only_where_a_polar_crystal_absorbs() -> None:
    assert abs(factor("Si", (1, 1, 1))) == pytest.approx(abs(factor("Si", (-1, -1, -1))))
    plus, minus = abs(factor("GaAs", (1, 1, 1))), abs(factor("GaAs", (-1, -1, -1)))
    assert abs(plus - minus) > 1e-2


def test_shapes() -> None:
    m = material("Al")
    hkl = np.array([[[1, 1, 1], [2, 0, 0]], [[2, 2, 0], [3, 1, 1]]])
    many = structure_factors(m.atomic_structure, hkl, ENERGY)
    assert many.shape == (2, 2)
    assert many[1, 0] == pytest.approx(factor("Al", (2, 2, 0)))
    none = structure_factors(m.atomic_structure, np.zeros((0, 3)), ENERGY)
    assert none.shape == (0,)


@pytest.mark.parametrize("element", ["X", "Es"])
def test_elements_without_a_form_factor_are_refused(element: str) -> None:
    with pytest.raises(ValueError, match="no tabulated form factor"):
        form_factor(element, 0.1)
