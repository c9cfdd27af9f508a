"""From the experiment's description to the defects in the sample."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.indices import check_hexagonal, check_in_plane, direction_of, plane_of
from weakbeam.assemble.placed import Host, PlacedDislocation
from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import Miller, UnitCell, miller, unit
from weakbeam.crystal.slip import (
    UM_PER_ANGSTROM,
    SlipSystem,
    burgers_vector,
    is_lattice_vector,
    line_of_character,
    slip_families,
    three_from_four,
)
from weakbeam.crystal.symmetry import centring_vectors
from weakbeam.defects.lines import StraightLine
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.defects import (
    BurgersVectorOfDislocation,
    Dislocation,
    LineOfDislocation,
)

FACE_CENTRED = ("fcc", "diamond", "zincblende")
"""Structures whose dislocations have the Burgers vector of the default one."""

LENGTH_TOLERANCE = 0.005
"""How far, relatively, a given length may be from a multiple of the lattice vector's."""


def dislocations_of(
    experiment: Experiment,
    crystal: CrystalModel,
    sample_from_crystal: Floats,
) -> tuple[PlacedDislocation, ...]:
    """The dislocations of an experiment, in the sample frame.

    Parameters
    ----------
    experiment, crystal
        The description and its crystal.
    sample_from_crystal : (3, 3) ndarray
        How the crystal is mounted.

    Returns
    -------
    tuple of PlacedDislocation

    Raises
    ------
    InputError
        For a Burgers vector that is no lattice vector and is not said to be a partial one, for a
        Burgers vector or a line that leaves the plane, and for four indices of another cell than a
        hexagonal one.
    """
    placed = []
    described = experiment.defects if has_defects(experiment, crystal) else ()
    for index, table in enumerate(described):
        if not isinstance(table, Dislocation):
            continue
        key = f"defects[{index}]"
        placed.append(_placed(table, key, crystal, sample_from_crystal))
    return tuple(placed)


def place_dislocation(table: Dislocation, key: str, host: Host) -> tuple[PlacedDislocation]:
    """A dislocation in the sample frame.

    Raises
    ------
    InputError
        As for :func:`dislocations_of`.
    """
    return (_placed(table, key, host.crystal, host.sample_from_crystal),)


def _placed(
    table: Dislocation, key: str, crystal: CrystalModel, sample_from_crystal: Floats
) -> PlacedDislocation:
    line, burgers, plane = place_line(table, key, crystal, sample_from_crystal)
    medium = crystal.medium.turned(sample_from_crystal)
    return PlacedDislocation(line, burgers, plane, medium, table.burgers)


def has_defects(experiment: Experiment, crystal: CrystalModel) -> bool:
    """Whether the defects are the crystal's own: given, or the default of the FCC structures."""
    if "defects" in experiment.model_fields_set:
        return True
    face_centred = set(crystal.centring) == set(centring_vectors("F m -3 m"))
    unknown = crystal.structure is None and face_centred
    return unknown or crystal.structure in FACE_CENTRED


def example_of_defect(crystal: CrystalModel) -> str:
    """An edge dislocation of the crystal's first slip system, as TOML; "" if it has none known."""
    if crystal.structure is None:
        return ""
    system = next(iter(slip_families(crystal.structure).values()))[0]
    plane, burgers = list(system.plane), list(system.direction)
    return f" (such as plane = {plane}, burgers = {burgers}, angle_deg = 90)"


def place_line(
    table: LineOfDislocation,
    key: str,
    crystal: CrystalModel,
    sample_from_crystal: Floats,
) -> tuple[StraightLine, Miller, Miller | None]:
    """A straight dislocation in the sample frame, with its Burgers direction and slip plane.

    Parameters
    ----------
    table : LineOfDislocation
        What the experiment says.
    key : str
        Where it stands, for messages.
    crystal : CrystalModel
        The crystal.
    sample_from_crystal : (3, 3) ndarray
        How it is mounted.

    Raises
    ------
    InputError
        As for :func:`dislocations_of`.
    """
    burgers = direction_of(table.burgers, crystal.cell, f"{key}.burgers")
    plane = None
    if table.plane is not None:
        plane = plane_of(table.plane, crystal.cell, f"{key}.plane")
        system = SlipSystem(plane, burgers)
        check_in_plane(table.burgers, table.plane, system, f"{key}.burgers")
    burgers_crystal = burgers_of(table, key, crystal)
    line_crystal = _line(table, key, burgers, plane, crystal.cell)
    line = StraightLine(
        burgers_vector=sample_from_crystal @ burgers_crystal,
        line=sample_from_crystal @ line_crystal,
        position=np.array(table.position_um),
        core_radius=float(crystal.core_radii(burgers_crystal)),
    )
    return line, burgers, plane


def burgers_of(table: BurgersVectorOfDislocation, key: str, crystal: CrystalModel) -> Floats:
    """Return the Burgers vector in µm, Cartesian crystal frame.

    Raises
    ------
    InputError
        If it is no lattice vector and not said to be that of a partial dislocation.
    """
    burgers = direction_of(table.burgers, crystal.cell, f"{key}.burgers")
    shortest = burgers_vector(crystal.cell, crystal.centring, burgers)
    length_nm = 1000.0 * float(np.linalg.norm(shortest))
    ending = (
        f"the shortest one along {list(table.burgers)} has {length_nm:.4f} nm; a partial "
        "dislocation needs partial = true"
    )
    if table.burgers_fraction is not None:
        factor = Fraction(table.burgers_fraction)
        written = miller(three_from_four(table.burgers))
        if not table.partial and not is_lattice_vector(
            crystal.centring, [factor * n for n in written]
        ):
            raise InputError(
                f"{key}.burgers_fraction",
                table.burgers_fraction,
                f"{factor} {list(table.burgers)} is no lattice vector: {ending}",
            )
        return crystal.cell.direction(written) * (float(factor) * UM_PER_ANGSTROM)
    if table.burgers_nm is None:
        return shortest
    multiple = table.burgers_nm / length_nm
    if not table.partial and abs(multiple - max(1, round(multiple))) > LENGTH_TOLERANCE * multiple:
        raise InputError(
            f"{key}.burgers_nm",
            table.burgers_nm,
            f"is the length of no lattice vector: {ending}",
        )
    return shortest * multiple


def _line(
    table: LineOfDislocation, key: str, burgers: Miller, plane: Miller | None, cell: UnitCell
) -> Floats:
    if table.line is None:
        assert plane is not None
        assert table.psi_deg is not None
        return line_of_character(cell, burgers, plane, table.psi_deg)
    if len(table.line) == 4:
        check_hexagonal(table.line, cell, f"{key}.line")
    line = unit(cell.direction(three_from_four(table.line)))
    if plane is not None:
        slope = float(line @ unit(cell.plane_normal(plane)))
        if abs(slope) > 1e-6:
            raise InputError(
                f"{key}.line",
                list(table.line),
                f"leaves the plane {list(table.plane or plane)} by "
                f"{math.degrees(math.asin(slope)):.3g} deg; give a line in the plane, or leave "
                "plane out",
            )
    return line
