"""What the motors of a measured scan do to the lattice or the energy, and the strain they show."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.analysis.reduction import ScanMaps
from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.analysis.strain import axial_strain, axial_strain_of_energy
from weakbeam.core.arrays import Floats
from weakbeam.errors import naming
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.scan_motors import base_name

SCATTERING_MOTORS = ("obpitch", "two_theta", "tth", "twotheta", "delta")
"""Names of motors that turn the arm with objective and camera, at 2θ."""

MONOCHROMATOR = "ccmth"
"""The motor that turns the crystals of the monochromator, at their Bragg angle."""

_NO_ORIENTATION = (*SCATTERING_MOTORS, MONOCHROMATOR)
_MONOCHROMATOR_RANGE = (0.5, 45.0)
"""Bragg angles (deg) that a monochromator for hard X-rays can have."""


def turning_motors(scan: MeasuredScan, grid: ScanGrid) -> tuple[str, ...]:
    """Motors that turn the sample, the slowest first."""
    return tuple(
        motor
        for motor in (grid.axes or scan.positions)
        if scan.units[motor] == "deg" and base_name(motor) not in _NO_ORIENTATION
    )


def missing_energy(scan: MeasuredScan) -> str:
    """What to say of a scan of the monochromator that tells no energy."""
    motor = monochromator_of(scan)
    if motor is None or tells_energy(scan):
        return ""
    return (
        f"{motor} was scanned about {float(np.mean(scan.positions[motor])):.4g} deg, "
        "which is no Bragg angle of a monochromator: no strain"
    )


def strain_of(scan: MeasuredScan, maps: ScanMaps, theta: float | None, kind: str) -> Floats | None:
    """Strain against the median of the map, whose lattice counts as unstrained."""
    arm = arm_of(scan)
    if arm is None:
        return _strain_of_energy(scan, maps, kind)
    if kind not in maps.motors[arm]:
        return None
    if theta is None:
        theta = 0.5 * math.radians(abs(float(np.mean(scan.positions[arm]))))
    with naming("theta", theta):
        center = np.radians(maps.motors[arm][kind])
        return axial_strain(center - np.nanmedian(center), theta)


def arm_of(scan: MeasuredScan) -> str | None:
    """The motor that turns the arm, if it was scanned."""
    return next((motor for motor in scan.positions if base_name(motor) in SCATTERING_MOTORS), None)


def _strain_of_energy(scan: MeasuredScan, maps: ScanMaps, kind: str) -> Floats | None:
    """The same of a scan of the monochromator whose positions are Bragg angles."""
    motor = monochromator_of(scan)
    if motor is None or not tells_energy(scan) or kind not in maps.motors[motor]:
        return None
    angles = np.radians(maps.motors[motor][kind])
    return axial_strain_of_energy(angles, float(np.nanmedian(angles)))


def monochromator_of(scan: MeasuredScan) -> str | None:
    """The motor that turns the monochromator, if it moves."""
    return next((motor for motor in scan.positions if base_name(motor) == MONOCHROMATOR), None)


def tells_energy(scan: MeasuredScan) -> bool:
    """Whether a monochromator moves, over Bragg angles that it can have."""
    motor = monochromator_of(scan)
    if motor is None:
        return False
    low, high = _MONOCHROMATOR_RANGE
    angles = scan.positions[motor]
    return bool(((angles > low) & (angles < high)).all())
