"""A match: images beside those of the best candidate, and the candidates by their probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.image import intensity_norm
from weakbeam.plot.style import (
    COLORS,
    DIVERGING_MAP,
    DOUBLE_COLUMN_MM,
    FAINT,
    INTENSITY_MAP,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    fit_text,
    paper,
)
from weakbeam.plot.view import View

_SIGMAS = 5.0
"""End of the colours of the residual, in standard deviations."""

_MOST_IMAGES = 6
_SMALLEST_PT = 3.5
_MINUS = {ord("-"): "\u2212"}


def match_figure(
    images: ArrayLike,
    expected: ArrayLike,
    residual: ArrayLike,
    settings: Sequence[str],
    views: Sequence[View] = (),
    *,
    title: str = "",
    note: str = "",
) -> Figure:
    """Draw images, the best candidate's images and the residuals side by side, all one way up.

    Parameters
    ----------
    images, expected : (n, rows, columns) array_like
        Counts above dark (ADU), and those of the best candidate; NaN where there is none. A row of
        panels each; no more than six are drawn.
    residual : (n, rows, columns) array_like
        Their difference in standard deviations of the noise.
    settings : sequence of str
        Under which condition each was taken.
    views : sequence of View
        What the rows and columns of each are; pixels of the camera unless given.
    title, note : str
        Lines above the panels.

    Returns
    -------
    Figure
        Two columns wide. Image and candidate share one scale of colours.

    Raises
    ------
    ValueError
        If there is no image, or the shapes do not belong together.
    """
    stacks = [np.asarray(values, dtype=float) for values in (images, expected, residual)]
    if not settings or len({values.shape for values in stacks}) != 1:
        raise ValueError("images, expected and residual must have one shape, with a setting each")
    shown = list(zip(settings, *stacks, strict=True))[:_MOST_IMAGES]
    shape = stacks[0].shape[1:]
    views = views or [View.of_pixels((shape[0], shape[1]))] * len(settings)
    left, gap, bar, below, above = 11.0, 5.0, 2.0, 4.5, 6.0
    room = (DOUBLE_COLUMN_MM - left - 2.0 * gap - 26.0) / 3.0
    boxes = [view.box(room, 60.0) for view in views[: len(shown)]]
    width, height = max(w for w, _ in boxes), max(h for _, h in boxes)
    row_height = height + below + above
    head = (6.0 if title else 0.0) + (4.0 if note else 0.0) + 1.0
    page = head + len(shown) * row_height + 4.5
    with paper(DOUBLE_COLUMN_MM, page) as figure:
        for row, (setting, image, candidate, difference) in enumerate(shown):
            bottom = page - head - (row + 1) * row_height + below
            norm = intensity_norm(image, "linear")
            panels = (
                (f"image, {setting}" if setting else "image", image),
                ("best candidate", candidate),
                ("difference / noise", difference),
            )
            corner = left
            for number, (name, values) in enumerate(panels):
                own = boxes[row]
                axes = add_axes(figure, corner, bottom + height - own[1], *own)
                last = number == 2
                colors = DIVERGING_MAP if last else INTENSITY_MAP
                scale = Normalize(-_SIGMAS, _SIGMAS) if last else norm
                drawn = views[row].draw(axes, values, scale, colors)
                written = axes.set_title(name.translate(_MINUS))
                room_mm = width + gap - 1.5
                long = float(written.get_window_extent().width) / figure.dpi * 25.4
                if number == 0 and setting and long > room_mm:
                    # The panel's title need not say that it is the image.
                    written.set_text(setting.translate(_MINUS))
                fit_text(written, room_mm, _SMALLEST_PT)
                if number:
                    axes.set_ylabel("")
                    axes.set_yticklabels([])
                if row < len(shown) - 1:
                    axes.set_xlabel("")
                corner += width + gap
                if number == 0:
                    continue
                bar_axes = add_axes(
                    figure, corner - gap + 1.5, bottom + height - own[1], bar, own[1]
                )
                color_bar = figure.colorbar(drawn, cax=bar_axes, extend="both" if last else "max")
                # Above the bar: beside it, it would seem to belong to the next panel.
                bar_axes.set_title("σ" if last else "ADU", loc="left", size=6.5)
                color_bar.outline.set_linewidth(0.6)
                corner += 9.0
        if title:
            add_text(figure, left, page - 4.5, title.translate(_MINUS), size=8)
        if note:
            add_text(figure, left, page - head + 2.0, note.translate(_MINUS), size=6.5, color=FAINT)
    return figure


def ranking_figure(
    names: Sequence[str],
    probabilities: ArrayLike,
    deficits: ArrayLike,
    *,
    title: str = "",
) -> Figure:
    """Draw candidates by their probability, and how far the others lie below the best.

    Parameters
    ----------
    names : sequence of str
        The candidates, the best first.
    probabilities : (n,) array_like
        Of each.
    deficits : (n,) array_like
        Log-evidence of the best one less that of each.
    title : str
        A line above the panels.

    Returns
    -------
    Figure
        One column wide: bars of the probability on the left, points of the deficit on the right,
        on a scale that is linear up to 1 and logarithmic beyond.

    Raises
    ------
    ValueError
        If there is no candidate, or numbers and names do not belong together.
    """
    shares, below = np.asarray(probabilities, dtype=float), np.asarray(deficits, dtype=float)
    if not names or not len(names) == len(shares) == len(below):
        raise ValueError("names, probabilities and deficits must have one length, at least 1")
    pitch, left, bottom = 4.6, 37.0, 9.0
    height = pitch * len(names)
    head = 7.0 if title else 2.0
    with paper(SINGLE_COLUMN_MM, bottom + height + head) as figure:
        places = np.arange(len(names))
        axes = add_axes(figure, left, bottom, 21.0, height)
        axes.barh(places, shares, height=0.62, color=COLORS[0])
        for place, share in enumerate(shares.tolist()):
            if share >= 0.005:
                inside = share > 0.6
                axes.text(
                    share - 0.03 if inside else share + 0.03,
                    place,
                    f"{100.0 * share:.0f} %",
                    va="center",
                    ha="right" if inside else "left",
                    size=6,
                    color="white" if inside else "0.15",
                )
        axes.set_xlim(0.0, 1.0)
        axes.set_xticks([0.0, 0.5, 1.0])
        axes.set_yticks(places, [name.translate(_MINUS) for name in names])
        axes.tick_params(axis="y", length=0.0, labelsize=6.5)
        axes.set_xlabel("probability")
        other = add_axes(figure, left + 26.0, bottom, 21.0, height)
        other.set_xscale("symlog", linthresh=1.0, linscale=0.6)
        other.hlines(places, 0.0, below, color=FAINT, linewidth=0.6)
        other.plot(below, places, "o", color=COLORS[1], markersize=3.0)
        other.set_xlim(-0.15, max(float(below.max()) * 2.0, 10.0))
        other.set_yticks([])
        decades = int(np.ceil(np.log10(max(float(below.max()), 10.0))))
        step = max(1, -(-decades // 3))
        other.set_xticks(
            [0.0, *(10.0**k for k in range(step, decades + 1, step))],
            ["0", *(f"$10^{{{k}}}$" for k in range(step, decades + 1, step))],
        )
        other.minorticks_off()
        other.set_xlabel("ln evidence lost")
        for panel in (axes, other):
            panel.set_ylim(len(names) - 0.4, -0.6)
            panel.spines[["top", "right"]].set_visible(False)
        add_text(figure, 3.0, bottom + height + 2.5, title.translate(_MINUS), size=8)
    return figure


def nuisance_figure(
    names: Sequence[str],
    values: ArrayLike,
    errors: ArrayLike,
    priors: ArrayLike,
    told: Sequence[str],
    misfit: ArrayLike,
    block: int,
) -> Figure:
    """Draw what was fitted along with a candidate, and where the images are explained.

    Parameters
    ----------
    names : sequence of str
        What was fitted.
    values, errors, priors : (n,) array_like
        Distance of each from the middle of its prior, its standard deviation, and that of the
        prior.
    told : sequence of str
        Value and error of each in words, with their unit.
    misfit : (rows, columns) array_like
        Mean squared residual over its variance of each part of the images.
    block : int
        Edge of these parts (pixels).

    Returns
    -------
    Figure
        Two columns wide: values in widths of their priors on the left, on the right the map of the
        misfit, in pixels as the file has them.

    Raises
    ------
    ValueError
        If numbers and names do not belong together.
    """
    widths = np.asarray(priors, dtype=float)
    away, spread = np.asarray(values, dtype=float) / widths, np.asarray(errors) / widths
    if not len(names) == len(away) == len(told) or not names:
        raise ValueError("names, values and words must have one length, at least 1")
    parts = np.asarray(misfit, dtype=float)
    pitch, left, bottom = 4.4, 31.0, 10.0
    rows, columns = parts.shape
    height = max(pitch * len(names), 40.0)
    wide = min(52.0, height * columns / rows)
    tall = wide * rows / columns
    with paper(DOUBLE_COLUMN_MM, bottom + height + 8.0) as figure:
        places = np.arange(len(names))
        axes = add_axes(figure, left, bottom, 38.0, height)
        axes.axvspan(-1.0, 1.0, color="0.92", linewidth=0.0)
        axes.axvline(0.0, color=FAINT, linewidth=0.6)
        axes.errorbar(away, places, xerr=spread, fmt="o", color=COLORS[0], markersize=2.6)
        axes.set_yticks(places, [name.translate(_MINUS) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0.0, labelsize=6.5)
        axes.set_xlabel("value / width of its prior")
        most = max(1.5, 1.1 * float(np.max(np.abs(away) + spread)))
        axes.set_xlim(-most, most)
        for place, words in zip(places, told, strict=True):
            axes.annotate(
                words.translate(_MINUS),
                (1.02, place),
                xycoords=("axes fraction", "data"),
                va="center",
                size=6,
            )
        shown = add_axes(figure, left + 38.0 + 38.0, bottom + height - tall, wide, tall)
        drawn = shown.imshow(
            parts,
            norm=Normalize(0.0, 4.0),
            cmap=INTENSITY_MAP,
            extent=(-0.5, columns * block - 0.5, rows * block - 0.5, -0.5),
            interpolation="nearest",
            aspect="auto",
        )
        shown.set_xlabel("column (px)")
        shown.set_ylabel("row (px)")
        shown.set_title("residual² / variance")
        bar_axes = add_axes(figure, left + 76.0 + wide + 2.0, bottom + height - tall, 2.0, tall)
        figure.colorbar(drawn, cax=bar_axes, extend="max").outline.set_linewidth(0.6)
    return figure
