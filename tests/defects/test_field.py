import numpy as np

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.field import Superposition, UniformGradient, evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations

BETA = np.arange(9.0).reshape(3, 3) * 1e-4
LINE = StraightLine([2e-4, 0, 1e-4], [0.0, 1.0, 1.0], [0.1, 0.0, 0.0])
MEDIUM = IsotropicMedium(0.3)


def test_a_uniform_gradient_keeps_its_rows_and_columns():
    points = np.zeros((2, 5, 3))
    found = evaluate(UniformGradient(BETA), points)
    np.testing.assert_array_equal(found, np.broadcast_to(BETA, (2, 5, 3, 3)))


def test_fields_add_up():
    points = np.random.default_rng(1).normal(size=(50, 3))
    lines = StraightDislocations([LINE], MEDIUM)
    both = evaluate(Superposition([lines, UniformGradient(BETA)]), points)
    np.testing.assert_allclose(both, evaluate(lines, points) + BETA, rtol=1e-14, atol=1e-18)


def test_an_empty_superposition_is_the_perfect_crystal():
    np.testing.assert_array_equal(evaluate(Superposition(), np.ones((4, 3))), np.zeros((4, 3, 3)))


def test_values_do_not_depend_on_where_a_point_stands_in_the_list():
    points = np.random.default_rng(2).normal(size=(2500, 3))
    lines = StraightDislocations([LINE], MEDIUM)
    whole = evaluate(lines, points)
    for k in (0, 1023, 1024, 2499):
        np.testing.assert_allclose(whole[k], evaluate(lines, points[k]), rtol=1e-13)
