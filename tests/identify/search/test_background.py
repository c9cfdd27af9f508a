"""Background removal: the paper's rule, and rules that do not mind bright features."""

import numpy as np
import pytest

from weakbeam.identify.search.background import METHODS, remove_background

REMOVING = [name for name in METHODS if name != "none"]


Y, X = np.mgrid[:120, :180]
LINE = 400.0 * np.exp(-0.5 * ((X - 0.4 * Y - 60.0) / 1.5) ** 2)


def image(level=50.0, slope=0.0, seed=0):
    noise = np.random.default_rng(seed).normal(0.0, 5.0, (120, 180))
    return level + slope * X + LINE + noise


def test_rule_of_the_paper():
    x = image()
    left = np.maximum(x - x.mean() - 2 * x.std(), 0.0)
    np.testing.assert_allclose(remove_background(x), left / left.std(), rtol=1e-12)


@pytest.mark.parametrize("method", REMOVING)
@pytest.mark.parametrize(("factor", "level"), [(7.3, 0.0), (1.0, 900.0), (0.02, -3.0)])
def test_scale_and_constant_background_do_not_matter(method, factor, level):
    usual, other = (remove_background(x, method) for x in (image(), factor * image() + level))
    np.testing.assert_allclose(other, usual, atol=1e-9)


@pytest.mark.parametrize("method", ["median", "clipped", "local"])
def test_robust_rules_find_the_background_beside_a_bright_line(method):
    kept = remove_background(image(), method)
    # 2.3 % of the pixels of a normal distribution lie above two standard deviations.
    assert np.mean(kept[LINE < 0.1] > 0) == pytest.approx(0.023, abs=0.015)
    assert np.mean(kept[LINE > 60] > 0) == 1.0
    # The mean rule sees the line as background: it keeps less of it.
    assert (remove_background(image())[LINE > 60] > 0).mean() < 0.9


def test_a_sloping_background_needs_the_local_rule():
    sloping = image(slope=3.0)
    local, median = (remove_background(sloping, m) for m in ("local", "median"))
    assert (local[LINE > 100] > 0).all()
    assert (median[LINE > 100] > 0).mean() < 0.9
    assert (local[LINE < 0.1] > 0).mean() < 0.15


def test_pixels_that_do_not_count_are_left_out():
    spoilt, good = image(), np.ones((120, 180), bool)
    good[10:14, 20:24] = False
    spoilt[10:14, 20:24] = 1e6
    again = spoilt.copy()
    again[10:14, 20:24] = np.nan
    for method in METHODS:
        kept = remove_background(spoilt, method, good=good)
        np.testing.assert_array_equal(kept, remove_background(again, method))
        assert not kept[10:14, 20:24].any()


def test_every_image_of_a_stack_is_treated_by_itself():
    stack = np.stack([image(), 9.0 * image(seed=2) + 4.0])
    kept = remove_background(stack[:, None], "clipped")
    for one, alone in zip(kept[:, 0], stack, strict=True):
        np.testing.assert_array_equal(one, remove_background(alone, "clipped"))


def test_even_and_empty_images_leave_nothing():
    for method in REMOVING:
        assert not remove_background(np.full((20, 30), 7.0), method).any()
        assert not remove_background(np.full((20, 30), np.nan), method).any()


def test_methods_are_named():
    with pytest.raises(ValueError, match="'gauss': must be one of mean, median"):
        remove_background(image(), "gauss")
