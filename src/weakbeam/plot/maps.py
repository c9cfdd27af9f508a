"""Maps of the centre of mass of a scan, beside what the deformation field predicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.style import (
    DIVERGING_MAP,
    FAINT,
    add_axes,
    add_text,
    few_ticks,
    label_bar,
    new_figure,
    style,
)
from weakbeam.plot.view import View

_LIMIT_PERCENTILE = 99.0
_HISTOGRAM_BINS = 80
# Far below any angle that can be measured; rounding errors get no colours.
_SMALLEST_LIMIT_URAD = 1e-3


def com_figure(
    maps: Mapping[str, tuple[ArrayLike, ArrayLike]],
    view: View,
    *,
    predicted_label: str = "predicted, −q",
    title: str = "",
) -> Figure:
    """Draw centre-of-mass maps beside their predictions, a row of panels per motor.

    Both maps of a row have one diverging colour scale, symmetric about 0 and in mrad, or in µrad
    where all is below 0.1 mrad. The third panel counts pixels over predicted and found values, on
    a logarithmic scale of blues; on the thin diagonal the two agree. Its title gives the
    correlation and the rms difference over all pixels where both have a value.

    Parameters
    ----------
    maps : mapping of str to (com, predicted)
        Per motor ("φ", "χ", ..., or "φ − 0.1 mrad") the centre of mass and its prediction from the
        deformation field, both of shape (rows, columns), in mrad, NaN where there is no value.
    view : View
        What their rows and columns are.
    predicted_label : str
        Title of the second column.
    title : str
        A line above the panels.

    Returns
    -------
    Figure
        A figure at most two columns wide.

    Raises
    ------
    ValueError
        If there is no map, or shapes do not belong together.
    """
    if not maps:
        raise ValueError("there is no map to draw")
    fields = {
        name: (view.field(com), view.field(predicted)) for name, (com, predicted) in maps.items()
    }
    width, height = view.box(46.0, 60.0)
    side = 38.0
    row_height = max(height, side) + 16.0
    header = 11.0 if title else 7.0
    page_height = row_height * len(fields) + header - 5.0
    left, gap = 12.0, 4.0
    joint_left = left + 2 * width + gap + 28.0
    with style():
        figure = new_figure(joint_left + side + 11.0, page_height)
        for row, (motor, (com, predicted)) in enumerate(fields.items()):
            top = page_height - header - row_height * row
            bottom = top - height
            unit, factor = ("mrad", 1.0) if symmetric_limit(com, predicted) > 0.1 else ("µrad", 1e3)
            com, predicted = factor * com, factor * predicted
            limit = max(symmetric_limit(com, predicted), _SMALLEST_LIMIT_URAD)
            norm = Normalize(-limit, limit)
            measured = add_axes(figure, left, bottom, width, height)
            view.draw(measured, com, norm, DIVERGING_MAP)
            name = motor.split()[0]
            measured.set_title(f"{name}: centre of mass")
            expected = add_axes(figure, left + width + gap, bottom, width, height)
            drawn = view.draw(expected, predicted, norm, DIVERGING_MAP)
            expected.set_title(f"{name}: {predicted_label}")
            expected.set_ylabel("")
            expected.tick_params(labelleft=False)
            bar_axes = add_axes(figure, left + 2 * width + gap + 2.0, bottom, 2.5, height)
            bar = figure.colorbar(drawn, cax=bar_axes, extend="both", extendfrac=0.03)
            label_bar(bar, f"{motor} ({unit})")
            bar.outline.set_linewidth(0.6)
            joint = add_axes(figure, joint_left, top - side, side, side)
            _draw_joint(joint, f"{motor} ({unit})", com, predicted, limit)
            correlation, difference = agreement(com, predicted)
            known = {"r = ": (correlation, ".3f"), "rms difference ": (difference, ".3g")}
            joint.set_title(
                ",  ".join(k + format(v, form) for k, (v, form) in known.items() if np.isfinite(v))
                + (f" {unit}" if np.isfinite(difference) else "no pixel in common"),
                size=6.5,
            )
        add_text(figure, left, page_height - 4.5, title, size=8)
    return figure


def symmetric_limit(*fields: ArrayLike) -> float:
    """Return the 99th percentile of the absolute values of all fields (1 where there is none)."""
    together = np.concatenate([np.abs(np.asarray(field, dtype=float)).ravel() for field in fields])
    finite = together[np.isfinite(together)]
    limit = float(np.percentile(finite, _LIMIT_PERCENTILE)) if finite.size else 0.0
    return limit if limit > 0 else 1.0


def agreement(com: ArrayLike, predicted: ArrayLike) -> tuple[float, float]:
    """Return the correlation of two maps and the rms of their difference, over common pixels.

    Both are NaN where no pixel is common; the correlation also where one of the maps is constant.
    """
    a, b = np.asarray(com, dtype=float), np.asarray(predicted, dtype=float)
    common = np.isfinite(a) & np.isfinite(b)
    if not common.any():
        return np.nan, np.nan
    a, b = a[common], b[common]
    spread = float(a.std() * b.std())
    covariance = float(np.mean((a - a.mean()) * (b - b.mean())))
    return covariance / spread if spread > 0 else np.nan, float(np.sqrt(np.mean((a - b) ** 2)))


def _draw_joint(axes: Axes, label: str, com: Floats, predicted: Floats, limit: float) -> None:
    common = np.isfinite(com) & np.isfinite(predicted)
    edges = np.linspace(-limit, limit, _HISTOGRAM_BINS + 1)
    counts, _, _ = np.histogram2d(predicted[common], com[common], bins=[edges, edges])
    with np.errstate(divide="ignore"):
        shade = np.ma.masked_invalid(np.where(counts > 0, np.log10(counts), np.nan))
    axes.imshow(
        shade.T,
        cmap="Blues",
        norm=Normalize(-1.0, max(float(np.log10(counts.max(initial=1.0))), 1.0)),
        origin="lower",
        extent=(-limit, limit, -limit, limit),
        interpolation="nearest",
    )
    axes.plot([-limit, limit], [-limit, limit], color=FAINT, linewidth=0.5)
    few_ticks(axes)
    axes.set_xlabel(f"predicted {label}")
    axes.set_ylabel(f"centre of mass {label}")
