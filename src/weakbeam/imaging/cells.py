"""Cells: parts of slices of pixels, halved again and again along their longest edges.

What a lattice over a whole slice would need thousands of samples for is often in a small part of
it, about a core. Cells are halved there alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.imaging.averaging import Averaging
from weakbeam.imaging.cuts import beam_shares, edges_of_slices, places_in_slices
from weakbeam.imaging.rays import RayGrid

CELL_SAMPLES = 64
"""Samples of a cell, in a lattice."""

DEEPEST = 12
"""So often may a slice be halved."""

_LONG = 0.6
"""Edges are halved that are longer than this part of the longest."""


_KINDS = 31
_MIXED = np.array([7, 17, 3, 11, 5])


class Cells(NamedTuple):
    """Some cells of one depth."""

    pixels: Ints
    """(n,): the pixel that each is in."""
    slices: Ints
    """(n,): and its slice."""
    places: Ints
    """(n, 3): which part of the slice it is, counted along rows, columns and height."""

    def some(self, members: Ints) -> Cells:
        """Some of them."""
        return Cells(self.pixels[members], self.slices[members], self.places[members])


class CellCuts:
    """Where cells and their samples are.

    Parameters
    ----------
    grid : RayGrid
        One sample for each slice, of the pixel or of sub-pixels.
    averaging : Averaging
        As for :class:`.PixelCuts`.
    moved : int
        Lattices that differ in this number are apart from each other in another way.
    """

    def __init__(self, grid: RayGrid, averaging: Averaging, moved: int = 0) -> None:
        self._grid, self._averaging = grid, averaging
        self._edges = edges_of_slices(grid, averaging)
        self._moved = moved
        self._middles = grid.sample_offsets
        lengths = np.linalg.norm(self._edges, axis=1)
        parts = [np.ones(3, np.int64)]
        for _ in range(DEEPEST):
            now = lengths / parts[-1]
            parts.append(parts[-1] * np.where(now > _LONG * now.max(), 2, 1))
        self._lengths = lengths
        self.parts = parts
        """Into how many parts each edge of a slice is cut, by depth."""
        self._made: dict[int, tuple[Floats, Floats]] = {}

    def moved(self, number: int) -> CellCuts:
        """The same, with lattices that stand elsewhere."""
        return CellCuts(self._grid, self._averaging, number)

    def longest(self, depth: int) -> float:
        """Length (µm) of the longest edge of a cell."""
        return float((self._lengths / self.parts[depth]).max())

    def of_slices(self, pixels: Ints, slices: Ints) -> Cells:
        """Slices as cells that nothing is halved of yet."""
        return Cells(pixels, slices, np.zeros((len(pixels), 3), np.int64))

    def halved(self, cells: Cells, depth: int) -> Cells:
        """The parts of cells, those of one cell together."""
        times = self.parts[depth + 1] // self.parts[depth]
        inside = np.stack(np.meshgrid(*map(np.arange, times), indexing="ij"), axis=-1)
        inside = inside.reshape(-1, 3)
        places = (cells.places[:, None] * times + inside).reshape(-1, 3)
        count = len(inside)
        return Cells(np.repeat(cells.pixels, count), np.repeat(cells.slices, count), places)

    def centres(self, cells: Cells, depth: int) -> Floats:
        """Displacement of the middles of cells from the centre of their pixels, (3, n), in µm."""
        within = (cells.places + 0.5) / self.parts[depth] - 0.5
        return np.ascontiguousarray((self._middles[cells.slices] + within @ self._edges).T)

    def lattice(self, depth: int) -> tuple[Floats, Floats]:
        """Lists of displacements (n, 3) from a cell's middle (µm), and of weights."""
        if depth not in self._made:
            parts = self.parts[depth]
            places = places_in_slices(CELL_SAMPLES, _KINDS, self._moved)
            offsets = (places / parts) @ self._edges
            shares = beam_shares(self._grid, self._averaging, int(parts[2]) * CELL_SAMPLES)
            self._made[depth] = offsets, shares / float(parts[0] * parts[1])
        return self._made[depth]

    def kinds(self, cells: Cells) -> Ints:
        """Where in the list of displacements each cell begins.

        Neighbours have lattices that stand elsewhere, lest what is alike in them is off alike.
        """
        mixed = cells.places @ _MIXED[:3] + _MIXED[3] * cells.slices + _MIXED[4] * cells.pixels
        return np.ascontiguousarray(mixed % _KINDS * CELL_SAMPLES)

    def first(self, cells: Cells, depth: int) -> Ints:
        """Where in the list of weights each cell begins."""
        parts = int(self.parts[depth][2])
        heights = cells.slices % len(self._grid.depths) * parts + cells.places[:, 2]
        return np.ascontiguousarray(heights * CELL_SAMPLES)
