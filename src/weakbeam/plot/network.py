"""A network of dislocations in space, with the lengths and characters of its segments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.plot.style import (
    COLORS,
    FAINT,
    INK,
    add_axes,
    add_text,
    new_figure,
    style,
)

_DASHES = ("-", (0, (4.0, 1.5)), (0, (1.2, 1.2)))
_WIDTH, _HEIGHT = 178.0, 112.0
_SIDE = 100.0
_BINS = 18
_MANY = 2000
_LEAST_EXTENT = 0.4
"""Of the space that is drawn, along each axis, relative to the longest: labels need room."""

_RIM = 0.08
"""Share of an axis at either end that has no ticks."""

_DECADE = 10.0
"""Lengths are spread out on a logarithmic scale if the longest is so many times the shortest."""


def network_figure(
    ends: ArrayLike,
    kinds: ArrayLike,
    labels: Sequence[str],
    *,
    characters_deg: ArrayLike,
    cell: ArrayLike | None = None,
    origin: ArrayLike | None = None,
    unit: str = "µm",
    title: str = "",
) -> Figure:
    """Draw a network in space, and how its line is shared out by length and character.

    Parameters
    ----------
    ends : array_like, shape (n, 2, 3)
        Where each segment begins and ends.
    kinds : array_like of int, shape (n,)
        Which of the `labels` each has; one colour each.
    labels : sequence of str
        Burgers vectors.
    characters_deg : array_like, shape (n,)
        Angle between Burgers vector and line, 0 to 90.
    cell : array_like, shape (3, 3), optional
        Edges of a box, one a row.
    origin : array_like, shape (3,), optional
        Its corner from which they start.
    unit : str
        Of lengths.
    title : str
        A line above the figure.

    Raises
    ------
    ValueError
        If shapes do not belong together.
    """
    lines = np.asarray(ends, dtype=float)
    kind = np.asarray(kinds, dtype=np.int64)
    angles = np.asarray(characters_deg, dtype=float)
    if lines.shape != (len(kind), 2, 3) or angles.shape != kind.shape or not len(kind):
        raise ValueError(f"{lines.shape}, {kind.shape} and {angles.shape} do not belong together")
    lengths = np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1)
    with style():
        figure = new_figure(_WIDTH, _HEIGHT)
        share = (0.0, 3.0 / _HEIGHT, _SIDE / _WIDTH, 102.0 / _HEIGHT)
        space = figure.add_axes(share, projection="3d")
        _draw_space(space, lines, kind, cell, origin, unit)
        left, wide = _SIDE + 16.0, _WIDTH - _SIDE - 20.0
        top = add_axes(figure, left, 49.0, wide, 20.0)
        _stacked(top, lengths, lengths, kind, labels, _length_bins(lengths))
        top.set(xlabel=f"length of a segment ({unit})", ylabel="share of all line")
        if lengths.max() > _DECADE * lengths.min():
            top.set_xscale("log")
            if lengths.max() < _DECADE**2 * lengths.min():
                top.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                top.xaxis.set_major_formatter(lambda value, _: f"{value:.6g}")
            top.xaxis.set_minor_formatter(NullFormatter())
        low = add_axes(figure, left, 13.0, wide, 20.0)
        _stacked(low, angles, lengths, kind, labels, np.linspace(0.0, 90.0, _BINS + 1))
        low.set(xlabel="b∧t (°): 0 screw, 90 edge", ylabel="share of all line", xlim=(0.0, 90.0))
        low.set_xticks([0, 30, 60, 90])
        handles = [
            Line2D([], [], color=_color(k), linestyle=_dashes(k), linewidth=1.5)
            for k in range(len(labels))
        ]
        figure.legend(
            handles,
            [label.replace("-", "−") for label in labels],
            loc="upper left",
            bbox_to_anchor=((_SIDE + 4.0) / _WIDTH, 1.0 - 3.0 / _HEIGHT),
            ncols=2,
            fontsize=5.5 if len(labels) > 10 else 6.5,
            labelcolor=INK,
            handlelength=1.6,
        )
        add_text(figure, 3.0, _HEIGHT - 5.0, title, size=8)
        note = "axes of the file; what leaves the box comes in again on the other side"
        add_text(figure, 3.0, 1.5, note if cell is not None else "axes of the file", color=FAINT)
    return figure


def _draw_space(
    space: Any,
    lines: Floats,
    kind: Ints,
    cell: ArrayLike | None,
    origin: ArrayLike | None,
    unit: str,
) -> None:
    points = lines.reshape(-1, 3)
    if cell is not None:
        edges, corner = np.asarray(cell, dtype=float), np.zeros(3)
        if origin is not None:
            corner = np.asarray(origin, dtype=float)
        corners = corner + np.array(list(product((0, 1), repeat=3))) @ edges
        pairs = [(i, j) for i in range(8) for j in range(i) if (i ^ j) in (1, 2, 4)]
        box = [corners[[i, j]] for i, j in pairs]
        space.add_collection3d(Line3DCollection(box, colors=FAINT, linewidths=0.5))
        points = corners
    many = len(lines) > _MANY
    for which in np.unique(kind):
        space.add_collection3d(
            Line3DCollection(
                list(lines[kind == which]),
                colors=_color(int(which)),
                linestyles=[_dashes(int(which))],
                linewidths=0.6 if many else 1.3,
                rasterized=many,
            )
        )
    low, high = points.min(axis=0), points.max(axis=0)
    middle, longest = 0.5 * (low + high), float((high - low).max())
    half = 0.5 * np.maximum(1.04 * (high - low), _LEAST_EXTENT * longest)
    low, high = middle - half, middle + half
    space.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    space.set_box_aspect(high - low, zoom=0.82)
    space.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", zlabel=f"z ({unit})")
    for axis, start, end in zip((space.xaxis, space.yaxis, space.zaxis), low, high, strict=True):
        # Labels at the corners, where two axes meet, would lie on each other.
        rim = _RIM * (end - start)
        ticks = MaxNLocator(4).tick_values(start, end)
        axis.set_ticks(ticks[(ticks >= start + rim) & (ticks <= end - rim)])
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis._axinfo["grid"]["linewidth"] = 0.0
    space.tick_params(labelsize=5.5, pad=-1.0)
    space.tick_params(axis="z", pad=2.0)
    for label in (space.xaxis.label, space.yaxis.label, space.zaxis.label):
        label.set_size(6.5)


def _stacked(
    axes: Axes, values: Floats, weights: Floats, kind: Ints, labels: Sequence[str], bins: Floats
) -> None:
    """Shares of all line in each bin, one kind above the other."""
    bottom = np.zeros(len(bins) - 1)
    for which in range(len(labels)):
        mine = kind == which
        share, _ = np.histogram(values[mine], bins, weights=weights[mine] / weights.sum())
        axes.bar(
            bins[:-1],
            share,
            np.diff(bins),
            bottom,
            align="edge",
            color=_color(which),
            alpha=1.0 if which < len(COLORS) else 0.6,
            linewidth=0.0,
        )
        bottom += share
    axes.set_ylim(0.0, 1.08 * float(bottom.max()))


def _length_bins(lengths: Floats) -> Floats:
    low, high = float(lengths.min()), float(lengths.max())
    if high < 1.05 * low:
        low, high = 0.8 * low, 1.25 * high
    if high <= _DECADE * low:
        return np.linspace(low, high, _BINS + 1)
    return np.geomspace(low * (1.0 - 1e-9), high * (1.0 + 1e-9), _BINS + 1)


def _color(kind: int) -> str:
    return COLORS[kind % len(COLORS)]


def _dashes(kind: int) -> Any:
    return _DASHES[kind // len(COLORS) % len(_DASHES)]
