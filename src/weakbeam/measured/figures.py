"""The figures of the maps of a measured scan."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from weakbeam.analysis.maxima import MAXIMA_NAMES
from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES
from weakbeam.core.arrays import Floats
from weakbeam.imaging.motors import MOTORS
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.scan_motors import base_name
from weakbeam.measured.maps import MeasuredMaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from weakbeam.plot.panels import Panel
    from weakbeam.plot.view import View

_SYMBOLS = {motor.beamline_name: motor.symbol for motor in MOTORS.values() if motor.is_angle}
"""Of angles only: what lifts the sample is another motor at every beamline and keeps its name."""

_LONGEST = 48
"""Letters that fit above a figure one column wide."""

_NOTHING = 0.02
"""Part of the largest value below which the median of a map is not subtracted."""

_MICRO = 0.1
"""Angles below this many mrad are drawn in µrad, lengths below this many µm in nm."""


def measured_figures(mapped: MeasuredMaps) -> dict[str, Figure]:
    """Draw the maps of a measured scan.

    Parameters
    ----------
    mapped : MeasuredMaps
        From :func:`weakbeam.measured.maps.map_scan`.

    Returns
    -------
    dict of str to Figure
        ``intensity``; one figure for each motor, by its name; ``mosaicity`` where two motors turn
        the sample; ``misorientation`` and ``strain`` where there are such maps.
    """
    from weakbeam.plot.mosaicity import mosaicity_figure
    from weakbeam.plot.panels import Panel, panels_figure

    maps, scan = mapped.maps, mapped.scan
    view = view_of(scan)
    heading = heading_of(scan)
    short = heading if len(heading) < _LONGEST else f"{heading[:_LONGEST]}…"
    wide = scan.shape[1] > 1.8 * scan.shape[0]
    light = [
        Panel("sum of the frames", maps.intensity, "intensity"),
        Panel("brightest frame of each pixel", maps.brightest, "intensity"),
    ]
    figures = {"intensity": panels_figure(light, view, title=heading)}
    for motor, by_kind in maps.motors.items():
        panels = [
            _panel(motor, scan.units[motor], kind, values)
            for kind, values in by_kind.items()
            if kind not in ("fwhm_half", "peak_value") and np.isfinite(values).any()
        ]
        panels += _second_maximum(mapped, motor)
        figures[motor] = panels_figure(panels, view, columns=2 if wide else 3, title=heading)
    if len(mapped.orientation) == 2:
        slow, fast = mapped.orientation
        turned = mapped.turns
        angles = [_milliradians(turned[k], scan.units[fast]) for k in (1, 0)]
        turns = np.stack([values - np.nanmedian(values) for values in angles])
        shown, unit = _scaled(turns, "mrad")
        labels = (f"{symbol(fast)} ({unit})", f"{symbol(slow)} ({unit})")
        figures["mosaicity"] = mosaicity_figure(
            shown[0], shown[1], view, labels=labels, title=short
        )
    if mapped.misorientation is not None:
        unit = scan.units[mapped.orientation[0]]
        values, label = _scaled(_milliradians(mapped.misorientation, unit), "mrad")
        motors = ", ".join(symbol(motor) for motor in mapped.orientation)
        panel = Panel(f"kernel-average misorientation of {motors}", values, f"KAM ({label})")
        figures["misorientation"] = panels_figure([panel], view, title=short)
    if mapped.strain is not None:
        label = "ε (10⁻⁶)"
        kind = "apparent strain" if mapped.apparent else "axial strain"
        panels = [Panel(f"{kind}, centre of mass", 1e6 * mapped.strain, label, True)]
        if mapped.strain_peak is not None:
            panels.append(Panel(f"{kind}, peak", 1e6 * mapped.strain_peak, label, True))
        figures["strain"] = panels_figure(panels, view, title=heading)
    return figures


def _second_maximum(mapped: MeasuredMaps, motor: str) -> list[Panel]:
    """Panels of the second maximum where there are pixels with one."""
    from weakbeam.plot.panels import Panel

    maxima = mapped.maps.maxima.get(motor)
    if maxima is None or not (np.nan_to_num(maxima["bimodality"]) > 0.0).any():
        return []
    panel = _panel(motor, mapped.scan.units[motor], "second_peak", maxima["second_peak"])
    return [Panel("bimodality: second maximum", maxima["bimodality"], "rise / peak"), panel]


def view_of(scan: MeasuredScan) -> View:
    """What the rows and columns of a scan's frames are."""
    from weakbeam.plot.view import View

    if scan.image_axes is None or {axis.name for axis in scan.image_axes} != {"x", "y"}:
        return View.of_pixels(scan.shape)
    return View.of_axes(*scan.image_axes)


def heading_of(scan: MeasuredScan) -> str:
    """File and title of a scan, whose numbers have as many digits as one reads."""
    title = re.sub(r"-?\d+\.\d{4,}", lambda found: f"{float(found[0]):.4g}", scan.title)
    return f"{scan.path.name}, {scan.entry}: {title}"


def symbol(motor: str) -> str:
    """The letter of a motor, or its name."""
    return _SYMBOLS.get(base_name(motor), motor)


def _panel(motor: str, unit: str, kind: str, values: Floats) -> Panel:
    from weakbeam.plot.panels import Panel

    name = symbol(motor)
    if kind not in (*ANGULAR, "second_peak"):
        return Panel(MAP_NAMES[kind], values, kind, kind == "skewness")
    title, middle = (MAP_NAMES | MAXIMA_NAMES)[kind], 0.0
    if kind in ("com", "peak", "second_peak"):
        middle = _middle(values)
        if middle:
            # As short as it goes: panels stand side by side.
            title = "peak" if kind == "peak" else title
            title = f"{title}, {name} − {middle:.5g} {unit}".replace("− -", "+ ").strip()
    shown, label = _scaled(
        _milliradians(values - middle, unit), "mrad" if _is_angle(unit) else unit
    )
    label = f"{name} ({label})" if label else name
    return Panel(title, shown, label, kind in ("com", "peak", "second_peak"))


def _middle(values: Floats) -> float:
    """Median of a map; 0 where it is nothing beside the values."""
    middle = float(np.nanmedian(values))
    return middle if abs(middle) > _NOTHING * float(np.nanmax(np.abs(values))) else 0.0


def _scaled(values: Floats, unit: str) -> tuple[Floats, str]:
    """Values in the unit, or in one a thousandth of it where all are small."""
    smaller = {"mrad": "µrad", "mm": "µm", "um": "nm"}
    finite = np.abs(values[np.isfinite(values)])
    if unit in smaller and finite.size and float(np.percentile(finite, 99)) < _MICRO:
        return 1e3 * values, smaller[unit]
    return values, unit


def _milliradians(values: Floats, unit: str) -> Floats:
    """Angles in mrad; anything else as it is."""
    if unit == "deg":
        return np.asarray(1e3 * math.radians(1.0) * values)
    return np.asarray(1e3 * values) if unit == "rad" else values


def _is_angle(unit: str) -> bool:
    return unit in ("deg", "rad")
