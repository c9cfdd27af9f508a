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

LATTICES = {
    7: (2, 3),
    24: (13, 7),
    64: (53, 47),
    256: (157, 233),
    1024: (711, 127),
    4096: (1557, 2635),
}
"""Samples of a slice, and how many parts they are apart along rows and columns.

Those of many that measure volumes beside planes best; these are off by 0.4 / samples^(3/4).
"""

_LONGEST_LIST = 140_000

_SHIFTS = 0.7548776662466927, 0.5698402909980532
"""From slice to slice lattices move across by these parts of a pixel, lest they err alike."""


LONGEST_RUN = 64
"""Samples of a slice that are computed one after the other, beside those of other slices."""


def runs_of(samples: int) -> int:
    """In how many runs the samples of a slice come, each from all over it."""
    return max(1, samples // LONGEST_RUN)


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
    """

    def __init__(self, grid: RayGrid, averaging: Averaging) -> None:
        self._grid, self._averaging = grid, averaging
        self._made: dict[int, Cut] = {}
        slices = len(grid.depths) * grid.oversampling**2
        self.samples = [1, *(n for n in LATTICES if n * slices <= _LONGEST_LIST)]
        """Of a slice, by level."""

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, level: Any) -> Any:
        if level not in self._made:
            self._made[level] = self._lattice(level) if level else self._middles()
        return self._made[level]

    def _middles(self) -> Cut:
        return Cut(self._grid.sample_offsets, self._shares(1))

    def _shares(self, parts: int) -> Floats:
        """Weights of equal parts of the slices."""
        grid, beam = self._grid, np.repeat(self._grid.weights, parts) / parts
        if self._averaging.heights is not None:
            beam = self._averaging.shares(len(grid.depths) * parts)
        return np.tile(beam, grid.oversampling**2) / grid.oversampling**2

    def _lattice(self, level: int) -> Cut:
        grid, averaging = self._grid, self._averaging
        samples = list(LATTICES)[level - 1]
        order, *places = _places(samples, len(grid.sample_offsets))
        height = 0.0
        if averaging.heights is not None:
            height = float(np.ptp(averaging.heights)) / len(grid.depths)
        offsets = np.repeat(grid.sample_offsets, samples, axis=0)
        steps = grid.row_step / grid.oversampling, grid.column_step / grid.oversampling
        for place, step in zip(places, (*steps, height * grid.along_ray), strict=True):
            offsets += np.outer(place, step)
        return Cut(offsets, self._shares(samples)[order.astype(np.int64)])


@lru_cache(maxsize=12)
def _places(samples: int, slices: int) -> Floats:
    """Lattices in all slices: order by height; then place along rows, columns and height (±1/2)."""
    k = np.arange(samples).reshape(-1, runs_of(samples)).T.ravel()
    moved = np.arange(slices)[:, None]
    rows, columns = (
        ((k * step + 0.5) / samples + moved * shift).ravel() % 1.0 - 0.5
        for step, shift in zip(LATTICES[samples], _SHIFTS, strict=True)
    )
    heights = np.tile((k + 0.5) / samples - 0.5, slices)
    return np.stack([(moved * samples + k).ravel(), rows, columns, heights])
