"""How similar types of dislocations look: all pairs, their distribution, and what light changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.style import (
    COLORS,
    DOUBLE_COLUMN_MM,
    FAINT,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    paper,
)

_MINUS = {ord("-"): "\u2212"}
_MOST_LABELS = 24


def matrix_figure(
    correlations: ArrayLike, groups: Sequence[str], *, title: str = "", note: str = ""
) -> Figure:
    """Draw the correlations of all pairs of types.

    Parameters
    ----------
    correlations : (n, n) array_like
        From 0 to 1.
    groups : sequence of n str
        Slip system of each type; types of one system follow each other.
    title, note : str
        Lines above the matrix.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """
    values = np.asarray(correlations, dtype=float)
    if values.shape != (len(groups), len(groups)):
        raise ValueError(f"{len(groups)} types do not fit correlations of shape {values.shape}")
    starts = [k for k, name in enumerate(groups) if k == 0 or groups[k - 1] != name]
    ends = [*starts[1:], len(groups)]
    side, left, below = 118.0, 30.0, 8.0
    with paper(left + side + 22.0, side + below + 15.0) as figure:
        axes = add_axes(figure, left, below, side, side)
        drawn = axes.imshow(values, cmap="magma", vmin=0.0, vmax=1.0, interpolation="nearest")
        middles = [0.5 * (a + b) - 0.5 for a, b in zip(starts, ends, strict=True)]
        if len(starts) <= _MOST_LABELS:
            axes.set_yticks(middles, [groups[k].translate(_MINUS) for k in starts])
        else:
            axes.set_yticks([])
        axes.set_xticks([])
        axes.tick_params(length=0.0)
        for edge in starts[1:]:
            axes.axhline(edge - 0.5, color="white", linewidth=0.35, alpha=0.6)
            axes.axvline(edge - 0.5, color="white", linewidth=0.35, alpha=0.6)
        axes.set_xlabel("the same, in the same order; within each the character from 0° to 360°")
        bar = figure.colorbar(drawn, cax=add_axes(figure, left + side + 3.0, below, 3.0, side))
        bar.set_label("largest correlation")
        bar.outline.set_linewidth(0.6)
        add_text(figure, left, below + side + 8.0, title.translate(_MINUS), size=8)
        add_text(figure, left, below + side + 3.0, note.translate(_MINUS), size=6.5, color=FAINT)
    return figure


def histogram_figure(
    correlations: Mapping[str, ArrayLike], bound: float, *, title: str = ""
) -> Figure:
    """Draw how the correlations of pairs are distributed, on a logarithmic scale.

    Parameters
    ----------
    correlations : mapping of str to (n,) array_like
        Correlations of the pairs of each kind.
    bound : float
        A correlation to mark.
    title : str
        A line above the panel.
    """
    edges = np.linspace(0.0, 1.0, 41)
    width, height = DOUBLE_COLUMN_MM - 80.0, 62.0
    with paper(DOUBLE_COLUMN_MM, height + 21.0) as figure:
        axes = add_axes(figure, 14.0, 11.0, width, height)
        for number, (name, values) in enumerate(correlations.items()):
            array = np.asarray(values, dtype=float)
            counts = np.histogram(np.clip(array, 0.0, 1.0), edges)[0]
            above = int(np.sum(array > bound))
            label = f"{name}:\n{above} of {array.size} above {bound:g}"
            # A step of 0 has no place on the logarithmic scale.
            heights = np.where(counts > 0, counts, 0.5)
            axes.stairs(heights, edges, color=COLORS[number % len(COLORS)], label=label)
        axes.axvline(bound, color=FAINT, linewidth=0.7, linestyle=(0, (4, 2)))
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel("largest correlation within the bounded shift")
        axes.set_ylabel("pairs")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), labelspacing=0.9)
        add_text(figure, 14.0, height + 15.0, title.translate(_MINUS), size=8)
    return figure


def light_figure(
    levels: ArrayLike, shares: ArrayLike, certain: float, *, title: str = ""
) -> Figure:
    """Draw which share of the types can be told from all others, against the exposure.

    Parameters
    ----------
    levels : (n,) array_like
        Exposures, as multiples of the experiment's.
    shares : (n, images) array_like
        Share of the types that are told apart with one, two, ... images.
    certain : float
        The probability of a confusion that is allowed, for the label.
    title : str
        A line above the panel.
    """
    exposure, share = np.asarray(levels, dtype=float), np.asarray(shares, dtype=float)
    with paper(SINGLE_COLUMN_MM, 74.0) as figure:
        axes = add_axes(figure, 14.0, 11.0, SINGLE_COLUMN_MM - 18.0, 52.0)
        chosen = sorted(
            {0, 1, share.shape[1] // 2, share.shape[1] - 1} & set(range(share.shape[1]))
        )
        for number, k in enumerate(chosen):
            label = "one image" if k == 0 else f"{k + 1} images"
            color = COLORS[number % len(COLORS)]
            axes.plot(exposure, 100.0 * share[:, k], "o-", markersize=3.0, color=color, label=label)
        axes.set_xscale("log")
        axes.set_ylim(-3.0, 103.0)
        axes.set_xlabel("exposure, relative to that of the experiment")
        axes.set_ylabel(f"types confused in less than {100 * certain:g} % (%)")
        axes.legend(loc="lower right")
        add_text(figure, 14.0, 68.0, title.translate(_MINUS), size=8)
    return figure


def extra_figure(names: Sequence[str], gaps: ArrayLike, base: float, *, title: str = "") -> Figure:
    """Draw what each further image adds to the distance of two types.

    Parameters
    ----------
    names : sequence of n str
        The conditions, the best first; the first 20 are drawn.
    gaps : (n,) array_like
        Expected gap of the log-likelihood with the image added.
    base : float
        That without it.
    title : str
        A line above the panel.
    """
    shown = list(names)[:20]
    values = np.asarray(gaps, dtype=float)[: len(shown)]
    height = 4.5 * len(shown) + 2.0
    with paper(DOUBLE_COLUMN_MM * 0.75, height + 20.0) as figure:
        axes = add_axes(figure, 48.0, 11.0, DOUBLE_COLUMN_MM * 0.75 - 53.0, height)
        places = np.arange(len(shown))
        axes.barh(places, values, height=0.7, color=COLORS[0])
        axes.axvline(base, color=COLORS[1], linewidth=0.9, linestyle=(0, (4, 2)))
        axes.set_yticks(places, [name.translate(_MINUS) for name in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel("expected gap of the log-likelihood; dashed: without the image")
        add_text(figure, 5.0, height + 14.5, title.translate(_MINUS), size=8)
    return figure
