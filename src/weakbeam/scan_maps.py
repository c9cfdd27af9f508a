"""Maps of a scan for the output file: centre of mass, width and skewness of every pixel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam._typing import Floats
from weakbeam.analysis.moments import DARK, DARK_COUNTS, ScanMoments
from weakbeam.assemble import Setup
from weakbeam.describe import map_name, motor_value
from weakbeam.imaging.scan import DetectorScan
from weakbeam.io.bliss import entry_name
from weakbeam.io.reading import read_frames
from weakbeam.simulation import dark_level

_READ_BYTES = 64 * 2**20


class CountedMoments:
    """Moments of a scan from the counts of its frames, above the dark level."""

    def __init__(self, setup: Setup, scan: DetectorScan) -> None:
        centres = {motor: float(np.mean(scan.positions[motor])) for motor in scan.moving}
        self.moments = ScanMoments(setup.experiment.camera.pixels, centres)
        self._positions = {motor: scan.motor_positions(motor) for motor in scan.moving}
        self._level = dark_level(setup.experiment)

    def add(self, numbers: NDArray[Any], frames: NDArray[Any]) -> None:
        """Add frames of the scan by their numbers."""
        for number, frame in zip(numbers, frames, strict=True):
            at = {motor: float(x[number]) for motor, x in self._positions.items()}
            self.moments.add(frame - self._level, at)

    def add_stored(self, path: Path, index: int, numbers: NDArray[Any]) -> None:
        """Add frames of the file in the order of their writing, to the same last bit."""
        at_once = max(1, _READ_BYTES // (self.moments.intensity.size * 4))
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
    dark = DARK if setup.experiment.camera.model == "ideal" else DARK_COUNTS
    maps = {}
    for motor in scan.moving:
        scale = 1e-3 if motor == "z" else math.degrees(1.0)
        maps[map_name(motor, "com")] = motor_value(
            setup, motor, moments.center_of_mass(motor, dark)
        )
        maps[map_name(motor, "fwhm")] = scale * moments.fwhm(motor, dark)
        maps[map_name(motor, "skewness")] = moments.skewness(motor, dark)
    return maps
