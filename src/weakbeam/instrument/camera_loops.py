"""Compiled loops of the camera: photons and read noise of every pixel, and its fixed pattern.

Random numbers come from a SplitMix64 sequence (Steele, Lea & Flood 2014) that each frame enters at
a place of its own; a pixel's two numbers are addressed by its place in the frame. Noise depends on
nothing else: not on other frames, threads or batches.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.core.compiled import compiled
from weakbeam.core.random import STEP, lower_quantile, mixed, normal_quantiles

FEW = 16.0
"""Mean from which the number of photons is found from the normal distribution."""

_HALF = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)

_NORMAL_BITS = 11
_NORMAL_SHIFT = np.uint64(32 - _NORMAL_BITS)
_NORMAL_REST = np.uint64((1 << (32 - _NORMAL_BITS)) - 1)
_TAIL, _END = 2.4, 5.0
_ONE = np.uint64(1)

_MEANS_PER_PHOTON = 4
_COLUMN_BITS = 6
_COLUMN_SHIFT = np.uint64(64 - _COLUMN_BITS)
_ALIAS = (1 << _COLUMN_BITS) - 1
_SHARE_BITS = 32 - _COLUMN_BITS
_SHARE_REST = np.uint64((1 << _SHARE_BITS) - 1)
_LARGEST_FEW = math.nextafter(FEW, 0.0)
_BLOCK = 1024


class Tables(NamedTuple):
    """What random bits are looked up in."""

    normal: Floats
    """(2049,): quantiles of the normal distribution at equal steps of probability."""
    poisson: NDArray[np.uint32]
    """(64, 64): alias tables of Poisson distributions with means of 0, 1/4, 1/2, ..."""


class Levels(NamedTuple):
    """What a camera makes of the photons of a frame, in its units (ADU)."""

    gain: float
    dark: Floats32
    """(pixels,): mean count of each pixel without light."""
    noise: float
    """Standard deviation of the read noise."""
    full_well: int
    """Largest count."""


@cache
def tables() -> Tables:
    """Build the tables, once.

    A quantile between two entries is linear in the probability, which changes the density of the
    normal distribution by 5e-5 at most. Alias tables are those of Walker (1977), ACM Trans. Math.
    Softw. 3, 253: column k keeps its own number with a probability, and stands for another one
    otherwise. Both share 32 bits.
    """
    edges = np.arange(1, 1 << _NORMAL_BITS) / (1 << _NORMAL_BITS)
    inner = np.empty_like(edges)
    normal_quantiles(edges, inner)
    counts = np.arange(1 << _COLUMN_BITS)
    means = np.arange(FEW * _MEANS_PER_PHOTON) / _MEANS_PER_PHOTON
    logs = np.array([math.lgamma(k + 1.0) for k in counts])
    rows = []
    for mean in means:
        weights = np.exp(counts * math.log(mean) - mean - logs) if mean else 1.0 * (counts == 0)
        rows.append(_alias_table(weights / weights.sum()))
    return Tables(np.concatenate([[-_END], inner, [_END]]), np.array(rows, np.uint32))


def _alias_table(probabilities: Floats) -> list[int]:
    """Alias table of a distribution over as many numbers as there are columns."""
    filling = probabilities * len(probabilities)
    alias = np.arange(len(probabilities))
    poor = [k for k, share in enumerate(filling) if share < 1.0]
    rich = [k for k, share in enumerate(filling) if share >= 1.0]
    while poor and rich:
        k, giver = poor.pop(), rich[-1]
        alias[k] = giver
        filling[giver] -= 1.0 - filling[k]
        if filling[giver] < 1.0:
            poor.append(rich.pop())
    for k in poor:
        # What is left here differs from 1 by rounding.
        filling[k] = 1.0
    top = (1 << _SHARE_BITS) - 1
    own = np.minimum(np.rint(filling * (1 << _SHARE_BITS)), top).astype(np.int64)
    return [int(share) << _COLUMN_BITS | int(k) for share, k in zip(own, alias, strict=True)]


@compiled
def frame_key(seed: int, entry: int, frame: int) -> np.uint64:
    """Where in the sequence of random numbers a frame begins."""
    key = mixed(np.uint64(seed) + STEP)
    key = mixed((key ^ np.uint64(entry)) + STEP)
    return mixed((key ^ np.uint64(frame)) + STEP)


@compiled
def normals(start: np.uint64, quantiles: Floats, w: Floats) -> None:
    """Fill w with normally distributed numbers, one from every other number of the sequence."""
    n, tails, count = len(w), np.empty(len(w), np.int64), 0
    for i in range(n):
        bits = mixed(start + np.uint64(2 * i) * STEP) >> _HALF
        k = bits >> _NORMAL_SHIFT
        part = (np.float64(bits & _NORMAL_REST) + 0.5) * 2.0 ** (_NORMAL_BITS - 32)
        w[i] = quantiles[k] + part * (quantiles[k + _ONE] - quantiles[k])
    # Listed without a branch, which could not be predicted.
    for i in range(n):
        tails[count] = i
        count += int(abs(w[i]) > _TAIL)
    for i in tails[:count]:
        bits = mixed(start + np.uint64(2 * i) * STEP) >> _HALF
        u = (np.float64(bits) + 0.5) * 2.0**-32
        w[i] = lower_quantile(u) if u < 0.5 else -lower_quantile(1.0 - u)


@compiled
def many_photons(means: Floats, start: np.uint64, lookup: Tables, numbers: Floats) -> None:
    r"""Fill `numbers` with Poisson distributed numbers of large means λ; small ones stay wrong.

    The quantile at the probability Φ(w) of a normally distributed w, by the Cornish-Fisher
    expansion :math:`\lfloor \lambda + \sqrt\lambda w + (2 + w^2)/6 - (2w + w^3)/(72\sqrt\lambda)
    + (3w^4 + 7w^2 - 16)/(810\lambda)\rfloor`: Giles (2016), ACM Trans. Math. Softw. 42, 7.
    """
    normals(start, lookup.normal, numbers)
    for i in range(len(numbers)):
        w, mean = numbers[i], max(means[i], 1.0)
        square, per_root = w * w, 1.0 / math.sqrt(mean)
        third = w * (2.0 + square) * (-1.0 / 72.0)
        fourth = (square * (3.0 * square + 7.0) - 16.0) * (1.0 / 810.0)
        skewed = (2.0 + square) * (1.0 / 6.0) + (third + fourth * per_root) * per_root
        numbers[i] = max(math.floor(mean * (1.0 + w * per_root) + skewed), 0.0)


@compiled
def few_photons(means: Floats, start: np.uint64, lookup: Tables, numbers: Floats) -> None:
    """Replace those of `numbers` whose means are below `FEW` by Poisson distributed ones.

    Each is the sum of one whose mean is in the table, and one of the small mean that is left,
    found where a random number stands among the cumulated probabilities of 0, 1, ..., 6.
    """
    n, alias = len(numbers), lookup.poisson.reshape(-1)
    packed = np.empty(n, np.int64)
    # The look-up stands alone, so that the other loops become vector code.
    for i in range(n):
        mean = means[i] if means[i] > 0.0 else 0.0
        row = np.int64(min(mean, _LARGEST_FEW) * _MEANS_PER_PHOTON)
        column = mixed(start + np.uint64(2 * i) * STEP) >> _COLUMN_SHIFT
        packed[i] = (row << _COLUMN_BITS) + np.int64(column)
    for i in range(n):
        packed[i] = alias[packed[i]]
    for i in range(n):
        mean = min(means[i] if means[i] > 0.0 else 0.0, _LARGEST_FEW)
        bits = mixed(start + np.uint64(2 * i) * STEP)
        is_own = np.int64((bits >> _HALF) & _SHARE_REST) < packed[i] >> _COLUMN_BITS
        own, other = np.int64(bits >> _COLUMN_SHIFT), packed[i] & _ALIAS
        number = np.float64(own if is_own else other)
        row = np.int64(mean * _MEANS_PER_PHOTON)
        x = mean - np.float64(row) / _MEANS_PER_PHOTON
        u = (np.float64(bits & _LOW_HALF) + 0.5) * 2.0**-32
        # exp(-x) to 1e-11, as x < 1/4.
        none = 1.0 - x * (1.0 / 7.0) * (1.0 - x * 0.125)
        none = 1.0 - x * 0.25 * (1.0 - x * 0.2 * (1.0 - x * (1.0 / 6.0) * none))
        none = 1.0 - x * (1.0 - x * 0.5 * (1.0 - x * (1.0 / 3.0) * none))
        below = none
        number += np.float64(u >= below)
        below += none * x
        number += np.float64(u >= below)
        below += none * x * x * 0.5
        number += np.float64(u >= below)
        below += none * x * x * x * (1.0 / 6.0)
        number += np.float64(u >= below)
        below += none * x * x * x * x * (1.0 / 24.0)
        number += np.float64(u >= below)
        below += none * x * x * x * x * x * (1.0 / 120.0)
        number += np.float64(u >= below)
        numbers[i] = numbers[i] if means[i] >= FEW else number


@compiled
def photons(means: Floats, start: np.uint64, lookup: Tables, numbers: Floats) -> None:
    """Fill `numbers` with Poisson distributed numbers; 0 for a mean that is not positive.

    Parameters
    ----------
    means, numbers : (n,) ndarray
        Means, and what is filled.
    start : uint64
        Where in the sequence the pixels begin; each has two numbers and uses the first one.
    lookup : Tables
        From :func:`tables`.
    """
    many = 0
    for i in range(len(means)):
        many += int(means[i] >= FEW)
    if many > 0:
        many_photons(means, start, lookup, numbers)
    if many < len(means):
        few_photons(means, start, lookup, numbers)


@compiled
def expose(
    signal: Floats32,
    scale: float,
    key: np.uint64,
    levels: Levels,
    lookup: Tables,
    counts: NDArray[np.uint16],
) -> None:
    """Fill the counts of a frame, (pixels,).

    Parameters
    ----------
    signal : (pixels,) ndarray
        What the expected number of photons is proportional to.
    scale : float
        Photons where the signal is 1.
    key : uint64
        From :func:`frame_key`.
    levels : Levels
        The camera.
    lookup : Tables
        From :func:`tables`.
    counts : (pixels,) ndarray
        What is filled.
    """
    means, numbers, noise = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    top = float(levels.full_well)
    for first in range(0, len(counts), _BLOCK):
        some = counts[first : first + _BLOCK]
        n = len(some)
        light, dark = signal[first : first + n], levels.dark[first : first + n]
        start = key + np.uint64(2 * first) * STEP
        for i in range(n):
            means[i] = light[i] * scale
        photons(means[:n], start, lookup, numbers[:n])
        normals(start + STEP, lookup.normal, noise[:n])
        for i in range(n):
            adu = levels.gain * numbers[i] + dark[i] + levels.noise * noise[i]
            some[i] = np.uint16(np.int32(min(max(adu + 0.5, 0.0), top)))


@compiled
def fill_pattern(
    key: np.uint64,
    spread: float,
    tail_share: float,
    tail_scale: float,
    lookup: Tables,
    pattern: Floats32,
) -> None:
    """Fill the fixed pattern (rows, columns): a Gaussian, and an exponential tail for a share.

    A pixel's value depends on its place from the middle alone, so that a larger frame shows the
    same pixels and more around them.
    """
    rows, columns = pattern.shape
    value = np.empty(columns)
    for row in range(rows):
        line = mixed((key ^ np.uint64(row - rows // 2)) + STEP)
        # Two numbers a pixel, from a place far enough below zero for any camera.
        start = line - np.uint64(2 * (columns // 2)) * STEP
        normals(start, lookup.normal, value)
        for column in range(columns):
            bits = mixed(start + np.uint64(2 * column + 1) * STEP) >> _HALF
            u = (np.float64(bits) + 0.5) * 2.0**-32
            tail = -tail_scale * math.log(u / tail_share) if u < tail_share else 0.0
            pattern[row, column] = spread * value[column] + tail
