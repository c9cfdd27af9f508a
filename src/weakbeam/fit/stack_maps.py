r"""Maps of dislocations: a matched filter of every type over a map, and the best places in it.

A map tells how far the lattice stands beside its Bragg setting, along each motor that moves. Those
of several dislocations add up, with polynomials for a lattice that is bent, so that the filter is
exact for every candidate: with the residual d of the map, of weight W, and the pattern T of one at
a place, a line of that type there raises the log-likelihood by :math:`T^T W d - T^T W T / 2`, with
what polynomials can take of T taken out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.core.workers import in_order, worker_count
from weakbeam.defects.types import DislocationType
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_line import FittedLine
from weakbeam.fit.nuisance_terms import window_terms
from weakbeam.fit.stack_curves import ShiftMaps, curve_widths
from weakbeam.fit.stack_model import StackModel

_EDGE, _COARSE, _PLACES = 48, 3, 10_000
"""Pixels along the longer edge of a map in which lines are sought.

More, up to so many in all, where as many pixels of the camera and more would be put together.
"""

_DEPTHS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
"""Depths at which lines in the sheet are sought, in units of half of the height that is lit."""

_HEIGHTS = 7
"""Points along a ray over which the map of a line is averaged."""

_ROUGH_PX = 2.0
"""Pixels of the camera over which the change of a map counts as its error.

Near a core the shift of a curve is not the mean over what its pixel sees, and no line more should
explain that.
"""

_FAR = 12.0
"""Standard deviations of the beam's height from a line on, where a ray's middle stands for it."""

_BESIDE = 24
"""Pixels of the map beside the field, at most, in which lines are sought."""

_LEAST_SHARE = 0.05
"""Share of a pixel's rays below which they no longer tell where its curve is."""

_MOST_STEPS = 15
_DEGREE = 3
_NEAR = 3.0
"""Pixels of the map within which a line may be replaced by one of another type."""


class Candidate(NamedTuple):
    """A line that may be there."""

    line: FittedDefect
    gain: float
    """By how much it raises the log-likelihood of the map."""


class Prototype(NamedTuple):
    """A candidate at the origin, and how it is put elsewhere."""

    defect: FittedDefect
    placed: Callable[[Floats], FittedDefect]


class Pattern(NamedTuple):
    """What a matched filter needs to know of a candidate, at one depth and of one size."""

    system: tuple[object, ...]
    placed: Callable[[Floats], FittedDefect]
    """It with its middle, or that of the sheet beside it, at a point (µm, sample frame)."""
    transform: NDArray[np.complex64]
    """(motors, ...): conjugate Fourier transform of its map."""
    half_norm: Floats32
    """Half the sum of its squares, the line being at each pixel of the map and its margin."""


@dataclass(frozen=True, eq=False)
class MapFit:
    """Lines that explain a map.

    Parameters
    ----------
    lines : tuple of FittedDefect
        The lines.
    log_likelihood : float
        Of the map, the polynomials being the best.
    residual : (motors, rows, columns) ndarray
        What is left (rad).
    freedom : int
        Values of the map that count.
    """

    lines: tuple[FittedDefect, ...]
    log_likelihood: float
    residual: Floats
    freedom: int

    @property
    def reduced(self) -> float:
        """Mean of squared residuals over their variances."""
        return -2.0 * self.log_likelihood / max(self.freedom, 1)


