import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection

from weakbeam.plot.reflections import polar_figure, stick_figure


def dots(figure) -> PathCollection:
    (axes,) = figure.axes
    (found,) = (c for c in axes.collections if isinstance(c, PathCollection))
    return found


def names(figure) -> list[str]:
    (axes,) = figure.axes
    return [text.get_text() for text in axes.texts]


def test_beams_stand_where_the_eye_sees_them() -> None:
    figure = polar_figure([0, 90, -45], [20, 30, 10], [1, 2, 4], ["up", "right", "upper left"])
    (axes,) = figure.axes
    figure.canvas.draw()
    up, right, left = axes.transData.transform(dots(figure).get_offsets())
    center = axes.transData.transform((0.0, 0.0))
    assert up[0] == pytest.approx(center[0])
    assert up[1] > center[1]
    assert right[1] == pytest.approx(center[1])
    assert right[0] > center[0]
    assert left[0] < center[0]
    assert left[1] > center[1]
    radii = [np.hypot(*(place - center)) for place in (up, right, left)]
    np.testing.assert_allclose(np.array(radii) / radii[0], [1, 1.5, 0.5])


def test_areas_of_the_dots_are_the_strengths() -> None:
    figure = polar_figure([0, 90, -45], [20, 30, 10], [1, 2, 4], ["a", "b", "c"])
    sizes = dots(figure).get_sizes()
    np.testing.assert_allclose(sizes / sizes.max(), [0.25, 0.5, 1])
    alike = dots(polar_figure([0, 90, -45], [20, 30, 10], None, ["a", "b", "c"])).get_sizes()
    assert len(set(alike)) == 1


def test_beams_in_one_place_share_a_dot_and_a_label() -> None:
    figure = polar_figure([20, 20, 20, -20], [30] * 4, [1, 3, 2, 1], ["a", "b", "c", "d"])
    assert len(dots(figure).get_offsets()) == 2
    assert sorted(names(figure)) == ["b +2", "d"]


def test_labels_do_not_cover_each_other() -> None:
    generator = np.random.default_rng(1)
    eta, two_theta = generator.uniform(-180, 180, 300), generator.uniform(5, 40, 300)
    strength = generator.uniform(1, 10, 300)
    labels = [f"{i} -1 1" for i in range(300)]
    figure = polar_figure(eta, two_theta, strength, labels)
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert 20 < len(boxes) < 300
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert labels[int(np.argmax(strength))] in names(figure)


def test_sticks() -> None:
    figure = stick_figure([18, 18, 21, 30], [36, 36, 34, 20], ["1 1 1", "1 1 -1", "2 0 0", "x"])
    (axes,) = figure.axes
    (sticks,) = (c for c in axes.collections if isinstance(c, LineCollection))
    ends = np.array([segment[1] for segment in sticks.get_segments()])
    np.testing.assert_allclose(ends, [[18, 36], [21, 34], [30, 20]])
    assert names(figure) == ["1 1 1 +1", "2 0 0", "x"]
    assert axes.get_ylabel() == "|F| (electrons per unit cell)"


def test_unknown_strengths_have_no_scale() -> None:
    (axes,) = stick_figure([18, 21], None, ["a", "b"]).axes
    assert list(axes.get_yticks()) == []
    assert "not known" in axes.get_ylabel()


@pytest.mark.parametrize("draw", [stick_figure, lambda *rest: polar_figure([10.0], *rest)])
def test_one_reflection_draws(draw) -> None:
    draw([20.0], [5.0], ["1 1 1"]).canvas.draw()
    draw([20.0], [0.0], ["1 1 1"]).canvas.draw()


@pytest.mark.parametrize(("labels", "message"), [([], "no reflections"), (["a"], "equally many")])
def test_columns_must_belong_together(labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        stick_figure([1.0, 2.0], [1.0, 2.0], labels)
    with pytest.raises(ValueError, match=message):
        polar_figure([1.0, 2.0], [1.0, 2.0], None, labels)
