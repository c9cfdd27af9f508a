"""What to know of a scan before its maps are trusted, from what its frames have told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.drift import Drift
from weakbeam.analysis.jumps import jumps
from weakbeam.analysis.noise import FLOOR, RECTIFIED, smallest_of
from weakbeam.analysis.reduction import FWHM_PER_SIGMA, ScanMaps
from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.analysis.step_weights import FrameWeights
from weakbeam.analysis.survey import FrameSurvey
from weakbeam.core.arrays import Floats, Ints
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.measured.drift import drift_text
from weakbeam.measured.selection import pixels_text

_PEDESTAL = 0.02
"""From this share of the intensity on, a constant background is worth a remark."""

_RECTIFIED = 0.1
"""From this share of the signal on, the positive half of the noise is."""

_OPEN = 0.1
"""A curve that is above this share of its peak at an end of the scan is cut."""

_LEVEL = 0.01
"""Part of the scan to which centre and width of a flat curve are those of its positions."""

_SOME = 0.02
"""Share of the lit pixels from which something is worth a remark."""

_STEEP = 0.05
"""Part of a whole curve's height by which it changes within its outer tenths if it is cut."""

_LEAST_POINTS = 2
"""Points of a curve, at least, of which one can say where it ends."""

_COARSE = 0.76
"""Steps over FWHM from which on the slope of a centre of mass varies by more than 5 %."""

_GAP = 0.03
"""Part of a curve that gaps add to it from which on they are worth a remark."""

_LACKING = 0.02
"""Share of the light at places without frames from which on it is worth a remark."""

_WIDER = 1.5
"""Usual steps from which on a step is a gap."""

_LIT = 0.1
"""Part of a whole curve's height from which on it is lit."""

_TAILS = 1.5
"""Width by variance over that at half maximum from which on curves are more than their peak; 1 for
a Gaussian, 0.82 for a box."""

_RESOLVED = 2.0
"""Steps of a width, at least, that one can compare."""

_SAME_PLACE = 1e-6

_BY_ZINGERS = 1.2
"""Times what zingers are above the rest that the light of a frame leaps for another reason."""

_MOST_PIXELS = 4


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


def remarks_on(findings: Findings) -> Iterator[Remark]:
    """Everything that is worth a remark, those on the whole scan first.

    Parameters
    ----------
    found : Findings
        What is known.

    Yields
    ------
    Remark
    """
    for part in _PARTS:
        for kind, text, frames, pixels in part(findings):
            yield Remark(kind, f"{findings.scan.where}: {text}", frames, pixels)


_Lines = Iterator[tuple[str, str, tuple[int, ...], int]]


def _of_the_grid(findings: Findings) -> _Lines:
    grid, scan = findings.grid, findings.scan
    if grid.kind == "irregular":
        text = "positions lie on no grid; moments only, each frame counts the same"
        yield "grid", text, (), 0
    elif not grid.complete:
        places = " x ".join(map(str, grid.shape))
        count = len(findings.frames)
        text = f"{count} frames on a grid of {places}; rows that are cut have cut curves"
        yield "grid", text, (), 0
    for motor, unit in scan.units.items():
        if unit not in ("deg", "mm", "um", "nm", "m", ""):
            text = f"{motor} has the unit {unit}, which is not known: it is taken for no angle"
            yield "unit", text, (), 0
    if findings.no_energy:
        yield "energy", findings.no_energy, (), 0


