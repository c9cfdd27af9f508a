"""What one reflection tells of the lattice at every pixel: where it stands, and how surely."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis import curve_loops as loops
from weakbeam.analysis.distortion_solution import information_along
from weakbeam.core.arrays import Floats
from weakbeam.core.workers import in_order, worker_count
from weakbeam.diffraction.lattice_change import lattice_change, sample_turns, setting_q
from weakbeam.diffraction.planner import gaussian_response
from weakbeam.errors import InputError, RunError
from weakbeam.imaging.motors import ANGLES
from weakbeam.measured.reflection_scan import ReflectionScan, blocks_of_rows

MEMORY_BYTES = 2**29
"""Frames that are held at once."""

_TILE = 64
"""Pixels whose curves are taken out of the frames at once: a line of the processor's cache."""

_SAMPLE = 400
"""Pixels from which gain and noise are found."""

_SURE = 12.0
"""Height above the dark level, in standard deviations of it, from which on a pixel is lit."""

_FEWEST_DARK = 50.0
_FAIR_CHI2 = 1.5
"""χ² of a curve per degree of freedom up to which errors are those of the counts alone."""

_BENDING = 0.2
"""Share of a second difference by which means over parallelograms of a pixel differ."""

_SURE_BEND = 16.0
"""Squared second difference over that of noise from which on it is none."""

_LEAST_SHARE = 0.02
"""Part of the brightest pixels' height above which a pixel of a scan without noise is lit."""


@dataclass(frozen=True, eq=False)
class CurveNoise:
    """Noise of the counts of a scan.

    Parameters
    ----------
    gain : float
        Variance of the counts per count above the dark level.
    read : float
        Standard deviation without light.
    dark : float
        Dark level; NaN where every pixel's own is found from its dark frames.
    exact : bool
        Whether the frames have no noise at all, so that no errors can be told.
    found : bool
        Whether the gain was found from the scatter about the curves.
    """

    gain: float
    read: float
    dark: float = math.nan
    exact: bool = False
    found: bool = False

    @property
    def numbers(self) -> Floats:
        """What the compiled loops take."""
        return np.array([self.gain, self.read**2, self.dark, float(self.exact)])


@dataclass(frozen=True, eq=False)
class ReflectionMap:
    """The lattice at every pixel of a camera, as one reflection shows it.

    Parameters
    ----------
    scan : ReflectionScan
        The scan.
    q : (rows, columns, 3) ndarray
        What the deformation adds to q in the imaging frame: maximum likelihood of the curve, or
        from the centre of mass. NaN where dark.
    information : (rows, columns, 3, 3) ndarray
        Its inverse covariance; zero along directions that no motor of the scan moves.
    com : (rows, columns, 3) ndarray
        Centre of mass over φ, χ and 2θ (rad from the Bragg setting).
    com_covariance : (rows, columns, 3, 3) ndarray
        From the noise of the counts.
    intensity : (rows, columns) ndarray
        Height of the acceptance's peak (counts).
    chi2 : (rows, columns) ndarray
        Of the curves, per degree of freedom.
    noise : CurveNoise
        Noise of the counts.
    """

    scan: ReflectionScan
    q: Floats
    information: Floats
    com: Floats
    com_covariance: Floats
    intensity: Floats
    chi2: Floats
    noise: CurveNoise

    @property
    def lit(self) -> NDArray[np.bool_]:
        """Pixels that tell something."""
        return np.isfinite(self.q[..., 0])

    @property
    def measured(self) -> Floats:
        """Directions in the imaging frame along which q is measured, (m, 3)."""
        return response_of_scan(self.scan)

    def by_center_of_mass(self) -> ReflectionMap:
        """The same from centres of mass alone: the linear step."""
        geometry = self.scan.setup.geometry
        kept = [ANGLES.index(motor) for motor in self.scan.moving]
        response = response_of_scan(self.scan)
        lit = self.lit
        q, information = np.full_like(self.q, np.nan), np.full_like(self.information, np.nan)
        q[lit] = -setting_q(geometry, self.com[lit])
        covariance = self.com_covariance[lit][:, kept][:, :, kept]
        if self.noise.exact:
            covariance = np.broadcast_to(np.eye(len(kept)), covariance.shape)
        information[lit] = information_along(covariance, response)
        return replace(self, q=q, information=information)

    def in_crystal(self) -> tuple[Floats, Floats]:
        """Changes of the unit diffraction vector and their information, in the crystal frame.

        Returns
        -------
        change : (rows, columns, 3) ndarray
        information : (rows, columns, 3, 3) ndarray
        """
        setup = self.scan.setup
        geometry, lit = setup.geometry, self.lit
        change, information = np.full_like(self.q, np.nan), np.full_like(self.information, np.nan)
        to_crystal = setup.sample_from_crystal.T
        # Motors at rest stand where they do, and the others where the light was found.
        change[lit] = lattice_change(geometry, self.q[lit], self.com[lit]) @ to_crystal.T
        turns = np.swapaxes(sample_turns(geometry, self.com[lit]), -1, -2)
        axes = to_crystal @ turns @ geometry.lab_from_imaging
        information[lit] = axes @ self.information[lit] @ np.swapaxes(axes, -1, -2)
        return change, _where_steep(change, information, self.noise.exact)

    def known_in_crystal(self) -> Floats:
        """Directions in the crystal frame along which the change is measured, (m, 3)."""
        setup = self.scan.setup
        if len(self.scan.moving) == 3:
            return np.eye(3)
        turned = setup.geometry.imaging_from_sample @ setup.sample_from_crystal
        return np.asarray(self.measured @ turned)