class MapModel:
    """Maps of lines, on pixels that are put together.

    Parameters
    ----------
    model : StackModel
        Crystal and instrument.
    maps : ShiftMaps
        The map, as the camera stores images.
    bin : int, optional
        How many pixels along each axis are put together; so many that the map is small, unless
        given.
    beside : bool, optional
        Whether lines are sought beside the field, too, by up to half of it.
    """

    def __init__(
        self, model: StackModel, maps: ShiftMaps, bin: int | None = None, beside: bool = False
    ) -> None:
        self.model = model
        self.bin = _bin_of(maps.light.shape) if bin is None else bin
        self.maps = maps.binned(self.bin)
        self.shape = self.maps.light.shape
        grid = model.setup.grids[0]
        self._row, self._column = (self.bin * step for step in model.renderer.pixel_steps())
        self._middle = model.image_middle
        heights, weights = _heights(grid.depths, grid.weights)
        self._along = heights[:, None] * grid.along_ray
        self._weights = weights
        middle = float(weights @ heights / weights.sum())
        spread = math.sqrt(float(weights @ (heights - middle) ** 2 / weights.sum()))
        self._mean_ray = middle * grid.along_ray
        self._near_um = _FAR * spread * float(np.linalg.norm(grid.along_ray))
        rows, columns = self.shape
        i, j = np.meshgrid(
            np.arange(rows) - 0.5 * (rows - 1), np.arange(columns) - 0.5 * (columns - 1),
            indexing="ij",
        )  # fmt: skip
        # The binned part may lack the last rows and columns of the image.
        lost = (np.array(maps.light.shape) - self.bin * np.array(self.shape)) / (2.0 * self.bin)
        self._i, self._j = i - lost[0], j - lost[1]
        most = _BESIDE if beside else 0
        self._margin = min(rows // 2, most), min(columns // 2, most)
        wide = [
            np.arange(-margin, size + margin)
            for margin, size in zip(self._margin, self.shape, strict=True)
        ]
        self._wide_i, self._wide_j = np.meshgrid(
            wide[0] + self._i[0, 0], wide[1] + self._j[0, 0], indexing="ij"
        )
        self._wide = np.ix_(wide[0] % self._size[0], wide[1] % self._size[1])
        self._from_q = _shifts_by_q(model)[list(self.maps.motors)]
        self._q_of_gradient = model.q_of_gradient
        self._widths = curve_widths(model, model.positions, self.maps.motors)[:, None, None]
        self._half_lit = 0.5 * model.renderer.lit_depth
        self._weigh()

    def _weigh(self) -> None:
        """Weights of the map: its errors, and how well a pixel stands for what varies in it."""
        shifts = self.maps.shifts
        rough = np.zeros_like(shifts)
        for axis in (1, 2):
            if shifts.shape[axis] > 1:
                slope = np.asarray(np.gradient(shifts, axis=axis))
                rough = np.asarray(np.hypot(rough, max(1.0, _ROUGH_PX / self.bin) * slope))
        variance = self.maps.errors**2 + rough**2
        self.root = np.where(np.isfinite(variance), variance, np.inf) ** -0.5
        terms = window_terms(self.shape, _DEGREE)
        self.terms = terms
        # Polynomials of each motor's map, orthonormal under the weights.
        self._basis = []
        for root in self.root:
            columns = (terms * root).reshape(len(terms), -1).T
            self._basis.append(np.linalg.qr(columns)[0])
        self.data = self.without_bend(shifts)
        self.freedom = int((self.root > 0.0).sum())

    def without_bend(self, maps: Floats) -> Floats:
        """Maps times their weights, without what polynomials take of them, flat."""
        parts = []
        for values, root, basis in zip(maps, self.root, self._basis, strict=True):
            whole = (np.where(root > 0.0, values, 0.0) * root).ravel()
            parts.append(whole - basis @ (basis.T @ whole))
        return np.concatenate(parts)

    def of_line(self, line: FittedDefect) -> Floats:
        """Map of a line (rad), (motors, rows, columns)."""
        points = self._i[..., None] * self._row + self._j[..., None] * self._column
        return self._mean_shift(line, self._middle + points)

    def _mean_shift(self, line: FittedDefect, points: Floats) -> Floats:
        """Mean shift along the motors of rays through points (rows, columns, 3)."""
        if not isinstance(line, FittedLine):
            mean = self._mean_of_rays(line, points.reshape(-1, 3))
            return np.asarray(mean.reshape(-1, *points.shape[:-1]))
        middles = points.reshape(-1, 3) + self._mean_ray
        away = middles - line.position_um
        along = self.model.setup.sample_from_crystal @ line.type.line
        square = (away**2).sum(axis=1) - (away @ along) ** 2
        mean = self._shifts_at(line, middles)
        near = square < self._near_um**2
        mean[:, near] = self._mean_of_rays(line, points.reshape(-1, 3)[near])
        return np.asarray(mean.reshape(-1, *points.shape[:-1]))

    def _shifts_at(self, line: FittedDefect, points: Floats) -> Floats:
        """Shift along the motors at points (n, 3), (motors, n)."""
        gradient = np.zeros((9, len(points)))
        self.model.field([line]).add_to(gradient, np.ascontiguousarray(points.T))
        return np.asarray(self._from_q @ self._q_of_gradient @ gradient)

    def _mean_of_rays(self, line: FittedDefect, points: Floats) -> Floats:
        """Mean shift of rays through points (n, 3), near a line."""
        where = (points + self._along[:, None, :]).reshape(-1, 3)
        shifts = self._shifts_at(line, where).reshape(len(self._from_q), len(self._along), -1)
        # Where a sum of curves of width s seems to be, a ray that is shifted by x counts as
        # exp(-x²/4s²): the overlap of its curve with that of the others.
        share = self._weights[:, None] * np.exp(-0.25 * (shifts / self._widths) ** 2)
        total = np.maximum(share.sum(axis=1), _LEAST_SHARE * self._weights.sum())
        return np.asarray((share * shifts).sum(axis=1) / total)

    # ------------------------------------------------------------------ search

    def patterns(
        self, types: Sequence[DislocationType], workers: int | None = None
    ) -> list[Pattern]:
        """What :meth:`search` needs to know of lines of some types, in their order.

        Parameters
        ----------
        types : sequence of DislocationType
            What may be there.
        workers : int, optional
            Threads.
        """
        up = self.model.renderer.up
        prototypes: list[Prototype] = []
        for kind in types:
            line = self.model.line(kind, np.zeros(3))
            flat = line.place.in_sheet
            for depth in _DEPTHS * self._half_lit if flat else np.zeros(1):
                at = np.array([0.0, depth]) if flat else np.zeros(2)

                def placed(
                    point: Floats, kind: DislocationType = kind, depth: float = float(depth)
                ) -> FittedDefect:
                    return self.model.line(kind, point + depth * up, turning=True)

                prototypes.append(Prototype(replace(line, at=at), placed))
        return self.filters(prototypes, workers)

    def filters(self, prototypes: Sequence[Prototype], workers: int | None = None) -> list[Pattern]:
        """What :meth:`search` needs to know of candidates, in their order.

        Parameters
        ----------
        prototypes : sequence of Prototype
            What may be there.
        workers : int, optional
            Threads.
        """
        rows, columns = self.shape
        size = self._size
        away = [
            np.arange(1 - n - margin, n + margin)
            for n, margin in zip(self.shape, self._margin, strict=True)
        ]
        step = away[0][:, None, None] * self._row + away[1][None, :, None] * self._column
        index = np.ix_(np.arange(len(self.root)), away[0] % size[0], away[1] % size[1])
        squares = scipy.fft.rfft2(self.root**2, size)
        # The weights times the orthonormal polynomials: what these take of a pattern.
        taken = [
            scipy.fft.rfft2(basis.T.reshape(-1, rows, columns) * root, size)
            for basis, root in zip(self._basis, self.root, strict=True)
        ]

        def made(prototype: Prototype) -> Pattern:
            wrapped = np.zeros((len(self.root), *size))
            wrapped[index] = self._mean_shift(prototype.defect, step)
            ft, ft2 = (scipy.fft.rfft2(w).conj() for w in (wrapped, wrapped**2))
            norm = scipy.fft.irfft2((squares * ft2).sum(axis=0), size)[self._wide]
            for part, transformed in zip(taken, ft, strict=True):
                lost = scipy.fft.irfft2(part * transformed, size)
                norm = norm - (lost**2).sum(axis=0)[self._wide]
            system = prototype.defect.system
            half = (0.5 * norm).astype(np.float32)
            return Pattern(system, prototype.placed, ft.astype(np.complex64), half)

        return list(in_order(made, prototypes, worker_count(workers)))

    @property
    def _size(self) -> list[int]:
        return [
            int(scipy.fft.next_fast_len(2 * (n + margin) - 1, real=True))
            for n, margin in zip(self.shape, self._margin, strict=True)
        ]

    def search(
        self,
        patterns: Sequence[Pattern],
        residual: Floats,
        most: int,
        near: FittedDefect | None = None,
        workers: int | None = None,
    ) -> list[Candidate]:
        """The candidates by which the log-likelihood of the map rises most.

        Parameters
        ----------
        patterns : sequence of Pattern
            What may be there.
        residual : (n,) ndarray
            As :meth:`without_bend` has it.
        most : int
            How many, each of another slip system.
        near : FittedDefect, optional
            A line that they may replace: only places near it count, but for one candidate more,
            the best anywhere.
        workers : int, optional
            Threads.

        Returns
        -------
        list of Candidate
            The best first.
        """
        rows, columns = self.shape
        data = residual.reshape(-1, rows, columns) * self.root
        transformed = scipy.fft.rfft2(data, self._size).astype(np.complex64)
        there = None
        if near is not None:
            away = self._distance(near)
            there = away <= max(_NEAR, float(away.min()) + 0.5)

        def best_of(pattern: Pattern) -> list[tuple[float, int]]:
            met = scipy.fft.irfft2((transformed * pattern.transform).sum(axis=0), self._size)
            gain = met[self._wide] - pattern.half_norm
            places = [int(gain.argmax())]
            if there is not None:
                places.insert(0, int(np.where(there, gain, -np.inf).argmax()))
            return [(float(gain.flat[place]), place) for place in places]

        found: dict[Hashable, tuple[float, int, Pattern]] = {}
        anywhere: tuple[float, int, Pattern] | None = None
        everything = in_order(best_of, patterns, worker_count(workers))
        for pattern, best in zip(patterns, everything, strict=True):
            system = pattern.system
            if system not in found or best[0][0] > found[system][0]:
                found[system] = *best[0], pattern
            if near is not None and (anywhere is None or best[1][0] > anywhere[0]):
                anywhere = *best[1], pattern
        ranked = sorted(found.values(), key=lambda one: -one[0])[:most]
        return [self._candidate(*one) for one in [*ranked, *([anywhere] if anywhere else [])]]

    def _candidate(self, gain: float, place: int, pattern: Pattern) -> Candidate:
        """The line of a pattern at a place."""
        point = self._wide_i.flat[place] * self._row + self._wide_j.flat[place] * self._column
        return Candidate(pattern.placed(self._middle + point), gain)

    def _distance(self, line: FittedDefect) -> Floats:
        """Distance of each place from a line in the sheet, or else from its middle (pixels)."""
        point = line.position_um - self._middle
        steps = np.stack([self._row, self._column])
        i, j = np.linalg.lstsq(steps.T, point, rcond=None)[0]
        di, dj = self._wide_i - i, self._wide_j - j
        if line.kind == "wall":
            return np.zeros_like(di)
        if not isinstance(line, FittedLine) or not line.in_sheet:
            return np.asarray(np.hypot(di, dj))
        direction = self.model.setup.sample_from_crystal @ line.type.line
        along = np.linalg.lstsq(steps.T, direction, rcond=None)[0]
        along /= np.linalg.norm(along)
        return np.asarray(np.abs(di * along[1] - dj * along[0]))

    # ------------------------------------------------------------------ fits

    def fit(
        self,
        lines: Sequence[FittedDefect],
        moving: Sequence[int] | None = None,
        most_steps: int = _MOST_STEPS,
    ) -> MapFit:
        """Move lines to where they explain the map best.

        Parameters
        ----------
        lines : sequence of FittedDefect
            Where they begin.
        moving : sequence of int, optional
            Which of them may move; all unless given.
        most_steps : int
            Longest climb.
        """
        lines = list(lines)
        which = list(range(len(lines))) if moving is None else list(moving)
        parts = [self.without_bend(self.of_line(line)) for line in lines]
        rest = self.data - sum(parts, np.zeros_like(self.data))
        height, damping = -0.5 * float(rest @ rest), 0.0
        for _ in range(most_steps if which else 0):
            columns = []
            for k in which:
                line = lines[k]
                for axis in np.eye(len(line.names)):
                    step = axis * line.map_steps(self.bin)[0]
                    ends = [self.of_line(line.moved(way * step)) for way in (1.0, -1.0)]
                    slope = (ends[0] - ends[1]) / (2.0 * float(step.sum()))
                    columns.append(self.without_bend(slope))
            jacobian = np.stack(columns)
            matrix, gradient = jacobian @ jacobian.T, jacobian @ rest
            size = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
            scaled = matrix / np.outer(size, size)
            done = False
            for _ in range(6):
                step = np.linalg.lstsq(
                    scaled + damping * np.eye(len(size)), gradient / size, rcond=1e-9
                )[0] / size  # fmt: skip
                tried, start = list(lines), 0
                for k in which:
                    count = len(lines[k].names)
                    part = step[start : start + count]
                    longest = lines[k].map_steps(self.bin)[1]
                    part = part / max(1.0, float(np.max(np.abs(part) / longest)))
                    tried[k] = lines[k].moved(part)
                    start += count
                new = list(parts)
                for k in which:
                    new[k] = self.without_bend(self.of_line(tried[k]))
                left = self.data - sum(new, np.zeros_like(self.data))
                gained = -0.5 * float(left @ left) - height
                if gained > 0.0:
                    lines, parts, rest, height = tried, new, left, height + gained
                    damping /= 10.0
                    done = gained < 0.05
                    break
                damping = max(10.0 * damping, 1e-2)
            else:
                break
            if done:
                break
        with np.errstate(invalid="ignore", divide="ignore"):
            residual = rest.reshape(-1, *self.shape) / self.root
        return MapFit(tuple(lines), height, residual, self.freedom)

    def rest_of(self, lines: Sequence[FittedDefect]) -> Floats:
        """The data without some lines, as :meth:`search` takes it."""
        parts = [self.without_bend(self.of_line(line)) for line in lines]
        return np.asarray(self.data - sum(parts, np.zeros_like(self.data)))


def _bin_of(shape: tuple[int, ...]) -> int:
    """How many pixels along each axis are put together."""
    coarse = max(_COARSE, math.ceil(math.sqrt(math.prod(shape) / _PLACES)))
    return max(1, min(-(-max(shape) // _EDGE), coarse))


def _shifts_by_q(model: StackModel) -> Floats:
    r"""How far curves over φ, χ and 2θ are shifted by q, (3, 3).

    Where a curve over φ ends is told by q_rock' alone, over χ by q_roll, and over 2θ by the angle
    to the axis of the lens of the ray that diffracts, :math:`2 (q_{2\theta} \sin\theta -
    q_{rock'} \cos\theta) + q_{rock'} / \cos\theta` (docs/explanation/physics.md, C4).
    """
    theta = model.setup.geometry.theta
    sine, cosine = math.sin(theta), math.cos(theta)
    rows = np.array(
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0 / cosine - 2.0 * cosine, 0.0, 2.0 * sine]]
    )
    return np.asarray(rows / np.sum(rows * model.per_motor, axis=1, keepdims=True))


def _heights(depths: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """A few heights that stand for those of a beam, and their weights."""
    if len(depths) <= _HEIGHTS:
        return depths, weights
    share = np.cumsum(weights) - 0.5 * weights
    wanted = (np.arange(_HEIGHTS) + 0.5) / _HEIGHTS
    return np.interp(wanted, share, depths), np.full(_HEIGHTS, 1.0 / _HEIGHTS)
