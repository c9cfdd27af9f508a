"""From the experiment's description to the defects in the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam._typing import Floats
from weakbeam.assemble_crystal import CrystalModel
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.slip import burgers_vector, lies_in_plane, line_of_character
from weakbeam.defects.dislocation import Dislocation as StraightLine
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment


@dataclass(frozen=True)
class PlacedDislocation:
    """A dislocation of the experiment, with what the output file tells of it.

    Parameters
    ----------
    line : weakbeam.defects.dislocation.Dislocation
        Vectors in the sample frame.
    description : weakbeam.experiment.Dislocation
        What the experiment says.
    """

    line: StraightLine
    description: Dislocation

    @property
    def character_deg(self) -> float:
        """From 0 for a pure edge to 90 for a pure screw (degrees)."""
        return math.degrees(math.atan2(abs(self.line.screw_part), self.line.edge_part))


def dislocations_of(
    experiment: Experiment, crystal: CrystalModel, sample_from_crystal: Floats
) -> tuple[PlacedDislocation, ...]:
    """The dislocations of an experiment, in the sample frame.

    Parameters
    ----------
    experiment : Experiment
        The description.
    crystal : CrystalModel
        Its crystal.
    sample_from_crystal : (3, 3) ndarray
        How the crystal is mounted.

    Returns
    -------
    tuple of PlacedDislocation

    Raises
    ------
    InputError
        For a Burgers vector or a line that leaves the plane.
    """
    core_nm = experiment.crystal.core_radius_nm
    placed = []
    for index, table in enumerate(experiment.defects):
        burgers_crystal = _burgers(table, f"defects[{index}]", crystal)
        line_crystal = _line(table, f"defects[{index}]", crystal.cell)
        length = float(np.linalg.norm(burgers_crystal))
        placed.append(
            PlacedDislocation(
                StraightLine(
                    burgers_vector=sample_from_crystal @ burgers_crystal,
                    line=sample_from_crystal @ line_crystal,
                    position=np.array(table.position_um),
                    poisson_ratio=crystal.poisson_ratio,
                    core_radius=length if core_nm is None else core_nm / 1000.0,
                ),
                table,
            )
        )
    return tuple(placed)


def _burgers(table: Dislocation, key: str, crystal: CrystalModel) -> Floats:
    if table.plane is not None and not lies_in_plane(table.burgers, table.plane):
        raise InputError(
            f"{key}.burgers",
            list(table.burgers),
            f"does not lie in the plane {list(table.plane)}: hu + kv + lw must be 0",
        )
    vector = burgers_vector(crystal.cell, crystal.space_group, table.burgers)
    if table.burgers_nm is not None:
        vector = unit(vector) * table.burgers_nm / 1000.0
    return vector


def _line(table: Dislocation, key: str, cell: UnitCell) -> Floats:
    if table.line is None:
        assert table.plane is not None
        assert table.character_deg is not None
        return line_of_character(cell, table.burgers, table.plane, table.character_deg)
    line = unit(cell.direction(table.line))
    if table.plane is not None:
        slope = float(line @ unit(cell.plane_normal(table.plane)))
        if abs(slope) > 1e-6:
            raise InputError(
                f"{key}.line",
                list(table.line),
                f"leaves the plane {list(table.plane)} by {math.degrees(math.asin(slope)):.3g} "
                "deg; give a line in the plane, or leave plane out",
            )
    return line
