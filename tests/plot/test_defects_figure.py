import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.quiver import Quiver

from weakbeam.plot.defects import defects_figure
from weakbeam.plot.view import View

LOW, HIGH = [-10.0, -8.0, -0.2], [10.0, 8.0, 0.2]
POSITIONS = [[0, 0, 0], [1, 2, 0.1], [3, 3, 5.0], [-4, -6, 0]]
LINES = [[0, 0, 2], [1, 0, 0], [0, 1, 0], [0, 1, 0.05]]
KINDS = [0, 7, 0, 1]
LABELS = [f"system {k}" for k in range(8)]


def segments(axes):
    drawn = [c for c in axes.collections if isinstance(c, LineCollection)]
    return np.concatenate([c.get_segments() for c in drawn])


def figure(**options):
    options = {"kinds": KINDS, "labels": LABELS} | options
    return defects_figure(POSITIONS, LINES, LOW, HIGH, **options)


def test_lines_are_cut_off_at_the_layer():
    above, layer = figure().axes
    # In the order of their kinds: the upright line, the tilted one, that along x; one is above.
    expected = [[[0, 0], [0, 0]], [[-8, -4], [-2, -4]], [[2, -10], [2, 10]]]
    np.testing.assert_allclose(segments(above), expected, atol=1e-9)
    expected = [[[0, -0.2], [0, 0.2]], [[-8, -0.1], [-2, 0.2]], [[2, 0.1], [2, 0.1]]]
    np.testing.assert_allclose(segments(layer), expected, atol=1e-9)
    assert "3 of 4 lines" in above.get_title(loc="left")


def test_views_have_the_axes_of_the_images():
    above, layer = figure().axes
    assert above.get_xlim() == layer.get_xlim() == (-8, 8)
    assert above.get_ylim() == (10, -10)
    assert layer.get_ylim() == (-0.2, 0.2)
    assert above.get_aspect() == 1
    assert (layer.get_xlabel(), layer.get_ylabel()) == ("y (µm)", "z (µm)")


def test_the_key_names_and_counts_what_is_seen():
    (key,) = figure().legends
    assert [t.get_text() for t in key.get_texts()] == [
        "system 0  × 1",
        "system 1  × 1",
        "system 7  × 1",
    ]
    styles = {(h.get_color(), h.get_linestyle()) for h in key.get_lines()}
    assert len(styles) == 3
    assert figure(labels=()).legends == []


def test_burgers_vectors_and_planes_of_few_lines_are_drawn_from_above():
    burgers, normals = np.tile([0, 2e-4, 0], (4, 1)), np.tile([0, 1, 1], (4, 1))
    above, layer = figure(burgers_lab=burgers, normals_lab=normals).axes
    (arrows,) = (c for c in above.collections if isinstance(c, Quiver))
    assert np.all(arrows.U > 0)
    np.testing.assert_allclose(arrows.V, 0, atol=1e-12)
    traces = segments(above)[3:]
    # The plane (0 1 1) meets the layer along x, down the page.
    np.testing.assert_allclose(np.ptp(traces, axis=1)[:, 0], 0, atol=1e-12)
    assert not any(isinstance(c, Quiver) for c in layer.collections)


@pytest.mark.parametrize("count", [0, 1, 100, 3000])
def test_any_number_of_lines_can_be_drawn(count):
    random = np.random.default_rng(0)
    positions = random.uniform(-5, 5, (count, 3)) * [1, 1, 0.01]
    before = dict(mpl.rcParams)
    drawn = defects_figure(
        positions, random.normal(size=(count, 3)), LOW, HIGH, burgers_lab=positions + 1, title="t"
    )
    drawn.canvas.draw()
    assert dict(mpl.rcParams) == before
    assert f"{count} of {count}" in drawn.axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"positions_lab": [[0, 0]]}, "positions"),
        ({"lines_lab": [[0, 0, 1]] * 2}, "2 lines do not belong to 4"),
        ({"lines_lab": [[0, 0, 0]] * 4}, "direction"),
        ({"high_lab": LOW}, "corner"),
        ({"kinds": [0]}, "kinds"),
        ({"burgers_lab": [[0, 0, np.nan]] * 4}, "burgers"),
    ],
)
def test_what_does_not_fit_is_refused(changed, said):
    values = {"positions_lab": POSITIONS, "lines_lab": LINES, "low_lab": LOW, "high_lab": HIGH}
    with pytest.raises(ValueError, match=said):
        defects_figure(**(values | changed))


def test_a_screw_and_a_dislocation_at_thirty_degrees_are_told_apart():
    burgers = np.tile([0.0, 1.0, 0.0], (3, 1))
    angles = np.radians([0.0, 30.0, 180.0])
    lines = np.stack([np.sin(angles), np.cos(angles), np.zeros(3)], axis=1)
    drawn = defects_figure(
        np.zeros((3, 3)), lines, LOW, HIGH, labels=["(1 1 1)[1 0 −1]"], burgers_lab=burgers
    )
    (key,) = drawn.legends
    said = [text.get_text() for text in key.get_texts()]
    assert said == ["(1 1 1)[1 0 −1]  screw  × 2", "(1 1 1)[1 0 −1]  b∧t = 30°  × 1"]
    first, second = key.get_lines()
    assert first.get_color() == second.get_color()
    assert first.get_linestyle() != second.get_linestyle()


def test_many_characters_are_not_told_apart():
    random = np.random.default_rng(0)
    burgers, lines = random.normal(size=(2, 40, 3))
    options = {"labels": ["one system"], "burgers_lab": burgers}
    (key,) = defects_figure(np.zeros((40, 3)), lines, LOW, HIGH, **options).legends
    assert [text.get_text() for text in key.get_texts()] == ["one system  × 40"]


def test_lines_lie_over_the_image_where_it_shows_them():
    """Seen along the diffracted beam, a line that runs up is drawn along x."""
    view = View(np.linspace(-4.0, 4.0, 9), np.linspace(-6.0, 6.0, 13))
    image = np.zeros((9, 13))
    image[0, 0] = 1.0
    seen = np.array([[0.0, 1.0, 0.0, 0.5], [1.0, 0.0, -3.0, 0.0]])
    drawn = defects_figure(
        [[1.0, 2.0, 0.0]],
        [[0.0, 0.0, 1.0]],
        [-4.0, -6.0, -0.5],
        [4.0, 6.0, 0.5],
        image=image,
        view=view,
        picture_from_lab=seen,
    )
    above = drawn.axes[0]
    assert above.images[0].get_array()[0, 0] == 1.0
    (part,) = above.collections[0].get_segments()
    np.testing.assert_allclose(part, [[2.5, 2.5], [2.5, -0.5]])
    assert (above.get_xlim(), above.get_ylim()) == ((-6.5, 6.5), (4.5, -4.5))


def test_long_names_with_their_angles_stay_on_the_page():
    burgers = np.tile([0.0, 1.0, 0.0], (3, 1))
    angles = np.radians([0.0, 30.0, 60.0])
    lines = np.stack([np.sin(angles), np.cos(angles), np.zeros(3)], axis=1)
    name = "(−1 −1 2)[−1 −1 −2]"
    drawn = defects_figure(np.zeros((3, 3)), lines, LOW, HIGH, labels=[name], burgers_lab=burgers)
    (key,) = drawn.legends
    assert key.get_window_extent().x1 < drawn.bbox.x1
