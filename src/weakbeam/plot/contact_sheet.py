"""A training set at a glance: images, what belongs to each dislocation, and where the lines run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.montage import montage_figure
from weakbeam.plot.style import COLORS, style
from weakbeam.plot.view import View

_COLUMNS = 6


def contact_sheet_figure(
    images: ArrayLike,
    masks: ArrayLike,
    traces: Sequence[ArrayLike],
    view: View,
    *,
    labels: Sequence[str] = (),
    label: str = "intensity",
    title: str = "",
) -> Figure:
    """Draw images of a training set with the labels of their dislocations.

    Parameters
    ----------
    images : array_like, shape (n, rows, columns)
        The images as they are stored.
    masks : array_like of bool, shape (n, most, rows, columns)
        Where each dislocation of an image stands out; none if `most` is 0.
    traces : sequence of array_like, shape (count, 4)
        Of each image row, column, row, column of the ends of its lines; NaN for a line that is not
        seen. Empty where they are not known.
    view : View
        What rows and columns are.
    labels : sequence of n str
        What stands above each image; its number unless given.
    label : str
        At the colour bar.
    title : str
        A line above the images.

    Returns
    -------
    Figure
        Two columns wide: in each image the outlines of the masks and the lit parts of the lines,
        one colour a dislocation.

    Raises
    ------
    ValueError
        If there is no image, or the shapes do not belong together.
    """
    stack, known = np.asarray(images, dtype=float), np.asarray(masks, dtype=bool)
    if known.ndim != 4 or len(known) != len(stack) or known.shape[2:] != stack.shape[1:]:
        raise ValueError(f"masks of shape {known.shape} do not fit images of shape {stack.shape}")
    names = labels or [f"image {number}" for number in range(len(stack))]
    note = "outlines: masks of the dislocations; strokes: where the lines are lit"
    figure = montage_figure(
        stack, names, view, columns=_COLUMNS, label=label, title=title, note=note
    )
    with style():
        for number, axes in enumerate(figure.axes[: len(stack)]):
            for which, mask in enumerate(known[number]):
                color = COLORS[which % len(COLORS)]
                axes.add_collection(
                    LineCollection(_outline(mask, view), colors=color, linewidths=0.6)
                )
            for which, ends in enumerate(np.asarray(traces[number]) if len(traces) else ()):
                places = view.places(np.asarray(ends, dtype=float).reshape(2, 2))
                # The lit part of a line through the layer is short: white, with its colour inside.
                for color, width in (("white", 2.2), (COLORS[which % len(COLORS)], 1.1)):
                    axes.plot(*places.T, color=color, linewidth=width, solid_capstyle="round")
            left, right, bottom, top = view.extent
            axes.set(xlim=(left, right), ylim=(bottom, top))
    return figure


def _outline(mask: ArrayLike, view: View) -> list[ArrayLike]:
    """The edges of pixels between inside and outside, in the coordinates of the picture."""
    inside = np.pad(np.asarray(mask, dtype=np.int8), 1)
    rows, columns = np.nonzero(np.diff(inside, axis=0))
    flat = np.stack([rows - 0.5, columns - 1.5, rows - 0.5, columns - 0.5], axis=-1)
    rows, columns = np.nonzero(np.diff(inside, axis=1))
    upright = np.stack([rows - 1.5, columns - 0.5, rows - 0.5, columns - 0.5], axis=-1)
    return list(view.places(np.concatenate([flat, upright]).reshape(-1, 2, 2)))
