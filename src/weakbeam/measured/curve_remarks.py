"""What to know of the curves of a scan: cut, coarse, with gaps, tails or two maxima."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.analysis.noise import FLOOR
from weakbeam.analysis.reduction import FWHM_PER_SIGMA
from weakbeam.core.arrays import Floats
from weakbeam.measured.findings import SOME, Findings, Lines, pixel_count

_OPEN = 0.1
"""A curve that is above this share of its peak at an end of the scan is cut."""

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


def of_the_curves(findings: Findings) -> Lines:
    """Remarks on the curves of the pixels."""
    lit = findings.maps.lit
    cut = cut_motors(findings)
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
        if count > SOME * lit.sum():
            text = (
                f"{pixel_count(count)} ({count / lit.sum():.0%}) have two maxima along {motor}: a "
                f"centre of mass lies between them; see {motor}_bimodality and {motor}_second_peak"
            )
            yield "two maxima", text, (), count


def cut_motors(findings: Findings) -> dict[str, float]:
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
        if share > SOME:
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
