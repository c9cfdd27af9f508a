"""Montage, curves and movies of plain arrays."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from weakbeam.plot.comparison import comparison_figure
from weakbeam.plot.image import image_figure, intensity_norm
from weakbeam.plot.montage import montage_figure
from weakbeam.plot.movie import Curve, encoder, gif, movie_figure, mp4, pictures
from weakbeam.plot.scan_curves import curves_figure, scan_map_figure
from weakbeam.plot.style import render, style
from weakbeam.plot.view import View

FRAMES = np.arange(7 * 6 * 10, dtype=float).reshape(7, 6, 10)
VIEW = View.of_pixels((6, 10))
CURVE = Curve(0.1 * np.arange(7), FRAMES.mean(axis=(1, 2)), "φ (mrad)")


def test_frame_on_each_scale():
    for scale in ("linear", "log", "asinh"):
        figure = image_figure(FRAMES[0], VIEW, title="frame 0", scale=scale)
        assert figure.axes[0].get_xlabel() == "column of the camera (pixel)"
        render(figure, ".png")


def test_montage_shows_all_frames_on_one_scale():
    labels = [f"label {k}" for k in range(7)]
    figure = montage_figure(FRAMES, labels, VIEW, title="scan", own_range=False)
    shown = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(shown) == 7
    assert len({(image.norm.vmin, image.norm.vmax) for image in shown}) == 1
    np.testing.assert_array_equal(shown[6].get_array(), FRAMES[6])
    assert {f"label {k}" for k in range(7)} < {text.get_text() for text in figure.texts}
    for bad in ([], ["one"]):
        with pytest.raises(ValueError, match="labels for frames"):
            montage_figure(FRAMES, bad, VIEW)


@pytest.mark.parametrize("scale", ["linear", "log", "asinh"])
def test_montage_shows_each_frame_on_a_range_of_its_own(scale):
    ramp = 100.0 + np.arange(3000.0).reshape(50, 60)
    frames = np.stack([ramp, 1e-3 * ramp, np.full((50, 60), 5.0), 1e-9 * ramp])
    frames[3, 2, 2] = 2.0
    view = View.of_pixels((50, 60))
    figure = montage_figure(frames, ["a", "b", "even", "one pixel"], view, scale=scale)
    first, second, even, point = (axes.images[0].norm for axes in figure.axes if axes.images)
    low, high = first.vmin, first.vmax
    assert (low, high) == pytest.approx(np.percentile(ramp, [0.1, 99.9]), rel=0.02)
    assert (second.vmin, second.vmax) == pytest.approx((1e-3 * low, 1e-3 * high))
    assert 0.0 <= even.vmin <= 0.5
    assert even.vmax == 5.0
    assert point.vmax == 2.0
    said = {text.get_text() for text in figure.texts}
    assert {"a", "b", f"{low:.4g} to {high:.4g}"} <= said
    assert "ends of the colours above each frame" in said
    render(figure, ".png")


def test_numbers_above_narrow_frames_have_no_digits_cut_off():
    frames = 101.234 + 883.7 * np.random.default_rng(0).uniform(size=(10, 60, 18))
    labels = [str(k) for k in range(10)]
    figure = montage_figure(frames, labels, View.of_pixels((60, 18)), columns=10)
    said = [text.get_text() for text in figure.texts if " to " in text.get_text()]
    assert len(said) == 10
    assert not any("…" in text for text in said)


def test_montage_of_nothing_draws():
    figure = montage_figure(np.zeros((2, 6, 10)), ["a", "b"], VIEW, note="φ (mrad)")
    render(figure, ".png")
    said = {text.get_text() for text in figure.texts}
    assert "φ (mrad); ends of the colours above each frame" in said


def test_curves_are_drawn_by_position_with_their_width():
    x = np.array([0.2, -0.1, 0.0, 0.1, -0.2])
    curve = 1.0 - 5.0 * np.abs(x)
    figure = curves_figure(x, {"pixel 1, 2": curve}, axis_label="φ (mrad)")
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), np.sort(x))
    assert line.get_label() == "pixel 1, 2, FWHM 0.2"
    for curves in ({}, {"short": [1.0]}):
        with pytest.raises(ValueError, match="one intensity for each position"):
            curves_figure(x, curves)


def test_map_over_two_motors():
    field = np.arange(15.0).reshape(3, 5)
    field[2, 4] = np.nan
    figure = scan_map_figure({"pixel 0, 0": field}, ("χ", [0, 1, 2]), ("φ", np.arange(5) * 0.1))
    image = figure.axes[0].images[0]
    np.testing.assert_allclose(image.get_extent(), [-0.05, 0.45, -0.5, 2.5])
    assert image.norm.vmax == 13.0
    with pytest.raises(ValueError, match="must have the shape"):
        scan_map_figure({"a": field}, ("χ", [0, 1]), ("φ", np.arange(5)))


def movie(count=5):
    frames = ((FRAMES[k], f"frame {k}") for k in range(count))
    return pictures(frames, VIEW, CURVE, (0.0, FRAMES.max()))


def test_every_picture_of_a_movie_is_another_one_of_the_same_size():
    drawn = list(movie())
    assert len({picture.tobytes() for picture in drawn}) == 5
    assert len({picture.shape for picture in drawn}) == 1
    assert drawn[0].dtype == np.uint8


def test_gif_has_all_pictures_at_the_rate_asked_for():
    with Image.open(BytesIO(gif(movie(), fps=8.0))) as image:
        assert image.n_frames == 5
        assert image.info["duration"] == pytest.approx(125, abs=5)
        assert image.info["loop"] == 0
    with pytest.raises(ValueError, match="at least one"):
        gif([], 10.0)


def test_mp4_where_there_is_an_encoder():
    if encoder() is None:
        with pytest.raises(ValueError, match="needs ffmpeg"):
            mp4(movie(), 10.0)
    else:
        assert mp4(movie(), 10.0)[4:8] == b"ftyp"


def test_mp4_through_a_program_on_the_path(tmp_path, monkeypatch):
    """A stand-in for ffmpeg shows what it is given."""
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nfor last; do :; done\nwc -c > "$last"\necho "$@" >> "$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    drawn = list(movie())
    said = mp4(drawn, 12.0).decode()
    assert int(said.split()[0]) == sum(picture.size for picture in drawn)
    height, width = drawn[0].shape[:2]
    assert f"-s {width}x{height} -r 12" in said
    program.write_text("#!/bin/sh\necho no such codec >&2\nexit 1\n")
    with pytest.raises(ValueError, match="no such codec"):
        mp4(drawn, 12.0)


def test_comparison_has_a_panel_for_each_prediction():
    truth = np.random.default_rng(0).normal(size=(20, 30))
    figure = comparison_figure(
        {"φ": 2.0 * truth},
        {"φ": {"rule": 2.0 * truth, "crystal": truth}},
        {"φ": {"rule": (1.0, 1.0, 0.0), "crystal": (1.0, 2.0, 1.0)}},
    )
    assert len(figure.axes) == 2
    assert figure.axes[0].get_xlabel() == "rule (mrad)"
    assert "slope 2.000" in figure.axes[1].get_title(loc="left")
    x, y = figure.axes[1].lines[1].get_data()
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="no map"):
        comparison_figure({}, {}, {})


@pytest.mark.parametrize("own_range", [True, False])
@pytest.mark.parametrize("scale", ["linear", "log", "asinh"])
def test_pictures_of_a_movie_are_those_of_whole_figures(scale, own_range):
    limits = (1.0, FRAMES.max())
    titles = ["frame 0", "a much longer title, " * 6, "f"]
    options = {"scale": scale, "own_range": own_range}
    shown = zip(FRAMES[:3] ** 2, titles, strict=True)
    drawn = pictures(shown, VIEW, CURVE, limits, **options)
    common = intensity_norm(np.zeros((1, 1)), scale, limits)
    for number, picture in enumerate(drawn):
        frame = FRAMES[number] ** 2
        figure = movie_figure(frame, VIEW, CURVE, number, common, title=titles[number], **options)
        with style():
            figure.canvas.draw()
        np.testing.assert_array_equal(picture, np.array(figure.canvas.buffer_rgba())[..., :3])


def test_a_movie_has_the_frame_on_its_own_scale_and_a_cursor_on_the_curve():
    common = intensity_norm(np.zeros((1, 1)), "linear", (0.0, 1e6))
    figure = movie_figure(FRAMES[2], VIEW, CURVE, 2, common, title="frame 2")
    image, curve = figure.axes[:2]
    assert image.images[0].norm.vmax == pytest.approx(FRAMES[2].max(), rel=0.02)
    assert f"to {image.images[0].norm.vmax:.3g}" in figure.texts[1].get_text()
    line, cursor, _ = curve.lines
    np.testing.assert_allclose(line.get_data(), [CURVE.positions, CURVE.values])
    np.testing.assert_allclose(cursor.get_xdata(), 0.2)
    assert curve.get_xlabel() == "φ (mrad)"


def test_a_gif_keeps_the_colours_of_its_pictures():
    drawn = list(movie())
    with Image.open(BytesIO(gif(drawn, fps=10.0))) as image:
        for number, picture in enumerate(drawn):
            image.seek(number)
            found = np.asarray(image.convert("RGB")).astype(int)
            difference = np.abs(found - picture).max(axis=-1)
            # But for the antialiased edges between the map and what stands beside it.
            assert (difference > 25).mean() < 1e-3
            assert difference.mean() < 1
            assert (found[picture.min(axis=-1) == 255] == 255).all()


def test_a_gif_has_no_contour_rings():
    """A smooth image keeps nearly all levels of its colours, in the last picture too."""
    rows, columns = np.mgrid[:40, :60]
    smooth = np.exp(-((rows - 20) ** 2 + (columns - 30) ** 2) / 300.0)
    view = View.of_pixels(smooth.shape)
    first = np.zeros(smooth.shape)
    first[0, 0] = 1.0
    drawn = list(pictures([(first, "a"), (smooth, "b")], view, CURVE, (0.0, 1.0)))
    with Image.open(BytesIO(gif(drawn, fps=10.0))) as image:
        image.seek(1)
        found = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(found - drawn[1]).max(axis=-1).mean() < 1
    assert len(np.unique(found.reshape(-1, 3), axis=0)) > 150


def test_montage_of_a_grid_has_its_labels_on_the_margin():
    figure = montage_figure(
        FRAMES[:5],
        ["unused"] * 5,
        VIEW,
        columns=3,
        places=[0, 1, 2, 4, 5],
        row_labels=["χ = 0", "χ = 1"],
        column_labels=["φ = 0", "φ = 1", "φ = 2"],
    )
    said = [text.get_text() for text in figure.texts]
    assert "unused" not in said
    assert {"χ = 0", "χ = 1", "φ = 0", "φ = 1", "φ = 2"} <= set(said)
    corners = np.array([axes.get_position().p0 for axes in figure.axes[:5]])
    assert corners[3, 0] == corners[1, 0]
    assert corners[3, 1] < corners[0, 1]
    numbers = [axes.yaxis.get_tick_params()["labelleft"] for axes in figure.axes[:5]]
    assert numbers == [True, False, False, False, False]
    numbers = [axes.xaxis.get_tick_params()["labelbottom"] for axes in figure.axes[:5]]
    assert numbers == [True, False, False, True, True]