def _of_the_counts(findings: Findings) -> _Lines:
    survey, maps = findings.camera, findings.maps
    if maps.lost:
        text = f"{maps.lost} values are no finite numbers and count as the background"
        yield "no numbers", text, (), maps.lost
    if survey.is_saturated:
        count = int(survey.saturated.sum())
        text = (
            f"{_pixels(count)} {'is' if count == 1 else 'are'} saturated, at {survey.full_scale:g} "
            f"counts in {survey.saturated_values} values: their curves are cut off at the top"
        )
        yield "saturated", text, (), count
    stuck = int((survey.stuck & (survey.top != 0.0)).sum())
    if stuck:
        text = f"{_pixels(stuck)} never {'changes' if stuck == 1 else 'change'}: no maps there"
        yield "stuck pixels", text, (), stuck
    if survey.wrapped_values:
        frames = findings.frames[survey.wrapped]
        largest = np.iinfo(survey.dtype).max
        text = (
            f"{survey.wrapped_values} counts in {frames_text(frames)} are far below 0: "
            f"{survey.dtype} ends at {largest}, and counts above it were wrapped"
        )
        yield "wrapped", text, _numbers(frames), 0
    count = int(findings.zingers.sum())
    if count:
        rows, columns = np.nonzero(findings.zingers)
        text = (
            f"pixel{'' if count == 1 else 's'} "
            f"{pixels_text(rows, columns, findings.scan.first)}: one "
            "frame far above all else (zinger), which `threshold` does not count"
        )
        yield "zingers", text, (), count
    noisy = findings.noise > 0.0 and survey.dtype.kind in "iu" and not survey.is_saturated
    frozen = survey.frozen() if noisy else ()
    if len(frozen):
        frames = findings.frames[frozen]
        text = (
            f"{frames_text(frames)} have the same light as the frame before, to the last count "
            "(a camera that stood still?): `skip` leaves frames out"
        )
        yield "frozen", text, _numbers(frames), 0
    dips = survey.dips(list(_lines_of(findings.grid, len(findings.frames))))
    if len(dips):
        frames = findings.frames[dips]
        text = (
            f"{frames_text(frames)} {'is' if len(dips) == 1 else 'are'} far darker than the frames "
            "before and after (beam loss?): `skip` leaves frames out"
        )
        yield "dips", text, _numbers(frames), 0
    leaps, factors = _jumps(findings, dips)
    if len(leaps):
        frames = findings.frames[leaps]
        text = (
            f"{frames_text(frames)} {'leaps' if len(leaps) == 1 else 'leap'} in brightness, by "
            f"{_factors(factors)} against the frames before and after (beam, exposure time?): "
            "`skip` leaves frames out"
        )
        yield "jumps", text, _numbers(frames), 0


def _jumps(findings: Findings, dips: Ints) -> tuple[Ints, Floats]:
    """Frames that leap in brightness, but for those without beam, and their factors."""
    totals = findings.camera.totals - findings.camera.totals.min()
    if findings.scan.monitor is not None:
        beam = findings.scan.monitor[findings.frames]
        totals = totals * float(np.median(beam)) / beam
    numbers, factors = jumps(totals, list(_lines_of(findings.grid, len(findings.frames))))
    others = ~np.isin(numbers, np.concatenate([dips, dips + 1, dips - 1]))
    # A zinger alone makes its frame brighter, and has a line of its own.
    of_zingers = float(np.ptp(findings.camera.highest, axis=0)[findings.zingers].sum())
    excess = totals[numbers] * (1.0 - 1.0 / np.maximum(factors, 1e-9))
    others &= (excess < 0.0) | (excess > _BY_ZINGERS * of_zingers)
    return numbers[others], factors[others]


def _factors(factors: Floats) -> str:
    shown = [f"{factor:.2f}" for factor in factors[:_MOST_PIXELS]]
    more = ", ..." if len(factors) > len(shown) else ""
    return f"{'factors of' if len(factors) > 1 else 'a factor of'} {', '.join(shown)}{more}"


def _lines_of(grid: ScanGrid, frames: int) -> Iterator[Ints]:
    """Frames of a scan that follow one another: in time, or of a grid along its slower motors.

    Along the fastest motor of a grid the light of a whole row may come and go within a few steps.
    """
    if grid.kind == "line":
        yield np.arange(frames)
        return
    for name in list(grid.axes)[:-1]:
        row = np.zeros(frames, np.int64)
        for other, index in grid.index.items():
            if other != name:
                row = row * len(grid.axes[other]) + index
        order = np.lexsort((grid.index[name], row))
        yield from np.split(order, np.nonzero(np.diff(row[order]))[0] + 1)


