"""Which reflections of a crystal can be reached, and what they show of its dislocations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.crystal.atoms import AtomicStructure, Site
from weakbeam.crystal.elasticity import Medium
from weakbeam.crystal.lattice import Miller, UnitCell, unit
from weakbeam.crystal.slip import UM_PER_ANGSTROM
from weakbeam.crystal.structure_factor import structure_factors
from weakbeam.crystal.symmetry import absence_reason
from weakbeam.defects.lines import StraightLine
from weakbeam.diffraction.goniometer_setting import (
    GoniometerSetting,
    checked,
    setting_angles,
)
from weakbeam.diffraction.reach import solve_within
from weakbeam.instrument.beam import wavelength

MOST_REFLECTIONS = 20_000
"""Most reciprocal-lattice points that a table is made from."""

RING_UM = 1.0
"""Radius of the ring about a line on which its visibility is taken (µm)."""

_RING_POINTS = 64  # more than the degree of |δq|² in the angle: the mean over them is exact
_SAME_ANGLE = 1e-7  # rad; angles that differ by less belong to one group

Range = tuple[float, float]


@dataclass(frozen=True)
class Contrast:
    """What a reflection shows of one dislocation.

    Parameters
    ----------
    g_dot_b : float
        g·b with |g| = 1/d: whole numbers for perfect dislocations.
    g_dot_b_cross_t : float
        g·(b × t), which decides together with g·b whether an edge is seen.
    visibility : float
        Rms of the linear change |δq| of the diffraction vector on a ring of 1 µm about the line;
        it falls as 1/r elsewhere.
    """

    g_dot_b: float
    g_dot_b_cross_t: float
    visibility: float


@dataclass(frozen=True)
class ReachableReflection:
    """A row of the table.

    Parameters
    ----------
    hkl : tuple of 3 int
        Miller indices.
    d_spacing : float
        Spacing of the lattice planes (Å).
    theta : float
        Bragg angle (rad).
    structure_factor : float or None
        |F| in electrons per unit cell; None where the atoms' places are not known.
    group : int
        Number, from 1, of the group of reflections with the same θ and, in the oblique geometry,
        the same |η|.
    multiplicity : int
        How many reflections the group has, before motors limit them.
    solutions : tuple of GoniometerSetting or None
        Both settings on a fixed mount, in the order of ω; None in place of one that the limits
        exclude, or that is the same as the other. Empty in the symmetric geometry.
    contrasts : tuple of Contrast
        One per dislocation.
    """

    hkl: Miller
    d_spacing: float
    theta: float
    structure_factor: float | None
    group: int
    multiplicity: int
    solutions: tuple[GoniometerSetting | None, ...]
    contrasts: tuple[Contrast, ...]

    @property
    def visibility(self) -> float:
        """Visibility of all dislocations together, the root of the sum of their squares."""
        return math.hypot(*(contrast.visibility for contrast in self.contrasts))


def find_reflections(
    cell: UnitCell,
    space_group: str,
    energy_kev: float,
    theta_max: float,
    *,
    sites: Sequence[Site] | None = None,
    sample_from_crystal: ArrayLike | None = None,
    omega_range: Range | None = None,
    eta_range: Range | None = None,
    mu_range: Range = (0.0, 0.0),
    chi: float = 0.0,
    phi: float = 0.0,
    dislocations: Sequence[StraightLine] = (),
    medium: Medium | None = None,
) -> list[ReachableReflection]:
    """List the reflections that can be reached, extinct ones left out.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    space_group : str
        Hermann-Mauguin symbol.
    energy_kev : float
        Photon energy (keV).
    theta_max : float
        Largest Bragg angle (rad).
    sites : sequence of (element, (x, y, z)), optional
        Atoms of the asymmetric unit; without them there is no |F|, and only the absences of the
        space group are known.
    sample_from_crystal : (3, 3) array_like, optional
        Orientation U on the goniometer at rest. Without it the geometry is symmetric, where the
        crystal is mounted anew for every reflection.
    omega_range, eta_range : pair of float, optional
        Limits of the motor and of the azimuth (rad) on a fixed mount; they run upwards from the
        first to the second and may cross a full turn.
    mu_range : pair of float
        Limits of the tilt μ (rad) on a fixed mount; of all that diffract the smallest is taken. By
        default μ rests at 0: the oblique geometry.
    chi, phi : float
        Where the other motors stand (rad) on a fixed mount.
    dislocations : sequence of StraightLine
        In the Cartesian crystal frame; their positions do not matter.
    medium : Medium, optional
        The crystal that they lie in; needed where there are any.

    Returns
    -------
    list of ReachableReflection
        By group, then by hkl.

    Raises
    ------
    ValueError
        If there are more than `MOST_REFLECTIONS`, or an element has no form factor.
    """
    hkl = reflections_within(cell, energy_kev, theta_max)
    present = [absence_reason(space_group, h) is None for h in hkl.tolist()]
    hkl = hkl[np.array(present, dtype=bool)]
    strengths: list[float | None] = [None] * len(hkl)
    if sites is not None:
        crystal = AtomicStructure(cell, space_group, sites)
        amplitudes = np.abs(structure_factors(crystal, hkl, energy_kev))
        at_rest = abs(structure_factors(crystal, (0, 0, 0), energy_kev))
        # Atoms on special positions may cancel where symmetry alone allows a reflection.
        there = amplitudes > 1e-6 * at_rest
        hkl, strengths = hkl[there], amplitudes[there].tolist()
    q_crystal = cell.plane_normal(hkl)
    theta, solutions, eta = _settings(
        q_crystal, energy_kev, sample_from_crystal, mu_range, chi, phi
    )
    groups, members = _groups(theta, np.abs(eta))
    spacings = 2 * math.pi / np.linalg.norm(q_crystal, axis=-1)
    shown = contrasts(q_crystal, dislocations, medium)
    table = []
    for i in np.argsort(groups, kind="stable"):
        if groups[i] == 0:
            continue
        kept = tuple(s and _within(s, omega_range, eta_range) for s in solutions[i])
        if kept and not any(kept):
            continue
        h, k, l = hkl[i].tolist()  # noqa: E741 (Miller indices)
        table.append(
            ReachableReflection(
                hkl=(h, k, l),
                d_spacing=float(spacings[i]),
                theta=float(theta[i]),
                structure_factor=strengths[i],
                group=int(groups[i]),
                multiplicity=int(members[i]),
                solutions=kept,
                contrasts=shown[i],
            )
        )
    return table


def reflections_within(cell: UnitCell, energy_kev: float, theta_max: float) -> Ints:
    """All reciprocal-lattice points within reach of a Bragg angle, extinct or not.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    energy_kev : float
        Photon energy (keV).
    theta_max : float
        Largest Bragg angle (rad).

    Returns
    -------
    (n, 3) ndarray of int
        Miller indices, in decreasing order.

    Raises
    ------
    ValueError
        If there are about `MOST_REFLECTIONS` or more.
    """
    longest = 4 * math.pi * math.sin(theta_max) / wavelength(energy_kev) * (1 + 1e-12)
    count = 4 / 3 * math.pi * longest**3 * cell.volume / (2 * math.pi) ** 3
    if count > MOST_REFLECTIONS:
        raise ValueError(
            f"reaches about {count:.2g} reflections of a cell of {cell.volume:.4g} Å³; "
            f"at most {MOST_REFLECTIONS} are listed"
        )
    # h = a·Q/2π is largest where Q lies along a.
    reach = [int(longest * edge / (2 * math.pi)) for edge in (cell.a, cell.b, cell.c)]
    axes = [np.arange(n, -n - 1, -1) for n in reach]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(cell.plane_normal(hkl), axis=-1)
    return np.asarray(hkl[(length > 0) & (length <= longest)], dtype=np.int64)


def contrasts(
    q_crystal: ArrayLike, dislocations: Sequence[StraightLine], medium: Medium | None
) -> list[tuple[Contrast, ...]]:
    r"""What reflections show of dislocations.

    Parameters
    ----------
    q_crystal : (n, 3) array_like
        Diffraction vectors (1/Å, with 2π).
    dislocations : sequence of m StraightLine
        In the same frame.
    medium : Medium or None
        The crystal that they lie in, in the same frame; None will do where there are none.

    Returns
    -------
    list of n tuples of m Contrast

    Raises
    ------
    ValueError
        If there are dislocations and no medium.

    Notes
    -----
    The visibility is the rms of :math:`\delta q = -\beta^T \hat g`. It vanishes for a screw with
    g·b = 0 and for an edge with g ∥ t, and does not for other edges with g·b = 0; in an
    anisotropic medium it vanishes only where its symmetry makes it
    (docs/explanation/physics.md, F).
    """
    q = np.asarray(q_crystal, dtype=np.float64).reshape(-1, 3)
    if not dislocations:
        return [()] * len(q)
    if medium is None:
        raise ValueError("what dislocations show depends on their medium")
    # Here, because it loads the compiler, which a crystal without dislocations does not need.
    from weakbeam.defects.field import evaluate
    from weakbeam.defects.field_of import field_of
    from weakbeam.defects.lines import StraightLines

    angles = 2 * math.pi * np.arange(_RING_POINTS) / _RING_POINTS
    columns = []
    for line in dislocations:
        x, y, _ = line.axes
        ring = line.position + RING_UM * (np.outer(np.cos(angles), x) + np.outer(np.sin(angles), y))
        gradient = evaluate(field_of(StraightLines.of([line]), medium), ring)
        change = -np.einsum("pij,ni->npj", gradient, unit(q))
        visibility = np.sqrt((change**2).sum(axis=-1).mean(axis=-1))
        b = line.burgers_vector / UM_PER_ANGSTROM
        g_dot_b, g_dot_b_cross_t = (
            q @ vector / (2 * math.pi) for vector in (b, np.cross(b, line.line))
        )
        columns.append(
            [
                Contrast(*numbers)
                for numbers in zip(
                    _clean(g_dot_b), _clean(g_dot_b_cross_t), visibility.tolist(), strict=True
                )
            ]
        )
    return list(zip(*columns, strict=True))


_KEYS: dict[str, Callable[[ReachableReflection], Any]] = {
    "theta": lambda row: row.group,
    "hkl": lambda row: tuple(-index for index in row.hkl),
    "eta": lambda row: min((abs(s.eta) for s in row.solutions if s), default=0.0),
    "omega": lambda row: min((s.omega for s in row.solutions if s), default=0.0),
    "structure-factor": lambda row: -(row.structure_factor or 0.0),
    "visibility": lambda row: -row.visibility,
}

SORT_KEYS = tuple(_KEYS)
"""What a table can be sorted by."""


def sort_reflections(table: Sequence[ReachableReflection], key: str) -> list[ReachableReflection]:
    """Sort a table: angles upwards, indices, |F| and visibility downwards.

    Parameters
    ----------
    table : sequence of ReachableReflection
        The rows; equal ones keep their order.
    key : str
        One of `SORT_KEYS`. ``"theta"`` is the order of the groups, by θ and then by |η|.

    Raises
    ------
    ValueError
        If there is no such key.
    """
    if key not in _KEYS:
        raise ValueError(f"cannot sort by {key!r}: choose {', '.join(SORT_KEYS)}")
    return sorted(table, key=_KEYS[key])


def _settings(
    q_crystal: Floats,
    energy_kev: float,
    sample_from_crystal: ArrayLike | None,
    mu_range: Range,
    chi: float,
    phi: float,
) -> tuple[Floats, list[tuple[GoniometerSetting | None, ...]], Floats]:
    """Bragg angles, solutions and azimuths; NaN where a reflection is out of reach."""
    theta = np.arcsin(np.linalg.norm(q_crystal, axis=-1) * wavelength(energy_kev) / (4 * math.pi))
    if sample_from_crystal is None:
        return theta, [()] * len(theta), np.zeros(len(theta))
    q_sample = q_crystal @ np.asarray(sample_from_crystal, dtype=np.float64).T
    solutions: list[tuple[GoniometerSetting | None, ...]] = []
    if mu_range[0] == mu_range[1]:
        # Many at once; below, one by one.
        mu = mu_range[0]
        _, omega, eta = setting_angles(q_sample, energy_kev, mu, chi, phi)
        for q, angle, omegas, etas in zip(q_sample, theta, omega, eta, strict=True):
            pair = [
                GoniometerSetting(float(angle), float(o), float(e), mu, chi, phi)
                for o, e in zip(omegas, etas, strict=True)
                if not math.isnan(o)
            ]
            solutions.append(tuple(checked(setting, q, energy_kev) for setting in pair))
    else:
        for q in q_sample:
            within = solve_within(q, energy_kev, mu_range, chi, phi)
            solutions.append((within[0], None) if len(within) == 1 else within)
    etas = [pair[0].eta if pair and pair[0] else math.nan for pair in solutions]
    azimuth = np.array(etas, dtype=np.float64)
    return np.where(np.isnan(azimuth), np.nan, theta), solutions, azimuth


def _groups(theta: Floats, azimuth: Floats) -> tuple[Ints, Ints]:
    """Number the groups of equal angles from 1 and count their members; 0 for NaN."""
    number, members = np.zeros(len(theta), dtype=np.int64), np.zeros(len(theta), dtype=np.int64)
    reached = ~np.isnan(theta)
    if reached.any():
        classes = np.stack([_classes(theta[reached]), _classes(azimuth[reached])], axis=-1)
        _, inverse, counts = np.unique(classes, axis=0, return_inverse=True, return_counts=True)
        inverse = inverse.reshape(-1)
        number[reached], members[reached] = inverse + 1, counts[inverse]
    return number, members


def _classes(values: Floats) -> Ints:
    """Number values in increasing order; those next to each other share a number."""
    order = np.argsort(values)
    steps = np.diff(values[order], prepend=values[order[0]]) > _SAME_ANGLE
    classes = np.empty(len(values), dtype=np.int64)
    classes[order] = np.cumsum(steps)
    return classes


def _within(
    solution: GoniometerSetting, omega_range: Range | None, eta_range: Range | None
) -> GoniometerSetting | None:
    for angle, limits in ((solution.omega, omega_range), (solution.eta, eta_range)):
        if limits is not None:
            # From a hair below the first limit, so that an angle on it is not a full turn away.
            first, last = limits[0] - _SAME_ANGLE, limits[1] + _SAME_ANGLE
            if (angle - first) % (2 * math.pi) > last - first:
                return None
    return solution


def _clean(values: Floats) -> list[float]:
    """Round the noise of products of bases away: g·b of a lattice vector is a whole number."""
    return [float(value) + 0.0 for value in np.round(values, 9)]
