import numpy as np
import pytest

from weakbeam.defects.dislocation import Dislocation

MIXED = Dislocation([2e-4, 1e-4, -3e-4], [1.0, 2.0, 3.0], [0.1, 0.2, 0.3], 0.3)


def test_parts_of_a_mixed_burgers_vector_share_the_line():
    x, y, z = MIXED.axes
    axes = np.stack([x, y, z])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(axes) == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(z, np.array([1, 2, 3]) / np.sqrt(14), rtol=1e-15)
    rebuilt = MIXED.edge_part * x + MIXED.screw_part * z
    np.testing.assert_allclose(rebuilt, MIXED.burgers_vector, rtol=1e-12)


def test_the_edge_part_of_a_pure_screw_is_zero_and_its_axes_still_a_frame():
    screw = Dislocation([0.0, -3e-4, 0.0], [0.0, 1.0, 0.0], [0, 0, 0], 0.3)
    assert screw.edge_part == 0.0
    assert screw.screw_part == -3e-4
    axes = np.stack(screw.axes)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"burgers_vector": [0.0, 0.0, 0.0]}, "burgers_vector is zero"),
        ({"line": [0.0, 0.0, 0.0]}, "line is zero"),
        ({"line": [1.0, np.nan, 0.0]}, "line must be three finite numbers"),
        ({"position": [1.0, 2.0]}, "position must be three finite numbers"),
        ({"poisson_ratio": 0.5}, "poisson_ratio 0.5"),
        ({"poisson_ratio": -1.0}, "poisson_ratio -1.0"),
        ({"core_radius": -1e-6}, "core_radius -1e-06"),
        ({"core_radius": np.inf}, "core_radius inf"),
    ],
)
def test_impossible_dislocations_are_refused(changes, message):
    values = {
        "burgers_vector": [1e-4, 0, 0],
        "line": [0, 0, 1],
        "position": [0, 0, 0],
        "poisson_ratio": 0.3,
    }
    with pytest.raises(ValueError, match=message):
        Dislocation(**{**values, **changes})
