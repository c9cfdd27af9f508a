"""Figures of a match."""

import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.identify.figures import _settings
from weakbeam.plot.match import match_figure, ranking_figure
from weakbeam.run.render import Condition

RNG = np.random.default_rng(0)


def test_a_row_of_three_panels_for_each_image():
    images = RNG.random((2, 20, 50))
    expected = images + 0.1
    expected[:, :3] = np.nan
    figure = match_figure(images, expected, 10 * (images - expected), ["φ = 1 mrad", ""])
    # Three maps and two colour bars in each row.
    assert len(figure.axes) == 10
    maps = [axes.images[0] for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    assert len(maps) == 6
    assert maps[0].get_clim() == maps[1].get_clim()
    assert maps[2].get_clim() == (-5.0, 5.0)
    assert figure.axes[0].get_title(loc="left") == "image, φ = 1 mrad"


def test_more_images_than_fit():
    stack = RNG.random((9, 12, 12))
    figure = match_figure(stack, stack, stack, [str(k) for k in range(9)], title="t", note="n")
    assert len(figure.axes) == 30


@pytest.mark.parametrize("shape", [(24, 70), (64, 40)])
@pytest.mark.parametrize("setting", ["φ = 1 mrad", "(-1 1 -1), φ = -0.15 mrad, χ = -0.125 mrad"])
def test_titles_of_panels_do_not_touch(shape, setting):
    stack = RNG.random((1, *shape))
    figure = match_figure(stack, stack, stack, [setting])
    titles = [axes._left_title for axes in figure.axes if axes.get_title(loc="left")]
    first, second = (t.get_window_extent() for t in titles[:2])
    assert first.x1 < second.x0
    assert setting.replace("-", "\u2212") in titles[0].get_text()


def test_images_are_named_by_their_reflection():
    experiment = Experiment().with_settings(["reflections=[{hkl=[-1,1,-1]},{hkl=[1,1,-1]}]"])
    conditions = tuple(Condition(n, -1.5e-4, 0.0, 0.0, 0.0) for n in (0, 1))
    assert _settings(conditions, experiment) == [
        "(-1 1 -1), φ = -0.15 mrad",
        "(1 1 -1), φ = -0.15 mrad",
    ]
    assert _settings(conditions[:1], experiment) == ["φ = -0.15 mrad"]


def test_bars_and_deficits():
    figure = ranking_figure(["a -1", "b", "c"], [0.9, 0.1, 0.0], [0.0, 2.2, 500.0], title="x")
    bars, points = figure.axes
    assert [bar.get_width() for bar in bars.patches] == [0.9, 0.1, 0.0]
    assert bars.get_yticklabels()[0].get_text() == "a \u22121"
    assert points.get_xlim()[1] > 500.0
    low, high = bars.get_ylim()
    assert low > high


def test_mistakes():
    with pytest.raises(ValueError, match="one shape"):
        match_figure(np.ones((1, 3, 3)), np.ones((1, 3, 4)), np.ones((1, 3, 3)), ["a"])
    with pytest.raises(ValueError, match="one length"):
        ranking_figure(["a"], [0.1, 0.2], [0.0])
