"""Dislocations in the layer that the beam lights up, seen from above and along the beam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.defects.regions import ends_inside
from weakbeam.plot.image import intensity_norm
from weakbeam.plot.style import (
    COLORS,
    FAINT,
    INK,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    few_ticks,
    new_figure,
    style,
)
from weakbeam.plot.view import View, fit_box

Mask = NDArray[np.bool_]

_FIELD_MM = 78.0
_LEFT_MM, _RIGHT_MM = 12.0, 54.0
_LAYER_MM = 22.0
_DASHES = ("-", (0, (4.0, 1.5)), (0, (1.2, 1.2)), (0, (6.0, 1.2, 1.2, 1.2)))
_MOST_CHARACTERS = 14
"""With more pairs of kind and angle between Burgers vector and line, these are not told apart."""

_ANY = -1
"""Stands for the angle between b and the line where there are many."""

_UNDER_LINES = "gray"
"""Colours of an image under lines."""

_FEW, _MANY = 60, 2000
"""With up to so many lines Burgers vectors and planes are drawn; beyond, lines are a picture."""

_ARROW = 0.035
"""Length of a Burgers vector that lies in the picture, in widths of the field."""


def defects_figure(
    positions_lab: ArrayLike,
    lines_lab: ArrayLike,
    low_lab: ArrayLike,
    high_lab: ArrayLike,
    *,
    kinds: ArrayLike | None = None,
    labels: Sequence[str] = (),
    burgers_lab: ArrayLike | None = None,
    normals_lab: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    image: ArrayLike | None = None,
    view: View | None = None,
    picture_from_lab: ArrayLike | None = None,
    title: str = "",
) -> Figure:
    """Draw the parts of dislocations that lie in the illuminated layer.

    Above, the layer is seen from above: y to the right, x, the way of the beam, down the page; or,
    where there is one, the lines lie over the image, where it shows them: seen along the diffracted
    beam. Below, it is seen along the beam, with heights stretched. Each kind, such as a slip
    system, has its colour; of few, each angle between Burgers vector and line has its dashes. Of
    few lines the Burgers vectors (arrows) and the traces of the glide planes in the layer (faint)
    are drawn too.

    Parameters
    ----------
    positions_lab, lines_lab : array_like, shape (n, 3)
        A point on each line in µm, and its direction, in the laboratory frame.
    low_lab, high_lab : array_like, shape (3,)
        Corners of the layer in µm.
    kinds : array_like of int, shape (n,), optional
        Which of the `labels` each line has; all are of one kind unless given.
    labels : sequence of str
        Names for the key.
    burgers_lab, normals_lab : array_like, shape (n, 3), optional
        Burgers vectors and normals of glide planes, of any length.
    lengths : array_like, shape (n,), optional
        How far each runs from its point in its direction (µm), for segments; NaN for a line that
        is infinite both ways, which all are unless given.
    image : array_like, shape (rows, columns), optional
        The image that shows them.
    view : View, optional
        What its rows and columns are.
    picture_from_lab : array_like, shape (2, 4), optional
        Where the image shows a point of the laboratory (x, y, z, 1): the coordinates to the right
        and upwards of the view.
    title : str
        A line above the picture.

    Raises
    ------
    ValueError
        If shapes do not belong together, or the layer has no extent.
    """
    positions = _rows("positions", positions_lab, None)
    count = len(positions)
    lines = _rows("lines", lines_lab, count)
    norms = np.linalg.norm(lines, axis=1, keepdims=True)
    if np.any(norms == 0.0):
        raise ValueError("a line is zero: every dislocation needs a direction")
    lines = lines / norms
    low, high = np.asarray(low_lab, dtype=float), np.asarray(high_lab, dtype=float)
    if low.shape != (3,) or high.shape != (3,) or not np.all(high > low):
        raise ValueError("the layer must reach from its low to its high corner along x, y and z")
    kind = np.zeros(count, np.int64) if kinds is None else np.asarray(kinds, dtype=np.int64)
    if kind.shape != (count,):
        raise ValueError(f"kinds of shape {kind.shape} do not fit {count} lines")
    enter, leave = ends_inside(positions, lines, low, high)
    ends_at = np.full(count, np.nan) if lengths is None else np.asarray(lengths, dtype=float)
    endless = np.isnan(ends_at)
    enter, leave = np.where(endless, enter, np.maximum(enter, 0.0)), np.fmin(leave, ends_at)
    inside = np.flatnonzero(leave > enter)
    spans = np.stack([enter, leave], 1)[inside, :, None] * lines[inside, None]
    ends = positions[inside, None] + spans
    burgers = None if burgers_lab is None else _rows("burgers", burgers_lab, count)
    names = list(labels)
    known = max([len(names), 1 + int(kind.max(initial=0))])
    dashes: list[Any] = [_dashes(which) for which in range(known)]
    colors = [_color(which) for which in range(len(dashes))]
    if burgers is not None and names:
        kind, names, colors, dashes = _by_character(kind, names, burgers, lines, endless)
        burgers = burgers[inside]
    look = _Look(colors, dashes)
    normals = None if normals_lab is None else _rows("normals", normals_lab, count)[inside]
    if len(inside) > _FEW:
        burgers = normals = None
    with style():
        flat = np.array([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
        extent, said = (low[1], high[1], high[0], low[0]), "from above"
        across, along = "y (µm)", "← x, along the beam (µm)"
        if image is not None and view is not None and picture_from_lab is not None:
            flat = np.asarray(picture_from_lab, dtype=float)
            extent, said, (across, along) = view.extent, "over the image", view.labels
        width, height = fit_box(extent, _FIELD_MM, _FIELD_MM)
        page = max(_LEFT_MM + width + _RIGHT_MM, SINGLE_COLUMN_MM), height + _LAYER_MM + 33.0
        figure = new_figure(*page)
        above = add_axes(figure, _LEFT_MM, _LAYER_MM + 23.0, width, height)
        if said != "from above":
            assert image is not None
            assert view is not None
            view.draw(above, image, intensity_norm(view.field(image), "linear"), _UNDER_LINES)
        _draw(above, ends, kind[inside], look, burgers, normals, flat)
        above.set(xlim=extent[:2], ylim=extent[2:], aspect="equal")
        above.set(xlabel=across, ylabel=along)
        layer = add_axes(figure, _LEFT_MM, 10.0, width, _LAYER_MM)
        end_on = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
        _draw(layer, ends, kind[inside], look, None, None, end_on)
        sides = (low[1], high[1])
        layer.set(xlim=sides, ylim=(low[2], high[2]), xlabel="y (µm)", ylabel="z (µm)")
        stretch = _LAYER_MM / width * (high[1] - low[1]) / (high[2] - low[2])
        for axes, text in (
            (above, f"{said}: {len(inside)} of {count} lines in the layer"),
            (layer, f"along the beam, heights × {stretch:.3g}"),
        ):
            few_ticks(axes)
            axes.set_title(text, size=6.5, color=FAINT)
        _key(figure, kind[inside], names, look, _LEFT_MM + width + 3.0, page)
        add_text(figure, _LEFT_MM, page[1] - 5.0, title, size=8)
    return figure


@dataclass(frozen=True)
class _Look:
    """Colour and dashes of each kind of line."""

    colors: Sequence[str]
    dashes: Sequence[Any]


def _by_character(
    kind: Ints, labels: Sequence[str], burgers: Floats, lines: Floats, straight: Mask
) -> tuple[Ints, list[str], list[str], list[Any]]:
    """Kinds told apart by the angle between Burgers vector and line, if there are few of them.

    Those that are not `straight` are pieces of curves, whose angle says nothing of the whole.

    Returns the kind of each line, and name, colour and dashes of each kind. Colours stay those of
    the labels.
    """
    along = np.abs(np.sum(_unit(burgers) * _unit(lines), axis=1))
    angle = np.degrees(np.arccos(np.clip(along, 0.0, 1.0))).round().astype(np.int64)
    angle[~straight] = _ANY
    pairs, numbers = np.unique(np.stack([kind, angle]), axis=1, return_inverse=True)
    if pairs.shape[1] > _MOST_CHARACTERS:
        every = range(len(labels))
        return kind, list(labels), [_color(k) for k in every], [_dashes(k) for k in every]
    different = np.unique(angle).tolist()
    named = {0: "screw", 90: "edge", _ANY: ""}
    names = [f"{labels[k]}  {named.get(a, f'b∧t = {a}°')}".strip() for k, a in pairs.T.tolist()]
    # Most are of one character: its lines are drawn through.
    different.sort(key=lambda a: -int((angle == a).sum()))
    dashes = [
        _dashes(k) if a == _ANY else _DASHES[different.index(a) % len(_DASHES)]
        for k, a in pairs.T.tolist()
    ]
    # The same angle again in other dashes where there are more slip systems than colours.
    return numbers.ravel(), names, [_color(k) for k in pairs[0].tolist()], dashes


def _draw(
    axes: Axes,
    ends: Floats,
    kind: Ints,
    look: _Look,
    burgers: Floats | None,
    normals: Floats | None,
    picture_from_lab: Floats,
) -> None:
    """Draw the lines' parts in one view, into which an affine map takes the three axes."""
    turn, shift = picture_from_lab[:, :3], picture_from_lab[:, 3]
    many = len(ends) > _MANY
    thickness = 1.3 if len(ends) <= _FEW else 0.4 if many else 0.8
    flat = ends @ turn.T + shift
    for which in np.unique(kind):
        axes.add_collection(
            LineCollection(
                list(flat[kind == which]),
                colors=look.colors[which],
                linestyles=[look.dashes[which]],
                linewidths=thickness,
                alpha=0.5 if many else 1.0,
                capstyle="butt",
                rasterized=many,
            )
        )
    middle = flat.mean(axis=1)
    colors = [look.colors[which] for which in kind]
    reach = np.ptp(flat.reshape(-1, 2), axis=0).max() if len(flat) else 1.0
    if normals is not None:
        # A plane meets the layer along n × z.
        trace = np.cross(normals, [0.0, 0.0, 1.0]) @ turn.T
        step = 0.06 * reach * _unit(trace)
        axes.add_collection(
            LineCollection(
                list(np.stack([middle - step, middle + step], axis=1)),
                colors=colors,
                linewidths=0.5,
                alpha=0.5,
            )
        )
    if burgers is not None:
        axes.quiver(
            *middle.T,
            *(_ARROW * reach * _in_plane(_unit(burgers), turn)).T,
            color=colors,
            angles="xy",
            scale_units="xy",
            scale=1.0,
            width=0.0035,
            headwidth=4.0,
            headlength=4.5,
            headaxislength=4.0,
        )
        # A dot for lines that run through the layer steeply, and so are short.
        axes.scatter(middle[:, 0], middle[:, 1], s=7.0, c=colors, linewidths=0.0)


