"""The image of a dislocation: one frame over the field of view, in µm of the sample."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.colorbar import Colorbar
from matplotlib.colors import AsinhNorm, LogNorm, Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.plot.style import (
    FAINT,
    INTENSITY_MAP,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    as_field,
    draw_field,
    field_extent,
    fit_box,
    new_figure,
    style,
)

Scale = Literal["linear", "log", "asinh"]

# A few hot pixels at a core would leave the rest of a weak-beam image black.
_BRIGHTEST_PERCENTILE = 99.9
_LOG_DECADES = 3.0

_LABEL_MM = 3.2
"""Labels at a colour bar are at least so far apart."""


def image_figure(
    image: ArrayLike,
    x_um: ArrayLike,
    y_um: ArrayLike,
    *,
    title: str = "",
    phi_mrad: float | None = None,
    chi_mrad: float | None = None,
    two_theta_mrad: float | None = None,
    intensity_label: str = "intensity / perfect crystal at peak",
    scale: Scale = "linear",
    limits: tuple[float, float] | None = None,
    on_camera: bool = False,
) -> Figure:
    """Draw one frame over the field of view.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Intensities, rows along x and columns along y.
    x_um, y_um : array_like, shapes (rows,) and (columns,)
        Centres of the pixels, projected on the layer z = 0, in µm of the sample.
    title : str
        A line above the picture.
    phi_mrad, chi_mrad, two_theta_mrad : float, optional
        Settings of the motors, noted above the picture where given.
    intensity_label : str
        Label of the colour bar.
    scale : {"linear", "log", "asinh"}
        Intensity to colour; "log" shows three decades below the brightest.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour; by default from 0 (or from three
        decades below, on the log scale) to the 99.9th percentile.
    on_camera : bool
        Whether rows and columns are those of the camera, as in oblique geometry; see `draw_field`.

    Returns
    -------
    Figure
        A figure one column wide.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or the scale has another name.
    """
    array = as_field(image, x_um, y_um)
    norm = intensity_norm(array, scale, limits)
    extent = field_extent(x_um, y_um, on_camera)
    left, bottom, right, top = 12.0, 10.0, 18.0, 10.0 if title else 6.0
    width, height = fit_box(extent, SINGLE_COLUMN_MM - left - right, 80.0)
    bar_height = max(height, 40.0)
    with style():
        figure = new_figure(SINGLE_COLUMN_MM, bottom + bar_height + top)
        axes = add_axes(figure, left, bottom + (bar_height - height) / 2, width, height)
        drawn = draw_field(
            axes, array, x_um, y_um, norm=norm, color_map=INTENSITY_MAP, on_camera=on_camera
        )
        bar_axes = add_axes(figure, left + width + 2.0, bottom, 3.0, bar_height)
        bar = figure.colorbar(drawn, cax=bar_axes, extend=_extend(array, norm), extendfrac=0.03)
        label_intensities(bar, norm, bar_height)
        bar.set_label(intensity_label, labelpad=2.0)
        bar.outline.set_linewidth(0.6)
        add_text(figure, left, bottom + bar_height + 5.2, title, size=8)
        settings = settings_note(phi_mrad, chi_mrad, two_theta_mrad)
        add_text(figure, left, bottom + bar_height + 1.8, settings, size=6.5, color=FAINT)
    return figure


def settings_note(
    phi_mrad: float | None, chi_mrad: float | None, two_theta_mrad: float | None
) -> str:
    """Return the settings of the motors as one line, those that are given."""
    offsets = zip(ANGLES, (phi_mrad, chi_mrad, two_theta_mrad), strict=True)
    given = (
        f"{MOTORS[name].offset_symbol} = {value:.4g} {MOTORS[name].shown_unit}"
        for name, value in offsets
        if value is not None
    )
    return ",  ".join(given).replace("-", "−")


def intensity_norm(
    array: Floats, scale: str, limits: tuple[float, float] | None = None
) -> Normalize:
    """Return how intensities become colours; scale and limits as for :func:`image_figure`."""
    finite = array[np.isfinite(array)]
    brightest = float(np.percentile(finite, _BRIGHTEST_PERCENTILE)) if finite.size else 0.0
    if brightest <= 0:
        brightest = max(float(finite.max(initial=0.0)), 0.0) or 1.0
    darkest = brightest * 10**-_LOG_DECADES if scale == "log" else 0.0
    if limits is not None:
        darkest, brightest = limits
    if scale == "linear":
        return Normalize(darkest, brightest)
    if scale == "log":
        # Clipping shows zero as the darkest colour; unclipped it would look like a missing value.
        return LogNorm(darkest, brightest, clip=True)
    if scale == "asinh":
        return AsinhNorm(linear_width=0.05 * brightest, vmin=darkest, vmax=brightest)
    raise ValueError(f"scale must be 'linear', 'log' or 'asinh', not {scale!r}")


def label_intensities(bar: Colorbar, norm: Normalize, height_mm: float) -> None:
    """Label the colour bar of an asinh scale so that no label covers another.

    Parameters
    ----------
    bar : Colorbar
        An upright one; that of another scale keeps its labels.
    norm : Normalize
        How intensities become colours.
    height_mm : float
        Length of the bar.
    """
    if not isinstance(norm, AsinhNorm) or not norm.vmax or norm.vmin is None:
        return
    kept = [norm.vmin]
    highest = int(np.floor(np.log10(norm.vmax)))
    for digit in (1.0, 3.0, 2.0, 5.0):
        for power in range(highest, highest - 6, -1):
            value = digit * 10.0**power
            places = np.asarray(norm([*kept, value]))
            far = np.abs(places[:-1] - places[-1]) * height_mm
            if norm.vmin < value <= norm.vmax and far.min() >= _LABEL_MM:
                kept.append(value)
    bar.minorticks_off()
    bar.set_ticks(sorted(kept), labels=[_brief(value) for value in sorted(kept)])


def _brief(value: float) -> str:
    """A round number as one writes it at an axis."""
    if value == 0.0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.5g}".replace("-", "\u2212")
    digits, power = f"{value:.3e}".split("e")
    # There is no room for digits and a power.
    return f"$10^{{{int(power)}}}$" if float(digits) == 1.0 else ""


def _extend(array: Floats, norm: Normalize) -> str:
    """Say at which ends of the colour bar there are values beyond its limits."""
    assert norm.vmin is not None
    assert norm.vmax is not None
    below = bool((array < norm.vmin * (1 - 1e-6)).any())
    above = bool((array > norm.vmax * (1 + 1e-6)).any())
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
