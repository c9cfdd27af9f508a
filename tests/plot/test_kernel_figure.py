import numpy as np
import pytest

from weakbeam.plot.kernel import kernel_figure, residuals

RMS = (0.8e-4, 9.9e-4, 1.02e-3)
EDGES = [np.linspace(-5, 5, n + 1) * rms for n, rms in zip((60, 50, 40), RMS, strict=True)]
SHAPES = [np.exp(-0.5 * ((e[1:] + e[:-1]) / 2 / r) ** 2) for e, r in zip(EDGES, RMS, strict=True)]
SLICES = [np.outer(SHAPES[i], SHAPES[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
EXPECTED = [1e4 * shape for shape in SHAPES]
COUNTS = [np.random.default_rng(1).poisson(mean) for mean in EXPECTED]


def compared(**changes):
    given = {"expected_slices": SLICES, "expected_counts": EXPECTED}
    return kernel_figure(EDGES, SLICES, COUNTS, **(given | changes))


def test_slices_in_thousandths_on_one_scale() -> None:
    figure = compared()
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 3
    for axes, plane, (i, j) in zip(panels, SLICES, ((0, 1), (0, 2), (1, 2)), strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), plane.T)
        expected = [1e3 * EDGES[k][end] for k in (i, j) for end in (0, -1)]
        np.testing.assert_allclose(image.get_extent(), expected)
        assert image.get_clim() == (0.0, max(s.max() for s in SLICES))
        for label, k in ((axes.get_xlabel(), i), (axes.get_ylabel(), j)):
            assert ("rock", "roll", "theta")[k] in label
            assert "10^{-3}" in label


def test_marginals_and_what_is_expected() -> None:
    figure = compared()
    histograms = [axes for axes in figure.axes if axes.patches and not axes.images]
    histograms = [axes for axes in histograms if hasattr(axes.patches[0], "get_data")]
    assert len(histograms) == 3
    for axes, edges, counts, mean in zip(histograms, EDGES, COUNTS, EXPECTED, strict=True):
        drawn = axes.patches[0].get_data()
        np.testing.assert_array_equal(drawn.values, counts)
        np.testing.assert_allclose(drawn.edges, 1e3 * edges)
        np.testing.assert_allclose(axes.lines[0].get_ydata(), mean)


def test_residuals_scatter_by_one_and_the_figure_says_so() -> None:
    figure = compared()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert len(titles) == 3
    for title, counts, mean in zip(titles, COUNTS, EXPECTED, strict=True):
        sigmas = residuals(counts, mean)
        known = np.isfinite(sigmas)
        assert (known == (mean >= 10)).all()
        chi_square = float(np.sum((counts[known] - mean[known]) ** 2 / mean[known]))
        assert title == f"χ² per bin {chi_square / known.sum():.2f} in {known.sum()} bins"
        assert 0.4 < chi_square / known.sum() < 1.8


def test_a_wrong_expectation_shows() -> None:
    figure = compared(expected_counts=[1.1 * mean for mean in EXPECTED])
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert all(float(title.split()[3]) > 5 for title in titles)


def test_without_a_closed_form_there_are_no_residuals() -> None:
    figure = kernel_figure(EDGES, SLICES, COUNTS, title="a kernel", note="a note")
    assert len(figure.axes) == 6
    assert len(compared().axes) == 9
    figure.canvas.draw()


def test_one_voxel_and_an_empty_kernel_draw() -> None:
    edge, one = np.array([-1e-3, 1e-3]), np.ones((1, 1))
    kernel_figure(
        [edge] * 3,
        [one] * 3,
        [[5]] * 3,
        expected_slices=[one] * 3,
        expected_counts=[[5.0]] * 3,
    ).canvas.draw()
    nothing = [0 * plane for plane in SLICES]
    compared(expected_slices=nothing, expected_counts=[0 * c for c in COUNTS]).canvas.draw()
    kernel_figure(EDGES, nothing, [0 * c for c in COUNTS]).canvas.draw()


def test_a_slice_behind_a_stop_says_so() -> None:
    figure = compared(expected_slices=None)
    dark = kernel_figure(EDGES, [SLICES[0], 1e-3 * SLICES[1], SLICES[2]], COUNTS)
    assert [len(axes.texts) for axes in figure.axes if axes.images] == [0, 0, 0]
    assert [len(axes.texts) for axes in dark.axes if axes.images] == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("slices", (EDGES, SLICES[::-1], COUNTS)),
        ("counts", (EDGES, SLICES, COUNTS[::-1])),
        ("counts", (EDGES, SLICES, COUNTS[:2])),
    ],
)
def test_mistakes_are_refused(name: str, arguments: tuple) -> None:
    with pytest.raises(ValueError, match=f"^{name} of shapes"):
        kernel_figure(*arguments)
    with pytest.raises(ValueError, match="expected_counts"):
        compared(expected_counts=COUNTS[:1])
