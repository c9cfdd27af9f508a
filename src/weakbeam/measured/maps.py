"""Maps of a measured scan: from the frames of a file to arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.noise import (
    FLOOR,
    DarkMean,
    LitParts,
    dark_noise,
    scan_places,
    smallest_of,
)
from weakbeam.analysis.orientation import kernel_average_misorientation, lattice_turns
from weakbeam.analysis.reduction import (
    ScanMaps,
    ScanReduction,
    WholeCurve,
    dark_total,
    reduction_bytes,
)
from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.analysis.scan_grid import ScanGrid, find_grid
from weakbeam.analysis.step_weights import FrameWeights, frame_weights
from weakbeam.analysis.survey import FrameSurvey
from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.workers import worker_count
from weakbeam.errors import InputError, RunError, naming
from weakbeam.io.foreign import Source, read_still
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.measured.remarks import Findings, remarks_on
from weakbeam.measured.response import Response, response_of
from weakbeam.measured.strain import arm_of, missing_energy, strain_of, turning_motors

BACKGROUNDS = ("none", "minimum", "median")
MEMORY_BYTES = 2**30

_OF_SCAN = ("minimum", "median")
_PIXELS_AT_ONCE = 256
_FRAMES_AT_ONCE = 64
_LARGEST_KERNEL = 99
"""Side of the square of neighbours (pixels); the time grows with its area."""

_SURE = 5.0
"""Times the noise by which a median is above the darkest value where it is light."""

_SOME_LIGHT = 1e-3
"""Part of a pixel's range, at least, by which such a median is above the darkest value."""

_PAIRS = 16
"""Pairs of frames from which the noise is estimated."""
_PIXELS_OF_NOISE = 2**14
"""Pixels of a frame, at most, that are looked at for it."""
_FEWEST_FRAMES = 16
"""With fewer frames than this there are none of which one can say that they hold no light."""


@dataclass(frozen=True, eq=False)
class MeasuredMaps:
    """Maps of a measured scan.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    grid : ScanGrid
        The grid of the positions of the frames that are not left out.
    maps : ScanMaps
        Moments, peak and width for each motor, in the motor's unit.
    orientation : tuple of str
        The motors that turn the sample, the slowest first: those of a mosaicity map.
    misorientation : (rows, columns) ndarray or None
        Kernel-average misorientation over them.
    strain, strain_peak : (rows, columns) ndarray or None
        Axial strain from centre of mass and from the peak, where the scattering angle or the energy
        was scanned.
    remarks : tuple of Remark
        What to know before the maps are trusted.
    apparent : bool
        Whether that strain is an apparent one: the arm was scanned alone.
    response : Response or None
        How the instrument answers to strain and rotations, of simulated scans.
    noise : float
        Standard deviation of the values of frames without light; 0 where it was not estimated.
    floor : float
        Times the noise by which a pixel stands out where it is lit; 0: sums over the whole scan.
    """

    scan: MeasuredScan
    grid: ScanGrid
    maps: ScanMaps
    orientation: tuple[str, ...]
    misorientation: Floats | None
    strain: Floats | None
    strain_peak: Floats | None
    remarks: tuple[Remark, ...]
    apparent: bool = False
    response: Response | None = None
    noise: float = 0.0
    floor: float = 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """The remarks, a line each."""
        return tuple(remark.text for remark in self.remarks)

    @property
    def turns(self) -> Floats:
        """Turns of the lattice, one map for each motor of `orientation`, in its unit.

        Of simulated scans along two axes at right angles across the diffraction vector; otherwise
        the centres of mass as they are.
        """
        centers = np.stack([self.maps.motors[motor]["com"] for motor in self.orientation])
        vectors = None if self.response is None else self.response.turning(self.orientation)
        return centers if vectors is None else lattice_turns(centers, vectors)


@dataclass(frozen=True, eq=False)
class _Taken:
    """The frames of a scan that are not left out."""

    scan: MeasuredScan
    numbers: Ints
    """Their numbers in the scan."""
    positions: Mapping[str, Floats]
    grid: ScanGrid
    weights: FrameWeights

    @property
    def frames(self) -> int:
        return len(self.numbers)

    @property
    def itemsize(self) -> int:
        return self.scan.dtype.itemsize

    def blocks(self, rows: slice, workers: int | None) -> Iterator[tuple[Ints, NDArray[Any]]]:
        """Blocks of these frames, by their numbers among them."""
        place = np.full(self.scan.frames, -1)
        place[self.numbers] = np.arange(self.frames)
        for numbers, frames in read_blocks(self.scan, rows, workers):
            there = place[numbers] >= 0
            if there.all():
                yield place[numbers], frames
            elif there.any():
                yield place[numbers][there], frames[there]


