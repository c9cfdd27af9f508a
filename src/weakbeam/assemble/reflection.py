"""From the experiment's description to its reflections and their Bragg settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from weakbeam.assemble.crystal import CrystalModel, crystal_of
from weakbeam.assemble.indices import plane_of
from weakbeam.assemble.orientation import orientation_of
from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.lattice import UnitCell
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.diffraction.goniometer_setting import (
    LAUE_TOLERANCE,
    GoniometerSetting,
    checked,
    setting_at,
    solve_mu,
    solve_omega,
    sphere_distance,
)
from weakbeam.diffraction.reach import energy_limits, mu_limits
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.errors import InputError, naming
from weakbeam.experiment import AllReflections, Experiment, Reflection
from weakbeam.imaging.rays import LEAST_SLOPE

if TYPE_CHECKING:
    from weakbeam.diffraction.reachable import ReachableReflection

ROUNDED = math.radians(0.01)
"""Angle by which a motor that is given may stand beside the exact Bragg setting (rad)."""


class BraggSetting(NamedTuple):
    """How a reflection is brought to diffract."""

    geometry: DiffractionGeometry
    """The frames. The Laue condition holds to `LAUE_TOLERANCE`."""
    motors: dict[str, float]
    """``mu``, ``omega``, ``chi`` and ``phi`` of the goniometer (rad)."""
    notes: tuple[str, ...]
    """What was corrected in the description."""


class NamedReflection(NamedTuple):
    """A reflection and where it stands in the experiment file."""

    key: str
    reflection: Reflection


def reflections_of(
    experiment: Experiment, crystal: CrystalModel | None = None
) -> tuple[NamedReflection, ...]:
    """The reflections of an experiment: one, those listed, or those that it asks for.

    Parameters
    ----------
    experiment : Experiment
        The description.
    crystal : CrystalModel, optional
        Its crystal, if it is at hand.

    Returns
    -------
    tuple of NamedReflection
        Those of ``all_reflections`` by groups of equal θ and |η|. Beams that stay in the sheet of
        the line beam (η = ±90°) make no image and are left out.

    Raises
    ------
    InputError
        If ``all_reflections`` asks for what the crystal, its mount or the energy do not have.
    """
    if experiment.reflection is not None:
        return (NamedReflection("reflection", experiment.reflection),)
    if experiment.reflections is not None:
        return tuple(
            NamedReflection(f"reflections[{number}]", reflection)
            for number, reflection in enumerate(experiment.reflections)
        )
    assert experiment.all_reflections is not None
    crystal = crystal_of(experiment) if crystal is None else crystal
    reflections = _all_of(experiment.all_reflections, experiment, crystal)
    return tuple(NamedReflection("all_reflections", reflection) for reflection in reflections)


def _all_of(
    table: AllReflections, experiment: Experiment, crystal: CrystalModel
) -> list[Reflection]:
    # Here, because a single reflection does not need it.
    from weakbeam.diffraction.reachable import find_reflections

    orientation = orientation_of(experiment, crystal, Reflection(geometry="oblique"))
    energy, eta = experiment.beam.energy_keV, None
    if table.in_group_of is not None:
        key, value = "all_reflections.in_group_of", list(table.in_group_of)
        group_of = plane_of(table.in_group_of, crystal.cell, key)
        if reason := crystal.extinction_reason(group_of):
            raise InputError(key, value, f"extinct ({reason})")
        named = Reflection(hkl=group_of, geometry="oblique")
        try:
            geometry = geometry_of(named, orientation, crystal.cell, energy).geometry
        except InputError as error:
            raise InputError(key, value, error.allowed) from None
        theta_max, eta = geometry.theta * (1.0 + 1e-9), geometry.eta
    else:
        assert table.theta_max_deg is not None
        key, theta_max = "all_reflections.theta_max_deg", math.radians(table.theta_max_deg)
    given = getattr(table, key.rpartition(".")[2])
    with naming(key, given):
        rows = find_reflections(
            crystal.cell,
            crystal.space_group,
            energy,
            theta_max,
            sites=crystal.sites,
            sample_from_crystal=orientation,
        )
    if table.in_group_of is not None:
        group = next(row.group for row in rows if row.hkl == group_of)
        rows = [row for row in rows if row.group == group]
    rows = [row for row in rows if _leaves_the_beam(row)]
    if not rows:
        raise InputError(
            key,
            given,
            f"reaches no reflection at {energy:g} keV that leaves the sheet of the line beam",
        )
    reflections = []
    for row in rows:
        solutions = [1, 2]
        if table.solutions == "one":
            apart = [0.0 if eta is None or s is None else abs(s.eta - eta) for s in row.solutions]
            solutions = [2 if apart[1] < apart[0] - 1e-6 else 1]
        reflections += [Reflection(hkl=row.hkl, geometry="oblique", solution=n) for n in solutions]
    return reflections


def _leaves_the_beam(row: ReachableReflection) -> bool:
    """Whether the diffracted beam rises or falls; both settings do so alike."""
    (setting, _) = row.solutions
    return setting is not None and abs(setting.geometry.k_out_lab[2]) >= LEAST_SLOPE


def geometry_of(
    reflection: Reflection,
    sample_from_crystal: ArrayLike,
    cell: UnitCell,
    energy_kev: float,
    key: str = "reflection",
) -> BraggSetting:
    """The Bragg setting that an experiment describes.

    Parameters
    ----------
    reflection : Reflection
        The reflection, its geometry and the motors that are given.
    sample_from_crystal : (3, 3) array_like
        Orientation U of the crystal on the goniometer.
    cell : UnitCell
        The unit cell.
    energy_kev : float
        Photon energy (keV).
    key : str
        Where the reflection stands in the experiment file, for messages.

    Returns
    -------
    BraggSetting
        An ω within `ROUNDED` of the exact setting is set there, or else μ, but only where it is not
        given.

    Raises
    ------
    InputError
        If the reflection is out of reach, scatters backwards, or a setting that is given does not
        fulfil the Laue condition: by how much, and what would.
    """
    hkl = list(reflection.hkl)
    plane = plane_of(reflection.hkl, cell, f"{key}.hkl")
    with naming(f"{key}.hkl", hkl):
        theta = bragg_angle(float(cell.d_spacing(plane)), energy_kev)
    if theta >= math.pi / 4:
        raise InputError(
            f"{key}.hkl",
            hkl,
            f"scatters backwards at {energy_kev:g} keV (2θ = {math.degrees(2 * theta):.4g} deg); "
            "the objective stands downstream, so 2θ must be less than 90 deg",
        )
    q = np.asarray(sample_from_crystal, dtype=np.float64) @ cell.plane_normal(plane)
    notes: tuple[str, ...] = ()
    if reflection.geometry == "symmetric":
        setting = _symmetric(q, theta, energy_kev, key)
    elif reflection.omega_deg is None:
        setting = _solved(reflection, q, energy_kev, key)
    else:
        setting, notes = _given(reflection, q, energy_kev, key)
    motors = {name: getattr(setting, name) for name in ("mu", "omega", "chi", "phi")}
    return BraggSetting(setting.geometry, motors, notes)


def _symmetric(q: Floats, theta: float, energy_kev: float, key: str) -> GoniometerSetting:
    setting = GoniometerSetting(theta, 0.0, 0.0, mu=-theta)
    if setting.laue_residual(q, energy_kev) >= LAUE_TOLERANCE:
        lean = math.degrees(math.atan2(math.hypot(q[0], q[1]), q[2]))
        raise InputError(
            f"{key}.geometry",
            "symmetric",
            f"needs planes that lie flat, and in this mount they lean by {lean:.4g} deg; "
            'choose "oblique" or "goniometer"',
        )
    return checked(setting, q, energy_kev)


def _solved(reflection: Reflection, q: Floats, energy_kev: float, key: str) -> GoniometerSetting:
    mu, chi, phi = _tilts(reflection)
    solutions = solve_omega(q, energy_kev, mu, chi, phi)
    if solutions is None:
        raise InputError(
            f"{key}.hkl", list(reflection.hkl), _out_of_reach(reflection, q, energy_kev)
        )
    return solutions[(reflection.solution or 1) - 1]


def _given(
    reflection: Reflection, q: Floats, energy_kev: float, key: str
) -> tuple[GoniometerSetting, tuple[str, ...]]:
    """The setting as given, or the exact one beside it."""
    assert reflection.omega_deg is not None
    omega = math.radians(reflection.omega_deg)
    mu, chi, phi = _tilts(reflection)
    distance = sphere_distance(q, energy_kev, mu, omega, chi, phi)
    if distance < LAUE_TOLERANCE:
        return setting_at(q, energy_kev, mu, omega, chi, phi), ()
    turns = [
        math.remainder(s.omega - omega, 2.0 * math.pi)
        for s in solve_omega(q, energy_kev, mu, chi, phi) or ()
    ]
    tilts = [s.mu - mu for s in solve_mu(q, energy_kev, omega, chi, phi)]
    turn, tilt = min(turns, key=abs, default=math.inf), min(tilts, key=abs, default=math.inf)
    moved = turn if reflection.mu_deg is not None else min(turn, tilt, key=abs)
    if abs(moved) > ROUNDED:
        raise InputError(
            f"{key}.omega_deg",
            reflection.omega_deg,
            _missed(reflection, q, energy_kev, distance, turn, tilt),
        )
    if abs(turn) <= ROUNDED:
        motor, was, now = "omega_deg", reflection.omega_deg, omega + turn
        setting = setting_at(q, energy_kev, mu, now, chi, phi)
    else:
        motor, was, now = "mu_deg", 0.0, tilt
        setting = setting_at(q, energy_kev, now, omega, chi, phi)
    note = f"{key}.{motor} = {was:g} is taken as {math.degrees(now):.6f}, the exact Bragg setting"
    return setting, (note,)


def _missed(
    reflection: Reflection,
    q: Floats,
    energy_kev: float,
    distance: float,
    turn: float,
    tilt: float,
) -> str:
    """By how much the Laue condition is missed, and what would fulfil it."""
    assert reflection.omega_deg is not None
    relative = f"|k_out - k_in - Q| / |Q| = {distance:.2g}"
    if math.isinf(min(abs(turn), abs(tilt))):
        return f"misses the Laue condition ({relative}); {_out_of_reach(reflection, q, energy_kev)}"
    by, remedies = tilt, []
    if math.isfinite(turn):
        by = turn
        remedies.append(f"omega_deg = {reflection.omega_deg + math.degrees(turn):.4f}")
    if math.isfinite(tilt):
        remedies.append(f"mu_deg = {_exact(math.radians(reflection.mu_deg or 0.0) + tilt)}")
    return (
        f"misses the Laue condition by {abs(math.degrees(by)):.3g} deg ({relative}); "
        f"{' or '.join(remedies)} fulfils it"
    )


def _out_of_reach(reflection: Reflection, q: Floats, energy_kev: float) -> str:
    """Why no ω fulfils the Laue condition, and what would."""
    mu, chi, phi = _tilts(reflection)
    limits = mu_limits(q, energy_kev, chi, phi)
    assert limits is not None
    first, last = (math.degrees(angle) for angle in limits)
    if last - first < math.degrees(2 * ROUNDED):
        tilt = f"mu_deg = {_exact(0.5 * sum(limits))} and any omega_deg"
        if abs(0.5 * sum(limits) - mu) <= ROUNDED:
            return "lies along the omega axis, so that every omega diffracts; give omega_deg"
    else:
        # Rounded inwards.
        tilt = f"mu_deg from {math.ceil(1e3 * first) / 1e3:.3f}"
        tilt += f" to {math.floor(1e3 * last) / 1e3:.3f}"
    if reflection.geometry == "oblique":
        tilt = f'geometry = "goniometer" with {tilt}'
    least, most = energy_limits(q, mu, chi, phi)
    remedies = [tilt]
    if energy_kev < least < math.inf:
        remedies.insert(0, f"at least {least:.4g} keV")
    elif energy_kev > most:
        remedies.insert(0, f"at most {most:.4g} keV")
    where = "" if reflection.geometry == "oblique" else f" and mu_deg = {math.degrees(mu):g}"
    return (
        f"no omega brings it onto the Ewald sphere at {energy_kev:g} keV{where}; it needs "
        + ", or ".join(remedies)
    )


def _exact(angle: float) -> str:
    """An angle in degrees with the digits that the Laue condition needs, as μ is not corrected."""
    return f"{math.degrees(angle):.9f}"


def _tilts(reflection: Reflection) -> tuple[float, float, float]:
    """μ, χ and φ (rad)."""
    mu, chi, phi = (
        math.radians(value or 0.0)
        for value in (reflection.mu_deg, reflection.chi_deg, reflection.phi_deg)
    )
    return mu, chi, phi