def _in_plane(directions: Floats, turn: Floats) -> Floats:
    """Directions as they appear in the picture; none is longer than 1.

    Along a beam that rises little heights appear stretched many times.
    """
    projected = directions @ turn.T
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    return np.asarray(projected / np.maximum(length, 1.0))


def _key(
    figure: Figure,
    kind: Ints,
    labels: Sequence[str],
    look: _Look,
    left_mm: float,
    page: tuple[float, float],
) -> None:
    """Name the kinds that are seen, with how many there are of each."""
    present, counts = np.unique(kind, return_counts=True)
    if not labels:
        return
    handles = [
        Line2D([], [], color=look.colors[which], linestyle=look.dashes[which], linewidth=1.3)
        for which in present
    ]
    names = [f"{labels[which]}  × {n}" for which, n in zip(present, counts, strict=True)]
    place = (left_mm / page[0], 1.0 - 8.0 / page[1])
    key = figure.legend(
        handles, names, loc="upper left", bbox_to_anchor=place, handlelength=2.2, labelcolor=INK
    )
    # A boundary of many sets, or long indices, need a smaller key rather than a larger page.
    # Samples of lines keep their length, so that once is not always enough.
    for _ in range(3):
        extent = key.get_window_extent()
        wide, high = (float(size) / figure.dpi * 25.4 for size in (extent.width, extent.height))
        share = min((page[1] - 10.0) / high, (page[0] - left_mm - 1.0) / wide)
        if share >= 1.0:
            break
        for text in key.get_texts():
            text.set_fontsize(max(float(text.get_fontsize()) * share, 3.5))


def _color(kind: int) -> str:
    return COLORS[kind % len(COLORS)]


def _dashes(kind: int) -> Any:
    return _DASHES[kind // len(COLORS) % len(_DASHES)]


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0.0, length, 1.0))


def _rows(name: str, value: ArrayLike, count: int | None) -> Floats:
    rows = np.asarray(value, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
        raise ValueError(f"{name} of shape {rows.shape} are not rows of three finite numbers")
    if count is not None and len(rows) != count:
        raise ValueError(f"{len(rows)} {name} do not belong to {count} lines")
    return rows
