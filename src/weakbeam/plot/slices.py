"""Slices through something on a grid in space: many panels of one place."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import Floats
from weakbeam.plot.panels import Panel, color_limits
from weakbeam.plot.style import (
    DIVERGING_MAP,
    DOUBLE_COLUMN_MM,
    FAINT,
    INTENSITY_MAP,
    NAN_COLOR,
    add_axes,
    add_text,
    few_ticks,
    label_bar,
    paper,
)
from weakbeam.plot.view import fit_box, pixel_edges

_COLUMNS = 3
_LEFT, _BAR, _BELOW, _ABOVE = 13.0, 20.0, 10.0, 6.0
_TALLEST = 46.0

AXES = {"x": ("y", "z", True), "y": ("x", "z", True), "z": ("y", "x", False)}
"""Of a slice across an axis: what runs to the right, what up or down, and whether up.

Across z it is the rule of all images, y to the right and x down, seen from above.
"""


def slices_figure(
    panels: Sequence[Panel],
    across: str,
    places: tuple[Floats, Floats],
    *,
    unit: str = "µm",
    title: str = "",
    note: str = "",
) -> Figure:
    """Draw several components in one slice through a grid, three beside each other.

    Components of one label share the limits of their colours.

    Parameters
    ----------
    panels : sequence of Panel
        Values of shape (n, m): rows along the second axis of `AXES`, columns along the first.
    across : {"x", "y", "z"}
        The axis that the slice lies across.
    places : tuple of (n,) and (m,) ndarray
        Places of rows and columns.
    unit : str
        Of the places.
    title, note : str
        Lines above the panels.
    """
    right, vertical, upwards = AXES[across]
    down, left = places
    low, high = sorted(pixel_edges(down, _step(left)))
    first, last = sorted(pixel_edges(left, _step(down)))
    extent = (first, last, low, high) if upwards else (first, last, high, low)
    page = DOUBLE_COLUMN_MM / _COLUMNS
    width, height = fit_box(extent, page - _LEFT - _BAR, _TALLEST)
    rows = -(-len(panels) // _COLUMNS)
    row_height, head = height + _BELOW + _ABOVE, 12.0
    together: dict[str, list[Panel]] = {}
    for panel in panels:
        together.setdefault(panel.label, []).append(panel)
    limits = {}
    for label, alike in together.items():
        ends = [color_limits(panel.values, panel.diverging) for panel in alike]
        limits[label] = min(end[0] for end in ends), max(end[1] for end in ends)
    with paper(DOUBLE_COLUMN_MM, rows * row_height + head) as figure:
        for number, panel in enumerate(panels):
            row, column = divmod(number, _COLUMNS)
            bottom = (rows - 1 - row) * row_height + _BELOW
            corner = column * page + _LEFT
            axes = add_axes(figure, corner, bottom, width, height)
            colors = DIVERGING_MAP if panel.diverging else INTENSITY_MAP
            drawn = axes.imshow(
                panel.values,
                norm=Normalize(*limits[panel.label]),
                cmap=colormaps[colors].with_extremes(bad=NAN_COLOR),
                origin="lower" if upwards else "upper",
                extent=extent,
                aspect="equal",
                interpolation="nearest",
            )
            few_ticks(axes)
            axes.set_title(panel.title)
            axes.set_xlabel(f"{right} ({unit})")
            axes.set_ylabel(f"{vertical} ({unit})" if upwards else f"← {vertical} ({unit})")
            bar_axes = add_axes(figure, corner + width + 2.0, bottom, 2.5, height)
            bar = figure.colorbar(drawn, cax=bar_axes)
            label_bar(bar, panel.label)
            bar.outline.set_linewidth(0.6)
        top = rows * row_height + head
        add_text(figure, _LEFT, top - 5.0, title, size=8)
        add_text(figure, _LEFT, top - 9.0, note, size=6.5, color=FAINT)
    return figure


def _step(places: Floats) -> float:
    return abs(float(places[-1] - places[0])) / (places.size - 1) if places.size > 1 else 1.0
