"""Runs and scans compared: peaks laid on each other, one brightness, one grid of pixels, numbers.

The first of them is what the others are compared with. What is done to the others is told in
`Compared.notes`, and stands in the figures: a shift of a motor, a factor, new pixels.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weakbeam.analysis.agreement import Agreement, compare_maps, relative_difference
from weakbeam.analysis.curve_alignment import Curve, compare_curves, found_factor, found_shift
from weakbeam.analysis.pixel_grids import on_pixels, picture_shift, pixel_shares
from weakbeam.analysis.reduction import ANGULAR
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.measured.figures import symbol
from weakbeam.measured.sides import Side, Treatment, read_sides
from weakbeam.plot.view import View

POSITIONS = ("com", "peak")
"""Maps of places of a motor, which move with it."""

COMPARED_MAPS = ("com", "fwhm", "fwhm_half", "peak", "skewness", "kurtosis")
"""Maps of a motor of which there are numbers."""

_DIGITS = 8
"""Digits after the point that are told of a shift."""

_SAME = 1e-3
"""Part of a pixel by which the places of two grids may differ and still be the same."""

_ALIKE = 0.2
"""Correlation of two pictures below which nothing is said of where one lies on the other."""

_MIRRORED = ("skewness",)
"""Maps that change their sign when a motor is turned round."""


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


@dataclass(frozen=True, eq=False)
class Match:
    """What is done to a side so that it can be compared with the first.

    Parameters
    ----------
    motors : mapping of str to (str, int)
        For each motor of the first the motor of the side, and -1 where it turns the other way.
    shifts : mapping of str to float
        What is added to the positions of the latter, by the motor of the first, in its unit.
    factor : float
        What intensities are multiplied by.
    shares : (ndarray, ndarray, bool, bool), optional
        Shares of the side's pixels in those of the first along x and along y, and whether rows of
        the side and of the first follow y; None where they are the same pixels.
    comparable : bool
        Whether pixels can be compared at all.
    """

    motors: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    shifts: Mapping[str, float] = field(default_factory=dict)
    factor: float = 1.0
    shares: tuple[Floats, Floats, bool, bool] | None = None
    comparable: bool = True

    def on_first(self, values: Floats) -> Floats:
        """An image of the side on the pixels of the first."""
        if self.shares is None:
            return values
        along_x, along_y, swapped, first_swapped = self.shares
        placed = on_pixels(values.T if swapped else values, along_x, along_y)
        return placed.T if first_swapped else placed


@dataclass(frozen=True, eq=False)
class Compared:
    """Several sides, laid on the first.

    Parameters
    ----------
    sides : tuple of Side
        What was compared; positions and intensities as they were read.
    matches : tuple of Match
        One for each of them; nothing is done to the first.
    rows : tuple of Row
        Numbers, for each side but the first.
    notes : tuple of str
        What was done, a line each.
    aligned : bool
        Whether peaks were laid on each other.
    """

    sides: tuple[Side, ...]
    matches: tuple[Match, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    aligned: bool = False

    @property
    def motors(self) -> tuple[str, ...]:
        """Motors of the first side that all others have."""
        return tuple(
            motor
            for motor in self.sides[0].motors
            if all(motor in match.motors for match in self.matches)
        )

    def image(self, number: int) -> Floats:
        """Image of a side on its own pixels, as bright as the first."""
        return self.matches[number].factor * self.sides[number].image

    def curve(self, number: int, motor: str) -> Curve | None:
        """Curve of a side over a motor of the first, laid on its curve."""
        return _curve(self.sides[number], self.matches[number], motor)

    def map(self, number: int, motor: str, kind: str) -> Floats | None:
        """A map of a side on its own pixels, in the unit of the motor of the first."""
        return _map(self.sides[number], self.matches[number], motor, kind)

    def numbers(self) -> dict[str, object]:
        """All numbers as plain values."""
        return {
            "sides": [{"name": side.name, "label": side.label} for side in self.sides],
            "notes": list(self.notes),
            "rows": [row.values() for row in self.rows],
        }


def compare(
    sources: Sequence[str | os.PathLike[str]],
    *,
    treatment: Treatment | None = None,
    align_peaks: bool = False,
    match_brightness: bool | None = None,
    pairs: Mapping[str, str] | None = None,
    frame: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Compared:
    """Compare runs, scans, files of maps or images with the first of them.

    Parameters
    ----------
    sources : sequence of str or path
        Two or more, as for :func:`weakbeam.measured.sides.read_sides`.
    treatment : Treatment, optional
        How scans are mapped.
    align_peaks : bool
        Whether the curves of the others are shifted onto that of the first, along each motor.
    match_brightness : bool, optional
        Whether intensities of the others are multiplied by a factor of least squares; by default
        where one is in counts and the other is not.
    pairs : mapping of str to str, optional
        For motors of the first those of the others, where their names differ; ``"-mu"`` for one
        that turns the other way. Where either has a single motor of its own, both of which turn
        the sample or neither, these are a pair.
    frame : int, optional
        A frame of the first scan, beside which stand the frames of the others taken nearest to
        its place, after the shift. By default images are integrals over the scan.
    progress : callable, optional
        Told which share of the work is newly done.

    Returns
    -------
    Compared

    Raises
    ------
    InputError
        If there is nothing to compare, or a source or an argument is not allowed.
    RunError
        If frames are missing or hold no light.
    """
    if len(sources) < 2:
        raise InputError("sources", " ".join(map(str, sources)), "must be two or more to compare")
    sides = read_sides(sources, treatment, progress)
    first, notes = sides[0], list[str]()
    matches = [Match(motors={motor: (motor, 1) for motor in first.motors})]
    for side in sides[1:]:
        motors = _paired(first, side, pairs or {}, notes)
        match = Match(motors=motors)
        if align_peaks:
            match = replace(match, shifts=_shifts(first, side, match, notes))
        matches.append(match)
    if align_peaks and not any(match.shifts for match in matches):
        raise InputError("align_peaks", None, "there are no curves over a common motor to align")
    sides = _placed(sides, notes)
    if frame is not None:
        sides = _at_frame(sides, matches, frame, notes)
    first = sides[0]
    for number, side in enumerate(sides[1:], 1):
        comparable, shares = _shares(first, side, notes)
        match = replace(matches[number], shares=shares, comparable=comparable)
        matches[number] = _brightened(first, side, match, match_brightness, notes)
    rows = [
        row
        for side, match in zip(sides[1:], matches[1:], strict=True)
        for row in _rows(first, side, match, notes)
    ]
    return Compared(tuple(sides), tuple(matches), tuple(rows), tuple(notes), align_peaks)


def _paired(
    first: Side, side: Side, pairs: Mapping[str, str], notes: list[str]
) -> dict[str, tuple[str, int]]:
    """For each motor of the first that of a side."""
    found: dict[str, tuple[str, int]] = {}
    for motor, text in pairs.items():
        sign, name = (-1, text[1:]) if text.startswith("-") else (1, text)
        if first.motors and motor not in first.motors:
            allowed = f"{first.name} moves {', '.join(first.motors)}"
            raise InputError("pairs", motor, allowed)
        if side.motors and name not in side.motors:
            raise InputError("pairs", name, f"{side.name} moves {', '.join(side.motors)}")
        if first.motors and side.motors:
            found[motor] = (name, sign)
    taken = {name for name, _ in found.values()}
    for motor in first.motors:
        if motor not in found and motor in side.motors and motor not in taken:
            found[motor] = (motor, 1)
            taken.add(motor)
    lone = [motor for motor in first.motors if motor not in found]
    others = [motor for motor in side.motors if motor not in taken]
    if len(lone) == len(others) == 1 and _kind(first, lone[0]) == _kind(side, others[0]):
        found[lone[0]] = (others[0], 1)
        notes.append(f"{side.letter}: {others[0]} is compared with {lone[0]} of {first.letter}")
        lone, others = [], []
    for name, left in ((first.letter, lone), (side.letter, others)):
        if left and first.motors and side.motors:
            notes.append(f"{name} moves {', '.join(left)} alone, over which nothing is compared")
    for motor, (name, _) in found.items():
        if _unit(first, motor) != _unit(side, name):
            allowed = f"is in {_unit(side, name)} and {motor} in {_unit(first, motor)}"
            raise InputError("pairs", name, allowed)
    return found


def _shifts(first: Side, side: Side, match: Match, notes: list[str]) -> dict[str, float]:
    """Shift of each motor that lays the curve of a side on that of the first."""
    shifts = {}
    for motor in match.motors:
        curve, reference = _curve(side, match, motor), first.curves.get(motor)
        if curve is None or reference is None:
            notes.append(f"{side.letter}: there is no curve over {motor} to align")
            continue
        shift = found_shift(reference, curve)
        shifts[motor] = shift
        notes.append(
            f"{side.letter}: {symbol(motor)} shifted by {shown_shift(first, motor, shift)}"
        )
        for owner, one in ((first, reference), (side, curve)):
            if one.half_maximum is None:
                text = "does not fall to half inside the scan: its peak is uncertain"
                notes.append(f"{owner.letter}: the curve over {motor} {text}")
    return shifts


def shown_shift(side: Side, motor: str, shift: float) -> str:
    """A shift of a motor of a side with its unit; of angles in mrad as well."""
    unit = _unit(side, motor)
    shift = round(shift, _DIGITS) + 0.0
    text = f"{shift:+.6g} {unit}".rstrip()
    if unit == "deg":
        text += f" ({1e3 * math.radians(shift):+.5g} mrad)"
    return text.replace("-", "−")


def _placed(sides: list[Side], notes: list[str]) -> list[Side]:
    """Sides of which some tell no axes and have the shape of one that does."""
    known = next((side for side in sides if not side.view.pixels), None)
    if known is None:
        return sides
    placed = []
    for side in sides:
        if side.view.pixels and side.image.shape == known.image.shape:
            text = f"{side.letter} tells no axes: its pixels are taken for those of {known.letter}"
            notes.append(f"{text}, row by row")
            side = replace(side, view=known.view)
        placed.append(side)
    return placed


def _at_frame(
    sides: list[Side], matches: Sequence[Match], frame: int, notes: list[str]
) -> list[Side]:
    """Sides whose images are frames at one place of the scan."""
    first = sides[0]
    scan = first.scan
    if scan is None or not scan.positions:
        raise InputError("frame", frame, f"{first.name} has no frames of a scan")
    if not 0 <= frame < scan.frames:
        raise InputError("frame", frame, f"{first.name} has frames 0 to {scan.frames - 1}")
    place = {motor: float(x[frame]) for motor, x in scan.positions.items()}
    shown = []
    for side, match in zip(sides, matches, strict=True):
        number = frame
        if side is not first:
            wanted = {
                name: sign * (place[motor] - match.shifts.get(motor, 0.0))
                for motor, (name, sign) in match.motors.items()
            }
            number = side.frame_near(wanted)
        taken = side.with_frame(number)
        notes.append(f"{side.letter}: {taken.shows}")
        # Maps and curves stay those of the whole scan.
        shown.append(replace(taken, mapped=side.mapped, framed=True))
    return shown


def _shares(
    first: Side, side: Side, notes: list[str]
) -> tuple[bool, tuple[Floats, Floats, bool, bool] | None]:
    """Whether pixels can be compared, and the shares of the side's in those of the first."""
    a, b = first.view, side.view
    if a.pixels and b.pixels and first.image.shape == side.image.shape:
        return True, None
    if a.pixels or b.pixels:
        which = first if a.pixels else side
        rows, columns = side.image.shape
        notes.append(
            f"{which.letter} tells no axes, and {side.letter} has {rows} × {columns} pixels beside "
            f"{first.image.shape[0]} × {first.image.shape[1]} of {first.letter}: pixels are not "
            "compared"
        )
        return False, None
    if a.on_camera != b.on_camera:
        notes.append(
            f"{side.letter} and {first.letter} are seen in different geometries, with axes on the "
            "camera and in the sample: pixels are not compared"
        )
        return False, None
    if a.swapped == b.swapped and _same(a.x, b.x, a) and _same(a.y, b.y, a):
        return True, None
    pitch_a, pitch_b = pitches(a), pitches(b)
    shares = (
        pixel_shares(b.x, a.x, pitch_b[0], pitch_a[0]),
        pixel_shares(b.y, a.y, pitch_b[1], pitch_a[1]),
        b.swapped,
        a.swapped,
    )
    covered = float(np.mean(shares[0].sum(axis=1))) * float(np.mean(shares[1].sum(axis=1)))
    if covered <= 0.0:
        notes.append(f"{side.letter} shows another part of the sample: pixels are not compared")
        return False, None
    if all(_same(np.sort(u), np.sort(v), a) for u, v in ((a.x, b.x), (a.y, b.y))):
        return True, shares
    sizes = [f"{abs(x):.4g} × {abs(y):.4g} µm" for x, y in (pitch_b, pitch_a)]
    notes.append(
        f"{side.letter}: pixels of {sizes[0]} averaged over those of {first.letter}, {sizes[1]}, "
        f"{covered:.0%} of which it covers"
    )
    return True, shares


