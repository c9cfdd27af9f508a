"""Frames of one reflection, whatever was asked for before: those that `simulate` makes.

Samples are chosen for the very frames that are asked for, as a run does, and not kept for others,
however near; the field of the defects is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats, Floats32
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.diffraction.turned import AT_BRAGG, Reference
from weakbeam.imaging.contract import ImagingEngine
from weakbeam.imaging.scan import DetectorScan

Check = Callable[[], None]
"""Raises where nobody waits any more for what is computed."""


class Stills:
    """Exact images of a reflection.

    Parameters
    ----------
    setup : Setup
        The microscope set up for the reflection.
    workers : int, optional
        Threads.
    earlier : Stills, optional
        Those of the same defects before something else was changed: their field serves again.
    """

    def __init__(
        self, setup: Setup, workers: int | None = None, earlier: Stills | None = None
    ) -> None:
        self.setup = setup
        self.workers = workers
        self._field: tuple[float, Reference, DisplacementGradientField] | None = None
        if earlier is not None and earlier.setup.defects is setup.defects:
            self._field = earlier._field
        self._last: tuple[object, Floats32] | None = None

    def engine_at(
        self, scan: DetectorScan, check: Check | None = None
    ) -> Callable[..., ImagingEngine]:
        """The engines for the frames of a scan, by height and setting."""

        def at(z: float, reference: Reference = AT_BRAGG) -> ImagingEngine:
            setup = replace(self.setup, scans=(scan,))
            engine = setup.engine(z, self.workers, perfect=True, reference=reference)
            field = self._field_at(z, reference)
            return engine.with_field(field if check is None else WantedField(field, check))

        return at

    def intensity(self, scan: DetectorScan, check: Check | None = None) -> Floats32:
        """The one frame of a scan as it reaches the camera, (rows, columns); the last is kept."""
        key = tuple((motor, float(at[0])) for motor, at in sorted(scan.positions.items()))
        if self._last is None or self._last[0] != key:
            [layer] = scan.layers(self.setup.geometry)
            engine = self.engine_at(scan, check)(layer.z, layer.reference)
            image = engine.images(layer.rock_shifts, layer.roll_shifts)[0, 0]
            self._last = key, image
        return self._last[1]

    def stored(self, intensity: Floats32, entry: int) -> NDArray[Any]:
        """What the camera stores of an intensity."""
        frames = self.setup.detector.frames(
            intensity[None], entry, np.zeros(1, np.int64), self.workers
        )
        return np.array(frames[0])

    def mean_q(self, scan: DetectorScan, check: Check | None = None) -> Floats:
        """q of every pixel, (3, rows, columns), as :func:`weakbeam.q_field` has it."""
        return self.engine_at(scan, check)(float(scan.positions["z"][0])).mean_q()[0]

    def _field_at(self, z: float, reference: Reference) -> DisplacementGradientField:
        if self._field is None or self._field[:2] != (z, reference):
            self._field = None  # Room for the next one.
            self._field = z, reference, self.setup.field_at(z, self.workers, reference)
        return self._field[2]


class WantedField:
    """A field that is computed as long as somebody waits for it.

    Parameters
    ----------
    field : DisplacementGradientField
        The field.
    check : callable
        Raises once nobody does.
    """

    def __init__(self, field: DisplacementGradientField, check: Check) -> None:
        self._field, self._check = field, check

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """Add its β; see :class:`weakbeam.defects.field.DisplacementGradientField`."""
        self._check()
        self._field.add_to(gradient, points)

    def __getattr__(self, name: str) -> Any:
        # What only some fields have, such as a faster way along rays.
        self._check()
        return getattr(self._field, name)
