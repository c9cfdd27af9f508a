"""Maps of a simulated scan for its file: moments, peak and width along each motor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.moments import DARK, DARK_COUNTS, ORDERS, ScanMoments
from weakbeam.analysis.orientation import kernel_average_misorientation, lattice_turns
from weakbeam.analysis.profiles import Curves, curve_maps
from weakbeam.analysis.reduction import ANGULAR
from weakbeam.analysis.strain import axial_strain
from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.core.workers import worker_count
from weakbeam.imaging.contract import Progress
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.imaging.scan import DetectorScan, Layer
from weakbeam.io.bliss import entry_name
from weakbeam.io.reading import read_frames
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.engines import EngineAt
from weakbeam.run.map_axes import map_name
from weakbeam.run.scan_weights import layer_weights, scan_weights

_READ_BYTES = 64 * 2**20
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class ScanSums:
    """Sums over the frames of a scan, from which its maps are made.

    Parameters
    ----------
    moments : ScanMoments
        In the units of the positions: rad, µm for z.
    curves : mapping of str to Curves
        Along each moving motor; none where they would be too large.
    """

    moments: ScanMoments
    curves: Mapping[str, Curves] = field(default_factory=dict)


def factor_sums(
    acquisition: Acquisition,
    engine_at: EngineAt,
    progress: Progress | None = None,
) -> ScanSums:
    """Sums over a scan from the factors of the acceptance, without its frames.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan; the camera is taken as one that does not count.
    engine_at : callable
        Gives the engine for a height of the sample (µm) and a setting of the motors.
    progress : callable, optional
        Called with the number of frames newly done, a float: batches count as they go on.

    Returns
    -------
    ScanSums
    """
    setup, scan = acquisition.setup, acquisition.scan
    centres = {motor: float(np.mean(scan.positions[motor])) for motor in scan.moving}
    axes = acquisition.curve_positions
    number = 1 + ORDERS * len(scan.moving) + sum(map(len, axes.values()))
    total = np.zeros((number, *setup.detector.readout.shape))
    for layer in scan.layers(setup.geometry):
        phi, arm = layer.rock_settings.T
        at = {
            "phi": (phi + scan.phi_per_two_theta * arm, None),
            "two_theta": (arm, None),
            "chi": (None, layer.roll_settings),
            "z": (np.full(len(layer.rock_shifts), layer.z), None),
        }
        rock, roll = ([weights] for weights in _weights(scan, layer))
        for motor, order in product(scan.moving, range(1, ORDERS + 1)):
            on_rock, on_roll = at[motor]
            rock.append(rock[0] * (1.0 if on_rock is None else (on_rock - centres[motor]) ** order))
            roll.append(roll[0] * (1.0 if on_roll is None else (on_roll - centres[motor]) ** order))
        for motor, positions in axes.items():
            on_rock, on_roll = at[motor]
            along_rock, along_roll = _weights(scan, layer, motor)
            for x in positions:
                rock.append(along_rock * (1.0 if on_rock is None else on_rock == x))
                roll.append(along_roll * (1.0 if on_roll is None else on_roll == x))
        total += engine_at(layer.z, layer.reference).moments(
            layer.rock_shifts, layer.roll_shifts, np.array(rock), np.array(roll), progress
        )
    return _as_sums(setup.detector.image(total), centres, axes)


def _weights(scan: DetectorScan, layer: Layer, along: str | None = None) -> tuple[Floats, Floats]:
    """Weights of the settings of φ and 2θ, and of χ, of a layer."""
    rock, roll = layer_weights(scan, layer.height, along)
    return rock[layer.rock_places], roll[layer.roll_places]


class CountedSums:
    """Sums over a scan from its frames, above those without light.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    workers : int, optional
        Threads; as many as there are cores unless given.
    """

    def __init__(self, acquisition: Acquisition, workers: int | None = None) -> None:
        setup, scan = acquisition.setup, acquisition.scan
        self.shape = setup.detector.shape
        self.saturated = 0
        """Pixels of all frames that are saturated."""
        self._centres = {motor: float(np.mean(scan.positions[motor])) for motor in scan.moving}
        weights = [np.ones(scan.frames)]
        for motor, centre in self._centres.items():
            x = scan.motor_positions(motor) - centre
            weights += [x**k for k in range(1, ORDERS + 1)]
        self._weights = np.stack(weights, axis=1) * scan_weights(scan)[:, None]
        self._axes = acquisition.curve_positions
        places, first = [], len(weights)
        for motor, positions in self._axes.items():
            places.append(first + np.searchsorted(positions, scan.motor_positions(motor)))
            first += len(positions)
        self._places = np.array(places, np.int64).reshape(len(places), scan.frames).T
        along = [scan_weights(scan, motor) for motor in self._axes]
        self._along = np.array(along).reshape(len(places), scan.frames).T
        self._sums = np.zeros((first, math.prod(self.shape)))
        self._dark = setup.detector.dark.ravel()
        largest = setup.detector.largest
        self._largest = math.inf if largest is None else float(largest)
        self._workers = worker_count(workers)

    @property
    def sums(self) -> ScanSums:
        """What has been added."""
        return _as_sums(self._sums.reshape(-1, *self.shape), self._centres, self._axes)

    def add(self, numbers: NDArray[Any], frames: NDArray[Any]) -> None:
        """Add frames of the scan by their numbers."""
        counts = np.ascontiguousarray(frames).reshape(len(frames), -1)
        weights = np.ascontiguousarray(self._weights[numbers])
        places = np.ascontiguousarray(self._places[numbers])
        along = np.ascontiguousarray(self._along[numbers])

        def block(start: int) -> int:
            part = slice(start, start + _BLOCK)
            dark, sums = self._dark[part], self._sums[:, part]
            return int(
                _add_counts(counts[:, part], dark, weights, places, along, self._largest, sums)
            )

        with ThreadPoolExecutor(self._workers) as pool:
            self.saturated += sum(pool.map(block, range(0, counts.shape[1], _BLOCK)))

    def add_stored(self, path: Path, index: int, numbers: NDArray[Any]) -> None:
        """Add frames of the file in the order of their writing, to the same last bit."""
        at_once = max(1, _READ_BYTES // (math.prod(self.shape) * 4))
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            self.add(some, read_frames(path, entry_name(index), some))


def scan_maps(acquisition: Acquisition, sums: ScanSums) -> dict[str, Floats]:
    """Maps of a scan, as the file has them.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    sums : ScanSums
        Its sums.

    Returns
    -------
    dict of str to (rows, columns) ndarray
        The maps that :func:`weakbeam.run.map_axes.map_axes` announces: deg, mm for z.
    """
    setup = acquisition.setup
    dark = DARK if setup.detector.model is None else DARK_COUNTS
    moments = sums.moments
    by_motor: dict[str, dict[str, Floats]] = {}
    for motor in acquisition.scan.moving:
        center = moments.center_of_mass(motor, dark)
        by_motor[motor] = {
            "com": center,
            "fwhm": moments.fwhm(motor, dark),
            "skewness": moments.skewness(motor, dark),
            "kurtosis": moments.kurtosis(motor, dark),
        }
        if motor in sums.curves:
            of_curve = curve_maps(sums.curves[motor])
            by_motor[motor] |= {
                kind: np.where(np.isnan(center), np.nan, values)
                for kind, values in of_curve.items()
            }
    maps = {
        map_name(motor, kind): _stored(setup, motor, kind, values)
        for motor, kinds in by_motor.items()
        for kind, values in kinds.items()
    }
    turning = acquisition.turning_motors
    if turning:
        centers = np.stack([by_motor[motor]["com"] for motor in turning])
        vectors = setup.geometry.motor_vectors[[ANGLES.index(motor) for motor in turning]]
        turns = lattice_turns(centers, vectors)
        maps["misorientation"] = np.degrees(kernel_average_misorientation(turns))
    if "two_theta" in by_motor:
        for name, kind in (("strain", "com"), ("strain_peak", "peak")):
            if kind in by_motor["two_theta"]:
                maps[name] = axial_strain(by_motor["two_theta"][kind], setup.geometry.theta)
    return maps


def _stored(setup: Setup, motor: str, kind: str, values: Floats) -> Floats:
    """Values of a map in the units of the file."""
    if kind in ("com", "peak"):
        return setup.stored_position(motor, values)
    if kind in ANGULAR:
        return values * MOTORS[motor].stored_factor
    return values


def _as_sums(sums: Floats, centres: Mapping[str, float], axes: Mapping[str, Floats]) -> ScanSums:
    """Intensity, powers of each motor and points of each curve, (sums, rows, columns)."""
    parts: Iterator[Floats] = _consecutive(
        sums, [1, *(ORDERS for _ in centres), *(len(x) for x in axes.values())]
    )
    intensity = next(parts)[0]
    powers = {motor: next(parts) for motor in centres}
    curves = {motor: Curves(x, next(parts)) for motor, x in axes.items()}
    return ScanSums(ScanMoments(intensity.shape, centres, intensity, powers), curves)


def _consecutive(sums: Floats, lengths: Sequence[int]) -> Iterator[Floats]:
    start = 0
    for length in lengths:
        yield sums[start : start + length]
        start += length


@compiled
def _add_counts(
    counts: NDArray[Any],
    dark: Floats,
    weights: Floats,
    places: Ints,
    along: Floats,
    largest: float,
    sums: Floats,
) -> int:
    """Add weighted counts above the dark ones, (frames, pixels), to sums, (weights, pixels).

    They are added once more, with weights of their own, at the places of each frame: the curves.
    Frame by frame, so that the sums do not depend on the batches. Returns the number of counts that
    are not below the largest one.
    """
    light, full = np.empty(len(dark)), 0
    for frame in range(len(counts)):
        some = counts[frame]
        for i in range(len(dark)):
            light[i] = some[i] - dark[i]
            full += int(some[i] >= largest)
        for k in range(weights.shape[1]):
            total, weight = sums[k], weights[frame, k]
            for i in range(len(dark)):
                total[i] += weight * light[i]
        for k in range(places.shape[1]):
            curve, weight = sums[places[frame, k]], along[frame, k]
            for i in range(len(dark)):
                curve[i] += weight * light[i]
    return full