def response_of_scan(scan: ReflectionScan) -> Floats:
    """R of the scan's motors, COM = -R q (docs/explanation/physics.md, E6)."""
    kept = [ANGLES.index(motor) for motor in scan.moving]
    setup = scan.setup
    return gaussian_response(setup.geometry.motor_vectors[kept], setup.acceptance.covariance())


class CurveFit:
    """The acceptance of a reflection fitted to curves, pixel by pixel.

    Parameters
    ----------
    scan : ReflectionScan
        The scan that the curves are of.
    """

    def __init__(self, scan: ReflectionScan) -> None:
        setup = scan.setup
        self.table = loops.term_table(setup.acceptance.terms, setup.acceptance.peak)
        self.precision = np.asarray(np.linalg.inv(setup.acceptance.covariance()), dtype=np.float64)
        self.offsets = np.ascontiguousarray(scan.offsets)
        self.shifts = np.ascontiguousarray(setting_q(setup.geometry, scan.offsets))
        self.steps = np.ascontiguousarray(scan.steps)

    def of(self, curves: NDArray[np.float32], noise: CurveNoise, least: float) -> Floats:
        """Results (pixels, RESULTS) of curves (pixels, frames); see the compiled loops."""
        results = np.empty((len(curves), loops.RESULTS))
        loops.fit_pixels(
            curves,
            self.shifts,
            self.offsets,
            self.steps,
            self.table,
            self.precision,
            noise.numbers,
            least,
            results,
        )
        return results


