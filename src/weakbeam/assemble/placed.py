"""Defects of an experiment that have found their places in the sample.

`Placed` is what assembly, images, output files and pictures ask of a defect; the classes below are
the kinds that there are. What a new one touches is listed in docs/explanation/architecture.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium, Medium
from weakbeam.crystal.lattice import Miller
from weakbeam.defects.boundary import FrankBoundary
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.segments import Segments
from weakbeam.defects.wall import DislocationWall
from weakbeam.experiment import Experiment

_MOST_ANGLES = 4
"""Different angles between Burgers vector and line that are listed; of more their range is told."""

_MOST_OF_A_WALL = 2000
"""Lines of one wall that are drawn at most; of a denser one every second, third ... of them."""

Column = tuple[NDArray[Any], str]
"""Values, one for each row of a table, and their unit; "" where there is none."""


@dataclass(frozen=True)
class FieldOfView:
    """What the camera sees of the sample, for regions that are not given.

    Parameters
    ----------
    normal : (3,) ndarray
        Normal of the illuminated layer, in the sample frame.
    width : float
        Extent along its longer side, in µm.
    """

    normal: Floats
    width: float


@dataclass(frozen=True)
class Host:
    """The crystal that defects are placed in.

    Parameters
    ----------
    experiment : Experiment
        The description, whose crystal tells the slip systems that it allows.
    crystal : CrystalModel
        Its crystal.
    sample_from_crystal : (3, 3) ndarray
        How the crystal is mounted: in this sample frame positions are given.
    view : FieldOfView
        What the camera sees of it.
    number : int
        Number of the table that is being placed.
    """

    experiment: Experiment
    crystal: CrystalModel
    sample_from_crystal: Floats
    view: FieldOfView
    number: int = 0

    @property
    def medium(self) -> Medium:
        """What defects of the crystal lie in, in the sample frame."""
        return self.crystal.medium.turned(self.sample_from_crystal)


def _no_lines() -> StraightLines:
    return StraightLines.of([])


def _no_segments() -> Segments:
    return Segments.joined([])


@dataclass(frozen=True, eq=False)
class Sources:
    """What a defect deforms the crystal with, in the sample frame.

    Parameters
    ----------
    medium : Medium, optional
        What lines, walls and segments lie in, in their frame; needed where there are any.
    lines : StraightLines
        Single straight lines.
    walls : tuple of DislocationWall
        Walls of them.
    segments : Segments
        Pieces of lines that make loops, bowed lines and networks.
    fields : tuple of DisplacementGradientField
        Fields of any other kind.
    """

    medium: Medium | None = None
    lines: StraightLines = field(default_factory=_no_lines)
    walls: tuple[DislocationWall, ...] = ()
    segments: Segments = field(default_factory=_no_segments)
    fields: tuple[DisplacementGradientField, ...] = ()

    @property
    def count(self) -> int:
        """How many lines, walls, segments and fields are to be added up at a point."""
        fields = sum(len(own) if isinstance(own, Sized) else 1 for own in self.fields)
        return len(self.lines) + len(self.walls) + len(self.segments) + fields


@dataclass(frozen=True, eq=False)
class ShownLines:
    """What a picture shows of a defect.

    Parameters
    ----------
    lines : StraightLines
        In the sample frame; none by default.
    kind : (n,) ndarray of int
        Number of each one's name in `labels`.
    labels : tuple of str
        Names for the key of the picture.
    lengths : (n,) ndarray, optional
        How far each runs from its position, in µm; all are infinite both ways unless given.
    """

    lines: StraightLines = field(default_factory=_no_lines)
    kind: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    labels: tuple[str, ...] = ()
    lengths: Floats | None = None


class Placed(Protocol):
    """A defect in the sample frame of a reflection."""

    @property
    def kind(self) -> str:
        """What its table in the experiment file is called."""

    @property
    def sources(self) -> Sources:
        """What it deforms the crystal with."""

    def turned(self, rotation: Floats) -> Placed:
        """The same defect in a sample that is turned."""

    def rows(self) -> dict[str, Column]:
        """Its rows in the table of the output file, as columns of equal length.

        Lengths in µm, every number to the last bit. Rows of other kinds are filled up with NaN, -1
        or "" where a column is not theirs.
        """

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """What a picture shows of it, as far as it may come within `reach` (µm) of `centre`."""


def angle_words(angles_deg: ArrayLike) -> str:
    """Angles in words, each once, such as "= 60° and 90°" or "from 0° to 90°"."""
    angles = np.unique(np.round(np.asarray(angles_deg, dtype=np.float64), 2))
    if len(angles) > _MOST_ANGLES:
        return f"from {angles[0]:g}° to {angles[-1]:g}°"
    *most, last = (f"{angle:g}°" for angle in angles)
    return f"= {', '.join(most)} and {last}" if most else f"= {last}"


@runtime_checkable
class Summarised(Protocol):
    """A placed defect that tells in a few words what its lines and angles do not."""

    def summary(self) -> str:
        """What is said of it before a run; "" where there is nothing to be said."""


@runtime_checkable
class Repeating(Protocol):
    """A placed defect that may repeat for ever."""

    @property
    def periods(self) -> Floats:
        """Translations (k, 3) by which it repeats, in µm; none where it does not."""


@dataclass(frozen=True)
class PlacedDislocation:
    """A dislocation that the experiment describes alone.

    Parameters
    ----------
    line : StraightLine
        Vectors in the sample frame.
    burgers : tuple of 3 int
        Direction [uvw] of the Burgers vector.
    plane : tuple of 3 int or None
        Slip plane (hkl), if it was given.
    medium : Medium
        What it lies in.
    written_burgers : tuple of 3 or 4 int
        The direction as the experiment writes it.
    kind : str
        What the table is called.
    """

    line: StraightLine
    burgers: Miller
    plane: Miller | None
    medium: Medium
    written_burgers: tuple[int, ...]
    kind: str = "dislocation"

    @property
    def character_deg(self) -> float:
        """From 0 for a pure edge to 90 for a pure screw (degrees)."""
        return self.line.character_deg

    @property
    def angle_deg(self) -> float:
        """Angle between Burgers vector and line, from 0 for a screw to 90 for an edge."""
        return self.line.angle_deg

    @property
    def sources(self) -> Sources:
        """The one line."""
        return Sources(self.medium, StraightLines.of([self.line]))

    def turned(self, rotation: Floats) -> PlacedDislocation:
        """The same dislocation in a sample that is turned."""
        medium = self.medium.turned(rotation)
        return replace(self, line=self.line.turned(rotation), medium=medium)

    def rows(self) -> dict[str, Column]:
        """One row, with the indices that are known."""
        rows = line_columns(StraightLines.of([self.line]), self.medium)
        rows["burgers"] = np.array([self.burgers], dtype=np.float64), ""
        if self.plane is not None:
            rows["plane"] = np.array([self.plane], dtype=np.float64), ""
        return rows

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """The line, wherever it is."""
        plane = "" if self.plane is None else f"({_words(self.plane)})"
        label = typeset(f"{plane}[{_words(self.burgers)}]")
        return ShownLines(StraightLines.of([self.line]), np.zeros(1, np.int64), (label,))


@dataclass(frozen=True)
class PlacedLines:
    """Dislocations that were drawn or read, line by line.

    Parameters
    ----------
    kind : str
        What the table is called.
    lines : StraightLines
        In the sample frame.
    system : (n,) ndarray of int
        Number of each one's slip system in `labels`; -1 for none.
    labels : tuple of str
        Slip systems, as plane and direction.
    medium : Medium
        What they lie in.
    """

    kind: str
    lines: StraightLines
    system: Ints
    labels: tuple[str, ...]
    medium: Medium

    @property
    def sources(self) -> Sources:
        """The lines."""
        return Sources(self.medium, self.lines)

    def turned(self, rotation: Floats) -> PlacedLines:
        """The same lines in a sample that is turned."""
        medium = self.medium.turned(rotation)
        return replace(self, lines=self.lines.turned(rotation), medium=medium)

    def rows(self) -> dict[str, Column]:
        """A row for each line, with its slip system."""
        names = np.array([*self.labels, ""], dtype=np.str_)
        return {**line_columns(self.lines, self.medium), "slip_system": (names[self.system], "")}

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """All lines, wherever they are."""
        # Lines of no slip system take the last name.
        kind = np.where(self.system < 0, len(self.labels), self.system)
        return ShownLines(self.lines, kind, (*map(typeset, self.labels), self.kind))


@dataclass(frozen=True)
class PlacedWalls:
    """A wall or a boundary of the experiment, or the walls of a stored list.

    Parameters
    ----------
    kind : str
        What the table is called.
    walls : tuple of DislocationWall
        In the sample frame.
    medium : Medium
        What they lie in.
    solution : FrankBoundary, optional
        Densities and residual, of a boundary.
    """

    kind: str
    walls: tuple[DislocationWall, ...]
    medium: Medium
    solution: FrankBoundary | None = None

    @property
    def sources(self) -> Sources:
        """The walls."""
        return Sources(self.medium, walls=self.walls)

    def turned(self, rotation: Floats) -> PlacedWalls:
        """The same walls in a sample that is turned."""
        walls = tuple(wall.turned(rotation) for wall in self.walls)
        solution = None if self.solution is None else self.solution.turned(rotation)
        medium = self.medium.turned(rotation)
        return replace(self, walls=walls, solution=solution, medium=medium)

    def rows(self) -> dict[str, Column]:
        """A row for each wall: one of its lines, and how the others follow."""
        lines = StraightLines.of([wall.dislocation for wall in self.walls])
        stacking = np.array([wall.stacking for wall in self.walls])
        return {
            **line_columns(lines, self.medium),
            "stacking": (stacking, ""),
            "spacing": (np.array([wall.spacing for wall in self.walls]), "um"),
            # 0 stands for infinitely many.
            "count": (np.array([wall.count or 0 for wall in self.walls]), ""),
        }

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """The lines of each wall within reach, under a name of its own."""
        if not self.walls:
            return ShownLines()
        walls = [_within_reach(wall, centre, reach) for wall in self.walls]
        kind = np.repeat(np.arange(len(walls)), [len(lines) for lines in walls])
        return ShownLines(StraightLines.joined(walls), kind, tuple(self._names()))

    def _names(self) -> Iterator[str]:
        for number, wall in enumerate(self.walls, 1):
            which = f" {number}" if len(self.walls) > 1 else ""
            yield f"{self.kind}{which}, {wall.spacing:.3g} µm"


def line_columns(lines: StraightLines, medium: Medium) -> dict[str, Column]:
    """What the output file tells of every straight line, and of the medium that it lies in."""
    ratio = medium.poisson_ratio if isinstance(medium, IsotropicMedium) else math.nan
    columns: dict[str, Column] = {
        "burgers_vector": (lines.burgers_vectors, "um"),
        "line": (lines.lines, ""),
        "position": (lines.positions, "um"),
        "character": (lines.characters_deg, "deg"),
        "angle": (lines.angles_deg, "deg"),
        "core_radius": (lines.core_radii, "um"),
        "poisson_ratio": (np.full(len(lines), ratio), ""),
    }
    if isinstance(medium, AnisotropicMedium):
        columns["stiffness"] = np.tile(medium.matrix, (len(lines), 1, 1)), "GPa"
    return columns


def segment_columns(segments: Segments, medium: Medium) -> dict[str, Column]:
    """What the output file tells of every segment: where it starts, and how long it is."""
    return {**line_columns(segments.lines, medium), "length": (segments.lengths, "um")}


def is_unity(rotation: Floats) -> bool:
    """Whether a rotation turns nothing, but for rounding."""
    return np.allclose(rotation, np.eye(3), rtol=0.0, atol=1e-14)


def _within_reach(wall: DislocationWall, centre: Floats, reach: float) -> StraightLines:
    middle = float((centre - wall.first) @ wall.stacking) / wall.spacing
    first = math.ceil(middle - reach / wall.spacing)
    last = math.floor(middle + reach / wall.spacing)
    if wall.count is not None:
        first, last = max(first, 0), min(last, wall.count - 1)
    return wall.chosen(np.arange(first, last + 1, max(1, (last - first) // _MOST_OF_A_WALL)))


def _words(indices: Sequence[int]) -> str:
    return " ".join(map(str, indices))


def typeset(name: str) -> str:
    """Minus signs as they are printed, and thin spaces between indices."""
    return name.replace("-", "−").replace(" ", "\u2009")
