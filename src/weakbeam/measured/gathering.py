"""What the frames of a scan tell: sums, curves and extremes, gathered in bands of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.noise import DarkMean, LitParts, dark_noise, scan_places, smallest_of
from weakbeam.analysis.reduction import ScanMaps, ScanReduction, WholeCurve, reduction_bytes
from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.analysis.scan_grid import ScanGrid, find_grid
from weakbeam.analysis.step_weights import FrameWeights, frame_weights
from weakbeam.analysis.survey import FrameSurvey
from weakbeam.core.arrays import Floats, Ints
from weakbeam.errors import RunError, naming
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.measured.background import is_of_scan, median_frame
from weakbeam.measured.drift import GroupSums, can_drift

_FRAMES_AT_ONCE = 64

_SURE = 5.0
"""Times the noise by which a median is above the darkest value where it is light."""

_SOME_LIGHT = 1e-3
"""Part of a pixel's range, at least, by which such a median is above the darkest value."""

_PAIRS = 16
"""Pairs of frames from which the noise is estimated."""
_PIXELS_OF_NOISE = 2**14
"""Pixels of a frame, at most, that are looked at for it."""
FEWEST_FRAMES = 16
"""With fewer frames than this there are none of which one can say that they hold no light."""


@dataclass(frozen=True, eq=False)
class TakenFrames:
    """The frames of a scan that are not left out."""

    scan: MeasuredScan
    numbers: Ints
    """Their numbers in the scan."""
    positions: Mapping[str, Floats]
    grid: ScanGrid
    weights: FrameWeights
    used: NDArray[np.bool_]
    """Pixels that count: known in every frame."""

    @property
    def frames(self) -> int:
        """How many they are."""
        return len(self.numbers)

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return self.scan.frame_dtype.itemsize

    def blocks(self, rows: slice, workers: int | None) -> Iterator[tuple[Ints, NDArray[Any]]]:
        """Blocks of these frames, by their numbers among them; 0 in pixels that do not count."""
        unused = None if self.used.all() else ~self.used[rows]
        place = np.full(self.scan.frames, -1)
        place[self.numbers] = np.arange(self.frames)
        for numbers, frames in read_blocks(self.scan, rows, workers):
            if unused is not None:
                frames[:, unused] = 0
            there = place[numbers] >= 0
            if there.all():
                yield place[numbers], frames
            elif there.any():
                yield place[numbers][there], frames[there]


@dataclass(frozen=True, eq=False)
class Choices:
    """What was asked for."""

    background: str | float | Floats
    floor: float
    memory: int
    workers: int | None
    align: bool = False

    @property
    def kind(self) -> str:
        """Name of the background; ``"given"`` for numbers."""
        return self.background if isinstance(self.background, str) else "given"

    @property
    def of_scan(self) -> bool:
        """Whether the background is taken from the scan itself."""
        return is_of_scan(self.background)

    @property
    def level(self) -> float | Floats | None:
        """The background if it is known before the frames are read."""
        return None if isinstance(self.background, str) else self.background


class ProgressShares:
    """Tells shares of the work that add up to the whole, however often frames are read."""

    def __init__(self, tell: Callable[[float], None] | None) -> None:
        self._tell = tell
        self._so_far = 0.0

    def add(self, share: float) -> None:
        """Tell of a share that is newly done."""
        new = min(share, 1.0 - self._so_far)
        self._so_far += new
        if self._tell is not None and new > 0.0:
            self._tell(new)

    @property
    def left(self) -> float:
        """What is not told of yet."""
        return 1.0 - self._so_far

    def done(self) -> None:
        """Tell of all that is left."""
        self.add(1.0)


@dataclass(frozen=True, eq=False)
class Gathered:
    """What the frames of a scan have told."""

    taken: TakenFrames
    maps: ScanMaps
    survey: FrameSurvey
    noise: float
    floor: float
    darkest: float
    ends: Mapping[str, Floats]
    light_medians: int
    groups: GroupSums | None = None
    """Images of which the drift is measured."""


def taken_frames(scan: MeasuredScan) -> TakenFrames:
    """The frames that no remark leaves out, their grid and how much each counts.

    Raises
    ------
    RunError
        If what is left is no scan.
    """
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
    return TakenFrames(scan, numbers, positions, grid, weights, scan.used)


def rows_of(taken: TakenFrames) -> Ints:
    """Of each frame the number of its row of the fastest motor; its own where there is no grid."""
    grid, row = taken.grid, np.zeros(taken.frames, np.int64)
    if grid.kind in ("line", "irregular"):
        return np.arange(taken.frames)
    for name in list(grid.axes)[:-1]:
        row = row * len(grid.axes[name]) + grid.index[name]
    return row


def lost_frames(survey: FrameSurvey, taken: TakenFrames) -> Iterator[Remark]:
    """What to say of frames that hold nothing, and are left out."""
    where = taken.scan.where
    unknown = np.nonzero(survey.unknown)[0] if not survey.unknown.all() else np.zeros(0, np.int64)
    empty = survey.lost_frames(taken.grid.kind == "line")
    for kind, lost, what in (("empty", empty, "zeros"), ("no numbers", unknown, "NaN")):
        if len(lost):
            numbers = tuple(int(k) for k in taken.numbers[lost])
            verb, are = ("holds", "is") if len(numbers) == 1 else ("hold", "are")
            text = f"{where}: {frames_text(numbers)} {verb} nothing but {what} and {are} left out"
            yield Remark(kind, text, numbers, left_out=True)


