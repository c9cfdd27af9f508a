"""Where a straight line is: the two coordinates that an image can determine, and their prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats

if TYPE_CHECKING:
    from weakbeam.run.render import Renderer

FLAT = 0.2
"""Sine of the angle to the sheet of the beam below which a line counts as lying in it."""

_SHORTEST_CHORD = 0.05
"""Least length of a line within the prior's box, as a share of the box' size."""


class _Steps(NamedTuple):
    """How far a line is moved along one coordinate across it.

    Attributes
    ----------
    derivative : float
        Step of a numerical derivative.
    longest : float
        Longest step of a fit.
    """

    derivative: float
    longest: float


_PIXELS = _Steps(derivative=0.05, longest=1.0)
"""Steps of a line that crosses the sheet of the beam, in pixels."""

_MICRONS = _Steps(derivative=0.005, longest=0.1)
"""Steps of a line that lies in the sheet of the beam, in µm."""


@dataclass(frozen=True, eq=False)
class LinePlace:
    """Two coordinates across a line.

    Parameters
    ----------
    names : tuple of str
        ``row_px`` and ``column_px``, or ``across_um`` and ``depth_um``.
    axes : (2, 3) ndarray
        Displacement (µm, sample frame) per unit of each.
    base : (3,) ndarray
        The point of which both are 0 (µm).
    """

    names: tuple[str, str]
    axes: Floats
    base: Floats

    @property
    def in_sheet(self) -> bool:
        """Whether the line lies in the sheet of the beam, so that its depth counts."""
        return self.names[1] == "depth_um"

    @property
    def _limits(self) -> _Steps:
        return _MICRONS if self.in_sheet else _PIXELS

    @property
    def small_steps(self) -> tuple[float, float]:
        """Steps over which derivatives are taken."""
        return (self._limits.derivative,) * 2

    @property
    def longest_steps(self) -> tuple[float, float]:
        """Longest steps of a fit."""
        return (self._limits.longest,) * 2

    def position(self, values: Floats) -> Floats:
        """A point of the line (µm, sample frame)."""
        return np.asarray(self.base + values @ self.axes)


def place_of(
    direction: Floats, position_um: Floats, steps: tuple[Floats, Floats], up: Floats
) -> tuple[LinePlace, Floats]:
    """Choose coordinates for a line, and find those of one position.

    Parameters
    ----------
    direction : (3,) ndarray
        Unit vector along the line, sample frame.
    position_um : (3,) ndarray
        A point on it (µm).
    steps : pair of (3,) ndarray
        Displacement (µm) per row and per column, in the sheet of the beam.
    up : (3,) ndarray
        Unit vector across the sheet.

    Returns
    -------
    place : LinePlace
        Rows and columns at which the line crosses the middle of the sheet; for a line within 12° of
        it, the shift across the line in the sheet, and the depth, beside the origin.
    values : (2,) ndarray
        The coordinates of the given line.
    """
    slope = float(direction @ up)
    if abs(slope) >= FLAT:
        place = LinePlace(("row_px", "column_px"), np.array(steps), np.zeros(3))
        crossing = position_um - direction * (float(position_um @ up) / slope)
        values = np.linalg.lstsq(place.axes.T, crossing, rcond=None)[0]
        return place, np.asarray(values)
    flat = direction - slope * up
    flat /= np.linalg.norm(flat)
    across = np.cross(up, flat)
    place = LinePlace(("across_um", "depth_um"), np.array([across, up]), np.zeros(3))
    # The point of the line that is next to the origin along it.
    beside = position_um - direction * (float(position_um @ flat) / float(direction @ flat))
    return place, place.axes @ beside


@dataclass(frozen=True, eq=False)
class PositionPrior:
    """Where dislocations may be: evenly in a box about the sample's origin.

    Parameters
    ----------
    steps : (2, 3) ndarray
        Displacement (µm, sample frame) per row and per column.
    up : (3,) ndarray
        Unit vector across the sheet of the beam.
    rows, columns : float
        Size of the box in pixels.
    depth_um : float
        Its height across the sheet (µm).
    character_deg : float
        Width of the prior of a character that is free (degrees).
    """

    steps: Floats
    up: Floats
    rows: float
    columns: float
    depth_um: float
    character_deg: float = 360.0

    @classmethod
    def of_view(
        cls,
        renderer: Renderer,
        size_px: Sequence[float] | None = None,
        depth_um: float | None = None,
    ) -> PositionPrior:
        """The whole field of view, or a part of `size_px` rows and columns about its middle.

        As deep as the beam is bright (:attr:`~weakbeam.run.render.Renderer.lit_depth`) unless a
        depth (µm) is given.
        """
        rows, columns = renderer.shape if size_px is None else size_px
        steps = np.array(renderer.pixel_steps())
        depth = renderer.lit_depth if depth_um is None else depth_um
        return cls(steps, renderer.up, float(rows), float(columns), depth)

    @property
    def _axes(self) -> Floats:
        """Edges of the box (µm), as rows."""
        return np.stack(
            [self.rows * self.steps[0], self.columns * self.steps[1], self.depth_um * self.up]
        )

    def widths(self, place: LinePlace) -> tuple[float, float]:
        """How far the coordinates of a line can differ within the box."""
        if not place.in_sheet:
            return self.rows, self.columns
        return float(np.abs(self._axes[:2] @ place.axes[0]).sum()), self.depth_um

    def log_density(self, place: LinePlace, position_um: Floats, direction: Floats) -> float:
        """Logarithm of the prior density of a line's two coordinates.

        The density per area across the line of lines through points spread evenly in the box is the
        length of the line within the box, over its volume.
        """
        box = self._axes
        volume = abs(float(np.linalg.det(box)))
        inside = np.linalg.inv(box.T)
        start, along = inside @ position_um, inside @ direction
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = (np.array([[-0.5], [0.5]]) - start) / along
        low, high = np.nanmin(ends, axis=0), np.nanmax(ends, axis=0)
        chord = float(min(high)) - float(max(low))
        least = _SHORTEST_CHORD * volume ** (1 / 3)
        area = abs(float(np.cross(*place.axes) @ direction))
        return math.log(max(chord, least) / volume * area)
