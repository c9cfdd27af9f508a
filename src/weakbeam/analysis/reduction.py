"""Everything that is mapped of a scan, gathered in one pass over its frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.maxima import MAXIMA_NAMES, second_maxima
from weakbeam.analysis.moments import DARK_COUNTS, ORDERS, ScanMoments
from weakbeam.analysis.profiles import Curves, curve_maps
from weakbeam.analysis.scan_grid import ScanGrid, find_grid
from weakbeam.analysis.step_weights import FrameWeights, frame_weights, step_weights
from weakbeam.core.arrays import ArrayLike, Floats, Ints

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

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

LARGEST = 1e30
"""Values beyond this are no intensities; sums of their powers would be infinite."""

_OUTSIDE = 1e-9
"""Share of its range by which a centre of mass may be outside the scan: rounding."""

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
        Sum over the frames, above the background, each weighed by its step.
    brightest : ndarray
        Largest value in any frame, above the background.
    background : ndarray or float
        What was subtracted from every frame.
    lit : ndarray of bool
        Pixels that are bright enough to have maps.
    lost : int
        Values that were no finite numbers and count as the background.
    maxima : mapping of str to (mapping of str to ndarray)
        For each motor with a curve the maps named in `weakbeam.analysis.maxima.MAXIMA_NAMES`.
    whole : mapping of str to WholeCurve
        For each motor the curve of all lit pixels together.
    """

    motors: Mapping[str, Mapping[str, Floats]]
    intensity: Floats
    brightest: Floats
    background: Floats | float
    lit: NDArray[np.bool_]
    lost: int = 0
    maxima: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    whole: Mapping[str, WholeCurve] = field(default_factory=dict)

    def masked(self, lit: NDArray[np.bool_]) -> ScanMaps:
        """The same maps with values only where `lit` is true as well."""
        both = self.lit & lit

        def kept(maps: Mapping[str, Mapping[str, Floats]]) -> dict[str, dict[str, Floats]]:
            return {
                motor: {kind: np.where(both, values, np.nan) for kind, values in by_kind.items()}
                for motor, by_kind in maps.items()
            }

        return replace(self, motors=kept(self.motors), maxima=kept(self.maxima), lit=both)


