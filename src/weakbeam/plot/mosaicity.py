"""Mosaicity maps: two angles in one picture, with a two-dimensional colour key beside it."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.colors import Normalize, hsv_to_rgb, to_rgb
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.imaging.motors import MOTORS
from weakbeam.plot.style import (
    FAINT,
    NAN_COLOR,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    fold_power,
    paper,
)
from weakbeam.plot.view import View

_LIMIT_PERCENTILE = 99.0
_KEY_PIXELS = 241
_LABEL_MM = 7.5
"""From the middle of a label of the key to that of the next, at least."""

_NOTHING = 1e-3
"""A median of this share of the range is not worth a note."""


def mosaicity_figure(
    across: ArrayLike,
    upwards: ArrayLike,
    view: View,
    *,
    labels: tuple[str, str] = (MOTORS["phi"].label, MOTORS["chi"].label),
    title: str = "",
) -> Figure:
    """Draw the orientation of every pixel as one colour.

    Hue is the direction in which the lattice is turned and saturation by how much: white is the
    median of the map. The key beside the map shows which colour is which pair of angles.

    The figure is one column wide.

    Parameters
    ----------
    across, upwards : array_like, shape (rows, columns)
        The two angles, such as the centres of mass along φ and χ, NaN where there is none.
    view : View
        What the rows and columns are.
    labels : (str, str)
        What the two angles are, at the axes of the key.
    title : str
        A line above the picture.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """
    first, second = (view.field(values) for values in (across, upwards))
    a, b = _deviation(first), _deviation(second)
    limits = _limit(a), _limit(b)
    key_side, left, bottom = 17.0, 12.0, 10.0
    width, height = view.box(SINGLE_COLUMN_MM - left - key_side - 15.5, 80.0)
    page_height = bottom + max(height, key_side) + (9.0 if title else 5.0)
    with paper(SINGLE_COLUMN_MM, page_height) as figure:
        axes = add_axes(figure, left, bottom, width, height)
        # The scalar drawing sets extent and labels; the colours are its pixels.
        drawn = view.draw(axes, np.zeros(first.shape), Normalize(0.0, 1.0), "Greys")
        drawn.set_data(view.upright(mosaicity_colors(a / limits[0], b / limits[1])))
        key_left = left + width + 11.5
        key_bottom = bottom + max(height - key_side, 0.0)
        key = add_axes(figure, key_left, key_bottom, key_side, key_side)
        grid = np.linspace(-1.0, 1.0, _KEY_PIXELS)
        disc = mosaicity_colors(*np.meshgrid(grid, grid))
        inside = grid**2 + grid[:, None] ** 2 <= 1.0
        extent = (-limits[0], limits[0], -limits[1], limits[1])
        transparent = np.dstack([disc, inside.astype(float)])
        key.imshow(transparent, origin="lower", extent=extent, aspect="auto")
        key.set_xticks(_key_ticks(limits[0], 0.5 * key_side, _LABEL_MM))
        key.set_yticks(_key_ticks(limits[1], 0.5 * key_side, 0.0))
        key.spines[["top", "right"]].set_visible(False)
        key.set_xlabel(labels[0])
        key.set_ylabel(labels[1])
        fold_power(key.xaxis)
        fold_power(key.yaxis)
        add_text(figure, left, page_height - 4.5, title, size=8)
        middles = [
            float(np.median(v[np.isfinite(v)])) for v in (first, second) if np.isfinite(v).any()
        ]
        if any(
            abs(middle) > _NOTHING * limit for middle, limit in zip(middles, limits, strict=False)
        ):
            names = [label.split(" (")[0] for label in labels]
            offsets = [f"{name} − {m:.5g}" for name, m in zip(names, middles, strict=False)]
            note = f"from the median: {', '.join(offsets)}".replace("− -", "+ ")
            add_text(figure, left, bottom + height + 1.5, note, size=6, color=FAINT)
    return figure


def mosaicity_colors(across: ArrayLike, upwards: ArrayLike) -> Floats:
    """Return the colour of each pair of relative angles.

    Parameters
    ----------
    across, upwards : array_like
        Angles in units of those at the rim of the key.

    Returns
    -------
    (..., 3) ndarray
        Red, green and blue, 0 to 1: hue after the direction, counted from `across` to `upwards`,
        saturation after the distance, full from 1 on; light grey where a value is NaN.
    """
    a, b = np.asarray(across, dtype=float), np.asarray(upwards, dtype=float)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(known, a, 0.0), np.where(known, b, 0.0)
    hue = np.arctan2(b, a) / (2.0 * np.pi) % 1.0
    hsv = np.stack([hue, np.minimum(np.hypot(a, b), 1.0), np.full(a.shape, 0.97)], axis=-1)
    return np.asarray(np.where(known[..., None], hsv_to_rgb(hsv), to_rgb(NAN_COLOR)))


def _key_ticks(limit: float, length_mm: float, label_mm: float) -> list[float]:
    """A round number on either side of 0, and 0 where there is room for its label between them."""
    power = 10.0 ** math.floor(math.log10(limit))
    number = max(digit * power for digit in (1.0, 2.0, 5.0) if digit * power <= limit)
    between = [0.0] if length_mm * number / limit >= label_mm else []
    return [-number, *between, number]


def _deviation(values: Floats) -> Floats:
    finite = values[np.isfinite(values)]
    return values - (np.median(finite) if finite.size else 0.0)


def _limit(deviation: Floats) -> float:
    """The 99th percentile of the absolute values; 1 where there are none."""
    finite = np.abs(deviation[np.isfinite(deviation)])
    return (float(np.percentile(finite, _LIMIT_PERCENTILE)) if finite.size else 0.0) or 1.0
