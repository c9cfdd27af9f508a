"""Shifts of cameras against each other from where the lattice changes most: about the defects.

What redundant reflections tell of shifts (:mod:`weakbeam.measured.registration`) is not all: of a
single straight dislocation it leaves most combinations of shifts open. But each reflection that
sees it changes most steeply at its core, and alike on opposite sides of it. So maps of the
steepness of two reflections are most alike where their cores lie on each other, whatever is
between their lobes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import scipy.ndimage

from weakbeam.core.arrays import Floats
from weakbeam.measured.sheet import Correction, Sheet, sampled

LEAST_ALIKE = 0.75
"""Correlation of two maps of steepness from which they are taken to show the same."""

_FARTHEST = 12
"""Largest shift (places) of a camera against another that is looked for."""
_OVERLAP = 0.4
"""Part of the places that two maps must have in common."""
_LEAST_ERROR = 0.1
"""Places by which a shift is unsure at least."""
_CONTRADICTION = 1.0
"""Places by which pairs may scatter."""
_BLUR = 1.0
_CONTRAST = 3.0
"""Steepness, of its median, up to which a place is like all others."""


def feature_shifts(sheet: Sheet, changes: Sequence[Floats]) -> tuple[Floats, Floats] | None:
    """Shifts of the cameras from the places of what they show.

    Parameters
    ----------
    sheet : Sheet
        The grid, and what each camera sees of it by geometry alone.
    changes : sequence of (rows, columns, 3) ndarray
        Changes of the diffraction vectors, in each camera's pixels.

    Returns
    -------
    shifts : (reflections, 2) ndarray
        Of each camera (µm), as a :class:`~weakbeam.measured.sheet.Correction` has them; their mean
        is none.
    errors : (reflections, 2) ndarray
        Standard deviations (µm), from how well the shifts of all pairs agree.
    None
        If some camera shows nothing that another one shows too, or no pair is left to check the
        others by, or they contradict each other.
    """
    count = len(changes)
    maps = [
        _steepness(sampled(view, sheet.places, Correction(), change)[0])
        for view, change in zip(sheet.views, changes, strict=True)
    ]
    rows, told, weights = [], [], []
    for a, b in combinations(range(count), 2):
        found = _shift_between(maps[a], maps[b])
        if found is None:
            continue
        shift, alike = found
        row = np.zeros(count)
        row[a], row[b] = 1.0, -1.0
        rows.append(row)
        told.append(shift)
        weights.append(alike)
    matrix = np.array([*rows, np.ones(count)])
    open_ = len(rows) - count + 1
    if np.linalg.matrix_rank(matrix) < count or open_ < 1:
        return None
    weight = np.array([*weights, 1.0])[:, None]
    wanted = np.vstack([*told, np.zeros(2)])
    shifts = np.linalg.lstsq(weight * matrix, weight * wanted, rcond=None)[0]
    away = wanted - matrix @ shifts
    scatter = np.sqrt((away**2).sum(axis=0) / open_)
    if scatter.max() > _CONTRADICTION:
        return None
    errors = np.maximum(scatter, _LEAST_ERROR) * np.ones((count, 2))
    return sheet.step * shifts, sheet.step * errors


def _steepness(change: Floats) -> Floats:
    """How steep a map (rows, columns, 3) is, as contrast that cores have; NaN where dark."""
    known = np.asarray(np.isfinite(change).all(axis=-1))
    # Slopes at the rim of what is known are those of the rim.
    inner = scipy.ndimage.binary_erosion(known, iterations=2)
    if not inner.any():
        return np.full(known.shape, np.nan)
    weight = scipy.ndimage.gaussian_filter(known.astype(np.float64), _BLUR)
    filled = np.where(known[..., None], change, 0.0)
    smooth = scipy.ndimage.gaussian_filter(filled, (_BLUR, _BLUR, 0.0))
    smooth /= np.maximum(weight, 1e-9)[..., None]
    squares = sum((slope**2).sum(axis=-1) for slope in np.gradient(smooth, axis=(0, 1)))
    usual = _CONTRAST**2 * float(np.median(squares[inner]))
    return np.where(inner, np.log1p(squares / max(usual, 1e-300)), np.nan)


def _shift_between(first: Floats, second: Floats) -> tuple[Floats, float] | None:
    """By how much (x, y) of places the first lies beside the second, and how alike they are."""
    far = min(_FARTHEST, min(first.shape) // 2)
    size = 2 * far + 1
    alike = np.full((size, size), -1.0)
    least = _OVERLAP * min(np.isfinite(first).sum(), np.isfinite(second).sum())
    for i in range(size):
        for j in range(size):
            one, other = _overlapping(first, second, i - far, j - far)
            both = np.isfinite(one) & np.isfinite(other)
            if both.sum() < max(least, 9):
                continue
            a, b = one[both] - one[both].mean(), other[both] - other[both].mean()
            norm = np.sqrt((a @ a) * (b @ b))
            if norm > 0.0:
                alike[i, j] = a @ b / norm
    i, j = divmod(int(alike.argmax()), size)
    best = float(alike[i, j])
    if best < LEAST_ALIKE or not (0 < i < size - 1 and 0 < j < size - 1):
        return None
    near = alike[i - 1 : i + 2, j - 1 : j + 2]
    if near.min() <= -1.0:
        return None
    row, column = _top(near)
    return np.array([column + j - far, row + i - far]), best


def _overlapping(first: Floats, second: Floats, rows: int, columns: int) -> tuple[Floats, Floats]:
    """The first at r and the second at r + (rows, columns), wherever both are."""
    height, width = first.shape
    mine = (
        slice(max(0, -rows), min(height, height - rows)),
        slice(max(0, -columns), min(width, width - columns)),
    )
    theirs = (
        slice(max(0, rows), min(height, height + rows)),
        slice(max(0, columns), min(width, width + columns)),
    )
    return first[mine], second[theirs]


def _top(near: Floats) -> tuple[float, float]:
    """Where between 3 × 3 values the highest of a parabola through them lies, along each axis."""
    found = []
    for three in (near[:, 1], near[1]):
        bend = three[0] - 2.0 * three[1] + three[2]
        found.append(0.5 * float((three[0] - three[2]) / bend) if bend < 0.0 else 0.0)
    return found[0], found[1]
