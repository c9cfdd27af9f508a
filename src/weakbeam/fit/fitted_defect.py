"""What every defect offers that a fit of a stack moves about: lines, loops, walls."""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

from weakbeam.assemble.placed import Sources
from weakbeam.core.arrays import Floats
from weakbeam.defects.loop_types import LoopType
from weakbeam.defects.types import DislocationType
from weakbeam.run.render import Renderer


class Room(NamedTuple):
    """Where defects may be: what an additional one costs depends on it."""

    rows: float
    """Pixels."""
    columns: float
    """Pixels."""
    size_um: float
    """Sum of both edges of the field."""
    depth_um: float
    """Height that is lit."""


class FittedDefect(Protocol):
    """A defect at some place, with parameters that a fit changes."""

    @property
    def kind(self) -> str:
        """What it is: ``line``, ``loop`` or ``wall``."""

    @property
    def type(self) -> DislocationType | LoopType:
        """Its Burgers vector, plane and character."""

    @property
    def at(self) -> Floats:
        """Coordinates of its place, the first of its parameters."""

    @property
    def label(self) -> str:
        """Its type."""

    @property
    def system(self) -> tuple[object, ...]:
        """What makes it another candidate, whatever its parameters."""

    @property
    def names(self) -> tuple[str, ...]:
        """What is fitted of it, (n,)."""

    @property
    def values(self) -> Floats:
        """Its parameters, (n,)."""

    @property
    def position_um(self) -> Floats:
        """A point of it, or its centre (µm, sample frame)."""

    @property
    def in_sheet(self) -> bool:
        """Whether it is a line in the sheet of the beam, so that its depth counts."""

    @property
    def small_steps(self) -> Floats:
        """Steps of the parameters for derivatives of q, (n,).

        Small: at every ray they are multiplied with the slope of the acceptance, and where q
        changes by more than the acceptance is wide over such a step the change is bounded.
        """

    @property
    def longest_steps(self) -> Floats:
        """Longest steps of a climb, (n,)."""

    def map_steps(self, bin: int) -> tuple[Floats, Floats]:
        """Steps for derivatives and longest steps in a map of squares of `bin` pixels."""

    def moved(self, step: Floats) -> Self:
        """The defect after a step of its parameters."""

    def apart(self, other: Self) -> Floats:
        """How far its parameters are from those of another one of the kind, (n,)."""

    def sources(self, renderer: Renderer) -> Sources:
        """What it deforms the crystal with, in the sample frame."""

    def widths(self, room: Room) -> Floats:
        """How far its parameters can differ beforehand, (n,)."""

    def prior(self, room: Room) -> tuple[Floats, Floats]:
        """Parameters from the middles of Gaussian priors, and their widths; infinite for most."""
