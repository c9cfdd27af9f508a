"""The one place that chooses the field of lines and walls."""

import numpy as np
import pytest
from media import MEDIA

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.anisotropic import AnisotropicDislocations
from weakbeam.defects.anisotropic_wall import AnisotropicWalls
from weakbeam.defects.field import Superposition, UniformGradient, evaluate
from weakbeam.defects.field_of import FAR_FIELD_TOLERANCE, ONE_BY_ONE, field_of, superposed
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.many import Bounds, ManyDislocations
from weakbeam.defects.straight import StraightDislocations, displacement_gradient
from weakbeam.defects.wall import DislocationWall, WallField

B = 2.8634e-4
MEDIUM = IsotropicMedium(0.334)
WALL = DislocationWall(StraightLine([B, 0, 0], [0, 0, 1], [0, 0, 0], B), [0, 1, 0], 0.5, 7)
BOUNDS = Bounds([0, 0, 0], np.eye(3), [5.0, 5.0, 0.2])
NONE = StraightLines.of([])


def lines(count):
    random = np.random.default_rng(3)
    vectors = random.normal(size=(3, count, 3))
    return StraightLines(B * vectors[0], vectors[1], 4.0 * vectors[2], np.full(count, B))


def points(count=200):
    return np.random.default_rng(5).uniform(-1, 1, (count, 3)) * [5.0, 5.0, 0.2]


@pytest.mark.parametrize(
    ("count", "bounds", "kind"),
    [
        (1, BOUNDS, StraightDislocations),
        (ONE_BY_ONE, BOUNDS, StraightDislocations),
        (ONE_BY_ONE + 1, BOUNDS, ManyDislocations),
        (ONE_BY_ONE + 1, None, StraightDislocations),
    ],
)
def test_many_lines_in_a_region_are_not_summed_one_by_one(count, bounds, kind):
    assert type(field_of(lines(count), MEDIUM, bounds=bounds)) is kind


def test_an_anisotropic_medium_has_fields_of_its_own():
    copper = MEDIA["Cu"]
    assert type(field_of(lines(3), copper)) is AnisotropicDislocations
    assert type(field_of(NONE, copper, [WALL])) is AnisotropicWalls
    many = field_of(lines(ONE_BY_ONE + 1), copper, bounds=BOUNDS)
    assert type(many) is ManyDislocations
    assert type(many.exact) is AnisotropicDislocations


def test_many_lines_keep_the_tolerance():
    some = lines(300)
    many = field_of(some, MEDIUM, bounds=BOUNDS, points=400_000)
    assert many.boxes > 1
    exact = evaluate(StraightDislocations(some, MEDIUM), points())
    assert (
        np.abs(evaluate(many, points()) - exact).max() < FAR_FIELD_TOLERANCE * np.abs(exact).max()
    )


def test_lines_and_walls_add_up():
    assert type(field_of(NONE, MEDIUM, [WALL])) is WallField
    some = lines(3)
    expected = sum(displacement_gradient(points(), line, MEDIUM) for line in some)
    expected = expected + evaluate(WallField([WALL], MEDIUM), points())
    both = evaluate(field_of(some, MEDIUM, [WALL]), points())
    np.testing.assert_allclose(both, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_nothing_makes_the_perfect_crystal():
    assert not evaluate(field_of(NONE, MEDIUM), points()).any()


def test_the_medium_decides_what_lines_do():
    soft, stiff = (
        evaluate(field_of(lines(2), IsotropicMedium(nu), [WALL]), points()) for nu in (0.1, 0.4)
    )
    assert np.abs(soft - stiff).max() > 0.1 * np.abs(soft).max()


def test_a_single_field_is_not_wrapped():
    uniform = UniformGradient(np.eye(3))
    assert superposed([uniform]) is uniform
    assert type(superposed([uniform, uniform])) is Superposition
