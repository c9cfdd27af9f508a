r"""Frames whose light leaps up or down against those before and after.

The light S of a frame is compared with what a parabola of third order through its four neighbours
gives, :math:`r_k = S_k - (-S_{k-2} + 4 S_{k-1} + 4 S_{k+1} - S_{k+2}) / 6`, which is 0 wherever the
light changes smoothly over a few steps. A frame with J too much has :math:`r = J`, and the two
beside it :math:`-2J/3`; the top of a rocking curve that is two steps wide or more has nothing like
it, which tells the one from the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints

_SIGMAS = 8.0
_SIGMA_PER_MAD = 1.4826
_NEAR = 10
"""Frames on either side from which the usual difference is taken."""

_LEAST = 0.06
"""Part of the light, at least, that a jump adds or takes."""

_LEAST_OF_TOP = 0.01
_BESIDE = 0.55
"""Part of the difference, at least, that both frames beside it have with the other sign; 2/3 where
the light is smooth, and less than this at the top of a curve."""

_MOST = 0.1
"""Share of the frames, at most, that leap; more of them are curves as narrow as the steps."""

_FEWEST = 7


def jumps(totals: ArrayLike, lines: Sequence[Ints]) -> tuple[Ints, Floats]:
    """Frames that leap, and by which factor.

    Parameters
    ----------
    totals : (frames,) array_like
        Light of each frame above the dark level.
    lines : sequence of (n,) ndarray of int
        Frames that follow one another in time or along a motor.

    Returns
    -------
    numbers : (n,) ndarray of int
    factors : (n,) ndarray
        Light of each over what its neighbours let one expect.
    """
    light = np.asarray(totals, dtype=np.float64)
    top = float(light.max(initial=0.0))
    found: dict[int, float] = {}
    for line in lines:
        if len(line) >= _FEWEST and top > 0.0:
            for place, factor in _leaps(light[line], top):
                found.setdefault(int(line[place]), factor)
    if len(found) > _MOST * len(light) + 1:
        found = {}
    numbers = np.array(sorted(found), dtype=np.int64)
    return numbers, np.array([found[int(number)] for number in numbers])


def _leaps(light: Floats, top: float) -> list[tuple[int, float]]:
    """Places along a line of frames, with their factors, the largest leap first."""
    light, leaps = light.copy(), list[tuple[int, float]]()
    for _ in range(max(int(_MOST * len(light)), 1)):
        expected = (-light[:-4] + 4.0 * light[1:-3] + 4.0 * light[3:-1] - light[4:]) / 6.0
        off = np.zeros(len(light))
        off[2:-2] = light[2:-2] - expected
        # Beyond the third frame from an end there are no neighbours to compare with.
        inner = np.arange(3, len(light) - 3)
        sizes = np.array([_strength(off, light, int(k), top) for k in inner])
        if not len(sizes) or not sizes.max() > 1.0:
            break
        place = int(inner[np.argmax(sizes)])
        before = light[place]
        # What it should have been, so that its neighbours are not taken for leaps as well.
        light[place] -= off[place]
        leaps.append((place, before / light[place] if light[place] > 0.0 else np.inf))
    return leaps


def _strength(off: Floats, light: Floats, place: int, top: float) -> float:
    """How far a frame leaps, over what it takes to be one; 0 for what is no leap."""
    here, beside = off[place], np.array([off[place - 1], off[place + 1]])
    if here == 0.0 or not (-beside / here >= _BESIDE).all():
        return 0.0
    first, last = max(place - _NEAR, 2), min(place + _NEAR + 1, len(off) - 2)
    others = np.abs(off[first:last])[np.abs(np.arange(first, last) - place) > 2]
    usual = _SIGMA_PER_MAD * float(np.median(others)) if len(others) else np.inf
    expected = max(float(light[place] - here), 0.0)
    return abs(float(here)) / max(_SIGMAS * usual, _LEAST * expected, _LEAST_OF_TOP * top)
