"""Maps gathered in one pass equal numpy's on the whole stack."""

import numpy as np
import pytest

from weakbeam.analysis.profiles import curve_peak, half_maximum_width
from weakbeam.analysis.reduction import MAP_NAMES, ScanReduction, map_frames
from weakbeam.analysis.scan_grid import find_grid

CHI, PHI = np.linspace(-0.1, 0.1, 7), np.linspace(0.97, 1.03, 11)
SHAPE = (5, 8)


def mosaicity(seed=0):
    random = np.random.default_rng(seed)
    chi, phi = (values.ravel() for values in np.meshgrid(CHI, PHI, indexing="ij"))
    a, b = (c + w * random.uniform(-1, 1, SHAPE) for c, w in ((0.0, 0.03), (1.0, 0.01)))
    ideal = np.exp(
        -0.5 * ((chi[:, None, None] - a) / 0.04) ** 2
        - 0.5 * ((phi[:, None, None] - b) / 0.012) ** 2
    )
    return {"chi": chi, "phi": phi}, random.poisson(2000 * ideal + 20).astype(np.uint16)


def reduced(positions, stack, background=None, order=None):
    reduction = ScanReduction(SHAPE, positions, find_grid(positions), background)
    for numbers in np.array_split(np.arange(len(stack)) if order is None else order, 5):
        reduction.add(numbers, stack[numbers])
    return reduction


@pytest.mark.parametrize("background", [None, 20.0, "image"])
def test_moments_equal_those_of_numpy(background):
    positions, stack = mosaicity()
    level = 15.0 + np.arange(40.0).reshape(SHAPE) / 8 if background == "image" else background
    found = reduced(positions, stack, level).maps()
    above = stack - (0.0 if level is None else level)
    total = above.sum(axis=0)
    np.testing.assert_allclose(found.intensity, total, rtol=1e-13)
    np.testing.assert_array_equal(found.brightest, above.max(axis=0))
    for motor, x in positions.items():
        x = x[:, None, None]
        mean = (above * x).sum(axis=0) / total
        np.testing.assert_allclose(found.motors[motor]["com"], mean, rtol=1e-12, atol=1e-15)
        central = [(above * (x - mean) ** k).sum(axis=0) / total for k in (2, 3, 4)]
        width = 2.354820045030949 * np.sqrt(central[0])
        np.testing.assert_allclose(found.motors[motor]["fwhm"], width, rtol=1e-11)
        skewness = central[1] / central[0] ** 1.5
        np.testing.assert_allclose(found.motors[motor]["skewness"], skewness, atol=1e-9)
        kurtosis = central[2] / central[0] ** 2 - 3
        np.testing.assert_allclose(found.motors[motor]["kurtosis"], kurtosis, atol=1e-9)


def test_peaks_and_widths_are_those_of_the_curve_over_the_other_motor():
    positions, stack = mosaicity()
    found = reduced(positions, stack, 20.0).maps()
    grid = (stack - 20.0).reshape(7, 11, *SHAPE)
    for motor, axis, other in (("chi", CHI, 1), ("phi", PHI, 0)):
        curves = grid.sum(axis=other)
        position, height = curve_peak(curves, axis)
        np.testing.assert_allclose(found.motors[motor]["peak"], position, atol=1e-9)
        np.testing.assert_allclose(found.motors[motor]["peak_value"], height, rtol=1e-6)
        width = half_maximum_width(curves, axis)
        np.testing.assert_allclose(found.motors[motor]["fwhm_half"], width, rtol=1e-6)


def test_order_of_the_frames_does_not_matter():
    positions, stack = mosaicity()
    order = np.random.default_rng(1).permutation(len(stack))
    one, other = (reduced(positions, stack, 20.0, o).maps() for o in (None, order))
    for motor in positions:
        for kind in MAP_NAMES:
            np.testing.assert_allclose(
                one.motors[motor][kind], other.motors[motor][kind], rtol=1e-6, atol=1e-9
            )


def test_dark_pixels_have_no_maps():
    positions, stack = mosaicity()
    stack[:, 0, 0] = 0
    stack[:, 1, 1] //= 100
    maps = reduced(positions, stack).maps()
    maps = maps.masked(maps.brightest > 100.0)
    assert not maps.lit[0, 0]
    assert not maps.lit[1, 1]
    assert maps.lit.sum() == 38
    for found in maps.motors["phi"].values():
        np.testing.assert_array_equal(np.isnan(found), ~maps.lit)


def test_values_that_are_no_numbers_are_left_out_and_counted():
    positions, stack = mosaicity()
    spoiled = stack.astype(np.float32)
    spoiled[40, 2, 3], spoiled[3, 1, 1] = np.nan, np.inf
    without = stack.copy()
    without[40, 2, 3] = without[3, 1, 1] = 0
    found, expected = reduced(positions, spoiled).maps(), reduced(positions, without).maps()
    assert found.lost == 2
    np.testing.assert_allclose(
        found.motors["phi"]["com"], expected.motors["phi"]["com"], rtol=1e-12
    )


def test_an_irregular_scan_has_moments_only():
    _, stack = mosaicity()
    random = np.random.default_rng(4)
    positions = {name: random.random(77) for name in ("chi", "phi")}
    found = reduced(positions, stack).maps()
    assert set(found.motors["phi"]) == {"com", "fwhm", "skewness", "kurtosis"}


def test_motors_that_move_together_share_their_peak():
    theta = np.linspace(8.9, 9.1, 41)
    stack = 1000 * np.exp(-0.5 * ((theta - 8.98) / 0.02) ** 2)[:, None, None] * np.ones(SHAPE)
    found = reduced({"mu": theta, "obpitch": 30.0 - 2.0 * theta}, stack).maps()
    np.testing.assert_allclose(found.motors["mu"]["peak"], 8.98, atol=2e-4)
    np.testing.assert_allclose(found.motors["obpitch"]["peak"], 12.04, atol=4e-4)
    np.testing.assert_allclose(found.motors["obpitch"]["fwhm_half"], 2 * 2.3548 * 0.02, rtol=1e-2)


def test_a_stack_in_memory_has_the_maps_of_its_frames():
    positions, stack = mosaicity()
    expected = reduced(positions, stack, 20.0).maps()
    expected = expected.masked(expected.brightest > 500.0)
    found = map_frames(stack, positions, 20.0, 500.0)
    np.testing.assert_array_equal(found.lit, expected.lit)
    for kind, values in expected.motors["chi"].items():
        np.testing.assert_allclose(found.motors["chi"][kind], values, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="do not fit"):
        map_frames(stack[1:], positions)
