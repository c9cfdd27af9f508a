"""Pictures of a scan of any file, simulated or measured: frames, montage, curves, movie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.scan_grid import find_grid
from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.errors import InputError, naming
from weakbeam.io.foreign import Source, read_scan, read_still, scan_names
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.region import Region
from weakbeam.measured.figures import heading_of, symbol, view_of
from weakbeam.measured.units import shown_position

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from weakbeam.plot.image import Scale

_LIT = 0.02
"""Part of the brightest frame's light, above that of the darkest, with which a frame is lit."""

_DARK_FRAMES = 200
"""Frames in which each pixel's dark level is sought, at most."""

_FEWEST_DIGITS, _MOST_DIGITS = 3, 7
"""Of positions, behind the point."""

_MOST_STEPS, _ROUNDING = 1000, 1e-6


def scan_or_image(
    path: Source, entry: str | None = None, detector: str | None = None
) -> MeasuredScan:
    """A scan of a file or of EDF images, or an entry in which nothing moves, such as an image.

    Raises
    ------
    InputError
        If there is no such file, entry or detector.
    """
    try:
        return read_scan(path, entry, detector)
    except InputError as error:
        if error.key != "entry" or "moves no motor" not in str(error):
            raise
        return read_still(path, entry or next(iter(scan_names(path))), detector)


def frame_pictures(
    scan: MeasuredScan,
    numbers: Sequence[int],
    scale: Scale = "linear",
    limits: tuple[float, float] | None = None,
    lit_only: bool = False,
) -> dict[str, Figure]:
    """Draw frames of a scan by their numbers: ``frame_0012``, ...

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    numbers : sequence of int
        The frames.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour.
    lit_only : bool
        Whether only the part of each frame that holds its lit pixels is drawn.

    Raises
    ------
    InputError
        If there is no such frame.
    """
    from weakbeam.plot.image import image_figure

    frames = shown_frames(scan, np.array(numbers, dtype=np.int64))
    labels = frame_labels(scan)
    view = view_of(scan)
    figures = {}
    for number, frame in zip(numbers, frames, strict=True):
        title, _, settings = labels[number].partition(", ")
        figures[f"frame_{number:04d}"] = image_figure(
            frame,
            view,
            title=f"{scan.path.name}, {scan.entry}, {title}",
            note=settings,
            scale=scale,
            limits=limits,
            lit_only=lit_only,
            intensity_label=intensity_label(scan),
        )
    return figures


