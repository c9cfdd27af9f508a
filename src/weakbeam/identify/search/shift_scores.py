"""Which image of a library explains an observation best, at every shift within a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Floats32, Ints
from weakbeam.core.workers import worker_count
from weakbeam.fit.observation import Observation
from weakbeam.identify.search.background import remove_background
from weakbeam.identify.search.correlation import Correlator, sub_pixel_peak

Scores = tuple[Floats, Floats, Ints, Floats]

_NO_CONTRAST = 1e-5
"""Share of the mean square below which a weighted variance is rounding of single precision."""

_MOST = 2.0
"""Largest factor by which a gain is raised for the light that a shift leaves out."""

_AHEAD = 2
"""Blocks of members that wait for each thread."""


@dataclass(frozen=True, eq=False)
class ShiftScores:
    """The best shift of every member of a library, and how well it fits there.

    Parameters
    ----------
    gain : (members,) ndarray
        Log-likelihood above that of an even background, at fixed variance of the pixels, and as if
        all pixels that some shift covers were compared.
    correlation : (members,) ndarray
        Weighted correlation coefficient of image and member where both are seen, from 0 to 1.
    shift : (members, groups, 2) ndarray
        How far the member is moved along rows and columns, to whole pixels, for each group of
        conditions that move together.
    peak : (members, groups, 2) ndarray
        The same by the paraboloid about the peak.
    """

    gain: Floats
    correlation: Floats
    shift: Ints
    peak: Floats

    def __len__(self) -> int:
        return len(self.gain)


def shift_scores(
    observation: Observation,
    members: Iterable[ArrayLike],
    max_shift: int | tuple[int, int],
    groups: Sequence[int] | None = None,
    workers: int | None = None,
) -> ShiftScores:
    r"""Score the members of a library at all whole-pixel shifts within a bound.

    Parameters
    ----------
    observation : Observation
        What was seen.
    members : iterable of (n, conditions, rows, columns) array_like
        Their images, in blocks of any length, under the conditions of the observation. The middle
        of a member lies on the middle of the image at shift 0.
    max_shift : int or (int, int)
        Largest shift (pixels) along rows and columns.
    groups : sequence of int, optional
        Number of the group, from 0, that each condition belongs to. Conditions of a group share
        shift and brightness, those of different groups (reflections, which see a displacement under
        different angles) do not. All belong to one group unless given.
    workers : int, optional
        Threads.

    Returns
    -------
    ShiftScores

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    Notes
    -----
    With weights :math:`w = 1/v` from the smoothed image, all sums of the regression
    :math:`d \approx s\,I(x - \Delta) + b` over the pixels that image and moved member share are
    correlations: :math:`\sum wI`, :math:`\sum wI^2` and :math:`\sum wdI` for each member,
    :math:`\sum w`, :math:`\sum wd` and :math:`\sum wd^2` once. The best brightness s, never
    negative and common to the conditions of a group, raises the log-likelihood by

    .. math:: \frac{\left[\sum_c (wdI - wd\,wI/w)\right]^2}{2 \sum_c (wI^2 - (wI)^2/w)}.

    A large shift leaves part of the image out, and would lose to a small one that fits less well.
    The gain is therefore raised, by a factor of 2 at most, by the share of the image's weighted
    variance :math:`\sum wd^2 - (\sum wd)^2/w` that is left out.
    """
    blocks, shape = _first(members, len(observation))
    together = [0] * len(observation) if groups is None else groups
    return _score(blocks, _Weighted(observation, shape, max_shift, together), workers)


def correlation_scores(
    images: ArrayLike,
    members: Iterable[ArrayLike],
    max_shift: int | tuple[int, int],
    method: str = "mean",
    groups: Sequence[int] | None = None,
    workers: int | None = None,
) -> ShiftScores:
    """Score members by the zero-padded correlation of what stands out of their images.

    Parameters
    ----------
    images : (conditions, rows, columns) array_like
        What was seen, after :func:`~weakbeam.identify.search.background.remove_background`.
    members, max_shift, groups, workers
        As of :func:`shift_scores`.
    method : str
        How the background of the members is removed.

    Returns
    -------
    ShiftScores
        Its `gain` is the correlation again, which has no unit of likelihood.
    """
    cleaned = np.asarray(images, dtype=np.float64)
    blocks, shape = _first(members, len(cleaned))
    together = [0] * len(cleaned) if groups is None else groups
    return _score(blocks, _Cleaned(cleaned, shape, max_shift, method, together), workers)


class _Scorer(Protocol):
    """Scores of a block of members: gain, correlation, shift and peak."""

    def __call__(self, block: Floats32) -> Scores: ...


class _Weighted:
    """Likelihoods of members at all shifts."""

    def __init__(
        self,
        observation: Observation,
        model_shape: tuple[int, int],
        max_shift: int | tuple[int, int],
        groups: Sequence[int],
    ) -> None:
        self._fourier = Correlator(observation.shape, model_shape, max_shift)
        self._groups = _numbered(groups, len(observation))
        good, images = observation.good, observation.images
        weight = good / observation.noise.variance(_smoothed(images, good))
        total = weight.sum(axis=(1, 2), keepdims=True)
        counts = images - (weight * images).sum(axis=(1, 2), keepdims=True) / total
        self._weight = self._fourier.spectra(weight)
        self._weighted = self._fourier.spectra(weight * counts)
        whole = self._fourier.spectra(np.ones(model_shape))
        # What one rounding error of the whole sum may leave where nothing is shared.
        least = 1e-6 * total
        self._w = np.maximum(self._fourier.correlate(self._weight, whole), least)
        self._wd = self._fourier.correlate(self._weighted, whole).astype(np.float64)
        squares = self._fourier.spectra(weight * counts**2)
        self._power = self._fourier.correlate(squares, whole) - self._wd**2 / self._w
        # Shares of the light that a shift leaves out are taken to be explained as well as the rest.
        self._left_out = []
        for group in self._groups:
            present = np.maximum(self._power[group].sum(axis=0), 0.0)
            most = float(present.max())
            self._left_out.append(np.clip(most / np.maximum(present, 1e-9 * most), 1.0, _MOST))

    def __call__(self, block: Floats32) -> Scores:
        light = block - block.mean(axis=(-2, -1), keepdims=True)
        spectra = self._fourier.spectra(light)
        sums = self._fourier.correlate(self._weight, spectra)
        alike = self._fourier.correlate(self._weighted, spectra)
        squares = self._fourier.correlate(self._weight, self._fourier.spectra(light * light))
        crossed = alike - self._wd * sums / self._w
        power = squares - sums * (sums / self._w)
        gains, shifts, peaks = [], [], []
        explained, present = np.zeros(len(block)), np.zeros(len(block))
        for group, left_out in zip(self._groups, self._left_out, strict=True):
            cross = np.maximum(crossed[:, group].sum(axis=1), 0.0)
            size = power[:, group].sum(axis=1)
            contrasting = size > _NO_CONTRAST * np.abs(squares[:, group].sum(axis=1)).max()
            gain = np.where(contrasting, 0.5 * cross**2 / np.where(contrasting, size, 1.0), 0.0)
            best, shift, peak = _peaks(gain * left_out, self._fourier)
            there = self._power[group].sum(axis=0)
            at = tuple((shift + self._fourier.bounds).T)
            explained += 2.0 * gain[(np.arange(len(block)), *at)]
            present += np.maximum(there[at], 0.0)
            gains.append(best)
            shifts.append(shift)
            peaks.append(peak)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(present > 0.0, explained / present, 0.0)
        correlation = np.sqrt(np.clip(share, 0.0, 1.0))
        total = np.asarray(np.sum(gains, axis=0), dtype=np.float64)
        return total, correlation, np.stack(shifts, 1), np.stack(peaks, 1)


class _Cleaned:
    """Correlations of members with what stands out of an image."""

    def __init__(
        self,
        images: Floats,
        model_shape: tuple[int, int],
        max_shift: int | tuple[int, int],
        method: str,
        groups: Sequence[int],
    ) -> None:
        self._fourier = Correlator((images.shape[1], images.shape[2]), model_shape, max_shift)
        self._groups = _numbered(groups, len(images))
        self._method = method
        self._spectra = self._fourier.spectra(images)
        self._size = float(np.sum(np.asarray(images, dtype=np.float64) ** 2))

    def __call__(self, block: Floats32) -> Scores:
        clean = remove_background(block, self._method)
        sums = self._fourier.correlate(self._spectra, self._fourier.spectra(clean))
        size = np.sqrt(self._size * np.sum(clean**2, axis=(1, 2, 3)))
        size[size == 0.0] = np.inf
        peaks_of_groups = [
            _peaks(sums[:, group].sum(axis=1, dtype=np.float64), self._fourier)
            for group in self._groups
        ]
        value = np.asarray(
            np.sum([best for best, _, _ in peaks_of_groups], axis=0) / size, dtype=np.float64
        )
        shifts = np.stack([shift for _, shift, _ in peaks_of_groups], 1)
        peaks = np.stack([peak for _, _, peak in peaks_of_groups], 1)
        return value, value, shifts, peaks


def _peaks(maps: Floats, fourier: Correlator) -> tuple[Floats, Ints, Floats]:
    """Height, whole-pixel shift and shift of the paraboloid of each map's peak."""
    heights, shifts, peaks = np.empty(len(maps)), np.empty((len(maps), 2), int), []
    for number, values in enumerate(maps):
        highest = int(np.argmax(values))
        shifts[number] = np.unravel_index(highest, values.shape)
        height, row, column = sub_pixel_peak(values)
        heights[number] = height
        peaks.append((row, column))
    middle = np.array(fourier.bounds)
    return heights, shifts - middle, np.array(peaks) - middle


