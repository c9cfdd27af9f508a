"""Centres of mass against what the deformation predicts, a panel for each prediction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.maps import symmetric_limit
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

_BINS = 90
_MICRO = 0.1
_SMALLEST_LIMIT_MRAD = 1e-6


def comparison_figure(
    centers: Mapping[str, ArrayLike],
    predicted: Mapping[str, Mapping[str, ArrayLike]],
    notes: Mapping[str, Mapping[str, tuple[float, float, float]]],
    *,
    title: str = "",
) -> Figure:
    """Count pixels over predicted and found centres of mass, on a logarithmic scale of blues.

    Parameters
    ----------
    centers : mapping of str to array_like
        Centre of mass for each motor, by its symbol, in mrad, NaN where there is none.
    predicted : mapping of str to (mapping of str to array_like)
        For each motor the predictions by name, in mrad.
    notes : mapping of str to (mapping of str to (float, float, float))
        Correlation, slope and rms difference (mrad) of each.
    title : str
        A line above the panels.

    Returns
    -------
    Figure
        A figure two columns wide, a row of panels for each motor. On the grey diagonal both agree;
        the coloured line has the slope.

    Raises
    ------
    ValueError
        If there is no motor.
    """
    if not centers:
        raise ValueError("there is no map to compare")
    side, pitch, row_height = 42.0, DOUBLE_COLUMN_MM / 3, 62.0
    head = 7.0 if title else 2.0
    page = row_height * len(centers) + head
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, page)
        for row, (motor, center) in enumerate(centers.items()):
            measured = np.asarray(center, dtype=float)
            everything = [np.asarray(values, dtype=float) for values in predicted[motor].values()]
            limit = max(symmetric_limit(measured, *everything), _SMALLEST_LIMIT_MRAD)
            unit, factor = ("mrad", 1.0) if limit > _MICRO else ("µrad", 1e3)
            bottom = page - head - row * row_height - 10.0 - side
            for column, (name, expected) in enumerate(predicted[motor].items()):
                axes = add_axes(figure, column * pitch + 13.0, bottom, side, side)
                edges = factor * np.linspace(-limit, limit, _BINS + 1)
                known = np.isfinite(measured) & np.isfinite(np.asarray(expected, dtype=float))
                x, y = factor * np.asarray(expected, dtype=float)[known], factor * measured[known]
                counts = np.histogram2d(x, y, bins=[edges, edges])[0]
                with np.errstate(divide="ignore"):
                    shade = np.where(counts > 0, np.log10(counts), np.nan)
                reach = factor * limit
                axes.imshow(
                    np.ma.masked_invalid(shade.T),
                    cmap="Blues",
                    norm=Normalize(-1.0, max(float(np.log10(counts.max(initial=1.0))), 1.0)),
                    origin="lower",
                    extent=(-reach, reach, -reach, reach),
                    interpolation="nearest",
                )
                axes.plot([-reach, reach], [-reach, reach], color=FAINT, linewidth=0.5)
                correlation, slope, rms = notes[motor][name]
                if np.isfinite(slope) and x.size:
                    ends = np.array([-reach, reach])
                    line = y.mean() + slope * (ends - x.mean())
                    axes.plot(ends, line, color=COLORS[1], linewidth=0.7, linestyle=(0, (4, 2)))
                axes.set_xlim(-reach, reach)
                axes.set_ylim(-reach, reach)
                few_ticks(axes)
                axes.set_xlabel(f"{name} ({unit})")
                axes.set_ylabel(f"{motor}: centre of mass ({unit})")
                axes.set_title(
                    f"r = {correlation:.3f},  slope {slope:.3f},\nrms {factor * rms:.3g} {unit}",
                    size=6.5,
                )
        add_text(figure, 13.0, page - 4.5, title, size=8)
    return figure
