r"""Drift of the image over a scan, from what the frames show of the sample.

The light itself is no guide: over a rocking curve it sweeps across the image while nothing moves.
What stays with the sample are details, so frames are compared by their local contrast, the
difference of the logarithm of the intensity at one and at a few pixels' blur: a factor on the
light has no effect, nor has a Gaussian band of light, whose logarithm is a parabola. Where there
is no light there is no weight.

Frames that follow one another in time are taken together in groups. The shift between two groups is
where the correlation of their contrasts has its maximum, found by Newton's method on the
correlation as a sum of waves, so that no pixel is preferred. Many pairs of groups, near and far,
give the drift of each by least squares. The same is done with four parts of the image: a drift is
one for all of them, contrast that moves with the angle is not, and their scatter is the error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints

_FINE, _COARSE = 1.0, 2.5
"""Blurs between which contrast is sought (σ in pixels). A coarser one finds slow changes of the
lattice, too, whose contrast changes with the angle: it triples the error."""

_LAGS, _LAGS_OF_PARTS = (1, 2, 4, 8), (1, 4)
"""Groups so far apart are compared, of the whole image and of its parts."""

_SOFT = 0.7
"""Blur before the logarithm is taken. In light that falls off by g per pixel a blur moves what is
seen by σ²g, and g changes with the angle: the more is left for after the logarithm, the better."""

_DIM = 10.0
"""Times the noise of the blurred image at which the weight is a half."""

_FARTHEST = 0.2
"""Part of the image by which two groups may be shifted."""

_ALIKE = 0.2
"""Correlation of two contrasts, at least, that tells a shift."""

_SURE = 5.0
"""Times the usual correlation at other shifts by which the maximum stands out."""

_SMALLEST = 24
"""Rows and columns, at least, of an image that shows a drift, and half of those of its parts."""

_LEAST = 0.15
"""Drift (pixels) below which nothing needs to be said."""

_SIGNIFICANT = 6.0
_LIT = 0.1
"""Part of the light of the brightest group from which on one is looked at; others hardly count."""

_DEGREE = 3
"""Of the polynomial that tells how large a drift is, without the scatter of its points."""

_SIGMA_PER_MAD = 1.4826
_SHARP = 4
"""Power with which the weight falls off below that."""

_DARK = 0.03
"""Part of that which is added before the logarithm is taken. More of it would flatten dim contrast,
so that what is seen follows the light."""

_TINY = 1e-6
_ROUNDS = 6
_CONVERGED = 1e-3
_TURNS = 2
"""How often a pair is compared, the second time without the whole pixels of its shift."""

_FEWEST_PIXELS = 100.0
"""Lit pixels, at least, of which the contrast tells a shift."""

_FEWEST_PARTS = 3
"""Parts of the image, at least, that must tell of a drift before it is one of the whole image."""


@dataclass(frozen=True, eq=False)
class Drift:
    """Where the image of the sample stood.

    Parameters
    ----------
    places : (n,) ndarray
        Numbers of frames, increasing: the middles of the groups that were compared.
    shifts : (n, 2) ndarray
        Rows and columns by which the image stood farther on there than at the reference.
    reference : float
        The place from which is counted.
    error : float
        Standard error of a shift along one axis (pixels); infinite where the parts of the image
        were too few to tell.
    """

    places: Floats
    shifts: Floats
    reference: float
    error: float

    @property
    def ranges(self) -> tuple[float, float]:
        """By how many rows and columns the image moves, by the drift without its scatter."""
        degree = min(_DEGREE, (len(self.shifts) - 1) // 3)
        x = np.linspace(-1.0, 1.0, len(self.shifts))
        powers = np.vander(x, degree + 1)
        smooth = powers @ np.linalg.lstsq(powers, self.shifts, rcond=None)[0]
        rows, columns = np.ptp(smooth, axis=0)
        return float(rows), float(columns)

    @property
    def is_significant(self) -> bool:
        """Whether it stands out of its error, and is worth a word."""
        return max(self.ranges) > max(_LEAST, _SIGNIFICANT * math.sqrt(2.0) * self.error)

    def at(self, frames: ArrayLike) -> Floats:
        """Shifts at the numbers of frames, (n, 2); linear between the places and beyond them."""
        where = np.asarray(frames, dtype=np.float64)
        found = np.empty((len(where), 2))
        for axis in (0, 1):
            y = self.shifts[:, axis]
            found[:, axis] = np.interp(where, self.places, y)
            # Beyond the middle of the first and of the last group, as between it and the next.
            for end, beside, outside in (
                (0, 1, where < self.places[0]),
                (-1, -2, where > self.places[-1]),
            ):
                slope = (y[end] - y[beside]) / (self.places[end] - self.places[beside])
                found[outside, axis] = y[end] + slope * (where[outside] - self.places[end])
        return found


def find_drift(
    images: ArrayLike,
    places: ArrayLike,
    used: NDArray[np.bool_] | None = None,
    dark: ArrayLike | None = None,
) -> Drift | None:
    """Measure the drift of images.

    Parameters
    ----------
    images : (n, rows, columns) array_like
        Mean of each group of frames, in the order of time.
    places : (n,) array_like
        Where in the scan each stands.
    used : (rows, columns) ndarray of bool, optional
        Pixels that count; all unless given.
    dark : float or (rows, columns) array_like, optional
        Level without light; that of the darkest pixels unless given.

    Returns
    -------
    Drift or None
        None where the images show too little to tell.
    """
    sums = np.nan_to_num(np.asarray(images, dtype=np.float64))
    scale = float(np.abs(sums).max(initial=0.0)) or 1.0
    stack = np.asarray(sums / scale, dtype=np.float32)
    if dark is not None:
        dark = np.asarray(dark, dtype=np.float64) / scale
    at = np.asarray(places, dtype=np.float64)
    if len(stack) < 2 or min(stack.shape[1:]) < _SMALLEST:
        return None
    first_look = _light_above_least(stack, used)
    some = first_look >= 0.5 * _LIT
    # The darkest tell the dark level and its noise.
    some[np.argsort(first_look, kind="stable")[: len(stack) // 4]] = True
    stack, at = stack[some], at[some]
    contrasts, light = _contrasts(stack, used, dark)
    lit = np.flatnonzero(light >= _LIT * light.max())
    whole = _shifts_of(contrasts.part(lit, slice(None), slice(None)))
    if whole is None:
        return None
    known, shifts = lit[whole[0]], whole[1]
    reference = int(known[np.argmax(light[known])])
    shifts = shifts - shifts[np.flatnonzero(known == reference)[0]]
    error = _error(contrasts, known, shifts)
    return Drift(at[known], shifts, float(at[reference]), error)


def _light_above_least(stack: NDArray[np.float32], used: NDArray[np.bool_] | None) -> Floats:
    """Light of each image over that of the brightest, above the darkest: a first look."""
    pixels = stack.reshape(len(stack), -1) if used is None else stack[:, used]
    totals = pixels.sum(axis=1, dtype=np.float64)
    above = totals - totals.min()
    # Where all images are bright, all are looked at.
    even = above.max() <= 0.5 * abs(float(totals.max()))
    return np.ones(len(stack)) if even or not above.any() else above / above.max()


@dataclass(frozen=True, eq=False)
class _Contrasts:
    """Local contrast of images, (n, rows, columns), and how much each pixel of it is worth."""

    values: NDArray[np.float32]
    weights: NDArray[np.float32]

    def part(self, members: Ints, rows: slice, columns: slice) -> _Contrasts:
        """The same of some of the images, and of a part of them."""
        weights = self.weights[members][:, rows, columns]
        return _Contrasts(
            self.values[members][:, rows, columns], weights * _window(weights.shape[1:])
        )


def _contrasts(
    stack: NDArray[np.float32], used: NDArray[np.bool_] | None, dark: ArrayLike | None
) -> tuple[_Contrasts, Floats]:
    """Local contrast of each image, and how much light it has."""
    known = np.ones(stack.shape[1:], bool) if used is None else used
    weight = known.astype(np.float32)
    soft, fine, coarse = (_blurred(weight, sigma) for sigma in (_SOFT, _FINE, _COARSE))
    blurred = np.empty_like(stack)
    for image, smooth in zip(stack, blurred, strict=True):
        clean = np.where(known, _without_spikes(image, known), 0.0)
        smooth[:] = _blurred(clean, _SOFT) / np.maximum(soft, 1e-3)
    well = fine > 0.5
    if dark is None:
        darkest = float(np.percentile(blurred[:, well], 0.5))
        level: NDArray[np.floating] = np.full(stack.shape[1:], darkest, np.float32)
    else:
        level = np.broadcast_to(np.asarray(dark, dtype=np.float32), stack.shape[1:])
        level = _blurred(np.where(known, level, 0.0), _SOFT) / np.maximum(soft, 1e-3)
    blurred -= level.astype(np.float32)
    noise = _noise_of(stack, known, blurred, well)
    top = float(np.percentile(blurred[:, well], 99.9))
    least = max(_DIM * noise, 1e-3 * top, _TINY)
    light = np.zeros(len(stack))
    values, weights = np.empty_like(stack), np.empty_like(stack)
    for k, image in enumerate(blurred):
        lit = np.maximum(image, 0.0)
        logarithm = np.log(lit + _DARK * least) * weight
        near = _blurred(logarithm, _FINE) / np.maximum(fine, 1e-3)
        around = _blurred(logarithm, _COARSE) / np.maximum(coarse, 1e-3)
        smooth = _blurred(lit * weight, _COARSE) / np.maximum(coarse, 1e-3)
        values[k] = np.where(well, near - around, 0.0)
        weights[k] = np.where(well, smooth**_SHARP / (smooth**_SHARP + least**_SHARP), 0.0)
        light[k] = float((lit * weight).sum())
    return _Contrasts(values, weights), light


def _blurred(image: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    wide = np.asarray(image, dtype=np.float32)
    return np.asarray(scipy.ndimage.gaussian_filter(wide, sigma, mode="nearest", truncate=3.0))


def _without_spikes(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The image in which no pixel is above all of its neighbours but one, as hot ones are."""
    there = np.where(known, image, -np.inf)
    second = scipy.ndimage.rank_filter(there, rank=-3, size=3, mode="nearest")
    clean: NDArray[np.float32] = np.fmin(image, np.where(np.isfinite(second), second, image))
    return clean


