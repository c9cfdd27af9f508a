"""The engines of a run: made when they are asked for, kept while they may be used again."""

from __future__ import annotations

from collections.abc import Callable

from weakbeam.assemble import Setup
from weakbeam.diffraction.turned import AT_BRAGG, Reference
from weakbeam.imaging.contract import ImagingEngine

EngineAt = Callable[[float, Reference], ImagingEngine]
"""Gives the engine for a height of the sample (µm) and a setting of the motors."""


class Engines:
    """Engines by reflection, height of the sample and setting of the motors.

    Only the last one is kept: it holds q of all its rays and the field of its defects, which may
    take half a gigabyte and seconds. Scans that follow each other at one height share it. Tabulated
    acceptances are traced once for each reflection.

    Parameters
    ----------
    workers : int, optional
        Threads; as many as there are cores unless given.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers
        self._traced: dict[Setup, Setup] = {}
        self._last: tuple[Setup, float, bool, Reference] | None = None
        self._engine: ImagingEngine | None = None

    def at(
        self, setup: Setup, z: float, perfect: bool = False, reference: Reference = AT_BRAGG
    ) -> ImagingEngine:
        """The engine of a reflection for the sample at height `z` (µm), with defects or without."""
        wanted = (setup, z, perfect, reference)
        if self._engine is None or self._last != wanted:
            # Room for the next one.
            self._engine = None
            if setup not in self._traced:
                self._traced[setup] = setup.traced()
            self._engine = self._traced[setup].engine(
                z, self._workers, perfect, reference=reference
            )
            self._last = wanted
        return self._engine

    def of(self, setup: Setup, perfect: bool = False) -> EngineAt:
        """The engines of one reflection by the height of the sample and the setting."""

        def at(z: float, reference: Reference = AT_BRAGG) -> ImagingEngine:
            return self.at(setup, z, perfect, reference)

        return at
