"""A scan in cells of some pixels each, with pairs of neighbouring pixels for the noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.errors import InputError

Region = tuple[slice, slice]
Block = tuple[Ints, NDArray[Any]]

_MOST_CELLS = 4096
_MOST_BYTES = 2**28
_LEAST_SIDE = 2
_PAIR_VALUES = 2**19
"""Differences of pixels, about, from which the noise is estimated."""

_ODD, _ODD_SHARE = 8.0, 0.01
_FULL_SHARE = 1e-3
_FEWEST_FULL = 16


@dataclass(frozen=True, eq=False)
class CellScan:
    """A scan whose pixels are put together in square cells.

    Parameters
    ----------
    counts : (frames, rows, columns) ndarray
        Mean counts of the pixels of each cell that are neither hot nor dead.
    origin : (int, int)
        Row and column of the first pixel of the first cell.
    side : int
        Pixels along either edge of a cell.
    image : (rows, columns) ndarray
        Mean of all frames, of the whole image, without its hot and dead pixels.
    pairs : (frames, 2, n) ndarray
        Counts of pairs of neighbouring pixels.
    pair_cells : (2, n) ndarray of int
        Row and column of the cell that each pair is in.
    odd : (rows, columns) ndarray of bool
        Pixels of the whole image that are hot or dead.
    pixels : (rows, columns) ndarray
        How many pixels of each cell count.
    full : float or None
        Counts at which pixels are full, where many are.
    """

    counts: Floats
    origin: tuple[int, int]
    side: int
    image: Floats
    pairs: Floats
    pair_cells: Ints
    odd: NDArray[np.bool_]
    pixels: Floats
    full: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.counts.shape[1], self.counts.shape[2]

    def region(self, cells: Region) -> tuple[int, int, int, int]:
        """First and last row, first and last column, the last ones excluded, of some cells."""
        (r0, c0), side = self.origin, self.side
        rows, columns = cells
        return (
            r0 + rows.start * side,
            r0 + rows.stop * side,
            c0 + columns.start * side,
            c0 + columns.stop * side,
        )


def odd_pixels(frames: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels that are hot or dead in frames of a scan, (n, rows, columns).

    Brighter or darker than the median of their neighbours, on the mean of the frames, by far more
    than pixels usually are where it is as bright.
    """
    mean = np.asarray(frames, dtype=np.float64).mean(axis=0)
    around = scipy.ndimage.median_filter(mean, 3, mode="nearest")
    rest = mean - around
    usual = 1.4826 * scipy.ndimage.median_filter(np.abs(rest), 15, mode="nearest")
    usual = np.maximum(usual, 1.4826 * np.median(np.abs(rest)))
    # Images without noise have no usual deviation.
    least = _ODD_SHARE * float(np.ptp(np.quantile(mean, [0.01, 0.99])))
    return np.asarray(np.abs(rest) > np.maximum(_ODD * usual, least))


@dataclass(eq=False)
class _Gathering:
    region: tuple[int, int, int, int]
    side: int
    odd: NDArray[np.bool_]
    frames: int
    places: Floats = field(init=False)

    def __post_init__(self) -> None:
        r0, r1, c0, c1 = self.region
        self.rows, self.columns = (r1 - r0) // self.side, (c1 - c0) // self.side
        self.window = (
            slice(r0, r0 + self.rows * self.side),
            slice(c0, c0 + self.columns * self.side),
        )
        self.good = (~self.odd[self.window]).astype(np.float32)
        self.count = np.maximum(self._summed(self.good[None])[0], 1.0)
        self.counts = np.empty((self.frames, self.rows, self.columns))
        self.image = np.zeros(self.odd.shape)

    def _summed(self, frames: NDArray[Any]) -> Floats:
        side, n = self.side, len(frames)
        cells = frames.reshape(n, self.rows, side, self.columns * side).sum(axis=2)
        return np.asarray(
            cells.reshape(n, self.rows, self.columns, side).sum(axis=3), dtype=np.float64
        )

    def add(self, numbers: Ints, frames: NDArray[Any]) -> None:
        part = frames[(slice(None), *self.window)].astype(np.float32)
        self.counts[numbers] = self._summed(part * self.good) / self.count
        self.image += frames.sum(axis=0, dtype=np.float64) / self.frames


