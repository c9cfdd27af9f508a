"""What is subtracted from the frames of a scan before they are mapped or drawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.core.workers import worker_count
from weakbeam.errors import InputError
from weakbeam.io.foreign import Source, read_still
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.measured_scan import MeasuredScan

BACKGROUNDS = ("none", "minimum", "median")

_OF_SCAN = ("minimum", "median")
_PIXELS_AT_ONCE = 256
_SAMPLES = 101
"""Frames, at most, of which the median is taken for pictures."""


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


def cut_to(background: Floats, scan: MeasuredScan) -> Floats:
    """The part of a background that belongs to the frames of a scan.

    Parameters
    ----------
    background : (rows, columns) ndarray
        Of the whole camera, or of the part that is read.
    scan : MeasuredScan
        The scan.

    Raises
    ------
    InputError
        If it has another shape.
    """
    if background.shape == scan.camera and scan.roi is not None:
        return background[scan.roi.rows, scan.roi.columns]
    if background.shape != scan.shape:
        allowed = f"must be one number or an image of {scan.camera or scan.shape}"
        raise InputError("background", f"{background.shape}", allowed)
    return background


def with_level(scan: MeasuredScan, background: str | float | Floats) -> MeasuredScan:
    """The scan of which pictures subtract a background.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    background : {"none", "minimum", "median"}, float or (rows, columns) ndarray
        As for :func:`weakbeam.measured.maps.map_scan`; the median is that of frames that are spread
        over the scan.

    Raises
    ------
    InputError
        If an image has another shape.
    RunError
        If frames cannot be read.
    """
    level: Floats | float | None
    if not isinstance(background, str):
        level = cut_to(np.asarray(background), scan) if np.ndim(background) else float(background)
    elif background == "minimum":
        level = np.full(scan.shape, np.inf)
        for _, frames in read_blocks(scan):
            level = np.fmin(level, np.fmin.reduce(frames, axis=0))
        level = np.where(np.isfinite(level), level, 0.0)
    elif background == "median":
        there = np.nonzero(scan.valid)[0]
        spread = np.linspace(0, len(there) - 1, min(len(there), _SAMPLES)).round()
        frames = read_frames_of(scan, there[np.unique(spread.astype(np.int64))])
        level = median_frame(frames, None)
    else:
        level = None
    if isinstance(background, str) and level is not None:
        # Of frames that were moved back a level at the edges would be that of some of them.
        level = np.where(scan.used, level, np.nan)
    return replace(scan, level=level)
