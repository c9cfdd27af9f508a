"""From a table of lines in a file to dislocations in the sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.dislocations import burgers_of, place_line
from weakbeam.assemble.placed import Host, PlacedLines
from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import miller, unit
from weakbeam.crystal.slip import UM_PER_ANGSTROM
from weakbeam.defects.lines import StraightLines
from weakbeam.errors import InputError
from weakbeam.experiment.defects import Dislocation
from weakbeam.experiment.populations import LineTable

_LATTICE_TOLERANCE = 0.02
"""How far components of a Burgers vector in µm may be from a lattice vector's, in cell edges."""

_SLOPE = 1e-3
"""Sine of the angle by which vectors in Cartesian components may leave the plane beside them."""

_COLUMNS = {"burgers": "u,v,w", "plane": "h,k,l", "line": "lu,lv,lw"}
"""Columns of the table by the keys of a dislocation."""

Values = Mapping[tuple[str, ...], tuple[float, ...]]


@dataclass(frozen=True)
class _Line:
    """A line of the table but for its position, in the sample frame."""

    burgers: Floats
    direction: Floats
    core_radius: float
    label: str


def place_table(table: LineTable, key: str, host: Host) -> tuple[PlacedLines]:
    """The lines of a table, in the sample frame.

    Raises
    ------
    InputError
        If the file cannot be read, or a line contradicts the crystal or itself: with its number.
    """
    from weakbeam.io.line_table import POSITION, read_line_table

    rows = read_line_table(table.file, f"{key}.file")
    sample_from_axes = host.sample_from_crystal if table.axes == "crystal" else np.eye(3)
    known: dict[tuple[object, ...], _Line] = {}
    lines = []
    for row in rows:
        values = {names: row.values[names] for names in row.values if names != POSITION}
        again = tuple(values.values())
        if again not in known:
            try:
                known[again] = _line(values, table, host, sample_from_axes)
            except InputError as error:
                name = error.key.rpartition(".")[2]
                value = list(error.value) if isinstance(error.value, tuple) else error.value
                shown = "" if value is None else f" = {value}"
                said = f"line {row.number}: {_COLUMNS.get(name, name)}{shown}: {error.allowed}"
                raise InputError(f"{key}.file", table.file, said) from None
        lines.append(known[again])
    positions = np.array([row.values[POSITION] for row in rows])
    labels = tuple(dict.fromkeys(line.label for line in lines if line.label))
    number = {"": -1} | {label: index for index, label in enumerate(labels)}
    placed = StraightLines(
        np.array([line.burgers for line in lines]),
        np.array([line.direction for line in lines]),
        positions @ sample_from_axes.T if table.axes == "crystal" else positions,
        np.array([line.core_radius for line in lines]),
    )
    system = np.array([number[line.label] for line in lines], dtype=np.int64)
    return (PlacedLines(table.kind, placed, system, labels, host.medium),)


def _line(values: Values, table: LineTable, host: Host, sample_from_axes: Floats) -> _Line:
    from weakbeam.io.line_table import BURGERS_UVW, LINE_XYZ, PLANE

    crystal, turn = host.crystal, host.sample_from_crystal
    plane = miller(_whole(values[PLANE]), "h,k,l") if PLANE in values else None
    if BURGERS_UVW not in values:
        burgers = _burgers_in_um(values, table, host, sample_from_axes)
        direction = _direction(values, plane, burgers, host, sample_from_axes)
        radius = float(crystal.core_radii(turn.T @ burgers))
        return _Line(burgers, direction, radius, "")
    described = _described(values)
    label = f"[{_words(described.burgers)}]"
    if plane is not None:
        label = f"({_words(plane)}){label}"
    if LINE_XYZ not in values:
        line, _, _ = place_line(described, "", crystal, turn)
        return _Line(line.burgers_vector, line.line, line.core_radius, label)
    in_crystal = burgers_of(described, "", crystal)
    burgers = turn @ in_crystal
    direction = _direction(values, plane, burgers, host, sample_from_axes)
    return _Line(burgers, direction, float(crystal.core_radii(in_crystal)), label)


