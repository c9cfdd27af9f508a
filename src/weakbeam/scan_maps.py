"""Maps of a scan for the output file: centre of mass, width and skewness of every pixel."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam._numba import compiled
from weakbeam._typing import Floats
from weakbeam.analysis.moments import DARK, DARK_COUNTS, ORDERS, ScanMoments
from weakbeam.assemble import Setup
from weakbeam.describe import map_name, motor_value
from weakbeam.imaging.scan import DetectorScan
from weakbeam.io.bliss import entry_name
from weakbeam.io.reading import read_frames
from weakbeam.workers import worker_count

_READ_BYTES = 64 * 2**20
_BLOCK = 1024


class CountedMoments:
    """Moments of a scan from its frames, above those without light.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        One of its scans.
    workers : int, optional
        Threads; as many as there are cores unless given.
    """

    def __init__(self, setup: Setup, scan: DetectorScan, workers: int | None = None) -> None:
        self.shape = setup.detector.shape
        self.saturated = 0
        """Pixels of all frames that are saturated."""
        self._centres = {motor: float(np.mean(scan.positions[motor])) for motor in scan.moving}
        weights = [np.ones(scan.frames)]
        for motor, centre in self._centres.items():
            x = scan.motor_positions(motor) - centre
            weights += [x**k for k in range(1, ORDERS + 1)]
        self._weights = np.stack(weights, axis=1)
        self._sums = np.zeros((len(weights), math.prod(self.shape)))
        self._dark = setup.detector.dark.ravel()
        largest = setup.detector.largest
        self._largest = math.inf if largest is None else float(largest)
        self._workers = worker_count(workers)

    @property
    def moments(self) -> ScanMoments:
        """The sums as moments."""
        sums = self._sums.reshape(-1, *self.shape)
        starts = range(1, len(sums), ORDERS)
        powers = {
            motor: sums[k : k + ORDERS] for motor, k in zip(self._centres, starts, strict=True)
        }
        return ScanMoments(self.shape, self._centres, sums[0], powers)

    def add(self, numbers: NDArray[Any], frames: NDArray[Any]) -> None:
        """Add frames of the scan by their numbers."""
        counts = np.ascontiguousarray(frames).reshape(len(frames), -1)
        weights = np.ascontiguousarray(self._weights[numbers])

        def block(start: int) -> int:
            part = slice(start, start + _BLOCK)
            dark, sums = self._dark[part], self._sums[:, part]
            return int(_add_counts(counts[:, part], dark, weights, self._largest, sums))

        with ThreadPoolExecutor(self._workers) as pool:
            self.saturated += sum(pool.map(block, range(0, counts.shape[1], _BLOCK)))

    def add_stored(self, path: Path, index: int, numbers: NDArray[Any]) -> None:
        """Add frames of the file in the order of their writing, to the same last bit."""
        at_once = max(1, _READ_BYTES // (math.prod(self.shape) * 4))
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            self.add(some, read_frames(path, entry_name(index), some))


def scan_maps(setup: Setup, scan: DetectorScan, moments: ScanMoments) -> dict[str, Floats]:
    """Maps of the moments of a scan, as the file has them.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        One of its scans.
    moments : ScanMoments
        Its moments.

    Returns
    -------
    dict of str to (rows, columns) ndarray
        Centre of mass, width and skewness for each moving motor: deg, mm for z.
    """
    dark = DARK if setup.detector.model is None else DARK_COUNTS
    maps = {}
    for motor in scan.moving:
        scale = 1e-3 if motor == "z" else math.degrees(1.0)
        maps[map_name(motor, "com")] = motor_value(
            setup, motor, moments.center_of_mass(motor, dark)
        )
        maps[map_name(motor, "fwhm")] = scale * moments.fwhm(motor, dark)
        maps[map_name(motor, "skewness")] = moments.skewness(motor, dark)
    return maps


@compiled
def _add_counts(
    counts: NDArray[Any],
    dark: Floats,
    weights: Floats,
    largest: float,
    sums: Floats,
) -> int:
    """Add weighted counts above the dark ones, (frames, pixels), to sums, (weights, pixels).

    Frame by frame, so that the sums do not depend on the batches. Returns the number of counts that
    are not below the largest one.
    """
    light, full = np.empty(len(dark)), 0
    for frame in range(len(counts)):
        some = counts[frame]
        for i in range(len(dark)):
            light[i] = some[i] - dark[i]
            full += int(some[i] >= largest)
        for k in range(len(sums)):
            total, weight = sums[k], weights[frame, k]
            for i in range(len(dark)):
                total[i] += weight * light[i]
    return full
