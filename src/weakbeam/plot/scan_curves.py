"""Intensity of pixels and regions over a scan: curves over one motor, maps over two."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.imaging.motors import MOTORS
from weakbeam.plot.rocking import half_maximum, power_of_ten
from weakbeam.plot.style import (
    COLORS,
    DOUBLE_COLUMN_MM,
    INTENSITY_MAP,
    add_axes,
    add_text,
    few_ticks,
    fit_text,
    fold_power,
    label_bar,
    paper,
)

_DECADES = 4.0


def curves_figure(
    positions: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    axis_label: str = MOTORS["phi"].label,
    intensity_label: str = "intensity",
    title: str = "",
) -> Figure:
    """Draw curves over one motor, on a linear and on a logarithmic scale.

    The figure is two columns wide.

    Parameters
    ----------
    positions : (n,) array_like
        Positions of the motor, in any order.
    curves : mapping of str to (n,) array_like
        Intensities by name, such as "pixel 12, 40"; the legend gives their width at half maximum.
    axis_label : str
        Motor and unit.
    intensity_label : str
        What is drawn.
    title : str
        A line above the panels.

    Raises
    ------
    ValueError
        If there is no curve, or one has another length than the positions.
    """
    x = np.asarray(positions, dtype=float)
    order = np.argsort(x, kind="stable")
    lines = {name: np.asarray(values, dtype=float) for name, values in curves.items()}
    if not lines or any(line.shape != x.shape or x.ndim != 1 for line in lines.values()):
        raise ValueError("curves need one intensity for each position")
    highest = max([float(np.nanmax(line, initial=0.0)) for line in lines.values()]) or 1.0
    names = {name: f"{name}{_width(x[order], line[order])}" for name, line in lines.items()}
    # So many names as surely fit side by side, and as many rows of them as it takes.
    beside = max(1, int((DOUBLE_COLUMN_MM - 18.0) // (8.0 + 1.3 * max(map(len, names.values())))))
    rows = -(-len(names) // beside)
    top = 60.0 + 3.4 * rows
    with paper(DOUBLE_COLUMN_MM, top + (5.0 if title else 1.5)) as figure:
        linear = add_axes(figure, 14.0, 10.0, 72.0, 48.0)
        log = add_axes(figure, 106.0, 10.0, 72.0, 48.0)
        linear.set_ylim(min(0.0, *(np.nanmin(line) for line in lines.values())), 1.06 * highest)
        log.set_yscale("log")
        log.set_ylim(highest * 10**-_DECADES, 2.0 * highest)
        log.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
        for number, (name, line) in enumerate(lines.items()):
            color = COLORS[number % len(COLORS)]
            for axes in (linear, log):
                axes.plot(
                    x[order],
                    line[order],
                    color=color,
                    marker="o",
                    markersize=2.0,
                    linewidth=0.8,
                    label=names[name],
                )
        for axes in (linear, log):
            axes.set_xlabel(axis_label)
            axes.set_ylabel(intensity_label)
            few_ticks(axes) if axes is linear else axes.locator_params(axis="x", nbins=6)
            axes.spines[["top", "right"]].set_visible(False)
        linear.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.02),
            ncols=beside,
            borderaxespad=0.0,
            borderpad=0.0,
        )
        for axis in (linear.yaxis, linear.xaxis, log.xaxis):
            fold_power(axis)
        add_text(figure, 14.0, top + 0.8, title, size=8)
    return figure


def scan_map_figure(
    maps: Mapping[str, ArrayLike],
    slow: tuple[str, ArrayLike],
    fast: tuple[str, ArrayLike],
    *,
    intensity_label: str = "intensity",
    title: str = "",
) -> Figure:
    """Draw the intensity of pixels or regions over two motors.

    The figure is two columns wide.

    Parameters
    ----------
    maps : mapping of str to (slow, fast) array_like
        Intensity at each pair of positions, NaN where there is no frame, by name.
    slow, fast : (str, array_like)
        Label and increasing positions of the two motors.
    intensity_label : str
        At the colour bars.
    title : str
        A line above the panels.

    Raises
    ------
    ValueError
        If there is no map, or one does not fit the positions.
    """
    (slow_label, rows), (fast_label, columns) = slow, fast
    fields = {name: np.asarray(values, dtype=float) for name, values in maps.items()}
    shape = (np.size(rows), np.size(columns))
    if not fields or any(field.shape != shape for field in fields.values()):
        raise ValueError(f"maps over two motors must have the shape {shape}")
    across = min(len(fields), 3)
    down = -(-len(fields) // across)
    pitch, side, high = DOUBLE_COLUMN_MM / across, DOUBLE_COLUMN_MM / across - 30.0, 42.0
    head = 7.0 if title else 2.0
    with paper(DOUBLE_COLUMN_MM, down * (high + 16.0) + head) as figure:
        for number, (name, field) in enumerate(fields.items()):
            row, column = divmod(number, across)
            left, bottom = column * pitch + 13.0, (down - 1 - row) * (high + 16.0) + 10.0
            width = min(side, 60.0)
            axes = add_axes(figure, left, bottom, width, high)
            highest = float(np.nanmax(field)) if np.isfinite(field).any() else 0.0
            drawn = axes.imshow(
                np.ma.masked_invalid(field),
                norm=Normalize(0.0, highest or 1.0),
                cmap=INTENSITY_MAP,
                origin="lower",
                extent=(*_edges(columns), *_edges(rows)),
                aspect="auto",
                interpolation="nearest",
            )
            few_ticks(axes)
            fit_text(axes.set_title(name), width + 12.0)
            axes.set_xlabel(fast_label)
            axes.set_ylabel(slow_label)
            fold_power(axes.xaxis)
            fold_power(axes.yaxis)
            bar = figure.colorbar(
                drawn, cax=add_axes(figure, left + width + 1.5, bottom, 2.5, high)
            )
            label_bar(bar, intensity_label)
            bar.outline.set_linewidth(0.6)
        add_text(figure, 13.0, down * (high + 16.0) + 2.0, title, size=8)
    return figure


def _edges(positions: ArrayLike) -> tuple[float, float]:
    x = np.asarray(positions, dtype=float)
    half = 0.5 * float(x[-1] - x[0]) / max(len(x) - 1, 1) or 0.5
    return float(x[0]) - half, float(x[-1]) + half


def _width(x: ArrayLike, line: ArrayLike) -> str:
    crossings = half_maximum(x, line)
    return "" if crossings is None else f", FWHM {crossings[1] - crossings[0]:.3g}"
