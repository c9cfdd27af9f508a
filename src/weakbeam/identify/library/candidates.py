"""Candidates: the types of dislocations that an experiment asks for, and their lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.assemble.crystal import CrystalModel, crystal_of, slip_systems_of
from weakbeam.assemble.indices import direction_of, plane_of
from weakbeam.core.arrays import Floats, Ints
from weakbeam.crystal.lattice import Miller, unit
from weakbeam.crystal.slip import SlipSystem
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.types import (
    UNSEEN,
    DislocationType,
    burgers_vectors,
    characters,
    dislocation_types,
    seen_distortion,
    straight_lines,
)
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Experiment, Identify
from weakbeam.run.render import Renderer

MOST_TYPES = 20_000
"""Most types of dislocations; to tell which of them look alike takes some seconds then."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The dislocations that an experiment has as candidates, and what makes images of them.

    Parameters
    ----------
    renderer : Renderer
        Makes the images.
    types : tuple of DislocationType
        All types.
    distortion : (types,) ndarray
        Largest change of a diffraction vector 1 µm from the line; see `seen_distortion`.
    """

    renderer: Renderer
    types: tuple[DislocationType, ...]
    distortion: Floats

    @property
    def visible(self) -> Ints:
        """Numbers of the types that some reflection shows at all."""
        return np.flatnonzero(self.distortion > UNSEEN)

    def lines(self, numbers: Iterable[int], positions_um: Floats) -> StraightLines:
        """Dislocations of given types through given points, in the sample frame."""
        types = [self.types[number] for number in numbers]
        first = self.renderer.setups[0]
        return straight_lines(
            types,
            positions_um,
            first.sample_from_crystal,
            first.crystal.core_radii(burgers_vectors(types)),
        )


def candidates_of(
    experiment: Experiment, workers: int | None = None, precise: bool = True
) -> Candidates:
    """Find the candidates of an experiment.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, scan and ``[identify]``.
    workers : int, optional
        Threads of the renderer.
    precise : bool
        Whether images are computed more precisely than a camera counts; see
        :class:`~weakbeam.run.render.Renderer`.

    Raises
    ------
    InputError
        If the experiment contradicts physics, the crystal's slip systems are not known, none is
        left by ``identify.planes`` and ``identify.burgers``, or no reflection shows any type.
    """
    types = types_of(experiment)
    renderer = Renderer(experiment, workers, precise)
    normals = [unit(setup.crystal.cell.plane_normal(setup.hkl)) for setup in renderer.setups]
    medium = crystal_of(experiment).medium
    candidates = Candidates(renderer, types, seen_distortion(types, normals, medium))
    if not len(candidates.visible):
        hkl = [list(setup.hkl) for setup in renderer.setups]
        raise InputError(
            "identify", None, f"none of its {len(types)} types of dislocations shows in {hkl}"
        )
    return candidates


def identify_table(experiment: Experiment) -> Identify:
    """The table ``[identify]`` of an experiment, or the default one."""
    return experiment.identify or Identify()


def types_of(experiment: Experiment) -> tuple[DislocationType, ...]:
    """All types of dislocations that an experiment has as candidates.

    Raises
    ------
    InputError
        If the crystal's slip systems are not known, or none is left by ``identify.planes`` and
        ``identify.burgers``.
    """
    crystal, table = crystal_of(experiment), identify_table(experiment)
    systems = [known.system for known in slip_systems_of(experiment, crystal)]
    if table.planes is not None:
        systems = _along(systems, 0, table.planes, crystal)
    if table.burgers is not None:
        systems = _along(systems, 1, table.burgers, crystal)
    angles = table.characters_deg
    if table.angles_deg is not None:
        angles = tuple(90.0 - angle for angle in table.angles_deg)
    if angles is None:
        assert table.character_step_deg is not None
        with naming("identify.character_step_deg", table.character_step_deg):
            angles = characters(table.character_step_deg)
    if len(systems) * len(angles) > MOST_TYPES:
        key = "characters_deg" if table.characters_deg else "character_step_deg"
        many = f"makes {len(systems) * len(angles)} types of dislocations; at most {MOST_TYPES}"
        value = table.character_step_deg if key == "character_step_deg" else len(angles)
        raise InputError(f"identify.{key}", value, many)
    return dislocation_types(crystal.cell, crystal.centring, systems, angles)


def _along(
    systems: Sequence[SlipSystem],
    part: int,
    wanted: Sequence[Sequence[int]],
    crystal: CrystalModel,
) -> list[SlipSystem]:
    """The slip systems whose plane (part 0) or direction (part 1) is one of those wanted."""
    key = ("identify.planes", "identify.burgers")[part]
    chosen: list[SlipSystem] = []
    for index, indices in enumerate(wanted):
        place = f"{key}[{index}]"
        with naming(place, list(indices)):
            read = plane_of if part == 0 else direction_of
            vector = read(indices, crystal.cell, place)
        alike = [system for system in systems if _parallel(system[part], vector)]
        if not alike:
            known = ", ".join(dict.fromkeys(str(list(system[part])) for system in systems))
            raise InputError(place, list(indices), f"is in no slip system; there are {known}")
        chosen += [system for system in alike if system not in chosen]
    return chosen


def _parallel(a: Miller, b: Miller) -> bool:
    return not np.any(np.cross(a, b))
