"""From the description to the physics: what is built, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment

DEFAULT = Experiment()


def test_default_in_numbers():
    setup = assemble(DEFAULT)
    assert np.degrees(setup.geometry.theta) == pytest.approx(8.97317, abs=1e-4)
    np.testing.assert_allclose(
        setup.sample_from_crystal,
        [
            np.array([1, 0, -1]) / np.sqrt(2),
            np.array([-1, -2, -1]) / np.sqrt(6),
            np.array([-1, 1, -1]) / np.sqrt(3),
        ],
        atol=1e-12,
    )
    (placed,) = setup.dislocations
    length = np.linalg.norm(placed.line.burgers_vector)
    assert length == pytest.approx(4.0495e-4 / np.sqrt(2))
    assert placed.character_deg == pytest.approx(0.0, abs=1e-9)
    assert placed.line.core_radius == pytest.approx(length)


@pytest.mark.parametrize("character", [0.0, 30.0, -30.0, 90.0])
def test_character_is_turned_from_edge_to_screw(character):
    (placed,) = assemble(
        DEFAULT.with_settings([f"defects[0].character_deg={character}"])
    ).dislocations
    assert placed.character_deg == pytest.approx(abs(character), abs=1e-9)


def test_core_radius_and_length_can_be_given():
    settings = [
        "crystal.core_radius_nm=2",
        "defects[0].burgers_nm=0.5",
        "defects[0].partial=true",
    ]
    (placed,) = assemble(DEFAULT.with_settings(settings)).dislocations
    assert placed.line.core_radius == pytest.approx(2e-3)
    assert np.linalg.norm(placed.line.burgers_vector) == pytest.approx(5e-4)


def test_own_cell_of_aluminium_is_aluminium():
    cell = "{ a = 4.0495, b = 4.0495, c = 4.0495, alpha = 90, beta = 90, gamma = 90 }"
    own = DEFAULT.with_settings(
        [
            f"crystal.cell={cell}",
            "crystal.space_group=F m -3 m",
            "crystal.poisson_ratio=0.334",
        ]
    )
    a, b = assemble(DEFAULT), assemble(own)
    np.testing.assert_allclose(a.sample_from_crystal, b.sample_from_crystal)
    assert a.geometry.theta == pytest.approx(b.geometry.theta)
    np.testing.assert_allclose(
        a.dislocations[0].line.burgers_vector, b.dislocations[0].line.burgers_vector
    )


def test_forbidden_by_the_basis_but_not_by_the_centring():
    silicon = ["crystal.material=Si", "reflection.hkl=[0, 0, 2]", "crystal.x_axis=[1, 0, 0]"]
    with pytest.raises(InputError, match="extinct"):
        assemble(DEFAULT.with_settings(silicon))


def test_scans_are_split_at_two_motors():
    settings = [
        "scan.z.values_um=[0, 1]",
        "scan.two_theta.values_mrad=[0, 1, 2]",
        "scan.chi.values_mrad=[0, 1]",
        "scan.phi.values_mrad=[0, 1]",
    ]
    scans = assemble(DEFAULT.with_settings(settings)).scans
    assert len(scans) == 6
    assert {scan.moving for scan in scans} == {("chi", "phi")}
    assert [float(scan.positions["z"][0]) for scan in scans] == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(
        [float(scan.positions["two_theta"][0]) for scan in scans], [0, 1e-3, 2e-3] * 2
    )


def test_mistake_in_a_later_defect_names_it():
    two = Experiment.from_toml_text(
        "[[defects]]\nburgers = [1, 0, -1]\nline = [1, -2, 1]\n"
        "[[defects]]\nplane = [1, 1, 1]\nburgers = [1, 1, 0]\nline = [1, -1, 0]\n"
    )
    with pytest.raises(InputError) as caught:
        assemble(two)
    assert caught.value.key == "defects[1].burgers"
