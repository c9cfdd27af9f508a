"""``weakbeam reflections --plan``: which sets of reflections determine the distortion best."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, NamedTuple

from weakbeam.run.reflection_list import ReflectionList, spaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weakbeam.core.arrays import Floats
    from weakbeam.crystal.lattice import Miller, UnitCell
    from weakbeam.diffraction.geometry import DiffractionGeometry
    from weakbeam.diffraction.planner import ReflectionSet
    from weakbeam.diffraction.reachable import ReachableReflection
    from weakbeam.experiment import Experiment
    from weakbeam.instrument.optics import Optics

MOTORS = ("phi", "chi", "two_theta")
SETS_SHOWN = 10
COMPONENTS = 9
"""Numbers in a displacement gradient."""


class Setting(NamedTuple):
    """A reflection at one of its settings."""

    hkl: Miller
    omega_deg: float | None
    eta_deg: float


class Exposure(NamedTuple):
    """What a scan of each setting takes, and gives."""

    seconds: float
    """Of a frame."""
    frames: int
    """Of a setting."""
    errors: list[float]
    """Rms standard deviation of a component of the distortion, of each set."""
    text: str
    """What it counts on."""


class Plan(NamedTuple):
    """Ranked sets of settings and what they belong to."""

    title: str
    motors: tuple[str, ...]
    size: int
    settings: list[Setting]
    sets: list[ReflectionSet]
    complete: bool
    exposure: Exposure | None = None


def motors_of(text: str) -> tuple[str, ...]:
    """Motors from text such as "phi,chi".

    Raises
    ------
    InputError
        If there is none, one is unknown, or one comes twice.
    """
    from weakbeam.errors import InputError

    motors = tuple(part.strip() for part in text.split(","))
    if not set(motors) <= set(MOTORS) or len(set(motors)) != len(motors):
        raise InputError("--motors", text, f"must be some of {','.join(MOTORS)}")
    return motors


def plan(
    experiment: Experiment,
    table: ReflectionList,
    size: int,
    motors: tuple[str, ...],
    exposure_s: float | None = None,
) -> Plan:
    """Rank the sets of settings of a table.

    Parameters
    ----------
    experiment : Experiment
        Its crystal and its instrument count.
    table : ReflectionList
        The reflections to choose from, each at the settings that it has.
    size : int
        Settings in a set.
    motors : tuple of str
        Motors that are scanned at each of them.
    exposure_s : float, optional
        Exposure of a frame, with which the scan and the camera of the experiment tell errors.

    Raises
    ------
    InputError
        If the scan does not move these motors, the table has too few settings, or the instrument
        is impossible.
    """
    from weakbeam.assemble.crystal import crystal_of
    from weakbeam.assemble.instrument import acceptance_of
    from weakbeam.diffraction.planner import best_sets, measured_rows
    from weakbeam.errors import naming
    from weakbeam.run.reflection_search import fixed_orientation

    crystal = crystal_of(experiment)
    mounted = fixed_orientation(experiment, crystal, table.geometry)
    axes = [index for index, motor in enumerate(MOTORS) if motor in motors]
    settings, rows = [], []
    directions, frames_of = [], []
    optics = acceptance_of(experiment, table.rows[0].theta).optics if table.rows else None
    for row in table.rows:
        q_crystal = crystal.cell.plane_normal(row.hkl)
        for setting, geometry, orientation in _settings(experiment, crystal.cell, row, mounted):
            assert optics is not None
            response = _response(optics, geometry, axes)
            settings.append(setting)
            turned = geometry.imaging_from_sample @ orientation
            rows.append(measured_rows(q_crystal, turned, response))
            directions.append(q_crystal)
            frames_of.append((geometry, turned, response))
    with naming("--plan", size):
        sets, complete = best_sets(rows, size, SETS_SHOWN)
    exposure = None
    if exposure_s is not None:
        assert optics is not None
        chosen = sorted({member for one in sets for member in one.members})
        told = {
            k: (directions[k], *_expected(experiment, optics, exposure_s, axes, *frames_of[k]))
            for k in chosen
        }
        exposure = _exposure(experiment, exposure_s, axes, sets, told)
    names = tuple(MOTORS[i] for i in axes)
    return Plan(table.title, names, size, settings, sets, complete, exposure)


def _expected(
    experiment: Experiment,
    optics: Optics,
    exposure_s: float,
    axes: Sequence[int],
    geometry: DiffractionGeometry,
    imaging_from_crystal: Floats,
    response: Floats,
) -> tuple[Floats]:
    """Information on the change of the diffraction vector that a pixel's curve gives (3, 3)."""
    from weakbeam.analysis.curve_information import curve_information
    from weakbeam.diffraction.lattice_change import setting_q
    from weakbeam.diffraction.oblique_acceptance import oblique_acceptance

    signal, gain, read = _camera(experiment, exposure_s)
    shifts = setting_q(geometry, _offsets(experiment, axes, geometry))
    told = curve_information(
        oblique_acceptance(optics, geometry),
        shifts,
        signal,
        gain,
        read,
        None if len(axes) == 3 else response,
    )
    return (imaging_from_crystal.T @ told @ imaging_from_crystal,)


