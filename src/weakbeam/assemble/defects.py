"""All defects of an experiment in the sample, and the one field that they make together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.curved import place_loop, place_polyline
from weakbeam.assemble.dislocations import example_of_defect, has_defects, place_dislocation
from weakbeam.assemble.gridded import place_grid
from weakbeam.assemble.line_table import place_table
from weakbeam.assemble.network import place_network
from weakbeam.assemble.placed import (
    Column,
    FieldOfView,
    Host,
    Placed,
    PlacedDislocation,
    Sources,
    is_unity,
)
from weakbeam.assemble.populations import place_boundary, place_random, place_stored, place_wall
from weakbeam.assemble.uniform import place_uniform
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import DisplacementGradientField, PreparedField
from weakbeam.defects.field_of import field_of, superposed
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.many import Bounds
from weakbeam.defects.segments import Segments
from weakbeam.defects.wall import DislocationWall
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.curved import Loop, Polyline
from weakbeam.experiment.defects import DefectTable, Dislocation
from weakbeam.experiment.gridded import Grid
from weakbeam.experiment.network import Network
from weakbeam.experiment.populations import (
    Boundary,
    LineTable,
    RandomDislocations,
    StoredDislocations,
    Wall,
)
from weakbeam.experiment.uniform import Uniform

Columns = Mapping[str, object]

PLACING: dict[type[DefectTable], Callable[[Any, str, Host], tuple[Placed, ...]]] = {
    Dislocation: place_dislocation,
    Wall: place_wall,
    RandomDislocations: place_random,
    Boundary: place_boundary,
    StoredDislocations: place_stored,
    LineTable: place_table,
    Uniform: place_uniform,
    Loop: place_loop,
    Polyline: place_polyline,
    Network: place_network,
    Grid: place_grid,
}
"""What places a table in the sample, by the table's class: the table, its key and the host."""


@dataclass(frozen=True, eq=False)
class Defects:
    """The defects of an experiment in the sample frame of one reflection.

    Parameters
    ----------
    placed : tuple of Placed
        In the order of the description.
    tables : tuple of int
        Number of the table of the description that each is from; one table may be several.
    """

    placed: tuple[Placed, ...]
    tables: tuple[int, ...]

    @property
    def dislocations(self) -> tuple[PlacedDislocation, ...]:
        """Those that the experiment describes one by one."""
        return tuple(d for d in self.placed if isinstance(d, PlacedDislocation))

    @cached_property
    def sources(self) -> tuple[Sources, ...]:
        """What each deforms the crystal with."""
        return tuple(defect.sources for defect in self.placed)

    @property
    def lines(self) -> StraightLines:
        """All single dislocations, drawn and stored ones included."""
        return StraightLines.joined([sources.lines for sources in self.sources])

    @property
    def walls(self) -> tuple[DislocationWall, ...]:
        """All walls, those of boundaries included."""
        return tuple(wall for sources in self.sources for wall in sources.walls)

    @property
    def count(self) -> int:
        """How many lines, walls, segments and other fields are to be added up at a point."""
        return sum(sources.count for sources in self.sources)

    def turned(self, rotation: Floats) -> Defects:
        """The same defects in a sample that is turned, or themselves if it is not."""
        if is_unity(rotation):
            return self
        return replace(self, placed=tuple(defect.turned(rotation) for defect in self.placed))

    def field(
        self, bounds: Bounds | None = None, points: int = 1, workers: int | None = None
    ) -> DisplacementGradientField:
        """The field of all defects, each in the medium that it lies in.

        Those of a stored list lie in the crystal of the run that made it.

        Parameters
        ----------
        bounds : Bounds, optional
            Where the field will be asked for; many lines are summed one by one without it.
        points : int
            About how often.
        workers : int, optional
            Threads that prepare it.
        """
        fields: list[DisplacementGradientField] = []
        for medium in dict.fromkeys(s.medium for s in self.sources if s.medium is not None):
            sources = [s for s in self.sources if s.medium == medium]
            lines = StraightLines.joined([s.lines for s in sources])
            walls = [wall for s in sources for wall in s.walls]
            segments = Segments.joined([s.segments for s in sources])
            fields.append(field_of(lines, medium, walls, bounds, points, workers, segments))
        for own in (own for s in self.sources for own in s.fields):
            if bounds is not None and isinstance(own, PreparedField):
                own = own.prepared(bounds, points, workers)
            fields.append(own)
        return superposed(fields)

    def with_table(self, number: int, other: Defects) -> Defects:
        """The same with what a table of the description has become in its place."""
        before = [pair for pair in self._pairs if pair[1] < number]
        after = [pair for pair in self._pairs if pair[1] > number]
        pairs = [*before, *other._pairs, *after]
        return Defects(tuple(placed for placed, _ in pairs), tuple(table for _, table in pairs))

    @property
    def _pairs(self) -> list[tuple[Placed, int]]:
        return list(zip(self.placed, self.tables, strict=True))

    @cached_property
    def columns(self) -> Columns:
        """The table of the defects for the output file.

        A row for every single dislocation and every wall. Lengths are in µm and every number is
        kept to the last bit, so that reading the rows back gives the same images.
        """
        parts = [
            _rows(number, defect) for number, defect in zip(self.tables, self.placed, strict=True)
        ]
        lengths = [len(part["kind"][0]) for part in parts]
        columns: dict[str, object] = {}
        for name in dict.fromkeys(name for part in parts for name in part):
            model, unit = next(part[name] for part in parts if name in part)
            values = np.concatenate(
                [
                    part[name][0] if name in part else _missing(model, length)
                    for part, length in zip(parts, lengths, strict=True)
                ]
            )
            columns[name] = values.tolist() if values.dtype.kind == "U" else (values, unit)
        return columns


