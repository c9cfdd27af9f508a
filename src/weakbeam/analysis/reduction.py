"""Everything that is mapped of a scan, gathered in one pass over its frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.moments import DARK_COUNTS, ORDERS, ScanMoments
from weakbeam.analysis.profiles import Curves, curve_maps
from weakbeam.analysis.scan_grid import ScanGrid, find_grid
from weakbeam.core.arrays import ArrayLike, Floats

MAP_NAMES = {
    "com": "centre of mass",
    "fwhm": "FWHM (2.355 σ)",
    "fwhm_half": "FWHM at half maximum",
    "skewness": "skewness",
    "kurtosis": "excess kurtosis",
    "peak": "position of the peak",
    "peak_value": "height of the peak",
}
"""Kinds of maps of one motor."""

ANGULAR = ("com", "fwhm", "fwhm_half", "peak")
"""Those in the unit of the motor."""

OF_CURVES = ("fwhm_half", "peak", "peak_value")
"""Those that take the whole curve; the others are moments."""

_WORK_BYTES = 4 * 2**20
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class ScanMaps:
    """Maps of a scan, each of shape (rows, columns).

    Parameters
    ----------
    motors : mapping of str to (mapping of str to ndarray)
        For each motor the maps named in `MAP_NAMES`, NaN where the pixel is dark; those of the
        peak and of half maximum are absent for an irregular scan.
    intensity : ndarray
        Sum over the frames, above the background.
    brightest : ndarray
        Largest value in any frame, above the background.
    background : ndarray or float
        What was subtracted from every frame.
    lit : ndarray of bool
        Pixels that are bright enough to have maps.
    lost : int
        Values that were no finite numbers and were left out.
    """

    motors: Mapping[str, Mapping[str, Floats]]
    intensity: Floats
    brightest: Floats
    background: Floats | float
    lit: NDArray[np.bool_]
    lost: int = 0

    def masked(self, lit: NDArray[np.bool_]) -> ScanMaps:
        """The same maps with values only where `lit` is true as well."""
        both = self.lit & lit
        motors = {
            motor: {kind: np.where(both, values, np.nan) for kind, values in by_kind.items()}
            for motor, by_kind in self.motors.items()
        }
        return replace(self, motors=motors, lit=both)


class ScanReduction:
    """Gathers the moments and curves of a scan from its frames, in any order.

    Memory does not grow with the number of frames of a grid, only with the lengths of its axes.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a frame.
    positions : mapping of str to (frames,) array_like
        Position of each moving motor at every frame of the scan.
    grid : ScanGrid
        The grid of these positions.
    background : float or (rows, columns) array_like, optional
        Subtracted from every frame; what is then negative counts as 0.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        positions: Mapping[str, ArrayLike],
        grid: ScanGrid,
        background: ArrayLike | None = None,
    ) -> None:
        self._positions = {name: np.asarray(x, dtype=float) for name, x in positions.items()}
        self._grid = grid
        self._background = None if background is None else np.asarray(background, dtype=float)
        centres = {name: 0.5 * float(x.min() + x.max()) for name, x in self._positions.items()}
        self.moments = ScanMoments(shape, centres)
        self.brightest = np.full(shape, -np.inf)
        self.darkest = math.inf
        """Mean over the pixels of the frame with least light, above the background."""
        self.lost = 0
        self._curves = {
            name: np.zeros((len(axis), *shape), np.float32) for name, axis in _curve_axes(grid)
        }

    def add(self, numbers: ArrayLike, frames: ArrayLike) -> None:
        """Add frames of the scan by their numbers: (n,) and (n, rows, columns)."""
        which, taken = np.asarray(numbers), np.asarray(frames)
        at = {name: x[which] for name, x in self._positions.items()}
        rows, columns = self.moments.shape
        # A few rows of all frames at a time stay in the processor's cache.
        at_once = max(_WORK_BYTES // (8 * max(len(which) * columns, 1)), 1)
        light = np.zeros(len(which))
        for start in range(0, rows, at_once):
            some = slice(start, start + at_once)
            images = self._above_background(taken[:, some], some)
            light += images.sum(axis=(1, 2))
            self.moments.add_frames(images, at, some)
            np.maximum(self.brightest[some], images.max(axis=0), out=self.brightest[some])
            single = images.astype(np.float32)
            for name, curves in self._curves.items():
                for place, image in zip(self._grid.index[name][which], single, strict=True):
                    curves[place, some] += image
        self.darkest = min(self.darkest, float(light.min(initial=np.inf)) / (rows * columns))

    def _above_background(self, frames: NDArray[Any], rows: slice) -> Floats:
        images = np.array(frames, dtype=np.float64)
        lost = ~np.isfinite(images) if frames.dtype.kind == "f" else None
        if self._background is not None:
            level = self._background
            images -= level[rows] if level.ndim else level
            np.maximum(images, 0.0, out=images)
        if lost is not None and lost.any():
            self.lost += int(lost.sum())
            images[lost] = 0.0
        return images

    def maps(self) -> ScanMaps:
        """Return the maps of what was added; of a pixel without light there are none."""
        lit = (self.brightest > 0.0) & (self.moments.intensity > 0.0)
        motors: dict[str, dict[str, Floats]] = {}
        for name in self._positions:
            found = {
                "com": self.moments.center_of_mass(name, 0.0),
                "fwhm": self.moments.fwhm(name, 0.0),
                "skewness": self.moments.skewness(name, 0.0),
                "kurtosis": self.moments.kurtosis(name, 0.0),
            }
            if self._curves:
                # Motors that move together share the curve of the first.
                curves = self._curves.get(name, next(iter(self._curves.values())))
                found |= curve_maps(Curves(self._grid.axes[name], curves))
            motors[name] = {
                kind: np.where(lit, found[kind], np.nan) for kind in MAP_NAMES if kind in found
            }
        background = 0.0 if self._background is None else self._background
        return ScanMaps(motors, self.moments.intensity, self.brightest, background, lit, self.lost)


def map_frames(
    frames: ArrayLike,
    positions: Mapping[str, ArrayLike],
    background: ArrayLike | None = None,
    brightest: float = 0.0,
) -> ScanMaps:
    """Map a stack of frames that is in memory.

    Parameters
    ----------
    frames : (frames, rows, columns) array_like
        The stack.
    positions : mapping of str to (frames,) array_like
        Position of each moving motor at every frame.
    background : float or (rows, columns) array_like, optional
        Subtracted from every frame; what is then negative counts as 0.
    brightest : float
        A pixel whose largest value is not above this has no maps.

    Returns
    -------
    ScanMaps
        In the units of the positions.

    Raises
    ------
    ValueError
        If the stack has another number of frames than the positions, or the positions are no scan.
    """
    stack = np.asarray(frames)
    grid = find_grid(positions)
    if stack.ndim != 3 or any(len(np.asarray(x)) != len(stack) for x in positions.values()):
        raise ValueError(f"frames of shape {stack.shape} do not fit their positions")
    reduction = ScanReduction((stack.shape[1], stack.shape[2]), positions, grid, background)
    for start in range(0, len(stack), _FRAMES_AT_ONCE):
        part = stack[start : start + _FRAMES_AT_ONCE]
        reduction.add(start + np.arange(len(part)), part)
    maps = reduction.maps()
    return maps.masked(maps.brightest > brightest)


def reduction_bytes(grid: ScanGrid, motors: int, pixels: int) -> int:
    """Memory that a :class:`ScanReduction` of this many motors takes for so many pixels."""
    curves = sum(len(axis) for _, axis in _curve_axes(grid))
    return pixels * (4 * curves + 8 * (4 + motors * (ORDERS + len(MAP_NAMES))))


def dark_total(intensity: ArrayLike, share: float = DARK_COUNTS) -> float:
    """Sum over the frames below which a pixel counts as dark: a share of the brightest pixel's."""
    largest = float(np.max(np.asarray(intensity, dtype=float), initial=0.0))
    return share * largest if math.isfinite(largest) else 0.0


def _curve_axes(grid: ScanGrid) -> list[tuple[str, Floats]]:
    items = list(grid.axes.items())
    return items[:1] if grid.kind == "line" else items