def pitches(view: View) -> tuple[float, float]:
    """Size of a pixel along x and along y."""
    left, right, bottom, top = view.extent
    return abs(top - bottom) / view.x.size, abs(right - left) / view.y.size


def _same(a: Floats, b: Floats, view: View) -> bool:
    slack = _SAME * min(pitches(view))
    return a.shape == b.shape and bool(np.abs(a - b).max() <= slack)


def _brightened(
    first: Side, side: Side, match: Match, wanted: bool | None, notes: list[str]
) -> Match:
    """The match with the factor of brightness."""
    if wanted is None:
        wanted = first.counts != side.counts
    if not wanted:
        return match
    pairs = []
    for motor in match.motors:
        a, b = first.curves.get(motor), _curve(side, match, motor)
        if a is not None and b is not None:
            pairs.append((a, b))
    same_motors = len(match.motors) == len(first.motors) == len(side.motors)
    factor, source = math.nan, ""
    if pairs and same_motors:
        factor, source = found_factor(pairs), "curves"
    elif match.comparable:
        reference, image = first.image, match.on_first(side.image)
        known = np.isfinite(reference) & np.isfinite(image)
        squares = float(np.sum(image[known] ** 2))
        if squares > 0.0:
            factor = float(np.sum(reference[known] * image[known])) / squares
        source = "images"
    if not (math.isfinite(factor) and factor > 0.0):
        factor, source = float(np.nanmean(first.image) / np.nanmean(side.image)), "mean intensities"
    if not (math.isfinite(factor) and factor > 0.0):
        notes.append(f"{side.letter}: no factor makes it as bright as {first.letter}")
        return match
    notes.append(f"{side.letter}: intensities multiplied by {factor:.5g}, from the {source}")
    return replace(match, factor=factor)