def _score(blocks: Iterator[Floats32], scorer: _Scorer, workers: int | None) -> ShiftScores:
    scores: list[Scores] = []
    threads = worker_count(workers)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Scores]] = deque()
        for block in blocks:
            waiting.append(pool.submit(scorer, block))
            if len(waiting) > _AHEAD * threads:
                scores.append(waiting.popleft().result())
        scores += [future.result() for future in waiting]
    gain, correlation, shift, peak = (np.concatenate(parts) for parts in zip(*scores, strict=True))
    return ShiftScores(gain, correlation, shift, peak)


def _first(
    members: Iterable[ArrayLike], conditions: int
) -> tuple[Iterator[Floats32], tuple[int, int]]:
    """All blocks again, and the shape of the first one's images."""
    blocks = (_block(member, conditions) for member in members)
    try:
        first = next(blocks)
    except StopIteration:
        raise ValueError("there is no member to compare with") from None
    return chain([first], blocks), (first.shape[2], first.shape[3])


def _block(member: ArrayLike, conditions: int) -> Floats32:
    block = np.asarray(member, dtype=np.float32)
    if block.ndim != 4 or block.shape[1] != conditions:
        raise ValueError(
            f"members of shape {block.shape}: must have the axes members, conditions "
            f"({conditions}), rows and columns"
        )
    return block


def _numbered(groups: Sequence[int], conditions: int) -> list[list[int]]:
    """Conditions of each group."""
    if len(groups) != conditions:
        raise ValueError(f"{len(groups)} groups for {conditions} conditions")
    return [[c for c, g in enumerate(groups) if g == group] for group in sorted(set(groups))]


def _smoothed(images: Floats, good: NDArray[np.bool_]) -> Floats:
    """Means of the good pixels among 3 x 3."""
    sums = [np.zeros(images.shape), np.zeros(images.shape)]
    for total, values in zip(sums, (images * good, good.astype(np.float64)), strict=True):
        framed = np.pad(values, [(0, 0), (1, 1), (1, 1)])
        rows = framed[:, :-2] + framed[:, 1:-1] + framed[:, 2:]
        total += rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return np.asarray(sums[0] / np.maximum(sums[1], 1.0))
