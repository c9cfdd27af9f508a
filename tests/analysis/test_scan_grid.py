"""The grid of a scan is found from where its motors really stood."""

import numpy as np
import pytest

from weakbeam.analysis.scan_grid import find_grid

CHI, PHI = np.linspace(-1.0, 1.0, 9), np.linspace(10.0, 10.6, 13)


def mesh(slow, fast):
    return tuple(values.ravel() for values in np.meshgrid(slow, fast, indexing="ij"))


def jittered(values, step, seed=0):
    return values + 0.02 * step * np.random.default_rng(seed).uniform(-1, 1, values.shape)


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_a_grid_is_found_however_the_motors_are_named_and_jitter(jitter):
    chi, phi = mesh(CHI, PHI)
    chi, phi = jittered(chi, 0.25 * jitter), jittered(phi, 0.05 * jitter, seed=1)
    grid = find_grid({"phi": phi, "chi": chi})
    assert (grid.kind, grid.shape, grid.complete) == ("grid", (9, 13), True)
    assert list(grid.axes) == ["chi", "phi"]
    np.testing.assert_allclose(grid.axes["chi"], CHI, atol=0.005)
    np.testing.assert_array_equal(grid.index["phi"], np.tile(np.arange(13), 9))


def test_rows_that_alternate_are_a_zigzag():
    chi, phi = mesh(CHI, PHI)
    phi = phi.reshape(9, 13)
    phi[1::2] = phi[1::2, ::-1]
    grid = find_grid({"chi": chi, "phi": phi.ravel()})
    assert (grid.kind, grid.shape) == ("zigzag", (9, 13))
    assert grid.index["phi"][13] == 12


def test_an_aborted_grid_is_incomplete():
    chi, phi = mesh(CHI, PHI)
    grid = find_grid({"chi": chi[:100], "phi": phi[:100]})
    assert (grid.kind, grid.shape, grid.complete) == ("grid", (8, 13), False)


def test_frames_in_any_order_and_steps_of_any_size():
    chi, phi = mesh([0.0, 0.1, 0.5, 2.0], [1.0, 1.1, 3.0])
    order = np.random.default_rng(2).permutation(12)
    grid = find_grid({"chi": chi[order], "phi": phi[order]})
    assert sorted(grid.shape) == [3, 4]
    np.testing.assert_allclose(grid.axes["chi"], [0.0, 0.1, 0.5, 2.0])
    np.testing.assert_allclose(grid.axes["phi"][grid.index["phi"]], phi[order])


def test_positions_on_no_grid():
    random = np.random.default_rng(3)
    grid = find_grid({"chi": random.random(50), "phi": random.random(50)})
    assert (grid.kind, grid.shape, dict(grid.axes)) == ("irregular", (), {})


def test_one_motor_and_motors_that_move_together_are_a_line():
    x = np.array([0.3, 0.1, 0.2, 0.2])
    alone = find_grid({"mu": x})
    assert (alone.kind, alone.shape) == ("line", (3,))
    np.testing.assert_array_equal(alone.index["mu"], [2, 0, 1, 1])
    both = find_grid({"mu": x, "obpitch": 5.0 - 2.0 * x})
    assert (both.kind, both.shape) == ("line", (3,))
    np.testing.assert_allclose(both.axes["obpitch"], [4.8, 4.6, 4.4])


def test_three_motors():
    z, chi, phi = (v.ravel() for v in np.meshgrid([0, 1], CHI, PHI, indexing="ij"))
    grid = find_grid({"phi": phi, "z": z, "chi": chi})
    assert (list(grid.axes), grid.shape) == (["z", "chi", "phi"], (2, 9, 13))


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ({}, "at least one motor"),
        ({"phi": [1.0, 2.0], "chi": [1.0]}, "equal number"),
        ({"phi": [1.0, np.nan]}, "not finite"),
        ({"phi": [1.0, 2.0], "chi": [1.0, 1.0]}, "chi does not move"),
    ],
)
def test_what_is_no_scan(positions, said):
    with pytest.raises(ValueError, match=said):
        find_grid(positions)