def _described(values: Values) -> Dislocation:
    """The line as a table of the experiment describes one."""
    from weakbeam.io.line_table import ANGLE, BURGERS_UVW, CHARACTER, LINE_UVW, LINE_XYZ, PLANE

    keys: dict[str, Any] = {"burgers": _whole(values[BURGERS_UVW])}
    if PLANE in values:
        keys["plane"] = _whole(values[PLANE])
    if LINE_UVW in values:
        keys["line"] = values[LINE_UVW]
    if LINE_XYZ in values:
        # Only the Burgers vector is asked for.
        keys |= {"line": tuple(map(float, values[BURGERS_UVW]))}
    for name in (ANGLE, CHARACTER):
        if (name,) in values:
            keys[name] = values[(name,)][0]
    return Dislocation(**keys)


def _burgers_in_um(
    values: Values, table: LineTable, host: Host, sample_from_axes: Floats
) -> Floats:
    """A Burgers vector given in µm, held against the lattice: units and axes are easily wrong."""
    from weakbeam.io.line_table import BURGERS_UM

    crystal = host.crystal
    given = values[BURGERS_UM]
    length = 1000.0 * math.hypot(*given)
    if not 1e-3 <= length <= 100.0:
        raise InputError("bx,by,bz", list(given), f"are {length:.4g} nm long; components are in µm")
    burgers = np.asarray(sample_from_axes @ np.array(given))
    if not table.partial and not translates_lattice(crystal, host.sample_from_crystal.T @ burgers):
        raise InputError(
            "bx,by,bz",
            list(given),
            f"is no lattice vector of {crystal.name} in the axes of the {table.axes}; a partial "
            "dislocation needs partial = true",
        )
    return burgers


def translates_lattice(crystal: CrystalModel, in_crystal: Floats) -> bool:
    """Whether a vector in µm, Cartesian crystal frame, is one of the lattice, but for rounding."""
    components = np.linalg.solve(crystal.cell.direct, in_crystal / UM_PER_ANGSTROM)
    if np.abs(components).max() < _LATTICE_TOLERANCE:
        return False
    for point in crystal.centring:
        off = components - np.array([float(part) for part in point])
        if np.abs(off - np.round(off)).max() < _LATTICE_TOLERANCE:
            return True
    return False


def _direction(
    values: Values,
    plane: tuple[int, int, int] | None,
    burgers: Floats,
    host: Host,
    sample_from_axes: Floats,
) -> Floats:
    """Direction of a line in the sample frame, checked against the plane beside it."""
    from weakbeam.io.line_table import ANGLE, CHARACTER, LINE_UVW, LINE_XYZ

    cell, turn = host.crystal.cell, host.sample_from_crystal
    normal = None if plane is None else turn @ unit(cell.plane_normal(plane))
    along = unit(burgers)
    if normal is not None:
        _check_in_plane("Burgers vector", along, normal)
    if (ANGLE,) in values or (CHARACTER,) in values:
        assert normal is not None
        degrees = values[(ANGLE,)][0] if (ANGLE,) in values else 90.0 - values[(CHARACTER,)][0]
        angle = math.radians(degrees)
        across = unit(np.cross(along, normal))
        return math.cos(angle) * along + math.sin(angle) * across
    names = LINE_XYZ if LINE_XYZ in values else LINE_UVW
    given = np.array(values[names], dtype=np.float64)
    if not np.any(given):
        raise InputError(",".join(names), given.tolist(), "must not all be 0")
    direction = sample_from_axes @ given if names is LINE_XYZ else turn @ cell.direction(given)
    direction = unit(direction)
    if normal is not None:
        _check_in_plane("line", direction, normal)
    return direction


def _check_in_plane(what: str, vector: Floats, normal: Floats) -> None:
    slope = abs(float(vector @ normal))
    if slope > _SLOPE:
        raise InputError(
            "h,k,l",
            None,
            f"the {what} leaves it by {math.degrees(math.asin(min(slope, 1))):.3g} deg",
        )


def _whole(values: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _words(indices: tuple[int, ...]) -> str:
    return " ".join(map(str, indices))
