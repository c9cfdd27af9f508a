"""The deformation at any places, against circuits and textbook formulas."""

import numpy as np
import pytest

import weakbeam as wb

ALUMINIUM = wb.Experiment(crystal={"x_axis": (1, 1, 0)})
B_UM = 0.40495e-3 / np.sqrt(2.0)


def screw(**keys):
    return wb.Dislocation(line=(1, 1, 0), burgers=(1, 1, 0), **keys)


def test_a_screw_shears_by_b_over_two_pi_r():
    experiment = ALUMINIUM.replace(crystal={"core_radius_nm": 0}, defects=[screw()])
    beta = wb.displacement_gradient(experiment, [[0.0, 0.0, 1.0], [3.0, 2.0, 0.0]])
    assert beta.shape == (2, 3, 3)
    assert abs(beta[0, 0, 1]) == pytest.approx(B_UM / (2.0 * np.pi), rel=1e-3)
    assert abs(beta[1, 0, 2]) == pytest.approx(B_UM / (4.0 * np.pi), rel=1e-3)
    beta[0, 0, 1] = beta[1, 0, 2] = 0.0
    assert np.abs(beta).max() < 1e-12


def test_a_circuit_closes_up_to_the_burgers_vector():
    lines = [screw(position_um=(0.0, 0.3, 0.0)), screw(position_um=(0.0, -0.4, 0.1))]
    angle = np.linspace(0.0, 2.0 * np.pi, 720, endpoint=False)
    points = np.stack([0.0 * angle, 2.0 * np.cos(angle), 2.0 * np.sin(angle)], axis=-1)
    steps = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    for count in (1, 2):
        experiment = ALUMINIUM.replace(defects=lines[:count])
        beta = wb.displacement_gradient(experiment, points)
        closure = 0.5 * np.einsum("nij,nj->i", beta, steps)
        assert np.abs(closure) == pytest.approx([count * B_UM, 0.0, 0.0], rel=1e-3, abs=1e-9)


def test_shapes_are_those_of_the_points():
    points = np.ones((4, 5, 3))
    beta = wb.displacement_gradient(wb.Experiment(), points)
    assert beta.shape == (4, 5, 3, 3)
    assert np.ptp(beta, axis=(0, 1)).max() == 0.0


def test_a_field_of_ones_own_is_added():
    def shear(points):
        return np.tile(1e-4 * np.eye(3), (len(points), 1, 1)) * points[:, :1, None]

    both = wb.displacement_gradient(wb.Experiment(), [2.0, 1.0, 1.0], field=shear)
    alone = wb.displacement_gradient(wb.Experiment(), [2.0, 1.0, 1.0])
    np.testing.assert_allclose(both - alone, 2e-4 * np.eye(3), atol=1e-18)


@pytest.mark.parametrize("points", [[0.0, 1.0], [[np.nan, 0.0, 0.0]], np.zeros((3, 2))])
def test_points_that_are_none_are_refused(points):
    with pytest.raises(wb.InputError, match="points: must be finite"):
        wb.displacement_gradient(wb.Experiment(), points)
