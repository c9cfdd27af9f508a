"""The reflections that can be reached, and what they show of the dislocations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from weakbeam.run.reflection_list import ReflectionList, record_of, spaced

if TYPE_CHECKING:
    from weakbeam.assemble.crystal import CrystalModel
    from weakbeam.core.arrays import Floats
    from weakbeam.diffraction.reachable import ReachableReflection
    from weakbeam.experiment import Experiment, Reflection
    from weakbeam.instrument.optics import Optics
    from weakbeam.run.records import Records

Limits = tuple[float, float]

GEOMETRIES = ("symmetric", "oblique", "goniometer")


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


def search_of(
    experiment: Experiment,
    *,
    geometry: str | None = None,
    theta_max_deg: float = 20.0,
    omega_range_deg: Limits | None = None,
    eta_range_deg: Limits | None = None,
    mu_range_deg: Limits | None = None,
    chi_deg: float | None = None,
    phi_deg: float | None = None,
) -> Search:
    """What to look for, from angles in degrees; geometry and tilts of the experiment by default.

    Raises
    ------
    InputError
        If an angle is out of range, or belongs to another geometry.
    """
    from weakbeam.errors import InputError

    if not 0.0 < theta_max_deg < 45.0:
        allowed = "must lie between 0 and 45 deg; the objective stands downstream"
        raise InputError("theta_max_deg", theta_max_deg, allowed)
    given = _reflection_of(experiment)
    geometry = geometry or given.geometry
    if geometry not in GEOMETRIES:
        raise InputError("geometry", geometry, f"must be one of {', '.join(GEOMETRIES)}")
    on_mount = {"omega_range_deg": omega_range_deg, "eta_range_deg": eta_range_deg}
    if geometry == "symmetric":
        _refuse(on_mount, "oblique")
    if geometry != "goniometer":
        _refuse(
            {"mu_range_deg": mu_range_deg, "chi_deg": chi_deg, "phi_deg": phi_deg}, "goniometer"
        )
    tilt = given.mu_deg or 0.0
    return Search(
        geometry,
        math.radians(theta_max_deg),
        _limits("omega_range_deg", omega_range_deg, 720.0),
        _limits("eta_range_deg", eta_range_deg),
        _limits("mu_range_deg", mu_range_deg or (tilt, tilt), 90.0) or (0.0, 0.0),
        _angle("chi_deg", given.chi_deg if chi_deg is None else chi_deg),
        _angle("phi_deg", given.phi_deg if phi_deg is None else phi_deg),
    )


def find_reflections(
    experiment: Experiment,
    *,
    sort: str = "theta",
    geometry: str | None = None,
    theta_max_deg: float = 20.0,
    omega_range_deg: Limits | None = None,
    eta_range_deg: Limits | None = None,
    mu_range_deg: Limits | None = None,
    chi_deg: float | None = None,
    phi_deg: float | None = None,
) -> Records:
    r"""The reflections that can be reached, and what they show of the experiment's dislocations.

    Parameters
    ----------
    experiment : Experiment
        Its crystal, energy, mount and dislocations count; its reflection does not matter.
    sort : {"theta", "hkl", "eta", "omega", "structure-factor", "visibility"}
        Order of the rows; \|F\| and visibility downwards.
    geometry : {"symmetric", "oblique", "goniometer"}, optional
        How the crystal is brought to diffract; that of the experiment unless given.
    theta_max_deg : float
        Largest Bragg angle.
    omega_range_deg, eta_range_deg : (float, float), optional
        Limits of rotation and azimuth of the diffracted beam, on a fixed mount.
    mu_range_deg : (float, float), optional
        Limits of the tilt of a goniometer; the smallest that will do is taken.
    chi_deg, phi_deg : float, optional
        Where the inner motors of a goniometer stand.

    Returns
    -------
    Records
        A row for each reflection: ``hkl``, ``d_angstrom``, ``theta_deg``, ``two_theta_deg``,
        ``structure_factor``, ``extinction_length_um``, ``peak_loss_per_um``, settings on a mount;
        and for dislocation n ``g_dot_b_n``, ``g_dot_b_cross_t_n`` and ``visibility_n``, the rms
        change of q at 1 µm from the line. None where it is not known.

    Raises
    ------
    InputError
        If an argument is not allowed, crystal, mount or defects are impossible, or there are too
        many reflections.

    Examples
    --------
    >>> import weakbeam as wb
    >>> table = wb.find_reflections(wb.Experiment(), theta_max_deg=11)
    >>> {row["hkl"] for row in table} >= {(1, 1, 1), (2, 0, 0)}
    True
    """
    from dataclasses import asdict

    from weakbeam.diffraction.reachable import SORT_KEYS
    from weakbeam.errors import InputError
    from weakbeam.run.records import Records

    if sort not in SORT_KEYS:
        raise InputError("sort", sort, f"must be one of {', '.join(SORT_KEYS)}")
    search = search_of(
        experiment,
        geometry=geometry,
        theta_max_deg=theta_max_deg,
        omega_range_deg=omega_range_deg,
        eta_range_deg=eta_range_deg,
        mu_range_deg=mu_range_deg,
        chi_deg=chi_deg,
        phi_deg=phi_deg,
    )
    found = tabulate(experiment, search, sort)
    rows = []
    for row in found.rows:
        record: dict[str, object] = {"hkl": tuple(row.hkl)} | record_of(row, found)
        for number, contrast in enumerate(row.contrasts):
            record |= {f"{name}_{number}": value for name, value in asdict(contrast).items()}
        rows.append(record)
    return Records(f"reflections of {found.title}", rows)


def geometry_of(experiment: Experiment) -> str:
    """Geometry of the experiment's first reflection."""
    return _reflection_of(experiment).geometry