def _of_the_background(findings: Findings) -> _Lines:
    maps = findings.maps
    total = max(float(maps.intensity[maps.lit].sum()), 1e-300)
    rectified = RECTIFIED * findings.noise * len(findings.frames) * maps.lit.sum() / total
    if findings.noise > 0.0 and findings.background != "none" and rectified > _RECTIFIED:
        text = (
            f"noise of {findings.noise:.3g} (rms) in {len(findings.frames)} frames: its positive "
            f"half alone would be {rectified:.0%} of the signal; "
        )
        if findings.floor > 0.0:
            text += (
                f"each pixel's sums run over where it is lit, {findings.floor:g} times the noise "
                "or more, and nothing is cut off (`floor`)"
            )
        else:
            text += "sums over the whole scan scatter by it: see `floor`"
        yield "noise", text, (), 0
    if findings.floor > 0.0 and findings.unlit:
        text = (
            f"{_pixels(findings.unlit)} of {int(findings.used.sum())} are nowhere "
            f"{findings.floor:g} times the noise ({findings.floor * findings.noise:.3g}) above the "
            "background: no maps there (`floor`)"
        )
        if findings.unlit > 0.5 * findings.used.sum():
            yield "unlit", text, (), findings.unlit
    if findings.light_medians > _SOME * maps.lit.sum():
        text = (
            f"{_pixels(findings.light_medians)} are lit in more than half of the frames, so that "
            "the median is light; their darkest frames are taken instead: better a dark frame"
        )
        yield "median", text, (), findings.light_medians
    if findings.background in ("minimum", "median"):
        return
    if findings.grid.kind == "line" and _cut(findings):
        # No frame is dark. Pixels may be, in all of them.
        flat = _flat(findings)
        if findings.background == "none" and flat.sum() > _SOME * maps.lit.sum():
            level = float(np.median(maps.intensity[flat])) / len(findings.frames)
            text = (
                f"{_pixels(int(flat.sum()))} have about {level:.4g} in every frame, as of a "
                "background, which draws centres of mass to the middle of the scan: see "
                "`background`"
            )
            yield "background", text, (), int(flat.sum())
        return
    # The darkest of many frames is darker than their mean by noise alone.
    intensity = maps.intensity[~findings.survey.stuck]
    pixels = intensity.size
    by_noise = (smallest_of(len(findings.frames)) + FLOOR) * findings.noise / math.sqrt(pixels)
    share = findings.darkest * len(findings.frames) * pixels
    share /= max(float(intensity.sum()), 1e-300)
    if findings.background == "given":
        if share > _PEDESTAL:
            text = (
                f"the darkest frame has {findings.darkest:.4g} a pixel above the background, "
                f"{share:.0%} of the whole: all frames hold light, or the background is too low "
                "and draws centres of mass to the middle of the scan"
            )
            yield "background", text, (), 0
        elif share < -_PEDESTAL and findings.darkest < -by_noise:
            text = (
                f"the darkest frame is {-findings.darkest:.4g} a pixel below the background, "
                f"{-share:.0%} of the whole: the background is too high, and widths are too small"
            )
            yield "background", text, (), 0
    elif share > _PEDESTAL:
        text = (
            f"the darkest frame has {findings.darkest:.4g} a pixel, {share:.0%} of the whole; "
            "a background draws centres of mass to the middle of the scan: see `background`"
        )
        yield "background", text, (), 0


def _of_the_curves(findings: Findings) -> _Lines:
    lit = findings.maps.lit
    cut = _cut(findings)
    for motor, share in cut.items():
        text = (
            f"curves do not fall off inside the scan of {motor} in {share:.0%} of the pixels: "
            "centres of mass are drawn to its middle, and widths are too small"
        )
        yield "window", text, (), round(share * float(lit.sum()))
    for motor, (step, width) in _coarse(findings).items():
        if motor in cut:
            continue
        ratio = (width / FWHM_PER_SIGMA / step) ** 2
        varies = 8.0 * math.pi**2 * ratio * math.exp(-2.0 * math.pi**2 * ratio)
        by = f"varies by {varies:.0%}" if ratio > 0.09 else "varies wildly"
        text = (
            f"steps of {step:.3g} {findings.scan.units[motor]} in {motor} for curves of FWHM "
            f"{width:.3g}: centres of mass are biased, their slope {by} with where the frames fall "
            "on the curve"
        )
        yield "steps", text.replace("  ", " "), (), 0
    lacking = _light_of_no_frame(findings)
    if lacking > _LACKING:
        text = (
            f"rows lack frames at places that hold about {lacking:.0%} of the light: centres of "
            "mass are drawn away from there"
        )
        yield "gap", text, (), 0
    gap = _widest_gap(findings)
    if gap is not None:
        motor, low, high, width = gap
        text = (
            f"no frames from {low:.6g} to {high:.6g} {findings.scan.units[motor]} in {motor}"
            f"{'' if findings.grid.kind == 'line' else ' in some rows'}, where curves of FWHM "
            f"{width:.3g} are lit: centres of mass and widths there are off by some per cent or "
            "more"
        )
        yield "gap", text.replace("  ", " "), (), 0
    for motor, wider in _with_tails(findings).items():
        if motor in cut:
            continue
        text = (
            f"curves along {motor} are {wider:.2g} times as wide by their variance as at half "
            "maximum: tails, light elsewhere or a background that changes draw centres of mass"
        )
        yield "tails", text, (), 0
    for motor, by_kind in findings.maps.maxima.items():
        count = int((by_kind["bimodality"][lit] > 0.0).sum())
        if count > _SOME * lit.sum():
            text = (
                f"{_pixels(count)} ({count / lit.sum():.0%}) have two maxima along {motor}: a "
                f"centre of mass lies between them; see {motor}_bimodality and {motor}_second_peak"
            )
            yield "two maxima", text, (), count


