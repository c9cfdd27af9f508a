"""The common look of all figures, and how they are written to files.

Sizes are in millimetres on paper and every panel is placed by hand: fixed places make figures of
one kind line up, and cost no layout pass. Only `matplotlib.figure.Figure` is used, never pyplot,
and settings hold inside `style` alone, so a caller's own matplotlib settings stay as they were.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from weakbeam.core.arrays import ArrayLike, Floats

SINGLE_COLUMN_MM = 89.0
DOUBLE_COLUMN_MM = 183.0
DPI = 200

# Okabe and Ito's palette, told apart by readers with any of the common colour-vision deficiencies.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "0.15"
FAINT = "0.45"
INTENSITY_MAP = "inferno"
DIVERGING_MAP = "RdBu_r"
NAN_COLOR = "0.85"

_MM_PER_INCH = 25.4
_SETTINGS: dict[Any, Any] = {
    # The font that matplotlib carries along: the same picture on every machine, and all of Greek.
    "font.family": ["DejaVu Sans"],
    "font.size": 7.0,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.labelsize": 7.0,
    "axes.labelpad": 2.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.1,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "savefig.bbox": None,
    "svg.fonttype": "none",
    # Without a salt of its own matplotlib draws random element ids, new in every file.
    "svg.hashsalt": "weakbeam",
    "pdf.fonttype": 42,
}
# What each format needs to be quick to write, and free of time stamps and version numbers.
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "png", "metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
    ".svg": {"format": "svg", "metadata": {"Date": None, "Creator": None}},
    ".pdf": {
        "format": "pdf",
        "metadata": {"CreationDate": None, "Creator": None, "Producer": None},
    },
}


def style() -> AbstractContextManager[None]:
    """Return the context in which the figures of this package are made."""
    return mpl.rc_context(_SETTINGS)


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """Return an empty white figure of the given size in mm."""
    figure = Figure(
        figsize=(width_mm / _MM_PER_INCH, height_mm / _MM_PER_INCH), dpi=DPI, facecolor="white"
    )
    FigureCanvasAgg(figure)
    return figure


def add_axes(
    figure: Figure, left_mm: float, bottom_mm: float, width_mm: float, height_mm: float
) -> Axes:
    """Add a panel whose frame takes the given place, in mm from the lower left corner."""
    page = figure.get_size_inches() * _MM_PER_INCH
    rectangle = (
        left_mm / page[0],
        bottom_mm / page[1],
        width_mm / page[0],
        height_mm / page[1],
    )
    axes = figure.add_axes(rectangle)
    # Ticks are made when the figure is drawn, which may be outside `style`.
    axes.tick_params(
        which="major", direction="out", length=2.4, width=0.6, pad=2.0, labelsize=6.5, color=INK
    )
    axes.tick_params(which="minor", direction="out", length=1.4, width=0.4, color=INK)
    axes.tick_params(labelcolor=INK)
    return axes


def add_text(figure: Figure, left_mm: float, bottom_mm: float, text: str, **kwargs: object) -> None:
    """Write a line of text that starts at the given place, in mm from the lower left corner."""
    page = figure.get_size_inches() * _MM_PER_INCH
    figure.text(left_mm / page[0], bottom_mm / page[1], text, **kwargs)  # type: ignore[arg-type]


def few_ticks(axes: Axes) -> None:
    """Allow a tick per 8 mm of a panel at most, at round numbers."""
    dots_per_tick = 8.0 / _MM_PER_INCH * axes.figure.dpi
    across, along = (
        int(np.clip(length / dots_per_tick, 1, 6)) for length in (axes.bbox.width, axes.bbox.height)
    )
    axes.locator_params(axis="x", nbins=across, steps=[1, 2, 5, 10])
    axes.locator_params(axis="y", nbins=along, steps=[1, 2, 5, 10])


def pixel_edges(centers_um: ArrayLike, pitch_um: float = 1.0) -> tuple[float, float]:
    """Return the outer edges of the first and the last pixel of a row of pixels.

    Parameters
    ----------
    centers_um : array_like, shape (n,)
        Centres of the pixels, equally spaced, increasing or decreasing.
    pitch_um : float
        Size of the pixel where there is only one, and so no spacing to take it from.

    Raises
    ------
    ValueError
        If the centres are not one row of distinct, equally spaced numbers.
    """
    centers = np.asarray(centers_um, dtype=float)
    if centers.ndim != 1 or centers.size == 0 or not np.isfinite(centers).all():
        raise ValueError("pixel centres must be a non-empty row of finite numbers")
    if centers.size > 1:
        steps = np.diff(centers)
        pitch_um = float(steps.mean())
        if pitch_um == 0 or np.abs(steps - pitch_um).max() > 1e-3 * abs(pitch_um):
            raise ValueError("pixel centres must be equally spaced")
    return float(centers[0]) - pitch_um / 2, float(centers[-1]) + pitch_um / 2


def field_extent(
    x_um: ArrayLike, y_um: ArrayLike, on_camera: bool = False
) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top) of a field of view, at the edges of its pixels.

    Columns lie along y, to the right; x runs downwards. So the picture is the layer seen from
    above, from the side of the detector, not its mirror image: right = y, down = x, towards the eye
    = z are right-handed. Rows whose x decreases, along increasing 2θ, are drawn from below. On the
    camera itself the first coordinate runs along 2θ, upwards.
    """
    x_pitch, y_pitch = (np.ptp(np.asarray(c)) / max(np.size(c) - 1, 1) for c in (x_um, y_um))
    first_x, last_x = sorted(pixel_edges(x_um, float(y_pitch) or 1.0))
    first_y, last_y = pixel_edges(y_um, float(x_pitch) or 1.0)
    if on_camera:
        return first_y, last_y, first_x, last_x
    return first_y, last_y, last_x, first_x


