"""The acceptance p(q) of the instrument: its three projections and its marginals."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.style import COLORS, FAINT, INK, add_axes, add_text, paper

_PAGE_MM = 130.0
_CONTENTS = (0.5, 0.9, 0.99)
_LABELS = (
    r"$q_{\mathrm{rock}^\prime}\;(10^{-3})$",
    r"$q_{\mathrm{roll}}\;(10^{-3})$",
    r"$q_{2\theta}\;(10^{-3})$",
)


def acceptance_figure(
    q_rock: ArrayLike,
    q_roll: ArrayLike,
    q_2theta: ArrayLike,
    rock_roll: ArrayLike,
    rock_2theta: ArrayLike,
    roll_2theta: ArrayLike,
    *,
    perfect_crystal: ArrayLike | None = None,
    without_stop: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    note: str = "",
    title: str = "",
) -> Figure:
    r"""Draw the acceptance of the instrument in the imaging frame as a triangle of panels.

    On the diagonal stand the marginals with their standard deviations, below it the projections
    of p(q) along the third axis, with contours around the regions of highest density that hold
    50, 90 and 99 % of it.

    Parameters
    ----------
    q_rock, q_roll, q_2theta : array_like, shapes (n1,), (n2,), (n3,)
        Increasing, equally spaced coordinates :math:`q = \Delta Q / |Q_0|` along the axes of the
        imaging frame, dimensionless.
    rock_roll : array_like, shape (n1, n2)
        :math:`\int p\,\mathrm{d}q_{2\theta}`, in any unit.
    rock_2theta : array_like, shape (n1, n3)
        :math:`\int p\,\mathrm{d}q_\mathrm{roll}`.
    roll_2theta : array_like, shape (n2, n3)
        :math:`\int p\,\mathrm{d}q_{\mathrm{rock}'}`.
    perfect_crystal : array_like, shape (3,), optional
        Where the perfect crystal stands at the present setting of the motors; marked by a cross.
    without_stop : three array_like, optional
        The same three projections of the open instrument; their contours and marginals are drawn
        dashed over the others, each marginal to its own peak.
    note : str
        A line of the key, such as how much a stop lets pass.
    title : str
        A line above the panels.

    Returns
    -------
    Figure
        A square figure of 130 mm.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """
    axes_q = [1e3 * np.asarray(q, dtype=float) for q in (q_rock, q_roll, q_2theta)]
    projections = {
        (1, 0): _projection("rock_roll", rock_roll, axes_q[0], axes_q[1]),
        (2, 0): _projection("rock_2theta", rock_2theta, axes_q[0], axes_q[2]),
        (2, 1): _projection("roll_2theta", roll_2theta, axes_q[1], axes_q[2]),
    }
    marginals = _marginals(projections)
    opened, open_marginals = None, None
    if without_stop is not None:
        opened = {
            place: _projection("without_stop", values, *(axes_q[axis] for axis in place[::-1]))
            for place, values in zip(projections, without_stop, strict=True)
        }
        open_marginals = _marginals(opened)
    mark = None if perfect_crystal is None else 1e3 * np.asarray(perfect_crystal, dtype=float)
    side, gap, first = 35.5, 4.0, 13.0
    places = [first + index * (side + gap) for index in range(3)]
    with paper(_PAGE_MM, _PAGE_MM + (4.0 if title else 0.0)) as figure:
        for row in range(3):
            bottom = places[2 - row] - 3.0
            for column in range(row + 1):
                panel = add_axes(figure, places[column], bottom, side, side)
                if row == column:
                    if open_marginals is not None:
                        _draw_open_marginal(panel, axes_q[row], open_marginals[row])
                    _draw_marginal(panel, axes_q[row], marginals[row], mark, row)
                else:
                    x, y = axes_q[column], axes_q[row]
                    _draw_projection(panel, x, y, projections[row, column])
                    if opened is not None:
                        _draw_contours(panel, x, y, opened[row, column], COLORS[4], "dashed")
                    if mark is not None:
                        panel.plot(mark[column], mark[row], "x", color=COLORS[1], markersize=4)
                panel.set_xlim(axes_q[column][0], axes_q[column][-1])
                panel.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10], prune="both")
                if row == 2:
                    panel.set_xlabel(_LABELS[column])
                else:
                    panel.tick_params(labelbottom=False)
                if column == 0 and row > 0:
                    panel.set_ylabel(_LABELS[row])
                elif column < row:
                    panel.tick_params(labelleft=False)
        add_text(figure, first, _PAGE_MM - 0.5, title, size=8)
        _write_key(figure, places, side, mark is not None, opened is not None, note)
    return figure


def density_levels(density: ArrayLike, contents: tuple[float, ...]) -> list[float]:
    """Return the levels whose contours enclose the given shares of a density.

    Parameters
    ----------
    density : array_like
        Non-negative values on equal cells.
    contents : tuple of float
        Shares between 0 and 1.

    Returns
    -------
    list of float
        For each share the highest level such that cells at or above it hold at least that share.
    """
    falling = np.sort(np.asarray(density, dtype=float), axis=None)[::-1]
    held = np.cumsum(falling)
    places = np.searchsorted(held, np.asarray(contents) * held[-1])
    return [float(level) for level in falling[np.minimum(places, falling.size - 1)]]


def _projection(name: str, values: ArrayLike, x: Floats, y: Floats) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.shape != (x.size, y.size) or min(array.shape) < 2:
        raise ValueError(f"{name}: shape {array.shape} does not fit axes {(x.size, y.size)}")
    return array


def _marginals(projections: dict[tuple[int, int], Floats]) -> tuple[Floats, Floats, Floats]:
    rock_roll, rock_2theta = projections[1, 0], projections[2, 0]
    return rock_roll.sum(axis=1), rock_roll.sum(axis=0), rock_2theta.sum(axis=0)


def _draw_projection(axes: Axes, x: Floats, y: Floats, density: Floats) -> None:
    half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    axes.imshow(
        density.T,
        cmap="Blues",
        origin="lower",
        extent=(x[0] - half_x, x[-1] + half_x, y[0] - half_y, y[-1] + half_y),
        aspect="auto",
        vmin=0.0,
    )
    _draw_contours(axes, x, y, density, INK, "solid")
    axes.set_ylim(y[0], y[-1])
    axes.locator_params(axis="y", nbins=5, steps=[1, 2, 5, 10], prune="both")


def _draw_contours(
    axes: Axes, x: Floats, y: Floats, density: Floats, color: str, line: str
) -> None:
    levels = sorted({level for level in density_levels(density, _CONTENTS) if level > 0})
    if levels:
        axes.contour(x, y, density.T, levels=levels, colors=color, linewidths=0.5, linestyles=line)


def _draw_marginal(
    axes: Axes, q: Floats, marginal: Floats, mark: Floats | None, index: int
) -> None:
    peak = float(marginal.max(initial=0.0)) or 1.0
    axes.fill_between(q, marginal / peak, color=COLORS[0], alpha=0.25, linewidth=0)
    axes.plot(q, marginal / peak, color=COLORS[0])
    if mark is not None:
        axes.axvline(float(mark[index]), color=COLORS[1], linewidth=0.7, linestyle=(0, (4, 2)))
    axes.set_ylim(0.0, 1.05)
    axes.set_yticks([])
    axes.spines[["left", "top", "right"]].set_visible(False)
    total = float(marginal.sum()) or 1.0
    mean = float((q * marginal).sum()) / total
    rms = float(np.sqrt(((q - mean) ** 2 * marginal).sum() / total))
    axes.set_title(f"rms {rms:.3g} × 10⁻³", size=6.5, pad=3.0)


def _draw_open_marginal(axes: Axes, q: Floats, marginal: Floats) -> None:
    peak = float(marginal.max(initial=0.0)) or 1.0
    axes.plot(q, marginal / peak, color=COLORS[4], linewidth=0.7, linestyle=(0, (4, 2)))


def _write_key(
    figure: Figure, places: list[float], side: float, marked: bool, compared: bool, note: str
) -> None:
    left, top = places[1] + side + 3.0, places[2] + side - 8.0
    shares = ", ".join(f"{100 * content:.0f}" for content in _CONTENTS)
    lines = [(f"contours hold {shares} %", FAINT)]
    if marked:
        lines.append(("× perfect crystal at this setting", COLORS[1]))
    if compared:
        lines.append(("dashed: without the stop", COLORS[4]))
    if note:
        lines.append((note, FAINT))
    for number, (line, color) in enumerate(lines):
        add_text(figure, left, top - 4.0 * number, line, size=6.5, color=color)
