"""Figures of the distortion: nine components and their errors, strain, rotation, a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.panels import color_limits
from weakbeam.plot.style import (
    DIVERGING_MAP,
    DOUBLE_COLUMN_MM,
    INK,
    INTENSITY_MAP,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

_LEFT, _BAR, _GAP, _BELOW, _ABOVE = 11.0, 16.0, 3.0, 9.0, 5.5

_MOST = 0.95


@dataclass(frozen=True, eq=False)
class Group:
    """Maps that share one scale.

    Parameters
    ----------
    names : sequence of str
        What each shows.
    values : (n, rows, columns) array_like
        The maps.
    label : str
        At the colour bar: quantity and unit.
    diverging : bool
        Whether 0 is the middle of the colours.
    columns : int
        Maps beside each other.
    """

    names: Sequence[str]
    values: ArrayLike
    label: str
    diverging: bool = True
    columns: int = 3


def sheet_view(x: ArrayLike, y: ArrayLike) -> View:
    """The view of maps whose rows follow y and whose columns follow x: y right, x down."""
    return View(np.asarray(x, dtype=float), np.asarray(y, dtype=float), swapped=True)


def groups_figure(
    groups: Sequence[Group], x: ArrayLike, y: ArrayLike, *, title: str = ""
) -> Figure:
    """Draw groups of maps below each other, the maps of each on one scale.

    The figure is two columns wide.

    Parameters
    ----------
    groups : sequence of Group
        The groups; those without any finite value are left out.
    x, y : (n,) array_like
        Coordinates (µm) of the columns and rows of the maps.
    title : str
        A line above.

    Raises
    ------
    ValueError
        If no group has a value, or a map does not fit.
    """
    shown = [group for group in groups if np.isfinite(np.asarray(group.values)).any()]
    if not shown:
        raise ValueError("there is no map to draw")
    view = sheet_view(x, y)
    columns = max(group.columns for group in shown)
    room = (DOUBLE_COLUMN_MM - _LEFT - _BAR - (columns - 1) * _GAP) / columns
    width, height = view.box(room, 55.0)
    rows = [-(-len(group.names) // group.columns) for group in shown]
    line = height + _ABOVE
    total = sum(count * line + _BELOW for count in rows) + (7.0 if title else 1.0)
    with paper(DOUBLE_COLUMN_MM, total) as figure:
        top = total - (7.0 if title else 1.0)
        for group, count in zip(shown, rows, strict=True):
            _draw_group(figure, group, view, top, width, height, line)
            top -= count * line + _BELOW
        add_text(figure, _LEFT, total - 4.0, title, size=8)
    return figure


def _draw_group(
    figure: Figure, group: Group, view: View, top: float, width: float, height: float, line: float
) -> None:
    values = np.asarray(group.values, dtype=float)
    low, high = color_limits(values, group.diverging)
    if not group.diverging:
        # What most places have; a core would leave all else dark.
        low, high = 0.0, float(np.nanquantile(values, _MOST)) or high
    limits = Normalize(low, high)
    colors = DIVERGING_MAP if group.diverging else INTENSITY_MAP
    count = len(group.names)
    rows = -(-count // group.columns)
    for number, (name, map_) in enumerate(zip(group.names, values, strict=True)):
        row, column = divmod(number, group.columns)
        left = _LEFT + column * (width + _GAP)
        axes = add_axes(figure, left, top - (row + 1) * line, width, height)
        drawn = view.draw(axes, map_, limits, colors)
        axes.set_title(name)
        lowest = row == rows - 1 or number + group.columns >= count
        axes.set_xlabel("y (µm)" if lowest else "")
        axes.set_ylabel("← x (µm)" if column == 0 else "")
        axes.tick_params(labelbottom=lowest, labelleft=column == 0)
    bottom = top - rows * line
    bar_left = _LEFT + group.columns * (width + _GAP)
    bar = figure.colorbar(
        drawn,
        cax=add_axes(figure, bar_left, bottom, 2.5, rows * line - _ABOVE),
        extend="neither" if group.diverging else "max",
    )
    label_bar(bar, group.label)
    bar.outline.set_linewidth(0.6)


def circuit_figure(
    values: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    circuits: Sequence[tuple[Floats, str]],
    *,
    label: str,
    diverging: bool = True,
    title: str = "",
) -> Figure:
    """Draw Burgers circuits over a map.

    Parameters
    ----------
    values : (rows, columns) array_like
        The map.
    x, y : (n,) array_like
        Coordinates (µm) of its columns and rows.
    circuits : sequence of ((n, 2) ndarray, str)
        Corners (x, y) in µm of each, right-handed about the normal, and what it gave.
    label : str
        At the colour bar.
    diverging : bool
        Whether 0 is the middle of the colours.
    title : str
        A line above.
    """
    view = sheet_view(x, y)
    lines = sum(text.count("\n") + 1 for _, text in circuits)
    width, height = view.box(SINGLE_COLUMN_MM - _LEFT - _BAR - 2.0, 70.0)
    foot = 3.6 * lines + 2.0
    total = height + _BELOW + foot + (8.0 if title else 3.0)
    with paper(SINGLE_COLUMN_MM, total) as figure:
        axes = add_axes(figure, _LEFT, _BELOW + foot, width, height)
        array = np.asarray(values, dtype=float)
        limits = Normalize(*color_limits(array, diverging))
        colors = DIVERGING_MAP if diverging else INTENSITY_MAP
        drawn = view.draw(axes, array, limits, colors)
        axes.set_xlabel("y (µm)")
        axes.set_ylabel("← x (µm)")
        for number, (corners, _) in enumerate(circuits, 1):
            closed = np.concatenate([corners, corners[:1]])
            tone = INK if diverging else "white"
            axes.plot(closed[:, 1], closed[:, 0], color=tone, linewidth=1.0)
            # The sense of the circuit.
            middle = 0.5 * (closed[0] + closed[1])
            way = 0.08 * (closed[1] - closed[0])
            axes.annotate(
                "",
                xy=(middle + way)[::-1],
                xytext=(middle - way)[::-1],
                arrowprops={"arrowstyle": "-|>", "color": tone, "lw": 1.0},
            )
            if len(circuits) > 1:
                axes.text(
                    float(corners[0, 1]),
                    float(corners[0, 0]),
                    str(number),
                    color=tone,
                    fontsize=6.5,
                )
        bar = figure.colorbar(
            drawn, cax=add_axes(figure, _LEFT + width + 2.0, _BELOW + foot, 2.5, height)
        )
        label_bar(bar, label)
        bar.outline.set_linewidth(0.6)
        place = foot - 2.4
        for _, text in circuits:
            for one in text.split("\n"):
                add_text(figure, 2.0, place, one, size=6.5)
                place -= 3.6
        add_text(figure, _LEFT, total - 4.0, title, size=8)
    return figure