def reduce_reflection(
    scan: ReflectionScan,
    *,
    gain: float | None = None,
    dark: float | None = None,
    memory: int = MEMORY_BYTES,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ReflectionMap:
    """Fit the acceptance to the curve of every pixel.

    Parameters
    ----------
    scan : ReflectionScan
        The scan.
    gain : float, optional
        Counts per photon. By default that of the camera of a simulated file, or what the scatter
        of the counts about the curves tells.
    dark : float, optional
        Dark level (counts); by default that of each pixel in the frames that its curve leaves dark.
    memory : int
        Bytes of frames that are held at once.
    workers : int, optional
        Threads; results do not depend on it.
    progress : callable, optional
        Told which share of the work is newly done.

    Raises
    ------
    InputError
        If the gain is impossible.
    RunError
        If there is no light.
    """
    if gain is not None and not 0.0 < gain < math.inf:
        raise InputError("gain", gain, "must be a positive number of counts per photon")
    threads = worker_count(workers)
    fit = CurveFit(scan)
    rows, columns = scan.shape
    results = np.zeros((rows, columns, loops.RESULTS))
    known: tuple[CurveNoise, float] | None = None
    for part in blocks_of_rows(scan, memory):
        flat = scan.band(part, workers).reshape(scan.frames, -1)
        if known is None:
            known = _noise(fit, scan, flat, gain, dark)
        _fit_band(fit, flat, *known, threads, results[part].reshape(-1, loops.RESULTS))
        # The next band is read when this one's memory is free again.
        del flat
        if progress is not None:
            progress((part.stop - part.start) / rows)
    assert known is not None
    return _map_of(scan, results, known[0])


def _fit_band(
    fit: CurveFit,
    flat: NDArray[np.generic],
    noise: CurveNoise,
    least: float,
    threads: int,
    out: Floats,
) -> None:
    """Fit the curves of a band of rows (frames, pixels), tile after tile."""

    def fitted(tile: slice) -> Floats:
        return fit.of(_curves(flat, tile), noise, least)

    tiles = list(_tiles(flat.shape[1]))
    for tile, found in zip(tiles, in_order(fitted, tiles, threads), strict=True):
        out[tile] = found


def _tiles(pixels: int) -> Iterator[slice]:
    for start in range(0, pixels, _TILE):
        yield slice(start, min(start + _TILE, pixels))


def _curves(flat: NDArray[np.generic], tile: slice) -> NDArray[np.float32]:
    curves = np.ascontiguousarray(flat[:, tile].T, dtype=np.float32)
    return curves if flat.dtype.kind in "iu" else np.nan_to_num(curves)


def _noise(
    fit: CurveFit,
    scan: ReflectionScan,
    flat: NDArray[np.generic],
    gain: float | None,
    dark: float | None,
) -> tuple[CurveNoise, float]:
    """Noise of the counts, and the height from which on a pixel is lit."""
    pixels = np.unique(np.linspace(0, flat.shape[1] - 2, _SAMPLE // 2).astype(np.int64))
    # Pixels beside each other.
    pixels = np.stack([pixels, pixels + 1], axis=1).ravel()
    curves = np.ascontiguousarray(flat[:, pixels].T, dtype=np.float32)
    curves = np.nan_to_num(curves)
    if not scan.counts:
        top = float(curves.max())
        if not top > 0.0:
            raise RunError(f"{scan.where} has no light")
        return CurveNoise(0.0, 0.0, 0.0 if dark is None else dark, exact=True), _LEAST_SHARE * top
    model = scan.setup.detector.model if scan.own else None
    level = math.nan if dark is None else dark
    # The lower half of the values is noise about the dark level, if a scan is dark at all.
    low, middle = np.quantile(curves, [0.16, 0.5], axis=1)
    spread = max(float(np.median(middle - low)), 0.3)
    if not math.isnan(level):
        spread = max(float(np.sqrt(np.mean(np.minimum(low - level, 0.0) ** 2))), 0.3)
    first = CurveNoise(1.0 if gain is None else gain, spread, level)
    for _ in range(2):
        found = fit.of(curves, first, _SURE * first.read)
        lit = found[:, loops.LIT] > 0.0
        read = first.read
        darkness = found[:, loops.DARK_VARIANCE]
        if (darkness > 0.0).any():
            read = max(math.sqrt(float(np.median(darkness[darkness > 0.0]))), 0.29)
        elif model is not None:
            read = math.sqrt(model.read_variance + model.dark_variance_rate)
        known = gain if gain is not None else (None if model is None else model.gain)
        if known is None and lit.any():
            known = _gain(fit, curves, found, read)
        first = CurveNoise(
            1.0 if known is None else known, read, level, found=gain is None and model is None
        )
    return first, _SURE * first.read


def _gain(fit: CurveFit, curves: NDArray[np.float32], found: Floats, read: float) -> float | None:
    """Counts per photon, from how unlike neighbours scatter about their curves.

    What the model of the acceptance does not describe is alike in both.
    """
    gains = []
    for first in range(0, len(curves), 2):
        pair = found[first : first + 2]
        if (pair[:, loops.LIT] == 0.0).any():
            continue
        rests, light = np.zeros(curves.shape[1]), np.zeros(curves.shape[1])
        for sign, curve, one in zip((1.0, -1.0), curves[first : first + 2], pair, strict=True):
            values = np.empty(len(fit.shifts))
            place = fit.shifts + one[loops.Q : loops.Q + 3]
            loops.densities(fit.table, place, values, np.empty(place.shape))
            model = one[loops.SCALE] * values
            rests += sign * (curve - one[loops.DARK] - model)
            light += model
        weights = 1.0 / (light + 2.0 * read**2)
        excess = float((weights * (rests**2 - 2.0 * read**2))[light > read].sum())
        gains.append(excess / max(float((weights * light)[light > read].sum()), 1e-300))
    return max(float(np.median(gains)), 1e-3) if gains else None


def _map_of(scan: ReflectionScan, results: Floats, noise: CurveNoise) -> ReflectionMap:
    lit = results[..., loops.LIT] > 0.0
    if not lit.any():
        raise RunError(f"{scan.where} has no pixel whose curve is lit")

    def part(first: int, shape: tuple[int, ...]) -> Floats:
        size = int(np.prod(shape, dtype=np.int64))
        values = results[..., first : first + size].reshape(*results.shape[:2], *shape)
        return np.where(lit.reshape(*lit.shape, *[1] * len(shape)), values, np.nan)

    freedom = np.maximum(results[..., loops.FREEDOM], 1.0)
    chi2 = np.where(lit, results[..., loops.CHI2] / freedom, np.nan)
    q, information = part(loops.Q, (3,)), part(loops.INFORMATION, (3, 3))
    if scan.setup.vignetting:
        q = q - _off_axis(scan)
    # Curves that the model does not describe tell less than their counts promise. Bright ones
    # show that an acceptance which is linear in all angles is no more than a good approximation.
    if not noise.exact:
        information = information / np.maximum(chi2 / _FAIR_CHI2, 1.0)[..., None, None]
    if len(scan.moving) < 3:
        information = _along_motors(information, lit, scan)
    return ReflectionMap(
        scan,
        q,
        information,
        part(loops.COM, (3,)),
        part(loops.COM_COVARIANCE, (3, 3)),
        part(loops.SCALE, (1,))[..., 0],
        chi2,
        noise,
    )


def _along_motors(information: Floats, lit: NDArray[np.bool_], scan: ReflectionScan) -> Floats:
    """Only what the motors of a scan tell of q: the rest hangs on the shape of the acceptance."""
    response = response_of_scan(scan)
    precision = np.linalg.inv(scan.setup.acceptance.covariance())
    some = information[lit]
    size = np.einsum("nii->n", some) / np.trace(precision)
    covariance = np.linalg.inv(some + 1e-6 * size[:, None, None] * precision)
    kept = np.full_like(information, np.nan)
    kept[lit] = information_along(response @ covariance @ response.T, response)
    return kept


def _where_steep(change: Floats, information: Floats, exact: bool) -> Floats:
    """Less information where a map bends so much that means over a pixel are another thing.

    Cameras average over different parallelograms of the sample, which moves their values by a share
    of the second difference between neighbouring pixels. Where that is no more than noise, nothing
    is taken off.
    """
    kept = information
    for axis in (0, 1):
        bend = np.full_like(change, np.nan)
        inner = [slice(None)] * 3
        inner[axis] = slice(1, -1)
        bend[tuple(inner)] = np.diff(change, 2, axis=axis)
        pulled = np.einsum("rcij,rcj->rci", information, bend)
        deviation = np.einsum("rci,rci->rc", bend, pulled)
        # The second difference of noise has six times its variance.
        sure = np.isfinite(deviation) & (exact | (deviation > 6.0 * _SURE_BEND))
        kept = less_information(kept, _BENDING * np.where(sure[..., None], bend, 0.0))
    return kept


def less_information(information: Floats, away: Floats) -> Floats:
    """Information (..., 3, 3) with one more standard deviation, along a vector (..., 3)."""
    pulled = np.einsum("...ij,...j->...i", information, away)
    share = 1.0 + np.einsum("...i,...i->...", away, pulled)
    return np.asarray(
        information - np.einsum("...i,...j->...ij", pulled, pulled) / share[..., None, None]
    )


def _off_axis(scan: ReflectionScan) -> Floats:
    """What vignetting adds to q of every pixel, (rows, columns, 3); see the engine."""
    setup = scan.setup
    rows, columns = camera_indices(scan)
    grid = setup.grids[0]
    places = rows[..., None] * grid.row_step + columns[..., None] * grid.column_step
    seen = places @ setup.geometry.imaging_from_sample.T
    per_angle = -setup.vignetting / (2.0 * math.sin(setup.geometry.theta))
    return np.asarray(per_angle * seen * np.array([0.0, 1.0, 1.0]))


def camera_indices(scan: ReflectionScan) -> tuple[Floats, Floats]:
    """Row and column of the image of the sample that each stored pixel shows, from its middle."""
    grid, readout = scan.setup.grids[0], scan.setup.detector.readout
    rows = np.arange(grid.rows, dtype=np.float64) - 0.5 * (grid.rows - 1)
    columns = np.arange(grid.columns, dtype=np.float64) - 0.5 * (grid.columns - 1)
    place = np.stack(np.broadcast_arrays(rows[:, None], columns[None, :]))
    row, column = readout.mean(place)
    return np.asarray(row), np.asarray(column)
