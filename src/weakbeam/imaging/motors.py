"""The motors: their names, symbols and units, in an experiment, on a figure and in a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats


@dataclass(frozen=True)
class Motor:
    """A motor of the goniometer, of the arm or of the sample's translation.

    Parameters
    ----------
    name : str
        In experiments and in the axes of arrays.
    symbol : str
        On figures and in labels, of where the motor stands.
    beamline_name : str
        In files, as the beamline calls it.
    unit : {"rad", "um"}
        Of positions everywhere inside.
    shown_unit : str
        Of offsets in experiments, on figures and in messages.
    shown_factor : float
        How many of the shown unit are one of `unit`.
    offset_symbol : str
        Of the offset from the Bragg setting, where it has another symbol.
    """

    name: str
    symbol: str
    beamline_name: str
    unit: str = "rad"
    shown_unit: str = "mrad"
    shown_factor: float = 1e3
    offset_symbol: str = ""

    def __post_init__(self) -> None:
        """Let the offset have the symbol of the motor unless it has its own."""
        object.__setattr__(self, "offset_symbol", self.offset_symbol or self.symbol)

    @property
    def is_angle(self) -> bool:
        """Whether its positions are angles."""
        return self.unit == "rad"

    @property
    def label(self) -> str:
        """What is written at an axis, such as "φ (mrad)"."""
        return f"{self.offset_symbol} ({self.shown_unit})"

    @property
    def stored_factor(self) -> float:
        """How many of a file's unit are one of `unit`: degrees and millimetres are stored."""
        return math.degrees(1.0) if self.is_angle else 1e-3

    def shown(self, offset: ArrayLike) -> Floats:
        """Offsets in `shown_unit` from those in `unit`."""
        return np.asarray(self.shown_factor * np.asarray(offset, dtype=np.float64))

    def inner(self, shown: ArrayLike) -> Floats:
        """Offsets in `unit` from those in `shown_unit`."""
        return np.asarray(1.0 / self.shown_factor * np.asarray(shown, dtype=np.float64))

    def stored(self, position: ArrayLike) -> Floats:
        """Positions as files have them: degrees, or millimetres.

        Micrometres are divided, so that 0.3 µm is the number 0.0003 to the last bit.
        """
        return np.asarray(np.degrees(position) if self.is_angle else np.asarray(position) / 1000.0)


MOTORS: Mapping[str, Motor] = MappingProxyType(
    {
        motor.name: motor
        for motor in (
            Motor("phi", "φ", "phi"),
            Motor("chi", "χ", "chi"),
            # Of the arm; at the beamline it stands at 2θ plus the offset.
            Motor("two_theta", "2θ", "obpitch", offset_symbol="Δ2θ"),
            Motor("z", "z", "diffrz", "um", "µm", 1.0),
            Motor("mu", "µ", "mu"),
            Motor("omega", "ω", "omega"),
        )
    }
)
"""Every motor by its name."""

SCANNED = ("phi", "chi", "two_theta", "z")
"""The motors that a scan can move; μ and ω stay at the Bragg setting."""

ANGLES = ("phi", "chi", "two_theta")
"""Those of them that move q, in the order of `DiffractionGeometry.motor_vectors`."""
