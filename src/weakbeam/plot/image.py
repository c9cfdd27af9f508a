"""The image of a dislocation: one frame over the field of view, in µm of the sample."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.colorbar import Colorbar
from matplotlib.colors import AsinhNorm, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.plot.style import (
    FAINT,
    INTENSITY_MAP,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

Scale = Literal["linear", "log", "asinh"]

_LIT = (0.1, 0.5)
"""Parts of the way from the darkest to the brightest between which a pixel begins to be lit."""

_ABOVE_NOISE = 5.0
"""Standard deviations of most pixels by which it must be above them, between these."""

_HOT = 8.0
"""How many times as bright as the second of its neighbours a hot pixel is."""

_LIT_EDGE = 3
"""Pixels that are drawn around the lit ones."""

_SIGMA_PER_MAD = 1.4826
_DARKEST_PERCENTILE, _BRIGHTEST_PERCENTILE = 0.1, 99.9
_LOG_DECADES = 3.0
_LOG_FLOOR = 0.1
"""A log scale starts at the darkest pixels where these have this part of the brightest."""

_FEWEST_LABELS = 3
_LABEL_MM = 3.2
"""Labels at a colour bar are at least so far apart."""


def image_figure(
    image: ArrayLike,
    view: View,
    *,
    title: str = "",
    phi_mrad: float | None = None,
    chi_mrad: float | None = None,
    two_theta_mrad: float | None = None,
    intensity_label: str = "intensity / perfect crystal at peak",
    scale: Scale = "linear",
    limits: tuple[float, float] | None = None,
    note: str = "",
    lit_only: bool = False,
) -> Figure:
    """Draw one frame over the field of view, upright where its orientation is known.

    The figure is one column wide.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Intensities as they are stored.
    view : View
        What rows and columns are.
    title : str
        A line above the picture.
    phi_mrad, chi_mrad, two_theta_mrad : float, optional
        Settings of the motors, noted above the picture where given.
    intensity_label : str
        Label of the colour bar.
    scale : {"linear", "log", "asinh"}
        Intensity to colour; "log" shows three decades below the brightest.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour; by default those of
        :func:`intensity_norm`.
    note : str
        What else to say beside the settings.
    lit_only : bool
        Whether only the part that holds the lit pixels is drawn.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or the scale has another name.
    """
    array = view.field(image)
    norm = intensity_norm(array, scale, limits)
    if lit_only:
        rows, columns = lit_part(array, _LIT_EDGE)
        array, view = array[rows, columns], view.part(rows, columns)
    left, bottom, right, top = 12.0, 10.0, 18.0, 10.0 if title else 6.0
    width, height = view.box(SINGLE_COLUMN_MM - left - right, 80.0)
    bar_height = max(height, 40.0)
    with paper(SINGLE_COLUMN_MM, bottom + bar_height + top) as figure:
        axes = add_axes(figure, left, bottom + (bar_height - height) / 2, width, height)
        drawn = view.draw(axes, array, norm, INTENSITY_MAP)
        bar_axes = add_axes(figure, left + width + 2.0, bottom, 3.0, bar_height)
        bar = figure.colorbar(drawn, cax=bar_axes, extend=_extend(array, norm), extendfrac=0.03)
        label_intensities(bar, norm, bar_height)
        label_bar(bar, intensity_label, labelpad=2.0)
        bar.outline.set_linewidth(0.6)
        add_text(figure, left, bottom + bar_height + 5.2, title, size=8)
        said = [settings_note(phi_mrad, chi_mrad, two_theta_mrad), note]
        settings = ", ".join(text for text in said if text)
        add_text(figure, left, bottom + bar_height + 1.8, settings, size=6.5, color=FAINT)
    return figure


def settings_note(
    phi_mrad: float | None, chi_mrad: float | None, two_theta_mrad: float | None
) -> str:
    """Return the settings of the motors as one line, those that are given."""
    offsets = zip(ANGLES, (phi_mrad, chi_mrad, two_theta_mrad), strict=True)
    given = [
        f"{MOTORS[name].offset_symbol} = {value:.4g}"
        for name, value in offsets
        if value is not None
    ]
    return f"{', '.join(given)} mrad".replace("-", "−") if given else ""


def intensity_norm(
    array: Floats, scale: str, limits: tuple[float, float] | None = None
) -> Normalize:
    """Return how intensities become colours.

    Parameters
    ----------
    array : (..., rows, columns) ndarray
        What is drawn.
    scale : {"linear", "log", "asinh"}
        As for :func:`image_figure`.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour. By default the colours end where
        the lit pixels do (`brightest_of`), and start at 0, or three decades below on the log scale;
        at the darkest pixels where these are not dark, as faint contrast on a bright field would
        drown.
    """
    if limits is None:
        low, brightest = light_range(array)
        darkest = low if low >= 0.5 * brightest else 0.0
        if scale == "log":
            darkest = brightest * 10**-_LOG_DECADES
            darkest = low if low >= _LOG_FLOOR * brightest else darkest
        if not darkest < brightest:
            darkest = 0.1 * brightest if scale == "log" else 0.0
    else:
        darkest, brightest = limits
    if scale == "linear":
        return Normalize(darkest, brightest)
    if scale == "log":
        # Clipping shows zero as the darkest colour; unclipped it would look like a missing value.
        return LogNorm(darkest, brightest, clip=True)
    if scale == "asinh":
        return AsinhNorm(linear_width=0.05 * brightest, vmin=darkest, vmax=brightest)
    raise ValueError(f"scale must be 'linear', 'log' or 'asinh', not {scale!r}")


def light_range(array: Floats) -> tuple[float, float]:
    """Return the intensities of the darkest and of the brightest pixels of images.

    The brightest are those among the lit pixels: a weak-beam image is dark but for a few pixels at
    the core, and a percentile of all pixels tells of the dark. Lit is what is brighter than a tenth
    of the way from the darkest to the brightest pixel, or, where more than that is noise, five
    standard deviations above the median, but no more than half of the way. Pixels that are many
    times as bright as the second of their neighbours count as bright as that: they are hot.

    Parameters
    ----------
    array : (..., rows, columns) ndarray
        The images; NaN where there is none.

    Returns
    -------
    darkest, brightest : float
        1 for the brightest of images that hold nothing.
    """
    known = np.isfinite(array)
    if not known.any():
        return 0.0, 1.0
    low = float(np.percentile(array[known], _DARKEST_PERCENTILE))
    smooth = _without_hot(np.where(known, array, -np.inf), low)
    values = smooth[known]
    lit = values[values >= _where_light_begins(values, low, float(values.max()))]
    high = float(np.percentile(lit, _BRIGHTEST_PERCENTILE)) if lit.size else 0.0
    if high <= 0.0:
        high = max(float(array[known].max()), 0.0) or 1.0
    return low, high


def _where_light_begins(values: Floats, low: float, high: float) -> float:
    """Intensity from which on a pixel is lit."""
    middle = float(np.median(values)) if values.size else low
    spread = _SIGMA_PER_MAD * float(np.median(np.abs(values - middle))) if values.size else 0.0
    first, last = (low + part * (high - low) for part in _LIT)
    return float(np.clip(middle + _ABOVE_NOISE * spread, first, last))


def lit_part(array: Floats, edge: int = 0) -> tuple[slice, slice]:
    """Return the rows and columns of an image that hold its lit pixels.

    Parameters
    ----------
    array : (rows, columns) array_like
        The image.
    edge : int
        So many pixels around them belong to it too.
    """
    image = np.asarray(array, dtype=float)
    low, high = light_range(image)
    smooth = _without_hot(np.where(np.isfinite(image), image, -np.inf), low)
    lit = smooth >= _where_light_begins(smooth[np.isfinite(smooth)], low, high)
    parts = []
    for axis, length in enumerate(image.shape):
        (along,) = np.nonzero(lit.any(axis=1 - axis))
        first, last = (int(along[0]), int(along[-1])) if along.size else (0, length - 1)
        parts.append(slice(max(first - edge, 0), min(last + edge + 1, length)))
    return parts[0], parts[1]


def _without_hot(array: Floats, low: float) -> Floats:
    """Images in which a pixel far above its neighbours is as bright as the second of these.

    A core may light a single pixel, but its neighbours then hold a good part of its light above
    `low`, that of dark pixels.
    """
    rows, columns = array.shape[-2:]
    edge = [(0, 0)] * (array.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(array, edge, constant_values=-np.inf)
    first = np.full(array.shape, -np.inf)
    second = first.copy()
    for i in range(3):
        for j in range(3):
            if (i, j) == (1, 1):
                continue
            beside = padded[..., i : i + rows, j : j + columns]
            second = np.maximum(second, np.minimum(first, beside))
            first = np.maximum(first, beside)
    # In a row of pixels there is one neighbour at either end.
    beside = np.where(np.isfinite(second), second, first)
    with np.errstate(invalid="ignore"):
        hot = np.isfinite(beside) & (array - low > _HOT * np.maximum(beside - low, 0.0))
    return np.where(hot, beside, array)


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
    if len(kept) < _FEWEST_LABELS:
        # Between two numbers of which one is not much larger the scale is nearly even.
        even = MaxNLocator(4).tick_values(norm.vmin, norm.vmax)
        kept = [float(value) for value in even if norm.vmin <= value <= norm.vmax]
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
