"""Frames of a scan: one alone, and many side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.image import Scale, image_figure, intensity_norm, label_intensities
from weakbeam.plot.panels import View
from weakbeam.plot.style import (
    DOUBLE_COLUMN_MM,
    FAINT,
    INTENSITY_MAP,
    add_axes,
    add_text,
    as_field,
    new_figure,
    style,
)

_ENDS = (0.1, 99.9)
"""Percentiles of a frame at the ends of its own range."""

_NOTHING = 1e-6
"""Part of the brightest intensity of all frames below which there is nothing to see."""

_FLAT = 1e-4
"""A frame whose intensities differ by less than this part is even."""


def frame_figure(
    image: ArrayLike,
    view: View,
    *,
    title: str = "",
    scale: Scale = "linear",
    label: str = "intensity",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw one frame, in µm of the sample or in pixels.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        The frame.
    view : View
        What its rows and columns are.
    title : str
        A line above the picture.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    label : str
        At the colour bar.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour.

    Returns
    -------
    Figure
        A figure one column wide.

    Raises
    ------
    ValueError
        If the frame does not fit the view, or the scale has another name.
    """
    figure = image_figure(
        image,
        view.x,
        view.y,
        title=title,
        scale=scale,
        limits=limits,
        intensity_label=label,
        on_camera=view.on_camera,
    )
    if view.pixels:
        with style():
            figure.axes[0].set_xlabel("column (pixel)")
            figure.axes[0].set_ylabel("row (pixel)")
    return figure


def montage_figure(
    frames: ArrayLike,
    labels: Sequence[str],
    view: View,
    *,
    columns: int | None = None,
    scale: Scale = "linear",
    own_range: bool = True,
    label: str = "intensity",
    title: str = "",
    note: str = "",
) -> Figure:
    """Draw frames of a scan side by side.

    Parameters
    ----------
    frames : array_like, shape (n, rows, columns)
        The frames, row by row of the montage.
    labels : sequence of n str
        Above each of them, such as the positions of the motors.
    view : View
        What their rows and columns are.
    columns : int, optional
        Frames side by side; by default such that the montage is about as high as wide.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    own_range : bool
        Whether each frame has a range of colours of its own, which is written above it; on a
        common one most frames of a scan are dark.
    label : str
        At the colour bar.
    title, note : str
        Lines above the frames.

    Returns
    -------
    Figure
        A figure two columns wide.

    Raises
    ------
    ValueError
        If there is no frame, or numbers and shapes do not belong together.
    """
    stack = np.asarray(frames, dtype=float)
    if stack.ndim != 3 or len(stack) == 0 or len(labels) != len(stack):
        raise ValueError(f"{len(labels)} labels for frames of shape {stack.shape}")
    as_field(stack[0], view.x, view.y)
    common = intensity_norm(stack, scale)
    norms = [_own_norm(frame, scale, common) if own_range else common for frame in stack]
    gap, head, right, left = 1.5, 5.6 if own_range else 3.6, 16.0, 2.0
    wide, high = view.box(100.0, 100.0)
    if columns is None:
        columns = int(np.clip(np.ceil(np.sqrt(len(stack) * (high + head) / wide)), 1, len(stack)))
    rows = -(-len(stack) // columns)
    width, height = view.box((DOUBLE_COLUMN_MM - left - right) / columns - gap, 60.0)
    top = (7.0 if title else 2.0) + (3.5 if note else 0.0)
    page_height = rows * (height + head) + top + 2.0
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, page_height)
        for number, (frame, text, norm) in enumerate(zip(stack, labels, norms, strict=True)):
            row, column = divmod(number, columns)
            corner = left + column * (width + gap)
            bottom = page_height - top - (row + 1) * (height + head)
            axes = add_axes(figure, corner, bottom, width, height)
            drawn = view.draw(axes, frame, norm, INTENSITY_MAP)
            axes.set_xlabel("")
            axes.set_ylabel("")
            axes.set_xticks([])
            axes.set_yticks([])
            above = bottom + height + 0.8
            if own_range:
                ends = f"{norm.vmin:.4g} to {norm.vmax:.4g}".replace("-", "\u2212")
                add_text(figure, corner, above, ends, size=5.5)
                above += 2.1
            add_text(figure, corner, above, text, size=5.5, color=FAINT)
        bar_left = left + columns * (width + gap) + 1.0
        bar_height = min(rows * (height + head) - head, 60.0)
        bar = add_axes(figure, bar_left, page_height - top - head - bar_height, 2.5, bar_height)
        if own_range:
            drawn = ScalarMappable(Normalize(0.0, 1.0), INTENSITY_MAP)  # type: ignore[assignment]
            label = f"{label}: ends above each frame" + ("" if scale == "linear" else f", {scale}")
        color_bar = figure.colorbar(drawn, cax=bar)
        if own_range:
            color_bar.set_ticks([0.0, 1.0], labels=["least", "most"])
        else:
            label_intensities(color_bar, common, bar_height)
        color_bar.set_label(label)
        color_bar.outline.set_linewidth(0.6)
        add_text(figure, left, page_height - 4.5, title, size=8)
        add_text(figure, left, page_height - top + 1.0, note, size=6.5, color=FAINT)
    return figure


def _own_norm(frame: Floats, scale: Scale, common: Normalize) -> Normalize:
    """Colours of one frame from its darkest to its brightest pixels.

    Next to nothing, beside what other frames hold, is drawn as nothing.
    """
    assert common.vmax is not None
    finite = frame[np.isfinite(frame)]
    low, high = np.percentile(finite, _ENDS).tolist() if finite.size else (0.0, 0.0)
    least = _NOTHING * common.vmax
    if high <= least:
        # What there is, a few pixels hold.
        high = float(finite.max(initial=0.0))
    if high <= least:
        return intensity_norm(frame, scale, (0.1 * least if scale == "log" else 0.0, least))
    if scale == "log":
        low = max(low, 1e-3 * high)
    elif low < 1e-3 * high:
        low = min(low, 0.0)
    if high - low < _FLAT * high:
        low = 0.1 * high if scale == "log" else 0.0
    return intensity_norm(frame, scale, (low, high))
