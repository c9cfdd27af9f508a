"""Frames of a scan side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.image import Scale, intensity_norm, label_intensities, light_range
from weakbeam.plot.style import (
    DOUBLE_COLUMN_MM,
    FAINT,
    INTENSITY_MAP,
    add_axes,
    add_text,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

_NOTHING = 1e-6
"""Part of the brightest intensity of all frames below which there is nothing to see."""

_FLAT = 1e-4
"""A frame whose intensities differ by less than this part is even."""

_SMALL = 5.5
_EDGE = 0.1
_BAR_MM = (34.0, 60.0)
"""Least and greatest length of the colour bar."""


def montage_figure(
    frames: ArrayLike,
    labels: Sequence[str],
    view: View,
    *,
    columns: int | None = None,
    places: Sequence[int] | None = None,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    scale: Scale = "linear",
    limits: tuple[float, float] | None = None,
    own_range: bool = True,
    label: str = "intensity",
    title: str = "",
    note: str = "",
) -> Figure:
    """Draw frames of a scan side by side, on the axes of one frame.

    The figure is two columns wide.

    Parameters
    ----------
    frames : array_like, shape (n, rows, columns)
        The frames, row by row of the montage.
    labels : sequence of n str
        What stands above each of them, such as the positions of the motors, unless there are
        labels on the margin.
    view : View
        What their rows and columns are.
    columns : int, optional
        Frames side by side; by default such that the montage is about as high as wide.
    places : sequence of n int, optional
        Place of each frame in the montage, counted row by row; one after the other unless given.
    row_labels, column_labels : sequence of str
        On the margin: of each row on its left, of each column on its top.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour of all frames.
    own_range : bool
        Whether each frame has a range of colours of its own, which is written above it; on a
        common one most frames of a scan are dark.
    label : str
        At the colour bar.
    title, note : str
        Lines above the frames.

    Raises
    ------
    ValueError
        If there is no frame, or numbers and shapes do not belong together.
    """
    stack = np.asarray(frames, dtype=float)
    if stack.ndim != 3 or len(stack) == 0 or len(labels) != len(stack):
        raise ValueError(f"{len(labels)} labels for frames of shape {stack.shape}")
    view.field(stack[0])
    own_range = own_range and limits is None
    common = intensity_norm(stack, scale, limits)
    norms = [own_norm(frame, scale, common) if own_range else common for frame in stack]
    margins = bool(row_labels or column_labels)
    head = 1.8 + 2.3 * own_range + 2.3 * (not margins)
    gap, right, left = 1.5, 16.0, 13.0 + (15.0 if row_labels else 0.0)
    wide, high = view.box(100.0, 100.0)
    if columns is None:
        columns = int(np.clip(np.ceil(np.sqrt(len(stack) * (high + head) / wide)), 1, len(stack)))
    where = np.arange(len(stack)) if places is None else np.asarray(places)
    rows = int(where.max()) // columns + 1
    width, height = view.box((DOUBLE_COLUMN_MM - left - right) / columns - gap, 60.0)
    top = (
        (7.0 if title else 2.0)
        + (3.5 if note or own_range else 0.0)
        + (3.0 if column_labels else 0.0)
    )
    foot = 9.0
    page_height = max(rows * (height + head), head + _BAR_MM[0]) + top + foot
    lowest = {column: max(w for w in where if w % columns == column) for column in where % columns}
    across, along = view.labels
    with paper(DOUBLE_COLUMN_MM, page_height) as figure:
        for place, frame, text, norm in zip(where, stack, labels, norms, strict=True):
            row, column = divmod(int(place), columns)
            corner = left + column * (width + gap)
            bottom = page_height - top - (row + 1) * (height + head)
            axes = add_axes(figure, corner, bottom, width, height)
            drawn = view.draw(axes, frame, norm, INTENSITY_MAP)
            axes.set(xlabel="", ylabel="")
            # A number at the edge of a panel would run into that of the next one.
            axes.locator_params(nbins=5)
            axes.set_xticks(_inner(axes.get_xticks(), *axes.get_xlim()))
            axes.set_yticks(_inner(axes.get_yticks(), *axes.get_ylim()))
            axes.tick_params(
                labelleft=column == 0, labelbottom=place == lowest[column], labelsize=_SMALL
            )
            above = bottom + height + 0.8
            if own_range:
                _write_ends(figure, corner, above, norm, width + 0.5)
                above += 2.1
            if not margins:
                add_text(figure, corner, above, text, size=_SMALL, color=FAINT, room_mm=width + 0.5)
        for row, text in enumerate(row_labels[:rows]):
            middle = page_height - top - (row + 1) * (height + head) + 0.5 * height
            add_text(figure, 4.5, middle, text, size=6.0, va="center", room_mm=14.5)
        for column, text in enumerate(column_labels[:columns]):
            corner = left + column * (width + gap)
            add_text(figure, corner, page_height - top + 0.7, text, size=6.0, room_mm=width + 0.5)
        grid_width = columns * (width + gap) - gap
        middle = foot + 0.5 * (page_height - top - foot)
        page = DOUBLE_COLUMN_MM, page_height
        figure.text((left + 0.5 * grid_width) / page[0], 2.0 / page[1], across, ha="center")
        figure.text(2.2 / page[0], middle / page[1], along, va="center", ha="center", rotation=90)
        bar_left = left + columns * (width + gap) + 1.0
        bar_height = float(np.clip(rows * (height + head) - head, *_BAR_MM))
        bar = add_axes(figure, bar_left, page_height - top - head - bar_height, 2.5, bar_height)
        if own_range:
            drawn = ScalarMappable(Normalize(0.0, 1.0), INTENSITY_MAP)  # type: ignore[assignment]
            label = label if scale == "linear" else f"{label}, {scale}"
            note = "; ".join(filter(None, (note, "ends of the colours above each frame")))
        color_bar = figure.colorbar(drawn, cax=bar)
        if own_range:
            color_bar.set_ticks([0.0, 1.0], labels=["least", "most"])
        else:
            label_intensities(color_bar, common, bar_height)
        label_bar(color_bar, label)
        color_bar.outline.set_linewidth(0.6)
        add_text(figure, 4.5, page_height - 4.5, title, size=8)
        noted = page_height - top + 1.0 + (3.0 if column_labels else 0.0)
        add_text(figure, 4.5, noted, note, size=6.5, color=FAINT)
    return figure


def _write_ends(figure: Figure, left: float, bottom: float, norm: Normalize, room: float) -> None:
    """Write the ends of the colours with fewer digits rather than with some left out."""
    for digits in (4, 3, 2):
        ends = f"{norm.vmin:.{digits}g} to {norm.vmax:.{digits}g}".replace("-", "\u2212")
        written = add_text(figure, left, bottom, ends, size=_SMALL, room_mm=room)
        if written.get_text() == ends or digits == 2:
            return
        written.remove()


def _inner(ticks: Floats, first: float, last: float) -> Floats:
    """The ticks that are not near either end of an axis."""
    part = (np.asarray(ticks) - first) / (last - first)
    return np.asarray(ticks)[(part > _EDGE) & (part < 1.0 - _EDGE)]


def own_norm(frame: Floats, scale: Scale, common: Normalize) -> Normalize:
    """Colours of one frame from its darkest to its brightest pixels.

    Next to nothing, beside what other frames hold, is drawn as nothing.

    Parameters
    ----------
    frame : (rows, columns) ndarray
        The frame.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    common : Normalize
        How intensities of all frames become colours.
    """
    assert common.vmax is not None
    low, high = light_range(frame)
    least = _NOTHING * common.vmax
    if high <= least or not (frame > 0.0).any():
        # What there is, a few pixels hold.
        high = float(frame[np.isfinite(frame)].max(initial=0.0))
    if high <= least:
        return intensity_norm(frame, scale, (0.1 * least if scale == "log" else 0.0, least))
    if scale == "log":
        low = max(low, 1e-3 * high)
    elif low < 1e-3 * high:
        low = min(low, 0.0)
    if high - low < _FLAT * high:
        low = 0.1 * high if scale == "log" else 0.0
    return intensity_norm(frame, scale, (low, high))