def gathered_maps(taken: TakenFrames, choices: Choices, shares: ProgressShares) -> Gathered:
    """Read the frames and gather everything that is mapped, in bands of rows."""
    scan, shape = taken.scan, taken.scan.shape
    noise, floor = _noise_and_floor(taken, choices)
    survey = FrameSurvey(shape, taken.frames, scan.frame_dtype, taken.used)
    groups = None
    if can_drift(scan, taken.frames):
        groups = GroupSums(scan, rows_of(taken), taken.numbers)
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
    share = shares.left / (len(bands) * (1 if held else passes) * taken.frames)
    parts, light, light_medians = [], np.zeros(taken.frames), 0
    ends: list[dict[str, Floats]] = []
    for rows in bands:
        source = _Band(taken, rows, choices.workers, held, survey, groups, shares, share)
        level = _background(choices, source, noise)
        reduction = _reduced(source, level, noise, floor, choices)
        shot = 1.0 if scan.counts else 0.0
        maps = reduction.maps(_curve_noise(taken, noise), shot)
        alive = ~survey.stuck[rows]
        parts.append(replace(maps, whole=reduction.whole_curves(maps.lit & alive)))
        ends.append(reduction.ends(_pedestal(taken, survey, rows, noise, choices)))
        # Pixels that never change have a value of their own in every frame.
        constant = (survey.top[rows] - maps.background)[~alive]
        light += reduction.light - float(constant.sum())
        light_medians += source.light_medians
    return Gathered(
        taken,
        _joined(parts, choices.background),
        survey,
        noise,
        floor,
        float(light.min()) / max(int((~survey.stuck).sum()), 1),
        {motor: np.concatenate([some[motor] for some in ends]) for motor in ends[0]},
        light_medians,
        groups,
    )


class _Band:
    """Some rows of the frames, read once if they are held in memory, or whenever asked for."""

    def __init__(
        self,
        taken: TakenFrames,
        rows: slice,
        workers: int | None,
        held: bool,
        survey: FrameSurvey,
        groups: GroupSums | None,
        shares: ProgressShares,
        share: float,
    ) -> None:
        self.taken, self.rows = taken, rows
        self.shape = (rows.stop - rows.start, taken.scan.shape[1])
        self._workers, self._survey, self._groups = workers, survey, groups
        self._shares, self._share = shares, share
        self._surveyed = False
        self.light_medians = 0
        """Pixels whose median is light, and no background."""
        self.stack: NDArray[Any] | None = None
        if held:
            stack = np.empty((taken.frames, *self.shape), taken.scan.frame_dtype)
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
                if self._groups is not None:
                    self._groups.add(numbers, frames, self.rows)
            yield numbers, frames
            self._shares.add(self._share * len(numbers))


def _reduced(
    source: _Band, level: Floats | None, noise: float, floor: float, choices: Choices
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


def _noise_and_floor(taken: TakenFrames, choices: Choices) -> tuple[float, float]:
    """Noise of frames without light, and the floor if there are such frames.

    Where even the darkest frames are lit, or no background is subtracted from a dark level, the
    floor is of no use: all values are above it.
    """
    if not taken.scan.counts and choices.floor == 0.0 and not choices.of_scan:
        return 0.0, 0.0
    if taken.frames < FEWEST_FRAMES:
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
        pairs.append(np.where(taken.used[::step, ::step], two, 0.0))
    stack = np.stack(pairs)
    sigma, dark = dark_noise(stack[:, 0], stack[:, 1])
    if choices.of_scan or choices.floor == 0.0:
        return sigma, choices.floor
    level = 0.0 if isinstance(choices.background, str) else choices.background
    level = np.asarray(level)[::step, ::step] if np.ndim(level) else level
    offset = float(np.nanmedian(dark - level))
    return (sigma, choices.floor) if offset <= choices.floor * sigma + 0.5 else (sigma, 0.0)


def _pedestal(
    taken: TakenFrames, survey: FrameSurvey, rows: slice, noise: float, choices: Choices
) -> Floats | float:
    """Dark level of each pixel that was not subtracted, where some frames of a grid are dark."""
    if choices.kind != "none" or taken.grid.kind == "line":
        return 0.0
    return np.maximum(survey.lowest[rows] + smallest_of(taken.frames) * noise, 0.0)


def _curve_noise(taken: TakenFrames, noise: float) -> float:
    """Noise of a point of the curves, which are sums over the other motors, at most."""
    shortest = min(taken.grid.shape, default=1)
    return noise * math.sqrt(taken.frames / shortest)


def _background(choices: Choices, source: _Band, noise: float) -> Floats | None:
    background = choices.background
    if not isinstance(background, str):
        level = np.asarray(background, dtype=np.float64)
        return level[source.rows] if level.ndim else level
    if background == "none":
        return None
    if background == "median":
        assert source.stack is not None
        middle = median_frame(source.stack, choices.workers)
        if len(source.stack) < FEWEST_FRAMES:
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