def _camera(experiment: Experiment, exposure_s: float) -> tuple[float, float, float]:
    """Counts at the peak, counts per photon and variance without light."""
    from weakbeam.assemble.camera import camera_model_of

    camera = experiment.camera
    model = camera_model_of(camera)
    gain = 1.0 if model is None else model.gain
    rate = camera.counts_per_s
    if camera.photons_per_s is not None:
        rate = gain * camera.photons_per_s
    assert rate is not None
    # Counts are whole numbers.
    read = 1.0 / 12.0
    if model is not None:
        read += model.read_variance + model.dark_variance_rate * exposure_s
    return rate * camera.transmission * exposure_s, gain, read


def _offsets(experiment: Experiment, axes: Sequence[int], geometry: DiffractionGeometry) -> Floats:
    """φ, χ and 2θ (rad) of the scan's frames; the rocking motor takes the finer of two axes."""
    import numpy as np

    from weakbeam.errors import InputError
    from weakbeam.imaging.motors import MOTORS as ALL

    scan = experiment.scan
    given = {
        name: ALL[name].inner(axis.positions)
        for name, axis in (("phi", scan.phi), ("chi", scan.chi), ("two_theta", scan.arm))
    }
    positions = []
    for k, name in enumerate(MOTORS):
        moves = k in axes
        if moves and len(given[name]) < 2:
            raise InputError(f"scan.{name}", None, "must move: its steps tell the errors")
        positions.append(given[name] if moves else np.zeros(1))
    if 0 in axes and 1 in axes:
        rock = np.abs(geometry.motor_vectors[:2, 0])
        fine = [float(np.ptp(p)) / (len(p) - 1) for p in positions[:2]]
        if (rock[0] < rock[1]) != (fine[0] > fine[1]):
            positions[0], positions[1] = positions[1], positions[0]
    grid = np.meshgrid(*positions, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=-1)


def _exposure(
    experiment: Experiment,
    exposure_s: float,
    axes: Sequence[int],
    sets: Sequence[ReflectionSet],
    told: dict[int, tuple[Floats, Floats]],
) -> Exposure:
    import numpy as np

    from weakbeam.analysis.curve_information import expected_covariance
    from weakbeam.measured.sheet import MEAN_REDUCTION

    errors = []
    for one in sets:
        directions, information = zip(*(told[k] for k in one.members), strict=True)
        covariance = expected_covariance(directions, information)
        error = math.inf
        if covariance is not None:
            error = math.sqrt(MEAN_REDUCTION * float(np.trace(covariance)) / COMPONENTS)
        errors.append(error)
    scan = experiment.scan
    lengths = [len(axis.positions) for axis in (scan.phi, scan.chi, scan.arm)]
    signal, gain, read = _camera(experiment, exposure_s)
    text = (
        f"{signal:.4g} counts at the peak, {gain:.3g} per photon, noise {math.sqrt(read):.3g} "
        "without light"
    )
    return Exposure(exposure_s, math.prod(lengths[k] for k in axes), errors, text)


def _settings(
    experiment: Experiment, cell: UnitCell, row: ReachableReflection, mounted: Floats | None
) -> Iterator[tuple[Setting, DiffractionGeometry, Floats]]:
    """Settings of a reflection, with frames and the orientation that they belong to."""
    from weakbeam.diffraction.geometry import symmetric_geometry

    if mounted is None:
        # The back of the same planes shows the same.
        if row.hkl > tuple(-index for index in row.hkl):
            orientation = _level_orientation(experiment, cell, row.hkl)
            yield Setting(row.hkl, None, 0.0), symmetric_geometry(row.theta), orientation
        return
    for solution in row.solutions:
        if solution is not None:
            omega, eta = math.degrees(solution.omega), math.degrees(solution.eta)
            yield Setting(row.hkl, omega, eta), solution.geometry, mounted