def gather_cells(
    blocks: Callable[[], Iterable[Block]],
    frames: int,
    shape: tuple[int, int],
    some: NDArray[Any],
    region: tuple[int, int, int, int] | None = None,
) -> CellScan:
    """Put the pixels of a scan together in cells.

    Parameters
    ----------
    blocks : callable
        Gives the frames block by block: their numbers, and they; (n, rows, columns).
    frames : int
        How many there are.
    shape : (int, int)
        Rows and columns of one.
    some : (n, rows, columns) ndarray
        Some of them, spread over the scan, from which hot and dead pixels are told.
    region : (int, int, int, int), optional
        First and last row, first and last column, the last ones excluded; cells are laid in it.
        By default all of the image.

    Returns
    -------
    CellScan

    Raises
    ------
    InputError
        If the region is not in the image, or smaller than two cells along rows or columns.
    """
    r0, r1, c0, c1 = region or (0, shape[0], 0, shape[1])
    if not (0 <= r0 < r1 <= shape[0] and 0 <= c0 < c1 <= shape[1]):
        raise InputError(
            "region",
            f"{r0}:{r1},{c0}:{c1}",
            f"must lie in the image, which has {shape[0]} rows and {shape[1]} columns",
        )
    side = cell_side(r1 - r0, c1 - c0, frames)
    if min(r1 - r0, c1 - c0) < 2 * side:
        least = 2 * side
        allowed = f"must have {least} rows and columns or more"
        raise InputError("region", f"{r0}:{r1},{c0}:{c1}", allowed)
    odd = odd_pixels(some)
    cells = _Gathering((r0, r1, c0, c1), side, odd, frames)
    pairs, pair_cells = _pair_places(cells)
    values = np.empty((frames, 2, len(pairs)), dtype=np.float32)
    for numbers, block in blocks():
        cells.add(numbers, block)
        values[numbers, 0] = block[:, pairs[:, 0], pairs[:, 1]]
        values[numbers, 1] = block[:, pairs[:, 0], pairs[:, 1] + 1]
    top = float(values.max(initial=0.0))
    count = int((values >= top).sum())
    full = top if count > max(_FEWEST_FULL, _FULL_SHARE * values.size) and top > 0.0 else None
    return CellScan(
        counts=cells.counts,
        origin=(r0, c0),
        side=side,
        image=np.where(odd, scipy.ndimage.median_filter(cells.image, 3), cells.image),
        pairs=values.astype(np.float64),
        pair_cells=pair_cells,
        odd=odd,
        pixels=cells.count,
        full=full,
    )


def cell_side(rows: int, columns: int, frames: int) -> int:
    """Pixels along the edge of a cell, so that there are not too many of them."""
    most = min(_MOST_CELLS, max(_MOST_BYTES // (8 * frames), 64))
    return max(_LEAST_SIDE, math.ceil(math.sqrt(rows * columns / most)))


def _pair_places(cells: _Gathering) -> tuple[Ints, Ints]:
    """First pixels of pairs of neighbours that are neither hot nor dead, and their cells."""
    rows = np.arange(cells.window[0].start, cells.window[0].stop)
    # Pairs of one cell each, so that both pixels see its curve.
    inner = np.arange(cells.columns * cells.side // 2) * 2
    inner = inner[(inner % cells.side) + 1 < cells.side] + cells.window[1].start
    r, c = (part.ravel() for part in np.meshgrid(rows, inner, indexing="ij"))
    good = ~(cells.odd[r, c] | cells.odd[r, c + 1])
    r, c = r[good], c[good]
    wanted = max(64, _PAIR_VALUES // cells.frames)
    if len(r) > wanted:
        chosen = np.linspace(0, len(r) - 1, wanted).astype(np.int64)
        r, c = r[chosen], c[chosen]
    places = np.stack([r, c], axis=1)
    origin = [cells.window[0].start, cells.window[1].start]
    return places, np.asarray((places - origin).T // cells.side)
