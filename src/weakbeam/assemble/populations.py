"""From walls, populations, boundaries and stored lists of the experiment to lines in the sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.assemble.crystal import CrystalModel, slip_systems_of
from weakbeam.assemble.curved import PlacedSegments
from weakbeam.assemble.dislocations import burgers_of, place_line
from weakbeam.assemble.indices import check_hexagonal, plane_of
from weakbeam.assemble.network import network_again
from weakbeam.assemble.placed import Host, Placed, PlacedLines, PlacedWalls, is_unity
from weakbeam.assemble.uniform import PlacedUniform
from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.slip import three_from_four
from weakbeam.defects.boundary import LineSet, UnsolvableBoundaryError, recipe, solve_boundary
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.population import GlideSystem, draw_population
from weakbeam.defects.regions import Box, Gaussian, Region, Slab
from weakbeam.defects.wall import (
    DislocationWall,
    bipolar_wall,
    dipole_wall,
    stacking_direction,
    twist_wall,
)
from weakbeam.errors import InputError, naming
from weakbeam.experiment.defects import Dislocation
from weakbeam.experiment.populations import (
    Boundary,
    BoundarySet,
    RandomDislocations,
    StoredDislocations,
    Wall,
)


def place_wall(table: Wall, key: str, host: Host) -> tuple[PlacedWalls]:
    """A wall in the sample frame.

    Raises
    ------
    InputError
        For vectors that contradict the crystal or each other, as for a single dislocation; for a
        stacking direction that is not perpendicular to the line.
    """
    walls = _twist(table, key, host) if table.order == "twist" else _stacked(table, key, host)
    return (PlacedWalls(table.kind, walls, host.medium),)


def _stacked(table: Wall, key: str, host: Host) -> tuple[DislocationWall, ...]:
    """The walls of parallel lines."""
    line, _, _ = place_line(table, key, host.crystal, host.sample_from_crystal)
    if table.stacking_direction is not None:
        stacking = np.array(table.stacking_direction)
        # Written by people with a few digits: taken across the line if it nearly is.
        slope = float(unit(stacking) @ line.line)
        if abs(slope) > 1e-3:
            raise InputError(
                f"{key}.stacking_direction",
                list(table.stacking_direction),
                f"makes {math.degrees(math.acos(min(abs(slope), 1.0))):.4g} deg with the line; it "
                "must be perpendicular to it",
            )
        stacking = stacking - (stacking @ line.line) * line.line
    else:
        with naming(f"{key}.stacking", table.stacking):
            stacking = _stacking(table, key, line, host)
    wall = DislocationWall(line, stacking, table.spacing_um, table.count)
    if table.order == "bipolar":
        return bipolar_wall(wall)
    if table.order == "dipole":
        assert table.dipole_offset_um is not None
        return dipole_wall(wall, table.dipole_offset_um)
    return (wall,)


def _stacking(table: Wall, key: str, line: StraightLine, host: Host) -> Floats:
    """From the slip plane if it is given: a screw has none of its own."""
    if table.plane is None:
        return stacking_direction(line, table.stacking)
    cell = host.crystal.cell
    normal = host.sample_from_crystal @ unit(cell.plane_normal(plane_of(table.plane, cell, key)))
    return normal if table.stacking == "wall" else np.asarray(np.cross(normal, line.line))


def _twist(table: Wall, key: str, host: Host) -> tuple[DislocationWall, ...]:
    """The two crossing walls of screws."""
    assert table.second_burgers is not None
    second = table.model_copy(
        update={
            "burgers": table.second_burgers,
            "plane": None,
            "line": tuple(float(n) for n in table.second_burgers),
        }
    )
    screws = []
    for array, name in ((table, "line"), (second, "second_burgers")):
        line, _, _ = place_line(array, key, host.crystal, host.sample_from_crystal)
        if line.edge_part > 1e-6 * float(np.linalg.norm(line.burgers_vector)):
            raise InputError(
                f"{key}.{name}",
                list(getattr(table, name) or ()) or None,
                'order = "twist" is made of screws: the line must run along the Burgers vector',
            )
        screws.append(line)
    spacings = table.spacing_um, table.second_spacing_um or table.spacing_um
    with naming(f"{key}.second_burgers", list(table.second_burgers)):
        return twist_wall(
            [screw.burgers_vector for screw in screws],
            screws[0].position,
            spacings,
            screws[0].core_radius,
            (table.count, table.count),
        )


def place_random(table: RandomDislocations, key: str, host: Host) -> tuple[PlacedLines]:
    """A random population in the sample frame.

    Raises
    ------
    InputError
        For a crystal without known slip systems, weights that do not fit them, or a minimum
        distance for which there is no room.
    """
    systems, view = _systems(table, key, host), host.view
    centre, normal = np.array(table.position_um), np.array(table.normal or view.normal)
    region: Region
    if table.region == "box":
        half = 0.5 * np.array(table.size_um)
        region = Box(centre - half, centre + half)
    elif table.region == "slab":
        region = Slab(normal, table.width_um or view.width, table.depth_um or 0.0, centre)
    else:
        sigma = table.sigma_um or 0.25 * view.width
        region = Gaussian(sigma, table.depth_um or 0.0, centre, normal)
    number, value = next(
        (name, amount)
        for name in ("count", "lines_per_um2", "density_per_m2")
        if (amount := getattr(table, name)) is not None
    )
    # 1/m² is 1e-12 µm/µm³.
    per_volume = None if table.density_per_m2 is None else 1e-12 * table.density_per_m2
    complaint = f"{key}.minimum_distance_um" if table.minimum_distance_um else f"{key}.{number}"
    with naming(complaint, table.minimum_distance_um or value):
        drawn = draw_population(
            table.seed,
            region,
            systems,
            count=table.count,
            lines_per_area=table.lines_per_um2,
            length_per_volume=per_volume,
            character_deg=table.psi_deg,
            excess=table.excess,
            minimum_distance=table.minimum_distance_um,
            stream=_stream(table, host),
        )
    lines = replace(drawn.lines, core_radii=host.crystal.core_radii(drawn.lines.burgers_vectors))
    labels = tuple(system.label for system in systems)
    return (PlacedLines(table.kind, lines, drawn.system, labels, host.medium),)


def _stream(table: RandomDislocations, host: Host) -> int:
    """How many random tables of the same seed stand before this one.

    So tables that all leave out the seed draw different lines, and one whose seed is its own draws
    the same wherever it stands.
    """
    before = host.experiment.defects[: host.number]
    return sum(isinstance(t, RandomDislocations) and t.seed == table.seed for t in before)


def _systems(table: RandomDislocations, key: str, host: Host) -> list[GlideSystem]:
    crystal, mount = host.crystal, host.sample_from_crystal
    systems = slip_systems_of(host.experiment, crystal, table.slip_families, f"{key}.slip_families")
    weights = table.weights or (1.0,) * len(systems)
    if len(weights) != len(systems):
        raise InputError(
            f"{key}.weights", list(weights), f"must be {len(systems)} numbers, one per slip system"
        )
    if not any(weights):
        raise InputError(f"{key}.weights", list(weights), "must not all be 0")
    return [
        GlideSystem(
            mount @ system.burgers_vector,
            mount @ crystal.cell.plane_normal(system.system.plane),
            weight,
            f"({_words(system.system.plane)})[{_words(system.system.direction)}]",
        )
        for system, weight in zip(systems, weights, strict=True)
    ]


def place_boundary(table: Boundary, key: str, host: Host) -> tuple[Placed, ...]:
    """A boundary in the sample frame: its walls and, if it is infinite, what its sides share.

    Raises
    ------
    InputError
        For sets that cannot make it (with the residual and the best densities), lines that leave
        it, or a recipe for another crystal.
    """
    crystal, cell = host.crystal, host.crystal.cell
    if table.recipe is not None:
        with naming(f"{key}.recipe", table.recipe):
            made = recipe(table.recipe, cell, crystal.centring)
        normal, axis, sets = made.normal, made.axis, made.sets
        complaint, shown = f"{key}.recipe", table.recipe
    else:
        assert table.normal is not None
        assert table.axis is not None
        assert table.sets is not None
        normal = unit(cell.plane_normal(plane_of(table.normal, cell, f"{key}.normal")))
        axis = _direction(table.axis, cell, f"{key}.axis")
        sets = tuple(
            LineSet(
                _burgers(lines, f"{key}.sets[{index}]", crystal),
                _direction(lines.line, cell, f"{key}.sets[{index}].line"),
                lines.ratio,
            )
            for index, lines in enumerate(table.sets)
        )
        complaint, shown = f"{key}.sets", None
    try:
        solution = solve_boundary(
            normal,
            axis,
            math.radians(table.angle_deg),
            sets,
            reversible=table.reversible,
            tolerance=table.tolerance,
        ).turned(host.sample_from_crystal)
        walls = solution.walls(table.position_um, extent=table.extent_um)
    except UnsolvableBoundaryError as error:
        raise InputError(complaint, shown, str(error)) from None
    except ValueError as error:
        if "angle is too large" in str(error):
            raise InputError(f"{key}.angle_deg", table.angle_deg, str(error)) from None
        raise InputError(complaint, shown, str(error)) from None
    walls = tuple(
        wall.with_core(float(crystal.core_radii(wall.dislocation.burgers_vector))) for wall in walls
    )
    placed = PlacedWalls(table.kind, walls, host.medium, solution)
    if table.extent_um is not None:
        return (placed,)
    return (placed, PlacedUniform(solution.mean_gradient, table.kind))


def place_stored(table: StoredDislocations, key: str, host: Host) -> tuple[Placed, ...]:
    """The defects of an output file, in the sample frame.

    They lie in the medium that the file tells, whatever the crystal of the host.

    Raises
    ------
    InputError
        If the file cannot be read, or lists no defects.
    """
    from weakbeam.io.defects_file import read_defects

    stored = read_defects(table.file, f"{key}.file")
    placed: list[Placed] = []
    for part in stored.parts:
        if len(part.lines):
            placed.append(
                PlacedLines(table.kind, part.lines, part.system, part.labels, part.medium)
            )
        if part.walls:
            placed.append(PlacedWalls(table.kind, part.walls, part.medium))
        if len(part.segments):
            placed.append(PlacedSegments(table.kind, part.segments, table.kind, part.medium))
        placed += [
            network_again(table.kind, one, part.medium, stored.sample_from_crystal, host.crystal)
            for one in part.repeated
        ]
    placed += [PlacedUniform(gradient, table.kind) for gradient in stored.gradients]
    turn = host.sample_from_crystal @ stored.sample_from_crystal.T
    return tuple(placed if is_unity(turn) else (defect.turned(turn) for defect in placed))


def _burgers(lines: BoundarySet, key: str, crystal: CrystalModel) -> Floats:
    """Burgers vector of a set (µm), Cartesian crystal frame."""
    line = Dislocation(
        burgers=lines.burgers, burgers_fraction=lines.burgers_fraction, line=lines.line
    )
    return burgers_of(line, key, crystal)


def _direction(indices: Sequence[float], cell: UnitCell, key: str) -> Floats:
    if len(indices) == 4:
        check_hexagonal(indices, cell, key)
    return unit(cell.direction(three_from_four(indices)))


def _words(indices: Sequence[int]) -> str:
    return " ".join(str(index) for index in indices)
