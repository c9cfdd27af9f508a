"""Defects of an experiment that have found their places in the sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.crystal.elasticity import Medium
from weakbeam.crystal.lattice import Miller
from weakbeam.defects.boundary import FrankBoundary
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.wall import DislocationWall
from weakbeam.experiment.defects import Dislocation
from weakbeam.experiment.populations import Boundary, RandomDislocations, StoredDislocations, Wall


@dataclass(frozen=True)
class PlacedDislocation:
    """A dislocation of the experiment, with what the output file tells of it.

    Parameters
    ----------
    line : StraightLine
        Vectors in the sample frame.
    description : weakbeam.experiment.Dislocation
        What the experiment says.
    burgers : tuple of 3 int
        Direction [uvw] of the Burgers vector.
    plane : tuple of 3 int or None
        Slip plane (hkl), if it was given.
    medium : Medium
        What it lies in.
    """

    line: StraightLine
    description: Dislocation
    burgers: Miller
    plane: Miller | None
    medium: Medium

    @property
    def character_deg(self) -> float:
        """From 0 for a pure edge to 90 for a pure screw (degrees)."""
        return self.line.character_deg


@dataclass(frozen=True)
class PlacedLines:
    """Dislocations that were drawn or read, line by line.

    Parameters
    ----------
    description : RandomDislocations or StoredDislocations
        What the experiment says.
    lines : StraightLines
        In the sample frame.
    system : (n,) ndarray of int
        Number of each one's slip system in `labels`; -1 for none.
    labels : tuple of str
        Slip systems, as plane and direction.
    medium : Medium
        What they lie in.
    """

    description: RandomDislocations | StoredDislocations
    lines: StraightLines
    system: Ints
    labels: tuple[str, ...]
    medium: Medium

    def turned(self, rotation: Floats) -> PlacedLines:
        """The same lines in a sample that is turned."""
        return replace(self, lines=self.lines.turned(rotation))


@dataclass(frozen=True)
class PlacedWalls:
    """A wall or a boundary of the experiment, or the walls of a stored list.

    Parameters
    ----------
    description : Wall, Boundary or StoredDislocations
        What the experiment says.
    walls : tuple of DislocationWall
        In the sample frame.
    medium : Medium
        What they lie in.
    solution : FrankBoundary, optional
        Densities and residual, of a boundary.
    """

    description: Wall | Boundary | StoredDislocations
    walls: tuple[DislocationWall, ...]
    medium: Medium
    solution: FrankBoundary | None = None

    def turned(self, rotation: Floats) -> PlacedWalls:
        """The same walls in a sample that is turned."""
        walls = tuple(wall.turned(rotation) for wall in self.walls)
        solution = None if self.solution is None else self.solution.turned(rotation)
        return replace(self, walls=walls, solution=solution)


def is_unity(rotation: Floats) -> bool:
    """Whether a rotation turns nothing, but for rounding."""
    return np.allclose(rotation, np.eye(3), rtol=0.0, atol=1e-14)
