"""The figures of a comparison: images, curves and maps of all sides on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from weakbeam.analysis.curve_alignment import Curve
from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES
from weakbeam.core.arrays import Floats
from weakbeam.measured.figures import symbol
from weakbeam.measured.matching import POSITIONS, unit_of
from weakbeam.measured.side_by_side import Compared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from weakbeam.plot.image import Scale
    from weakbeam.plot.side_by_side import Curves, Row

Against = Literal["difference", "ratio"]

_SHOWN = ("com", "fwhm")
"""Maps of a motor that are drawn."""

_SMALL = 0.1
"""Angles below this many mrad are drawn in µrad."""

_DARK = 0.05
"""Part of the brightest light below which a ratio says nothing."""


def side_figures(
    compared: Compared,
    *,
    scale: Scale = "linear",
    limits: tuple[float, float] | None = None,
    against: Against = "difference",
) -> dict[str, Figure]:
    """Draw a comparison.

    Parameters
    ----------
    compared : Compared
        From :func:`weakbeam.measured.side_by_side.compare`.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    limits : (float, float), optional
        Intensities of the darkest and the brightest colour.
    against : {"difference", "ratio"}
        What is drawn beside two images.

    Returns
    -------
    dict of str to Figure
        ``images``; ``curves`` where there are curves over a common motor; ``maps_MOTOR`` for each
        motor that all sides have maps of.
    """
    from weakbeam.plot.side_by_side import compared_curves_figure, pictures_figure

    titles = [side.label for side in compared.sides]
    notes = [note.partition("; `")[0] for note in compared.notes]
    figures = {
        "images": pictures_figure(
            [_image_row(compared, against)], titles=titles, notes=notes, scale=scale, limits=limits
        )
    }
    curves = [some for motor in compared.motors if (some := _curves(compared, motor)) is not None]
    if curves:
        figures["curves"] = compared_curves_figure(curves, notes=notes)
    for motor in compared.motors:
        rows = [row for kind in _SHOWN if (row := _map_row(compared, motor, kind)) is not None]
        if rows:
            figures[f"maps_{motor}"] = pictures_figure(rows, titles=titles, notes=notes)
    return figures


def _image_row(compared: Compared, against: Against) -> Row:
    from weakbeam.plot.side_by_side import Row, Side

    sides, first = compared.sides, compared.sides[0]
    unit = first.image_unit
    label = "intensity" if not first.counts else "counts"
    if unit not in ("", "counts"):
        label = f"integrated intensity ({unit})"
    pictures = [
        Side(f"{side.letter}: {side.shows}", compared.image(number), side.view)
        for number, side in enumerate(sides)
    ]
    if len(sides) != 2 or not compared.matches[1].comparable:
        return Row(label, pictures, "intensity")
    a, b = first.image, compared.matches[1].on_first(compared.image(1))
    if against == "ratio":
        least = _DARK * float(np.nanmax(np.abs(a)))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((a > least) & (b > 0.0), b / a, np.nan)
        panel = Side(f"{sides[1].letter} / {first.letter}", ratio, first.view)
        return Row(label, pictures, "intensity", panel, "ratio", True)
    panel = Side(f"{sides[1].letter} − {first.letter}", b - a, first.view)
    lost = f"difference ({unit})" if unit else "difference"
    return Row(label, pictures, "intensity", panel, lost)


def _map_row(compared: Compared, motor: str, kind: str) -> Row | None:
    from weakbeam.plot.side_by_side import Row, Side

    sides = compared.sides
    found = [compared.map(number, motor, kind) for number in range(len(sides))]
    maps = [values for values in found if values is not None]
    if len(maps) < len(sides):
        return None
    unit = unit_of(compared.sides[0], motor) if kind in ANGULAR else ""
    place = kind in POSITIONS
    middle = float(np.nanmedian(maps[0])) if place else 0.0
    wanted = _wanted(compared)
    factor, shown = _scale([values - middle for values in maps], unit, wanted)
    middle = _rounded(factor * middle) if place else 0.0
    name = f"{symbol(motor)}{_less(middle, shown)}" if place else symbol(motor)
    label = f"{name} ({shown})" if shown else name
    pictures = [
        Side(f"{side.letter}: {MAP_NAMES[kind]}", factor * values - middle, side.view)
        for side, values in zip(sides, maps, strict=True)
    ]
    colors: Literal["diverging", "range"] = "diverging" if place else "range"
    if len(sides) != 2 or not compared.matches[1].comparable:
        return Row(label, pictures, colors)
    lost = compared.matches[1].on_first(maps[1]) - maps[0]
    factor, shown = _scale([lost], unit, wanted)
    panel = Side(f"{sides[1].letter} − {sides[0].letter}", factor * lost, sides[0].view)
    return Row(label, pictures, colors, panel, f"difference ({shown})" if shown else "difference")


def _curves(compared: Compared, motor: str) -> Curves | None:
    from weakbeam.plot.side_by_side import Curves

    sides = compared.sides
    found = [compared.curve(number, motor) for number in range(len(sides))]
    curves = [curve for curve in found if curve is not None]
    if len(curves) < len(sides):
        return None
    unit = unit_of(compared.sides[0], motor)
    factor, shown = _angle(unit, _wanted(compared) or "mrad")
    middle = _rounded(factor * curves[0].middle) if unit == "deg" else 0.0
    lines = [
        (
            side.label,
            factor * curve.positions - middle,
            compared.matches[number].factor * curve.intensity,
        )
        for number, (side, curve) in enumerate(zip(sides, curves, strict=True))
    ]
    name = f"{symbol(motor)}{_less(middle, shown)}"
    of = sides[0].curve_unit(motor)
    return Curves(
        f"{name} ({shown})" if shown else name,
        f"mean intensity ({of})" if of else "mean intensity",
        lines,
        _difference(curves, factor, middle, compared.matches[1].factor),
        f"{sides[1].letter} − {sides[0].letter}",
    )


def _difference(
    curves: Sequence[Curve], factor: float, middle: float, brighter: float
) -> tuple[Floats, Floats] | None:
    if len(curves) != 2:
        return None
    first, second = curves
    lost = brighter * second.at(first.positions) - first.intensity
    return factor * first.positions - middle, lost


def _rounded(value: float) -> float:
    """A place of a motor as it is written, so that what is left is exact."""
    return float(f"{value:.6g}") if abs(value) > 1e-6 else 0.0


def _less(middle: float, unit: str) -> str:
    """What is subtracted from a motor, as it is written after its symbol."""
    return f" {'+' if middle < 0.0 else '−'} {abs(middle):.6g} {unit}".rstrip() if middle else ""


def _wanted(compared: Compared) -> str:
    """The unit of angles that was asked for, if any."""
    mapped = compared.sides[0].mapped
    return "" if mapped is None else mapped.scan.shown_unit


def _angle(unit: str, wanted: str) -> tuple[float, str]:
    """Factor and name of the unit in which angles are drawn; of others their own."""
    if unit != "deg" or wanted == "deg":
        return 1.0, unit
    factor = 1e3 * math.radians(1.0)
    return (factor, "mrad") if wanted == "mrad" else (1e3 * factor, "µrad")


def _scale(values: Sequence[Floats], unit: str, wanted: str) -> tuple[float, str]:
    """Factor and unit in which maps are drawn: angles in mrad unless all are small, or as asked."""
    factor, shown = _angle(unit, wanted or "mrad")
    if unit != "deg" or wanted:
        return factor, shown
    together = np.concatenate([np.abs(array[np.isfinite(array)]).ravel() for array in values])
    if together.size and factor * float(np.percentile(together, 99)) < _SMALL:
        return _angle(unit, "urad")
    return factor, shown
