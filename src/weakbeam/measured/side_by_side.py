"""Runs and scans compared: peaks laid on each other, one brightness, one grid of pixels, numbers.

The first of them is what the others are compared with. What is done to the others is told in
`Compared.notes`, and stands in the figures: a shift of a motor, a factor, new pixels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weakbeam.analysis.curve_alignment import Curve
from weakbeam.core.arrays import Floats
from weakbeam.core.bars import Progress, teller
from weakbeam.core.html import lines_html
from weakbeam.errors import InputError
from weakbeam.measured.common_pixels import placed, shares_of
from weakbeam.measured.matching import Match, brightened, found_shifts, paired
from weakbeam.measured.side_rows import Row, rows_of
from weakbeam.measured.sides import Side, read_sides
from weakbeam.measured.treatment import Treatment
from weakbeam.run.records import Records

__all__ = ["Compared", "Match", "Row", "Side", "Treatment", "compare"]


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        sides = ", ".join(side.label for side in self.sides)
        return f"<Compared {sides}: {len(self.rows)} numbers>"

    def _repr_html_(self) -> str:
        return f"<div>{lines_html(self.notes)}{self.table._repr_html_()}</div>"

    @property
    def table(self) -> Records:
        """The numbers of every side but the first, quantity by quantity."""
        return Records(
            f"compared with {self.sides[0].label}", [dict(row.values()) for row in self.rows]
        )

    def to_pandas(self) -> Any:
        """The numbers as a `pandas.DataFrame`."""
        return self.table.to_pandas()

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
        return self.matches[number].curve(self.sides[number], motor)

    def map(self, number: int, motor: str, kind: str) -> Floats | None:
        """A map of a side on its own pixels, in the unit of the motor of the first."""
        return self.matches[number].map(self.sides[number], motor, kind)

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
    progress: Progress | bool | None = None,
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
    progress : callable or bool, optional
        Told which share of the work is newly done; True shows a bar.

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
    sides = read_sides(sources, treatment, teller(progress, 1.0))
    first = sides[0]
    # Titles of pictures may have no room for where the motors stood.
    notes = [f"{s.letter}: {s.shows}" for s in sides if s.mapped is None and s.scan is not None]
    matches = [Match(motors={motor: (motor, 1) for motor in first.motors})]
    for side in sides[1:]:
        motors = paired(first, side, pairs or {}, notes)
        match = Match(motors=motors)
        if align_peaks:
            match = replace(match, shifts=found_shifts(first, side, match, notes))
        matches.append(match)
    if align_peaks and not any(match.shifts for match in matches):
        raise InputError("align_peaks", None, "there are no curves over a common motor to align")
    sides = placed(sides, notes)
    if frame is not None:
        sides = _at_frame(sides, matches, frame, notes)
    first = sides[0]
    for number, side in enumerate(sides[1:], 1):
        comparable, shares = shares_of(first, side, notes)
        match = replace(matches[number], shares=shares, comparable=comparable)
        matches[number] = brightened(first, side, match, match_brightness, notes)
    rows = [
        row
        for side, match in zip(sides[1:], matches[1:], strict=True)
        for row in rows_of(first, side, match, notes)
    ]
    return Compared(tuple(sides), tuple(matches), tuple(rows), tuple(notes), align_peaks)


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
