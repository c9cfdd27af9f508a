"""What is known of a scan when its maps are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.drift import Drift
from weakbeam.analysis.reduction import ScanMaps
from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.analysis.step_weights import FrameWeights
from weakbeam.analysis.survey import FrameSurvey
from weakbeam.core.arrays import Floats, Ints
from weakbeam.io.measured_scan import MeasuredScan

Lines = Iterator[tuple[str, str, tuple[int, ...], int]]
"""Kind, text, frames and number of pixels of each remark."""

SOME = 0.02
"""Share of the lit pixels from which something is worth a remark."""


@dataclass(frozen=True, eq=False)
class Findings:
    """What is known of a scan when its maps are made.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    frames : (n,) ndarray of int
        Numbers of the frames that are not left out.
    grid, weights
        Of these frames.
    maps : ScanMaps
        Their maps.
    survey : FrameSurvey
        Their sums and extremes.
    camera : FrameSurvey
        Those of the frames as the camera read them, before drift was taken out.
    used : (rows, columns) ndarray of bool
        Pixels that count.
    noise, floor : float
        Noise of dark frames and the floor in units of it.
    darkest : float
        Mean of the darkest frame above the background.
    ends : mapping of str to (rows, columns) ndarray
        Higher end of each pixel's curve over its peak.
    light_medians : int
        Pixels whose median over the scan is light.
    zingers : (rows, columns) ndarray of bool
        Pixels that are bright in a single frame.
    unlit : int
        Pixels that are nowhere above the floor.
    background : str
        ``"none"``, ``"minimum"``, ``"median"``, or ``"given"``.
    no_energy : str
        What to say of a scan of the monochromator without energies.
    apparent : bool
        Whether the arm was scanned alone.
    strain_shown : float, optional
        Share of the strain that it shows, if the instrument is known.
    drift : Drift, optional
        Drift of the image that is in these maps.
    """

    scan: MeasuredScan
    frames: Ints
    grid: ScanGrid
    weights: FrameWeights
    maps: ScanMaps
    survey: FrameSurvey
    camera: FrameSurvey
    used: NDArray[np.bool_]
    noise: float
    floor: float
    darkest: float
    ends: Mapping[str, Floats]
    light_medians: int
    zingers: NDArray[np.bool_]
    unlit: int
    background: str
    no_energy: str = ""
    apparent: bool = False
    strain_shown: float | None = None
    drift: Drift | None = None


def pixel_count(count: int) -> str:
    """So many pixels, in words."""
    return f"{count} pixel{'' if count == 1 else 's'}"
