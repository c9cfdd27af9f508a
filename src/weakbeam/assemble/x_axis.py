"""The direction along x of the sample, where it does not lie in the planes that face up."""

from __future__ import annotations

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.indices import direction_of
from weakbeam.crystal.in_plane import nearest_in_plane, out_of_plane_deg
from weakbeam.errors import InputError
from weakbeam.experiment import Crystal, Experiment, Reflection

_NEAR = 60.0
"""Directions farther from the projection (degrees) are no help."""


def x_axis_notes(
    experiment: Experiment, crystal: CrystalModel, reflection: Reflection, key: str
) -> tuple[str, ...]:
    """Say what points along x of the sample where the default direction leaves the planes.

    The default direction is that of the default reflection. It is taken as the default where it is
    spelt out as well, as it is in the file beside every result, which a run can be repeated from.

    Parameters
    ----------
    experiment : Experiment
        The description.
    crystal : CrystalModel
        Its crystal.
    reflection : Reflection
        One of its reflections.
    key : str
        Where the reflection stands in the file, for messages.

    Returns
    -------
    tuple of str
        One note, or none.

    Raises
    ------
    InputError
        If a direction was chosen that does not lie in the planes.
    """
    axis = reflection.x_axis or experiment.crystal.x_axis
    if reflection.geometry != "symmetric" or axis is None:
        return ()
    hkl, own = reflection.plane, f"{key}.x_axis"
    direction = direction_of(axis, crystal.cell, own if reflection.x_axis else "crystal.x_axis")
    lean = out_of_plane_deg(crystal.cell, hkl, direction)
    if lean == 0.0:
        return ()
    (best, off), *others = nearest_in_plane(crystal.cell, hkl, direction)
    if reflection.x_axis is None and axis == Crystal().x_axis:
        way = "" if off < 1e-6 else f" but for {off:.2g} deg"
        which = "crystal.x_axis" if key == "reflection" else own
        return (
            f"crystal.x_axis = {list(axis)} leaves the planes {list(hkl)} by {lean:.3g} deg; its "
            f"projection points along x of the sample, as {which} = {list(best)} says{way}",
        )
    near = "its projection" if off < 1e-6 else f"{off:.2g} deg from its projection"
    named = [f"{list(best)} ({near})"]
    named += [f"{list(uvw)} ({angle:.3g} deg from it)" for uvw, angle in others if angle < _NEAR]
    apart = reflection.x_axis is None and key != "reflection"
    raise InputError(
        own if reflection.x_axis else "crystal.x_axis",
        list(axis),
        f"leaves the planes {list(hkl)} by {lean:.3g} deg; in them lie {' and '.join(named)}"
        + (f": give {own}" if apart else ""),
    )
