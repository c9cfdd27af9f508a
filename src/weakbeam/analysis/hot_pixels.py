r"""Hot pixels: brighter than their neighbours in most frames, whatever the sample does.

A lens spreads every point of the sample over several pixels, and a dislocation over a line of
them, so that no pixel of an image stands alone: two of its neighbours at least hold light with it.
A pixel that is brighter than all but one of its eight neighbours by many σ is therefore one of the
camera. Looked at is what three quarters of a pixel's values are above, in frames that are spread
over the scan: noise and light that comes and goes fall out of it, a pixel that is hot in most
frames stays.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints

_SIGMA_PER_MAD = 1.4826

_TILE = 24
"""Side of the squares in which the scatter among neighbours is taken: light brings noise of its
own, and so do details of the sample."""

_ALONE = 4.0
"""Times as far above what is around as the second of its neighbours that a hot pixel is at least; a
point of the sample is 2.8 times, spread with σ = 0.7 pixels."""

_AROUND = 3
_AT_EDGE = 5
"""Neighbours that a pixel at the edge has."""

_ROWS_AT_ONCE = 128

_ROUNDED = 0.5
"""Steps of whole numbers by which medians differ without any cause."""

_BESIDE = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def hot_pixels(
    image: ArrayLike, sigmas: float, usable: NDArray[np.bool_] | None = None, whole: bool = True
) -> NDArray[np.bool_]:
    """Pixels that are far brighter than the second brightest of their neighbours.

    Parameters
    ----------
    image : (rows, columns) array_like
        What each pixel has in most of many frames.
    sigmas : float
        How many standard deviations are far: of the differences between pixels and the median of
        their neighbours, as the image has them around there.
    usable : (rows, columns) ndarray of bool, optional
        Pixels that count; all unless given.
    whole : bool
        Whether the values are counts, of which half a count is no difference.

    Returns
    -------
    (rows, columns) ndarray of bool
    """
    values = np.asarray(image, dtype=np.float64)
    known = np.isfinite(values) if usable is None else usable & np.isfinite(values)
    there = np.where(known, values, np.nan)
    middle, second = np.empty(values.shape), np.empty(values.shape)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        middle[rows], second[rows] = _beside(there, rows)
    scatter = _scatter(np.abs(there - middle))
    least = sigmas * np.maximum(scatter, _ROUNDED if whole else 0.0)
    with np.errstate(invalid="ignore"):
        hot = known & (there - second > least)
    for row, column in zip(*np.nonzero(hot), strict=True):
        around = there[
            max(row - _AROUND, 0) : row + _AROUND + 1,
            max(column - _AROUND, 0) : column + _AROUND + 1,
        ]
        base = float(np.nanmedian(around))
        hot[row, column] = there[row, column] - base > _ALONE * (second[row, column] - base)
    return hot


def _beside(values: Floats, rows: slice) -> tuple[Floats, Floats]:
    """Median and second brightest of the neighbours of every pixel in some rows."""
    first, last, _ = rows.indices(len(values))
    padded = np.pad(values, 1, constant_values=np.nan)[first : last + 2]
    length, columns = last - first, values.shape[1]
    beside = np.stack([padded[1 + i : 1 + i + length, 1 + j : 1 + j + columns] for i, j in _BESIDE])
    count = np.isfinite(beside).sum(axis=0)
    ordered = np.sort(np.where(np.isfinite(beside), beside, -np.inf), axis=0)
    # At an edge a line of the sample has one pixel beside its last.
    second = np.where(count > _AT_EDGE, ordered[-2], ordered[-1])
    return _nanmedian(beside), np.where(count > 0, second, np.inf)


def _nanmedian(values: Floats) -> Floats:
    """Median along the first axis of what is known; NaN where nothing is."""
    ordered = np.sort(values, axis=0)  # NaN comes last.
    count = np.isfinite(values).sum(axis=0)
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, len(values) - 1)
    ends = [np.take_along_axis(ordered, k[None], axis=0)[0] for k in (low, high)]
    return np.asarray(np.where(count > 0, 0.5 * (ends[0] + ends[1]), np.nan))


def _scatter(differences: Floats) -> Floats:
    """Standard deviation by the median of absolute differences, in tiles, and of all at least."""
    known = differences[np.isfinite(differences)]
    overall = float(np.median(known)) if known.size else 0.0
    scatter = np.full(differences.shape, overall)
    for i in range(0, differences.shape[0], _TILE):
        for j in range(0, differences.shape[1], _TILE):
            tile = differences[i : i + _TILE, j : j + _TILE]
            there = tile[np.isfinite(tile)]
            if there.size:
                scatter[i : i + _TILE, j : j + _TILE] = max(float(np.median(there)), overall)
    # An edge of the light within a tile is noisy on one side only.
    widest = scipy.ndimage.maximum_filter(scatter, size=_TILE + 1, mode="nearest")
    return np.asarray(_SIGMA_PER_MAD * widest)


class Replacement:
    """Replaces pixels by the median of their neighbours, frame by frame.

    Parameters
    ----------
    hot : (rows, columns) ndarray of bool
        The pixels.
    masked : (rows, columns) ndarray of bool, optional
        Pixels that are not to be used for it either.
    """

    def __init__(self, hot: NDArray[np.bool_], masked: NDArray[np.bool_] | None = None) -> None:
        good = ~hot if masked is None else ~hot & ~masked
        self._rows, self._columns = np.nonzero(hot)
        rows = self._rows + np.array([i for i, _ in _BESIDE])[:, None]
        columns = self._columns + np.array([j for _, j in _BESIDE])[:, None]
        inside = (rows >= 0) & (rows < hot.shape[0]) & (columns >= 0) & (columns < hot.shape[1])
        self._near: tuple[Ints, Ints] = (
            np.clip(rows, 0, hot.shape[0] - 1),
            np.clip(columns, 0, hot.shape[1] - 1),
        )
        self._good = inside & good[self._near]

    def apply(self, frames: NDArray[np.generic], first: int = 0) -> None:
        """Replace the pixels of frames in place.

        Parameters
        ----------
        frames : (n, some rows, columns) ndarray
            The frames; of pixels in their first and last row some neighbours are not there.
        first : int
            The number of their first row.
        """
        rows = self._rows - first
        here = np.flatnonzero((rows >= 0) & (rows < frames.shape[1]))
        if not here.size:
            return
        near = self._near[0][:, here] - first
        good = self._good[:, here] & (near >= 0) & (near < frames.shape[1])
        near = np.clip(near, 0, frames.shape[1] - 1)
        beside = frames[:, near, self._near[1][:, here]].astype(np.float64)
        beside[:, ~good] = np.nan
        values = _nanmedian(beside.swapaxes(0, 1))
        # A pixel without any good neighbour is left out of the maps, whatever stands here.
        values = np.nan_to_num(values)
        if frames.dtype.kind in "iu":
            values = np.rint(values)
        frames[:, rows[here], self._columns[here]] = values.astype(frames.dtype)

    @property
    def lost(self) -> tuple[Ints, Ints]:
        """Rows and columns of pixels that have no good neighbour."""
        lost = ~self._good.any(axis=0)
        return self._rows[lost], self._columns[lost]