def _reflection_of(experiment: Experiment) -> Reflection:
    """The reflection whose geometry and motors count: the first one."""
    from weakbeam.experiment import Reflection

    if experiment.all_reflections is not None:
        return Reflection(geometry="oblique")
    return experiment.reflection or (experiment.reflections or (Reflection(),))[0]


def _refuse(arguments: Mapping[str, object], geometry: str) -> None:
    """Refuse arguments that another geometry has."""
    from weakbeam.errors import InputError

    for name, value in arguments.items():
        if value is not None:
            raise InputError(name, value, f"needs `geometry` {geometry}")


def _limits(name: str, degrees: Limits | None, largest: float = 360.0) -> Limits | None:
    from weakbeam.errors import InputError

    if degrees is None:
        return None
    first, last = degrees
    if not (abs(first) <= largest and abs(last) <= largest and 0.0 <= last - first <= 360.0):
        turn = " and at most a full turn from it" if largest > 180.0 else ""
        raise InputError(
            name,
            degrees,
            f"must be two angles from {-largest:g} to {largest:g} deg, the second not less than "
            f"the first{turn}",
        )
    return math.radians(first), math.radians(last)


def _angle(name: str, degrees: float | None) -> float:
    from weakbeam.errors import InputError

    if degrees is None:
        return 0.0
    if not abs(degrees) <= 360.0:
        raise InputError(name, degrees, "must be an angle from -360 to 360 deg")
    return math.radians(degrees)


def tabulate(experiment: Experiment, search: Search, sort_key: str = "theta") -> ReflectionList:
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
    with naming("theta_max_deg", round(math.degrees(search.theta_max), 6)):
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
    return ReflectionList(
        title,
        sort_reflections(rows, sort_key),
        defects,
        experiment.beam.energy_keV,
        search.geometry,
        crystal.cell.volume,
        optics=_optics(experiment),
    )


def with_absorption(experiment: Experiment, table: ReflectionList) -> ReflectionList:
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
        raise InputError("absorption", None, "needs a crystal whose atoms are known")
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
