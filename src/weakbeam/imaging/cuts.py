"""Ways to sample the part of the crystal that a pixel sees: along its middle, or all over it.

A pixel and the height of the beam span a parallelepiped in the crystal. It is cut into slices of
the beam, and each slice into as many parts as its samples are: along the ray only, or in a lattice
that covers the slice in all directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.imaging.averaging import Averaging
from weakbeam.imaging.rays import RayGrid

LATTICES = {7: (2, 3), 24: (13, 7), 64: (53, 47)}
"""Samples of a slice, and how many parts they are apart along rows and columns.

Those that measure volumes beside planes best; these are off by 0.4 / samples^(3/4).
"""

_SHIFTS = 0.7548776662466927, 0.5698402909980532, 0.6180339887498949
"""From slice to slice lattices move across by these parts of a pixel, lest they err alike."""


class Cut(NamedTuple):
    """Samples of a pixel, slice after slice, as many in each."""

    offsets: Floats
    """(samples, 3): displacement of each from the pixel's centre (µm, sample frame)."""
    weights: Floats
    """(samples,): of each."""


def cuts_along_rays(
    grids: Sequence[RayGrid], smooth: RayGrid | None = None
) -> tuple[list[Cut], Cut | None]:
    """Samples along rays, as several grids have them.

    Parameters
    ----------
    grids : sequence of RayGrid
        From coarse to fine; they differ in the number of their depth samples only, which is that of
        the one before times a whole number.
    smooth : RayGrid, optional
        A still coarser one.

    Returns
    -------
    cuts : list of Cut
        Of each grid.
    smooth : Cut or None
        Of that one.

    Raises
    ------
    ValueError
        If the grids do not follow each other so.
    """
    every = [*grids] if smooth is None else [smooth, *grids]
    for coarse, fine in pairwise(every):
        if len(fine.depths) % len(coarse.depths) or coarse.oversampling != fine.oversampling:
            raise ValueError("every grid must cut the slices of the one before it evenly")
    # A slice has the weight of the finest samples in it, however finely it is cut.
    finest = grids[-1].sample_weights
    cuts = []
    for grid in every:
        offsets = grid.sample_offsets
        cuts.append(Cut(offsets, finest.reshape(len(offsets), -1).sum(axis=1)))
    return (cuts, None) if smooth is None else (cuts[1:], cuts[0])


class PixelCuts(Sequence[Cut]):
    """The middles of all slices of a pixel, and lattices of ever more samples in each of them.

    Each is made when it is first asked for.

    Parameters
    ----------
    grid : RayGrid
        One sample for each slice, of the pixel or of sub-pixels.
    averaging : Averaging
        What is in thinner ones. Without heights lattices lie at the depths of the grid.
    moved : int
        Lattices that differ in this number stand elsewhere in their slices.
    """

    def __init__(self, grid: RayGrid, averaging: Averaging, moved: int = 0) -> None:
        self._grid, self._averaging, self._moved = grid, averaging, moved
        self._made: dict[int, Cut] = {}
        self.samples = [1, *LATTICES]
        """Of a slice, by level."""

    def moved(self, number: int) -> PixelCuts:
        """The same, with lattices that stand elsewhere."""
        return PixelCuts(self._grid, self._averaging, number)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, level: Any) -> Any:
        if level not in self._made:
            self._made[level] = self._lattice(level) if level else self._middles()
        return self._made[level]

    def _middles(self) -> Cut:
        shares = beam_shares(self._grid, self._averaging, 1)
        return Cut(self._grid.sample_offsets, np.tile(shares, self._grid.oversampling**2))

    def _lattice(self, level: int) -> Cut:
        grid = self._grid
        samples = self.samples[level]
        places = places_in_slices(samples, len(grid.sample_offsets), self._moved)
        offsets = np.repeat(grid.sample_offsets, samples, axis=0)
        offsets += places @ edges_of_slices(grid, self._averaging)
        shares = beam_shares(grid, self._averaging, samples)
        return Cut(offsets, np.tile(shares, grid.oversampling**2))


def edges_of_slices(grid: RayGrid, averaging: Averaging) -> Floats:
    """Edges (µm) of a slice along rows, columns and height, (3, 3); none between given depths."""
    height = 0.0
    if averaging.heights is not None:
        height = float(np.ptp(averaging.heights)) / len(grid.depths)
    steps = grid.row_step / grid.oversampling, grid.column_step / grid.oversampling
    return np.stack([*steps, height * grid.along_ray])


def beam_shares(grid: RayGrid, averaging: Averaging, parts: int) -> Floats:
    """Weights of equal parts of the height of all slices, of a sub-pixel each."""
    beam = np.repeat(grid.weights, parts) / parts
    if averaging.heights is not None:
        beam = averaging.shares(len(grid.depths) * parts)
    return np.asarray(beam / grid.oversampling**2)


@lru_cache(maxsize=32)
def places_in_slices(samples: int, slices: int, moved: int) -> Floats:
    """Lattices in all slices: place of each sample along rows, columns and height (±1/2)."""
    k = np.arange(samples)
    slice_ = np.arange(slices)[:, None] + moved * 0.37
    rows, columns = (
        ((k * step + 0.5) / samples + slice_ * shift).ravel() % 1.0 - 0.5
        for step, shift in zip(LATTICES[samples], _SHIFTS, strict=False)
    )
    within = (0.5 + moved * _SHIFTS[2]) % 1.0
    heights = np.tile((k + within) / samples - 0.5, slices)
    return np.stack([rows, columns, heights], axis=-1)