def _rows(first: Side, side: Side, match: Match, notes: list[str]) -> list[Row]:
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
        a_curve, b_curve = first.curves.get(motor), _curve(side, match, motor)
        unit, shift = _unit(first, motor), match.shifts.get(motor, 0.0)
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
            a_map = _map(first, Match(motors={motor: (motor, 1)}), motor, kind)
            b_map = _map(side, match, motor, kind)
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


def _curve(side: Side, match: Match, motor: str) -> Curve | None:
    if motor not in match.motors:
        return None
    name, sign = match.motors[motor]
    curve = side.curves.get(name)
    if curve is None:
        return None
    return Curve(sign * curve.positions + match.shifts.get(motor, 0.0), curve.intensity)


def _map(side: Side, match: Match, motor: str, kind: str) -> Floats | None:
    if side.mapped is None or motor not in match.motors:
        return None
    name, sign = match.motors[motor]
    values = side.mapped.maps.motors[name].get(kind)
    if values is None or not np.isfinite(values).any():
        return None
    if kind in POSITIONS:
        return np.asarray(sign * values + match.shifts.get(motor, 0.0))
    return np.asarray(sign * values) if kind in _MIRRORED else values


def _kind(side: Side, motor: str) -> tuple[str, bool]:
    """Unit of a motor, and whether it turns the sample: only motors of a kind are a pair."""
    assert side.mapped is not None
    return _unit(side, motor), motor in side.mapped.orientation


def _unit(side: Side, motor: str) -> str:
    assert side.mapped is not None
    return side.mapped.scan.units[motor]


def _plain(value: str | int | float) -> str | int | float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
