"""Maps of the centre of mass of a scan, beside what the deformation field predicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam._typing import ArrayLike, Floats
from weakbeam.plot.style import (
    DIVERGING_MAP,
    DOUBLE_COLUMN_MM,
    FAINT,
    add_axes,
    add_text,
    as_field,
    draw_field,
    field_extent,
    fit_box,
    new_figure,
    style,
)

_LIMIT_PERCENTILE = 99.0
_HISTOGRAM_BINS = 60


def com_figure(
    maps: Mapping[str, tuple[ArrayLike, ArrayLike]],
    x_um: ArrayLike,
    y_um: ArrayLike,
    *,
    predicted_label: str = "predicted, −q",
    title: str = "",
) -> Figure:
    """Draw centre-of-mass maps beside their predictions, a row of panels per motor.

    Both maps of a row have one diverging colour scale, symmetric about 0. The third panel counts
    pixels over predicted and found values; on the thin diagonal the two agree.

    Parameters
    ----------
    maps : mapping of str to (com, predicted)
        Per motor ("φ", "χ", ...) the centre of mass and its prediction from the deformation
        field, both of shape (rows, columns), in mrad, NaN where there is no value.
    x_um, y_um : array_like, shapes (rows,) and (columns,)
        Centres of the pixels, in µm of the sample.
    predicted_label : str
        Title of the second column.
    title : str
        A line above the panels.

    Returns
    -------
    Figure
        A figure two columns wide.

    Raises
    ------
    ValueError
        If there is no map, or shapes do not belong together.
    """
    if not maps:
        raise ValueError("there is no map to draw")
    fields = {
        name: (as_field(com, x_um, y_um), as_field(predicted, x_um, y_um))
        for name, (com, predicted) in maps.items()
    }
    width, height = fit_box(field_extent(x_um, y_um), 47.0, 60.0)
    row_height = max(height, 30.0) + 17.0
    page_height = row_height * len(fields) + 6.0
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, page_height)
        for row, (motor, (com, predicted)) in enumerate(fields.items()):
            bottom = page_height - 6.0 - row_height * (row + 1) + 10.0
            limit = symmetric_limit(com, predicted)
            norm = Normalize(-limit, limit)
            found = add_axes(figure, 12.0, bottom, width, height)
            draw_field(found, com, x_um, y_um, norm=norm, color_map=DIVERGING_MAP)
            found.set_title(f"{motor}: centre of mass")
            expected = add_axes(figure, 12.0 + width + 4.0, bottom, width, height)
            drawn = draw_field(expected, predicted, x_um, y_um, norm=norm, color_map=DIVERGING_MAP)
            expected.set_title(f"{motor}: {predicted_label}")
            expected.set_ylabel("")
            expected.tick_params(labelleft=False)
            bar_axes = add_axes(figure, 12.0 + 2 * width + 6.0, bottom, 2.5, height)
            bar = figure.colorbar(drawn, cax=bar_axes, extend="both", extendfrac=0.03)
            bar.set_label(f"{motor} (mrad)")
            bar.outline.set_linewidth(0.6)
            side = min(height, 38.0)
            joint = add_axes(figure, DOUBLE_COLUMN_MM - 4.0 - side, bottom, side, side)
            _draw_joint(joint, motor, com, predicted, limit)
        add_text(figure, 12.0, page_height - 4.5, title, size=8)
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


def _draw_joint(axes: Axes, motor: str, com: Floats, predicted: Floats, limit: float) -> None:
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
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
    correlation, difference = agreement(com, predicted)
    axes.set_title(f"r = {correlation:.3f},  rms {difference:.3g} mrad")
    axes.set_xlabel(f"predicted {motor} (mrad)")
    axes.set_ylabel(f"centre of mass {motor} (mrad)")
