import numpy as np
import pytest

from weakbeam.defects.dislocation import Dislocation
from weakbeam.defects.lines import StraightLines

LINES = [
    Dislocation([2e-4, 0, 1e-4], [0.0, 1.0, 1.0], [0.1, 0.0, 0.0], 0.3, 1e-3),
    Dislocation([0, 0, 1e-4], [0.0, 0.0, -2.0], [0.1, 5.0, 0.0], 0.2),
]


def test_lines_keep_every_digit_of_the_dislocations():
    for one, other in zip(StraightLines.of(LINES), LINES, strict=True):
        for name in ("burgers_vector", "line", "position"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.poisson_ratio == other.poisson_ratio
        assert one.core_radius == other.core_radius


def test_axes_are_those_of_the_single_dislocation():
    np.testing.assert_array_equal(StraightLines.of(LINES).axes, [d.axes for d in LINES])


def test_some_of_the_lines():
    lines = StraightLines.of(LINES)
    assert len(lines) == 2
    assert [d.poisson_ratio for d in lines.chosen([False, True])] == [0.2]
    assert len(lines.chosen(np.array([], dtype=int))) == 0
    assert len(StraightLines.of([])) == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"burgers_vectors": np.zeros((1, 3))}, "Burgers vector is zero"),
        ({"lines": np.zeros((1, 3))}, "line is zero"),
        ({"lines": np.ones((2, 3))}, "lines must be 1 rows"),
        ({"positions": [[0, np.nan, 0]]}, "positions must be 1 rows"),
        ({"poisson_ratios": 0.5}, "Poisson"),
        ({"core_radii": -1.0}, "core radius"),
    ],
)
def test_wrong_lines_are_refused_in_one_line(changed, said):
    values = {
        "burgers_vectors": [[1e-4, 0, 0]],
        "lines": [[0, 0, 1]],
        "positions": [[0, 0, 0]],
        "poisson_ratios": 0.3,
        "core_radii": 0.0,
    }
    with pytest.raises(ValueError, match=said):
        StraightLines(**(values | changed))
