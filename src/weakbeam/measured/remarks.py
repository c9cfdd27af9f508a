"""What to know of a scan before its maps are trusted, from what its frames have told."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.jumps import jumps
from weakbeam.analysis.noise import FLOOR, RECTIFIED, smallest_of
from weakbeam.analysis.reduction import FWHM_PER_SIGMA
from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.core.arrays import Floats, Ints
from weakbeam.measured.curve_remarks import cut_motors, of_the_curves
from weakbeam.measured.drift import drift_text
from weakbeam.measured.findings import SOME, Findings, Lines, pixel_count
from weakbeam.measured.selection import pixels_text

_PEDESTAL = 0.02
"""From this share of the intensity on, a constant background is worth a remark."""

_RECTIFIED = 0.1
"""From this share of the signal on, the positive half of the noise is."""

_LEVEL = 0.01
"""Part of the scan to which centre and width of a flat curve are those of its positions."""

_BY_ZINGERS = 1.2
"""Times what zingers are above the rest that the light of a frame leaps for another reason."""

_MOST_PIXELS = 4


def remarks_on(findings: Findings) -> Iterator[Remark]:
    """Everything that is worth a remark, those on the whole scan first.

    Parameters
    ----------
    findings : Findings
        What is known.

    Yields
    ------
    Remark
    """
    for part in _PARTS:
        for kind, text, frames, pixels in part(findings):
            yield Remark(kind, f"{findings.scan.where}: {text}", frames, pixels)


def _of_the_grid(findings: Findings) -> Lines:
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


def _of_the_counts(findings: Findings) -> Lines:
    survey, maps = findings.camera, findings.maps
    if maps.lost:
        text = f"{maps.lost} values are no finite numbers and count as the background"
        yield "no numbers", text, (), maps.lost
    if survey.is_saturated:
        count = int(survey.saturated.sum())
        text = (
            f"{pixel_count(count)} {'is' if count == 1 else 'are'} saturated, at "
            f"{survey.full_scale:g} counts in {survey.saturated_values} values: their curves are "
            "cut off at the top"
        )
        yield "saturated", text, (), count
    stuck = int((survey.stuck & (survey.top != 0.0)).sum())
    if stuck:
        text = f"{pixel_count(stuck)} never {'changes' if stuck == 1 else 'change'}: no maps there"
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


def _of_the_background(findings: Findings) -> Lines:
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
            f"{pixel_count(findings.unlit)} of {int(findings.used.sum())} are nowhere "
            f"{findings.floor:g} times the noise ({findings.floor * findings.noise:.3g}) above the "
            "background: no maps there (`floor`)"
        )
        if findings.unlit > 0.5 * findings.used.sum():
            yield "unlit", text, (), findings.unlit
    if findings.light_medians > SOME * maps.lit.sum():
        text = (
            f"{pixel_count(findings.light_medians)} are lit in more than half of the frames, so "
            "that the median is light; their darkest frames are taken instead: better a dark frame"
        )
        yield "median", text, (), findings.light_medians
    if findings.background in ("minimum", "median"):
        return
    if findings.grid.kind == "line" and cut_motors(findings):
        # No frame is dark. Pixels may be, in all of them.
        flat = _flat(findings)
        if findings.background == "none" and flat.sum() > SOME * maps.lit.sum():
            level = float(np.median(maps.intensity[flat])) / len(findings.frames)
            text = (
                f"{pixel_count(int(flat.sum()))} have about {level:.4g} in every frame, as of a "
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


def _of_the_strain(findings: Findings) -> Lines:
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


def _of_the_drift(findings: Findings) -> Lines:
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
    of_the_curves,
    _of_the_drift,
    _of_the_strain,
)


def _numbers(frames: Ints) -> tuple[int, ...]:
    return tuple(int(number) for number in frames)