def defects_of(
    experiment: Experiment,
    crystal: CrystalModel,
    mount: Floats,
    view: FieldOfView,
    only: int | None = None,
) -> Defects:
    """All defects of an experiment.

    Parameters
    ----------
    experiment, crystal
        The description and its crystal.
    mount : (3, 3) ndarray
        Orientation of the crystal in whose sample frame the positions are given: that of the first
        reflection.
    view : FieldOfView
        What the camera sees in the first reflection.
    only : int, optional
        Number of the one table that is placed.

    Raises
    ------
    InputError
        For defects that contradict the crystal or themselves.
    """
    if not has_defects(experiment, crystal):
        raise InputError(
            "defects",
            None,
            "missing; the default is a dislocation of face-centred cubic crystals: give one of "
            f"this crystal{example_of_defect(crystal)}, or defects = [] for a perfect one",
        )
    host = Host(experiment, crystal, mount, view)
    placed = [
        (defect, number)
        for number, table in enumerate(experiment.defects)
        if only in (None, number)
        for defect in PLACING[type(table)](
            table, f"defects[{number}]", replace(host, number=number)
        )
    ]
    return Defects(tuple(defect for defect, _ in placed), tuple(number for _, number in placed))


def _rows(number: int, defect: Placed) -> dict[str, Column]:
    """The rows of a defect, with its kind and the number of its table."""
    rows = defect.rows()
    count = len(next(iter(rows.values()))[0])
    kind = np.array([defect.kind] * count, dtype=np.str_)
    return {"kind": (kind, ""), "defect": (np.full(count, number), ""), **rows}


def _missing(model: np.ndarray, length: int) -> np.ndarray:
    """What stands in a column for rows that have no such value."""
    if model.dtype.kind == "U":
        return np.full(length, "", dtype=np.str_)
    if model.dtype.kind == "i":
        return np.full(length, -1)
    return np.full((length, *model.shape[1:]), np.nan)


def visible_bounds(corners: Sequence[Floats], axes: Floats) -> Bounds:
    """The box along `axes` (rows) around points (n, 3) of several grids, a little widened."""
    local = np.concatenate(corners) @ axes.T
    low, high = local.min(axis=0), local.max(axis=0)
    return Bounds(0.5 * (low + high) @ axes, axes, 0.5 * (high - low) * (1.0 + 1e-6) + 1e-6)
