"""Which frames and pixels of a scan are taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.hot_pixels import Replacement, hot_pixels
from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.core.arrays import ArrayLike
from weakbeam.errors import InputError
from weakbeam.io.entry import ImageAxis
from weakbeam.io.frames import read_frames_of
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.region import Region
from weakbeam.measured.background import quartile_frame

_MOST_PIXELS = 4
_SAMPLE_BYTES = 2**27
_FEWEST_SAMPLES, _MOST_SAMPLES = 9, 41
"""Frames in which hot pixels are sought."""

_ANY_NM = (1.0, 1e6)
"""Sizes that a pixel can have in the sample (nm)."""


def selected(
    scan: MeasuredScan,
    *,
    skip: Sequence[int] = (),
    roi: Region | str | None = None,
    mask: ArrayLike | None = None,
    hot: float | None = None,
    pixel_nm: float | tuple[float, float] | None = None,
) -> MeasuredScan:
    """The scan without some of its frames and pixels.

    Parameters
    ----------
    scan : MeasuredScan
        The scan, from :func:`weakbeam.io.foreign.read_scan`.
    skip : sequence of int
        Numbers of frames to leave out, from 0.
    roi : Region or str, optional
        The part of the camera to read, such as ``"0:20,5:50"``, rows first; the others are not read
        from the file.
    mask : (rows, columns) array_like, optional
        Pixels that are not to be used, true or not 0: of the whole camera, or of the part.
    hot : float, optional
        Pixels that are so many standard deviations above their neighbours in most frames
        (:mod:`weakbeam.analysis.hot_pixels`) are replaced by the median of these, in every frame.
    pixel_nm : float or (float, float), optional
        Size of a pixel in the sample (nm), or the distance of rows and that of columns, of a file
        that does not state it.

    Returns
    -------
    MeasuredScan
        With remarks that say what was done.

    Raises
    ------
    InputError
        If there is no such frame or pixel, a mask has another shape, or the file states its pixel.
    RunError
        If frames cannot be read, where they are looked at.
    """
    if len(skip):
        scan = skipped(scan, skip)
    if pixel_nm is not None:
        scan = _with_pixel(scan, pixel_nm)
    if roi is not None:
        scan = _with_region(scan, Region.of_text(roi) if isinstance(roi, str) else roi)
    if mask is not None:
        scan = _masked(scan, np.asarray(mask))
    return scan if hot is None else _without_hot(scan, hot)


def skipped(scan: MeasuredScan, skip: Sequence[int]) -> MeasuredScan:
    """The scan without some of its frames.

    Raises
    ------
    InputError
        If there is no such frame.
    """
    numbers = tuple(sorted({int(number) for number in skip}))
    if not 0 <= numbers[0] <= numbers[-1] < scan.frames:
        raise InputError("skip", list(skip), f"the scan has frames 0 to {scan.frames - 1}")
    text = f"{scan.where}: {frames_text(numbers)} left out, as asked for"
    return scan.remarked(Remark("skipped", text, numbers, left_out=True))


def pixels_text(rows: ArrayLike, columns: ArrayLike, first: tuple[int, int] = (0, 0)) -> str:
    """Where pixels are on the camera: ``"(3, 4), (5, 6) and 7 more (row, column)"``.

    Parameters
    ----------
    rows, columns : (n,) array_like of int
        Where they are in the frames.
    first : (int, int)
        The numbers of the first row and column of these.
    """
    both = zip(np.asarray(rows), np.asarray(columns), strict=True)
    named = [f"({row + first[0]}, {column + first[1]})" for row, column in both]
    shown = named[:_MOST_PIXELS]
    more = f" and {len(named) - len(shown)} more" if len(named) > len(shown) else ""
    return f"{', '.join(shown)}{more} (row, column)"


def _with_pixel(scan: MeasuredScan, pixel_nm: float | tuple[float, float]) -> MeasuredScan:
    both = tuple(float(size) for size in np.broadcast_to(pixel_nm, 2))
    if not all(_ANY_NM[0] <= size <= _ANY_NM[1] for size in both):
        raise InputError("pixel_nm", pixel_nm, f"must be from {_ANY_NM[0]:g} to {_ANY_NM[1]:g}")
    if scan.image_axes is not None:
        sizes = [
            1e3 * abs(float(np.mean(np.diff(a.values_um))))
            for a in scan.image_axes
            if len(a.values_um) > 1
        ]
        said = f": {' and '.join(f'{size:.4g}' for size in sizes)}" if sizes else ""
        raise InputError("pixel_nm", pixel_nm, f"the file states the pixel itself{said}")
    axes = tuple(
        ImageAxis(
            name,
            1e-3 * size * (first + np.arange(length, dtype=np.float64)),
            f"{name} of the camera (µm)",
        )
        for name, size, length, first in zip(
            ("row", "column"), both, scan.shape, scan.first, strict=True
        )
    )
    return replace(scan, pixel_nm=(both[0], both[1]), image_axes=(axes[0], axes[1]))


def _with_region(scan: MeasuredScan, roi: Region) -> MeasuredScan:
    try:
        roi.check(scan.shape, scan.first)
    except InputError as error:
        raise InputError("roi", str(roi), error.allowed) from None
    within = roi.within(scan.first)
    axes = scan.image_axes
    if axes is not None:
        rows, columns = (
            axis._replace(values_um=axis.values_um[part])
            for axis, part in zip(axes, within, strict=True)
        )
        axes = rows, columns
    return replace(
        scan,
        roi=roi,
        camera=scan.camera or scan.shape,
        shape=roi.shape,
        image_axes=axes,
        masked=None if scan.masked is None else scan.masked[within],
        hot=None if scan.hot is None else scan.hot[within],
    )


def _masked(scan: MeasuredScan, mask: NDArray[np.generic]) -> MeasuredScan:
    whole = scan.camera or scan.shape
    if mask.shape not in (whole, scan.shape):
        given = " x ".join(map(str, mask.shape))
        allowed = f"must be an image of {whole[0]} x {whole[1]} pixels"
        raise InputError("mask", given, allowed)
    with np.errstate(invalid="ignore"):
        masked = np.asarray(mask != 0)
    if mask.shape != scan.shape and scan.roi is not None:
        masked = masked[scan.roi.rows, scan.roi.columns]
    if scan.masked is not None:
        masked = masked | scan.masked
    if masked.all():
        raise InputError("mask", None, "masks every pixel; 0 (or false) stands for pixels to use")
    count = int(masked.sum())
    text = (
        f"{scan.where}: {count} pixel{' is' if count == 1 else 's are'} masked "
        f"({count / masked.size:.2g} of all)"
    )
    return replace(scan, masked=masked).remarked(Remark("mask", text, pixels=count))


def _without_hot(scan: MeasuredScan, sigmas: float) -> MeasuredScan:
    if not (sigmas > 0.0 and math.isfinite(sigmas)):
        raise InputError("hot", sigmas, "must be a number above 0, such as 8")
    there = np.nonzero(scan.valid)[0]
    size = scan.shape[0] * scan.shape[1] * scan.dtype.itemsize
    count = int(np.clip(_SAMPLE_BYTES // max(size, 1), _FEWEST_SAMPLES, _MOST_SAMPLES))
    every = there[
        np.unique(np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int))
    ]
    usual = quartile_frame(read_frames_of(scan, every))
    usable = None if scan.masked is None else ~scan.masked
    hot = hot_pixels(usual, sigmas, usable, scan.counts)
    rows, columns = np.nonzero(hot)
    if not len(rows):
        text = f"no pixel is {sigmas:g} σ above its neighbours in most frames (`hot`)"
        return scan.remarked(Remark("hot pixels", f"{scan.where}: {text}"))
    lost = Replacement(hot, scan.masked).lost
    masked = scan.masked
    if len(lost[0]):
        masked = np.zeros(scan.shape, bool) if masked is None else masked.copy()
        masked[lost] = True
    text = (
        f"{len(rows)} hot pixel{' is' if len(rows) == 1 else 's are'} replaced by neighbours, "
        f"{sigmas:g} σ or more above these in most frames: "
        f"{pixels_text(rows, columns, scan.first)}"
    )
    mended = replace(scan, hot=hot, masked=masked)
    return mended.remarked(Remark("hot pixels", f"{scan.where}: {text}", pixels=len(rows)))
