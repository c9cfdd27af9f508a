"""Identities that images of any crystal, mount and reflection obey, by the whole route."""

import math

import numpy as np
import pytest
from instruments import BEAM
from scipy.spatial.transform import Rotation

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.defects.field import Superposition, UniformGradient
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.geometry import DiffractionGeometry, symmetric_geometry
from weakbeam.diffraction.goniometer_setting import solve_omega
from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.imaging.direct import direct_images, q_of_rays
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import ray_grid
from weakbeam.instrument.beam import BeamProfile
from weakbeam.instrument.optics import Optics

ENERGY = 25.0


def random_reflections(count, seed):
    """Triclinic crystals in random mounts, each with a reflection in its Bragg setting."""
    generator = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        edges, angles = generator.uniform(3.5, 7.0, 3), generator.uniform(75.0, 105.0, 3)
        cell = UnitCell(*edges, *angles)
        hkl = generator.integers(-3, 4, 3)
        mount = Rotation.random(random_state=generator).as_matrix()
        if not hkl.any():
            continue
        q = mount @ cell.plane_normal(tuple(int(i) for i in hkl))
        settings = solve_omega(q, ENERGY, mu=generator.uniform(-0.2, 0.2))
        if settings is None:
            continue
        geometry = settings[len(found) % 2].geometry
        if geometry.theta < math.pi / 5 and abs(geometry.k_out_lab[2]) > 0.05:
            found.append((cell, mount, geometry))
    return found


OPTICS = Optics(
    **BEAM,
    lens=3.1e-4,
    aperture=1.0e-3,
)


def engine(field, geometry, shape=(3, 4), slices=7):
    rays = ray_grid(geometry, shape, 0.04, *BeamProfile(0.15).samples(slices), "normal")
    return Engine(field, geometry, rays, oblique_acceptance(OPTICS, geometry))


REFLECTIONS = random_reflections(10, seed=11)


@pytest.mark.parametrize("case", REFLECTIONS, ids=range(10))
def test_an_expansion_moves_q_down_the_diffraction_vector(case):
    _, _, geometry = case
    strain = 1e-6
    q, masked = engine(UniformGradient(strain * np.eye(3)), geometry).mean_q()
    expected = -strain * np.array([math.sin(geometry.theta), 0.0, math.cos(geometry.theta)])
    np.testing.assert_allclose(q[:, 1, 2], expected, atol=2e-6 * strain)
    assert masked == 0


@pytest.mark.parametrize("case", REFLECTIONS, ids=range(10))
def test_a_turned_crystal_is_found_where_the_motor_has_turned(case):
    """A crystal turned about the axis of φ (χ) peaks at the opposite φ (χ)."""
    _, _, geometry = case
    per_phi, per_chi, _ = geometry.motor_vectors
    angle = 2e-4
    for axis, vector in ((geometry.phi_axis, per_phi), (geometry.chi_axis, per_chi)):
        in_sample = geometry.lab_from_sample.T @ axis
        gradient = Rotation.from_rotvec(angle * in_sample).as_matrix() - np.eye(3)
        images = engine(UniformGradient(gradient), geometry).images(
            np.outer([-angle, 0.0, angle], vector), [[0.0, 0.0, 0.0]]
        )[0, :, 0, 0]
        assert images[0] == pytest.approx(1.0, abs=2e-3)
        assert images[0] > images[1]


@pytest.mark.parametrize("case", REFLECTIONS[:5], ids=range(5))
def test_a_homogeneous_crystal_is_flat(case):
    _, _, geometry = case
    per_phi, per_chi, _ = geometry.motor_vectors
    gradient = 1e-4 * np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 0.3], [2.0, 0.1, 0.4]])
    for field in (Superposition(), UniformGradient(gradient)):
        images = [
            engine(field, geometry, shape, slices).images([1e-4 * per_phi], [3e-4 * per_chi])
            for shape, slices in (((3, 4), 7), ((5, 2), 31))
        ]
        for image in images:
            np.testing.assert_allclose(image, images[0][0, 0, 0, 0], rtol=1e-6)


def line_in(mount, cell):
    burgers = 2.9e-4 * mount @ np.array([0.6, -0.64, 0.48])
    return StraightLine(burgers, mount @ cell.direction((1, 2, -1)), mount @ [0.1, -0.05, 0.2])


def images_of(lines, geometry, acceptance):
    rays = ray_grid(geometry, (7, 9), 0.04, *BeamProfile(0.15).samples(15), "normal")
    q = q_of_rays(StraightDislocations(lines, IsotropicMedium(0.3)), geometry, rays)
    settings = [(0.0, 0.0, 0.0), (1.2e-4, 3e-4, 0.0), (-1e-4, -2e-4, 3e-4)]
    return direct_images(q, rays, geometry, acceptance, settings)


def turned_together(geometry, turn):
    """The sample, and with it its frame, turned on a goniometer that is turned back."""
    return DiffractionGeometry(
        geometry.theta,
        geometry.eta,
        geometry.lab_from_sample @ turn.T,
        geometry.phi_axis,
        geometry.chi_axis,
    )


@pytest.mark.parametrize("case", REFLECTIONS[:4], ids=range(4))
def test_turning_crystal_defects_and_goniometer_together_changes_nothing(case):
    cell, mount, geometry = case
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    acceptance = oblique_acceptance(OPTICS, geometry)
    ours = images_of([line_in(mount, cell)], geometry, acceptance)
    again = images_of([line_in(turn @ mount, cell)], turned_together(geometry, turn), acceptance)
    np.testing.assert_allclose(again, ours, rtol=0, atol=1e-10)
    assert max(np.ptp(image) for image in ours) > 1e-3


def test_turning_everything_in_the_symmetric_geometry_changes_nothing():
    cell, mount, _ = REFLECTIONS[0]
    geometry = symmetric_geometry(0.16)
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    acceptance = SymmetricAcceptance(0.16, OPTICS)
    ours = images_of([line_in(mount, cell)], geometry, acceptance)
    again = images_of([line_in(turn @ mount, cell)], turned_together(geometry, turn), acceptance)
    np.testing.assert_allclose(again, ours, rtol=0, atol=1e-10)


def test_a_crystal_turned_about_the_vertical_diffracts_where_omega_has_turned_back():
    cell, mount, _ = REFLECTIONS[0]
    hkl, angle = (1, 1, 0), 0.4
    turn = Rotation.from_rotvec([0.0, 0.0, angle]).as_matrix()
    first = solve_omega(mount @ cell.plane_normal(hkl), ENERGY)
    second = solve_omega(turn @ mount @ cell.plane_normal(hkl), ENERGY)
    for one in first:
        other = min(second, key=lambda s: abs(s.eta - one.eta))
        assert math.remainder(other.omega - one.omega + angle, 2 * math.pi) == pytest.approx(0)
        acceptance = oblique_acceptance(OPTICS, one.geometry)
        # φ and χ are carried by ω and so turn about other lines of the crystal: at rest only.
        images = [
            images_of([line_in(m, cell)], setting.geometry, acceptance)[0]
            for m, setting in ((mount, one), (turn @ mount, other))
        ]
        np.testing.assert_allclose(images[1], images[0], rtol=0, atol=1e-10)
