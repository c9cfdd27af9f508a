"""The figures of the maps of a measured scan."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Protocol

import numpy as np

from weakbeam.analysis.maxima import MAXIMA_NAMES
from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES, ScanMaps
from weakbeam.core.arrays import Floats
from weakbeam.imaging.motors import MOTORS
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.scan_motors import base_name
from weakbeam.measured.units import shown_difference

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

_MOST_DIGITS = 6
"""Digits after the point, at most, of what was subtracted from a map."""

_POSITIONS = ("com", "peak", "second_peak")
"""Maps of positions, which are drawn from their median."""


class MapsOfScan(Protocol):
    """What the figures show of a :class:`weakbeam.measured.maps.MeasuredMaps`, which has them."""

    @property
    def scan(self) -> MeasuredScan:
        """The scan."""

    @property
    def maps(self) -> ScanMaps:
        """Its maps."""

    @property
    def orientation(self) -> tuple[str, ...]:
        """The motors that turn the sample."""

    @property
    def turns(self) -> Floats:
        """Turns of the lattice."""

    @property
    def misorientation(self) -> Floats | None:
        """Kernel-average misorientation."""

    @property
    def strain(self) -> Floats | None:
        """Strain from centres of mass."""

    @property
    def strain_peak(self) -> Floats | None:
        """Strain from peaks."""

    @property
    def apparent(self) -> bool:
        """Whether it is an apparent strain."""

    @property
    def strain_shown(self) -> float | None:
        """Share of a homogeneous strain that it is."""


def measured_figures(mapped: MapsOfScan) -> dict[str, Figure]:
    """Draw the maps of a measured scan.

    Parameters
    ----------
    mapped : MapsOfScan
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
    for motor in maps.motors:
        panels = _motor_panels(mapped, motor)
        figures[motor] = panels_figure(panels, view, columns=2 if wide else 3, title=heading)
    if len(mapped.orientation) == 2:
        slow, fast = mapped.orientation
        turned = [mapped.turns[k] - np.nanmedian(mapped.turns[k]) for k in (1, 0)]
        factor, label = shown_difference(scan, scan.units[fast], turned)
        labels = (f"{symbol(fast)} ({label})", f"{symbol(slow)} ({label})")
        figures["mosaicity"] = mosaicity_figure(
            factor * turned[0], factor * turned[1], view, labels=labels, title=short
        )
    if mapped.misorientation is not None:
        unit = scan.units[mapped.orientation[0]]
        factor, label = shown_difference(scan, unit, [mapped.misorientation])
        motors = ", ".join(symbol(motor) for motor in mapped.orientation)
        values = factor * mapped.misorientation
        panel = Panel(f"kernel-average misorientation of {motors}", values, f"KAM ({label})")
        figures["misorientation"] = panels_figure([panel], view, title=short)
    if mapped.strain is not None:
        label = "ε (10⁻⁶)"
        kind = "apparent strain" if mapped.apparent else "axial strain"
        if mapped.strain_shown is not None:
            kind += f" ({mapped.strain_shown:.2f} of a homogeneous one)"
        panels = [Panel(f"{kind}, centre of mass", 1e6 * mapped.strain, label, True)]
        if mapped.strain_peak is not None:
            panels.append(Panel(f"{kind}, peak", 1e6 * mapped.strain_peak, label, True))
        figures["strain"] = panels_figure(panels, view, title=heading)
    return figures


def _motor_panels(mapped: MapsOfScan, motor: str) -> list[Panel]:
    """The maps of a motor, all angles in one unit; those of a second maximum where there is one."""
    scan, by_kind = mapped.scan, mapped.maps.motors[motor]
    drawn = {
        kind: values
        for kind, values in by_kind.items()
        if kind not in ("fwhm_half", "peak_value") and np.isfinite(values).any()
    }
    maxima = mapped.maps.maxima.get(motor)
    if maxima is not None and (np.nan_to_num(maxima["bimodality"]) > 0.0).any():
        drawn |= {kind: maxima[kind] for kind in ("bimodality", "second_peak")}
    own = scan.units[motor]
    middles = {kind: _middle(x) if kind in _POSITIONS else 0.0 for kind, x in drawn.items()}
    sizes = [x - middles[kind] for kind, x in drawn.items() if kind in (*ANGULAR, "second_peak")]
    factor, label = shown_difference(scan, own, sizes)
    return [
        _panel(motor, kind, values, middles[kind], factor, label) for kind, values in drawn.items()
    ]


def view_of(scan: MeasuredScan) -> View:
    """What the rows and columns of a scan's frames are."""
    from weakbeam.plot.view import View

    names = set() if scan.image_axes is None else {axis.name for axis in scan.image_axes}
    if scan.image_axes is not None and names == {"x", "y"}:
        return View.of_axes(*scan.image_axes)
    if scan.image_axes is not None and names == {"row", "column"}:
        return View.of_camera(*scan.image_axes)
    return View.of_pixels(scan.shape, scan.first)


def heading_of(scan: MeasuredScan) -> str:
    """File and title of a scan, whose numbers have as many digits as one reads."""
    title = re.sub(r"-?\d+\.\d{4,}", lambda found: f"{float(found[0]):.4g}", scan.title)
    return f"{scan.path.name}, {scan.entry}: {title}"


def symbol(motor: str) -> str:
    """The letter of a motor, or its name."""
    return _SYMBOLS.get(base_name(motor), motor)


def _panel(
    motor: str, kind: str, values: Floats, middle: float, factor: float, label: str
) -> Panel:
    from weakbeam.plot.panels import Panel

    name = symbol(motor)
    title = (MAP_NAMES | MAXIMA_NAMES)[kind]
    if kind == "bimodality":
        return Panel("bimodality: second maximum", values, "rise / peak")
    if kind not in (*ANGULAR, "second_peak"):
        return Panel(title, values, kind, kind == "skewness")
    shown = factor * (values - middle)
    if middle:
        offset, shown = _rounded(factor * middle, shown)
        name = f"{name} − {offset}".replace("− -", "+ ")
    unit = f"{name} ({label})" if label else name
    return Panel(title, shown, unit, kind in _POSITIONS)


def _middle(values: Floats) -> float:
    """Median of a map; 0 where it is nothing beside the values."""
    middle = float(np.nanmedian(values))
    return middle if abs(middle) > _NOTHING * float(np.nanmax(np.abs(values))) else 0.0


def _rounded(offset: float, differences: Floats) -> tuple[str, Floats]:
    """The offset to a twentieth of the range or finer, as it is written, and what is left then."""
    spread = float(np.nanpercentile(np.abs(differences), 99)) or abs(offset)
    digits = 2 - math.floor(math.log10(spread))
    written = f"{offset:.{max(digits, 0)}f}" if digits < _MOST_DIGITS else f"{offset:.6g}"
    return written, differences + (offset - float(written))
