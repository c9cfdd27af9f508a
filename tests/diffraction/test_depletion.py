"""What the incident beam loses: against an energy balance of single rays, and orders of magnitude.

The balance shares no formula with the package: rays are drawn as wavevectors, and each is
diffracted by two-beam theory of a plate of known thickness.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from weakbeam.crystal.materials import material
from weakbeam.diffraction.depletion import NOT_KINEMATICAL, Depletion, bragg_density
from weakbeam.diffraction.strength import (
    DiffractionStrength,
    absorption_length,
    diffraction_strength,
)
from weakbeam.instrument.optics import Optics

WAVELENGTH = 12.398419843 / 17.0
THETA = math.asin(WAVELENGTH / 2.0 / 2.338)
SPACING, VOLUME, ELECTRONS = 2.338, 66.4, 0.4
BEAM = Optics(6e-5, 2.25e-4, 1.4e-4, 0.0, 3.1e-4, 1.03e-3)


def weak(eta):
    """A reflection so weak that thick plates are thin against its extinction length."""
    polarization = 1.0 - (math.sin(2 * THETA) * math.sin(eta)) ** 2
    return DiffractionStrength(ELECTRONS, THETA, SPACING, VOLUME, polarization)


def energy_balance(optics, eta, turned, rays=3_000_000):
    """Share of the beam that a plate diffracts, per path (1/µm), and its statistical error."""
    draw = np.random.default_rng(11)
    if math.isinf(optics.divergence_vertical):
        vertical = draw.uniform(-optics.clip, optics.clip, rays)
    else:
        vertical = draw.normal(size=rays) * optics.divergence_vertical
        vertical = vertical[abs(vertical) < optics.clip]
    horizontal = draw.normal(size=vertical.size) * optics.divergence_horizontal
    energy = draw.normal(size=vertical.size) * optics.bandwidth
    if optics.spectrum:
        weights, centres, widths = np.array(optics.spectrum).T
        line = draw.choice(len(weights), vertical.size, p=weights / weights.sum())
        energy = centres[line] + widths[line] * draw.normal(size=vertical.size)
    k = (1.0 + energy) * np.stack([np.ones(vertical.size), horizontal, vertical])
    k *= 2.0 * math.pi / WAVELENGTH / np.sqrt(1.0 + horizontal**2 + vertical**2)
    wave = 2.0 * math.pi / WAVELENGTH
    out = np.array(
        [
            math.cos(2 * THETA),
            -math.sin(2 * THETA) * math.sin(eta),
            math.sin(2 * THETA) * math.cos(eta),
        ]
    )
    axis = np.cross([1.0, 0.0, 0.0], out)
    axis /= np.linalg.norm(axis)
    g = wave * (out - [1.0, 0.0, 0.0])
    # Rodrigues' rotation by the angle `turned`; the axis is perpendicular to g.
    g = g * math.cos(turned) + np.cross(axis, g) * math.sin(turned)
    missed = (2.0 * g @ k + g @ g) / (2.0 * wave * np.linalg.norm(g) * math.cos(THETA))
    contrast = math.sqrt(1.0 - (math.sin(2 * THETA) * math.sin(eta)) ** 2)
    extinction = math.pi * VOLUME * math.cos(THETA)
    extinction /= 2.8179403e-5 * WAVELENGTH * ELECTRONS * contrast
    extinction *= 1e-4
    thickness = 0.03 * extinction
    y = missed * extinction / (SPACING * 1e-4)
    diffracted = np.sin(math.pi * 0.03 * np.sqrt(1.0 + y**2)) ** 2 / (1.0 + y**2)
    path = thickness / math.cos(THETA)
    return diffracted.mean() / path, diffracted.std() / math.sqrt(y.size) / path


CASES = {
    "at the peak": ({}, 0.0, 0.0),
    "beside it": ({}, 0.0, 1.3e-4),
    "on the other side": ({}, 0.0, -1.3e-4),
    "at the edge": ({}, 0.0, 1.45e-4),
    "oblique": ({"divergence_horizontal": 8e-5}, 0.9, 3e-5),
    "oblique, backwards": ({}, -2.2, 0.0),
    "horizontal": ({"divergence_horizontal": 8e-5}, 0.5 * math.pi, -4e-5),
    "uniform": ({"divergence_vertical": math.inf}, 0.3, 5e-5),
    "two lines": ({"spectrum": ((1.0, -4e-4, 5e-5), (0.4, 9e-4, 3e-5))}, 0.0, -6e-5),
}


@pytest.mark.parametrize(("changes", "eta", "turned"), CASES.values(), ids=CASES)
def test_loss_is_that_of_the_energy_balance_of_rays(changes, eta, turned):
    optics = replace(BEAM, **changes)
    found = float(Depletion(weak(eta), optics, eta, 0.15, 20.0, 1e3).per_path(turned))
    expected, error = energy_balance(optics, eta, turned)
    assert error < 0.02 * expected
    # The plate smears the rocking angle by 2 µrad.
    assert abs(found - expected) < 4.0 * error + 0.02 * expected


def test_every_ray_is_diffracted_at_some_angle():
    angle = np.linspace(-6e-4, 6e-4, 40_001)
    for changes, eta, _ in CASES.values():
        density = bragg_density(THETA, eta, replace(BEAM, **changes), angle)
        assert np.trapezoid(density, angle) == pytest.approx(1.0, abs=1e-6)


def depletion(name, hkl, path=21.0, beam=BEAM, height=0.15):
    m = material(name)
    strength = diffraction_strength(m.atomic_structure, hkl, 17.0)
    length = absorption_length(m.atomic_structure, 17.0)
    return Depletion(strength, beam, 0.0, height, path, length)


@pytest.mark.parametrize(
    ("name", "hkl", "percent"),
    [("Al", (1, 1, 1), 1.1), ("Fe", (1, 1, 0), 8.6), ("W", (1, 1, 0), 48.0)],
)
def test_loss_per_path_is_of_the_known_order(name, hkl, percent):
    found = depletion(name, hkl)
    assert 100.0 * float(found.per_path()) == pytest.approx(percent, rel=0.15)
    # The diffracted beam's way out alone says a tenth of it.
    assert found.strength.kinematic_error(found.path_out) < 0.2 * float(found.per_path())


@pytest.mark.parametrize(("name", "percent"), [("Al", 3.0), ("Ti", 21.0), ("GaN", 48.0)])
def test_absorption_across_the_field(name, percent):
    hkl = (1, 1, 1) if name == "Al" else (0, 0, 2)
    assert 100.0 * depletion(name, hkl).absorbed == pytest.approx(percent, rel=0.05)


def test_loss_grows_along_the_path_as_what_is_left():
    whole, half = depletion("Fe", (1, 1, 0)), depletion("Fe", (1, 1, 0), path=10.5)
    assert 1.0 - whole.over_path() == pytest.approx((1.0 - half.over_path()) ** 2)
    assert whole.over_path() == pytest.approx(1.0 - math.exp(-21.0 * float(whole.per_path())))


def test_the_weak_beam_is_harmless_where_hardly_a_ray_meets_the_condition():
    for found in (depletion("Al", (1, 1, 1)), depletion("W", (1, 1, 0))):
        edge = found.harmless_from
        # Beyond the condenser's edge the energy's spread is all that is left.
        assert BEAM.clip < edge < BEAM.clip + 4.0 * BEAM.bandwidth * math.tan(THETA)
        assert found.error(edge) < NOT_KINEMATICAL <= found.error(edge - 1e-6)
        assert found.error(0.1e-3) > NOT_KINEMATICAL
        assert found.share(edge) < 0.3
    # A stronger reflection needs to be further away.
    assert depletion("W", (1, 1, 0)).harmless_from > depletion("Al", (1, 1, 1)).harmless_from
    shifted = replace(BEAM, spectrum=((1.0, 5e-4, 6e-5),))
    lopsided = depletion("Al", (1, 1, 1), beam=shifted)
    assert lopsided.harmless_from > 5e-4 * math.tan(THETA) + 1e-4


def test_kinematical_is_refused_where_it_is_not():
    """0.487 µm of the diffracted beam's way out would be 0.1 %."""
    note = depletion("Al", (1, 1, 1)).note()
    assert "kinematical to" not in note
    assert "loses 1.1 % per µm" in note
    assert "over the 21 µm of the field, and 3.1 % to absorption" in note
    assert note.endswith("not kinematical at the peak, to 5 % from 0.15 mrad off it")
    assert "\n" not in note
    small = depletion("Al", (3, 3, 3), path=0.4)
    assert small.harmless_from == 0.0
    assert "kinematical to 0.04" in small.note()
    # A thick line beam is enough to spoil it.
    assert "kinematical to" not in depletion("Al", (3, 3, 3), path=0.4, height=30.0).note()
