"""Maps of a measured scan: from the frames of a file to arrays."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.orientation import kernel_average_misorientation
from weakbeam.analysis.reduction import ScanMaps, ScanReduction, dark_total, reduction_bytes
from weakbeam.analysis.scan_grid import ScanGrid, find_grid
from weakbeam.analysis.strain import axial_strain, axial_strain_of_energy
from weakbeam.core.arrays import Floats
from weakbeam.core.workers import worker_count
from weakbeam.errors import InputError, RunError, naming
from weakbeam.io.foreign import MeasuredScan, read_still
from weakbeam.io.frames import read_blocks

BACKGROUNDS = ("none", "minimum", "median")
MEMORY_BYTES = 2**30

SCATTERING_MOTORS = ("obpitch", "two_theta", "tth", "twotheta", "delta")
"""Names of motors that turn the arm with objective and camera, at 2θ."""

MONOCHROMATOR = "ccmth"
"""The motor that turns the crystals of the monochromator, at their Bragg angle."""

_NO_ORIENTATION = (*SCATTERING_MOTORS, MONOCHROMATOR)
_MONOCHROMATOR_RANGE = (0.5, 45.0)
"""Bragg angles (deg) that a monochromator for hard X-rays can have."""
_PIXELS_AT_ONCE = 256
_PEDESTAL = 0.2
"""From this share of the intensity on, a constant background is worth a remark."""


@dataclass(frozen=True, eq=False)
class MeasuredMaps:
    """Maps of a measured scan.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    grid : ScanGrid
        The grid of its positions.
    maps : ScanMaps
        Moments, peak and width for each motor, in the motor's unit.
    orientation : tuple of str
        The motors that turn the sample, the slowest first: those of a mosaicity map.
    misorientation : (rows, columns) ndarray or None
        Kernel-average misorientation over them.
    strain, strain_peak : (rows, columns) ndarray or None
        Axial strain from centre of mass and from the peak, where the scattering angle or the energy
        was scanned.
    warnings : tuple of str
        What to know before the maps are trusted.
    """

    scan: MeasuredScan
    grid: ScanGrid
    maps: ScanMaps
    orientation: tuple[str, ...]
    misorientation: Floats | None
    strain: Floats | None
    strain_peak: Floats | None
    warnings: tuple[str, ...]


def map_scan(
    scan: MeasuredScan,
    background: str | float | Floats = "none",
    threshold: float = 0.0,
    relative: bool = False,
    theta: float | None = None,
    kernel: int = 3,
    workers: int | None = None,
    memory: int = MEMORY_BYTES,
    progress: Callable[[float], None] | None = None,
) -> MeasuredMaps:
    """Map a measured scan; frames are read block by block and never all held in memory.

    Parameters
    ----------
    scan : MeasuredScan
        The scan, from :func:`weakbeam.io.foreign.read_scan`.
    background : {"none", "minimum", "median"}, float or (rows, columns) ndarray
        Subtracted from every frame: nothing, each pixel's minimum or median over the scan, one
        number for all pixels, or an image. What is then negative counts as 0.
    threshold : float
        Pixels whose largest value above the background is not larger than this have no maps.
    relative : bool
        Whether the threshold is a share of the brightest pixel's.
    theta : float, optional
        Bragg angle (rad) for the strain; by default half of the arm's mean position.
    kernel : int
        Side of the square of neighbours for the misorientation.
    workers : int, optional
        Threads that unpack frames.
    memory : int
        Bytes for what is gathered of the frames; of larger images it is gathered in bands of rows,
        and the file is read once for each. The maps come on top.
    progress : callable, optional
        Told which share of the work is newly done.

    Returns
    -------
    MeasuredMaps

    Raises
    ------
    InputError
        If an argument is not allowed.
    RunError
        If frames are missing or cannot be read, or hold no light.
    """
    with naming("scan", scan.title or scan.entry):
        grid = find_grid(scan.positions)
    if kernel < 3 or kernel % 2 == 0:
        raise InputError("kernel", kernel, "must be odd and at least 3")
    if isinstance(background, str) and background not in BACKGROUNDS:
        allowed = "must be a number or one of " + ", ".join(BACKGROUNDS)
        raise InputError("background", background, allowed)
    bands = _bands(scan, grid, background, memory)
    passes = 2 if isinstance(background, str) and background != "none" else 1
    share = 1.0 / (len(bands) * passes * scan.frames)

    def blocks(rows: slice) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for numbers, frames in read_blocks(scan, rows, workers):
            yield numbers, frames
            if progress is not None:
                progress(share * len(numbers))

    parts, darkest = [], math.inf
    for rows in bands:
        level = _background(background, scan, rows, blocks, workers)
        shape = (rows.stop - rows.start, scan.shape[1])
        reduction = ScanReduction(shape, scan.positions, grid, level)
        for numbers, frames in blocks(rows):
            reduction.add(numbers, frames)
        parts.append(reduction.maps())
        darkest = min(darkest, reduction.darkest)
    maps = _joined(parts, background)
    brightest = float(maps.brightest.max())
    if not brightest > 0.0:
        raise RunError(f"{scan.path}::{scan.entry} has no light above the background")
    least = threshold * brightest if relative else threshold
    maps = maps.masked((maps.brightest > least) & (maps.intensity > dark_total(maps.intensity)))
    if not maps.lit.any():
        raise InputError(
            "threshold", threshold, f"leaves no pixel: the brightest has {brightest:g}"
        )
    turning = tuple(
        motor
        for motor in scan.positions
        if scan.units[motor] in ("deg", "rad") and motor not in _NO_ORIENTATION
    )
    turning = tuple(motor for motor in (grid.axes or scan.positions) if motor in turning)
    misorientation = None
    if turning and len({scan.units[motor] for motor in turning}) == 1:
        centers = np.stack([maps.motors[motor]["com"] for motor in turning])
        misorientation = kernel_average_misorientation(centers, kernel)
    return MeasuredMaps(
        scan=scan,
        grid=grid,
        maps=maps,
        orientation=turning,
        misorientation=misorientation,
        strain=_strain(scan, maps, theta, "com"),
        strain_peak=_strain(scan, maps, theta, "peak"),
        warnings=(*scan.warnings, *_remarks(scan, grid, maps, darkest, background)),
    )


def mean_frame(path: str | os.PathLike[str], entry: str, detector: str | None = None) -> Floats:
    """Mean of all frames of an entry, such as dark frames of a ``loopscan``.

    Parameters
    ----------
    path : path
        The file.
    entry : str
        Name of the entry.
    detector : str, optional
        Name of the detector, where there are several.

    Returns
    -------
    (rows, columns) ndarray

    Raises
    ------
    InputError
        If there is no such file, entry or detector.
    RunError
        If frames are missing or cannot be read.
    """
    scan = read_still(path, entry, detector)
    total = np.zeros(scan.shape)
    for _, frames in read_blocks(scan):
        total += frames.sum(axis=0, dtype=np.float64)
    return total / scan.frames


def _bands(
    scan: MeasuredScan, grid: ScanGrid, background: str | float | Floats, memory: int
) -> list[slice]:
    """Bands of rows, each of which can be mapped within the memory."""
    rows, columns = scan.shape
    per_row = reduction_bytes(grid, len(scan.positions), columns)
    if isinstance(background, str) and background == "median":
        per_row += scan.frames * columns * scan.dtype.itemsize
    at_once = max(min(memory // max(per_row, 1), rows), 1)
    return [slice(start, min(start + at_once, rows)) for start in range(0, rows, at_once)]


def _background(
    background: str | float | Floats,
    scan: MeasuredScan,
    rows: slice,
    blocks: Callable[[slice], Iterator[tuple[NDArray[Any], NDArray[Any]]]],
    workers: int | None,
) -> Floats | None:
    if not isinstance(background, str):
        level = np.asarray(background, dtype=np.float64)
        if level.ndim and level.shape != scan.shape:
            raise InputError(
                "background", f"{level.shape}", f"must be one number or an image of {scan.shape}"
            )
        return level[rows] if level.ndim else level
    if background == "none":
        return None
    if background == "minimum":
        lowest: Floats | None = None
        for _, frames in blocks(rows):
            least = np.fmin.reduce(frames, axis=0)
            lowest = least if lowest is None else np.fmin(lowest, least)
        return None if lowest is None else np.nan_to_num(np.asarray(lowest, dtype=np.float64))
    stack = np.empty((scan.frames, rows.stop - rows.start, scan.shape[1]), scan.dtype)
    for numbers, frames in blocks(rows):
        stack[numbers] = frames
    return _median(stack, workers)


def _median(stack: NDArray[Any], workers: int | None) -> Floats:
    """Median of each pixel over the frames, without values that are no finite numbers."""
    pixels = stack.reshape(len(stack), -1)
    found = np.empty(pixels.shape[1])

    def work(some: slice) -> None:
        # One pixel after another in memory: far faster to put in order than frame after frame.
        curves = np.ascontiguousarray(pixels[:, some].T)
        if stack.dtype.kind == "f" and not np.isfinite(curves).all():
            curves[~np.isfinite(curves)] = np.nan
            found[some] = np.nan_to_num(np.nanmedian(curves, axis=1))
        else:
            found[some] = np.median(curves, axis=1, overwrite_input=True)

    ends = range(0, len(found), _PIXELS_AT_ONCE)
    with ThreadPoolExecutor(worker_count(workers)) as pool:
        list(pool.map(work, [slice(start, start + _PIXELS_AT_ONCE) for start in ends]))
    return found.reshape(stack.shape[1:])


def _joined(parts: list[ScanMaps], background: str | float | Floats) -> ScanMaps:
    """Put the bands of an image together."""
    first = parts[0]
    motors: Mapping[str, Mapping[str, Floats]] = {
        motor: {kind: np.concatenate([part.motors[motor][kind] for part in parts]) for kind in maps}
        for motor, maps in first.motors.items()
    }
    if isinstance(background, str) and background != "none":
        level: Floats | float = np.concatenate([np.asarray(part.background) for part in parts])
    else:
        level = 0.0 if isinstance(background, str) else background
    return ScanMaps(
        motors=motors,
        intensity=np.concatenate([part.intensity for part in parts]),
        brightest=np.concatenate([part.brightest for part in parts]),
        background=level,
        lit=np.concatenate([part.lit for part in parts]),
        lost=sum(part.lost for part in parts),
    )


def _strain(scan: MeasuredScan, maps: ScanMaps, theta: float | None, kind: str) -> Floats | None:
    """Strain against the median of the map, whose lattice counts as unstrained."""
    arm = next((motor for motor in SCATTERING_MOTORS if motor in scan.positions), None)
    if arm is None:
        return _strain_of_energy(scan, maps, kind)
    if kind not in maps.motors[arm]:
        return None
    scale = 1.0 if scan.units[arm] == "rad" else math.radians(1.0)
    if theta is None:
        theta = 0.5 * scale * abs(float(np.mean(scan.positions[arm])))
    with naming("theta", theta):
        center = scale * maps.motors[arm][kind]
        return axial_strain(center - np.nanmedian(center), theta)


def _strain_of_energy(scan: MeasuredScan, maps: ScanMaps, kind: str) -> Floats | None:
    """The same of a scan of the monochromator whose positions are Bragg angles."""
    if not _tells_energy(scan) or kind not in maps.motors[MONOCHROMATOR]:
        return None
    center = _degrees(scan, MONOCHROMATOR, maps.motors[MONOCHROMATOR][kind])
    angles = np.radians(center)
    return axial_strain_of_energy(angles, float(np.nanmedian(angles)))


def _tells_energy(scan: MeasuredScan) -> bool:
    if MONOCHROMATOR not in scan.positions:
        return False
    low, high = _MONOCHROMATOR_RANGE
    angles = _degrees(scan, MONOCHROMATOR, scan.positions[MONOCHROMATOR])
    return bool(((angles > low) & (angles < high)).all())


def _degrees(scan: MeasuredScan, motor: str, values: Floats) -> Floats:
    return np.degrees(values) if scan.units[motor] == "rad" else values


def _remarks(
    scan: MeasuredScan,
    grid: ScanGrid,
    maps: ScanMaps,
    darkest: float,
    background: str | float | Floats,
) -> Iterator[str]:
    where = f"{scan.path}::{scan.entry}"
    if grid.kind == "irregular":
        yield f"{where}: positions lie on no grid; moments only, each frame counts the same"
    elif not grid.complete:
        places = " x ".join(map(str, grid.shape))
        yield f"{where}: {scan.frames} frames on a grid of {places}; curves of the last row are cut"
    if MONOCHROMATOR in scan.positions and not _tells_energy(scan):
        middle = float(np.mean(_degrees(scan, MONOCHROMATOR, scan.positions[MONOCHROMATOR])))
        yield (
            f"{where}: {MONOCHROMATOR} was scanned about {middle:.4g} deg, "
            "which is no Bragg angle of a monochromator: no strain"
        )
    if maps.lost:
        yield f"{where}: {maps.lost} values are no finite numbers and were left out"
    if isinstance(background, str) and background == "none":
        share = (
            darkest * scan.frames * maps.intensity.size / max(float(maps.intensity.sum()), 1e-300)
        )
        if share > _PEDESTAL:
            yield (
                f"{where}: the darkest frame has {darkest:.4g} a pixel, {share:.0%} of the whole; "
                "a background draws centres of mass to the middle of the scan: see `background`"
            )
