"""Figure of a fitted stack: its dislocations over the data, and what is left unexplained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.style import (
    COLORS,
    DIVERGING_MAP,
    DOUBLE_COLUMN_MM,
    INTENSITY_MAP,
    add_axes,
    add_text,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

_LEFT_MM, _GAP_MM, _BAR_MM, _LABELS_MM = 14.0, 3.0, 2.5, 13.0
_MOST_MM = 70.0
_LINE_MM = 3.6
_SMALL_PT = 6.5

Trace = tuple[tuple[float, float], ...]


def stack_fit_figure(
    image: ArrayLike,
    misfit: ArrayLike,
    residual: ArrayLike,
    view: View,
    marks: Sequence[tuple[float, float]] = (),
    traces: Sequence[Trace] = (),
    *,
    shifts: ArrayLike | None = None,
    image_label: str = "counts",
    shift_label: str = "shift (µrad)",
    lines: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw a frame of a stack with its dislocations, and three maps of it.

    The figure is two columns wide.

    Parameters
    ----------
    image : (rows, columns) array_like
        A frame.
    misfit : (rows, columns) array_like
        Mean squared residual over its variance of each pixel; NaN where none counts.
    residual : (rows, columns) array_like
        Mean residual of each pixel over its standard error.
    view : View
        What its rows and columns are.
    marks : sequence of (row, column)
        Where each dislocation crosses the middle of the beam, or is next to the image's middle.
    traces : sequence of ((row, column), ...)
        Ends of its line where it can be seen, or points of a loop, along with each mark.
    shifts : (rows, columns) array_like, optional
        How far the lattice of each pixel stands beside its Bragg setting.
    image_label, shift_label : str
        What the colours are.
    lines : sequence of str
        What is told below, one a line.
    title : str
        What stands above.
    """
    panels = 4 if shifts is not None else 3
    width = 0.5 * (DOUBLE_COLUMN_MM - 2 * _LEFT_MM) - 2 * _LABELS_MM + 8.0
    width, height = view.box(width, _MOST_MM)
    rows = -(-panels // 2)
    below = 3.0 + _LINE_MM * len(lines)
    whole = below + rows * (height + 14.0) + 6.0
    with paper(DOUBLE_COLUMN_MM, whole) as figure:
        values = view.field(image)
        drawn = [(values, _between(values), INTENSITY_MAP, image_label)]
        if shifts is not None:
            moved = view.field(shifts)
            middle = moved - np.nanmedian(moved)
            drawn.append((middle, _about_zero(middle), DIVERGING_MAP, shift_label))
        left = view.field(misfit)
        top = max(4.0, float(np.nanpercentile(left, 99.9)) if np.isfinite(left).any() else 4.0)
        drawn.append((left, LogNorm(1.0 / top, top), DIVERGING_MAP, "χ² of the pixel's curve"))
        rest = view.field(residual)
        drawn.append((rest, Normalize(-5.0, 5.0), DIVERGING_MAP, "mean residual (σ)"))
        for number, (field, norm, colors, label) in enumerate(drawn):
            row, column = divmod(number, 2)
            x = _LEFT_MM + column * 0.5 * DOUBLE_COLUMN_MM
            y = whole - 6.0 - (row + 1) * height - row * 14.0
            axes = add_axes(figure, x, y, width, height)
            shown = view.draw(axes, field, norm, colors)
            bar = figure.colorbar(shown, cax=add_axes(figure, x + width + 1.5, y, _BAR_MM, height))
            label_bar(bar, label)
            bar.outline.set_linewidth(0.6)
            _draw_lines(axes, view, marks, traces, "white" if number == 0 else "black")
        for number, line in enumerate(lines):
            y = below - 3.0 - _LINE_MM * number
            add_text(figure, _LEFT_MM, y, line, size=_SMALL_PT)
        add_text(figure, _LEFT_MM, whole - 4.0, title, size=8)
    return figure


def _draw_lines(
    axes: Axes,
    view: View,
    marks: Sequence[tuple[float, float]],
    traces: Sequence[Trace],
    color: str,
) -> None:
    limits = axes.get_xlim(), axes.get_ylim()
    for ends in traces:
        x, y = view.places(ends).T
        axes.plot(x, y, color=color, linewidth=0.8, linestyle=(0, (4, 2)))
    for number, mark in enumerate(marks):
        x, y = view.places(mark)
        axes.plot(x, y, "o", markersize=5.0, markerfacecolor="none", color=color, clip_on=True)
        axes.annotate(
            str(number), (x, y), (3.0, 3.0), textcoords="offset points", size=_SMALL_PT,
            color=COLORS[5] if color == "white" else color, annotation_clip=True,
        )  # fmt: skip
    axes.set(xlim=limits[0], ylim=limits[1])


def _between(values: np.ndarray) -> Normalize:
    low, high = (float(np.nanpercentile(values, share)) for share in (0.1, 99.9))
    return Normalize(low, high if high > low else low + 1.0)


def _about_zero(values: np.ndarray) -> Normalize:
    most = float(np.nanpercentile(np.abs(values), 98.0)) or 1.0
    return Normalize(-most, most)
