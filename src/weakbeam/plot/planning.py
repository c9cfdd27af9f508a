"""The planning sheet: a page of text, rocking curve and predicted images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.image import intensity_norm
from weakbeam.plot.style import (
    COLORS,
    FAINT,
    INTENSITY_MAP,
    add_axes,
    add_text,
    few_ticks,
    label_bar,
    paper,
)
from weakbeam.plot.view import View

_PAGE_MM = (210.0, 297.0)
_LEFT_MM = 12.0
_LINE_MM = 4.3
_NAME_MM = 46.0
_SIZE_PT = 8.0
_CHARACTERS = 86
"""Of a line of values, of wide letters too."""
_PICTURES_MM = 92.0
"""Of the foot of the page: the curve above the images."""


def planning_figure(
    title: str,
    sections: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    images: Mapping[str, ArrayLike],
    view: View,
    intensity_label: str,
    curve: tuple[ArrayLike, ArrayLike, str],
    settings: ArrayLike = (),
) -> Figure:
    """Draw the page, A4 upright.

    Parameters
    ----------
    title : str
        The first line.
    sections : sequence of (str, sequence of (str, str))
        Headings, and quantities with their values below them.
    images : mapping of str to (rows, columns) array_like
        Predicted frames by their settings, four at most.
    view : View
        What their rows and columns are.
    intensity_label : str
        At their colour bars.
    curve : (array_like, array_like, str)
        Offsets of a motor, intensity of the perfect crystal there, and label of the axis.
    settings : array_like
        Offsets at which the images are.

    Raises
    ------
    ValueError
        If there are more lines than a page holds.
    """
    sections = [(heading, list(_wrapped(rows))) for heading, rows in sections]
    lines = sum(len(rows) + 2 for _, rows in sections)
    room = _PAGE_MM[1] - 24.0 - _PICTURES_MM
    pitch = min(_LINE_MM, room / max(lines, 1))
    if pitch < 0.55 * _LINE_MM:
        raise ValueError(f"{lines} lines do not fit on a page")
    size = _SIZE_PT * min(1.0, pitch / (0.85 * _LINE_MM))
    with paper(*_PAGE_MM) as figure:
        add_text(figure, _LEFT_MM, _PAGE_MM[1] - 14.0, title, size=12)
        at = _PAGE_MM[1] - 21.0
        for heading, rows in sections:
            at -= 1.4 * pitch
            add_text(figure, _LEFT_MM, at, heading, size=size + 1.0, weight="bold")
            for name, value in rows:
                at -= pitch
                add_text(figure, _LEFT_MM, at, name, size=size, color=FAINT, room_mm=_NAME_MM)
                room_mm = _PAGE_MM[0] - _LEFT_MM - _NAME_MM - 12.0
                add_text(figure, _LEFT_MM + _NAME_MM, at, value, size=size, room_mm=room_mm)
            at -= 0.6 * pitch
        _draw_curve(figure, curve, np.asarray(settings, float))
        _draw_images(figure, images, view, intensity_label)
    return figure


def _wrapped(rows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Rows, long values over several lines."""
    for name, value in rows:
        for part in wrap(value, _CHARACTERS) or [""]:
            yield name, part
            name = ""


def _draw_curve(
    figure: Figure, curve: tuple[ArrayLike, ArrayLike, str], settings: ArrayLike
) -> None:
    offsets, intensity, label = curve
    axes = add_axes(figure, _LEFT_MM + 10.0, 66.0, _PAGE_MM[0] - 2 * _LEFT_MM - 12.0, 24.0)
    axes.plot(offsets, intensity, color=COLORS[0])
    for setting in np.atleast_1d(np.asarray(settings, float)):
        axes.axvline(setting, color=COLORS[1], linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_ylim(0.0, 1.08)
    axes.set_xlabel(label)
    axes.set_ylabel("perfect crystal")
    axes.spines[["top", "right"]].set_visible(False)
    few_ticks(axes)


def _draw_images(
    figure: Figure, images: Mapping[str, ArrayLike], view: View, intensity_label: str
) -> None:
    count = len(images)
    pitch = (_PAGE_MM[0] - 2 * _LEFT_MM) / max(count, 2)
    width, height = view.box(pitch - 17.0, 40.0)
    for number, (name, image) in enumerate(images.items()):
        left = _LEFT_MM + 10.0 + number * pitch
        axes = add_axes(figure, left, 12.0, width, height)
        field = np.asarray(image, float)
        drawn = view.draw(axes, field, intensity_norm(field, "linear"), INTENSITY_MAP)
        axes.locator_params(nbins=4)
        if number:
            axes.set_ylabel("")
        add_text(figure, left, 13.2 + height, name, size=7.0, room_mm=pitch - 6.0)
        bar = figure.colorbar(drawn, cax=add_axes(figure, left + width + 1.0, 12.0, 2.0, height))
        label_bar(bar, intensity_label if number == count - 1 else "")
        bar.outline.set_linewidth(0.6)
