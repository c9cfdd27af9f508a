"""From loops and bowed lines of the experiment to segments in the sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weakbeam.assemble.dislocations import burgers_of
from weakbeam.assemble.indices import check_in_plane, direction_of, plane_of
from weakbeam.assemble.placed import Column, Host, ShownLines, Sources, segment_columns, typeset
from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.elasticity import Medium
from weakbeam.crystal.lattice import unit
from weakbeam.crystal.slip import SlipSystem
from weakbeam.defects.segments import Segments, circle
from weakbeam.experiment.curved import Loop, Polyline


@dataclass(frozen=True, eq=False)
class PlacedSegments:
    """Loops and bowed lines in the sample, as straight segments.

    Parameters
    ----------
    kind : str
        What the table is called.
    segments : Segments
        In the sample frame.
    label : str
        What a picture calls them.
    medium : Medium
        What they lie in.
    """

    kind: str
    segments: Segments
    label: str
    medium: Medium

    @property
    def sources(self) -> Sources:
        """The segments."""
        return Sources(self.medium, segments=self.segments)

    def turned(self, rotation: Floats) -> PlacedSegments:
        """The same segments in a sample that is turned."""
        medium = self.medium.turned(rotation)
        return replace(self, segments=self.segments.turned(rotation), medium=medium)

    def rows(self) -> dict[str, Column]:
        """A row for each segment."""
        return segment_columns(self.segments, self.medium)

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """All segments, wherever they are."""
        kind = np.zeros(len(self.segments), np.int64)
        return ShownLines(self.segments.lines, kind, (self.label,), self.segments.lengths)


def place_loop(table: Loop, key: str, host: Host) -> tuple[PlacedSegments]:
    """A loop in the sample frame.

    Raises
    ------
    InputError
        If its Burgers vector is no lattice vector and not said to be that of a partial
        dislocation, or indices do not belong to the crystal.
    """
    if table.points_um is None:
        radius = float(table.radius_um or 0)
        corners = circle(_normal(table, key, host), radius, table.corner_count)
    else:
        corners = _corners(table.points_um, table, host)
    placed = Segments.polygon(corners + table.position_um, *_burgers(table, key, host))
    return (PlacedSegments(table.kind, placed, _label(table), host.medium),)


def place_polyline(table: Polyline, key: str, host: Host) -> tuple[PlacedSegments]:
    """A bowed line in the sample frame.

    Raises
    ------
    InputError
        As for a loop; or for a Burgers vector that leaves the plane beside it.
    """
    if table.plane is not None:
        burgers = direction_of(table.burgers, host.crystal.cell, f"{key}.burgers")
        plane = plane_of(table.plane, host.crystal.cell, f"{key}.plane")
        check_in_plane(table.burgers, table.plane, SlipSystem(plane, burgers), f"{key}.burgers")
    corners = _corners(table.points_um, table, host) + table.position_um
    shape = Segments.polygon if table.closed else Segments.polyline
    placed = shape(corners, *_burgers(table, key, host))
    return (PlacedSegments(table.kind, placed, _label(table), host.medium),)


def _burgers(table: Loop | Polyline, key: str, host: Host) -> tuple[Floats, float]:
    """Burgers vector in the sample frame (µm), and core radius (µm)."""
    in_crystal = burgers_of(table, key, host.crystal)
    radius = float(host.crystal.core_radii(in_crystal))
    return host.sample_from_crystal @ in_crystal, radius


def _normal(table: Loop, key: str, host: Host) -> Floats:
    if table.normal is not None:
        return unit(np.array(table.normal))
    assert table.plane is not None
    cell = host.crystal.cell
    plane = plane_of(table.plane, cell, f"{key}.plane")
    return host.sample_from_crystal @ unit(cell.plane_normal(plane))


def _corners(points: ArrayLike, table: Loop | Polyline, host: Host) -> Floats:
    corners = np.asarray(points, dtype=np.float64)
    return corners if table.axes == "sample" else corners @ host.sample_from_crystal.T


def _label(table: Loop | Polyline) -> str:
    burgers = " ".join(map(str, table.burgers))
    plane = "" if table.plane is None else f"({' '.join(map(str, table.plane))})"
    return f"{table.kind} {typeset(f'{plane}[{burgers}]')}"
