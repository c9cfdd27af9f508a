"""Figure of a calibration: curves, fit and residuals, and the region that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.style import (
    COLORS,
    DOUBLE_COLUMN_MM,
    FAINT,
    INK,
    INTENSITY_MAP,
    add_axes,
    add_text,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

_EDGE_MM = 14.0
_CURVE_MM, _REST_MM = 38.0, 16.0
_PICTURE_MM = 44.0
_LINE_MM = 3.6
_SMALL_PT = 6.5


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Curve of a region over one motor.

    Parameters
    ----------
    label : str
        Motor and unit.
    positions : (n,) ndarray
        Increasing positions.
    measured, fitted : (n,) ndarray
        Intensity relative to that at the peak, above the dark level.
    sigma : (n,) ndarray
        Standard deviation of what was measured.
    """

    label: str
    positions: Floats
    measured: Floats
    fitted: Floats
    sigma: Floats


def calibration_figure(
    curves: Sequence[CalibrationCurve],
    image: ArrayLike,
    view: View,
    region: tuple[int, int, int, int],
    left_out: Sequence[tuple[float, float, float, float]] = (),
    *,
    image_label: str = "counts, mean of all frames",
    lines: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw curves with their fit and residuals over the image with its region.

    The figure is two columns wide.

    Parameters
    ----------
    curves : sequence of CalibrationCurve
        One for each motor that moves; at most three.
    image : (rows, columns) array_like
        Mean of all frames.
    view : View
        What its rows and columns are.
    region : (int, int, int, int)
        First and last row, first and last column, the last ones excluded.
    left_out : sequence of (float, float, float, float)
        Blocks of it that are in no curve, likewise.
    image_label : str
        At the colour bar.
    lines : sequence of str
        What was found, beside the image.
    title : str
        A line above.

    Raises
    ------
    ValueError
        If there is no curve, or the image does not fit its view.
    """
    if not curves:
        raise ValueError("a calibration needs a curve")
    bottom = max(_PICTURE_MM, _LINE_MM * (len(lines) + 1))
    low = bottom + 13.0
    height = low + _REST_MM + 3.0 + _CURVE_MM + (11.0 if title else 7.0)
    with paper(DOUBLE_COLUMN_MM, height) as figure:
        width = (DOUBLE_COLUMN_MM - 4.0 - len(curves) * _EDGE_MM) / len(curves) - 2.0
        for number, curve in enumerate(curves):
            left = number * (width + _EDGE_MM + 2.0) + _EDGE_MM
            above = add_axes(figure, left, low + _REST_MM + 3.0, width, _CURVE_MM)
            below = add_axes(figure, left, low, width, _REST_MM)
            label = "intensity / peak" if len(curves) == 1 else "mean intensity / peak"
            _draw_curve(above, below, curve, "" if number else label)
        _draw_region(figure, image, view, region, left_out, image_label, bottom)
        for number, line in enumerate(lines):
            add_text(
                figure,
                0.5 * DOUBLE_COLUMN_MM + 12.0,
                bottom - 3.0 - _LINE_MM * number,
                line,
                size=_SMALL_PT,
            )
        add_text(figure, _EDGE_MM, height - 4.5, title, size=8)
    return figure


def _draw_curve(above: Axes, below: Axes, curve: CalibrationCurve, label: str) -> None:
    x = curve.positions
    above.errorbar(
        x,
        curve.measured,
        curve.sigma,
        fmt="o",
        markersize=2.0,
        color=COLORS[0],
        elinewidth=0.6,
        label="measured",
    )
    above.plot(x, curve.fitted, color=INK, linewidth=0.9, label="fit")
    above.set_ylabel(label)
    above.tick_params(labelbottom=False)
    above.legend(loc="lower left", bbox_to_anchor=(0.0, 1.01), ncols=2, borderaxespad=0.0)
    rest = (curve.measured - curve.fitted) / curve.sigma
    for level in (-2.0, 2.0):
        below.axhline(level, color=FAINT, linewidth=0.5, linestyle=(0, (4, 2)))
    below.axhline(0.0, color=INK, linewidth=0.6)
    below.plot(x, rest, "o", markersize=2.0, color=COLORS[0])
    most = max(4.0, 1.1 * float(np.nanmax(np.abs(rest), initial=0.0)))
    below.set_ylim(-most, most)
    below.set_xlim(above.get_xlim())
    below.locator_params(axis="y", nbins=4)
    below.set_ylabel("residual (σ)" if label else "")
    below.set_xlabel(curve.label)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)


def _draw_region(
    figure: Figure,
    image: ArrayLike,
    view: View,
    region: tuple[int, int, int, int],
    left_out: Sequence[tuple[float, float, float, float]],
    label: str,
    top_mm: float,
) -> None:
    values = view.field(image)
    room = 0.5 * DOUBLE_COLUMN_MM - _EDGE_MM - 12.0
    width, height = view.box(room, top_mm - 12.0)
    axes = add_axes(figure, _EDGE_MM, top_mm - height - 1.0, width, height)
    lowest, highest = (float(np.nanpercentile(values, share)) for share in (0.1, 99.9))
    norm = Normalize(lowest, highest if highest > lowest else lowest + 1.0)
    drawn = view.draw(axes, values, norm, INTENSITY_MAP)
    for block in left_out:
        axes.add_patch(
            Polygon(
                _corners(view, block), facecolor="none", edgecolor="white", hatch="////", lw=0.0
            )
        )
    edge = Polygon(_corners(view, region), facecolor="none", edgecolor=COLORS[5], linewidth=1.2)
    # A region as large as the image is seen, too.
    edge.set_clip_on(False)
    axes.add_patch(edge)
    bar = figure.colorbar(
        drawn, cax=add_axes(figure, _EDGE_MM + width + 1.5, top_mm - height - 1.0, 2.5, height)
    )
    label_bar(bar, label)
    bar.outline.set_linewidth(0.6)


def _corners(view: View, part: Sequence[float]) -> Floats:
    """Corners of some pixels in the picture."""
    r0, r1, c0, c1 = (float(edge) - 0.5 for edge in part)
    return view.places([[r0, c0], [r0, c1], [r1, c1], [r1, c0]])
