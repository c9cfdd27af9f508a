"""Extinction, absorption and kinematical weights against tabulated values and each other."""

import math

import numpy as np
import pytest

from weakbeam.crystal.atoms import AtomicStructure, Site
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.materials import material
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.strength import absorption_length, diffraction_strength
from weakbeam.instrument.matter import attenuation
from weakbeam.instrument.optics import Optics


def strength(name, hkl, energy=17.0, eta=0.0, b_factor=0.0):
    m = material(name)
    sites = [site._replace(b_factor=b_factor) for site in m.sites]
    return diffraction_strength(AtomicStructure(m.cell, m.space_group, sites), hkl, energy, eta)


def test_extinction_lengths_of_silicon_as_published():
    """Pendellösung periods at Mo Kα, 17.479 keV, with B = 0.46 Å²: 36.6 µm for 220."""
    found = strength("Si", (2, 2, 0), 17.479, b_factor=0.46)
    assert found.extinction_length == pytest.approx(36.6, rel=0.015)
    # Λ goes as cosθ/|F|.
    other = strength("Si", (1, 1, 1), 17.479, b_factor=0.46)
    ratio = other.extinction_length / found.extinction_length
    expected = (math.cos(other.theta) / math.cos(found.theta)) * (
        found.structure_factor / other.structure_factor
    )
    assert ratio == pytest.approx(expected)


def test_extinction_length_of_the_default_reflection_written_out():
    found = strength("Al", (-1, 1, -1))
    wave = 12.398419843 / 17.0
    expected = math.pi * 4.0495**3 * math.cos(found.theta)
    expected /= 2.8179403e-5 * wave * found.structure_factor
    assert found.extinction_length == pytest.approx(expected * 1e-4)
    assert found.extinction_length == pytest.approx(27.8, abs=0.1)


def test_polarisation_turns_with_the_azimuth():
    upright, level = strength("Al", (0, 0, 2)), strength("Al", (0, 0, 2), eta=math.pi / 2)
    cosine = math.cos(2 * upright.theta)
    assert upright.polarization == 1.0
    assert level.polarization == pytest.approx(cosine**2)
    assert level.extinction_length == pytest.approx(upright.extinction_length / cosine)
    assert level.reflectivity == pytest.approx(upright.reflectivity * cosine**2)


def test_integrated_reflectivity_of_a_thin_crystal_is_that_of_its_dynamical_theory():
    """Two beams, symmetric Laue case: I(y) = sin²(πt/Λ √(1+y²)) / (1+y²), with y = Δφ Λ/d."""
    found = strength("Si", (2, 2, 0))
    thickness = 1e-3 * found.extinction_length
    per_angle = found.extinction_length / (found.d_spacing * 1e-4)
    y = np.linspace(-2e5, 2e5, 4_000_001)
    curve = (np.sin(math.pi * thickness / found.extinction_length * np.hypot(1.0, y))) ** 2
    integrated = np.trapezoid(curve / (1.0 + y * y), y) / per_angle
    path = thickness / math.cos(found.theta)
    assert integrated == pytest.approx(found.reflectivity * path, rel=5e-3)


def test_weight_of_the_acceptance_gives_the_integrated_reflectivity():
    """Rocked through a narrow beam, a wide lens collects everything."""
    found = strength("Al", (-1, 1, -1))
    sigma = 2e-3
    optics = Optics(1e-6, 1e-5, math.inf, 0.0, sigma, math.inf)
    acceptance = SymmetricAcceptance(found.theta, optics)
    phi = np.linspace(-1e-4, 1e-4, 4001)
    q = phi[:, None] * np.array([math.cos(found.theta), 0.0, -math.sin(found.theta)])
    solid_angle = 2.0 * math.pi * sigma**2
    curve = found.scattering_power * solid_angle * acceptance.density(q)
    assert np.trapezoid(curve, phi) == pytest.approx(found.reflectivity, rel=1e-3)


def test_kinematic_error_is_that_of_the_dynamical_intensity():
    found = strength("Al", (-1, 1, -1))
    for part in (0.01, 0.05):
        path = part * found.extinction_length
        phase = math.pi * part
        exact = 1.0 - (math.sin(phase) / phase) ** 2
        assert found.kinematic_error(path) == pytest.approx(exact, rel=0.01)
    assert found.kinematic_error(1e6) == 1.0


def test_path_through_the_beam():
    found = strength("Al", (-1, 1, -1))
    assert found.path_in_beam(0.15) == pytest.approx(0.15 / math.sin(2 * found.theta))
    assert found.path_in_beam(0.15, math.pi / 3) == pytest.approx(2 * found.path_in_beam(0.15))
    assert found.path_in_beam(0.15, math.pi / 2) > 1e12


@pytest.mark.parametrize(("name", "energy"), [("Al", 17.0), ("Al", 30.0), ("W", 17.0)])
def test_absorption_is_that_of_the_substance(name, energy):
    m = material(name)
    found = absorption_length(m.atomic_structure, energy)
    # The densities of the two tables differ by 0.1 %.
    assert found == pytest.approx(1.0 / attenuation(name, energy), rel=3e-3)


def test_absorption_follows_the_occupancy_and_the_density():
    cell = UnitCell.cubic(4.0)
    full = absorption_length(AtomicStructure(cell, "P 1", [Site("Al", (0.0, 0.0, 0.0))]), 17.0)
    half = absorption_length(AtomicStructure(cell, "P 1", [Site("Al", (0.0, 0.0, 0.0), 0.5)]), 17.0)
    large = absorption_length(
        AtomicStructure(UnitCell.cubic(8.0), "P 1", [Site("Al", (0.0, 0.0, 0.0))]), 17.0
    )
    assert half == pytest.approx(2 * full)
    assert large == pytest.approx(8 * full)


def test_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="it needs more than"):
        strength("Al", (9, 9, 9))
