"""Straight lines in anisotropic media, against the eigenvalue form and against physics."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import MEDIA, cubic, isotropic, random_medium, stroh
from scipy.spatial.transform import Rotation

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects import straight
from weakbeam.defects.anisotropic import AnisotropicDislocations, displacement_gradient
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine, StraightLines

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "fields" / "stroh_Cu_60"
POINTS = np.random.default_rng(0).normal(size=(300, 3))
DEGENERATE = {
    "isotropic": isotropic(0.3),
    "nearly isotropic": cubic(175.0, 75.0, 50.0 * (1 + 1e-7)),
    "almost isotropic": cubic(175.0, 75.0, 50.0 * (1 + 1e-4)),
}


def line_of(angle_deg, core_radius=0.0):
    """A line on (111) at an angle to b = a/2[1 0 -1], the same in every medium."""
    b, n = np.array([2e-4, 0.0, -2e-4]), np.array([1.0, 1.0, 1.0]) / np.sqrt(3)
    angle = np.radians(angle_deg)
    t = np.cos(angle) * b / np.linalg.norm(b) + np.sin(angle) * np.cross(b, n) / np.linalg.norm(b)
    return StraightLine(b, t, [0.1, 0.2, -0.1], core_radius)


def largest_error(found, expected):
    """Relative to the largest component at each point."""
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True)
    return np.abs((found - expected) / scale).max()


def circuit(field, line, radius=0.7, count=720):
    """∮ β·dr about the line, right-handed."""
    x, y, t = line.axes
    angle = 2 * np.pi * np.arange(count) / count
    ring = np.outer(np.cos(angle), x) + np.outer(np.sin(angle), y) + 0.3 * t
    step = np.outer(np.cos(angle), y) - np.outer(np.sin(angle), x)
    beta = evaluate(field, line.position + radius * ring)
    return np.einsum("pij,pj->i", beta, step) * radius * 2 * np.pi / count


@pytest.mark.parametrize("angle", [90, 60, 30, 0])
@pytest.mark.parametrize("name", ["Cu", "Al", "Fe", "W", "quartz"])
def test_both_routes_give_the_eigenvalue_form(name, angle):
    line, medium = line_of(angle), MEDIA[name]
    expected = stroh(POINTS, line, medium)
    assert largest_error(displacement_gradient(POINTS, line, medium), expected) < 1e-11
    compiled = evaluate(AnisotropicDislocations([line], medium), POINTS)
    assert largest_error(compiled, expected) < 1e-11


@pytest.mark.parametrize("angle", [90, 60, 30, 0])
def test_isotropic_constants_give_the_isotropic_formula(angle):
    line = line_of(angle)
    expected = straight.displacement_gradient(POINTS, line, IsotropicMedium(0.3))
    medium = DEGENERATE["isotropic"]
    assert largest_error(displacement_gradient(POINTS, line, medium), expected) < 1e-12
    compiled = evaluate(AnisotropicDislocations([line], medium), POINTS)
    assert largest_error(compiled, expected) < 1e-12


@pytest.mark.parametrize("name", ["nearly isotropic", "almost isotropic"])
def test_roots_that_nearly_coincide_do_no_harm(name):
    line, medium = line_of(60), DEGENERATE[name]
    plain = displacement_gradient(POINTS, line, medium)
    assert largest_error(evaluate(AnisotropicDislocations([line], medium), POINTS), plain) < 1e-12


@pytest.mark.parametrize("burgers", [[3.19e-4, 0, 0], [0, 0, 5.19e-4], [3.19e-4, 0, 5.19e-4]])
def test_threading_lines_of_gallium_nitride_have_their_circuit(burgers):
    line = StraightLine(burgers, [0, 0, 1], [0.3, 0.0, 0.1])
    field = AnisotropicDislocations([line], MEDIA["GaN"])
    assert np.abs(circuit(field, line) - burgers).max() < 1e-9 * np.linalg.norm(burgers)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_any_medium_has_circuits_balance_and_compatibility(seed):
    medium, random = random_medium(seed), np.random.default_rng([seed, 1])
    line = StraightLine(*random.normal(size=(2, 3)), random.normal(size=3))
    field = AnisotropicDislocations([line], medium)
    b = np.linalg.norm(line.burgers_vector)
    assert np.abs(circuit(field, line, count=4096) - line.burgers_vector).max() < 1e-9 * b
    points = POINTS[:20]
    plain = displacement_gradient(points, line, medium)
    assert largest_error(evaluate(field, points), plain) < 1e-9
    # Derivatives by differences: along each axis, ∂β_ij/∂x_k in the last index.
    step = 1e-4
    slope = np.stack(
        [
            (evaluate(field, points + step * e) - evaluate(field, points - step * e)) / (2 * step)
            for e in np.eye(3)
        ],
        axis=-1,
    )
    away = np.linalg.norm(np.cross(points - line.position, line.line), axis=1)
    kept, size = away > 0.3, np.abs(slope).max(axis=(1, 2, 3))
    curl = np.abs(slope - np.swapaxes(slope, 2, 3)).max(axis=(1, 2, 3))
    force = np.abs(np.einsum("ijkl,pklj->pi", medium.stiffness, slope)).max(axis=1)
    assert np.all(curl[kept] < 1e-4 * size[kept])
    assert np.all(force[kept] < 1e-4 * size[kept] * np.abs(medium.stiffness).max())


def test_a_turned_crystal_has_the_turned_field():
    turn = Rotation.from_rotvec([0.7, -0.4, 1.3]).as_matrix()
    line, medium = line_of(60), MEDIA["Cu"]
    still = evaluate(AnisotropicDislocations([line], medium), POINTS)
    turned = evaluate(
        AnisotropicDislocations([line.turned(turn)], medium.turned(turn)), POINTS @ turn.T
    )
    assert largest_error(turned, turn @ still @ turn.T) < 1e-12
    # The medium alone, or the line alone, is another crystal.
    other = evaluate(AnisotropicDislocations([line], medium.turned(turn)), POINTS)
    assert largest_error(other, still) > 0.1


def test_a_spread_core_is_a_factor_and_leaves_nothing_on_the_line():
    sharp, spread = line_of(60), line_of(60, core_radius=0.01)
    medium = MEDIA["Fe"]
    x, y, t = sharp.axes
    near = sharp.position + np.array([[0.003, 0.001], [0.02, 0.0], [0, 1.0]]) @ [x, y]
    squared = np.sum((near - sharp.position) ** 2, axis=1)
    field = AnisotropicDislocations([spread], medium)
    factor = (squared / (squared + 1e-4))[:, None, None]
    expected = factor * evaluate(AnisotropicDislocations([sharp], medium), near)
    assert largest_error(evaluate(field, near), expected) < 1e-12
    assert largest_error(displacement_gradient(near, spread, medium), expected) < 1e-12
    assert np.abs(evaluate(field, sharp.position + 2.0 * t)).max() < 1e-12
    central = StraightLine(spread.burgers_vector, [0, 0, 1], [0, 0, 0], 0.01)
    assert not evaluate(AnisotropicDislocations([central], medium), [0, 0, 5.0]).any()


def test_lines_are_added_up():
    lines = [line_of(angle) for angle in (0, 20, 90)]
    total = evaluate(AnisotropicDislocations(lines, MEDIA["Cu"]), POINTS)
    parts = sum(displacement_gradient(POINTS, line, MEDIA["Cu"]) for line in lines)
    assert largest_error(total, parts) < 1e-12
    nothing = AnisotropicDislocations(StraightLines.of([]), MEDIA["Cu"])
    assert not evaluate(nothing, POINTS).any()


def test_more_lines_than_are_prepared_at_once():
    random = np.random.default_rng(4)
    lines = StraightLines(*random.normal(size=(3, 1300, 3)), 0.0)
    points = POINTS[:3]
    total = evaluate(AnisotropicDislocations(lines, MEDIA["W"]), points)
    parts = sum(
        evaluate(AnisotropicDislocations(lines.chosen(part), MEDIA["W"]), points)
        for part in (np.arange(500), np.arange(500, 1300))
    )
    assert largest_error(total, parts) < 1e-12


@pytest.mark.skipif(not REFERENCE.with_suffix(".json").exists(), reason="no reference files")
def test_beta_of_the_reference_files():
    case = json.loads(REFERENCE.with_suffix(".json").read_text())["field"]
    with np.load(REFERENCE.with_suffix(".npz")) as file:
        points, beta = file["points_um"], file["beta"]
    (row,) = case["lines"]
    line = StraightLine(row["b_um"], row["t"], row["origin_um"])
    found = evaluate(AnisotropicDislocations([line], cubic(*case["stiffness"])), points)
    assert largest_error(found, beta) < 1e-9
