"""Where motors stand: an experiment with its motors still, or moving over the range of a curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.experiment import AngleAxis, Experiment, HeightAxis, Scan
from weakbeam.imaging.motors import ANGLES, MOTORS, SCANNED
from weakbeam.imaging.scan import DetectorScan, detector_scans

AT_REST: Mapping[str, float] = dict.fromkeys(SCANNED, 0.0)
"""All motors at the Bragg setting."""


@dataclass(frozen=True)
class CurveRange:
    """A scan over one motor about its zero.

    Parameters
    ----------
    motor : str
        Which one.
    half_range : float
        In the shown unit of the motor.
    steps : int
        Number of positions.
    """

    motor: str
    half_range: float
    steps: int

    @property
    def axis(self) -> AngleAxis | HeightAxis:
        """The axis of a description that visits the positions."""
        if self.motor == "z":
            return HeightAxis(half_range_um=self.half_range, steps=self.steps)
        return AngleAxis(half_range_mrad=self.half_range, steps=self.steps)


def still(experiment: Experiment, motors: Mapping[str, float]) -> Experiment:
    """The experiment with its motors standing where they are, mrad and µm."""
    return experiment.model_copy(update={"scan": _scan(motors)})


def over(experiment: Experiment, motors: Mapping[str, float], curve: CurveRange) -> Experiment:
    """The experiment as a scan over one motor, with the others where they stand."""
    return experiment.model_copy(
        update={"scan": _scan(motors).model_copy(update={curve.motor: curve.axis})}
    )


def _scan(motors: Mapping[str, float]) -> Scan:
    axes: dict[str, AngleAxis | HeightAxis] = {
        motor: AngleAxis(value_mrad=motors[motor]) for motor in ANGLES
    }
    return Scan.model_validate({**axes, "z": HeightAxis(value_um=motors["z"])})


def scan_at(motors: Mapping[str, float], curve: CurveRange | None = None) -> DetectorScan:
    """The scan of one frame, or of a curve, with the motors where they stand (mrad and µm)."""
    positions: dict[str, Floats] = {
        motor: np.array([MOTORS[motor].inner(value)]) for motor, value in motors.items()
    }
    if curve is not None:
        positions[curve.motor] = MOTORS[curve.motor].inner(curve.axis.positions)
    return detector_scans(positions)[0]
