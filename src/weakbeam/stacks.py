"""The entries of the output file of an experiment: which there are, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from weakbeam.assemble import Setup
from weakbeam.describe import describe_companion, describe_entry
from weakbeam.imaging.scan import DetectorScan
from weakbeam.io.bliss import entry_name
from weakbeam.io.entry import Entry


@dataclass(frozen=True, eq=False)
class Stack:
    """One entry of the file: a scan of a reflection, with the defects or without.

    Or frames without light or of uniform light, with the motors where that scan begins.
    """

    index: int
    setup: Setup
    scan: DetectorScan
    perfect: bool = False
    companion: Literal["dark", "flat"] | None = None

    @property
    def frames(self) -> int:
        """Number of frames."""
        camera = self.setup.experiment.camera
        counts = {"dark": camera.dark_frames, "flat": camera.flat_frames}
        return counts[self.companion] or 0 if self.companion else self.scan.frames

    @property
    def entry(self) -> Entry:
        """What the file tells of it."""
        if self.companion:
            return describe_companion(self.setup, self.companion, self.frames)
        return describe_entry(self.setup, self.scan, self.perfect)


def stacks_of(setups: Sequence[Setup]) -> list[Stack]:
    """All entries of the file, in order: those with the defects, without, dark and flat ones."""
    twins = (False, True) if setups[0].experiment.output.perfect_crystal else (False,)
    every = [(s, scan, perfect) for perfect in twins for s in setups for scan in s.scans]
    scans = [Stack(index, *rest) for index, rest in enumerate(every)]
    first = scans[0]
    kinds: tuple[Literal["dark", "flat"], ...] = ("dark", "flat")
    others = [Stack(0, first.setup, first.scan, companion=kind) for kind in kinds]
    others = [part for part in others if part.frames]
    return scans + [replace(part, index=len(scans) + k) for k, part in enumerate(others)]


def entries_of(stacks: list[Stack]) -> list[Entry]:
    """Entries of the file; those of one reflection share the table of its defects."""
    entries, listed = [], dict[int, str]()
    for part in stacks:
        entry = part.entry
        first = listed.setdefault(id(part.setup), entry_name(part.index))
        if first != entry_name(part.index):
            entry = replace(entry, defects=first)
        entries.append(entry)
    return entries


def first_stacks(stacks: list[Stack]) -> list[Stack]:
    """The first entry of each reflection, which its figures show."""
    return [
        part
        for part in stacks
        if not part.perfect and not part.companion and part.scan is part.setup.scans[0]
    ]
