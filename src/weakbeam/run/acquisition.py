"""One reflection and one scan of it: what a series of frames is taken with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from weakbeam.analysis.profiles import curve_axes
from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats
from weakbeam.diffraction.turned import perfect_q
from weakbeam.imaging.motors import ANGLES
from weakbeam.imaging.scan import DetectorScan


@dataclass(frozen=True, eq=False)
class Acquisition:
    """A detector scan of a reflection.

    Parameters
    ----------
    setup : Setup
        The microscope set up for the reflection.
    scan : DetectorScan
        One of its scans.
    """

    setup: Setup
    scan: DetectorScan

    @property
    def first_height(self) -> float:
        """Height of the sample (µm) at which the scan begins."""
        return float(self.scan.positions["z"][0])

    @property
    def moving_angles(self) -> list[str]:
        """The angles that move, the slower one first."""
        return [motor for motor in self.scan.moving if motor in ANGLES]

    @property
    def turning_motors(self) -> list[str]:
        """The moving motors that turn the sample."""
        return [motor for motor in self.scan.moving if motor in ("phi", "chi")]

    @property
    def angle_offsets(self) -> Floats:
        """φ, χ and 2θ offset (rad) at every frame, shape (frames, 3)."""
        return np.stack([self.scan.motor_positions(motor) for motor in ANGLES], axis=1)

    @property
    def q_shifts(self) -> Floats:
        """q at which the perfect crystal stands in every frame, shape (frames, 3)."""
        return perfect_q(self.setup.geometry, self.angle_offsets)

    def stored_positions(self, motor: str) -> Floats:
        """Position of a motor at every frame as files have it: deg, mm for z; shape (frames,)."""
        return self.setup.stored_position(motor, self.scan.motor_positions(motor))

    def stored_axis(self, motor: str) -> Floats:
        """Positions of a motor along its axis as files have them: deg, mm for z."""
        return self.setup.stored_position(motor, self.scan.positions[motor])

    @property
    def curve_positions(self) -> dict[str, Floats]:
        """Positions along the curves of the moving motors; none where these would be too large.

        φ has no curve where it moves beside the arm and turns along with it: no position comes
        twice.
        """
        scan = self.scan
        axes = {
            motor: scan.positions[motor]
            for motor in scan.moving
            if not (scan.sheared and motor == "phi")
        }
        return curve_axes(axes, math.prod(self.setup.detector.readout.shape))


def acquisitions_of(setups: Iterable[Setup]) -> list[Acquisition]:
    """All scans of all reflections, in the order in which they are taken and stored."""
    return [Acquisition(setup, scan) for setup in setups for scan in setup.scans]
