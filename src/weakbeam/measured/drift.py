"""Drift of the image over a measured scan: gathered from its frames, said, and taken out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.drift import Drift, find_drift
from weakbeam.analysis.remarks import Remark
from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.io.measured_scan import MeasuredScan

_TO_TELL, _TO_ALIGN = (24, 2**16), (48, 2**18)
"""Groups and pixels of their images, at most, to tell whether there is a drift, or take it out."""

_FEWEST_FRAMES = 5


class GroupSums:
    """Gathers the images of groups of frames that follow one another, in any order.

    A group of a grid is one row of the fastest motor or several, over which the light of every
    pixel comes and goes; of a scan along one line it is a frame or some.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    rows : (frames,) ndarray of int
        Of each frame that is taken the number of its row of the fastest motor.
    numbers : (frames,) ndarray of int
        Its number in the scan.
    to_align : bool
        Whether the drift is to be taken out, and measured as finely as may be.
    """

    def __init__(
        self, scan: MeasuredScan, rows: Ints, numbers: Ints, to_align: bool = False
    ) -> None:
        starts = np.concatenate([[0], np.cumsum(np.diff(rows) != 0)])
        count = int(starts[-1]) + 1
        groups, most = _TO_ALIGN if to_align else _TO_TELL
        self._group = starts * min(count, groups) // count
        self._frames = np.bincount(self._group).astype(float)
        self._numbers = numbers
        pixels = scan.shape[0] * scan.shape[1]
        self.bin = max(math.ceil(math.sqrt(pixels / most)), 1)
        """Rows and columns that are taken together."""
        shape = tuple(length // self.bin for length in scan.shape)
        self._sums = np.zeros((len(self._frames), *shape))

    def add(self, numbers: ArrayLike, frames: NDArray[np.generic], rows: slice) -> None:
        """Add some rows of frames by their numbers among those that are taken."""
        which = self._group[np.asarray(numbers)]
        for group in np.unique(which):
            total = frames[which == group].sum(axis=0, dtype=np.float64)
            binned = self._binned(np.nan_to_num(total), rows.start)
            first = rows.start // self.bin
            self._sums[group, first : first + len(binned)] += binned

    def drift(self, used: NDArray[np.bool_], dark: ArrayLike | None = None) -> Drift | None:
        """The drift, in pixels of the camera; see :func:`weakbeam.analysis.drift.find_drift`."""
        images = self._sums / self._frames[:, None, None]
        places = np.bincount(self._group, self._numbers) / self._frames
        good = self._binned(used.astype(float), 0) > self.bin**2 - 0.5
        level = None if dark is None else np.asarray(dark, dtype=np.float64)
        if level is not None and level.ndim:
            level = self._binned(np.nan_to_num(level), 0)
        elif level is not None:
            level = level * self.bin**2
        found = find_drift(images, places, good, level)
        if found is None:
            return None
        return replace(found, shifts=self.bin * found.shifts, error=self.bin * found.error)

    def _binned(self, image: Floats, first: int) -> Floats:
        """Sums over squares of pixels, of an image whose first row has this number."""
        if self.bin == 1:
            return image
        _, rows, columns = self._sums.shape
        image = image[: max(rows * self.bin - first, 0), : columns * self.bin]
        if not len(image):
            return image
        starts = np.flatnonzero(np.diff((first + np.arange(len(image))) // self.bin, prepend=-1))
        down = np.add.reduceat(image, starts, axis=0)
        return np.asarray(down.reshape(len(down), columns, self.bin).sum(axis=2))


def can_drift(scan: MeasuredScan, frames: int) -> bool:
    """Whether it makes sense to look for a drift: simulated scans have none."""
    return not scan.geometry and frames >= _FEWEST_FRAMES


def aligned_scan(scan: MeasuredScan, drift: Drift | None) -> MeasuredScan:
    """The scan whose frames are moved back by the drift, if that is significant.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    drift : Drift or None
        Its drift.

    Returns
    -------
    MeasuredScan
        With a remark on what was done.
    """
    if drift is None:
        text = (
            "`align` has no effect: the frames show too few details of the sample to tell a drift"
        )
    elif not drift.is_significant:
        if math.isfinite(drift.error):
            text = (
                "`align` has no effect: no drift beyond its error of "
                f"{drift.error:.2g} pixels was found"
            )
        else:
            text = (
                "`align` has no effect: too few parts of the image tell a drift to be sure that it "
                "is one of the whole image"
            )
    else:
        text = (
            f"a drift of {drift_text(drift)}, was taken out; positions are those of frame "
            f"{drift.reference:.0f}"
        )
        scan = replace(scan, shifts=drift.at(np.arange(scan.frames)))
        lost = int((~scan.used).sum()) - (0 if scan.masked is None else int(scan.masked.sum()))
        if lost:
            text += f", and {lost} pixels that not every frame shows are left out of maps"
    return scan.remarked(Remark("drift", f"{scan.where}: {text}"))


def drift_text(drift: Drift) -> str:
    """How large a drift is, in words."""
    rows, columns = drift.ranges
    first, last = round(drift.places[0]), round(drift.places[-1])
    return (
        f"{rows:.2g} rows and {columns:.2g} columns over frames {first} to {last}, "
        f"± {drift.error:.1g} pixels"
    )
