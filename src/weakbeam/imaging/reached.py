"""How far an image is off: some of its pixels are averaged anew, over samples that lie elsewhere.

Lattices that are moved measure the same as well as those that they are moved from, and
independently of them; what takes single samples is measured by lattices. So nothing is assumed of
how errors fall with the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.imaging.routes import RayBlock, Route, Shifts
from weakbeam.imaging.sampling import SMOOTH, Block, Sampling

TWINS = 3
"""So often are pixels averaged anew."""

TRIED, SHARE_TRIED = 256, 0.01
"""Pixels that are drawn, and the share of those that are cut into slices, whichever is more.

Of fewer than that all are tried.
"""

_FINE = 2
_UNIFORM = 0.3
"""Share of the pixels drawn that are drawn evenly: expected errors may be wrong."""


class Checked(NamedTuple):
    """What a plan has come to."""

    rough: Ints
    """The pixels that are cut into slices."""
    squares: Floats
    """(rough pixels,): square of what the light of each is expected to be off."""
    norm: float
    """Root of the sum of the squares of the brightest frame."""
    weights: Floats
    """(frames,): of each frame that was looked at, in a mean of squares."""


def difference(
    sampling: Sampling,
    checked: Checked,
    q_of: Callable[[Block, Sampling], Floats],
    route: Route,
    frames: Shifts,
    twins: int = TWINS,
) -> float:
    """How far an image is off.

    Parameters
    ----------
    sampling : Sampling
        Of the image.
    checked : Checked
        What its plan has come to.
    q_of : callable
        Gives q of a block of a sampling.
    route : Route
        Evaluates the acceptance.
    frames : Shifts
        The frames that were looked at.
    twins : int
        How often they are averaged anew.

    Returns
    -------
    float
        Root mean square, relative to the image, estimated from the pixels that are tried.
    """
    pixels, counts = _tried(sampling, checked)
    own = _light(_same(sampling, pixels), pixels, q_of, route, frames)
    others = sum(
        _light(_twin(sampling, pixels, number), pixels, q_of, route, frames)
        for number in range(1, twins + 1)
    )
    off = (own - others / twins) ** 2
    # What the mean of the others is off is not that of the image.
    squares = checked.weights @ off @ counts * (twins / (twins + 1.0))
    return float(np.sqrt(squares)) / checked.norm


def _tried(sampling: Sampling, checked: Checked) -> tuple[Ints, Floats]:
    """The pixels that are tried, and for how many each of them counts."""
    most = max(TRIED, round(SHARE_TRIED * checked.rough.size))
    if checked.rough.size <= most:
        pixels, counts = checked.rough, np.ones(checked.rough.size)
        others = np.setdiff1d(np.arange(sampling.pixels), pixels)
        step = max(1, others.size // most)
        some = others[step // 2 :: step]
        return (
            np.append(pixels, some),
            np.append(counts, np.full(some.size, others.size / max(some.size, 1))),
        )
    squares = np.zeros(sampling.pixels)
    squares[checked.rough] = checked.squares
    # Those that are off most are tried most often, each of them counting for less.
    chances = np.full(squares.size, 1.0 / squares.size)
    if squares.any():
        chances = (1.0 - _UNIFORM) * squares / squares.sum() + _UNIFORM * chances
    drawn = np.random.default_rng(0).choice(squares.size, most, p=chances)
    pixels, times = np.unique(drawn, return_counts=True)
    return pixels, times / (most * chances[pixels])


def _same(sampling: Sampling, pixels: Ints) -> Sampling:
    """Some pixels as they are."""
    levels = sampling.levels[:, pixels]
    levels[:, np.isin(pixels, sampling.even)] = SMOOTH
    return sampling.part(pixels, levels, 0)


def _twin(sampling: Sampling, pixels: Ints, number: int) -> Sampling:
    """Some pixels with other samples, as many where they have lattices, more elsewhere."""
    levels = sampling.levels[:, pixels]
    return sampling.part(pixels, np.where(levels == 0, _FINE, levels).astype(np.int8), number)


def _light(
    sampling: Sampling,
    pixels: Ints,
    q_of: Callable[[Block, Sampling], Floats],
    route: Route,
    frames: Shifts,
) -> Floats:
    """Light of some pixels in every frame, (frames, pixels)."""
    image = np.zeros((len(frames.roll), len(frames.rock), pixels.size), np.float32)
    order = np.argsort(pixels)
    for blocks in sampling.blocks:
        for block in blocks:
            places = order[np.searchsorted(pixels[order], block.pixels[: block.count])]
            weights = sampling.weights(block)
            rays = RayBlock(q_of(block, sampling), weights, places, not block.whole)
            route.frames(rays, frames, image)
    return image.reshape(-1, pixels.size).astype(np.float64)