def _level_orientation(experiment: Experiment, cell: UnitCell, hkl: Miller) -> Floats:
    from weakbeam.assemble.indices import direction_of
    from weakbeam.crystal.orientation import symmetric_orientation

    given = experiment.crystal.x_axis or (1, 0, 0)
    axes = [direction_of(given, cell, "crystal.x_axis"), (1, 0, 0), (0, 1, 0)]
    for x_axis in axes[:-1]:
        try:
            return symmetric_orientation(cell, hkl, x_axis)
        except ValueError:
            # Normal to these planes: another direction must do.
            continue
    return symmetric_orientation(cell, hkl, axes[-1])


def _response(optics: Optics, geometry: DiffractionGeometry, axes: Sequence[int]) -> Floats:
    from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
    from weakbeam.diffraction.planner import gaussian_response

    covariance = oblique_acceptance(optics, geometry).covariance()
    return gaussian_response(geometry.motor_vectors[axes], covariance)


def as_text(plan: Plan) -> str:
    """Return the plan as a table, the best set first."""
    tried = "all of them" if plan.complete else "built up step by step, not all tried"
    lines = [
        f"{plan.title}: sets of {plan.size} of {len(plan.settings)} settings, {tried}",
        f"scanned: {', '.join(plan.motors)}",
        "rank: components of the displacement gradient that are determined, of 9",
        "condition: largest over smallest singular value; error: rms of a component per rms of a",
        "motor position",
    ]
    if (numbers := plan.size * len(plan.motors)) < COMPONENTS:
        least = math.ceil(COMPONENTS / len(plan.motors))
        lines.append(f"{numbers} numbers leave components open: at least {least} settings needed")
    heads = ["rank", "condition", "error", "settings"]
    cells = [[str(s.rank), f"{s.condition:.3f}", f"{s.error:.3f}"] for s in plan.sets]
    if (taken := plan.exposure) is not None:
        total = taken.frames * plan.size
        lines += [
            "β: rms standard deviation of a component at a place between pixels, in 1e-6, with",
            taken.text,
            f"each set: {total} frames, {taken.frames} a setting, of {taken.seconds:g} s: "
            f"{total * taken.seconds / 60.0:.3g} min without readout and motion",
        ]
        heads.insert(3, "β (1e-6)")
        for row, error in zip(cells, taken.errors, strict=True):
            row.append(f"{1e6 * error:.4f}")
    count = len(heads) - 1
    widths = [max(map(len, column)) for column in zip(heads[:count], *cells, strict=True)]
    titles = [h.rjust(w) for h, w in zip(heads, widths, strict=False)]
    lines += ["", "  ".join([*titles, heads[count]])]
    for chosen, numbers_ in zip(plan.sets, cells, strict=True):
        names = "; ".join(_name(plan.settings[i]) for i in chosen.members)
        padded = [cell.rjust(width) for cell, width in zip(numbers_, widths, strict=True)]
        lines.append("  ".join([*padded, names]))
    return "\n".join(lines)


def as_json_text(plan: Plan) -> str:
    """Return the plan as JSON; what is infinite is null."""
    taken = plan.exposure
    document = {
        "title": plan.title,
        "motors": plan.motors,
        "complete": plan.complete,
        **({} if taken is None else {"exposure_s": taken.seconds, "frames": taken.frames}),
        "sets": [
            {
                "rank": chosen.rank,
                "condition": _finite(chosen.condition),
                "error": _finite(chosen.error),
                **({} if taken is None else {"beta_error": _finite(taken.errors[number])}),
                "settings": [plan.settings[i]._asdict() for i in chosen.members],
            }
            for number, chosen in enumerate(plan.sets)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_csv_text(plan: Plan) -> str:
    """Return the plan as comma-separated values, a row for each setting of each set."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    taken = plan.exposure
    heads = ["set", "rank", "condition", "error", "h", "k", "l", "omega_deg", "eta_deg"]
    writer.writerow(heads if taken is None else [*heads, "beta_error", "frames"])
    for number, chosen in enumerate(plan.sets, 1):
        for index in chosen.members:
            setting = plan.settings[index]
            writer.writerow(
                [
                    number,
                    chosen.rank,
                    chosen.condition,
                    chosen.error,
                    *setting.hkl,
                    setting.omega_deg,
                    setting.eta_deg,
                    *(() if taken is None else (taken.errors[number - 1], taken.frames)),
                ]
            )
    return text.getvalue()


def _name(setting: Setting) -> str:
    at = "" if setting.omega_deg is None else f" at ω {setting.omega_deg:.2f}°"
    return f"({spaced(setting.hkl)}){at}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
