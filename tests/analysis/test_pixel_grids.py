"""Images on other pixels, and how far one lies from another."""

import numpy as np
import pytest

from weakbeam.analysis.agreement import relative_difference
from weakbeam.analysis.pixel_grids import on_pixels, picture_shift, pixel_shares

RNG = np.random.default_rng(2)


def axis(count, pitch, middle=0.0):
    return middle + pitch * (np.arange(count) - 0.5 * (count - 1))


def placed(values, old, new, pitches=(1.0, 1.0)):
    """Of an image with one axis for rows and columns."""
    shares = pixel_shares(old, new, *pitches)
    return on_pixels(values, shares, shares)


@pytest.mark.parametrize("direction", [1, -1])
def test_the_light_of_a_pixel_is_shared_among_those_that_cover_it(direction):
    old, new = axis(12, 1.0)[::direction], axis(9, 4 / 3)
    values = RNG.normal(size=(12, 12))
    found = placed(values, old, new, (1.0, 4 / 3))
    # Three new pixels take what four old ones have.
    ordered = values[::direction, ::direction]
    blocks = ordered.reshape(3, 4, 3, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(found.reshape(3, 3, 3, 3).mean(axis=(1, 3)), blocks, atol=1e-12)
    weights = np.array([0.75, 0.25])
    np.testing.assert_allclose(found[0, 0], weights @ ordered[:2, :2] @ weights, atol=1e-12)


def test_equal_pixels_stay_as_they_are_and_small_ones_are_averaged():
    values = RNG.normal(size=(60, 60))
    same = placed(values, axis(60, 0.1)[::-1], axis(60, 0.1), (0.1, 0.1))
    np.testing.assert_allclose(same, values[::-1, ::-1], atol=1e-12)
    new = placed(values, axis(60, 0.1), axis(6, 1.0), (0.1, 1.0))
    np.testing.assert_allclose(new, values.reshape(6, 10, 6, 10).mean(axis=(1, 3)), atol=1e-12)
    back = placed(new, axis(6, 1.0), axis(60, 0.1), (1.0, 0.1))
    np.testing.assert_allclose(back, np.repeat(np.repeat(new, 10, 0), 10, 1), atol=1e-12)


def test_nothing_is_made_up_outside_or_where_nothing_is_known():
    old, new = axis(5, 1.0), axis(9, 1.0)
    values = np.ones((5, 5))
    values[0, 0] = np.nan
    found = placed(values, old, new)
    assert np.isnan(found[:2]).all()
    assert np.isnan(found[2, 2])
    np.testing.assert_allclose(found[3:7, 2:7], 1.0)
    shifted = pixel_shares(old, new + 0.4, 1.0, 1.0)
    np.testing.assert_allclose(shifted.sum(axis=1)[:3], [0.0, 0.4, 1.0], atol=1e-12)


@pytest.mark.parametrize(("at", "covered"), [(0.0, 1.0), (0.4, 1.0), (0.5, 0.5), (3.0, 0.0)])
def test_one_pixel_has_the_size_that_is_given(at, covered):
    np.testing.assert_allclose(pixel_shares([0.0], [at], 1.0, 0.2), [[covered]], atol=1e-12)


@pytest.mark.parametrize("moved", [(0.0, 0.0), (3.0, -2.0), (0.4, 1.7)])
def test_a_picture_is_found_where_it_was_moved(moved):
    rows, columns = np.mgrid[0:40, 0:60]

    def spot(row, column):
        return np.exp(-((rows - row) ** 2) / 18.0 - (columns - column) ** 2 / 32.0)

    first = spot(20, 30) - 0.6 * spot(26, 38)
    second = spot(20 - moved[0], 30 - moved[1]) - 0.6 * spot(26 - moved[0], 38 - moved[1])
    second[5, 7] = np.nan
    *found, alike = picture_shift(first, 7.0 * second + 100.0)
    np.testing.assert_allclose(found, moved, atol=0.05)
    assert alike > 0.95


def test_an_even_picture_lies_nowhere():
    assert np.isnan(picture_shift(np.ones((5, 6)), RNG.normal(size=(5, 6)))).all()


def test_relative_differences():
    a = np.array([1.0, 2.0, 2.0, np.nan])
    assert relative_difference(a, [1.0, 2.0, 5.0, 1.0]) == pytest.approx(1.0)
    assert relative_difference(a + 100.0, a + 100.5, about_mean=True) == pytest.approx(
        0.5 * np.sqrt(3 / (2 / 3))
    )
    assert np.isnan(relative_difference(np.zeros(2), np.ones(2)))
    assert np.isnan(relative_difference([np.nan], [1.0]))
