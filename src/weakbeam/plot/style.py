"""The common look of all figures, and how they are written to files.

Sizes are in millimetres on paper and every panel is placed by hand: fixed places make figures of
one kind line up, and cost no layout pass. Only `matplotlib.figure.Figure` is used, never pyplot,
and settings hold inside `style` alone, so a caller's own matplotlib settings stay as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as MplAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import ScalarFormatter
from matplotlib.transforms import Bbox

SINGLE_COLUMN_MM = 89.0
DOUBLE_COLUMN_MM = 183.0
DPI = 200
SCREEN_DPI = 120
"""In a notebook."""

# Okabe and Ito's palette, told apart by readers with any of the common colour-vision deficiencies.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "0.15"
FAINT = "0.45"
INTENSITY_MAP = "inferno"
DIVERGING_MAP = "RdBu_r"
NAN_COLOR = "0.85"

_MM_PER_INCH = 25.4
_SMALLEST_PT = 5.0
_MARGIN_MM = 0.6
"""A page ends at least so far beyond what is on it."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
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
    # A number left out of those at the ticks is not found by who reads them.
    "axes.formatter.useoffset": False,
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
PROGRAM = "weakbeam"
"""What pictures say of their origin, by which `weakbeam.io.targets` knows them again."""

# What each format needs to be quick to write, and free of time stamps and version numbers.
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {
        "format": "png",
        "metadata": {"Software": PROGRAM},
        "pil_kwargs": {"compress_level": 3},
    },
    ".svg": {"format": "svg", "metadata": {"Date": None, "Creator": PROGRAM}},
    ".pdf": {
        "format": "pdf",
        "metadata": {"CreationDate": None, "Creator": PROGRAM, "Producer": None},
    },
}


def style() -> AbstractContextManager[None]:
    """Return the context in which the figures of this package are made."""
    return mpl.rc_context(_SETTINGS)


class Page(Figure):
    """A figure that a notebook shows as it is written to files, also without pyplot."""

    def _repr_png_(self) -> bytes:
        return render(self, ".png", SCREEN_DPI)


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """Return an empty white figure of the given size in mm."""
    figure = Page(
        figsize=(width_mm / _MM_PER_INCH, height_mm / _MM_PER_INCH), dpi=DPI, facecolor="white"
    )
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def paper(width_mm: float, height_mm: float) -> Iterator[Figure]:
    """Hold the look of this package while a new figure of the given size in mm is drawn."""
    with style():
        yield new_figure(width_mm, height_mm)


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


def add_text(
    figure: Figure,
    left_mm: float,
    bottom_mm: float,
    text: str,
    *,
    room_mm: float | None = None,
    **kwargs: object,
) -> Text:
    """Write a line of text that starts at the given place, in mm from the lower left corner.

    Parameters
    ----------
    figure : Figure
        The page.
    left_mm, bottom_mm : float
        Where the line starts.
    text : str
        The line.
    room_mm : float, optional
        How long it may get; by default it stays a millimetre from the edge of the page. A longer
        one is written smaller, and what is too long even so is left out at its end.
    **kwargs
        Font and colour.
    """
    page = figure.get_size_inches() * _MM_PER_INCH
    place = left_mm / page[0], bottom_mm / page[1]
    written = figure.text(*place, text, **kwargs)  # type: ignore[arg-type]
    if room_mm is None:
        room_mm = (left_mm if kwargs.get("ha") == "right" else page[0] - left_mm) - 1.0
    fit_text(written, room_mm)
    return written


def fit_text(written: Text, room_mm: float, smallest_pt: float = _SMALLEST_PT) -> None:
    """Write a text smaller, and cut off its end if need be, until it takes no more room."""
    figure = written.get_figure(root=True)
    text = written.get_text()
    if not text or figure is None:
        return

    def share() -> float:
        length = float(written.get_window_extent().width) / figure.dpi * _MM_PER_INCH
        return length / max(room_mm, 1.0)

    wanted = share()
    if wanted <= 1.0:
        return
    smallest = min(smallest_pt, float(written.get_fontsize()))
    written.set_fontsize(max(float(written.get_fontsize()) / wanted, smallest))
    while len(text) > 1 and (wanted := share()) > 1.0:
        text = text[: min(int(len(text) / wanted), len(text) - 1)].rstrip()
        written.set_text(f"{text}…")


