"""Misorientation between neighbours, and strain."""

import math

import numpy as np
import pytest

from weakbeam.analysis.agreement import compare_maps
from weakbeam.analysis.orientation import kernel_average_misorientation
from weakbeam.analysis.strain import axial_strain


def plainly(maps, size):
    """The definition, pixel by pixel."""
    _, rows, columns = maps.shape
    found = np.full((rows, columns), np.nan)
    reach = size // 2
    for i in range(rows):
        for j in range(columns):
            distances = [
                np.linalg.norm(maps[:, k, m] - maps[:, i, j])
                for k in range(max(i - reach, 0), min(i + reach + 1, rows))
                for m in range(max(j - reach, 0), min(j + reach + 1, columns))
                if (k, m) != (i, j)
            ]
            distances = [d for d in distances if np.isfinite(d)]
            if distances:
                found[i, j] = np.mean(distances)
    return found


@pytest.mark.parametrize("size", [3, 5])
def test_misorientation_is_the_mean_distance_to_the_neighbours(size):
    maps = np.random.default_rng(1).normal(size=(2, 7, 11))
    maps[0, 2, 3] = maps[1, 5, 5] = maps[:, 0, :2] = np.nan
    found = kernel_average_misorientation(maps, size)
    np.testing.assert_allclose(found, plainly(maps, size), rtol=1e-13)
    assert np.isnan(found[[2, 5], [3, 5]]).all()


def test_a_tilt_boundary_shows_its_angle():
    chi = np.where(np.arange(10) < 5, 0.0, 0.4) * np.ones((6, 1))
    found = kernel_average_misorientation(chi)
    np.testing.assert_allclose(found[2], [0, 0, 0, 0, 0.15, 0.15, 0, 0, 0, 0])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_kernels_have_a_middle(size):
    with pytest.raises(ValueError, match="odd"):
        kernel_average_misorientation(np.zeros((4, 4)), size)


def test_strain_is_what_braggs_law_says():
    theta, strain = math.radians(8.97), 1e-5
    expanded = math.asin(math.sin(theta) / (1.0 + strain))
    assert axial_strain(2.0 * (expanded - theta), theta) == pytest.approx(strain, rel=1e-4)
    for wrong in (0.0, 1.6, -0.1):
        with pytest.raises(ValueError, match="Bragg angle"):
            axial_strain(1e-4, wrong)


def test_agreement_of_maps():
    predicted = np.random.default_rng(2).normal(size=(30, 40))
    measured = 1.5 * predicted + 0.25
    measured[3, 4] = np.nan
    found = compare_maps(measured, predicted)
    assert found.pixels == 1199
    assert found.correlation == pytest.approx(1.0)
    assert found.slope == pytest.approx(1.5)
    assert found.offset == pytest.approx(0.25 + 0.5 * np.nanmean(predicted), abs=2e-3)
    assert found.rms == pytest.approx(math.hypot(0.25, 0.5), rel=0.1)
    none = compare_maps(np.full((2, 2), np.nan), np.ones((2, 2)))
    assert none.pixels == 0
    assert math.isnan(none.rms)
    flat = compare_maps(np.ones((2, 2)), np.ones((2, 2)))
    assert (flat.rms, math.isnan(flat.correlation), math.isnan(flat.slope)) == (0.0, True, True)
    with pytest.raises(ValueError, match="shapes"):
        compare_maps(np.ones(3), np.ones(4))