def fit_box(
    extent: tuple[float, float, float, float], width_mm: float, height_mm: float
) -> tuple[float, float]:
    """Return the largest (width, height) in mm that shows a field in its true proportions."""
    left, right, bottom, top = extent
    scale = min(width_mm / abs(right - left), height_mm / abs(top - bottom))
    return scale * abs(right - left), scale * abs(top - bottom)


def draw_field(
    axes: Axes,
    values: ArrayLike,
    x_um: ArrayLike,
    y_um: ArrayLike,
    *,
    norm: Normalize,
    color_map: str,
    on_camera: bool = False,
) -> AxesImage:
    """Draw a map of the sample: µm axes, equal aspect, NaN in light grey.

    Parameters
    ----------
    axes : Axes
        Panel to draw in; it should have the proportions of the field (`fit_box`).
    values : array_like, shape (rows, columns)
        The map, rows along x and columns along y.
    x_um, y_um : array_like, shapes (rows,) and (columns,)
        Centres of the pixels in µm of the sample.
    norm : Normalize
        Maps values to colours.
    color_map : str
        Name of a colour map.
    on_camera : bool
        Whether the two coordinates are those of the camera, along 2θ and across, as in oblique
        geometry, and not x and y of the sample.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """
    array = as_field(values, x_um, y_um)
    increasing = np.ptp(np.asarray(x_um)) == 0 or np.ravel(x_um)[0] < np.ravel(x_um)[-1]
    image = axes.imshow(
        np.ma.masked_invalid(array),
        norm=norm,
        cmap=mpl.colormaps[color_map].with_extremes(bad=NAN_COLOR),
        origin="upper" if increasing and not on_camera else "lower",
        extent=field_extent(x_um, y_um, on_camera),
        aspect="equal",
    )
    few_ticks(axes)
    if on_camera:
        axes.set_xlabel("across, on the camera (µm)")
        axes.set_ylabel("along 2θ (µm)")
        return image
    axes.set_xlabel("y (µm)")
    # Read from below, so that the arrow points down the page, the way of the beam.
    axes.set_ylabel("← x, along the beam (µm)")
    return image


def as_field(values: ArrayLike, x_um: ArrayLike, y_um: ArrayLike) -> Floats:
    """Return the values as a float array after checking its shape against the two axes."""
    array = np.asarray(values, dtype=float)
    expected = (np.size(x_um), np.size(y_um))
    if array.shape != expected:
        raise ValueError(f"map of shape {array.shape} does not fit its axes {expected}")
    return array


def save(figure: Figure, path: str | PathLike[str], dpi: float = DPI) -> None:
    """Write a figure as PNG, SVG or PDF, after the suffix of the path, as :func:`render` does.

    Parameters
    ----------
    figure : Figure
        What to write.
    path : path
        File to write, ending in .png, .svg or .pdf.
    dpi : float
        Resolution of PNG files, and of the pictures inside the others.

    Raises
    ------
    ValueError
        If the suffix is another one.
    OSError
        If the file cannot be written.
    """
    Path(path).write_bytes(render(figure, Path(path).suffix, dpi))


def render(figure: Figure, suffix: str, dpi: float = DPI) -> bytes:
    """Return what a file of a figure holds.

    There is no time stamp in it and no random identifier: the same figure gives the same bytes.
    Text in SVG stays text.

    Parameters
    ----------
    figure : Figure
        What to write.
    suffix : str
        ``".png"``, ``".svg"`` or ``".pdf"``.
    dpi : float
        Resolution of PNG files, and of the pictures inside the others.

    Raises
    ------
    ValueError
        If the suffix is another one.
    """
    kind = suffix.lower()
    if kind not in _FORMATS:
        raise ValueError(f"figures are written as .png, .svg or .pdf, not as {kind!r}")
    # It warns of the time stamps in matplotlib's own font.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    file = BytesIO()
    with style():
        figure.savefig(file, dpi=dpi, **_FORMATS[kind])
    return file.getvalue()