@dataclass(frozen=True, eq=False)
class WholeCurve:
    """The curve along a motor of some pixels together.

    Parameters
    ----------
    positions : (n,) ndarray
        Positions of the motor.
    intensity : (n,) ndarray
        Sum over the pixels.
    """

    positions: Floats
    intensity: Floats

    def plus(self, other: WholeCurve) -> WholeCurve:
        """The curve of these pixels and of others."""
        return WholeCurve(self.positions, self.intensity + other.intensity)

    @property
    def fwhm(self) -> float:
        """2.355 σ of the curve; NaN where it has no width."""
        weights = step_weights(self.positions) * self.intensity
        total = float(weights.sum())
        if not total > 0.0:
            return math.nan
        middle = float(weights @ self.positions) / total
        variance = float(weights @ (self.positions - middle) ** 2) / total
        return FWHM_PER_SIGMA * math.sqrt(variance) if variance > 0.0 else math.nan

    @property
    def ends(self) -> tuple[float, float]:
        """Intensity at the first and the last position, over the largest."""
        largest = float(self.intensity.max())
        first, last = float(self.intensity[0]), float(self.intensity[-1])
        return (first / largest, last / largest) if largest > 0.0 else (math.nan, math.nan)


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
        Subtracted from every frame; what is then negative counts as it is.
    weights : FrameWeights, optional
        How much each frame counts; those of :func:`~weakbeam.analysis.step_weights.frame_weights`
        unless given.
    parts : sequence of ((frames,) ndarray of int, (levels, rows, columns) ndarray of bool)
        Where each pixel's sums run, as places of the frames and what is true there; over the
        whole scan unless given.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        positions: Mapping[str, ArrayLike],
        grid: ScanGrid,
        background: ArrayLike | None = None,
        weights: FrameWeights | None = None,
        parts: Sequence[tuple[Ints, NDArray[np.bool_]]] = (),
    ) -> None:
        self._positions = {name: np.asarray(x, dtype=float) for name, x in positions.items()}
        self._grid = grid
        self._background = None if background is None else np.asarray(background, dtype=float)
        self._weights = frame_weights(positions, grid) if weights is None else weights
        # Where all is true there is nothing to choose from.
        self._parts = [
            (place, part, [bool(level.all()) for level in part]) for place, part in parts
        ]
        centres = {name: 0.5 * float(x.min() + x.max()) for name, x in self._positions.items()}
        self.moments = ScanMoments(shape, centres)
        self.brightest = np.full(shape, -np.inf)
        self.light = np.zeros(len(self._weights.frame))
        """Sum over the pixels of each frame, above the background."""
        self.lost = 0
        self._curves = {
            name: np.zeros((len(axis), *shape), np.float32) for name, axis in _curve_axes(grid)
        }

    def add(self, numbers: ArrayLike, frames: ArrayLike) -> None:
        """Add frames of the scan by their numbers: (n,) and (n, rows, columns)."""
        which, taken = np.asarray(numbers), np.asarray(frames)
        rows, columns = self.moments.shape
        # A few rows of all frames at a time stay in the processor's cache.
        at_once = max(_WORK_BYTES // (8 * max(len(which) * columns, 1)), 1)
        for start in range(0, rows, at_once):
            some = slice(start, start + at_once)
            images = self._above_background(taken[:, some], some)
            self.light[which] += images.sum(axis=(1, 2))
            np.maximum(self.brightest[some], images.max(axis=0), out=self.brightest[some])
            self._add_part(which, images, some)

    def _add_part(self, which: Ints, images: Floats, rows: slice) -> None:
        """Add some rows of frames, those of each pixel that its sums run over."""
        pairs = zip(which, images, strict=True)
        inside = np.array([self._cut(number, image, rows) for number, image in pairs])
        if not inside.all():
            which, images = which[inside], images[inside]
        if not len(which):
            return
        at = {name: x[which] for name, x in self._positions.items()}
        self.moments.add_frames(images, at, rows, self._weights.frame[which])
        single = images.astype(np.float32)
        for name, curves in self._curves.items():
            factors = self._weights.along[name][which]
            places = self._grid.index[name][which]
            for place, image, factor in zip(places, single, factors, strict=True):
                curves[place, rows] += image if factor == 1.0 else np.float32(factor) * image

    def _cut(self, number: int, image: Floats, rows: slice) -> bool:
        """Set to 0 the pixels of a frame whose sums do not run over it; whether any are left."""
        for place, part, everywhere in self._parts:
            level = place[number]
            if everywhere[level]:
                continue
            here = part[level, rows]
            if not here.any():
                return False
            np.multiply(image, here, out=image)
        return True

    def _above_background(self, frames: NDArray[Any], rows: slice) -> Floats:
        images = np.array(frames, dtype=np.float64)
        lost = None
        if frames.dtype.kind == "f":
            with np.errstate(invalid="ignore", over="ignore"):
                # A sum is quicker to look at than every value.
                if not np.abs(images.sum()) < LARGEST:
                    lost = ~(np.abs(images) < LARGEST)
        if self._background is not None:
            level = self._background
            images -= level[rows] if level.ndim else level
        if lost is not None and lost.any():
            self.lost += int(lost.sum())
            images[lost] = 0.0
        return images

    def maps(self, noise: float = 0.0, shot: float = 0.0) -> ScanMaps:
        """Return the maps of what was added; of a pixel without light there are none.

        Nor are there where noise alone puts the centre of mass outside the scan.

        Parameters
        ----------
        noise, shot : float
            Of a point of the curves, for second maxima; see
            :func:`weakbeam.analysis.maxima.second_maxima`.
        """
        lit = (self.brightest > 0.0) & (self.moments.intensity > 0.0)
        for name, x in self._positions.items():
            center = self.moments.center_of_mass(name, 0.0)
            slack = _OUTSIDE * float(np.ptp(x))
            with np.errstate(invalid="ignore"):
                lit &= (center >= x.min() - slack) & (center <= x.max() + slack)
        motors: dict[str, dict[str, Floats]] = {}
        for name in self._positions:
            kinds = {
                "com": self.moments.center_of_mass(name, 0.0),
                "fwhm": self.moments.fwhm(name, 0.0),
                "skewness": self.moments.skewness(name, 0.0),
                "kurtosis": self.moments.kurtosis(name, 0.0),
            }
            curves = self._curves_along(name)
            if curves is not None:
                kinds |= curve_maps(curves)
            motors[name] = {
                kind: np.where(lit, kinds[kind], np.nan) for kind in MAP_NAMES if kind in kinds
            }
        background = 0.0 if self._background is None else self._background
        maxima = {}
        for name in self._curves:
            by_kind = second_maxima(Curves(self._grid.axes[name], self._curves[name]), noise, shot)
            maxima[name] = {kind: np.where(lit, x, np.nan) for kind, x in by_kind.items()}
        return ScanMaps(
            motors,
            self.moments.intensity,
            self.brightest,
            background,
            lit,
            self.lost,
            {name: maps for name, maps in maxima.items() if maps},
        )

    def whole_curves(self, lit: NDArray[np.bool_]) -> dict[str, WholeCurve]:
        """Curve along each motor of all pixels that are lit together; none of irregular scans."""
        whole = {}
        for name in self._positions:
            curves = self._curves_along(name)
            if curves is not None:
                total = curves.intensity[:, lit].sum(axis=1, dtype=np.float64)
                whole[name] = WholeCurve(curves.positions, total)
        return whole

    def ends(self, pedestal: ArrayLike = 0.0) -> dict[str, Floats]:
        """The higher end of each pixel's curve over its peak, along each motor.

        Parameters
        ----------
        pedestal : float or (rows, columns) array_like
            What each frame has without light above the background, which does not count.
        """
        by_motor = {}
        for name, curves in self._curves.items():
            across = len(self._weights.frame) / len(curves)
            dark = across * np.asarray(pedestal, dtype=np.float64)
            end, top = np.maximum(curves[0], curves[-1]) - dark, curves.max(axis=0) - dark
            by_motor[name] = np.where(top > 0.0, end / np.where(top > 0.0, top, 1.0), np.nan)
        return by_motor

    def _curves_along(self, motor: str) -> Curves | None:
        if not self._curves:
            return None
        # Motors that move together share the curve of the first.
        curves = self._curves.get(motor, next(iter(self._curves.values())))
        return Curves(self._grid.axes[motor], curves)


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
        Subtracted from every frame; what is then negative counts as it is.
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


def reduction_bytes(grid: ScanGrid, motors: int, pixels: int, parts: bool = False) -> int:
    """Memory that a :class:`ScanReduction` of this many motors takes for so many pixels.

    With `parts` also that of where each pixel's sums run, once lit and once widened.
    """
    curves = sum(len(axis) for _, axis in _curve_axes(grid))
    kinds = ORDERS + len(MAP_NAMES) + len(MAXIMA_NAMES)
    return pixels * ((6 if parts else 4) * curves + 8 * (4 + motors * kinds))


def dark_total(intensity: ArrayLike, share: float = DARK_COUNTS) -> float:
    """Sum over the frames below which a pixel counts as dark: a share of the brightest pixel's."""
    largest = float(np.max(np.asarray(intensity, dtype=float), initial=0.0))
    return share * largest if math.isfinite(largest) else 0.0


def _curve_axes(grid: ScanGrid) -> list[tuple[str, Floats]]:
    items = list(grid.axes.items())
    return items[:1] if grid.kind == "line" else items
