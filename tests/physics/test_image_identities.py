"""What must hold for images whatever the instrument (physics.md, G2, H and E7)."""

import math
from dataclasses import replace

import numpy as np
import pytest
from default_instrument import (
    ACCEPTANCE,
    ALUMINIUM,
    EDGE,
    GEOMETRY,
    HKL,
    MEDIUM,
    MIXED,
    NU,
    SAMPLE_FROM_CRYSTAL,
    X_AXIS,
    B,
    dislocation,
    engine_images,
    plain_images,
    rays,
)
from instruments import changed
from scipy.optimize import minimize

from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.defects.field import Superposition, UniformGradient, evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.geometry import diffraction_vector_change
from weakbeam.instrument.goniometer import rotation_x, rotation_y, rotation_z

WEAK = (1.4e-4, 0.0, 0.0)
SETTINGS = np.array([WEAK, (0.0, 0.0, 0.0), (-1e-4, 4e-4, 2e-4)])
IMAGES = pytest.mark.parametrize("images", [plain_images, engine_images])


class Turned:
    """A crystal with a defect, turned as a whole: F = R F₀."""

    def __init__(self, field, rotation):
        self.field, self.rotation = field, rotation

    def add_to(self, gradient, points):
        inner = np.zeros_like(gradient)
        self.field.add_to(inner, points)
        beta = inner.reshape(3, 3, -1)
        turned = np.einsum("ij,jkn->ikn", self.rotation, beta)
        turned += (self.rotation - np.eye(3))[:, :, None]
        gradient += turned.reshape(9, -1)


@IMAGES
@pytest.mark.parametrize(
    ("rotation", "shift"),
    [(rotation_y(5e-5), (5e-5, 0, 0)), (rotation_x(-3e-4), (0, 3e-4, 0))],
    ids=["about y: phi", "about -x: chi"],
)
def test_the_image_of_a_rotated_crystal_is_that_of_shifted_motors(images, rotation, shift):
    """H(R) = R - I: what the lattice is turned by, the motors need not turn."""
    lines = StraightDislocations([MIXED], MEDIUM)
    turned = images(Turned(lines, rotation), SETTINGS)
    np.testing.assert_allclose(turned, images(lines, SETTINGS + shift), rtol=0, atol=4e-3)
    assert np.abs(turned - images(lines, SETTINGS - shift)).max() > 0.1


@IMAGES
def test_turning_a_perfect_crystal_about_its_diffraction_vector_changes_nothing(images):
    field = UniformGradient(rotation_z(0.01) - np.eye(3))
    np.testing.assert_allclose(images(field, SETTINGS), images([], SETTINGS), rtol=1e-6)


@pytest.mark.parametrize("expansion", [2e-4, -5e-4])
def test_an_expanded_crystal_is_brightest_at_smaller_two_theta(expansion):
    """The maximum over (φ, T) lies at T = -2ε tanθ and φ = +ε tanθ."""
    field = UniformGradient(expansion * np.eye(3))
    # One pixel through the plain sum; a Gaussian acceptance, so that there is one maximum.
    soft = changed(ACCEPTANCE, clip=math.inf, aperture=math.inf)

    def darkness(scaled):
        setting = (1e-4 * scaled[0], 0.0, 1e-4 * scaled[1])
        return -plain_images(field, setting, rays((1, 1), 1), acceptance=soft)[0, 0, 0]

    found = 1e-4 * minimize(darkness, [0.0, 0.0], method="BFGS", options={"gtol": 1e-9}).x
    tangent = math.tan(GEOMETRY.theta)
    expected = np.array([expansion * tangent, -2 * expansion * tangent])
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    at_best = engine_images(field, (expected[0], 0.0, expected[1]), rays((1, 1), 1))[0, 0, 0]
    assert at_best == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("slices", [1, 7, 40])
@pytest.mark.parametrize("oversampling", [1, 3])
@IMAGES
def test_a_homogeneous_crystal_is_flat_for_any_sampling(images, oversampling, slices):
    grid = rays((5, 7), slices, oversampling=oversampling)
    for field in (Superposition(), UniformGradient(1e-5 * np.arange(9.0).reshape(3, 3))):
        flat = images(field, SETTINGS, grid)
        reference = plain_images(field, SETTINGS, rays((1, 1), 1))
        np.testing.assert_allclose(flat, np.broadcast_to(reference, flat.shape), rtol=1e-6)
    np.testing.assert_allclose(images([], np.zeros(3), grid), 1.0, rtol=1e-6)


@IMAGES
def test_line_and_burgers_vector_reversed_together_give_the_same_image(images):
    other = StraightLine(-MIXED.burgers_vector, -MIXED.line, MIXED.position, MIXED.core_radius)
    np.testing.assert_allclose(
        images([other], SETTINGS), images([MIXED], SETTINGS), rtol=0, atol=1e-6
    )


def test_reversing_burgers_vector_and_motors_changes_images_in_second_order_only():
    """The acceptance is even, so b → -b equals (φ, χ, T) → -(φ, χ, T) up to O(β²)."""
    differences, contrasts = [], []
    for share in (0.1, 0.05):
        pair = [
            replace(MIXED, burgers_vector=sign * share * MIXED.burgers_vector) for sign in (1, -1)
        ]
        plus = plain_images([pair[0]], SETTINGS)
        minus = plain_images([pair[1]], -SETTINGS)
        differences.append(np.abs(plus - minus).max())
        contrasts.append(np.abs(plus - plain_images([pair[1]], SETTINGS)).max())
    assert differences[0] < 0.02 * contrasts[0]
    assert differences[1] < 0.4 * differences[0]
    assert contrasts[1] > 0.4 * contrasts[0]


