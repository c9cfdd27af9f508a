"""Rocking curves: how the intensity falls when a motor turns the crystal off its peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.imaging.motors import MOTORS
from weakbeam.plot.style import COLORS, DOUBLE_COLUMN_MM, FAINT, INK, add_axes, add_text, paper

_LOG_FLOOR = 1e-5
_LABEL_SHARE, _LABEL_HEIGHT = 0.22, 0.09
_SMALL: dict[str, Any] = {"size": 6.5, "color": FAINT}


def rocking_figure(
    fine_mrad: ArrayLike,
    perfect: ArrayLike,
    *,
    positions_mrad: ArrayLike | None = None,
    curves: Mapping[str, ArrayLike] | None = None,
    setting_mrad: float | None = None,
    setting_label: str = "this image",
    axis_label: str = MOTORS["phi"].label,
    title: str = "",
) -> Figure:
    """Draw rocking curves, on a linear and on a logarithmic scale.

    The figure is two columns wide.

    Parameters
    ----------
    fine_mrad : array_like, shape (n,)
        Increasing positions of the motor on which the perfect crystal is known.
    perfect : array_like, shape (n,)
        Intensity of the perfect crystal there, drawn as a line with its width at half maximum.
    positions_mrad : array_like, shape (m,), optional
        Positions of the scan.
    curves : mapping of str to array_like of shape (m,), optional
        Intensities at the positions of the scan, by name, such as "mean of the image".
    setting_mrad : float, optional
        Where the motor stands for the image that is shown; marked on the curve.
    setting_label : str
        What to call that image.
    axis_label : str
        Motor and unit.
    title : str
        A line above the panels.

    Raises
    ------
    ValueError
        If a curve has another length than its positions, or there are no positions for it.
    """
    fine = np.asarray(fine_mrad, dtype=float)
    line = _like("perfect", perfect, fine)
    if fine.size == 0:
        raise ValueError("a rocking curve needs at least one position")
    if curves and positions_mrad is None:
        raise ValueError("curves of a scan need positions_mrad")
    positions = np.atleast_1d(np.asarray([] if positions_mrad is None else positions_mrad, float))
    points = {name: _like(name, values, positions) for name, values in (curves or {}).items()}
    with paper(DOUBLE_COLUMN_MM, 68.0 if title else 65.0) as figure:
        linear = add_axes(figure, 14.0, 10.0, 74.0, 50.0)
        log = add_axes(figure, 105.0, 10.0, 74.0, 50.0)
        highest = max([1.0, *(float(np.nanmax(v, initial=0.0)) for v in (line, *points.values()))])
        linear.set_ylim(0.0, 1.08 * highest)
        log.set_ylim(_LOG_FLOOR, 2.0 * highest)
        log.set_yscale("log")
        log.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
        for axes in (linear, log):
            _draw_curves(axes, fine, line, positions, points)
            if setting_mrad is not None:
                _mark_setting(axes, fine, line, setting_mrad, setting_label)
            axes.set_xlabel(axis_label)
            axes.set_ylabel("intensity / perfect crystal at peak")
            axes.set_xlim(*_span(fine, positions, setting_mrad))
            axes.spines[["top", "right"]].set_visible(False)
        _mark_half_maximum(linear, fine, line, setting_mrad, positions, list(points.values()))
        log.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.01), ncols=3, borderaxespad=0.0, borderpad=0.0
        )
        add_text(figure, 14.0, 63.5, title, size=8)
    return figure


def half_maximum(positions: ArrayLike, intensity: ArrayLike) -> tuple[float, float] | None:
    """Return the two positions where a single-peaked curve passes half of its maximum.

    Linear between the samples; None if the curve does not fall to half on both sides.
    """
    x, y = np.asarray(positions, dtype=float), np.asarray(intensity, dtype=float)
    if y.size == 0 or not y.max() > 0:
        return None
    half = y.max() / 2
    above = np.flatnonzero(y >= half)
    first, last = above[0], above[-1]
    if first == 0 or last == y.size - 1:
        return None
    rising = np.interp(half, y[first - 1 : first + 1], x[first - 1 : first + 1])
    falling = np.interp(half, y[last : last + 2][::-1], x[last : last + 2][::-1])
    return float(rising), float(falling)


def power_of_ten(value: float) -> str:
    """Return a decade as text, such as "10⁻³"; typesetting it as mathematics is slow."""
    exponent = str(round(np.log10(value)))
    return "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _like(name: str, values: ArrayLike, positions: Floats) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.shape != positions.shape or array.ndim != 1:
        raise ValueError(f"{name}: shape {array.shape} does not fit positions {positions.shape}")
    return array


def _draw_curves(
    axes: Axes, fine: Floats, line: Floats, positions: Floats, points: Mapping[str, Floats]
) -> None:
    axes.plot(fine, line, color=INK, label="perfect crystal")
    for index, (name, values) in enumerate(points.items()):
        axes.plot(
            positions,
            values,
            marker="o",
            markersize=2.2,
            linestyle="none",
            color=COLORS[index % len(COLORS)],
            label=name,
        )


def _mark_setting(axes: Axes, fine: Floats, line: Floats, setting_mrad: float, name: str) -> None:
    intensity = float(np.interp(setting_mrad, fine, line, left=np.nan, right=np.nan))
    label = f"{name}: {setting_mrad:.4g} mrad".replace("-", "−")
    if np.isfinite(intensity):
        label += f", {intensity:.3g}"
    axes.axvline(setting_mrad, color=COLORS[1], linewidth=0.7, linestyle=(0, (4, 2)))
    axes.plot(
        setting_mrad,
        intensity,
        marker="o",
        markersize=4,
        linestyle="none",
        color=COLORS[1],
        label=label,
    )


def _mark_half_maximum(
    axes: Axes,
    fine: Floats,
    line: Floats,
    setting_mrad: float | None,
    positions: Floats,
    curves: list[Floats],
) -> None:
    crossings = half_maximum(fine, line)
    if crossings is None:
        return
    left, right = crossings
    half = float(line.max()) / 2
    axes.annotate(
        "",
        (left, half),
        (right, half),
        arrowprops={
            "arrowstyle": "<->",
            "linewidth": 0.7,
            "color": FAINT,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )
    low, high = axes.get_xlim()
    text = f"FWHM\n{right - left:.3g} mrad"
    needed = _LABEL_SHARE * (high - low)
    # Beside the arrow, where neither the line of the setting nor points of the scan cross the text;
    # else above it.
    tall = _LABEL_HEIGHT * float(np.ptp(axes.get_ylim()))
    beside = [positions[np.abs(values - half) < tall] for values in curves]
    marks = np.concatenate([*beside, [] if setting_mrad is None else [setting_mrad]])
    places = [(left - needed, left, "right"), (right, right + needed, "left")]
    for start, end, alignment in places:
        crossed = bool(((start < marks) & (marks < end)).any())
        if start > low and end < high and not crossed:
            at = (end, half) if alignment == "right" else (start, half)
            offset = (-3, 0) if alignment == "right" else (3, 0)
            axes.annotate(
                text, at, offset, textcoords="offset points", ha=alignment, va="center", **_SMALL
            )
            return
    axes.annotate(
        text, ((left + right) / 2, half), (0, 2), textcoords="offset points", ha="center", **_SMALL
    )


def _span(fine: Floats, positions: Floats, setting_mrad: float | None) -> tuple[float, float]:
    everything = np.concatenate([fine, positions, [] if setting_mrad is None else [setting_mrad]])
    low, high = float(everything.min()), float(everything.max())
    return (low, high) if high > low else (low - 1.0, high + 1.0)
