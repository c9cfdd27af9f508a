"""Hot pixels: which are, which are not, and what stands in their place."""

import numpy as np
import pytest

from weakbeam.analysis.hot_pixels import Replacement, hot_pixels


def noise(shape=(50, 60), seed=3):
    return np.random.default_rng(seed).normal(100.0, 1.0, shape)


def test_single_pixels_and_pairs_are_found():
    image = noise()
    places = {(4, 7), (20, 21), (20, 22), (0, 0), (49, 30)}
    for place in places:
        image[place] += 30.0
    found = hot_pixels(image, 8.0)
    assert set(zip(*np.nonzero(found), strict=True)) == places


def test_noise_has_none():
    for seed in range(5):
        assert not hot_pixels(noise((200, 200), seed), 8.0).any()


def test_lines_and_points_that_a_lens_made_are_the_sample():
    image = noise()
    image[45, :] += 300.0
    image[np.arange(40), 59 - np.arange(40)] += 300.0
    row, column = np.arange(50)[:, None], np.arange(60)[None, :]
    for i, j in ((10.0, 10.0), (25.3, 8.8), (30.5, 12.0)):
        image += 500.0 * np.exp(-0.5 * ((row - i) ** 2 + (column - j) ** 2) / 0.7**2)
    found = hot_pixels(image, 8.0)
    # The diagonal begins and ends in the image, as nothing does behind a lens.
    assert set(zip(*np.nonzero(found), strict=True)) <= {(39, 20)}


def test_bright_light_with_its_own_noise_is_none():
    random = np.random.default_rng(5)
    x = np.arange(120)[:, None]
    image = random.poisson(100 + 20000 * np.exp(-0.5 * ((x - 60) / 8.0) ** 2) * np.ones((1, 120)))
    assert not hot_pixels(image, 8.0).any()


def test_masked_pixels_are_neither_hot_nor_neighbours():
    image, usable = noise(), np.ones((50, 60), bool)
    image[10, 10] += 50.0
    image[9:12, 11] += 5000.0
    usable[9:12, 11] = False
    found = hot_pixels(image, 8.0, usable)
    assert list(zip(*np.nonzero(found), strict=True)) == [(10, 10)]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_the_median_of_good_neighbours_stands_in_their_place(dtype):
    frames = np.random.default_rng(1).integers(50, 150, (3, 8, 9)).astype(dtype)
    hot, masked = np.zeros((8, 9), bool), np.zeros((8, 9), bool)
    hot[[3, 3, 0], [4, 5, 0]] = True
    masked[2, 4] = True
    expected = frames.astype(float)
    for row, column in zip(*np.nonzero(hot), strict=True):
        near = [
            frames[:, i, j].astype(float)
            for i in range(max(row - 1, 0), min(row + 2, 8))
            for j in range(max(column - 1, 0), min(column + 2, 9))
            if not hot[i, j] and not masked[i, j]
        ]
        expected[:, row, column] = np.median(near, axis=0)
    if dtype == "uint16":
        expected = np.rint(expected)
    mended = frames.copy()
    Replacement(hot, masked).apply(mended)
    np.testing.assert_array_equal(mended, expected)
    # Of some rows the same comes out, if those beside are among them.
    part = frames[:, 2:5].copy()
    Replacement(hot, masked).apply(part, 2)
    np.testing.assert_array_equal(part[:, 1], expected[:, 3])


def test_a_pixel_without_good_neighbours_is_lost():
    hot, masked = np.zeros((6, 6), bool), np.zeros((6, 6), bool)
    hot[2, 2] = hot[5, 5] = True
    masked[1:4, 1:4] = True
    masked[2, 2] = False
    rows, columns = Replacement(hot, masked).lost
    assert (list(rows), list(columns)) == ([2], [2])
