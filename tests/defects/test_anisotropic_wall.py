"""Walls in anisotropic media against the sum of their lines."""

import numpy as np
import pytest
from media import MEDIA, cubic, isotropic

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.anisotropic import AnisotropicDislocations
from weakbeam.defects.anisotropic_wall import AnisotropicWalls
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.wall import DislocationWall, WallField

ALL = MEDIA | {
    "isotropic": isotropic(0.3),
    "nearly isotropic": cubic(175.0, 75.0, 50.0 * (1 + 1e-7)),
    "almost isotropic": cubic(175.0, 75.0, 50.0 * (1 + 1e-4)),
}
H = 0.1


def wall_of(core_radius=0.0, count=11, line=(1.0, -2.0, 1.0)):
    one = StraightLine([2e-4, 5e-5, -2e-4], line, [0.1, 0.2, -0.1], core_radius)
    return DislocationWall(one, np.cross(one.line, [0.3, 0.2, 0.8]), H, count)


def around(wall, count=200, seed=1):
    """Points about a wall, some in its plane and close to its lines."""
    offset = np.random.default_rng(seed).normal(size=(count, 3)) * 0.5
    middle = wall.dislocation.position
    along = np.linspace(-0.68, 0.69, 24)[:, None] * wall.stacking
    normal = np.cross(wall.dislocation.line, wall.stacking)
    return np.concatenate([middle + offset, middle + along + 1e-4 * normal, middle + along])


def error(found, expected):
    return (np.abs(found - expected).max(axis=(1, 2)) / np.abs(expected).max(axis=(1, 2))).max()


@pytest.mark.parametrize("core_radius", [0.0, 3e-4, 0.05])
@pytest.mark.parametrize("name", ALL)
def test_a_finite_wall_is_the_sum_of_its_lines(name, core_radius):
    # Threading lines of the hexagonal medium, whose roots coincide.
    wall = wall_of(core_radius, line=(0, 0, 1) if name == "GaN" else (1.0, -2.0, 1.0))
    points = around(wall)
    lines = evaluate(AnisotropicDislocations(wall.lines(), ALL[name]), points)
    assert error(evaluate(AnisotropicWalls([wall], ALL[name]), points), lines) < 1e-9


@pytest.mark.parametrize("count", [7, None])
def test_isotropic_constants_give_the_isotropic_wall(count):
    wall = wall_of(count=count)
    points = around(wall)
    expected = evaluate(WallField([wall], IsotropicMedium(0.3)), points)
    assert error(evaluate(AnisotropicWalls([wall], ALL["isotropic"]), points), expected) < 1e-9


@pytest.mark.parametrize("core_radius", [0.0, 0.02])
@pytest.mark.parametrize("name", ["Cu", "GaN"])
def test_an_endless_wall_is_the_limit_of_long_ones(name, core_radius):
    endless, long = (wall_of(core_radius, count, (0, 0, 1)) for count in (None, 2_000_001))
    points = around(endless)
    expected = evaluate(AnisotropicWalls([long], ALL[name]), points)
    assert error(evaluate(AnisotropicWalls([endless], ALL[name]), points), expected) < 1e-4
    again = evaluate(AnisotropicWalls([endless], ALL[name]), points + 3 * H * endless.stacking)
    assert error(again, evaluate(AnisotropicWalls([endless], ALL[name]), points)) < 1e-8


def test_an_endless_tilt_wall_turns_one_side_against_the_other():
    b = 2e-4
    line = StraightLine([b, 0, 0], [0, 0, 1], [0, 0, 0])
    wall = DislocationWall(line, [0, 1, 0], H)
    far = evaluate(AnisotropicWalls([wall], MEDIA["Cu"]), [[9.0, 0.3, 0], [-9.0, 0.1, 0]])
    jump = far[0] - far[1]
    # β·dr on a circuit of one period closes with b; the rest is a rotation: no strain far away.
    np.testing.assert_allclose(jump @ [0, H, 0], [b, 0, 0], atol=1e-12 * b)
    np.testing.assert_allclose(jump + jump.T, 0.0, atol=1e-12 * b / H)


def test_walls_far_away_and_spread_cores_have_finite_fields():
    wall = wall_of(3e-4, None)
    normal = np.cross(wall.dislocation.line, wall.stacking)
    points = wall.dislocation.position + np.outer([-1e5, -50.0, 0.0, 50.0, 1e5], normal)
    found = evaluate(AnisotropicWalls([wall], MEDIA["Cu"]), points)
    assert np.all(np.isfinite(found))
    # On the core, of which the field of one line alone would be b / 2πa high nearby.
    assert np.abs(found[2]).max() < 1e-6 * 3e-4 / (2 * np.pi * 3e-4)
    assert np.abs(found[0] - found[1]).max() < 1e-9 * np.abs(found).max()
