"""Cells, odd pixels and the largest rectangle whose curves are alike."""

import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.measured.cells import gather_cells, odd_pixels
from weakbeam.measured.perfect_region import find_perfect_region, largest_rectangle


@pytest.mark.parametrize("seed", range(6))
def test_largest_rectangle_is_that_of_trying_all(seed):
    good = np.random.default_rng(seed).random((6, 7)) < 0.7
    best = max(
        (r1 - r0) * (c1 - c0)
        for r0 in range(6)
        for r1 in range(r0, 7)
        for c0 in range(7)
        for c1 in range(c0, 8)
        if good[r0:r1, c0:c1].all()
    )
    rows, columns = largest_rectangle(good)
    assert good[rows, columns].all()
    assert good[rows, columns].size == best


def test_largest_rectangle_of_nothing_is_empty():
    assert np.zeros((3, 4), bool)[largest_rectangle(np.zeros((3, 4), bool))].size == 0


def test_hot_and_dead_pixels_are_told_from_noise_and_edges():
    random = np.random.default_rng(0)
    frames = random.poisson(200, (12, 40, 60)).astype(float)
    frames[:, :, 40:] *= 0.2
    frames[:, 5, 7] += 900
    frames[:, 30, 20] = 0
    odd = odd_pixels(frames)
    assert {tuple(place) for place in np.argwhere(odd)} == {(5, 7), (30, 20)}


def test_cells_are_means_of_their_good_pixels():
    random = np.random.default_rng(0)
    frames = random.poisson(200, (9, 21, 30))
    frames[:, 4, 6] = 40_000
    cells = gather_cells(
        lambda: [(np.arange(5), frames[:5]), (np.arange(5, 9), frames[5:])],
        9,
        (21, 30),
        frames,
        (1, 21, 2, 30),
    )
    side = cells.side
    assert cells.counts.shape == (9, 20 // side, 28 // side)
    part = frames[:, 1 : 1 + side, 2 : 2 + side].mean(axis=(1, 2))
    np.testing.assert_allclose(cells.counts[:, 0, 0], part, rtol=1e-6)
    assert cells.counts.max() < 400
    assert cells.pixels.min() == side**2 - 1
    assert cells.region((slice(1, 3), slice(0, 2))) == (1 + side, 1 + 3 * side, 2, 2 + 2 * side)


def gaussian_cells(centres, noise=0.0):
    """Cells of 4 pixels with a Gaussian curve about each centre; positions."""
    x = np.linspace(-1e-3, 1e-3, 61)
    image = 1000 * np.exp(-0.5 * ((x[:, None, None] - centres) / 2e-4) ** 2)
    image = np.random.default_rng(0).normal(image, noise)
    frames = np.repeat(np.repeat(image, 2, axis=1), 2, axis=2)
    cells = gather_cells(lambda: [(np.arange(61), frames)], 61, frames.shape[1:], frames)
    return cells, x[None]


def test_a_smooth_bend_is_perfect_and_a_defect_is_not():
    v, u = np.meshgrid(np.linspace(-1, 1, 30), np.linspace(-1, 1, 20))
    bent = 5e-5 * u - 3e-5 * v + 1e-5 * u * v
    cells, x = gaussian_cells(bent)
    noise = np.ones(cells.counts.shape)
    found = find_perfect_region(cells, x, noise, cells.pixels)
    assert found.share == 1.0
    far = np.hypot(u - 0.7, v - 0.8)
    cells, x = gaussian_cells(bent + 2e-6 / (far + 0.02))
    found = find_perfect_region(cells, x, noise, cells.pixels)
    rows, columns = found.cells
    assert not found.alike[17, 27]
    assert 0.3 < found.share < 0.95
    assert far[rows, columns].min() > 0.1


def test_where_all_is_different_a_region_must_be_given():
    cells, x = gaussian_cells(np.random.default_rng(0).normal(0, 1e-4, (20, 30)))
    with pytest.raises(InputError, match="region: must be given"):
        find_perfect_region(cells, x, np.ones(cells.counts.shape), cells.pixels)
