"""Images, maps and curves of several scans side by side, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.image import intensity_norm, label_intensities, light_range
from weakbeam.plot.panels import color_limits
from weakbeam.plot.rocking import power_of_ten
from weakbeam.plot.style import (
    COLORS,
    DIVERGING_MAP,
    DOUBLE_COLUMN_MM,
    FAINT,
    INTENSITY_MAP,
    add_axes,
    add_text,
    few_ticks,
    fit_text,
    fold_power,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

Kind = Literal["intensity", "range", "diverging"]

_BESIDE = 3
"""Pictures that stand side by side at most."""

_LEFT, _BAR, _BELOW, _ABOVE, _GAP = 14.0, 17.0, 10.0, 5.5, 13.5
_HIGHEST, _LOWEST = 62.0, 18.0
_LINE, _TITLE = 2.9, 3.6
_DECADES = 4.0
_STRIP = 14.0
_MARKED = 60
"""Points of a curve that are drawn as points, at most."""

_ALIKE = 3.0
"""How many times as large one field may be as another for both to be drawn at one scale."""
_RATIOS = 4.0
"""Largest ratio, and one over the smallest, that has a colour of its own."""


@dataclass(frozen=True, eq=False)
class Side:
    """One picture of a row.

    Parameters
    ----------
    title : str
        What stands above it.
    values : (rows, columns) array_like
        The image or map, NaN where there is no value.
    view : View
        What its rows and columns are.
    """

    title: str
    values: ArrayLike
    view: View


@dataclass(frozen=True, eq=False)
class Row:
    """Pictures of one quantity.

    Parameters
    ----------
    label : str
        Quantity and unit, at the colour bar.
    sides : sequence of Side
        The pictures.
    kind : {"intensity", "range", "diverging"}
        Colours that end where light does; from the lowest to the highest value; about 0.
    against : Side, optional
        Second less first, or second over first, on the pixels of the first.
    against_label : str
        At its colour bar.
    ratio : bool
        Whether it is a ratio, whose colours are those of its logarithm about 1.
    """

    label: str
    sides: Sequence[Side]
    kind: Kind = "range"
    against: Side | None = None
    against_label: str = ""
    ratio: bool = False


def pictures_figure(
    rows: Sequence[Row],
    *,
    titles: Sequence[str] = (),
    notes: Sequence[str] = (),
    scale: str = "linear",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw pictures side by side, those of a row on one scale.

    Parameters
    ----------
    rows : sequence of Row
        From the top down. More than three pictures of a row stand in several lines.
    titles : sequence of str
        What the sides are, a line each.
    notes : sequence of str
        What was done to the pictures, a line each.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour.

    Returns
    -------
    Figure
        Two columns wide.

    Raises
    ------
    ValueError
        If there is no picture, or one does not fit its view.
    """
    if not rows or not all(row.sides for row in rows):
        raise ValueError("there is no picture to draw")
    most = max(len(row.sides) for row in rows)
    # As many lines as it takes, and as even as it goes.
    beside = -(-most // -(-most // _BESIDE))
    more = any(row.against is not None for row in rows)
    # Two bars where there is a panel of differences.
    taken = _LEFT + _BAR + (beside - 1) * _GAP + (_GAP + _BAR if more else 0.0)
    room = (DOUBLE_COLUMN_MM - taken) / (beside + more)
    views = [side.view for row in rows for side in row.sides]
    views += [row.against.view for row in rows if row.against is not None]
    boxes = _boxes(views, room)
    # Side by side with no more room between them than it takes.
    room = max(max(box[0] for box in boxes.values()), 18.0)
    lines = [
        (row, list(row.sides[start : start + beside]), start == 0)
        for row in rows
        for start in range(0, len(row.sides), beside)
    ]
    heights = [
        max(*(boxes[side.view][1] for side in some), boxes[row.against.view][1], _LOWEST)
        if row.against is not None
        else max(*(boxes[side.view][1] for side in some), _LOWEST)
        for row, some, _ in lines
    ]
    page = sum(heights) + len(lines) * (_BELOW + _ABOVE)
    head = 1.5 + _TITLE * len(titles) + _LINE * len(notes)
    with paper(DOUBLE_COLUMN_MM, page + head) as figure:
        top = page
        for (row, some, begins), high in zip(lines, heights, strict=True):
            top -= _ABOVE
            norm = _norm([side.view.field(side.values) for side in row.sides], row, scale, limits)
            colors = DIVERGING_MAP if row.kind == "diverging" else INTENSITY_MAP
            for number, side in enumerate(some):
                left, box = _LEFT + number * (room + _GAP), boxes[side.view]
                axes = _panel(figure, side, (left, top), box, norm, colors)
            _bar(figure, axes, left + box[0], top, row.label, norm)
            if row.against is not None and begins:
                left = _LEFT + beside * (room + _GAP) + _BAR - 3.0
                box = boxes[row.against.view]
                field = row.against.view.field(row.against.values)
                norm = _ratio_norm() if row.ratio else Normalize(*color_limits(field, True))
                axes = _panel(figure, row.against, (left, top), box, norm, DIVERGING_MAP)
                _bar(figure, axes, left + box[0], top, row.against_label, norm, ratio=row.ratio)
            top -= high + _BELOW
        _head(figure, page, titles, notes)
    return figure


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of several scans over one motor.

    Parameters
    ----------
    axis_label : str
        Motor and unit.
    intensity_label : str
        What is drawn.
    curves : sequence of (str, (n,) array_like, (n,) array_like)
        Name, increasing positions and intensities of each.
    difference : ((n,) array_like, (n,) array_like), optional
        Positions, and second less first.
    difference_label : str
        What it is called.
    """

    axis_label: str
    intensity_label: str
    curves: Sequence[tuple[str, ArrayLike, ArrayLike]]
    difference: tuple[ArrayLike, ArrayLike] | None = None
    difference_label: str = "B − A"


def compared_curves_figure(
    motors: Sequence[Curves], *, titles: Sequence[str] = (), notes: Sequence[str] = ()
) -> Figure:
    """Draw curves of several scans over one axis, on a linear and on a logarithmic scale.

    Parameters
    ----------
    motors : sequence of Curves
        A row of panels for each motor; below the linear one its difference.
    titles : sequence of str
        What the sides are, a line each.
    notes : sequence of str
        What was done to the curves, a line each.

    Returns
    -------
    Figure
        Two columns wide.

    Raises
    ------
    ValueError
        If there is no curve.
    """
    if not motors or not all(motor.curves for motor in motors):
        raise ValueError("there is no curve to draw")
    names = list(dict.fromkeys(name for motor in motors for name, _, _ in motor.curves))
    high, below, wide = 58.0, 11.0, 72.0
    pitch = high + below + 3.0
    legend = 3.4 * len(names) + 1.5
    head = 1.5 + _TITLE * len(titles) + _LINE * len(notes)
    top = len(motors) * pitch + legend
    with paper(DOUBLE_COLUMN_MM, top + head) as figure:
        for number, motor in enumerate(motors):
            bottom = (len(motors) - 1 - number) * pitch + below
            lifted = 0.0 if motor.difference is None else _STRIP + 2.0
            linear = add_axes(figure, 15.0, bottom + lifted, wide, high - lifted)
            log = add_axes(figure, 107.0, bottom, wide, high)
            _draw_curves(linear, log, motor, names)
            lowest = linear
            if motor.difference is not None:
                lowest = add_axes(figure, 15.0, bottom, wide, _STRIP)
                x, lost = (np.asarray(values, dtype=float) for values in motor.difference)
                lowest.axhline(0.0, color=FAINT, linewidth=0.5)
                lowest.plot(x, lost, color=COLORS[1], linewidth=0.8)
                lowest.set_xlim(linear.get_xlim())
                lowest.set_ylabel(motor.difference_label)
                lowest.spines[["top", "right"]].set_visible(False)
                few_ticks(lowest)
                fold_power(lowest.yaxis)
                linear.tick_params(labelbottom=False)
            for axes in (lowest, log):
                axes.set_xlabel(motor.axis_label)
                fold_power(axes.xaxis)
            fold_power(linear.yaxis)
            if number == 0:
                linear.legend(
                    loc="lower left",
                    bbox_to_anchor=(0.0, 1.02),
                    borderaxespad=0.0,
                    borderpad=0.0,
                )
        _head(figure, top, titles, notes)
    return figure


def _draw_curves(linear: Axes, log: Axes, motor: Curves, names: Sequence[str]) -> None:
    every = [np.asarray(values, dtype=float) for _, _, values in motor.curves]
    highest = max(float(np.nanmax(values)) for values in every) or 1.0
    lowest = min(0.0, *(float(np.nanmin(values)) for values in every))
    linear.set_ylim(lowest, 1.06 * highest)
    log.set_yscale("log")
    log.set_ylim(highest * 10**-_DECADES, 2.0 * highest)
    log.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
    for name, positions, values in motor.curves:
        number = names.index(name)
        for axes in (linear, log):
            axes.plot(
                np.asarray(positions, dtype=float),
                np.asarray(values, dtype=float),
                color=COLORS[number % len(COLORS)],
                marker="os^vD"[number % 5] if np.size(values) <= _MARKED else "",
                markersize=2.0,
                linewidth=0.8,
                label=name,
            )
    log.set_xlim(linear.get_xlim())
    few_ticks(linear)
    log.locator_params(axis="x", nbins=6)
    for axes in (linear, log):
        axes.set_ylabel(motor.intensity_label)
        axes.spines[["top", "right"]].set_visible(False)


def _norm(
    fields: Sequence[Floats], row: Row, scale: str, limits: tuple[float, float] | None
) -> Normalize:
    """One scale for all pictures of a row."""
    if row.kind == "intensity":
        if limits is not None:
            return intensity_norm(fields[0], scale, limits)
        # A dark and a bright pixel stand for all pictures, which may have different shapes.
        ends = np.array([light_range(field) for field in fields])
        darkest, brightest = float(ends[:, 0].min()), float(ends[:, 1].max())
        usual = intensity_norm(np.full((1, 1), brightest), scale)
        low = darkest if darkest >= 0.5 * brightest else float(usual.vmin or 0.0)
        return intensity_norm(fields[0], scale, (low, brightest))
    together = np.concatenate([field.ravel() for field in fields])
    return Normalize(*color_limits(together, row.kind == "diverging"))


def _boxes(views: Sequence[View], room: float) -> dict[View, tuple[float, float]]:
    """Width and height of each picture: a micrometre is as long in all of them, if it can be."""
    boxes = {view: view.box(room, _HIGHEST) for view in views}
    if len({view.pixels for view in views}) > 1:
        return boxes
    scales = {view: boxes[view][0] / _field(view)[0] for view in views}
    least = min(scales.values())
    if max(scales.values()) > _ALIKE * least:
        return boxes
    return {view: (least * _field(view)[0], least * _field(view)[1]) for view in views}


def _field(view: View) -> tuple[float, float]:
    """Width and height of what a picture shows."""
    left, right, bottom, top = view.extent
    return abs(right - left), abs(top - bottom)


def _ratio_norm() -> Normalize:
    return LogNorm(1.0 / _RATIOS, _RATIOS, clip=True)


def _panel(
    figure: Figure,
    side: Side,
    corner: tuple[float, float],
    box: tuple[float, float],
    norm: Normalize,
    colors: str,
) -> Axes:
    """Draw one picture below its upper left corner."""
    (left, top), (width, height) = corner, box
    axes = add_axes(figure, left, top - height, width, height)
    side.view.draw(axes, side.values, norm, colors)
    fit_text(axes.set_title(side.title), max(width, 24.0))
    return axes


def _bar(
    figure: Figure,
    axes: Axes,
    left: float,
    top: float,
    label: str,
    norm: Normalize,
    *,
    ratio: bool = False,
) -> None:
    """Draw the colour bar of the last picture."""
    height = axes.get_position().height * float(figure.get_size_inches()[1]) * 25.4
    tall = max(height, _LOWEST)
    place = add_axes(figure, left + 2.0, top - tall, 2.5, tall)
    bar = figure.colorbar(axes.images[0], cax=place)
    if ratio:
        bar.set_ticks([0.25, 0.5, 1.0, 2.0, 4.0], labels=["¼", "½", "1", "2", "4"])
        bar.minorticks_off()
    label_intensities(bar, norm, tall)
    label_bar(bar, label)
    bar.outline.set_linewidth(0.6)


def _head(figure: Figure, top: float, titles: Sequence[str], notes: Sequence[str]) -> None:
    """Write the titles, and below them the notes."""
    for number, note in enumerate(reversed(notes)):
        add_text(figure, _LEFT, top + 0.8 + _LINE * number, note, size=6.5, color=FAINT)
    top += 1.2 + _LINE * len(notes)
    for number, title in enumerate(reversed(titles)):
        add_text(figure, _LEFT, top + _TITLE * number, title, size=7.5)
