"""The part of an image whose curves are alike: where the crystal is nearly perfect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.measured.cells import CellScan, Region

_SIGMAS = 5.0
"""Noise up to which cells count as alike."""

_COM = 3e-6
_WIDTH = 0.03
"""What they may differ by beside noise: centres of mass (rad) from a smooth bend, and widths."""

_LIT = 0.3
_SIGNAL = 0.02
"""Share of the brightest frame from which on a frame counts for the moments."""

_ROUNDS = 6
_FEWEST = 4
"""Cells along either edge of a region, unless the image has fewer."""


@dataclass(frozen=True, eq=False)
class FoundRegion:
    """A rectangle of cells whose curves are alike.

    Parameters
    ----------
    cells : (slice, slice)
        Rows and columns of cells.
    alike : (rows, columns) ndarray of bool
        Which cells of the image fit to those in it.
    """

    cells: Region
    alike: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Share of the image that it covers."""
        rows, columns = self.cells
        inside = (rows.stop - rows.start) * (columns.stop - columns.start)
        return float(inside / self.alike.size)


def find_perfect_region(
    scan: CellScan, positions: Floats, variance: Floats, pixels: Floats
) -> FoundRegion:
    """Find the largest rectangle of lit cells whose curves are alike.

    Parameters
    ----------
    scan : CellScan
        The curves.
    positions : (motors, frames) ndarray
        Of the motors that move (rad).
    variance : (frames, rows, columns) ndarray
        Of single pixels.
    pixels : (rows, columns) ndarray
        Pixels of each cell.

    Returns
    -------
    FoundRegion

    Raises
    ------
    InputError
        If there is none of 4 by 4 cells.

    Notes
    -----
    Centre of mass and width over each motor are held against a polynomial of degree 2 over the
    image, fitted to the cells that agree with it: bent crystals pass, the field of a dislocation
    does not, as it changes fast from cell to cell.
    """
    curves = scan.counts - np.quantile(scan.counts, 0.1, axis=0)
    # Of bent crystals the brightest cells, so that no curve is cut off.
    whole = np.quantile(curves, 0.95, axis=(1, 2))
    some = whole > _SIGNAL * whole.max()
    curves, positions = np.maximum(curves[some], 0.0), positions[:, some]
    noise = variance[some] / pixels
    total = curves.sum(axis=0)
    lit = total > _LIT * np.quantile(total, 0.9)
    alike = lit.copy()
    safe = np.maximum(total, 1e-300)
    for x in positions:
        x = x[:, None, None]
        com = (x * curves).sum(axis=0) / safe
        error = np.sqrt((((x - com) ** 2) * noise).sum(axis=0)) / safe
        alike &= _smooth(com, np.hypot(_SIGMAS * error, _COM), lit)
        second = (((x - com) ** 2) * curves).sum(axis=0) / safe
        width = np.sqrt(np.maximum(second, 1e-20))
        spread = np.sqrt((((x - com) ** 2 - second) ** 2 * noise).sum(axis=0)) / (2 * safe * width)
        alike &= _smooth(width, np.hypot(_SIGMAS * spread, _WIDTH * width), lit)
    cells = largest_rectangle(alike)
    rows, columns = (part.stop - part.start for part in cells)
    if rows < min(_FEWEST, alike.shape[0]) or columns < min(_FEWEST, alike.shape[1]):
        raise InputError(
            "region",
            None,
            "must be given: no part of the image is nearly perfect, its curves differ from place "
            "to place",
        )
    return FoundRegion(cells, alike)


def _smooth(values: Floats, tolerance: Floats, lit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where values agree with a polynomial of degree 2 through most of them."""
    v, u = np.meshgrid(*(np.linspace(-1, 1, n) for n in values.shape[::-1]))
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)
    agree = lit.copy()
    for _ in range(_ROUNDS):
        if int(agree.sum()) <= terms.shape[-1]:
            return agree
        weight = (agree / tolerance)[..., None]
        design = (terms * weight)[agree]
        fit = np.linalg.lstsq(design, (values / tolerance)[agree], rcond=None)[0]
        rest = np.abs(values - terms @ fit) / tolerance
        # At first a defect pulls the polynomial: the worst are left out step by step.
        limit = max(1.0, float(np.quantile(rest[lit], 0.8)))
        before, agree = agree, lit & (rest <= limit)
        if limit == 1.0 and (agree == before).all():
            break
    return np.asarray(lit & (rest <= 1.0))


def largest_rectangle(good: NDArray[np.bool_]) -> Region:
    """Rows and columns of the largest rectangle of true values; empty if there is none."""
    heights = np.zeros(good.shape[1], dtype=np.int64)
    best, found = 0, (slice(0, 0), slice(0, 0))
    for row, line in enumerate(good):
        heights = np.where(line, heights + 1, 0)
        open_ends: list[tuple[int, int]] = []
        for column, height in enumerate([*heights.tolist(), 0]):
            start = column
            while open_ends and open_ends[-1][1] > height:
                start, tall = open_ends.pop()
                if tall * (column - start) > best:
                    best = tall * (column - start)
                    found = slice(row + 1 - tall, row + 1), slice(start, column)
            if height and (not open_ends or open_ends[-1][1] < height):
                open_ends.append((start, height))
    return found
