"""A wall of equal dislocations, a low-angle boundary, that a fit moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.assemble.placed import Sources
from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import unit
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.types import DislocationType
from weakbeam.defects.wall import DislocationWall
from weakbeam.fit.fitted_defect import Room
from weakbeam.run.render import Renderer

SMALLEST_UM = 0.01
_SMALL = np.array([3e-4, 3e-4, 1e-4, 0.03])
_LONGEST = np.array([0.1, 0.1, 0.05, 5.0])
_FLAT = 0.2
"""Sine of the angle between the wall and the sheet below which its depth counts."""


@dataclass(frozen=True, eq=False)
class FittedWall:
    """Infinitely many lines of one type, one above the other along the normal of their slip plane.

    Parameters
    ----------
    type : DislocationType
        Slip system and character of each.
    axes : (2, 3) ndarray
        Unit vectors (sample frame) along which it is moved: across it, and from one line to the
        next.
    base : (3,) ndarray
        The point of which both coordinates are 0 (µm).
    at : (2,) ndarray
        The coordinates (µm) of a point on one of its lines.
    spacing_um : float
        Distance from one line to the next.
    """

    type: DislocationType
    axes: Floats
    base: Floats
    at: Floats
    spacing_um: float

    @classmethod
    def through(
        cls,
        kind: DislocationType,
        point: Floats,
        base: Floats,
        spacing_um: float,
        mount: Floats,
        up: Floats,
    ) -> FittedWall:
        """A wall through a point.

        Parameters
        ----------
        kind : DislocationType
            Of its lines.
        point, base : (3,) ndarray
            On one of the lines, and where coordinates are 0 (µm, sample frame).
        spacing_um : float
            Between the lines.
        mount : (3, 3) ndarray
            Crystal to sample frame.
        up : (3,) ndarray
            Unit vector across the sheet of the beam.
        """  # fmt: skip
        line, stacking = mount @ kind.line, mount @ normal_of(kind)
        normal = np.cross(line, stacking)
        across = normal - (normal @ up) * up
        across = unit(across) if np.linalg.norm(across) > _FLAT else up
        at, *_ = np.linalg.lstsq(np.stack([across, stacking, line]).T, point - base, rcond=None)
        wall = cls(kind, np.stack([across, stacking]), base, np.asarray(at[:2]), spacing_um)
        return wall.moved(np.zeros(4))

    @property
    def kind(self) -> str:
        """A wall."""
        return "wall"

    @property
    def label(self) -> str:
        """Its type."""
        return f"wall of {self.type.name}"

    @property
    def system(self) -> tuple[object, ...]:
        """Its slip system, and the sign of its lines, which a line alone has not."""
        half = round(self.type.character_deg / 180.0) % 2
        return self.kind, self.type.plane, self.type.burgers, half

    @property
    def names(self) -> tuple[str, ...]:
        """What is fitted of it."""
        return "across_um", "along_um", "spacing_um", "character_deg"

    @property
    def values(self) -> Floats:
        """Its parameters."""
        return np.array([*self.at, self.spacing_um, self.type.character_deg])

    @property
    def position_um(self) -> Floats:
        """A point on one of its lines (µm, sample frame)."""
        return np.asarray(self.base + self.at @ self.axes)

    @property
    def in_sheet(self) -> bool:
        """It is no line."""
        return False

    @property
    def misorientation(self) -> float:
        """Angle (rad) by which the edge parts of its lines turn one side against the other."""
        edge = math.cos(math.radians(self.type.character_deg))
        return float(np.linalg.norm(self.type.burgers_vector)) * abs(edge) / self.spacing_um

    @property
    def small_steps(self) -> Floats:
        """See :attr:`.FittedDefect.small_steps`."""
        return _SMALL

    @property
    def longest_steps(self) -> Floats:
        """See :attr:`.FittedDefect.longest_steps`."""
        return np.asarray(
            np.minimum(_LONGEST, [np.inf, 0.2 * self.spacing_um, 0.1 * self.spacing_um, np.inf])
        )

    def map_steps(self, bin: int) -> tuple[Floats, Floats]:
        """See :meth:`.FittedDefect.map_steps`."""
        h = self.spacing_um
        return (
            np.array([0.002, 0.002, 0.01 * h, 0.2]),
            np.array([0.3, 0.2 * h, 0.2 * h, np.inf]),
        )

    def moved(self, step: Floats) -> FittedWall:
        """The wall after a step of its parameters; it is the same one period further."""
        h = max(self.spacing_um + float(step[2]), SMALLEST_UM)
        at = self.at + step[:2]
        at[1] -= h * round(at[1] / h)
        kind = self.type.turned(self.type.character_deg + float(step[3]))
        return replace(self, type=kind, at=at, spacing_um=h)

    def apart(self, other: FittedWall) -> Floats:
        """See :meth:`.FittedDefect.apart`."""
        away = self.values - other.values
        away[1] -= self.spacing_um * round(away[1] / self.spacing_um)
        away[3] = (away[3] + 180.0) % 360.0 - 180.0
        return np.asarray(np.abs(away))

    def wall(self, renderer: Renderer) -> DislocationWall:
        """It as the physics has it, in the sample frame."""
        kind = self.type
        one = renderer.lines_of(kind.plane, kind.burgers, kind.character_deg, self.position_um)
        line = StraightLine(
            one.burgers_vectors[0], one.lines[0], one.positions[0], float(one.core_radii[0])
        )
        return DislocationWall(line, self.axes[1], self.spacing_um)

    def sources(self, renderer: Renderer) -> Sources:
        """See :meth:`.FittedDefect.sources`."""
        return Sources(walls=(self.wall(renderer),))

    def widths(self, room: Room) -> Floats:
        """See :meth:`.FittedDefect.widths`."""
        return np.array([room.size_um, self.spacing_um, 0.5 * room.size_um, 360.0])

    def prior(self, room: Room) -> tuple[Floats, Floats]:
        """Where its lines are is known within a period, even if they cannot be told apart."""
        return (
            np.array([0.0, self.at[1], 0.0, 0.0]),
            np.array([np.inf, self.spacing_um, np.inf, np.inf]),
        )


def normal_of(kind: DislocationType) -> Floats:
    """Unit vector along the normal of a slip plane, Cartesian crystal frame."""
    return np.cross(kind.edge, unit(np.array(kind.burgers_vector)))
