"""What is done to a side of a comparison: motors that belong together, shifts, brightness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from weakbeam.analysis.curve_alignment import Curve, found_factor, found_shift
from weakbeam.analysis.pixel_grids import on_pixels
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.measured.figures import symbol
from weakbeam.measured.sides import Side

POSITIONS = ("com", "peak")
"""Maps of places of a motor, which move with it."""

_MIRRORED = ("skewness",)
"""Maps that change their sign when a motor is turned round."""

_DIGITS = 8
"""Digits after the point that are told of a shift."""


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

    def curve(self, side: Side, motor: str) -> Curve | None:
        """Curve of the side over a motor of the first, laid on that of the first."""
        if motor not in self.motors:
            return None
        name, sign = self.motors[motor]
        curve = side.curves.get(name)
        if curve is None:
            return None
        return Curve(sign * curve.positions + self.shifts.get(motor, 0.0), curve.intensity)

    def map(self, side: Side, motor: str, kind: str) -> Floats | None:
        """A map of the side on its own pixels, places in the frame of the motor of the first."""
        if side.mapped is None or motor not in self.motors:
            return None
        name, sign = self.motors[motor]
        values = side.mapped.maps.motors[name].get(kind)
        if values is None or not np.isfinite(values).any():
            return None
        if kind in POSITIONS:
            return np.asarray(sign * values + self.shifts.get(motor, 0.0))
        return np.asarray(sign * values) if kind in _MIRRORED else values


def paired(
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
        if unit_of(first, motor) != unit_of(side, name):
            allowed = f"is in {unit_of(side, name)} and {motor} in {unit_of(first, motor)}"
            raise InputError("pairs", name, allowed)
    return found


def found_shifts(first: Side, side: Side, match: Match, notes: list[str]) -> dict[str, float]:
    """Shift of each motor that lays the curve of a side on that of the first."""
    shifts = {}
    for motor in match.motors:
        curve, reference = match.curve(side, motor), first.curves.get(motor)
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
    unit = unit_of(side, motor)
    shift = round(shift, _DIGITS) + 0.0
    text = f"{shift:+.6g} {unit}".rstrip()
    if unit == "deg":
        text += f" ({1e3 * math.radians(shift):+.5g} mrad)"
    return text.replace("-", "−")


def brightened(
    first: Side, side: Side, match: Match, wanted: bool | None, notes: list[str]
) -> Match:
    """The match with the factor of brightness."""
    if wanted is None:
        wanted = first.counts != side.counts
    if not wanted:
        return match
    pairs = []
    for motor in match.motors:
        a, b = first.curves.get(motor), match.curve(side, motor)
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


def _kind(side: Side, motor: str) -> tuple[str, bool]:
    """Unit of a motor, and whether it turns the sample: only motors of a kind are a pair."""
    assert side.mapped is not None
    return unit_of(side, motor), motor in side.mapped.orientation


def unit_of(side: Side, motor: str) -> str:
    """Unit of a motor of a side that has maps."""
    assert side.mapped is not None
    return side.mapped.scan.units[motor]