def _of_the_strain(findings: Findings) -> _Lines:
    if not findings.apparent:
        return
    text = (
        "the arm was scanned alone: the strain is apparent, what this scan shows of it, and turns "
        "of the lattice look like strain"
    )
    if findings.strain_shown is not None:
        text += (
            f"; this instrument shows {findings.strain_shown:.3f} of a homogeneous strain "
            "(strain_response in the file)"
        )
    else:
        text += "; with the lens and bandwidth of ID06 it is half (docs/how-to/maps.md)"
    yield "apparent strain", text, (), 0


def _flat(findings: Findings) -> NDArray[np.bool_]:
    """Pixels that have maps although they are as bright in all frames of a scan of one motor."""
    ((motor, maps),) = findings.maps.motors.items()
    positions = findings.scan.positions[motor][findings.frames]
    like_none = np.abs(maps["com"] - positions.mean()) < _LEVEL * np.ptp(positions)
    same_width = np.abs(maps["fwhm"] / (FWHM_PER_SIGMA * positions.std()) - 1.0) < _LEVEL
    return np.asarray(findings.maps.lit & like_none & same_width)


def _cut(findings: Findings) -> dict[str, float]:
    """Motors whose scan cuts curves, and the share of the lit pixels with such curves.

    Without a background subtracted a dark level looks like the end of a curve. Of a grid some
    frames are dark and tell it; of a scan of one motor it is flat, while a curve that is cut is
    steep there.
    """
    lit, shares = findings.maps.lit, {}
    for motor, ends in findings.ends.items():
        curve = findings.maps.whole[motor].intensity if motor in findings.maps.whole else None
        if curve is None or len(curve) < _LEAST_POINTS:
            continue
        if findings.background == "none" and findings.grid.kind == "line" and not _steep(curve):
            continue
        noise = _OPEN
        if findings.noise > 0.0:
            # Ends of dim curves reach so far by noise alone.
            peak = findings.maps.motors[motor]["peak_value"]
            across = len(findings.frames) / len(curve)
            noise_of_end = FLOOR * findings.noise * math.sqrt(across) / np.abs(peak)
            open_ends = ends > np.maximum(noise, noise_of_end)
        else:
            open_ends = ends > noise
        share = float((open_ends & lit).sum()) / max(float(lit.sum()), 1.0)
        if share > _SOME:
            shares[motor] = share
    return shares


def _steep(curve: Floats) -> bool:
    """Whether the curve of all pixels together still changes at an end of the scan."""
    outer = max(round(0.1 * (len(curve) - 1)), 1)
    height = float(np.ptp(curve))
    change = max(abs(curve[outer] - curve[0]), abs(curve[-1 - outer] - curve[-1]))
    return height > 0.0 and change > _STEEP * height


def _coarse(findings: Findings) -> dict[str, tuple[float, float]]:
    """Motors whose steps are too wide for the curves: step and median FWHM."""
    coarse = {}
    for motor, axis in findings.grid.axes.items():
        if len(axis) < 3:
            continue
        step = float(np.median(np.abs(np.diff(axis))))
        widths = findings.maps.motors[motor]["fwhm"]
        widths = widths[np.isfinite(widths)]
        width = float(np.median(widths)) if widths.size else math.nan
        if width >= 0.0 and step > _COARSE * width:
            coarse[motor] = step, width
    return coarse


def _with_tails(findings: Findings) -> dict[str, float]:
    """Motors along which most curves have more than a peak, and how much wider they are for it.

    Not where a background that was not subtracted, or two maxima, are known to do that.
    """
    tails = {}
    for motor, axis in findings.grid.axes.items():
        by_kind = findings.maps.motors[motor]
        maxima = findings.maps.maxima.get(motor)
        if findings.background == "none" or maxima is None or len(axis) < 3:
            continue
        single = findings.maps.lit & (maxima["bimodality"] == 0.0)
        half = by_kind["fwhm_half"][single]
        wider = by_kind["fwhm"][single] / np.where(half > 0.0, half, np.nan)
        known = np.isfinite(wider)
        resolved = float(np.median(np.abs(np.diff(axis)))) * _RESOLVED
        if known.sum() > 0.5 * findings.maps.lit.sum() and np.median(half[known]) > resolved:
            middle = float(np.median(wider[known]))
            if middle > _TAILS:
                tails[motor] = middle
    return tails


