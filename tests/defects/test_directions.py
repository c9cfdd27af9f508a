"""Functions of a direction on a cube: even and odd ones, across edges, and how the error falls."""

import numpy as np

from weakbeam.defects.directions import interpolate, tabulated


def smooth(directions):
    """An odd function and an even one, neither of which is a polynomial."""
    x, y, z = directions.T
    return np.stack([np.sin(2.0 * x + z) * (1.0 + y * y), 1.0 / (1.3 + x * y - 0.4 * z * z)], 1)


def found(directions, cells):
    table, room, values = tabulated(smooth, cells), np.empty(12), np.empty(2)
    rows = []
    for x, y, z in directions:
        opposite = interpolate(table, cells, x, y, z, room, values)
        rows.append([-values[0] if opposite else values[0], values[1]])
    return np.array(rows)


def test_directions_of_any_length_on_all_faces_and_their_edges():
    some = np.random.default_rng(0).normal(size=(400, 3))
    edges = [[1, 1, 1], [-1, 1, 0], [1, 0, -1], [0, 0, -1], [0, -1, 1], [-1, -1, -1], [1, -1, 0.3]]
    directions = np.concatenate([some, np.array(edges, dtype=float)])
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    coarse, fine = (np.abs(found(directions, n) - smooth(unit)).max() for n in (12, 24))
    assert fine < 2e-6
    # The sixth power of the cell: 64, or what the run-in from the ends leaves of it.
    assert coarse / fine > 30.0


def test_a_direction_that_is_no_number_stays_in_the_table():
    assert np.isnan(found(np.full((1, 3), np.nan), 8)).all()
