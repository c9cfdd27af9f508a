"""The compiled change of the diffraction vector along rays, against the printed formulas."""

from __future__ import annotations

import numpy as np
import pytest

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations, displacement_gradient
from weakbeam.imaging.gradient_loops import NOWHERE
from weakbeam.imaging.sampling_loops import q_of_lines

MEDIUM = IsotropicMedium(0.334)


def rotation(random):
    q, _ = np.linalg.qr(random.normal(size=(3, 3)))
    return q * np.linalg.det(q)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("cut", [False, True], ids=["whole rays", "slices"])
@pytest.mark.parametrize("screw", [False, True])
def test_is_what_the_inverse_of_the_deformation_says(count, cut, screw):
    random = np.random.default_rng([count, cut, screw])
    lines = []
    for _ in range(count):
        burgers = random.normal(size=3) * 1e-3
        along = burgers if screw else random.normal(size=3)
        lines.append(StraightLine(burgers, along, 0.1 * random.normal(size=3), 1e-3))
    to_q, q0 = rotation(random), rotation(random)[0]
    # Wider than a tile, not a multiple of it, and pixels in any order.
    centres, pixels = random.normal(size=(3, 700)), random.integers(0, 700, 528)
    offsets = random.normal(size=(20, 3))
    first = 4 * random.integers(0, 5, 528) if cut else np.full(528, 8)
    q = np.empty((3, 4, 528))
    constants = StraightDislocations(lines, MEDIUM).ray_constants
    q_of_lines(centres, pixels, offsets, first, *constants, q0, to_q, q)

    samples = first + np.arange(4)[:, None]
    points = centres.T[pixels] + offsets[samples]
    beta = sum(displacement_gradient(points, line, MEDIUM) for line in lines)
    inverse = np.linalg.inv(np.eye(3) + beta)
    expected = -to_q @ (np.swapaxes(inverse, -1, -2) @ np.swapaxes(beta, -1, -2) @ q0)[..., None]
    np.testing.assert_allclose(q, np.moveaxis(expected[..., 0], -1, 0), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_diffracts_on_a_singular_line(count):
    lines = [
        StraightLine([1e-3, 0, 0], [0, 0, 1], [at, 0.0, 0.0], 0.0) for at in (0.0, 50.0)[:count]
    ]
    centres = np.array([[0.0, 0.0], [0.0, 0.3], [0.0, 0.0]])
    where, q0, q = np.arange(2), np.array([0.0, 1.0, 0.0]), np.empty((3, 1, 2))
    constants = StraightDislocations(lines, MEDIUM).ray_constants
    q_of_lines(centres, where, np.zeros((1, 3)), 0 * where, *constants, q0, np.eye(3), q)
    assert (q[:, 0, 0] == NOWHERE).all()
    assert 0.0 < np.abs(q[:, 0, 1]).max() < 0.01
