"""An experiment with its crystal, reflections and Bragg settings, each of them found once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from weakbeam.assemble.crystal import CrystalModel, crystal_of
from weakbeam.assemble.orientation import orientation_of
from weakbeam.assemble.reflection import BraggSetting, geometry_of, reflections_of
from weakbeam.core.arrays import Floats
from weakbeam.experiment import Experiment, Reflection


@dataclass(frozen=True, eq=False)
class Resolved:
    """What an experiment's description points to, each found when it is first asked for.

    An estimate needs no more than the number of the reflections, which is known without the crystal
    where they are listed; so the first mistake that is told is that of the cheapest check.

    Parameters
    ----------
    experiment : Experiment
        The description.
    """

    experiment: Experiment

    @cached_property
    def crystal(self) -> CrystalModel:
        """The crystal; raises as :func:`weakbeam.assemble.crystal.crystal_of`."""
        return crystal_of(self.experiment)

    @cached_property
    def reflections(self) -> tuple[ResolvedReflection, ...]:
        """The reflections; raises as :func:`weakbeam.assemble.reflection.reflections_of`."""
        needs_crystal = self.experiment.all_reflections is not None
        named = reflections_of(self.experiment, self.crystal if needs_crystal else None)
        return tuple(ResolvedReflection(key, reflection, self) for key, reflection in named)


@dataclass(frozen=True, eq=False)
class ResolvedReflection:
    """A reflection of an experiment, with its mount and its Bragg setting.

    Parameters
    ----------
    key : str
        Where it stands in the experiment file.
    reflection : Reflection
        Its description.
    of : Resolved
        The experiment.
    """

    key: str
    reflection: Reflection
    of: Resolved = field(repr=False)

    @cached_property
    def sample_from_crystal(self) -> Floats:
        """How the crystal is mounted for it; raises as `weakbeam.assemble.crystal.orientation_of`.

        A rotation, (3, 3).
        """
        return orientation_of(self.of.experiment, self.of.crystal, self.reflection, self.key)

    @cached_property
    def setting(self) -> BraggSetting:
        """Its Bragg setting; raises as :func:`weakbeam.assemble.reflection.geometry_of`."""
        return geometry_of(
            self.reflection,
            self.sample_from_crystal,
            self.of.crystal.cell,
            self.of.experiment.beam.energy_keV,
            self.key,
        )


def resolve(experiment: Experiment | Resolved) -> Resolved:
    """Resolve an experiment, or hand back one that is resolved already.

    Whatever takes either, an estimate, an assembly, a run, may so be given what another has found.
    """
    return experiment if isinstance(experiment, Resolved) else Resolved(experiment)