@dataclass(frozen=True, eq=False)
class _Choices:
    """What was asked for."""

    background: str | float | Floats
    floor: float
    memory: int
    workers: int | None

    @property
    def kind(self) -> str:
        """Name of the background; ``"given"`` for numbers."""
        return self.background if isinstance(self.background, str) else "given"

    @property
    def of_scan(self) -> bool:
        """Whether the background is taken from the scan itself."""
        return _is_of_scan(self.background)


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
    floor: float | None = None,
    skip: Sequence[int] = (),
) -> MeasuredMaps:
    """Map a measured scan; frames are read block by block.

    Parameters
    ----------
    scan : MeasuredScan
        The scan, from :func:`weakbeam.io.foreign.read_scan`. Frames that its remarks leave out are
        left out, and so are frames of zeros among others that have counts.
    background : {"none", "minimum", "median"}, float or (rows, columns) ndarray
        Subtracted from every frame: nothing, each pixel's minimum or median over the scan, one
        number for all pixels, or an image. What is then negative counts as it is. With a floor the
        median is refined to the mean of the frames in which the pixel is not lit.
    threshold : float
        Pixels whose largest value above the background is not larger than this have no maps.
    relative : bool
        Whether the threshold is a share of the brightest pixel's; one that is bright in a single
        frame and brighter than all others by far does not count.
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
    floor : float, optional
        A pixel is lit in a frame where it is this many times the noise above the background, and
        its sums run over the part of the scan in which it is lit
        (:mod:`weakbeam.analysis.noise`); 0 for sums over the whole scan. By default 5 for counts
        and where the background is taken from the scan, whose noise it shares, and 0 otherwise.
    skip : sequence of int
        Frames to leave out, from 0.

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
    if not 3 <= kernel <= _LARGEST_KERNEL or kernel % 2 == 0:
        raise InputError("kernel", kernel, f"must be odd, from 3 to {_LARGEST_KERNEL}")
    if isinstance(background, str) and background not in BACKGROUNDS:
        allowed = "must be a number or one of " + ", ".join(BACKGROUNDS)
        raise InputError("background", background, allowed)
    if not isinstance(background, str) and np.ndim(background):
        given = np.shape(background)
        if given != scan.shape:
            allowed = f"must be one number or an image of {scan.shape}"
            raise InputError("background", f"{given}", allowed)
    if theta is not None and not 0.0 < theta < 0.5 * math.pi:
        shown = float(f"{math.degrees(theta):g}")
        raise InputError("theta", shown, "must be a Bragg angle, above 0 and below 90 deg")
    if floor is not None and not (floor >= 0.0 and math.isfinite(floor)):
        raise InputError("floor", floor, "must be a number from 0 on")
    usual = FLOOR if scan.dtype.kind in "iu" or _is_of_scan(background) else 0.0
    choices = _Choices(background, usual if floor is None else floor, memory, workers)
    scan = _skipped(scan, skip)
    shares = _Progress(progress)
    gathered = _gathered(_taken(scan), choices, shares)
    if not gathered.maps.lit.any():
        if floor:
            raise InputError("floor", floor, "leaves no pixel")
        # What was taken for the noise of dark frames is none.
        choices = replace(choices, floor=0.0)
        gathered = _gathered(_taken(scan), choices, shares)
    lost = list(_lost(gathered))
    if lost:
        scan = scan.remarked(*lost)
        gathered = _gathered(_taken(scan), choices, shares)
    shares.done()
    if floor and gathered.floor == 0.0:
        text = (
            f"{scan.where}: `floor` has no effect, since there are no {_FEWEST_FRAMES} frames, or "
            "all values are above it without a background: sums run over the whole scan"
        )
        scan = scan.remarked(Remark("floor", text))
        gathered = replace(gathered, taken=replace(gathered.taken, scan=scan))
    if theta is not None and arm_of(scan) is None:
        text = f"{scan.where}: `theta` has no effect, since no arm was scanned"
        scan = scan.remarked(Remark("theta", text))
        gathered = replace(gathered, taken=replace(gathered.taken, scan=scan))
    return _maps_of(gathered, choices, threshold, relative, theta, kernel)


def _is_of_scan(background: str | float | Floats) -> bool:
    return isinstance(background, str) and background in _OF_SCAN


def mean_frame(path: Source, entry: str, detector: str | None = None) -> Floats:
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


class _Progress:
    """Tells shares of the work that add up to the whole, however often frames are read."""

    def __init__(self, tell: Callable[[float], None] | None) -> None:
        self._tell = tell
        self._so_far = 0.0

    def add(self, share: float) -> None:
        new = min(share, 1.0 - self._so_far)
        self._so_far += new
        if self._tell is not None and new > 0.0:
            self._tell(new)

    def done(self) -> None:
        self.add(1.0)


@dataclass(frozen=True, eq=False)
class _Gathered:
    """What the frames of a scan have told."""

    taken: _Taken
    maps: ScanMaps
    survey: FrameSurvey
    noise: float
    floor: float
    darkest: float
    ends: Mapping[str, Floats]
    light_medians: int


def _lost(gathered: _Gathered) -> Iterator[Remark]:
    """What to say of frames that hold nothing, and are left out."""
    survey, where = gathered.survey, gathered.taken.scan.where
    unknown = np.nonzero(survey.unknown)[0] if not survey.unknown.all() else np.zeros(0, np.int64)
    empty = survey.lost_frames(gathered.taken.grid.kind == "line")
    for kind, lost, what in (("empty", empty, "zeros"), ("no numbers", unknown, "NaN")):
        if len(lost):
            numbers = tuple(int(k) for k in gathered.taken.numbers[lost])
            verb, are = ("holds", "is") if len(numbers) == 1 else ("hold", "are")
            text = f"{where}: {frames_text(numbers)} {verb} nothing but {what} and {are} left out"
            yield Remark(kind, text, numbers, left_out=True)


def _skipped(scan: MeasuredScan, skip: Sequence[int]) -> MeasuredScan:
    if not len(skip):
        return scan
    numbers = tuple(sorted({int(number) for number in skip}))
    if not 0 <= numbers[0] <= numbers[-1] < scan.frames:
        raise InputError("skip", list(skip), f"the scan has frames 0 to {scan.frames - 1}")
    text = f"{scan.where}: {frames_text(numbers)} left out, as asked for"
    return scan.remarked(Remark("skipped", text, numbers, left_out=True))


def _taken(scan: MeasuredScan) -> _Taken:
    (numbers,) = np.nonzero(scan.valid)
    positions = {motor: x[numbers] for motor, x in scan.positions.items()}
    if len(numbers) < 2 or any(np.ptp(x) == 0.0 for x in positions.values()):
        raise RunError(
            f"{scan.where}: {len(numbers)} of {scan.frames} frames are left, and no scan: "
            + "; ".join(remark.text for remark in scan.remarks if remark.left_out)
        )
    with naming("scan", scan.title or scan.entry):
        grid = find_grid(positions)
    weights = frame_weights(positions, grid)
    if scan.monitor is not None:
        beam = scan.monitor[numbers]
        weights = weights.times(float(np.median(beam)) / beam)
    return _Taken(scan, numbers, positions, grid, weights)


def _gathered(taken: _Taken, choices: _Choices, shares: _Progress) -> _Gathered:
    """Read the frames and gather everything that is mapped, in bands of rows."""
    scan, shape = taken.scan, taken.scan.shape
    noise, floor = _noise_and_floor(taken, choices)
    survey = FrameSurvey(shape, taken.frames, scan.dtype)
    passes = 1 + (floor > 0.0) + (choices.kind == "minimum")
    held = passes > 1 or choices.kind == "median"
    stack_bytes = taken.frames * shape[1] * taken.itemsize
    per_row = reduction_bytes(taken.grid, len(taken.positions), shape[1], floor > 0.0)
    if held and choices.kind != "median" and (per_row + stack_bytes) * shape[0] > choices.memory:
        # Of frames that are not taken from memory bands would be read again and again.
        held = False
    per_row += stack_bytes if held else 0
    at_once = max(min(choices.memory // max(per_row, 1), shape[0]), 1)
    bands = [slice(k, min(k + at_once, shape[0])) for k in range(0, shape[0], at_once)]
    share = 1.0 / (len(bands) * (1 if held else passes) * taken.frames)
    parts, light, light_medians = [], np.zeros(taken.frames), 0
    ends: list[dict[str, Floats]] = []
    for rows in bands:
        source = _Band(taken, rows, choices.workers, held, survey, shares, share)
        level = _background(choices, source, noise)
        reduction = _reduced(source, level, noise, floor, choices)
        shot = 1.0 if scan.dtype.kind in "iu" else 0.0
        maps = reduction.maps(_curve_noise(taken, noise), shot)
        alive = ~survey.stuck[rows]
        parts.append(replace(maps, whole=reduction.whole_curves(maps.lit & alive)))
        ends.append(reduction.ends(_pedestal(taken, survey, rows, noise, choices)))
        # Pixels that never change have a value of their own in every frame.
        constant = (survey.top[rows] - maps.background)[~alive]
        light += reduction.light - float(constant.sum())
        light_medians += source.light_medians
    return _Gathered(
        taken,
        _joined(parts, choices.background),
        survey,
        noise,
        floor,
        float(light.min()) / max(int((~survey.stuck).sum()), 1),
        {motor: np.concatenate([some[motor] for some in ends]) for motor in ends[0]},
        light_medians,
    )


class _Band:
    """Some rows of the frames, read once if they are held in memory, or whenever asked for."""

    def __init__(
        self,
        taken: _Taken,
        rows: slice,
        workers: int | None,
        held: bool,
        survey: FrameSurvey,
        shares: _Progress,
        share: float,
    ) -> None:
        self.taken, self.rows = taken, rows
        self.shape = (rows.stop - rows.start, taken.scan.shape[1])
        self._workers, self._survey, self._shares, self._share = workers, survey, shares, share
        self._surveyed = False
        self.light_medians = 0
        """Pixels whose median is light, and no background."""
        self.stack: NDArray[Any] | None = None
        if held:
            stack = np.empty((taken.frames, *self.shape), taken.scan.dtype)
            for numbers, frames in self._read():
                stack[numbers] = frames
            self.stack = stack

    def blocks(self) -> Iterator[tuple[Ints, NDArray[Any]]]:
        """The frames, by their numbers among those that are taken."""
        if self.stack is None:
            yield from self._read()
            return
        for start in range(0, len(self.stack), _FRAMES_AT_ONCE):
            some = self.stack[start : start + _FRAMES_AT_ONCE]
            yield start + np.arange(len(some)), some

    def _read(self) -> Iterator[tuple[Ints, NDArray[Any]]]:
        surveyed, self._surveyed = self._surveyed, True
        for numbers, frames in self.taken.blocks(self.rows, self._workers):
            if not surveyed:
                self._survey.add(numbers, frames, self.rows)
            yield numbers, frames
            self._shares.add(self._share * len(numbers))


def _reduced(
    source: _Band, level: Floats | None, noise: float, floor: float, choices: _Choices
) -> ScanReduction:
    taken = source.taken
    parts: list[tuple[Ints, NDArray[np.bool_]]] = []
    if floor > 0.0:
        above = floor * noise
        if choices.kind == "minimum":
            above += smallest_of(taken.frames) * noise
        places = scan_places(taken.positions, taken.grid)
        lit = LitParts(source.shape, places)
        dark = np.broadcast_to(0.0 if level is None else level, source.shape)
        for numbers, frames in source.blocks():
            lit.add(numbers, frames, dark + above)
        with np.errstate(divide="ignore", invalid="ignore"):
            contrast = (lit.highest - dark) / above
        widened = lit.widened(contrast)
        parts = [(places[motor][0], part) for motor, part in widened.items()]
        if choices.kind == "median" and level is not None:
            dark_mean = DarkMean(parts)
            for numbers, frames in source.blocks():
                dark_mean.add(numbers, frames)
            level = dark_mean.level(level)
    reduction = ScanReduction(
        source.shape, taken.positions, taken.grid, level, taken.weights, parts
    )
    for numbers, frames in source.blocks():
        reduction.add(numbers, frames)
    return reduction


def _noise_and_floor(taken: _Taken, choices: _Choices) -> tuple[float, float]:
    """Noise of frames without light, and the floor if there are such frames.

    Where even the darkest frames are lit, or no background is subtracted from a dark level, the
    floor is of no use: all values are above it.
    """
    if taken.scan.dtype.kind not in "iu" and choices.floor == 0.0 and not choices.of_scan:
        return 0.0, 0.0
    if taken.frames < _FEWEST_FRAMES:
        return 0.0, 0.0
    follow = np.nonzero(np.diff(taken.numbers) == 1)[0]
    if not len(follow):
        return 0.0, 0.0
    rows, columns = taken.scan.shape
    step = max(math.ceil(math.sqrt(rows * columns / _PIXELS_OF_NOISE)), 1)
    every = follow[np.unique(np.linspace(0, len(follow) - 1, _PAIRS).round().astype(int))]
    pairs = []
    for first in taken.numbers[every]:
        two = read_frames_of(taken.scan, [first, first + 1])[:, ::step, ::step]
        pairs.append(two.astype(np.float64))
    stack = np.stack(pairs)
    sigma, dark = dark_noise(stack[:, 0], stack[:, 1])
    if choices.of_scan or choices.floor == 0.0:
        return sigma, choices.floor
    level = 0.0 if isinstance(choices.background, str) else choices.background
    level = np.asarray(level)[::step, ::step] if np.ndim(level) else level
    offset = float(np.nanmedian(dark - level))
    return (sigma, choices.floor) if offset <= choices.floor * sigma + 0.5 else (sigma, 0.0)


def _pedestal(
    taken: _Taken, survey: FrameSurvey, rows: slice, noise: float, choices: _Choices
) -> Floats | float:
    """Dark level of each pixel that was not subtracted, where some frames of a grid are dark."""
    if choices.kind != "none" or taken.grid.kind == "line":
        return 0.0
    return np.maximum(survey.lowest[rows] + smallest_of(taken.frames) * noise, 0.0)


def _curve_noise(taken: _Taken, noise: float) -> float:
    """Noise of a point of the curves, which are sums over the other motors, at most."""
    shortest = min(taken.grid.shape, default=1)
    return noise * math.sqrt(taken.frames / shortest)


def _background(choices: _Choices, source: _Band, noise: float) -> Floats | None:
    background = choices.background
    if not isinstance(background, str):
        level = np.asarray(background, dtype=np.float64)
        return level[source.rows] if level.ndim else level
    if background == "none":
        return None
    if background == "median":
        assert source.stack is not None
        middle = _median(source.stack, choices.workers)
        if len(source.stack) < _FEWEST_FRAMES:
            return middle
        # Where a pixel is lit in more than half of the frames, the median is light.
        below = smallest_of(len(source.stack)) * noise
        darkest, brightest = (
            np.nan_to_num(extreme.reduce(source.stack, axis=0).astype(np.float64))
            for extreme in (np.fmin, np.fmax)
        )
        least = below + _SURE * noise + (1.0 if source.stack.dtype.kind in "iu" else 0.0)
        light = middle - darkest > np.maximum(least, _SOME_LIGHT * (brightest - darkest))
        source.light_medians += int(light.sum())
        return np.where(light, darkest + below, middle)
    lowest: Floats | None = None
    for _, frames in source.blocks():
        least = np.fmin.reduce(frames, axis=0)
        lowest = least if lowest is None else np.fmin(lowest, least)
    return None if lowest is None else np.nan_to_num(np.asarray(lowest, dtype=np.float64))


def _maps_of(
    gathered: _Gathered,
    choices: _Choices,
    threshold: float,
    relative: bool,
    theta: float | None,
    kernel: int,
) -> MeasuredMaps:
    """Leave out dark pixels, and derive misorientation, strain and remarks."""
    taken, maps, scan = gathered.taken, gathered.maps, gathered.taken.scan
    if not float(maps.brightest.max()) > 0.0:
        raise RunError(f"{scan.where} has no light above the background")
    scale, zingers = gathered.survey.scale(maps.background)
    least = threshold * scale if relative else threshold
    unlit = int((~maps.lit).sum())
    maps = maps.masked(
        (maps.brightest > least)
        & (maps.intensity > dark_total(maps.intensity[~zingers & ~gathered.survey.stuck]))
        & ~gathered.survey.stuck
    )
    if not maps.lit.any() and least > 0.0:
        brightest = f"the brightest has {scale:g}"
        raise InputError("threshold", threshold, f"leaves no pixel: {brightest}")
    if not maps.lit.any():
        raise RunError(
            f"{scan.where}: of no pixel the centre of mass is inside the scan: the background is "
            f"too high ({choices.kind} of {taken.frames} frames)"
        )
    turning = turning_motors(scan, taken.grid)
    response = response_of(scan, taken.weights.frame) if scan.positions else None
    arm = arm_of(scan)
    mapped = MeasuredMaps(
        scan=scan,
        grid=taken.grid,
        maps=maps,
        orientation=turning,
        misorientation=None,
        strain=strain_of(scan, maps, theta, "com"),
        strain_peak=strain_of(scan, maps, theta, "peak"),
        remarks=(),
        apparent=arm is not None and len(scan.positions) == 1 and not scan.along,
        response=response,
        noise=gathered.noise,
        floor=gathered.floor,
    )
    if turning and len({scan.units[motor] for motor in turning}) == 1:
        turned = kernel_average_misorientation(mapped.turns, kernel)
        mapped = replace(mapped, misorientation=turned)
    findings = Findings(
        scan=scan,
        frames=taken.numbers,
        grid=taken.grid,
        weights=taken.weights,
        maps=maps,
        survey=gathered.survey,
        noise=gathered.noise,
        floor=gathered.floor,
        darkest=gathered.darkest,
        ends=gathered.ends,
        light_medians=gathered.light_medians,
        zingers=zingers,
        unlit=unlit,
        background=choices.kind,
        no_energy=missing_energy(scan),
        apparent=mapped.apparent,
        strain_shown=None if response is None else response.strain,
    )
    return replace(mapped, remarks=(*scan.remarks, *remarks_on(findings)))


def _median(stack: NDArray[Any], workers: int | None) -> Floats:
    """Median of each pixel over the frames, without values that are no finite numbers."""
    pixels = stack.reshape(len(stack), -1)
    medians = np.empty(pixels.shape[1])

    def work(some: slice) -> None:
        # One pixel after another in memory: far faster to put in order than frame after frame.
        curves = np.ascontiguousarray(pixels[:, some].T)
        if stack.dtype.kind == "f" and not np.isfinite(curves).all():
            finite = np.isfinite(curves)
            curves[~finite] = np.nan
            curves[~finite.any(axis=1)] = 0.0
            medians[some] = np.nanmedian(curves, axis=1)
        else:
            medians[some] = np.median(curves, axis=1, overwrite_input=True)

    ends = range(0, len(medians), _PIXELS_AT_ONCE)
    with ThreadPoolExecutor(worker_count(workers)) as pool:
        list(pool.map(work, [slice(start, start + _PIXELS_AT_ONCE) for start in ends]))
    return medians.reshape(stack.shape[1:])


def _joined(parts: list[ScanMaps], background: str | float | Floats) -> ScanMaps:
    """Put the bands of an image together."""
    first = parts[0]

    def together(kind: str) -> dict[str, dict[str, Floats]]:
        maps: Mapping[str, Mapping[str, Floats]] = getattr(first, kind)
        return {
            motor: {
                name: np.concatenate([getattr(part, kind)[motor][name] for part in parts])
                for name in by_kind
            }
            for motor, by_kind in maps.items()
        }

    whole: dict[str, WholeCurve] = {}
    for part in parts:
        for motor, curve in part.whole.items():
            whole[motor] = whole[motor].plus(curve) if motor in whole else curve
    if isinstance(background, str) and background != "none":
        level: Floats | float = np.concatenate([np.asarray(part.background) for part in parts])
    else:
        level = 0.0 if isinstance(background, str) else background
    return ScanMaps(
        motors=together("motors"),
        intensity=np.concatenate([part.intensity for part in parts]),
        brightest=np.concatenate([part.brightest for part in parts]),
        background=level,
        lit=np.concatenate([part.lit for part in parts]),
        lost=sum(part.lost for part in parts),
        maxima=together("maxima"),
        whole=whole,
    )
