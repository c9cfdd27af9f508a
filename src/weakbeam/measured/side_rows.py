"""How far two sides agree, in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from weakbeam.analysis.agreement import Agreement, compare_maps, relative_difference
from weakbeam.analysis.curve_alignment import Curve, compare_curves
from weakbeam.analysis.pixel_grids import picture_shift
from weakbeam.analysis.reduction import ANGULAR
from weakbeam.core.arrays import Floats
from weakbeam.measured.common_pixels import pitches
from weakbeam.measured.matching import POSITIONS, Match, unit_of
from weakbeam.measured.sides import Side
from weakbeam.plot.view import View

COMPARED_MAPS = ("com", "fwhm", "fwhm_half", "peak", "skewness", "kurtosis")
"""Maps of a motor of which there are numbers."""

_ALIKE = 0.2
"""Correlation of two pictures below which nothing is said of where one lies on the other."""


@dataclass(frozen=True)
class Row:
    """How one quantity of a side agrees with that of the first.

    Parameters
    ----------
    quantity : str
        ``"image"``, ``"curve MOTOR"``, or the name of a map.
    of, against : str
        Labels of the side and of the first.
    unit : str
        Of offset and rms.
    agreement : Agreement
        The side against the first, over the pixels or positions that both have.
    relative_l2 : float
        Root of the sum of squared differences over that of the first; of places of a motor over
        that of the first about its mean.
    factor : float
        By which the intensities of the side were multiplied; 1 for what has no brightness.
    shift : float
        Added to the positions of the side's motor.
    shift_unit : str
        Its unit.
    x_shift, y_shift : float
        How far the side's picture would have to be moved to lie best on the first; NaN where that
        was not looked for. Nothing is moved.
    place_unit : str
        Their unit: µm of the sample, or pixels.
    """

    quantity: str
    of: str
    against: str
    unit: str
    agreement: Agreement
    relative_l2: float
    factor: float = 1.0
    shift: float = 0.0
    shift_unit: str = ""
    x_shift: float = math.nan
    y_shift: float = math.nan
    place_unit: str = ""

    def values(self) -> dict[str, str | int | float | None]:
        """The row as plain values; None where a number is not defined."""
        found = self.agreement
        numbers: dict[str, str | int | float] = {
            "quantity": self.quantity,
            "of": self.of,
            "against": self.against,
            "unit": self.unit,
            "values": found.pixels,
            "correlation": found.correlation,
            "relative_l2": self.relative_l2,
            "offset": found.offset,
            "rms": found.rms,
            "slope": found.slope,
            "factor": self.factor,
            "shift": self.shift,
            "shift_unit": self.shift_unit,
            "x_shift": self.x_shift,
            "y_shift": self.y_shift,
            "place_unit": self.place_unit,
        }
        return {key: _plain(value) for key, value in numbers.items()}


def rows_of(first: Side, side: Side, match: Match, notes: list[str]) -> list[Row]:
    """The numbers of one side."""
    rows = []
    if match.comparable:
        a, b = first.image, match.factor * match.on_first(side.image)
        x_shift, y_shift, unit = _moved(first.view, a, b)
        rows.append(
            Row(
                "image",
                side.label,
                first.label,
                unit=first.image_unit,
                agreement=compare_maps(b, a),
                relative_l2=relative_difference(a, b),
                factor=match.factor,
                x_shift=x_shift,
                y_shift=y_shift,
                place_unit=unit,
            )
        )
    for motor in match.motors:
        a_curve, b_curve = first.curves.get(motor), match.curve(side, motor)
        unit, shift = unit_of(first, motor), match.shifts.get(motor, 0.0)
        if a_curve is not None and b_curve is not None:
            bright = Curve(b_curve.positions, match.factor * b_curve.intensity)
            agreement, relative = compare_curves(a_curve, bright)
            if not agreement.pixels:
                notes.append(
                    f"{side.letter}: its curve over {motor} has no position in common with that of "
                    f"{first.letter}; `align_peaks` lays them on each other"
                )
            rows.append(
                Row(
                    f"curve {motor}",
                    side.label,
                    first.label,
                    unit=first.curve_unit(motor),
                    agreement=agreement,
                    relative_l2=relative,
                    factor=match.factor,
                    shift=shift,
                    shift_unit=unit,
                )
            )
        for kind in COMPARED_MAPS if match.comparable else ():
            a_map = Match(motors={motor: (motor, 1)}).map(first, motor, kind)
            b_map = match.map(side, motor, kind)
            if a_map is None or b_map is None:
                continue
            placed = match.on_first(b_map)
            rows.append(
                Row(
                    f"{motor}_{kind}",
                    side.label,
                    first.label,
                    unit=unit if kind in ANGULAR else "",
                    agreement=compare_maps(placed, a_map),
                    relative_l2=relative_difference(a_map, placed, kind in POSITIONS),
                    shift=shift if kind in POSITIONS else 0.0,
                    shift_unit=unit if kind in POSITIONS else "",
                )
            )
    return rows


def _moved(view: View, first: Floats, second: Floats) -> tuple[float, float, str]:
    """How far the second picture lies from the first along x and y, or rows and columns."""
    rows, columns, alike = picture_shift(first, second)
    if not alike >= _ALIKE:
        rows = columns = math.nan
    along_x, along_y = (columns, rows) if view.swapped else (rows, columns)
    if view.pixels:
        return along_x, along_y, "pixel"
    pitch_x, pitch_y = pitches(view)
    # Axes may run downwards.
    signs = [1.0 if axis[-1] >= axis[0] else -1.0 for axis in (view.x, view.y)]
    return signs[0] * pitch_x * along_x, signs[1] * pitch_y * along_y, "um"


def _plain(value: str | int | float) -> str | int | float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
