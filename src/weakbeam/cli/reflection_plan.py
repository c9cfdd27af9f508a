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


class Plan(NamedTuple):
    """Ranked sets of settings and what they belong to."""

    title: str
    motors: tuple[str, ...]
    size: int
    settings: list[Setting]
    sets: list[ReflectionSet]
    complete: bool


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


def plan(experiment: Experiment, table: ReflectionList, size: int, motors: tuple[str, ...]) -> Plan:
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

    Raises
    ------
    InputError
        If the table has too few settings, or the instrument is impossible.
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
    optics = acceptance_of(experiment, table.rows[0].theta).optics if table.rows else None
    for row in table.rows:
        q_crystal = crystal.cell.plane_normal(row.hkl)
        for setting, geometry, orientation in _settings(experiment, crystal.cell, row, mounted):
            assert optics is not None
            response = _response(optics, geometry, axes)
            settings.append(setting)
            turned = geometry.imaging_from_sample @ orientation
            rows.append(measured_rows(q_crystal, turned, response))
    with naming("--plan", size):
        sets, complete = best_sets(rows, size, SETS_SHOWN)
    return Plan(table.title, tuple(MOTORS[i] for i in axes), size, settings, sets, complete)


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
    widths = [max(map(len, column)) for column in zip(heads[:3], *cells, strict=True)]
    lines += ["", "  ".join([h.rjust(w) for h, w in zip(heads, widths, strict=False)] + heads[3:])]
    for chosen, numbers_ in zip(plan.sets, cells, strict=True):
        names = "; ".join(_name(plan.settings[i]) for i in chosen.members)
        padded = [cell.rjust(width) for cell, width in zip(numbers_, widths, strict=True)]
        lines.append("  ".join([*padded, names]))
    return "\n".join(lines)


def as_json_text(plan: Plan) -> str:
    """Return the plan as JSON; what is infinite is null."""
    document = {
        "title": plan.title,
        "motors": plan.motors,
        "complete": plan.complete,
        "sets": [
            {
                "rank": chosen.rank,
                "condition": _finite(chosen.condition),
                "error": _finite(chosen.error),
                "settings": [plan.settings[i]._asdict() for i in chosen.members],
            }
            for chosen in plan.sets
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_csv_text(plan: Plan) -> str:
    """Return the plan as comma-separated values, a row for each setting of each set."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "rank", "condition", "error", "h", "k", "l", "omega_deg", "eta_deg"])
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
                ]
            )
    return text.getvalue()


def _name(setting: Setting) -> str:
    at = "" if setting.omega_deg is None else f" at ω {setting.omega_deg:.2f}°"
    return f"({spaced(setting.hkl)}){at}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
