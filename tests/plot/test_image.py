import itertools
import math

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from weakbeam.plot.image import image_figure, intensity_norm, light_range, settings_note
from weakbeam.plot.view import View

X_UM, Y_UM = (np.arange(17) - 8) * 0.123, (np.arange(51) - 25) * 0.04
VIEW = View(X_UM, Y_UM)
IMAGE = 0.1 + np.exp(-4 * (X_UM[:, None] ** 2 + Y_UM**2))


def test_image_stands_in_micrometres_of_the_sample_with_equal_aspect() -> None:
    axes = image_figure(IMAGE, VIEW).axes[0]
    edges = [*(Y_UM[[0, -1]] + [-0.02, 0.02]), *(X_UM[[-1, 0]] + [0.0615, -0.0615])]
    np.testing.assert_allclose(axes.images[0].get_extent(), edges)
    assert axes.get_aspect() == 1.0
    assert "y (µm)" in axes.get_xlabel()
    assert "x" in axes.get_ylabel()
    assert "µm" in axes.get_ylabel()


def test_first_row_is_on_top() -> None:
    image = image_figure(IMAGE, VIEW).axes[0].images[0]
    assert image.origin == "upper"
    np.testing.assert_array_equal(image.get_array(), IMAGE)


def test_page_leaves_equal_aspect_nothing_to_correct() -> None:
    for rows in (2, 9, 17):
        figure = image_figure(IMAGE[:rows], View(X_UM[:rows], Y_UM))
        axes = figure.axes[0]
        before = axes.get_position().bounds
        figure.canvas.draw()
        np.testing.assert_allclose(axes.get_position().bounds, before, atol=1e-6)


def test_linear_scale_starts_at_no_intensity_and_says_what_it_cuts() -> None:
    spiky = IMAGE.copy()
    spiky[3, 3] = 50.0
    figure = image_figure(spiky, VIEW)
    norm = figure.axes[0].images[0].norm
    assert norm.vmin == 0.0
    assert norm.vmax < 50.0
    assert figure.axes[0].images[0].colorbar.extend == "max"
    assert figure.axes[1].get_ylabel() == "intensity / perfect crystal at peak"


def test_given_limits_hold() -> None:
    drawn = image_figure(IMAGE, VIEW, limits=(0.2, 0.5)).axes[0].images[0]
    assert drawn.get_clim() == (0.2, 0.5)
    assert drawn.colorbar.extend == "both"


def test_dark_pixels_are_dark_and_missing_ones_grey_on_a_log_scale() -> None:
    image = IMAGE.copy()
    image[0, 0], image[0, 1] = 0.0, np.nan
    drawn = image_figure(image, VIEW, scale="log").axes[0].images[0]
    assert isinstance(drawn.norm, LogNorm)
    assert drawn.norm.vmax / drawn.norm.vmin == pytest.approx(1e3)
    colors = drawn.to_rgba(drawn.get_array())[0, :2]
    np.testing.assert_allclose(colors[0], drawn.cmap(0))
    np.testing.assert_allclose(colors[1], [0.85, 0.85, 0.85, 1.0])


@pytest.mark.parametrize("scale", ["linear", "log", "asinh"])
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_uniform_and_tiny_images_draw(scale, value: float) -> None:
    for x_um, y_um in ((X_UM, Y_UM), (X_UM[:1], Y_UM[:1]), (X_UM[:1], Y_UM)):
        image = np.full((x_um.size, y_um.size), value, dtype=np.float32)
        image_figure(image, View(x_um, y_um), scale=scale).canvas.draw()


def test_settings_are_noted_where_given() -> None:
    assert settings_note(0.15, None, -0.2) == "φ = 0.15, Δ2θ = −0.2 mrad"
    assert settings_note(None, None, None) == ""
    figure = image_figure(IMAGE, VIEW, title="edge", phi_mrad=0.15)
    assert {text.get_text() for text in figure.texts} == {"edge", "φ = 0.15 mrad"}


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit its axes"):
        image_figure(IMAGE.T, VIEW)
    with pytest.raises(ValueError, match="scale"):
        image_figure(IMAGE, VIEW, scale="sqrt")  # type: ignore[arg-type]


def test_rows_of_the_camera_run_upwards_along_two_theta() -> None:
    axes = image_figure(IMAGE, View(X_UM, Y_UM, on_camera=True)).axes[0]
    image = axes.images[0]
    np.testing.assert_array_equal(image.get_array(), IMAGE[::-1])
    left, right, bottom, top = image.get_extent()
    assert left < right
    assert bottom < top
    assert "2θ" in axes.get_ylabel()


@pytest.mark.parametrize("brightest", [3.3e-4, 0.7, 1200.0, 65535.0])
@pytest.mark.parametrize("shape", [(10, 16), (60, 10), (5, 100)])
def test_labels_of_an_asinh_bar_do_not_cover_each_other(shape, brightest):
    image = brightest * np.linspace(0.0, 1.0, math.prod(shape)).reshape(shape) ** 4
    figure = image_figure(image, View.of_pixels(shape), scale="asinh")
    bar = figure.axes[1]
    figure.draw_without_rendering()
    labels = [text for text in bar.get_yticklabels() if text.get_text()]
    boxes = [text.get_window_extent() for text in labels]
    assert len(boxes) >= (3 if brightest < 1e-3 else 5)
    assert bar.get_yticks()[0] == 0.0
    for below, above in itertools.pairwise(boxes):
        assert below.y1 < above.y0
    # And the label of the bar is on the page.
    assert bar.yaxis.label.get_window_extent().x1 < figure.bbox.width


def test_colours_of_a_weak_beam_image_end_where_its_lit_pixels_do() -> None:
    """Of 86,700 pixels some thirty are lit: no percentile of all of them tells of those."""
    rows, columns = np.mgrid[:170, :510]
    core = 0.18 * np.exp(-((rows - 85) ** 2 + (columns - 255) ** 2) / 6.0)
    weak = 1e-5 + core
    assert np.percentile(weak, 99.9) < 0.01
    for scale in ("linear", "log", "asinh"):
        assert 0.15 < intensity_norm(weak, scale).vmax <= 0.18001
    counts = np.random.default_rng(0).poisson(100.0 + 2000.0 * weak).astype(float)
    low, high = light_range(counts)
    assert 60.0 < low < 80.0
    assert 350.0 < high <= counts.max()
    # A hot pixel, and two side by side, are no light.
    counts[3, 4] = counts[9, 9] = counts[9, 10] = 60000.0
    assert light_range(counts)[1] == pytest.approx(high, rel=0.05)


def test_colours_of_a_bright_field_start_at_its_darkest_pixels() -> None:
    image = 0.9 + 0.1 * IMAGE / IMAGE.max()
    low, high = light_range(image)
    for scale in ("linear", "log"):
        norm = intensity_norm(image, scale)
        assert (norm.vmin, norm.vmax) == (low, high)
    assert low > 0.9


def test_only_the_lit_part_of_an_image_is_drawn() -> None:
    image = np.zeros((60, 80))
    image[20:25, 30:40] = 1.0
    view = View(np.arange(60.0)[::-1], 0.5 * np.arange(80.0))
    axes = image_figure(image, view, lit_only=True).axes[0]
    assert axes.images[0].get_array().shape == (11, 16)
    np.testing.assert_allclose(axes.images[0].get_extent(), [13.25, 21.25, 42.5, 31.5])
