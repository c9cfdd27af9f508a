"""What is odd about a measurement, as data: kind, text, and which frames and pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Ints

_MOST_RANGES = 6


@dataclass(frozen=True)
class Remark:
    """One thing to know before a map is trusted.

    Parameters
    ----------
    kind : str
        What it is about, in one word or two, such as ``"positions"``.
    text : str
        The same for people, one line.
    frames : tuple of int
        The frames, from 0, if it is about some.
    pixels : int
        How many pixels it is about, if it is about some.
    left_out : bool
        Whether the maps are made without these frames.
    """

    kind: str
    text: str
    frames: tuple[int, ...] = ()
    pixels: int = 0
    left_out: bool = False


def frames_text(numbers: ArrayLike) -> str:
    """Frames by their numbers, in ranges: ``"frame 3"``, ``"frames 25-29, 40"``."""
    which = np.unique(np.asarray(numbers, dtype=np.int64))
    parts = [
        f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}"
        for run in np.split(which, np.nonzero(np.diff(which) > 1)[0] + 1)
    ]
    shown = ", ".join(parts[:_MOST_RANGES])
    more = f" and {len(parts) - _MOST_RANGES} more ranges" if len(parts) > _MOST_RANGES else ""
    return f"frame{'' if len(which) == 1 else 's'} {shown}{more}"


def left_out_of(remarks: Iterable[Remark]) -> Ints:
    """Frames that any of the remarks leaves out, in order."""
    frames = {number for remark in remarks if remark.left_out for number in remark.frames}
    return np.array(sorted(frames), dtype=np.int64)
