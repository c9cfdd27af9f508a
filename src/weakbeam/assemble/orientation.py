"""From the experiment's description to the orientation of its crystal."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.indices import direction_of, plane_of
from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import (
    sample_from_crystal_euler,
    sample_from_crystal_mount,
    sample_from_crystal_quaternion,
    sample_from_crystal_ub,
    symmetric_orientation,
    turned_upright,
)
from weakbeam.crystal.remount import tilt
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Crystal, Experiment, Reflection
from weakbeam.experiment.crystal import ORIENTATIONS

LEVEL_DEG = 0.01
"""How far (degrees) the planes of a symmetric reflection may lean; the goniometer levels them."""


def orientation_of(
    experiment: Experiment,
    crystal: CrystalModel,
    reflection: Reflection | None = None,
    key: str = "reflection",
) -> Floats:
    """How the crystal is mounted for a reflection.

    With ``crystal.x_axis`` (or the reflection's own) the planes of each reflection are mounted
    facing up; ``crystal.mount``, ``ub``, ``euler_deg`` and ``quaternion`` fix the orientation once
    for all reflections.

    Parameters
    ----------
    experiment : Experiment
        The description.
    crystal : CrystalModel
        Its crystal.
    reflection : Reflection, optional
        One of its reflections; default: the only one.
    key : str
        Where the reflection stands in the file, for messages.

    Returns
    -------
    (3, 3) ndarray
        Rotation sample_from_crystal.

    Raises
    ------
    InputError
        For an orientation that is none, that contradicts the cell, that is given twice, or that
        the geometry cannot use: the symmetric one wants the planes to face up, the others a fixed
        orientation.
    """
    reflection = reflection or experiment.reflection
    assert reflection is not None
    table, cell = experiment.crystal, crystal.cell
    hkl = plane_of(reflection.hkl, cell, f"{key}.hkl")
    if reflection.geometry == "symmetric":
        own, shared = reflection.x_axis, table.x_axis
        if own is not None and shared is None:
            fixed = next(name for name in ORIENTATIONS if getattr(table, name) is not None)
            raise InputError(
                f"{key}.x_axis", list(own), f"give either crystal.{fixed} or {key}.x_axis"
            )
        if own is not None or shared is not None:
            axis_key = "crystal.x_axis" if own is None else f"{key}.x_axis"
            axis = own or shared
            assert axis is not None
            direction = direction_of(axis, cell, axis_key)
            with naming(axis_key, list(axis)):
                return symmetric_orientation(cell, hkl, direction)
    elif table.x_axis is not None:
        raise InputError(
            "crystal.mount",
            None,
            f'missing; geometry = "{reflection.geometry}" needs a fixed orientation: mount, ub, '
            "euler_deg or quaternion in place of x_axis",
        )
    name, value, orientation = _fixed_orientation(table, cell)
    if reflection.geometry != "symmetric":
        return orientation
    angle = math.degrees(tilt(orientation, cell, hkl))
    if angle > LEVEL_DEG:
        raise InputError(
            name,
            value,
            f"leaves the normal of {list(hkl)} {angle:.4g} deg from z of the sample, where the "
            'symmetric geometry needs it; give crystal.x_axis instead, or geometry = "oblique"',
        )
    return turned_upright(orientation, cell, hkl)


def _fixed_orientation(table: Crystal, cell: UnitCell) -> tuple[str, object, Floats]:
    """Return the key, its value for messages, and the orientation."""
    if table.mount is not None:
        shown: object = [list(normal) for normal in table.mount]
        x, y, z = (plane_of(normal, cell, "crystal.mount") for normal in table.mount)
        with naming("crystal.mount", shown):
            return "crystal.mount", shown, sample_from_crystal_mount(cell, x, y, z)
    if table.ub is not None:
        with naming("crystal.ub", None):
            return "crystal.ub", None, sample_from_crystal_ub(cell, table.ub)
    if table.euler_deg is not None:
        angles = np.radians(table.euler_deg).tolist()
        return "crystal.euler_deg", list(table.euler_deg), sample_from_crystal_euler(*angles)
    assert table.quaternion is not None
    shown = list(table.quaternion)
    return "crystal.quaternion", shown, sample_from_crystal_quaternion(table.quaternion)
