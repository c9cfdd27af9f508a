"""A tabulated acceptance: slices through it, and its marginals against the closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.style import (
    COLORS,
    DOUBLE_COLUMN_MM,
    FAINT,
    add_axes,
    add_text,
    few_ticks,
    new_figure,
    style,
)

FEWEST_COUNTS = 10.0
"""Fewest rays that are expected in a bin for its residual to be drawn: nearly Gaussian then."""

_LABELS = (
    r"$q_{\mathrm{rock}^\prime}\;(10^{-3})$",
    r"$q_{\mathrm{roll}}\;(10^{-3})$",
    r"$q_{2\theta}\;(10^{-3})$",
)
_PAIRS = ((0, 1), (0, 2), (1, 2))
# Heights of the contours, in the highest value of the closed form in the slices.
_HEIGHTS = (0.1, 0.5, 0.9)
_DARK = 0.02
"""Share of the highest p below which a slice counts as behind the stop."""

_LEFT_MM, _WIDTH_MM, _STEP_MM = 13.0, 46.0, 60.0
_HEIGHT_MM, _TOP_MM = 150.0, 135.5


def kernel_figure(
    edges: Sequence[ArrayLike],
    slices: Sequence[ArrayLike],
    counts: Sequence[ArrayLike],
    *,
    expected_slices: Sequence[ArrayLike] | None = None,
    expected_counts: Sequence[ArrayLike] | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    r"""Draw slices of a kernel through a point, its marginals and their residuals.

    The slices have one scale of colours, and contours of the closed form at 10, 50 and 90 % of its
    highest value in them. The marginals are histograms, in rays per bin. Over them runs what the
    closed form expects, and below stand the residuals, (counts - expected) / √expected. If the two
    agree they scatter with the standard deviation 1, shown by a band; their mean square χ² per bin
    stands above.

    Parameters
    ----------
    edges : three array_like, shapes (n1 + 1,), (n2 + 1,), (n3 + 1,)
        Edges of the bins along q_rock', q_roll and q_2θ, increasing, dimensionless.
    slices : three array_like, shapes (n1, n2), (n1, n3), (n2, n3)
        p where the third component is that of the point, in any unit.
    counts : three array_like, shapes (n1,), (n2,), (n3,)
        Rays in each bin along one axis, whatever their other components.
    expected_slices : three array_like, optional
        The same as `slices` by the closed form, in the same unit; drawn as contours.
    expected_counts : three array_like, optional
        The same as `counts` by the closed form.
    title : str
        A line above the panels.
    note : str
        A line below the title.

    Returns
    -------
    Figure
        A figure two columns wide.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """
    ends = [1e3 * np.asarray(edge, dtype=float) for edge in edges]
    sizes = [edge.size - 1 for edge in ends]
    planes = _checked("slices", slices, [(sizes[i], sizes[j]) for i, j in _PAIRS])
    observed = _checked("counts", counts, [(n,) for n in sizes])
    contours = expected = None
    if expected_slices is not None:
        contours = _checked("expected_slices", expected_slices, [p.shape for p in planes])
    if expected_counts is not None:
        expected = _checked("expected_counts", expected_counts, [c.shape for c in observed])
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, _HEIGHT_MM)
        brightest = max(float(plane.max()) for plane in planes) or 1.0
        levels = [h * max(float(c.max()) for c in contours or planes) for h in _HEIGHTS]
        for k, (i, j) in enumerate(_PAIRS):
            left = _LEFT_MM + k * _STEP_MM
            panel = add_axes(figure, left, 88.0, _WIDTH_MM, _WIDTH_MM)
            _draw_slice(panel, ends[i], ends[j], planes[k], brightest)
            if contours is not None:
                _draw_contours(panel, ends[i], ends[j], contours[k], levels)
            panel.set_xlabel(_LABELS[i])
            panel.set_ylabel(_LABELS[j])
        for k in range(3):
            left = _LEFT_MM + k * _STEP_MM
            histogram = add_axes(figure, left, 37.0, _WIDTH_MM, 36.0)
            _draw_marginal(
                histogram, ends[k], observed[k], None if expected is None else expected[k]
            )
            lowest = histogram
            if expected is not None:
                histogram.tick_params(labelbottom=False)
                lowest = add_axes(figure, left, 11.0, _WIDTH_MM, 22.0)
                histogram.set_title(_draw_residuals(lowest, ends[k], observed[k], expected[k]))
            lowest.set_xlabel(_LABELS[k])
            if k == 0:
                histogram.set_ylabel("rays per bin")
                lowest.set_ylabel("residual (σ)" if expected is not None else "rays per bin")
        _write(figure, title, note, contours is not None)
    return figure


def residuals(counts: ArrayLike, expected: ArrayLike) -> Floats:
    """Deviation of counts from what is expected, in standard deviations.

    Parameters
    ----------
    counts, expected : array_like
        Of equal shapes.

    Returns
    -------
    ndarray
        (counts - expected) / √expected; NaN where fewer than `FEWEST_COUNTS` are expected.
    """
    observed, mean = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
    enough = mean >= FEWEST_COUNTS
    sigma = np.sqrt(np.where(enough, mean, 1.0))
    return np.where(enough, (observed - mean) / sigma, np.nan)


def _checked(
    name: str, arrays: Sequence[ArrayLike], shapes: Sequence[tuple[int, ...]]
) -> list[Floats]:
    values = [np.asarray(array, dtype=float) for array in arrays]
    if [value.shape for value in values] != list(shapes):
        raise ValueError(f"{name} of shapes {[v.shape for v in values]} should have {list(shapes)}")
    return values


def _draw_slice(axes: Axes, x: Floats, y: Floats, density: Floats, brightest: float) -> None:
    axes.imshow(
        density.T,
        cmap="Blues",
        origin="lower",
        extent=(x[0], x[-1], y[0], y[-1]),
        aspect="auto",
        vmin=0.0,
        vmax=brightest,
        interpolation="nearest",
    )
    if density.max() < _DARK * brightest:
        middle = (x[0] + x[-1]) / 2.0, (y[0] + y[-1]) / 2.0
        axes.text(*middle, "next to nothing passes here", size=6.5, color=FAINT, ha="center")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    few_ticks(axes)


def _draw_contours(
    axes: Axes, x: Floats, y: Floats, expected: Floats, levels: Sequence[float]
) -> None:
    crossed = [level for level in levels if expected.min() < level < expected.max()]
    if crossed and min(expected.shape) > 1:
        centers = [(edge[1:] + edge[:-1]) / 2.0 for edge in (x, y)]
        axes.contour(*centers, expected.T, levels=crossed, colors=COLORS[1], linewidths=0.7)


def _draw_marginal(axes: Axes, edges: Floats, counts: Floats, expected: Floats | None) -> None:
    axes.stairs(counts, edges, fill=True, color=COLORS[0], alpha=0.35, linewidth=0)
    if expected is not None:
        centers = (edges[1:] + edges[:-1]) / 2.0
        axes.plot(centers, expected, color=COLORS[1], linewidth=0.9)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.0, 1.08 * float(counts.max(initial=0.0)) or 1.0)
    axes.spines[["top", "right"]].set_visible(False)
    few_ticks(axes)
    axes.locator_params(axis="y", nbins=5, steps=[1, 2, 2.5, 5, 10])
    # A common factor above the panel would collide with its title.
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))


def _draw_residuals(axes: Axes, edges: Floats, counts: Floats, expected: Floats) -> str:
    """Draw the residuals; return what their mean square is."""
    sigmas = residuals(counts, expected)
    known = np.isfinite(sigmas)
    centers = (edges[1:] + edges[:-1]) / 2.0
    reach = max(4.0, 1.1 * float(np.abs(sigmas[known]).max(initial=0.0)))
    axes.axhspan(-1.0, 1.0, color="0.92", linewidth=0)
    axes.axhline(0.0, color=COLORS[1], linewidth=0.9)
    axes.plot(centers, sigmas, ".", color=COLORS[0], markersize=1.8)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(-reach, reach)
    axes.spines[["top", "right"]].set_visible(False)
    few_ticks(axes)
    if not known.any():
        return "too few rays to compare"
    return f"χ² per bin {np.mean(sigmas[known] ** 2):.2f} in {known.sum()} bins"


def _short(value: float) -> str:
    """A number of rays in a few letters: 250 k, 1.2 M."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def _write(figure: Figure, title: str, note: str, compared: bool) -> None:
    add_text(figure, _LEFT_MM, _HEIGHT_MM - 5.0, title, size=8)
    add_text(figure, _LEFT_MM, _HEIGHT_MM - 9.0, note, size=6.5, color=FAINT)
    add_text(figure, _LEFT_MM, _TOP_MM, "slices through the mean, and marginals")
    if compared:
        right = _LEFT_MM + 2 * _STEP_MM + _WIDTH_MM
        key = "closed form; contours at 10, 50, 90 % of its highest value"
        add_text(figure, right, _TOP_MM, key, size=6.5, color=COLORS[1], ha="right")
