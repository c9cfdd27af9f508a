"""From the table [reflection] to frames and motors, and what is told of impossible ones."""

import math

import numpy as np
import pytest

from weakbeam.assemble.reflection import geometry_of
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment, Reflection

ALUMINIUM = UnitCell.cubic(4.0493)
CUBE = np.eye(3)


def found(energy: float = 19.1, orientation=CUBE, **table):
    geometry, motors, notes = geometry_of(Reflection(**table), orientation, ALUMINIUM, energy)
    return geometry, {name: math.degrees(angle) for name, angle in motors.items()}, notes


def mistake(key: str, energy: float = 19.1, **table) -> str:
    with pytest.raises(InputError) as caught:
        found(energy, **table)
    assert caught.value.key == key
    assert "\n" not in str(caught.value)
    return caught.value.allowed


@pytest.mark.parametrize(("solution", "omega", "eta"), [(1, 6.432, 20.233), (2, 263.568, -20.233)])
def test_both_solutions_of_the_published_reflection(solution, omega, eta) -> None:
    geometry, motors, notes = found(hkl=(-1, -1, 3), geometry="oblique", solution=solution)
    assert math.degrees(geometry.theta) == pytest.approx(15.417, abs=1e-3)
    assert math.degrees(geometry.eta) == pytest.approx(eta, abs=1e-3)
    assert motors == {"mu": 0, "omega": pytest.approx(omega, abs=1e-3), "chi": 0, "phi": 0}
    assert notes == ()


def test_the_first_solution_is_the_default() -> None:
    first, other = (
        found(hkl=(-1, -1, 3), geometry="oblique", **k)[1] for k in ({}, {"solution": 1})
    )
    assert first == other


def test_the_symmetric_geometry_has_its_motors() -> None:
    orientation = symmetric_orientation(ALUMINIUM, (1, 1, 3), (1, -1, 0))
    geometry, motors, _ = found(orientation=orientation, hkl=(1, 1, 3))
    theta = math.degrees(geometry.theta)
    assert motors == {"mu": -theta, "omega": 0, "chi": 0, "phi": 0}
    expected = symmetric_geometry(geometry.theta)
    np.testing.assert_array_equal(geometry.lab_from_sample, expected.lab_from_sample)
    np.testing.assert_array_equal(geometry.motor_vectors, expected.motor_vectors)


def test_the_goniometer_contains_the_other_geometries() -> None:
    oblique, motors, _ = found(hkl=(1, -1, 3), geometry="oblique")
    solved, same_motors, _ = found(hkl=(1, -1, 3), geometry="goniometer")
    assert motors == same_motors
    np.testing.assert_array_equal(solved.motor_vectors, oblique.motor_vectors)
    orientation = symmetric_orientation(ALUMINIUM, (1, 1, 3), (1, -1, 0))
    symmetric, motors, _ = found(orientation=orientation, hkl=(1, 1, 3))
    given, _, notes = found(
        orientation=orientation,
        hkl=(1, 1, 3),
        geometry="goniometer",
        mu_deg=motors["mu"],
        omega_deg=0.0,
    )
    assert notes == ()
    for name in ("lab_from_sample", "lab_from_imaging", "motor_vectors"):
        np.testing.assert_allclose(getattr(given, name), getattr(symmetric, name), atol=1e-12)


def test_a_rounded_motor_is_set_exactly_and_told() -> None:
    exact = found(hkl=(-1, -1, 3), geometry="goniometer", mu_deg=-5.0, chi_deg=10.0)[1]
    rounded = round(exact["omega"], 2) - 360.0
    _, motors, (note,) = found(
        hkl=(-1, -1, 3), geometry="goniometer", mu_deg=-5.0, chi_deg=10.0, omega_deg=rounded
    )
    assert motors["omega"] == pytest.approx(exact["omega"] - 360.0, abs=1e-9)
    assert f"reflection.omega_deg = {rounded:g} is taken as {motors['omega']:.6f}" in note


def test_a_tilt_is_set_exactly_only_where_it_is_not_given() -> None:
    # An energy at which (0 1 7) diffracts at the very end of what no tilt reaches.
    near = {"hkl": (0, 1, 7), "geometry": "goniometer", "omega_deg": 90.0}
    energy = 76.5573
    _, motors, (note,) = found(energy, **near)
    assert motors["omega"] == 90.0
    assert 1e-6 < abs(motors["mu"]) < 0.01
    assert note.startswith(f"reflection.mu_deg = 0 is taken as {motors['mu']:.6f}")
    said = mistake("reflection.omega_deg", energy, **near, mu_deg=0.0)
    assert f"mu_deg = {motors['mu']:.9f} fulfils it" in said
    assert "omega_deg = " in said
    # Q along the ω axis: any ω diffracts, and the tilt is what would have to be moved.
    along = {"hkl": (0, 0, 2), "geometry": "goniometer", "omega_deg": 33.0}
    said = mistake("reflection.omega_deg", **along, mu_deg=-9.225)
    exact = float(said.partition("mu_deg = ")[2].partition(" fulfils")[0])
    _, motors, notes = found(**along, mu_deg=exact)
    assert (motors["omega"], motors["mu"], notes) == (33.0, pytest.approx(-9.224727, abs=1e-6), ())


