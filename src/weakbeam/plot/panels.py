"""Panels of maps side by side, in µm of the sample or in pixels of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.style import (
    DIVERGING_MAP,
    DOUBLE_COLUMN_MM,
    INTENSITY_MAP,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    fit_text,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

_LOW, _HIGH = 1.0, 99.0
_FLAT = 1e-12
"""Limits no farther apart than this share of their size are drawn as one value."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One map of a figure.

    Parameters
    ----------
    title : str
        What it shows.
    values : (rows, columns) array_like
        The map, NaN where there is no value.
    label : str
        At the colour bar: quantity and unit.
    diverging : bool
        Whether 0 is the middle of the colours; else they run from the lowest to the highest.
    """

    title: str
    values: ArrayLike
    label: str
    diverging: bool = False


def panels_figure(
    panels: Sequence[Panel], view: View, *, columns: int = 2, title: str = ""
) -> Figure:
    """Draw maps side by side, each with its own colour bar.

    Parameters
    ----------
    panels : sequence of Panel
        The maps, row by row.
    view : View
        What their rows and columns are.
    columns : int
        How many panels stand side by side at most.
    title : str
        A line above the panels.

    Returns
    -------
    Figure
        One column wide for a single panel, otherwise two.

    Raises
    ------
    ValueError
        If there is no panel, or a map does not fit the view.
    """
    if not panels:
        raise ValueError("there is no map to draw")
    columns = min(columns, len(panels))
    page = SINGLE_COLUMN_MM if columns == 1 else DOUBLE_COLUMN_MM
    left, bar, below, above = 12.0, 19.0, 10.0, 6.0
    width, height = view.box(page / columns - left - bar, 75.0)
    rows = -(-len(panels) // columns)
    head = 7.0 if title else 2.0
    row_height = height + below + above
    with paper(page, rows * row_height + head) as figure:
        for number, panel in enumerate(panels):
            row, column = divmod(number, columns)
            bottom = (rows - 1 - row) * row_height + below
            corner = column * page / columns + left
            axes = add_axes(figure, corner, bottom, width, height)
            array = view.field(panel.values)
            low, high = color_limits(array, panel.diverging)
            colors = DIVERGING_MAP if panel.diverging else INTENSITY_MAP
            drawn = view.draw(axes, array, Normalize(low, high), colors)
            bar_axes = add_axes(figure, corner + width + 2.0, bottom, 2.5, height)
            color_bar = figure.colorbar(drawn, cax=bar_axes)
            label_bar(color_bar, panel.label)
            color_bar.outline.set_linewidth(0.6)
            # Up to the label of the panel beside it.
            fit_text(axes.set_title(panel.title), page / columns - left)
        add_text(figure, left, rows * row_height + 2.0, title, size=8)
    return figure


def color_limits(values: ArrayLike, diverging: bool = False) -> tuple[float, float]:
    """Return the values of the first and the last colour: percentiles 1 and 99 of a map.

    On a diverging scale they are symmetric about 0. A constant map gets a range about its value.
    """
    array = np.asarray(values, dtype=float)
    finite = array[np.isfinite(array)]
    if finite.size == 0:
        return (-1.0, 1.0) if diverging else (0.0, 1.0)
    if diverging:
        limit = float(np.percentile(np.abs(finite), _HIGH)) or 1.0
        return -limit, limit
    low, high = (float(value) for value in np.percentile(finite, [_LOW, _HIGH]))
    if high - low <= _FLAT * max(abs(low), abs(high)):
        half = 0.5 * abs(low) or 0.5
        return low - half, high + half
    return low, high
