r"""Noise of frames without light, and where in a scan each pixel stands out of it.

A sum over a scan of which most frames hold no light sums mostly noise, and where what is negative
is cut off, the rest of the noise passes for signal: :math:`\sigma/\sqrt{2\pi}` in every frame. So
nothing is cut off; instead each pixel's sums run over the part of the scan in which it is lit.
Lit is a frame in which the pixel is more than k σ above its background (the floor). The curve goes
on below the floor, on both sides; a Gaussian curve with a peak of A floors is above the floor
within :math:`\pm s\sqrt{2 \ln A}`, and the part reaches to :math:`\pm 3.5 s`, which holds all but
0.6 % of its variance. Inside it values count as they are, negative ones too, so that noise has no
mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.core.arrays import ArrayLike, Floats, Ints

FLOOR = 5.0
"""Default of the floor in σ: exceeded by noise once in 3.5 million values."""

RECTIFIED = 1.0 / math.sqrt(2.0 * math.pi)
"""Mean of the positive half of noise with σ = 1."""

_REACH = 3.5
"""Standard deviations of a Gaussian curve to which the sums over it run."""

_WIDEST = 5.0
"""Most by which the lit part is widened, for pixels that barely reach above the floor."""

_LEAST_STEPS = 2.0
"""Steps, at least, by which it is widened on each side."""

_ROUNDED = 1e-6

_BINS = 64
"""Parts into which positions on no grid are sorted."""

_DARKEST = 0.1
_LEAST_PIXELS = 64.0
_FEWEST_DARK = 8

_CLIP = 4.0
_ROUNDS = 8


def dark_noise(first: ArrayLike, second: ArrayLike) -> tuple[float, Floats]:
    """Estimate the noise of frames without light from pairs of frames taken one after another.

    Parameters
    ----------
    first, second : (pairs, rows, columns) array_like
        The frames of each pair, spread over the scan.

    Returns
    -------
    sigma : float
        Standard deviation of one value.
    level : (rows, columns) ndarray
        Mean of the frames that were used.

    Notes
    -----
    Used are the darkest quarter of the pairs and of these the darkest tenth of the pixels. Their
    differences, over √2, are noise but for those of the pixels that are lit, which are left out
    beyond 4 σ, again and again until nothing changes. Frames change by more than noise only where
    there is light; a fixed pattern of the camera cancels.
    """
    earlier, later = (
        np.where(np.isfinite(frames), frames, np.nan)
        for frames in (np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64))
    )
    light = earlier + later
    few = max(len(light) // 4, 1)
    darkest = np.argsort(_mean_of_known(light, axis=(1, 2)), kind="stable")[:few]
    level = 0.5 * _mean_of_known(light[darkest], axis=0)
    differences = (later - earlier)[darkest] / math.sqrt(2.0)
    # Pixels that never change have no noise to tell of.
    alive = np.isfinite(level) & (np.nan_to_num(differences) != 0.0).any(axis=0)
    if not alive.any():
        return 0.0, level
    share = min(max(_DARKEST, _LEAST_PIXELS / float(alive.sum())), 1.0)
    dark = alive & (level <= np.quantile(level[alive], share))
    differences = differences[:, dark].ravel()
    differences = differences[np.isfinite(differences)]
    for _ in range(_ROUNDS):
        sigma = float(np.sqrt(np.mean(differences**2))) if differences.size else 0.0
        kept = differences[np.abs(differences) <= _CLIP * sigma]
        if len(kept) == len(differences):
            break
        differences = kept
    return sigma, level


def _mean_of_known(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """Mean of the values that are numbers; NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