def _noise_of(
    stack: NDArray[np.float32],
    known: NDArray[np.bool_],
    blurred: NDArray[np.float32],
    well: NDArray[np.bool_],
) -> float:
    """Noise of the blurred images where they are darkest, from neighbouring pixels."""
    differences = np.abs(np.diff(stack, axis=2))[:, :, ::2] / math.sqrt(2.0)
    both = (known[:, 1:] & known[:, :-1])[:, ::2]
    dim = blurred[:, :, :-1][:, :, ::2]
    limit = np.quantile(blurred[:, well], 0.25)
    some = differences[(dim <= limit) & both]
    if not some.size:
        return 0.0
    sigma = _SIGMA_PER_MAD * float(np.median(some))
    return sigma / (2.0 * math.sqrt(math.pi) * _SOFT)


def _window(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """1 inside, falling to 0 at the edges, which do not move with the sample."""
    sides = []
    for length in shape:
        edge = max(min(round(2.0 * _COARSE), length // 4), 1)
        rise = np.sin(0.5 * np.pi * (np.arange(edge) + 0.5) / edge) ** 2
        sides.append(np.concatenate([rise, np.ones(length - 2 * edge), rise[::-1]]))
    return np.asarray(np.outer(sides[0], sides[1]), dtype=np.float32)


def _shifts_of(contrasts: _Contrasts, lags: Sequence[int] = _LAGS) -> tuple[Ints, Floats] | None:
    """The largest set of images that can be compared, and the shift of each from their mean."""
    values, weights = contrasts.values, contrasts.weights
    size = [scipy.fft.next_fast_len(length, real=True) for length in values.shape[1:]]
    worth = weights.sum(axis=(1, 2), dtype=np.float64)
    pairs, found, strengths = [], [], []
    for first, second in _pairs(len(values), lags):
        if min(worth[first], worth[second]) < _FEWEST_PIXELS:
            continue
        result = _shift_between(contrasts, first, second, size)
        if result is None:
            continue
        shift, alike = result
        pairs.append((first, second))
        found.append(shift)
        strengths.append(alike**2 / (1.0 - min(alike, 0.99) ** 2))
    if not pairs:
        return None
    return _solved(len(values), np.array(pairs), np.array(found), np.array(strengths))


def _pairs(count: int, lags: Sequence[int]) -> Iterator[tuple[int, int]]:
    for lag in lags:
        for first in range(count - lag):
            yield first, first + lag


def _shift_between(
    contrasts: _Contrasts, first: int, second: int, size: list[int]
) -> tuple[Floats, float] | None:
    """Shift of the second contrast from the first, and their correlation there.

    Both are weighed alike, by what both show: weights of their own, which follow the light, would
    draw the shift after it.
    """
    whole = np.zeros(2, np.int64)
    for turn in range(_TURNS):
        one, other = contrasts.values[first], np.roll(contrasts.values[second], -whole, (0, 1))
        weight = contrasts.weights[first] * np.roll(contrasts.weights[second], -whole, (0, 1))
        total = float(weight.sum())
        if total < _FEWEST_PIXELS:
            return None
        a, b = ((image - float((image * weight).sum()) / total) * weight for image in (one, other))
        scale = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
        if not scale > 0.0:
            return None
        product = np.conj(scipy.fft.rfft2(a, s=size)) * scipy.fft.rfft2(b, s=size)
        correlation = scipy.fft.irfft2(product, s=size) / scale
        farthest = [max(int(_FARTHEST * length), 2) for length in size]
        rows, columns = (np.r_[-far : far + 1] for far in farthest)
        near = correlation[np.ix_(rows, columns)]
        row, column = np.unravel_index(int(np.argmax(near)), near.shape)
        top = float(near[row, column])
        usual = _SIGMA_PER_MAD * float(np.median(np.abs(near - np.median(near))))
        if top < max(_ALIKE, _SURE * usual):
            return None
        if row in (0, near.shape[0] - 1) or column in (0, near.shape[1] - 1):
            return None
        step = np.array([rows[row], columns[column]])
        if turn == _TURNS - 1 or not step.any():
            break
        # Weights that do not move with the content draw a shift to 0, by some per cent of it.
        whole += step
    return whole + _refined(product, size, step.astype(np.float64)), top


def _refined(product: NDArray[np.complexfloating], size: list[int], start: Floats) -> Floats:
    """The maximum of the correlation near a pixel, by Newton's method."""
    k = 2.0 * np.pi * scipy.fft.fftfreq(size[0])
    q = 2.0 * np.pi * scipy.fft.rfftfreq(size[1])
    double = np.full(len(q), 2.0)
    double[0] = 1.0
    if size[1] % 2 == 0:
        double[-1] = 1.0
    shift = start.copy()
    for _ in range(_ROUNDS):
        across = (
            product
            @ np.stack(
                [power * double * np.exp(1j * q * shift[1]) for power in (1.0, 1j * q, -(q**2))]
            ).T
        )
        along = np.exp(1j * k * shift[0])
        zero, first, second = (along * k**n for n in range(3))
        gradient = np.array([(1j * first @ across[:, 0]).real, (zero @ across[:, 1]).real])
        mixed = (1j * first @ across[:, 1]).real
        curvature = np.array(
            [[-(second @ across[:, 0]).real, mixed], [mixed, (zero @ across[:, 2]).real]]
        )
        if not (curvature[0, 0] < 0.0 and np.linalg.det(curvature) > 0.0):
            break
        step = -np.linalg.solve(curvature, gradient)
        shift += np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < _CONVERGED:
            break
    # The maximum is within a pixel of the largest value, or it is none.
    return shift if np.abs(shift - start).max() <= 1.0 else start


def _solved(count: int, pairs: Ints, found: Floats, weights: Floats) -> tuple[Ints, Floats] | None:
    """Places by least squares from differences, without pairs that contradict the others."""
    kept = np.ones(len(pairs), bool)
    for _ in range(_ROUNDS):
        members = _largest_component(count, pairs[kept])
        if len(members) < 2:
            return None
        inside = kept & np.isin(pairs[:, 0], members)
        index = np.full(count, -1)
        index[members] = np.arange(len(members))
        a = np.zeros((int(inside.sum()) + 1, len(members)))
        rows = np.arange(len(a) - 1)
        root = np.sqrt(weights[inside])
        a[rows, index[pairs[inside, 0]]] = -root
        a[rows, index[pairs[inside, 1]]] = root
        a[-1] = 1.0
        b = np.concatenate([root[:, None] * found[inside], np.zeros((1, 2))])
        places = np.linalg.lstsq(a, b, rcond=None)[0]
        expected = np.full((count, 2), np.nan)
        expected[members] = places
        off = np.abs(found - (expected[pairs[:, 1]] - expected[pairs[:, 0]])).max(axis=1)
        spread = _SIGMA_PER_MAD * float(np.median(off[inside]))
        better = inside & (off <= max(4.0 * spread, 0.05))
        if (better == kept).all():
            break
        kept = better
    return members, places


def _largest_component(count: int, pairs: Ints) -> Ints:
    """The largest set of images that pairs join."""
    label = np.arange(count)
    for _ in range(count):
        before = label.copy()
        for first, second in pairs:
            label[first] = label[second] = min(label[first], label[second])
        if (label == before).all():
            break
    names, sizes = np.unique(label, return_counts=True)
    return np.flatnonzero(label == names[np.argmax(sizes)])


def _error(contrasts: _Contrasts, known: Ints, shifts: Floats) -> float:
    """Standard error of the shifts, from those of four parts of the image."""
    halves = []
    for rows, columns in _parts(contrasts):
        result = _shifts_of(contrasts.part(known, rows, columns), _LAGS_OF_PARTS)
        if result is None:
            continue
        members, places = result
        own = np.full((len(known), 2), np.nan)
        # Counted as the whole is, over the groups that this part shows.
        own[members] = places - (places - shifts[members]).mean(axis=0)
        halves.append(own)
    if len(halves) < _FEWEST_PARTS:
        return math.inf
    together = np.array(halves)
    shown = np.isfinite(together).sum(axis=0)
    with np.errstate(invalid="ignore"):
        off = np.nansum((together - shifts) ** 2, axis=0)
    enough = shown >= 2
    if not enough.any():
        return math.inf
    variance = off[enough] / np.maximum(shown[enough] - 1, 1) / shown[enough]
    return math.sqrt(float(np.mean(variance)))


def _parts(contrasts: _Contrasts) -> Iterator[tuple[slice, slice]]:
    """Four parts of the image that hold about the same contrast."""
    energy = (contrasts.values**2 * contrasts.weights).sum(axis=0)
    cuts = []
    for axis in (1, 0):
        along = np.cumsum(energy.sum(axis=axis))
        middle = int(np.searchsorted(along, 0.5 * along[-1]))
        least = _SMALLEST // 2
        length = len(along)
        cuts.append(int(np.clip(middle, min(least, length // 2), max(length - least, length // 2))))
    for rows in (slice(0, cuts[0]), slice(cuts[0], None)):
        for columns in (slice(0, cuts[1]), slice(cuts[1], None)):
            yield rows, columns
