import re
from fractions import Fraction
from itertools import product

import gemmi
import pytest

from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.symmetry import (
    absence_reason,
    centring_vectors,
    check_cell,
    find_space_group,
    lattice_type,
)

HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("space_group", "vectors"),
    [
        ("P 63/m m c", []),
        ("I m -3 m", [(HALF, HALF, HALF)]),
        ("C 2/m", [(HALF, HALF, 0)]),
        ("F m -3 m", [(0, HALF, HALF), (HALF, 0, HALF), (HALF, HALF, 0)]),
        (
            "R -3 m:H",
            [
                (Fraction(1, 3), Fraction(2, 3), Fraction(2, 3)),
                (Fraction(2, 3), Fraction(1, 3), Fraction(1, 3)),
            ],
        ),
        ("R -3 m:R", []),
    ],
)
def test_centring_vectors(space_group, vectors):
    assert centring_vectors(space_group) == ((0, 0, 0), *vectors)


@pytest.mark.parametrize(
    ("space_group", "lattice"),
    [
        ("P -1", "triclinic P"),
        ("C 2/m", "monoclinic C"),
        ("F m m m", "orthorhombic F"),
        ("I 4/m m m", "tetragonal I"),
        ("P 31 2 1", "hexagonal P"),
        ("R -3 m:H", "rhombohedral R"),
        ("R -3 m:R", "rhombohedral R"),
        ("P 63/m m c", "hexagonal P"),
        ("P m -3 m", "cubic P"),
        ("F d -3 m:2", "cubic F"),
        ("I m -3 m", "cubic I"),
    ],
)
def test_lattice_types(space_group, lattice):
    assert lattice_type(space_group) == lattice


def test_there_are_fourteen_lattices_and_settings_of_them():
    found = {lattice_type(group.xhm()) for group in gemmi.spacegroup_table()}
    bravais = {
        *("triclinic P", "monoclinic P", "monoclinic C", "orthorhombic P", "orthorhombic C"),
        *("orthorhombic F", "orthorhombic I", "tetragonal P", "tetragonal I", "rhombohedral R"),
        *("hexagonal P", "cubic P", "cubic F", "cubic I"),
    }
    assert bravais <= found
    assert {name for name in found if name.split()[0] in ("cubic", "hexagonal")} == {
        *("hexagonal P", "cubic P", "cubic F", "cubic I"),
    }


@pytest.mark.parametrize(
    ("space_group", "hkl", "words"),
    [
        ("F m -3 m", (1, 0, 0), "F centring: h, k, l must be all even or all odd"),
        ("F m -3 m", (2, 1, 1), "F centring"),
        ("I m -3 m", (1, 0, 0), "I centring: h \\+ k \\+ l must be even"),
        ("R -3 m:H", (1, 0, 0), "R centring: −h \\+ k \\+ l must be a multiple of 3"),
        ("P 63/m m c", (0, 0, 1), "screw axis .* of P 63/m m c"),
        ("P 63/m m c", (1, 1, 1), "glide plane .* of P 63/m m c"),
        ("F d -3 m:1", (2, 0, 0), "of F d -3 m:1"),
        ("F d -3 m:2", (4, 2, 0), "of F d -3 m:2"),
        ("P 1 21 1", (0, 1, 0), "screw axis"),
        ("P 1 c 1", (1, 0, 1), "glide plane"),
    ],
)
def test_absent_reflections_say_why(space_group, hkl, words):
    assert re.search(words, absence_reason(space_group, hkl))


@pytest.mark.parametrize(
    ("space_group", "hkl"),
    [
        ("F m -3 m", (-1, 1, -1)),
        ("F m -3 m", (2, 0, 0)),
        ("I m -3 m", (1, 1, 0)),
        ("R -3 m:H", (1, 0, 1)),
        ("R -3 m:H", (0, 0, 3)),
        ("R -3 m:R", (1, 0, 0)),
        ("P 63/m m c", (0, 0, 2)),
        ("P 63/m m c", (1, 0, 1)),
        ("F d -3 m:1", (2, 2, 2)),  # absent for atoms on special positions only
        ("F d -3 m:1", (1, 1, 1)),
    ],
)
def test_allowed_reflections(space_group, hkl):
    assert absence_reason(space_group, hkl) is None


def test_every_setting_of_every_group_agrees_with_gemmi():
    indices = [h for h in product((-3, 0, 1, 2), (-1, 0, 2), (0, 1, 3)) if any(h)]
    for group in gemmi.spacegroup_table():
        absent = group.operations().is_systematically_absent
        for hkl in indices[:: 1 + group.number % 5]:
            assert (absence_reason(group.xhm(), hkl) is not None) == absent(hkl), (group, hkl)


@pytest.mark.parametrize(
    ("space_group", "cell"),
    [
        ("P 1", UnitCell(4.1, 5.3, 6.7, 81, 97, 103)),
        ("P 1 21/c 1", UnitCell(4.1, 5.3, 6.7, beta=103)),
        ("P 1 1 21/b", UnitCell(4.1, 5.3, 6.7, gamma=103)),
        ("P n m a", UnitCell(4.1, 5.3, 6.7)),
        ("P 42/m n m", UnitCell(4.1, 4.1, 6.7)),
        ("R -3 c:H", UnitCell.hexagonal(4.76, 12.99)),
        ("R -3 c:R", UnitCell(5.1, 5.1, 5.1, 55, 55, 55)),
        ("P 63/m m c", UnitCell.hexagonal(3.2, 5.2)),
        ("F m -3 m", UnitCell.cubic(4.05)),
        ("F m -3 m", UnitCell(4.05, 4.05, 4.0501)),  # a strained cubic lattice
    ],
)
def test_cells_that_fit_their_group(space_group, cell):
    check_cell(space_group, cell)


@pytest.mark.parametrize(
    ("space_group", "cell", "words"),
    [
        ("P 1 21/c 1", UnitCell(4.1, 5.3, 6.7, gamma=103), "α = γ = 90°"),
        ("P 1 1 21/b", UnitCell(4.1, 5.3, 6.7, beta=103), "α = β = 90°"),
        ("P n m a", UnitCell(4.1, 5.3, 6.7, beta=92), "α = β = γ = 90°"),
        ("P 42/m n m", UnitCell(4.1, 5.3, 6.7), "a = b"),
        ("R -3 c:H", UnitCell(5.1, 5.1, 5.1, 55, 55, 55), "γ = 120°"),
        ("R -3 c:R", UnitCell.hexagonal(4.76, 12.99), "a = b = c and α = β = γ"),
        ("P 63/m m c", UnitCell(3.2, 3.2, 5.2), "γ = 120°"),
        ("P 63/m m c", UnitCell(3.2, 3.2, 5.2, gamma=60), "γ = 120°"),
        ("F m -3 m", UnitCell(4.05, 4.05, 4.1), "a = b = c"),
    ],
)
def test_cells_that_contradict_their_group(space_group, cell, words):
    with pytest.raises(ValueError, match=words) as error:
        check_cell(space_group, cell)
    assert "\n" not in str(error.value)


def test_every_group_has_a_rule_for_its_cell():
    skew = UnitCell(4.1, 5.3, 6.7, 81, 97, 103)
    for group in gemmi.spacegroup_table():
        if group.number <= 2:
            check_cell(group.xhm(), skew)
        else:
            with pytest.raises(ValueError, match="contradicts space group"):
                check_cell(group.xhm(), skew)


def test_unknown_groups_name_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean 'F m -3 m'"):
        find_space_group("F m -3 mm")
    with pytest.raises(ValueError, match="unknown"):
        find_space_group("")
