"""The entries of the output file: which there are, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from weakbeam.assemble import Setup
from weakbeam.experiment import Experiment
from weakbeam.io.bliss import entry_name
from weakbeam.io.entry import Entry
from weakbeam.run.acquisition import Acquisition, acquisitions_of
from weakbeam.run.description import describe_companion, describe_entry


@dataclass(frozen=True, eq=False)
class EntryPlan:
    """One entry of the file: a scan of a reflection, with the defects or without.

    Or frames without light or of uniform light, with the motors where that scan begins.

    Parameters
    ----------
    index : int
        Its place in the file, from 0.
    acquisition : Acquisition
        The reflection and its scan.
    frames : int
        Number of frames.
    perfect : bool
        Whether the crystal is without its defects.
    companion : {"dark", "flat"}, optional
        Which light the frames have, if it is none that the crystal diffracts.
    """

    index: int
    acquisition: Acquisition
    frames: int
    perfect: bool = False
    companion: Literal["dark", "flat"] | None = None

    @property
    def setup(self) -> Setup:
        """The microscope set up for the reflection."""
        return self.acquisition.setup

    @property
    def shows_its_reflection(self) -> bool:
        """Whether it is the first entry of its reflection, which figures show."""
        is_first = self.acquisition.scan is self.setup.scans[0]
        return is_first and not self.perfect and not self.companion


def entry_plans(experiment: Experiment, setups: Sequence[Setup]) -> list[EntryPlan]:
    """All entries of the file, in order: those with the defects, without, dark and flat ones.

    Parameters
    ----------
    experiment, setups
        The description, and a setup for each of its reflections.
    """
    twins = (False, True) if experiment.output.perfect_crystal else (False,)
    acquisitions = acquisitions_of(setups)
    plans = [
        EntryPlan(0, acquisition, acquisition.scan.frames, perfect)
        for perfect in twins
        for acquisition in acquisitions
    ]
    camera = experiment.camera
    if camera.dark_frames:
        plans.append(EntryPlan(0, acquisitions[0], camera.dark_frames, companion="dark"))
    if camera.flat_frames:
        plans.append(EntryPlan(0, acquisitions[0], camera.flat_frames, companion="flat"))
    return [replace(plan, index=index) for index, plan in enumerate(plans)]


def described_entries(experiment: Experiment, plans: Sequence[EntryPlan]) -> list[Entry]:
    """What the file tells of its entries; those of one reflection share the table of defects."""
    entries, listed = [], dict[Setup, str]()
    for plan in plans:
        if plan.companion:
            entry = describe_companion(experiment, plan.acquisition, plan.companion, plan.frames)
        else:
            entry = describe_entry(experiment, plan.acquisition, plan.perfect)
        first = listed.setdefault(plan.setup, entry_name(plan.index))
        if first != entry_name(plan.index):
            entry = replace(entry, defects=first)
        entries.append(entry)
    return entries
