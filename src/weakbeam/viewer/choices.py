"""What a page offers to pick from: reflections within reach, slip systems."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.assemble.crystal import slip_systems_of
from weakbeam.assemble.orientation import orientation_of
from weakbeam.diffraction.reachable import find_reflections
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Reflection
from weakbeam.viewer.answers import Answer
from weakbeam.viewer.bench import Bench

_LARGEST_THETA_DEG = 25.0
_MOST = 200


def reflections(bench: Bench) -> Answer:
    """The reflections that the crystal reaches at its energy, in the geometry of the experiment.

    Those that diffract most strongly come first where |F| is known; g·b tells which defects that
    are described one by one they show.
    """
    experiment, setup = bench.experiment, bench.setups[0]
    crystal = setup.crystal
    geometry = experiment.reflection.geometry if experiment.reflection else setup.geometry_name
    mounted = None
    if geometry != "symmetric":
        mounted = (
            np.eye(3)
            if experiment.crystal.x_axis is not None
            else orientation_of(experiment, crystal, Reflection(geometry="oblique"))
        )
    # Back in the crystal's own frame, in which the search speaks.
    turned = setup.sample_from_crystal.T
    lines = [defect.line.turned(turned) for defect in setup.dislocations]
    with naming("beam.energy_keV", experiment.beam.energy_keV):
        rows = find_reflections(
            crystal.cell,
            crystal.space_group,
            experiment.beam.energy_keV,
            math.radians(_LARGEST_THETA_DEG),
            sites=crystal.sites,
            sample_from_crystal=mounted,
            dislocations=lines,
            medium=crystal.medium,
        )
    rows.sort(key=lambda row: (row.theta, [-x for x in row.hkl]))
    return Answer(
        {
            "do": "reflections",
            "geometry": geometry,
            "rows": [
                {
                    "hkl": list(row.hkl),
                    "theta_deg": math.degrees(row.theta),
                    "structure_factor": row.structure_factor,
                    "g_dot_b": [contrast.g_dot_b for contrast in row.contrasts],
                }
                for row in rows[:_MOST]
            ],
        }
    )


def slip_systems(bench: Bench) -> Answer:
    """The slip systems of the crystal; none where its structure is not known."""
    try:
        systems = slip_systems_of(bench.experiment, bench.setups[0].crystal)
    except InputError as error:
        return Answer({"do": "slip", "systems": [], "line": str(error)})
    return Answer(
        {
            "do": "slip",
            "systems": [
                {
                    "family": one.family,
                    "plane": list(one.system.plane),
                    "burgers": list(one.system.direction),
                }
                for one in systems
            ],
        }
    )
