"""Places of atoms: their number by symmetry, and atoms at the same place."""

import numpy as np
import pytest

from weakbeam.crystal.atoms import (
    AtomicStructure,
    Site,
    check_occupancies,
    expand_sites,
    settle_sites,
)
from weakbeam.crystal.lattice import UnitCell


@pytest.mark.parametrize(
    ("space_group", "position", "count"),
    [
        ("F m -3 m", (0, 0, 0), 4),
        ("I m -3 m", (0, 0, 0), 2),
        ("F d -3 m:1", (0, 0, 0), 8),
        ("F d -3 m:2", (1 / 8, 1 / 8, 1 / 8), 8),
        ("P 63/m m c", (1 / 3, 2 / 3, 1 / 4), 2),
        ("P 63/m m c", (0.3333, 0.6667, 0.25), 2),
        ("P 63/m m c", (0, 0, 0), 2),
        ("P 63/m m c", (0.1, 0.23, 0.4), 24),
    ],
)
def test_sites_have_the_multiplicity_of_their_position(space_group, position, count):
    ((element, atoms),) = expand_sites(space_group, [("Al", position)])
    assert element == "Al"
    assert atoms.shape == (count, 3)
    assert np.all((atoms > -1e-8) & (atoms < 1))


CUBE = UnitCell.cubic(5.64)
GENERAL = (0.12, 0.23, 0.34)


@pytest.mark.parametrize(
    ("space_group", "sites", "words"),
    [
        (
            "F m -3 m",
            [Site("Al", (0, 0, 0)), Site("Al", (0.5, 0.5, 0))],
            r"Al at \(0, 0, 0\) and Al at \(0.5, 0.5, 0\) are at the same .* add up to 2;",
        ),
        (
            "F m -3 m",
            [Site("Na", (0, 0, 0), 0.7), Site("K", (0, 0, 0), 0.7), Site("Cl", (0.5, 0, 0))],
            r"Na at \(0, 0, 0\) and K at \(0, 0, 0\) are .* add up to 1.4;",
        ),
        ("P 1", [Site("Fe", (0, 0, 0)), Site("Fe", (1, -2, 3))], "add up to 2;"),
        ("P 1", [Site("Fe", (0, 0, 0)), Site("Fe", (0, 0, 0.9995))], "add up to 2;"),
        ("P -1", [Site("Fe", GENERAL), Site("Fe", (-0.12, -0.23, -0.34))], "add up to 2;"),
        (
            "P -1",
            [Site("Fe", GENERAL, 0.5), Site("Co", GENERAL, 0.3), Site("Ni", GENERAL, 0.4)],
            "Fe .* and Co .* and Ni .* add up to 1.2;",
        ),
    ],
)
def test_atoms_at_the_same_place_are_refused(space_group, sites, words):
    with pytest.raises(ValueError, match=words) as error:
        check_occupancies(
            AtomicStructure(
                CUBE, space_group, settle_sites(AtomicStructure(CUBE, space_group, sites))
            )
        )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("space_group", "sites"),
    [
        ("F m -3 m", [Site("Na", (0, 0, 0)), Site("Cl", (0.5, 0, 0))]),
        ("F m -3 m", [Site("Na", (0, 0, 0), 0.7), Site("K", (0.5, 0.5, 0), 0.3)]),
        ("P -1", [Site("Fe", GENERAL, 0.67), Site("Co", GENERAL, 0.34)]),
        ("P 1", [Site("Fe", (0, 0, 0)), Site("Fe", (0.5, 0.5, 0))]),
        ("P 1", [Site("H", (0, 0, 0.08)), Site("H", (0, 0, -0.08))]),
        ("P 1", [Site("H", (0, 0, 0), 0.5), Site("D", (0, 0, 0), 0.5)]),
        ("P 1", []),
    ],
)
def test_sites_may_be_shared_up_to_full_occupancy(space_group, sites):
    check_occupancies(
        AtomicStructure(CUBE, space_group, settle_sites(AtomicStructure(CUBE, space_group, sites)))
    )
