import numpy as np
import pytest

from weakbeam.plot.acceptance import acceptance_figure, density_levels

RMS = np.array([0.8e-4, 9.9e-4, 1.02e-3])
AXES = [np.linspace(-5, 5, n) * rms for n, rms in zip((61, 71, 81), RMS, strict=True)]
GAUSSIANS = [np.exp(-0.5 * (q / rms) ** 2) for q, rms in zip(AXES, RMS, strict=True)]
ROCK_ROLL, ROCK_2THETA, ROLL_2THETA = (
    np.outer(GAUSSIANS[i], GAUSSIANS[j]) for i, j in ((0, 1), (0, 2), (1, 2))
)


def test_triangle_of_projections_in_thousandths() -> None:
    figure = acceptance_figure(*AXES, ROCK_ROLL, ROCK_2THETA, ROLL_2THETA)
    projections = [axes for axes in figure.axes if axes.images]
    assert len(figure.axes) == 6
    for axes, density, i, j in zip(
        projections,
        (ROCK_ROLL, ROCK_2THETA, ROLL_2THETA),
        (0, 0, 1),
        (1, 2, 2),
        strict=True,
    ):
        np.testing.assert_array_equal(axes.images[0].get_array(), density.T)
        half = [500 * (AXES[k][1] - AXES[k][0]) for k in (i, j)]
        expected = [1e3 * AXES[i][0] - half[0], 1e3 * AXES[i][-1] + half[0]]
        expected += [1e3 * AXES[j][0] - half[1], 1e3 * AXES[j][-1] + half[1]]
        np.testing.assert_allclose(axes.images[0].get_extent(), expected)
    labels = [axes.get_xlabel() for axes in figure.axes[-3:]]
    for label, name in zip(labels, ("rock", "roll", "theta"), strict=True):
        assert name in label
        assert "10^{-3}" in label


def test_marginals_tell_their_standard_deviation() -> None:
    figure = acceptance_figure(*AXES, ROCK_ROLL, ROCK_2THETA, ROLL_2THETA)
    titles = [axes.get_title(loc="left") for axes in figure.axes if not axes.images]
    assert titles == ["rms 0.08 × 10⁻³", "rms 0.99 × 10⁻³", "rms 1.02 × 10⁻³"]


def test_levels_of_a_gaussian() -> None:
    # Around a two-dimensional Gaussian the share 1 - c lies within the level c of the peak.
    levels = density_levels(ROLL_2THETA, (0.5, 0.9, 0.99))
    np.testing.assert_allclose(levels, [0.5, 0.1, 0.01], rtol=0.03)


def test_perfect_crystal_is_marked_in_every_panel() -> None:
    mark = np.array([1.48e-4, 2e-4, -2.3e-5])
    figure = acceptance_figure(*AXES, ROCK_ROLL, ROCK_2THETA, ROLL_2THETA, perfect_crystal=mark)
    crosses = [axes.lines[-1].get_xydata()[0] for axes in figure.axes if axes.images]
    np.testing.assert_allclose(crosses, 1e3 * mark[[[0, 1], [0, 2], [1, 2]]])


def test_empty_acceptance_draws() -> None:
    acceptance_figure(*AXES, 0 * ROCK_ROLL, 0 * ROCK_2THETA, 0 * ROLL_2THETA).canvas.draw()


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="roll_2theta"):
        acceptance_figure(*AXES, ROCK_ROLL, ROCK_2THETA, ROLL_2THETA.T)


def test_open_instrument_is_dashed_over_that_with_a_stop() -> None:
    slit = np.abs(AXES[1]) < 2e-4
    stopped = ROCK_ROLL * slit, ROCK_2THETA, ROLL_2THETA * slit[:, None]
    opened = ROCK_ROLL, ROCK_2THETA, ROLL_2THETA
    plain = acceptance_figure(*AXES, *stopped)
    figure = acceptance_figure(*AXES, *stopped, without_stop=opened, note="passes 16 %")
    assert "passes 16 %" in [text.get_text() for text in figure.texts]
    for axes, alone in zip(figure.axes, plain.axes, strict=True):
        if axes.images:
            np.testing.assert_array_equal(axes.images[0].get_array(), alone.images[0].get_array())
            assert len(axes.collections) == len(alone.collections) + 1
        else:
            assert len(axes.lines) == len(alone.lines) + 1
    # Each marginal to its own peak: of roll, the open one reaches beyond the stop.
    roll = figure.axes[2]
    np.testing.assert_allclose(roll.lines[0].get_ydata(), GAUSSIANS[1], atol=1e-9)
    np.testing.assert_allclose(roll.lines[1].get_ydata(), GAUSSIANS[1] * slit, atol=1e-9)
    with pytest.raises(ValueError, match="without_stop"):
        acceptance_figure(*AXES, *stopped, without_stop=opened[::-1])
