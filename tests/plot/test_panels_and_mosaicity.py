"""Maps side by side, and two angles in one picture."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv

from weakbeam.plot.mosaicity import mosaicity_colors, mosaicity_figure
from weakbeam.plot.panels import Panel, color_limits, panels_figure
from weakbeam.plot.style import NAN_COLOR, render
from weakbeam.plot.view import View

ROWS, COLUMNS = np.mgrid[-1:1:9j, -1:1:15j]
VIEW = View.of_pixels(ROWS.shape)


def texts(figure):
    return {
        text.get_text() for axes in figure.axes for text in [axes.xaxis.label, axes.yaxis.label]
    }


def test_every_panel_has_its_map_and_its_bar():
    panels = [Panel(f"map {k}", k * ROWS, f"unit {k}", k == 1) for k in range(1, 5)]
    figure = panels_figure(panels, VIEW, columns=3, title="all of them")
    maps = [axes for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in maps] == ["map 1", "map 2", "map 3", "map 4"]
    np.testing.assert_array_equal(maps[2].images[0].get_array(), 3 * ROWS)
    assert {
        "column of the camera (pixel)",
        "row of the camera (pixel)",
        "unit 1",
        "unit 4",
    } <= texts(figure)
    norm = maps[0].images[0].norm
    assert norm.vmin == -norm.vmax
    left = [axes.get_position().x0 for axes in maps]
    assert left[0] == left[3] < left[1] < left[2]


def test_a_view_of_the_sample_is_in_micrometres():
    view = View(np.arange(9)[::-1] * 0.1, np.arange(15) * 0.04)
    axes = panels_figure([Panel("", ROWS, "")], view).axes[0]
    assert axes.get_xlabel() == "y (µm)"
    np.testing.assert_allclose(axes.images[0].get_extent(), [-0.02, 0.58, 0.85, -0.05])


@pytest.mark.parametrize(
    ("values", "diverging", "limits"),
    [
        (np.full(4, 3.0), False, (1.5, 4.5)),
        (np.zeros(4), False, (-0.5, 0.5)),
        (np.zeros(4), True, (-1.0, 1.0)),
        (np.full(4, np.nan), False, (0.0, 1.0)),
        (np.full(4, np.nan), True, (-1.0, 1.0)),
        (np.linspace(0, 100, 1001), False, (1.0, 99.0)),
        (np.linspace(-200, 100, 3001), True, (197.0, 197.0)),
    ],
)
def test_colour_limits(values, diverging, limits):
    expected = (-limits[0], limits[1]) if limits[0] == limits[1] else limits
    np.testing.assert_allclose(color_limits(values, diverging), expected)


def test_wrong_shapes_and_no_panel():
    with pytest.raises(ValueError, match="does not fit"):
        panels_figure([Panel("", ROWS[1:], "")], VIEW)
    with pytest.raises(ValueError, match="no map"):
        panels_figure([], VIEW)


def test_hue_is_the_direction_and_saturation_the_distance():
    angle = np.radians([0, 60, 120, 180, 240, 300])
    colors = mosaicity_colors(0.5 * np.cos(angle), 0.5 * np.sin(angle))
    hue, saturation, _ = rgb_to_hsv(colors).T
    np.testing.assert_allclose(360 * hue % 360, np.degrees(angle), atol=1e-6)
    np.testing.assert_allclose(saturation, 0.5)
    assert rgb_to_hsv(mosaicity_colors(3.0, 4.0))[1] == 1.0
    assert rgb_to_hsv(mosaicity_colors(0.0, 0.0))[1] == 0.0
    np.testing.assert_allclose(mosaicity_colors([np.nan], [1.0]), np.full((1, 3), float(NAN_COLOR)))


def test_colours_of_the_map_are_those_of_the_key():
    figure = mosaicity_figure(
        2.0 + COLUMNS, 5.0 * ROWS - 7.0, VIEW, labels=("φ (mrad)", "χ (mrad)"), title="a map"
    )
    shown, key = figure.axes[0].images[0], figure.axes[1].images[0]
    assert shown.get_array().shape == (9, 15, 3)
    left, right, bottom, top = key.get_extent()
    np.testing.assert_allclose([left, bottom], [-right, -top])
    np.testing.assert_allclose([right, top], [1.0, 5.0])
    disc = key.get_array()
    # Half way along each axis of the key: the colours of pixels with these angles.
    middle, quarter = disc.shape[0] // 2, disc.shape[0] // 4
    np.testing.assert_allclose(
        disc[middle, middle + quarter, :3], shown.get_array()[4, 11], atol=0.1
    )
    assert disc[0, 0, 3] == 0.0
    assert disc[middle, middle, 3] == 1.0
    said = " ".join(text.get_text() for text in figure.texts)
    assert "φ − 2, χ + 7" in said
    render(figure, ".png")


@pytest.mark.parametrize("values", [np.full(ROWS.shape, np.nan), np.ones(ROWS.shape)])
def test_maps_without_mosaicity(values):
    render(mosaicity_figure(values, values, VIEW), ".png")


@pytest.mark.parametrize("limit", [0.8, 0.99, 1.0, 2.1, 3.3, 5.2, 0.013, 470.0])
def test_numbers_at_the_key_do_not_touch(limit):
    figure = mosaicity_figure(limit * ROWS, limit * COLUMNS, VIEW)
    figure.canvas.draw()
    key = figure.axes[1]
    shown = [label for label in key.get_xticklabels() if label.get_text()]
    low, high = sorted(key.get_xlim())
    ticks = [tick for tick in key.get_xticks() if low <= tick <= high]
    assert len(ticks) >= 2
    boxes = sorted((label.get_window_extent() for label in shown), key=lambda box: box.x0)
    gaps = [right.x0 - left.x1 for left, right in pairwise(boxes)]
    assert min(gaps) > 0.7 * figure.dpi / 25.4
