"""Finding the reflections that ``weakbeam reflections`` lists."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from weakbeam.cli.reflection_table import Table, spaced

if TYPE_CHECKING:
    from weakbeam.assemble.crystal import CrystalModel
    from weakbeam.core.arrays import Floats
    from weakbeam.diffraction.reachable import ReachableReflection
    from weakbeam.experiment import Experiment
    from weakbeam.instrument.optics import Optics

Limits = tuple[float, float]


class Search(NamedTuple):
    """What to look for.

    Parameters
    ----------
    geometry : {"symmetric", "oblique", "goniometer"}
        How the crystal is brought to diffract.
    theta_max : float
        Largest Bragg angle (rad).
    omega_range, eta_range : pair of float, optional
        Limits (rad) of the rotation and the azimuth, on a fixed mount.
    mu_range : pair of float
        Limits (rad) of the tilt, on a goniometer.
    chi, phi : float
        Where the inner motors stand (rad), on a goniometer.
    """

    geometry: str
    theta_max: float
    omega_range: Limits | None = None
    eta_range: Limits | None = None
    mu_range: Limits = (0.0, 0.0)
    chi: float = 0.0
    phi: float = 0.0


def tabulate(experiment: Experiment, search: Search, sort_key: str = "theta") -> Table:
    """Find the reflections of the experiment's crystal.

    Parameters
    ----------
    experiment : Experiment
        Its crystal, energy and defects count.
    search : Search
        What to look for.
    sort_key : str
        One of `weakbeam.diffraction.reachable.SORT_KEYS`.

    Raises
    ------
    InputError
        If crystal, mount or defects are impossible, or there are too many reflections.
    """
    import numpy as np

    from weakbeam.assemble.crystal import crystal_of
    from weakbeam.assemble.dislocations import dislocations_of
    from weakbeam.diffraction.reachable import find_reflections, sort_reflections
    from weakbeam.errors import naming

    crystal = crystal_of(experiment)
    # With the crystal's own frame in place of the sample's.
    placed = dislocations_of(experiment, crystal, np.eye(3))
    mounted = fixed_orientation(experiment, crystal, search.geometry)
    with naming("--theta-max", round(math.degrees(search.theta_max), 6)):
        rows = find_reflections(
            crystal.cell,
            crystal.space_group,
            experiment.beam.energy_keV,
            search.theta_max,
            sites=crystal.sites,
            sample_from_crystal=mounted,
            omega_range=search.omega_range,
            eta_range=search.eta_range,
            mu_range=search.mu_range,
            chi=search.chi,
            phi=search.phi,
            dislocations=[defect.line for defect in placed],
            medium=crystal.medium,
        )
    defects = [
        f"b ∥ [{spaced(defect.written_burgers)}], "
        f"b∧t = {defect.angle_deg:.1f}° (0° screw, 90° edge)"
        for defect in placed
    ]
    if search.omega_range is not None:
        rows = [_turned_into(search.omega_range, row) for row in rows]
    name = "" if crystal.name == "crystal" or crystal.sites is None else crystal.name
    title = f"{name} ({crystal.space_group})" if name else crystal.space_group
    title += f", {experiment.beam.energy_keV:g} keV, {search.geometry} geometry"
    return Table(
        title,
        sort_reflections(rows, sort_key),
        defects,
        experiment.beam.energy_keV,
        search.geometry,
        crystal.cell.volume,
        optics=_optics(experiment),
    )


def with_absorption(experiment: Experiment, table: Table) -> Table:
    """The table with the absorption length of the experiment's crystal.

    Raises
    ------
    InputError
        If its atoms are not known, or the energy is outside the tables.
    """
    from weakbeam.assemble.crystal import crystal_of
    from weakbeam.diffraction.strength import absorption_length
    from weakbeam.errors import InputError, naming

    atoms = crystal_of(experiment).atomic_structure
    if atoms is None:
        raise InputError("--absorption", None, "needs a crystal whose atoms are known")
    with naming("beam.energy_keV", table.energy_kev):
        length = absorption_length(atoms, table.energy_kev)
    return table._replace(absorption_length=length)


def _optics(experiment: Experiment) -> Optics | None:
    """Beam and lens of the experiment; None where the lens does not go with its energy."""
    from weakbeam.assemble.instrument import acceptance_of
    from weakbeam.errors import InputError

    try:
        # The Bragg angle does not matter to them.
        return acceptance_of(experiment, math.radians(10.0)).optics
    except InputError:
        return None


def _turned_into(omega_range: Limits, row: ReachableReflection) -> ReachableReflection:
    """The row with every ω within the limits, and not full turns away from them."""
    middle = 0.5 * sum(omega_range)
    turned = tuple(
        s and replace(s, omega=middle + math.remainder(s.omega - middle, 2.0 * math.pi))
        for s in row.solutions
    )
    return replace(row, solutions=turned)


def fixed_orientation(
    experiment: Experiment, crystal: CrystalModel, geometry: str
) -> Floats | None:
    """Orientation of a crystal that stays on its mount; None in the symmetric geometry.

    Where the experiment has no mount, the Cartesian axes of the crystal are those of the sample.

    Raises
    ------
    InputError
        If its mount is none.
    """
    import numpy as np

    from weakbeam.assemble.orientation import orientation_of
    from weakbeam.experiment import Reflection

    if geometry == "symmetric":
        return None
    if experiment.crystal.x_axis is not None:
        return np.eye(3)
    return orientation_of(experiment, crystal, Reflection(geometry="oblique"))