def label_bar(bar: Colorbar, label: str, **kwargs: Any) -> None:
    """Label an upright colour bar; the power of ten of its numbers stands in the label."""
    bar.set_label(label, **kwargs)
    fold_power(bar.ax.yaxis)
    # An upright bar may be shorter than what is said of it.
    room = bar.ax.bbox.height * 1.05
    written = bar.ax.yaxis.label
    long = float(written.get_window_extent().height)
    if long > room:
        written.set_fontsize(max(float(written.get_fontsize()) * room / long, _SMALLEST_PT))


def fold_power(axis: MplAxis) -> None:
    """Say in the label of an axis what its numbers are multiplied by or lack.

    Matplotlib writes that at the end of the axis, over whatever stands there.
    """
    formatter = axis.get_major_formatter()
    if not isinstance(formatter, ScalarFormatter):
        return
    formatter.set_locs(axis.get_majorticklocs().tolist())
    _, _, power = formatter.get_offset().replace("\u2212", "-").partition("e")
    if power:
        digits = power.translate(_SUPERSCRIPT)
        label = axis.get_label_text()
        inside = label.endswith(")") and "(" in label
        axis.set_label_text(f"{label[:-1]}, 10{digits})" if inside else f"{label} (10{digits})")
        axis.get_offset_text().set_visible(False)


def few_ticks(axes: Axes) -> None:
    """Allow a tick per 8 mm of a panel at most, at round numbers."""
    dots_per_tick = 8.0 / _MM_PER_INCH * axes.figure.dpi
    across, along = (
        int(np.clip(length / dots_per_tick, 1, 6)) for length in (axes.bbox.width, axes.bbox.height)
    )
    axes.locator_params(axis="x", nbins=across, steps=[1, 2, 5, 10])
    axes.locator_params(axis="y", nbins=along, steps=[1, 2, 5, 10])
    for axis, length in ((axes.xaxis, axes.bbox.width), (axes.yaxis, axes.bbox.height)):
        if length < dots_per_tick:
            # There is room for one number only, the one nearest to the middle.
            numbers = np.asarray(axis.get_majorticklocs())
            middle = 0.5 * sum(axis.get_view_interval())
            axis.set_ticks([float(numbers[np.argmin(np.abs(numbers - middle))])])


def save(
    figure: Figure, path: str | PathLike[str], dpi: float = DPI, *, overwrite: bool = False
) -> None:
    """Write a figure as PNG, SVG or PDF, after the suffix of the path, as :func:`render` does.

    Parameters
    ----------
    figure, dpi
        As for :func:`render`.
    path : path
        File to write, ending in .png, .svg or .pdf; its folder is made if need be.
    overwrite : bool
        Whether another figure that is there may be replaced.

    Raises
    ------
    ValueError
        If the suffix is another one.
    InputError
        If the file cannot be written, or one is there that is no figure of this program or may not
        be replaced.
    RunError
        If the disk is full or fails.
    """
    from weakbeam.io.targets import PICTURE, claim, place_bytes

    picture = render(figure, Path(path).suffix, dpi)
    place_bytes(claim(path, PICTURE, overwrite=overwrite), picture)


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
        figure.savefig(file, dpi=dpi, bbox_inches=_whole(figure, dpi), **_FORMATS[kind])
    return file.getvalue()


def _whole(figure: Figure, dpi: float) -> Bbox | None:
    """A page on which nothing is cut off, in inches; None where the page of the figure is one."""
    page, own = figure.bbox_inches, figure.dpi
    # Letters are as wide as whole pixels allow.
    figure.set_dpi(dpi)
    ink = figure.get_tightbbox()
    figure.set_dpi(own)
    margin = _MARGIN_MM / _MM_PER_INCH
    needed = Bbox.union([page, ink.padded(margin)])
    return None if np.allclose(needed.extents, page.extents) else needed
