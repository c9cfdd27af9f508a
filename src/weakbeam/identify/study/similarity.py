"""How similar the images of all pairs of types are, and what the types of a pair have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.defects.types import DislocationType
from weakbeam.fit.observation import Bools
from weakbeam.identify.search.correlation import Correlator

Progress = Callable[[float], None]

PAPER_BOUND = 0.7
"""Correlation below which non-identical types stay in Borgi, Winther & Poulsen (2025)."""

RELATIONS = (
    "neighbouring characters",
    "opposite signs",
    "other characters of the slip system",
    "same Burgers vector, other plane",
    "same plane, other Burgers vector",
    "neither in common",
)

_PIXELS = 25_000
"""Images are binned to about this many pixels before all pairs are compared."""

_EXACT_FROM = 0.1
"""Pairs are compared in full if their binned images correlate up to this below the bound."""

_BLOCK = 32


def correlation_matrix(
    images: Floats32, max_shift: int, progress: Progress | None = None
) -> Floats:
    """Largest correlation of every pair of images within a bounded shift, padded with zeros.

    Parameters
    ----------
    images : (n, rows, columns) ndarray
        Images without background.
    max_shift : int
        Largest shift (pixels).
    progress : callable, optional
        Told the share that is newly done.

    Returns
    -------
    (n, n) ndarray
        Symmetric, with 1 on the diagonal. Pairs far below the bound of the paper are compared in
        binned images, which blur what is sharp; all others pixel by pixel.
    """
    count, rows, columns = images.shape
    factor = max(1, int(np.ceil(np.sqrt(rows * columns / _PIXELS))))
    every = np.triu(np.ones((count, count), np.bool_), 1)
    small = _all_pairs(_binned(images, factor), every, -(-max_shift // factor), 0.25, progress)
    if factor == 1:
        return small
    near = every & (small > PAPER_BOUND - _EXACT_FROM)
    return np.where(near | near.T, _all_pairs(images, near, max_shift, 0.15, progress), small)


def _all_pairs(
    images: Floats32, wanted: Bools, max_shift: int, share: float, progress: Progress | None
) -> Floats:
    """Largest correlations of the wanted pairs, which lie above the diagonal."""
    count, rows, columns = images.shape
    sizes = np.linalg.norm(images, axis=(1, 2), keepdims=True)
    fourier = Correlator((rows, columns), (rows, columns), max_shift)
    spectra = fourier.spectra(images / np.maximum(sizes, 1e-30))
    matrix = np.eye(count)
    for first in range(count):
        others = np.flatnonzero(wanted[first])
        for start in range(0, len(others), _BLOCK):
            block = others[start : start + _BLOCK]
            highest = fourier.correlate(spectra[first], spectra[block]).max(axis=(1, 2))
            matrix[first, block] = matrix[block, first] = highest
        if progress is not None:
            progress(share / count)
    return matrix


def relations_of(types: Sequence[DislocationType]) -> Ints:
    """What each pair of types has in common, by place in `RELATIONS`; −1 on the diagonal."""
    characters = np.array([kind.character_deg for kind in types])
    planes = [_unsigned(kind.plane) for kind in types]
    burgers = [_unsigned(kind.burgers) for kind in types]
    relations = np.full((len(types), len(types)), 5)
    steps = np.diff(np.unique(characters))
    step = float(steps.min()) if steps.size else 360.0
    for i, kind in enumerate(types):
        for j in range(len(types)):
            same_plane, same_burgers = planes[i] == planes[j], burgers[i] == burgers[j]
            apart = abs((kind.character_deg - characters[j] + 180.0) % 360.0 - 180.0)
            if same_plane and same_burgers:
                near = apart < 1.5 * step
                opposite = abs(apart - 180.0) < 0.5 * step
                relations[i, j] = 0 if near else (1 if opposite else 2)
            elif same_burgers or same_plane:
                relations[i, j] = 3 if same_burgers else 4
        relations[i, i] = -1
    return relations


def _binned(images: Floats32, factor: int) -> Floats32:
    rows, columns = (n // factor for n in images.shape[1:])
    cut = images[:, : rows * factor, : columns * factor]
    parts = cut.reshape(len(images), rows, factor, columns, factor)
    return np.asarray(parts.mean(axis=(2, 4)), dtype=np.float32)


def _unsigned(indices: Sequence[int]) -> tuple[int, ...]:
    sign = 1 if next(n for n in indices if n) > 0 else -1
    return tuple(sign * n for n in indices)
