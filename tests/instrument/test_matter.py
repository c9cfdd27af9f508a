import math
import subprocess
import sys

import numpy as np
import pytest

from weakbeam.instrument.matter import (
    SUBSTANCES,
    attenuation,
    refractive_decrement,
    substance,
)

ELECTRON_RADIUS_CM = 2.8179403e-13
AVOGADRO = 6.02214076e23
HC_KEV_CM = 12.398419843e-8


def classical_decrement(atoms: dict[float, tuple[int, float]], density: float, energy: float):
    """Refraction by free electrons; atoms: mass to (electrons, number)."""
    mass = sum(m * number for m, (_, number) in atoms.items())
    electrons = sum(z * number for z, number in atoms.values())
    per_volume = density * AVOGADRO * electrons / mass
    return ELECTRON_RADIUS_CM * (HC_KEV_CM / energy) ** 2 * per_volume / (2 * math.pi)


@pytest.mark.parametrize(("energy", "expected"), [(17.0, 1.1783e-6), (19.1, 9.335e-7)])
def test_beryllium_refracts_as_published(energy: float, expected: float) -> None:
    # The published values are those of free electrons; bound ones differ in the fourth digit.
    assert refractive_decrement("Be", energy) == pytest.approx(expected, rel=3e-4)


@pytest.mark.parametrize(
    ("name", "atoms", "tolerance"),
    [
        ("Be", {9.012182: (4, 1)}, 5e-4),
        ("diamond", {12.011: (6, 1)}, 5e-4),
        ("Al", {26.981538: (13, 1)}, 5e-3),
        ("SU-8", {12.011: (6, 87), 1.008: (1, 118), 15.999: (8, 16)}, 1e-3),
    ],
)
def test_light_substances_refract_as_free_electrons(name, atoms, tolerance) -> None:
    expected = classical_decrement(atoms, SUBSTANCES[name].density, 25.0)
    assert refractive_decrement(name, 25.0) == pytest.approx(expected, rel=tolerance)


def test_decrement_falls_with_the_square_of_the_energy() -> None:
    ratio = refractive_decrement("Be", 15.0) / refractive_decrement("Be", 30.0)
    assert ratio == pytest.approx(4.0, rel=5e-4)


@pytest.mark.parametrize(
    ("name", "energy", "mass_attenuation"),
    # NIST, X-ray mass attenuation coefficients (Hubbell & Seltzer), cm²/g, at their own energies.
    [
        ("Be", 15.0, 0.3070),
        ("Be", 20.0, 0.2251),
        ("Be", 30.0, 0.1792),
        ("diamond", 20.0, 0.4420),
        ("Al", 20.0, 3.441),
        ("Ni", 20.0, 32.20),
    ],
)
def test_attenuation_is_that_of_nist(name: str, energy: float, mass_attenuation: float) -> None:
    per_um = 1e-4 * mass_attenuation * SUBSTANCES[name].density
    assert attenuation(name, energy) == pytest.approx(per_um, rel=1e-3)


def test_beryllium_attenuates_less_than_a_straight_line_between_entries_says() -> None:
    # 49.6 /m is the straight line in log-log between 15 and 20 keV; the curve is convex.
    line = 1.848e-4 * np.exp(np.interp(np.log(17), np.log([15, 20]), np.log([0.3070, 0.2251])))
    assert line == pytest.approx(49.6e-6, rel=1e-3)
    assert attenuation("Be", 17.0) == pytest.approx(0.98 * line, rel=2e-3)


def test_every_substance_has_numbers() -> None:
    for name in SUBSTANCES:
        assert 0 < refractive_decrement(name, 17.0) < 1e-4
        assert 0 < attenuation(name, 17.0) < 1


@pytest.mark.parametrize("energy", [0.0, -17.0, 0.09, 801.0, math.inf, math.nan])
@pytest.mark.parametrize("function", [attenuation, refractive_decrement])
def test_energies_outside_the_tables_are_refused(function, energy: float) -> None:
    with pytest.raises(ValueError, match=r"0\.1 to 800 keV") as caught:
        function("Be", energy)
    assert "\n" not in str(caught.value)


def test_unknown_substances_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"'su9' is unknown: did you mean 'SU-8'\?"):
        substance("su9")
    with pytest.raises(ValueError, match="'unobtainium' is unknown: known are Be, Al"):
        attenuation("unobtainium", 17.0)


def test_the_tables_are_imported_late() -> None:
    code = "import sys, weakbeam.instrument.matter; sys.exit('xraydb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
