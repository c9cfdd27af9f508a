"""A round dislocation loop that a fit moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.assemble.placed import Sources
from weakbeam.core.arrays import Floats
from weakbeam.defects.loop_types import LoopType
from weakbeam.defects.segments import Segments, circle
from weakbeam.fit.fitted_defect import Room
from weakbeam.run.render import Renderer

CORNERS = 24
"""Of the polygon that stands for a circle: as many as the experiment takes."""

SWOLLEN = math.sqrt(2.0 * math.pi / CORNERS / math.sin(2.0 * math.pi / CORNERS))
"""Radius of the corners over that of a circle of the same area.

The polygon then has the far field of the circle, and near it their fields differ by what falls off
as the 24th power of the distance to the centre over the radius.
"""

SMALLEST_UM = 0.05
_SMALL, _LONGEST = np.array([0.003, 0.003, 3e-4, 3e-4]), np.array([1.0, 1.0, 0.1, 0.1])


@dataclass(frozen=True, eq=False)
class FittedLoop:
    """A round loop at some place.

    Parameters
    ----------
    type : LoopType
        Its plane and Burgers vector.
    axes : (3, 3) ndarray
        Displacement (µm, sample frame) per row and column in the sheet, and per µm across it.
    at : (3,) ndarray
        Row, column and depth (µm) of its centre, from the sample's origin.
    radius_um : float
        Of the circle.
    """

    type: LoopType
    axes: Floats
    at: Floats
    radius_um: float

    @property
    def kind(self) -> str:
        """A loop."""
        return "loop"

    @property
    def label(self) -> str:
        """Its type."""
        return self.type.name

    @property
    def system(self) -> tuple[object, ...]:
        """Its plane and Burgers vector."""
        return self.kind, self.type.plane, self.type.burgers

    @property
    def names(self) -> tuple[str, ...]:
        """What is fitted of it."""
        return "row_px", "column_px", "depth_um", "radius_um"

    @property
    def values(self) -> Floats:
        """Its parameters."""
        return np.append(self.at, self.radius_um)

    @property
    def position_um(self) -> Floats:
        """Its centre (µm, sample frame)."""
        return np.asarray(self.at @ self.axes)

    @property
    def in_sheet(self) -> bool:
        """It is no line."""
        return False

    @property
    def small_steps(self) -> Floats:
        """See :attr:`.FittedDefect.small_steps`."""
        return _SMALL

    @property
    def longest_steps(self) -> Floats:
        """See :attr:`.FittedDefect.longest_steps`."""
        return _LONGEST

    def map_steps(self, bin: int) -> tuple[Floats, Floats]:
        """See :meth:`.FittedDefect.map_steps`."""
        size = np.array([bin, bin, 0.1, 0.1])
        return 0.02 * size, 3.0 * size

    def moved(self, step: Floats) -> FittedLoop:
        """The loop after a step of its parameters."""
        radius = max(self.radius_um + float(step[3]), SMALLEST_UM)
        return replace(self, at=self.at + step[:3], radius_um=radius)

    def apart(self, other: FittedLoop) -> Floats:
        """See :meth:`.FittedDefect.apart`."""
        return np.abs(self.values - other.values)

    def corners(self, mount: Floats, count: int = CORNERS) -> Floats:
        """Points of it (n, 3), µm, sample frame, right-handed about its normal."""
        normal = mount @ np.array(self.type.normal)
        return self.position_um + circle(normal, self.radius_um, count)

    @property
    def corner_radius_um(self) -> float:
        """Radius of the circle on which the corners of the polygon are that stands for it."""
        return SWOLLEN * self.radius_um

    def sources(self, renderer: Renderer) -> Sources:
        """See :meth:`.FittedDefect.sources`."""
        setup = renderer.setups[0]
        vector = np.array(self.type.burgers_vector)
        mount, core = setup.sample_from_crystal, float(setup.crystal.core_radii(vector))
        round_ = circle(mount @ np.array(self.type.normal), self.corner_radius_um, CORNERS)
        return Sources(segments=Segments.polygon(self.position_um + round_, mount @ vector, core))

    def widths(self, room: Room) -> Floats:
        """See :meth:`.FittedDefect.widths`."""
        half = 0.25 * room.size_um
        return np.array([room.rows, room.columns, room.depth_um + 2.0 * half, half])

    def prior(self, room: Room) -> tuple[Floats, Floats]:
        """Above or below the sheet it is no farther than it can be seen."""
        depth = room.depth_um + 2.0 * self.radius_um
        return np.array([0.0, 0.0, self.at[2], 0.0]), np.array([np.inf, np.inf, depth, np.inf])
