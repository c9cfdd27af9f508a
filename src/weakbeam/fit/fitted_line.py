"""A straight dislocation that a fit moves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weakbeam.assemble.placed import Sources
from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.fit.fitted_defect import Room
from weakbeam.fit.line_place import LinePlace
from weakbeam.run.render import Renderer

_STEPS = {False: 0.003, True: 0.0003}
"""Steps of a line that crosses the sheet (pixels), or lies in it (µm), for derivatives of q."""

_TURN_DEG = 0.03
_LONGEST_TURN_DEG = 5.0
_MAP_STEPS, _MAP_TURN_DEG = {False: 0.02, True: 0.002}, 0.2
_MAP_LONGEST = {False: 3.0, True: 0.3}


@dataclass(frozen=True, eq=False)
class FittedLine:
    """A straight dislocation at some place.

    Parameters
    ----------
    type : DislocationType
        Its slip system and character.
    place : LinePlace
        The two coordinates that tell where it is.
    at : (2,) ndarray
        Their values.
    turning : bool
        Whether its character is fitted.
    """

    type: DislocationType
    place: LinePlace
    at: Floats
    turning: bool = False

    @property
    def kind(self) -> str:
        """A line."""
        return "line"

    @property
    def label(self) -> str:
        """Its type."""
        return self.type.name

    @property
    def system(self) -> tuple[object, ...]:
        """Its slip system."""
        return self.kind, self.type.plane, self.type.burgers

    @property
    def names(self) -> tuple[str, ...]:
        """What is fitted of it."""
        return (*self.place.names, "character_deg") if self.turning else self.place.names

    @property
    def values(self) -> Floats:
        """Its parameters."""
        return np.append(self.at, self.type.character_deg)[: len(self.names)]

    @property
    def position_um(self) -> Floats:
        """A point on it (µm, sample frame)."""
        return self.place.position(self.at)

    @property
    def in_sheet(self) -> bool:
        """Whether it lies in the sheet of the beam, so that its depth counts."""
        return self.place.in_sheet

    @property
    def small_steps(self) -> Floats:
        """See :attr:`.FittedDefect.small_steps`."""
        small = _STEPS[self.in_sheet]
        return np.array([small, small, _TURN_DEG])[: len(self.names)]

    @property
    def longest_steps(self) -> Floats:
        """See :attr:`.FittedDefect.longest_steps`."""
        return np.array([*self.place.longest_steps, _LONGEST_TURN_DEG])[: len(self.names)]

    def map_steps(self, bin: int) -> tuple[Floats, Floats]:
        """See :meth:`.FittedDefect.map_steps`."""
        unit = 1 if self.in_sheet else bin
        small, longest = unit * _MAP_STEPS[self.in_sheet], unit * _MAP_LONGEST[self.in_sheet]
        count = len(self.names)
        steps = np.array([small, small, _MAP_TURN_DEG]), np.array([longest, longest, np.inf])
        return steps[0][:count], steps[1][:count]

    def moved(self, step: Floats) -> FittedLine:
        """The line after a step of its parameters."""
        kind = self.type
        if self.turning:
            kind = kind.turned(kind.character_deg + float(step[2]))
        return replace(self, at=self.at + step[:2], type=kind)

    def apart(self, other: FittedLine) -> Floats:
        """See :meth:`.FittedDefect.apart`."""
        turn = (self.type.character_deg - other.type.character_deg + 180.0) % 360.0 - 180.0
        return np.asarray(np.abs(np.append(self.at - other.at, turn))[: len(self.names)])

    def sources(self, renderer: Renderer) -> Sources:
        """See :meth:`.FittedDefect.sources`."""
        kind = self.type
        lines = renderer.lines_of(kind.plane, kind.burgers, kind.character_deg, self.position_um)
        return Sources(lines=lines)

    def widths(self, room: Room) -> Floats:
        """See :meth:`.FittedDefect.widths`."""
        place = (room.size_um, room.depth_um) if self.in_sheet else (room.rows, room.columns)
        return np.array([*place, 360.0])[: len(self.names)]

    def prior(self, room: Room) -> tuple[Floats, Floats]:
        """See :meth:`.FittedDefect.prior`."""
        count = len(self.names)
        return np.zeros(count), np.full(count, np.inf)
