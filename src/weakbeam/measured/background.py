"""What is subtracted from the frames of a scan before they are mapped or drawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.core.workers import worker_count
from weakbeam.io.foreign import Source, read_still
from weakbeam.io.frames import read_blocks

BACKGROUNDS = ("none", "minimum", "median")

_OF_SCAN = ("minimum", "median")
_PIXELS_AT_ONCE = 256


def is_of_scan(background: str | float | Floats) -> bool:
    """Whether a background is taken from the scan itself."""
    return isinstance(background, str) and background in _OF_SCAN


def mean_frame(path: Source, entry: str, detector: str | None = None) -> Floats:
    """Mean of all frames of an entry, such as dark frames of a ``loopscan``.

    Parameters
    ----------
    path : path
        The file.
    entry : str
        Name of the entry.
    detector : str, optional
        Name of the detector, where there are several.

    Returns
    -------
    (rows, columns) ndarray

    Raises
    ------
    InputError
        If there is no such file, entry or detector.
    RunError
        If frames are missing or cannot be read.
    """
    scan = read_still(path, entry, detector)
    total = np.zeros(scan.shape)
    for _, frames in read_blocks(scan):
        total += frames.sum(axis=0, dtype=np.float64)
    return total / scan.frames


def quartile_frame(stack: NDArray[Any]) -> Floats:
    """What three quarters of each pixel's values over the frames are not below; NaN counts high."""
    place = (len(stack) - 1) // 4
    pixels = stack.reshape(len(stack), -1)
    found = np.empty(pixels.shape[1])
    for start in range(0, pixels.shape[1], _PIXELS_AT_ONCE):
        curves = np.ascontiguousarray(pixels[:, start : start + _PIXELS_AT_ONCE].T)
        found[start : start + _PIXELS_AT_ONCE] = np.partition(curves, place, axis=1)[:, place]
    return found.reshape(stack.shape[1:])


def median_frame(stack: NDArray[Any], workers: int | None) -> Floats:
    """Median of each pixel over the frames, without values that are no finite numbers."""
    pixels = stack.reshape(len(stack), -1)
    medians = np.empty(pixels.shape[1])

    def work(some: slice) -> None:
        # One pixel after another in memory: far faster to put in order than frame after frame.
        curves = np.ascontiguousarray(pixels[:, some].T)
        if stack.dtype.kind == "f" and not np.isfinite(curves).all():
            finite = np.isfinite(curves)
            curves[~finite] = np.nan
            curves[~finite.any(axis=1)] = 0.0
            medians[some] = np.nanmedian(curves, axis=1)
        else:
            medians[some] = np.median(curves, axis=1, overwrite_input=True)

    ends = range(0, len(medians), _PIXELS_AT_ONCE)
    with ThreadPoolExecutor(worker_count(workers)) as pool:
        list(pool.map(work, [slice(start, start + _PIXELS_AT_ONCE) for start in ends]))
    return medians.reshape(stack.shape[1:])