def test_the_odd_part_of_q_is_exactly_second_order():
    points = rays().points(np.arange(15 * 21)).reshape(-1, 3)

    def sum_of_both_signs(share):
        total = 0.0
        for sign in (1, -1):
            line = replace(MIXED, burgers_vector=sign * share * MIXED.burgers_vector)
            beta = evaluate(StraightDislocations([line], MEDIUM), points)
            total = total + diffraction_vector_change(beta, GEOMETRY.q0_sample)
        return np.abs(total).max()

    assert sum_of_both_signs(0.01) / sum_of_both_signs(0.1) == pytest.approx(0.01, rel=0.05)


def test_a_screw_across_q_is_invisible_and_an_edge_with_the_same_b_is_not():
    """g·b = 0: exactly nothing for the screw, even in F⁻ᵀ; for the edge what its formula says."""
    one_micron = np.stack([np.cos(np.arange(60)), np.sin(np.arange(60)), 0 * np.arange(60)], -1)

    def largest_change(line):
        # 1 µm from the line, and up to 0.02 µm where the inverse is far from linear.
        x, y, z = line.axes
        ring = one_micron @ np.stack([x, y, z])
        beta = evaluate(StraightDislocations([line], MEDIUM), np.concatenate([ring, 0.02 * ring]))
        change = np.abs(diffraction_vector_change(beta, GEOMETRY.q0_sample))
        return change[:60].max(), change.max()

    screw = dislocation([1, 0, -1], [1, 0, -1], core=0.0)
    assert abs(screw.burgers_vector @ GEOMETRY.q0_sample) < 1e-19
    assert largest_change(screw)[1] < 1e-15
    # -(ĝ·ŷ) times the row y of β, at most about K |ĝ·ŷ| at 1 µm: ĝ·ŷ is 1/3 here.
    edge = dislocation([1, 0, -1], [1, -2, 1], core=0.0)
    at_one_micron, nearer = largest_change(edge)
    k = B / (4 * np.pi * (1 - NU))
    assert 0.9 * k / 3 < at_one_micron < 1.1 * k / 3
    assert nearer > 1e-4
    beside = replace(screw, position=[0.013, 0.007, 0.011])
    flat = plain_images([beside], WEAK)
    assert np.ptp(flat) < 1e-10
    assert np.ptp(plain_images([EDGE], WEAK)) > 0.5


SYMMETRIES = [
    np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]]),
]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_equivalent_crystals_reflections_and_dislocations_give_the_same_image(symmetry):
    """Crystal axes, reflection, b and line changed together by a rotation of the cube."""
    assert round(np.linalg.det(symmetry)) == 1
    hkl, x_axis = symmetry @ HKL, symmetry @ X_AXIS
    orientation = symmetric_orientation(ALUMINIUM, hkl, x_axis)
    assert np.abs(orientation - SAMPLE_FROM_CRYSTAL).max() > 0.5
    lines = [
        dislocation(symmetry @ [1, 0, -1], symmetry @ line, position, orientation=orientation)
        for line, position in (([1, -2, 1], (0, 0, 0)), ([2, -1, -1], (0.3, -0.2, 0.1)))
    ]
    expected = plain_images([EDGE, MIXED], SETTINGS)
    np.testing.assert_allclose(plain_images(lines, SETTINGS), expected, rtol=0, atol=1e-10)


def test_turning_sample_dislocation_and_goniometer_together_gives_the_same_image():
    turn = rotation_z(0.7) @ rotation_x(-1.1) @ rotation_y(2.0)
    geometry = replace(GEOMETRY, lab_from_sample=GEOMETRY.lab_from_sample @ turn.T)
    line = replace(
        MIXED,
        burgers_vector=turn @ MIXED.burgers_vector,
        line=turn @ MIXED.line,
        position=turn @ MIXED.position,
    )
    found = plain_images([line], SETTINGS, rays(geometry=geometry), geometry)
    np.testing.assert_allclose(found, plain_images([MIXED], SETTINGS), rtol=0, atol=1e-10)


def test_moving_the_line_moves_its_image():
    """By one pixel's column, and along the ray not at all."""
    step = rays().column_step
    moved = replace(MIXED, position=MIXED.position + step)
    still = plain_images([MIXED], SETTINGS)
    found = plain_images([moved], SETTINGS)
    np.testing.assert_allclose(found[:, :, 1:], still[:, :, :-1], rtol=0, atol=1e-10)
    line_along_ray = replace(MIXED, line=GEOMETRY.lab_from_sample.T @ GEOMETRY.k_out_lab)
    shifted = replace(line_along_ray, position=MIXED.position + 0.7 * line_along_ray.line)
    one, two = plain_images([line_along_ray], WEAK), plain_images([shifted], WEAK)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-10)


def test_a_mixed_dislocation_is_one_line():
    """Not an edge about b × n crossing a screw about b: that image differs far beyond sampling."""
    edge_of_another_line = dislocation([1, 0, -1], [1, -2, 1], MIXED.position)
    one = plain_images([MIXED], WEAK)
    other = plain_images([edge_of_another_line], WEAK)
    assert np.linalg.norm(one - other) / np.linalg.norm(one) > 0.1
    assert math.hypot(MIXED.edge_part, MIXED.screw_part) == pytest.approx(B)


def test_points_along_the_vertical_instead_of_the_beam_would_show():
    """E1: 3 % for the thin beam, more for the thick one."""
    for height, slices, least in ((0.15, 31, 0.02), (0.6, 121, 0.05)):
        grid = rays((21, 41), slices, height)
        vertical = replace(grid, along_ray=grid.height_axis)
        right, wrong = plain_images([EDGE], WEAK, grid), plain_images([EDGE], WEAK, vertical)
        assert np.linalg.norm(right - wrong) / np.linalg.norm(right) > least
