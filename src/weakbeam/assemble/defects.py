"""All defects of an experiment in the sample, and the one field that they make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.dislocations import (
    example_of_defect,
    has_defects,
    place_line,
)
from weakbeam.assemble.placed import (
    PlacedDislocation,
    PlacedLines,
    PlacedWalls,
    is_unity,
)
from weakbeam.assemble.populations import (
    FieldOfView,
    place_boundary,
    place_random,
    place_stored,
    place_wall,
)
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.defects.field_of import field_of, superposed
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.many import Bounds
from weakbeam.defects.wall import DislocationWall
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.defects import Dislocation
from weakbeam.experiment.populations import Boundary, RandomDislocations, Wall

Placed = PlacedDislocation | PlacedLines | PlacedWalls
Columns = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Defects:
    """The defects of an experiment in the sample frame of one reflection.

    Parameters
    ----------
    placed : tuple of PlacedDislocation, PlacedLines or PlacedWalls
        In the order of the description.
    """

    placed: tuple[Placed, ...]

    @property
    def dislocations(self) -> tuple[PlacedDislocation, ...]:
        """Those that the experiment describes one by one."""
        return tuple(one for one in self.placed if isinstance(one, PlacedDislocation))

    @cached_property
    def lines(self) -> StraightLines:
        """All single dislocations, drawn and stored ones included."""
        parts = [
            StraightLines.of([one.line]) if isinstance(one, PlacedDislocation) else one.lines
            for one in self.placed
            if not isinstance(one, PlacedWalls)
        ]
        return StraightLines.joined(parts)

    @cached_property
    def walls(self) -> tuple[DislocationWall, ...]:
        """All walls, those of boundaries included."""
        parts = [one.walls for one in self.placed if isinstance(one, PlacedWalls)]
        return tuple(wall for part in parts for wall in part)

    def turned(self, rotation: Floats) -> Defects:
        """The same defects in a sample that is turned, or themselves if it is not."""
        if is_unity(rotation):
            return self
        return Defects(tuple(_turned(one, rotation) for one in self.placed))

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
        fields = []
        for medium in dict.fromkeys(one.medium for one in self.placed):
            part = Defects(tuple(one for one in self.placed if one.medium == medium))
            fields.append(field_of(part.lines, medium, part.walls, bounds, points, workers))
        return superposed(fields)

    @cached_property
    def columns(self) -> Columns:
        """The table of the defects for the output file.

        A row for every single dislocation and every wall. Lengths are in µm and every number is
        kept to the last bit, so that reading the rows back gives the same images.
        """
        tables = [
            _rows(number, one) for number, one in zip(self._numbers, self.placed, strict=True)
        ]
        lengths = [len(table["kind"]) for table in tables]
        units = {
            "burgers_vector": "um",
            "position": "um",
            "core_radius": "um",
            "character": "deg",
            "stacking": "",
            "spacing": "um",
        }
        columns: dict[str, object] = {}
        for name in dict.fromkeys(name for table in tables for name in table):
            model = next(table[name] for table in tables if name in table)
            parts = [
                table.get(name, _missing(model, length))
                for table, length in zip(tables, lengths, strict=True)
            ]
            values = np.concatenate(parts)
            if values.dtype.kind == "U":
                columns[name] = values.tolist()
            else:
                columns[name] = (values, units.get(name, ""))
        return columns

    @property
    def _numbers(self) -> list[int]:
        """Which table of the description each is from; a stored list may be two of them."""
        numbers: list[int] = []
        for index, one in enumerate(self.placed):
            same = index > 0 and one.description is self.placed[index - 1].description
            numbers.append(numbers[-1] + (not same) if numbers else 0)
        return numbers


def defects_of(
    experiment: Experiment, crystal: CrystalModel, mount: Floats, view: FieldOfView
) -> Defects:
    """All defects of an experiment.

    Parameters
    ----------
    experiment : Experiment
        The description.
    crystal : CrystalModel
        Its crystal.
    mount : (3, 3) ndarray
        Orientation of the crystal in whose sample frame the positions are given: that of the first
        reflection.
    view : FieldOfView
        What the camera sees in the first reflection.

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
    placed: list[Placed] = []
    for index, table in enumerate(experiment.defects):
        key = f"defects[{index}]"
        if isinstance(table, Dislocation):
            line, burgers, plane = place_line(table, key, crystal, mount)
            placed.append(PlacedDislocation(line, table, burgers, plane, crystal.medium))
        elif isinstance(table, Wall):
            placed.append(place_wall(table, key, experiment, crystal, mount))
        elif isinstance(table, RandomDislocations):
            placed.append(place_random(table, key, experiment, crystal, mount, view))
        elif isinstance(table, Boundary):
            placed.append(place_boundary(table, key, experiment, crystal, mount))
        else:
            placed += place_stored(table, key, mount)
    return Defects(tuple(placed))


def _turned(one: Placed, rotation: Floats) -> Placed:
    if isinstance(one, PlacedDislocation):
        return replace(one, line=one.line.turned(rotation))
    return one.turned(rotation)


def _rows(number: int, one: Placed) -> dict[str, np.ndarray]:
    """The rows of one defect of the description, as columns."""
    if isinstance(one, PlacedWalls):
        lines = StraightLines.of([wall.dislocation for wall in one.walls])
    elif isinstance(one, PlacedLines):
        lines = one.lines
    else:
        lines = StraightLines.of([one.line])
    count = len(lines)
    rows: dict[str, np.ndarray] = {
        "kind": np.array([one.description.kind] * count, dtype=np.str_),
        "defect": np.full(count, number),
        "burgers_vector": lines.burgers_vectors,
        "line": lines.lines,
        "position": lines.positions,
        "character": lines.characters_deg,
        "core_radius": lines.core_radii,
        "poisson_ratio": np.full(count, one.medium.poisson_ratio),
    }
    if isinstance(one, PlacedDislocation):
        rows["burgers"] = np.array([one.burgers], dtype=np.float64)
        if one.plane is not None:
            rows["plane"] = np.array([one.plane], dtype=np.float64)
    elif isinstance(one, PlacedLines):
        names = np.array([*one.labels, ""], dtype=np.str_)
        rows["slip_system"] = names[one.system]
    else:
        rows["stacking"] = np.array([wall.stacking for wall in one.walls])
        rows["spacing"] = np.array([wall.spacing for wall in one.walls])
        # 0 stands for infinitely many.
        rows["count"] = np.array([wall.count or 0 for wall in one.walls])
    return rows


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