class LitParts:
    """Gathers at which positions of each motor a pixel is above a threshold, in any order.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    places : mapping of str to ((frames,) ndarray of int, (levels,) ndarray)
        Of each motor the place of every frame among its positions, and these, which increase;
        from :func:`scan_places`.
    """

    def __init__(self, shape: tuple[int, int], places: Mapping[str, tuple[Ints, Floats]]) -> None:
        self._places = places
        self._lit = {name: np.zeros((len(x), *shape), bool) for name, (_, x) in places.items()}
        self.highest = np.full(shape, -np.inf)
        """Largest value of each pixel."""
        self.lowest = np.full(shape, np.inf)
        """Smallest value of each pixel."""

    def add(self, numbers: ArrayLike, frames: NDArray[Any], threshold: NDArray[Any]) -> None:
        """Add frames by their numbers, with the values that they have to exceed."""
        which = np.asarray(numbers)
        limit = _comparable(threshold, frames.dtype)
        self.highest = np.fmax(self.highest, np.fmax.reduce(frames, axis=0))
        self.lowest = np.fmin(self.lowest, np.fmin.reduce(frames, axis=0))
        for number, frame in zip(which, frames, strict=True):
            above = frame > limit
            if not above.any():
                continue
            for name, (place, _) in self._places.items():
                lit = self._lit[name][place[number]]
                np.logical_or(lit, above, out=lit)

    def widened(self, contrast: Floats) -> dict[str, NDArray[np.bool_]]:
        """The part of the scan over which each pixel's sums run.

        Parameters
        ----------
        contrast : (rows, columns) ndarray
            Largest value above the background over the floor.

        Returns
        -------
        dict of str to (levels, rows, columns) ndarray of bool
            For each motor; a frame belongs to the part where all are true.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            reached = np.sqrt(2.0 * np.log(contrast))
            factor = np.where(reached > 0.0, _REACH / reached, _WIDEST)
        factor = np.clip(np.nan_to_num(factor, nan=_WIDEST), 1.0, _WIDEST)
        parts = {}
        for name, gathered in self._lit.items():
            lit, levels = _without_strays(gathered), self._places[name][1]
            step = float(np.median(np.diff(levels))) if len(levels) > 1 else 1.0
            half = 0.5 * step * lit.sum(axis=0)
            margin = np.maximum(half * (factor - 1.0), (_LEAST_STEPS + _ROUNDED) * step)
            part = lit.copy()
            for order in (range(len(levels)), range(len(levels) - 1, -1, -1)):
                nearest = np.full(self.highest.shape, np.inf)
                for level in order:
                    nearest[lit[level]] = levels[level]
                    part[level] |= np.abs(levels[level] - nearest) <= margin
            parts[name] = part
        return parts


def _without_strays(lit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Lit positions of each pixel that have a neighbour, unless none has.

    A curve that steps resolve is lit at two positions or more; a single one far from it is a rare
    value of the noise, which was chosen for being high.
    """
    pairs = lit[1:] & lit[:-1]
    kept = np.zeros_like(lit)
    kept[1:] |= pairs
    kept[:-1] |= pairs
    return np.asarray(np.where(pairs.any(axis=0), kept, lit))


class DarkMean:
    """Mean of the values of each pixel outside the part of the scan in which it is lit.

    The median of a pixel over a scan lies above its dark level, by 0.3 σ where a fifth of the
    frames is lit, and has the steps of whole numbers; summed up over a scan both widen or narrow
    curves.

    Parameters
    ----------
    parts : sequence of ((frames,) ndarray of int, (levels, rows, columns) ndarray of bool)
        The part of each pixel, as for :class:`weakbeam.analysis.reduction.ScanReduction`.
    """

    def __init__(self, parts: Sequence[tuple[Ints, NDArray[np.bool_]]]) -> None:
        self._parts = parts
        shape = parts[0][1].shape[1:]
        self._total, self._count = np.zeros(shape), np.zeros(shape)

    def add(self, numbers: ArrayLike, frames: NDArray[Any]) -> None:
        """Add frames by their numbers."""
        known = np.asarray(frames)
        if known.dtype.kind == "f":
            # Where one value is no number, there is no mean.
            known = np.where(np.isfinite(known), known, np.nan)
        self._total += known.sum(axis=0, dtype=np.float64)
        self._count += len(known)
        for number, frame in zip(np.asarray(numbers), known, strict=True):
            levels = [part[place[number]] for place, part in self._parts]
            if all(level.any() for level in levels):
                inside = np.logical_and.reduce(levels)
                self._total -= np.where(inside, frame, 0.0)
                self._count -= inside

    def level(self, otherwise: Floats) -> Floats:
        """The mean, or another level where there are too few frames for one."""
        enough = self._count >= _FEWEST_DARK
        mean = self._total / np.maximum(self._count, 1.0)
        return np.where(enough & np.isfinite(mean), mean, otherwise)


def scan_places(
    positions: Mapping[str, ArrayLike], grid: ScanGrid
) -> dict[str, tuple[Ints, Floats]]:
    """Of each motor that counts for itself: the place of every frame, and what stands there.

    Parameters
    ----------
    positions : mapping of str to (frames,) array_like
        Position of each moving motor at every frame.
    grid : ScanGrid
        Their grid; positions on none are sorted into parts of equal width.

    Returns
    -------
    dict of str to ((frames,) ndarray of int, (levels,) ndarray)
    """
    if grid.kind != "irregular":
        names = list(grid.axes)[:1] if grid.kind == "line" else list(grid.axes)
        return {name: (grid.index[name], grid.axes[name]) for name in names}
    places = {}
    for name, values in positions.items():
        x = np.asarray(values, dtype=np.float64)
        edges = np.linspace(x.min(), x.max(), min(_BINS, len(x)) + 1)
        place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        places[name] = place, 0.5 * (edges[1:] + edges[:-1])
    return places


def smallest_of(frames: int) -> float:
    """About how many σ the smallest of so many values of noise lies below their mean."""
    return math.sqrt(2.0 * math.log(frames)) if frames > 1 else 0.0


def _comparable(threshold: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The threshold in the type of the frames, for which comparing is fastest."""
    if dtype.kind not in "iu" or dtype.itemsize > 4:
        return threshold
    limits = np.iinfo(dtype)
    # v > t of whole numbers is v > floor(t); nothing exceeds the largest number.
    whole = np.clip(np.floor(threshold), limits.min, limits.max)
    return np.asarray(whole.astype(dtype))