def _light_of_no_frame(findings: Findings) -> float:
    """Share of the light, about, at places of a grid to which no frame of their row comes near."""
    grid, whole = findings.grid, findings.maps.whole
    if (
        not grid.axes
        or grid.kind == "line"
        or grid.complete
        or not all(name in whole for name in grid.axes)
    ):
        return 0.0
    *slow, motor = grid.axes
    light = {name: np.maximum(whole[name].intensity, 0.0) for name in grid.axes}
    light = {name: curve / max(float(curve.sum()), 1e-300) for name, curve in light.items()}
    positions, axis = findings.scan.positions[motor][findings.frames], grid.axes[motor]
    row, share = np.zeros(len(positions), np.int64), np.ones(len(positions))
    for name in slow:
        row = row * len(light[name]) + grid.index[name]
        share = share * light[name][grid.index[name]]
    order = np.lexsort((positions, row))
    rows = np.split(order, np.nonzero(np.diff(row[order]))[0] + 1)
    steps = np.concatenate([np.diff(positions[frames]) for frames in rows])
    near = _WIDER * float(np.median(steps)) if len(steps) else 0.0
    lacking = 0.0
    for frames in rows:
        away = np.abs(axis[:, None] - positions[frames]).min(axis=1)
        lacking += float(share[frames[0]] * light[motor][away > near].sum())
    return lacking


def _widest_gap(findings: Findings) -> tuple[str, float, float, float] | None:
    """The widest gap between the frames of a row, if gaps bend the curves.

    A gap g adds up to about (g/σ)³/30 of a Gaussian curve to its sum; even steps of that width add
    nothing, since their errors cancel.

    Returns
    -------
    motor, low, high, width
        The fastest motor, the ends of the gap, and the median FWHM.
    """
    grid, whole = findings.grid, findings.maps.whole
    names = list(grid.axes)[:1] if grid.kind == "line" else list(grid.axes)
    if not names or not all(name in whole for name in names):
        return None
    *slow, motor = names
    widths = findings.maps.motors[motor]["fwhm"]
    widths = widths[np.isfinite(widths)]
    width = float(np.median(widths)) if widths.size else 0.0
    positions = findings.scan.positions[motor][findings.frames]
    row, share = np.zeros(len(positions), np.int64), np.ones(len(positions))
    for name in slow:
        curve = np.maximum(whole[name].intensity, 0.0)
        row = row * len(curve) + grid.index[name]
        share = share * (curve / max(float(curve.sum()), 1e-300))[grid.index[name]]
    order = np.lexsort((positions, row))
    steps, ends = np.diff(positions[order]), positions[order]
    steps[(np.diff(row[order]) != 0) | (steps <= _SAME_PLACE * np.ptp(positions))] = 0.0
    if not width > 0.0 or not (steps > 0.0).any():
        return None
    usual = float(np.median(steps[steps > 0.0]))
    level = np.interp(ends, whole[motor].positions, whole[motor].intensity)
    lit = np.maximum(level[:-1], level[1:]) > _LIT * float(whole[motor].intensity.max())
    gaps = np.where((steps > _WIDER * usual) & lit, steps, 0.0)
    errors = np.minimum((FWHM_PER_SIGMA * gaps / width) ** 3 / 30.0, 1.0)
    if not float(errors @ share[order][:-1]) > _GAP:
        return None
    k = int(np.argmax(gaps))
    return motor, float(ends[k]), float(ends[k + 1]), width


def _of_the_drift(findings: Findings) -> _Lines:
    drift = findings.drift
    if drift is None or not drift.is_significant:
        return
    what = f"by {drift_text(drift)}"
    if findings.scan.shifts is None:
        yield (
            "drift",
            f"the image drifts {what}; or contrast moves with the angle: see `align`",
            (),
            0,
        )
    else:
        yield "drift", f"the image still drifts {what}", (), 0


_PARTS = (
    _of_the_grid,
    _of_the_counts,
    _of_the_background,
    _of_the_curves,
    _of_the_drift,
    _of_the_strain,
)


def _pixels(count: int) -> str:
    return f"{count} pixel{'' if count == 1 else 's'}"


def _numbers(frames: Ints) -> tuple[int, ...]:
    return tuple(int(number) for number in frames)