def montage_picture(
    scan: MeasuredScan,
    most: int = 25,
    scale: Scale = "linear",
    own_range: bool = True,
    *,
    numbers: Sequence[int] = (),
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw frames spread over the lit part of a scan side by side.

    Of a grid every so many along each motor are drawn. Three times as many are looked at, to see
    where there is light above the dark level.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    most : int
        How many frames, at most.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    own_range : bool
        Whether each frame has a range of colours of its own, or all frames have one.
    numbers : sequence of int
        Frames to draw instead, in this order.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour of all frames.

    Raises
    ------
    InputError
        If there is no such frame.
    """
    from weakbeam.plot.montage import montage_figure

    chosen = _spread(scan, most) if not numbers else np.array(numbers, dtype=np.int64)[:, None]
    places = np.flatnonzero(chosen.ravel() >= 0)
    picked = chosen.ravel()[places]
    grid: dict[str, Any] = {}
    if chosen.shape[1] > 1:
        rows, columns = _margins(scan, chosen)
        grid = {
            "columns": chosen.shape[1],
            "places": places.tolist(),
            "row_labels": rows,
            "column_labels": columns,
        }
    labels = frame_labels(scan, short=True)
    units = [_axis_label(motor, shown_position(scan, motor)[1]) for motor in scan.positions]
    return montage_figure(
        shown_frames(scan, picked),
        [labels[number] or f"frame {number}" for number in picked],
        view_of(scan),
        **grid,
        limits=limits,
        scale=scale,
        own_range=own_range,
        label=intensity_label(scan),
        title=heading_of(scan),
        note=", ".join(units),
    )


def curve_picture(scan: MeasuredScan, regions: Sequence[Region]) -> Figure:
    """Draw the mean intensity of regions over the scan: curves over a motor, maps over two.

    Raises
    ------
    InputError
        If nothing moves, or a region is not on the image.
    """
    from weakbeam.plot.scan_curves import curves_figure, scan_map_figure

    if not scan.positions:
        raise InputError("entry", scan.entry, "moves no motor; a curve needs a scan")
    curves = region_curves(scan, regions)
    named = dict(zip((region.name for region in regions), curves, strict=True))
    with naming("scan", scan.title):
        grid = find_grid(scan.positions)
    if len(grid.axes) == 2 and grid.kind != "line":
        (slow, rows), (fast, columns) = grid.axes.items()
        maps = {}
        for name, curve in named.items():
            field = np.full((len(rows), len(columns)), np.nan)
            field[grid.index[slow], grid.index[fast]] = curve
            maps[name] = field
        labels = []
        for motor, axis in ((slow, rows), (fast, columns)):
            factor, unit = shown_position(scan, motor)
            labels.append((_axis_label(motor, unit), factor * axis))
        return scan_map_figure(
            maps, *labels, intensity_label=intensity_label(scan), title=heading_of(scan)
        )
    motor = list(scan.positions)[-1]
    factor, unit = shown_position(scan, motor)
    return curves_figure(
        factor * scan.positions[motor],
        named,
        axis_label=_axis_label(motor, unit),
        intensity_label=intensity_label(scan),
        title=heading_of(scan),
    )


def region_curves(scan: MeasuredScan, regions: Sequence[Region]) -> Floats:
    """Mean intensity of regions at every frame, shape (regions, frames).

    Raises
    ------
    InputError
        If a region is not on the image.
    """
    for region in regions:
        region.check(scan.shape, scan.first)
    curves = np.empty((len(regions), scan.frames))
    for numbers, frames in _blocks(scan):
        for curve, region in zip(curves, regions, strict=True):
            rows, columns = region.within(scan.first)
            curve[numbers] = _mean(frames[:, rows, columns])
    return curves


def movie_picture(
    scan: MeasuredScan,
    kind: Literal["gif", "mp4"] = "gif",
    fps: float = 10.0,
    scale: Scale = "linear",
    *,
    own_range: bool = True,
    limits: tuple[float, float] | None = None,
    progress: Callable[[float], object] | None = None,
) -> bytes:
    """Draw all frames of a scan as a movie, over their mean intensity with a cursor.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    kind : {"gif", "mp4"}
        MP4 needs ffmpeg.
    fps : float
        Frames per second.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    own_range : bool
        Whether each frame has a range of colours of its own, or all frames have one.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour of all frames.
    progress : callable, optional
        Told how many frames are newly drawn.

    Raises
    ------
    InputError
        If the movie cannot be encoded.
    """
    from weakbeam.plot import movie
    from weakbeam.plot.image import intensity_norm, light_range

    means, ends = np.empty(scan.frames), np.empty((scan.frames, 2))
    for numbers, block in _blocks(scan):
        means[numbers] = _mean(block)
        ends[numbers] = [light_range(np.asarray(frame, dtype=np.float64)) for frame in block]
    # One that is even has no contrast, and the brightest colour of its own.
    norm = intensity_norm(np.full((1, 1), ends[:, 1].max()), scale)
    shown = limits or (float(norm.vmin or 0.0), float(norm.vmax or 1.0))
    labels = frame_labels(scan)

    def frames() -> Iterator[tuple[NDArray[Any], str]]:
        for numbers, block in _blocks(scan):
            for number, frame in zip(numbers, block, strict=True):
                yield frame, labels[number]
                if progress is not None:
                    progress(1.0)

    drawn = movie.pictures(
        frames(),
        view_of(scan),
        movie.Curve(*_curve_axis(scan, means)),
        shown,
        own_range=own_range and limits is None,
        scale=scale,
        label=intensity_label(scan),
    )
    with naming("kind", kind):
        return movie.mp4(drawn, fps) if kind == "mp4" else movie.gif(drawn, fps)


def frame_labels(scan: MeasuredScan, short: bool = False) -> list[str]:
    """Number and motor positions of each frame, in a line."""
    shown = {motor: _positions(scan, motor) for motor in scan.positions}
    lines = []
    for number in range(scan.frames):
        settings = (
            f"{symbol(motor)} = {texts[number]}" + ("" if short else f" {unit}").rstrip()
            for motor, (texts, unit) in shown.items()
        )
        lines.append(", ".join(([] if short else [f"frame {number}"]) + list(settings)))
    return [line.replace("-", "−") for line in lines]


def intensity_label(scan: MeasuredScan) -> str:
    """What a pixel of the scan holds: counts, or the relative intensity of an ideal camera."""
    name = "counts (ADU)" if scan.counts else "intensity"
    return name if scan.level is None else f"{name} above background"


def _curve_axis(scan: MeasuredScan, values: Floats) -> tuple[Floats, Floats, str]:
    """Positions of the motor of a scan, or numbers of its frames; the values; what they are."""
    if len(scan.positions) != 1:
        return np.arange(scan.frames, dtype=float), values, "frame"
    ((motor, positions),) = scan.positions.items()
    factor, unit = shown_position(scan, motor)
    return factor * positions, values, _axis_label(motor, unit)


def _spread(scan: MeasuredScan, most: int) -> Ints:
    """Numbers of the frames of a montage; rows and columns of it where two motors move.

    A place without a frame has the number -1.
    """
    every = np.arange(scan.frames)
    if not scan.positions:
        return every[:most, None]
    with naming("scan", scan.title):
        grid = find_grid(scan.positions)
    if len(grid.axes) != 2 or grid.kind == "line":
        if scan.frames <= most:
            return every[:, None]
        numbers, sides = every[:, None], (most, 1)
    else:
        numbers = np.full(grid.shape, -1)
        slow, fast = (grid.index[motor] for motor in grid.axes)
        numbers[slow, fast] = every
        if numbers.size <= most:
            return numbers
        sides = _sides(grid.shape, most)
    samples = [_evenly(0, n - 1, 3 * side) for n, side in zip(numbers.shape, sides, strict=True)]
    chosen = _lit_part(scan, numbers, samples)
    parts = zip(chosen, sides, strict=True)
    picked: Ints = numbers[np.ix_(*(_evenly(first, last, side) for (first, last), side in parts))]
    return picked


def _sides(shape: Sequence[int], most: int) -> tuple[int, int]:
    """Rows and columns of a montage of no more frames; few positions leave room for others."""
    rows = min(shape[0], max(int(most**0.5), 1))
    columns = min(shape[1], most // rows)
    return min(shape[0], most // columns), columns


def _margins(scan: MeasuredScan, chosen: Ints) -> tuple[list[str], list[str]]:
    """Positions of the two motors along the rows and along the columns of a montage."""
    with naming("scan", scan.title):
        grid = find_grid(scan.positions)
    labels = []
    for axis, motor in enumerate(grid.axes):
        positions, _ = _positions(scan, motor)
        # Of each row or column any frame tells, if it has one.
        numbers = chosen.max(axis=1 - axis)
        texts = [f"{symbol(motor)} = {positions[n]}".replace("-", "−") for n in numbers]
        labels.append([text if n >= 0 else "" for text, n in zip(texts, numbers, strict=True)])
    return labels[0], labels[1]


def _evenly(first: int, last: int, most: int) -> Ints:
    """At most so many whole numbers from the first to the last."""
    return np.unique(np.linspace(first, last, min(most, last - first + 1)).round().astype(np.int64))


def _lit_part(scan: MeasuredScan, numbers: Ints, samples: Sequence[Ints]) -> list[tuple[int, int]]:
    """Along each axis of a scan, the first and the last place around which there is light."""
    looked_at = numbers[np.ix_(*samples)]
    there = looked_at >= 0
    light = np.full(looked_at.shape, -np.inf)
    light[there] = _light_above_dark(shown_frames(scan, looked_at[there]))
    low, high = light[there].min(), light[there].max()
    lit = light >= low + _LIT * (high - low)
    parts = []
    for axis, places in enumerate(samples):
        (along,) = np.nonzero(lit.any(axis=1 - axis))
        # One sample more at either end, where the light ends.
        first, last = max(along[0] - 1, 0), min(along[-1] + 1, len(places) - 1)
        parts.append((int(places[first]), int(places[last])))
    return parts


def _light_above_dark(frames: NDArray[Any]) -> Floats:
    """Intensity of the brightest pixels of each frame, (n,), above the dark level of each pixel.

    A frame of the weak beam is lit in a few pixels, so that its mean is that of a dark one.
    """
    from weakbeam.plot.image import light_range

    step = -(-len(frames) // _DARK_FRAMES)
    dark = np.fmin.reduce(frames[::step], axis=0).astype(np.float64)
    return np.array(
        [light_range(frame - dark)[1] if (frame > dark).any() else 0.0 for frame in frames]
    )


def shown_frames(scan: MeasuredScan, numbers: ArrayLike) -> NDArray[Any]:
    """Frames as pictures show them: above the background, NaN where masked."""
    return _as_shown(scan, read_frames_of(scan, numbers))


def _blocks(scan: MeasuredScan) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """All frames likewise, block by block."""
    for numbers, frames in read_blocks(scan):
        yield numbers, _as_shown(scan, frames)


def _as_shown(scan: MeasuredScan, frames: NDArray[Any]) -> NDArray[Any]:
    if scan.level is None and scan.masked is None:
        return frames
    shown = frames.astype(np.float32)
    if scan.level is not None:
        shown -= np.asarray(scan.level, dtype=np.float32)
    if scan.masked is not None:
        shown[:, scan.masked] = np.nan
    return shown


def _mean(pixels: NDArray[Any]) -> Floats:
    """Mean of each frame over its pixels that are not masked; NaN where there is none."""
    known = np.isfinite(pixels)
    count = known.sum(axis=(1, 2))
    total = np.where(known, pixels, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _positions(scan: MeasuredScan, motor: str) -> tuple[list[str], str]:
    """Positions of a motor with the digits that tell its steps apart, and their unit."""
    factor, unit = shown_position(scan, motor)
    values = factor * scan.positions[motor]
    if not unit:
        # Members of a library have numbers.
        return [f"{value:.6g}" for value in values], unit
    digits, known = _FEWEST_DIGITS, values[np.isfinite(values)]
    if (span := float(np.ptp(known)) if known.size else 0.0) > 0.0:
        # Motors do not come back to the digit to where they were.
        levels = len(np.unique(np.round(_MOST_STEPS * (known - known.min()) / span)))
        needed = math.ceil(-math.log10(span / (levels - 1)) - _ROUNDING)
        digits = min(max(digits, needed), _MOST_DIGITS)
    return [f"{value:.{digits}f}" for value in values], unit


def _axis_label(motor: str, unit: str) -> str:
    return f"{symbol(motor)} ({unit})" if unit else symbol(motor)
