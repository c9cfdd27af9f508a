"""Scores of all members of a library, read block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from weakbeam.core.arrays import Floats32, Ints
from weakbeam.fit.observation import Observation
from weakbeam.fit.resampling import resample
from weakbeam.identify.library.library import Library
from weakbeam.identify.search.background import remove_background
from weakbeam.identify.search.shift_scores import ShiftScores, correlation_scores, shift_scores

Progress = Callable[[float], None]

_BLOCK = 4
"""Members scored at once: their transforms fit in a core's cache."""

_READ = 64
"""Members read at once."""

_LARGE = 96
"""Least number of rows and columns from which members are first scored with 2 x 2 pixels merged."""

_SECOND_LOOK = 64
"""How many of them are then scored with all pixels."""


def score_members(
    observation: Observation,
    library: Library,
    numbers: Sequence[int],
    groups: Sequence[int],
    bound: int,
    background: str | None = None,
    workers: int | None = None,
    tell: Progress = lambda share: None,
) -> ShiftScores:
    """Scores of the visible members, in the order of `library.visible`.

    Parameters
    ----------
    observation : Observation
        The images.
    library : Library
        Ideal images of the candidates.
    numbers : sequence of int
        Number of each image's condition in the library.
    groups : sequence of int
        Conditions of one number share shift and brightness.
    bound : int
        Largest shift (pixels).
    background : str, optional
        How the background is removed for a ranking by correlation; by likelihood unless given.
    workers : int, optional
        Threads.
    tell : callable
        Told the share that is newly done, 0.7 in total.
    """
    visible = library.visible
    if background is not None:
        clean = remove_background(observation.images, background, good=observation.good)
        images = _blocks(library, visible, numbers, lambda share: tell(0.7 * share))
        return correlation_scores(clean, images, bound, background, groups, workers)
    if min(library.shape) < _LARGE or len(visible) <= _SECOND_LOOK:
        images = _blocks(library, visible, numbers, lambda share: tell(0.7 * share))
        return shift_scores(observation, images, bound, groups, workers)
    images = _blocks(library, visible, numbers, lambda share: tell(0.5 * share))
    merged = (_merged_pixels(block) for block in images)
    half = shift_scores(resample(observation, 0.5), merged, -(-bound // 2), groups, workers)
    places = np.sort(np.argsort(-half.gain, kind="stable")[:_SECOND_LOOK])
    images = _blocks(library, visible[places], numbers, lambda share: tell(0.2 * share))
    best = shift_scores(observation, images, bound, groups, workers)
    # The others keep what was found with pixels merged.
    gain, correlation = half.gain.copy(), half.correlation.copy()
    shift, peak = 2 * half.shift, 2.0 * half.peak
    np.clip(shift, -bound, bound, out=shift)
    gain[places], correlation[places] = best.gain, best.correlation
    shift[places], peak[places] = best.shift, best.peak
    return ShiftScores(gain, correlation, shift, peak)


def _blocks(
    library: Library, members: Ints, numbers: Sequence[int], tell: Progress
) -> Iterator[Floats32]:
    """Images of members under some conditions, a few members at a time."""
    blocks = np.array_split(members, -(-len(members) // _READ))
    for block in blocks:
        images = _members(library, block)[:, numbers]
        for first in range(0, len(images), _BLOCK):
            yield images[first : first + _BLOCK]
        tell(1.0 / len(blocks))


def _merged_pixels(images: Floats32) -> Floats32:
    """Means of 2 x 2 pixels; a last odd row or column is left out."""
    rows, columns = (length // 2 * 2 for length in images.shape[-2:])
    along = images[..., :rows, 0:columns:2] + images[..., :rows, 1:columns:2]
    return np.asarray(0.25 * (along[..., 0::2, :] + along[..., 1::2, :]), dtype=np.float32)


def _members(library: Library, block: Ints) -> Floats32:
    """Images of members whose numbers increase; read in one piece where they are neighbours."""
    first, last = int(block[0]), int(block[-1])
    if last - first + 1 == len(block):
        return np.asarray(library.images[first : last + 1], dtype=np.float32)
    return np.stack([np.asarray(library.images[int(k)], dtype=np.float32) for k in block])
