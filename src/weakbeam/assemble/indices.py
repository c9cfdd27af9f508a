"""Planes and directions as an experiment writes them: of three indices or of four."""

from __future__ import annotations

from collections.abc import Sequence

from weakbeam.crystal.lattice import Miller, UnitCell, miller
from weakbeam.crystal.slip import (
    SlipSystem,
    direction_3_from_4,
    lies_in_plane,
    plane_3_from_4,
)
from weakbeam.errors import InputError


def plane_of(indices: Sequence[int], cell: UnitCell, key: str) -> Miller:
    """Plane (hkl) of three indices, or of four on hexagonal axes."""
    if len(indices) == 3:
        return miller(indices)
    check_hexagonal(indices, cell, key)
    return plane_3_from_4(indices)


def direction_of(indices: Sequence[int], cell: UnitCell, key: str) -> Miller:
    """Direction [uvw] of three indices, or of four on hexagonal axes, without common factor."""
    if len(indices) == 3:
        return miller(indices)
    check_hexagonal(indices, cell, key)
    return direction_3_from_4(indices)


def check_hexagonal(indices: Sequence[float], cell: UnitCell, key: str) -> None:
    """Refuse four indices of a cell that has no hexagonal axes."""
    equal = abs(cell.a - cell.b) < 1e-3 * cell.a
    angles = (cell.alpha - 90.0, cell.beta - 90.0, cell.gamma - 120.0)
    if not equal or max(map(abs, angles)) > 0.1:
        raise InputError(
            key,
            list(indices),
            "four indices need hexagonal axes (a = b, α = β = 90°, γ = 120°); give three",
        )


def check_in_plane(
    burgers: Sequence[int], plane: Sequence[int], system: SlipSystem, key: str
) -> None:
    """Refuse a Burgers vector that leaves its plane; `burgers` and `plane` are as written."""
    if not lies_in_plane(system.direction, system.plane):
        rule = "hu + kv + it + lw" if len(burgers) == len(plane) == 4 else "hu + kv + lw"
        raise InputError(
            key, list(burgers), f"does not lie in the plane {list(plane)}: {rule} must be 0"
        )