def test_a_setting_that_misses_says_by_how_much_and_what_would_do() -> None:
    said = mistake("reflection.omega_deg", hkl=(-1, -1, 3), geometry="goniometer", omega_deg=8.0)
    assert "by 1.57 deg" in said
    assert "|k_out - k_in - Q| / |Q| = " in said
    assert "; omega_deg = 6.4316 or mu_deg = " in said
    tilt = float(said.partition("mu_deg = ")[2].partition(" fulfils it")[0])
    assert not found(
        hkl=(-1, -1, 3), geometry="goniometer", omega_deg=8.0, mu_deg=tilt
    )[2]  # fmt: skip
    said = mistake("reflection.omega_deg", hkl=(0, 0, 2), geometry="goniometer", omega_deg=8.0)
    assert "by 9.22 deg" in said
    assert "; mu_deg = -9.224727" in said
    said = mistake(
        "reflection.omega_deg", 40.0, hkl=(0, 1, 7), geometry="goniometer", omega_deg=90.0
    )
    assert "; mu_deg = -7.5718" in said
    tilt = float(said.partition("mu_deg = ")[2].partition(" fulfils it")[0])
    found(40.0, hkl=(0, 1, 7), geometry="goniometer", mu_deg=tilt, omega_deg=90.0)


def test_out_of_reach_says_which_energy_or_motor_would_do() -> None:
    said = mistake("reflection.hkl", 40.0, hkl=(0, 1, 7), geometry="oblique")
    energy = float(said.partition("at least ")[2].partition(" keV")[0])
    assert energy == pytest.approx(76.55, abs=0.01)
    assert "mu_deg from -23.832 to -7.572" in said
    for mu in (-23.832, -7.572):
        found(40.0, hkl=(0, 1, 7), geometry="goniometer", mu_deg=mu)
    found(energy * 1.001, hkl=(0, 1, 7), geometry="oblique")
    mistake("reflection.hkl", energy * 0.999, hkl=(0, 1, 7), geometry="oblique")
    assert "at most" in mistake(
        "reflection.hkl", 40.0, hkl=(0, 1, 7), geometry="goniometer", mu_deg=-40.0
    )
    said = mistake("reflection.hkl", hkl=(0, 0, 2), geometry="oblique")
    assert "mu_deg = -9.224727" in said
    assert "and any omega_deg" in said
    said = mistake("reflection.hkl", hkl=(0, 0, 2), geometry="goniometer", mu_deg=-9.2247)
    assert "give omega_deg" in said
    assert "needs more than 3.062 keV" in mistake(
        "reflection.hkl", 2.0, hkl=(0, 0, 2), geometry="oblique"
    )
    assert "2θ must be less than 90" in mistake(
        "reflection.hkl", 4.0, hkl=(0, 0, 2), geometry="oblique"
    )


def test_planes_that_lean_are_not_symmetric() -> None:
    assert "lean by 45 deg" in mistake("reflection.geometry", hkl=(0, 2, 2))


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        ('solution = 1', "reflection.solution", 'needs geometry = "oblique"'),
        ("mu_deg = 3", "reflection.mu_deg", 'needs geometry = "goniometer"'),
        ('geometry = "oblique"\nomega_deg = 3', "reflection.omega_deg", "goniometer"),
        ('geometry = "oblique"\nx_axis = [1, 0, 0]', "reflection.x_axis", "symmetric"),
        ('geometry = "oblique"\nsolution = 3', "reflection.solution", "from 1 to 2"),
        ('geometry = "oblique"\nsolution = 1.0', "reflection.solution", "from 1 to 2"),
        ('geometry = "goniometer"\nmu_deg = 91', "reflection.mu_deg", "-90 to 90"),
        ('geometry = "goniometer"\nphi_deg = nan', "reflection.phi_deg", "-360 to 360"),
        (
            'geometry = "goniometer"\nsolution = 2\nomega_deg = 1',
            "reflection.solution",
            "either solution or omega_deg",
        ),
        ('geometry = "sideways"', "reflection.geometry", '"oblique" or "goniometer"'),
    ],
)  # fmt: skip
def test_keys_belong_to_their_geometry(lines: str, key: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        Experiment.from_toml_text(f"[reflection]\n{lines}\n")
    assert caught.value.key == key
