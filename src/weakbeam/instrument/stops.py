"""What may stand in the back focal plane of the objective.

A stop acts on the angles at which a ray enters the lens: δ in the diffraction plane and ξ out of
it. A length in the back focal plane becomes an angle by the scale of the lens,
x = α Z / sin(Nφ) (docs/explanation/physics.md, B2), where α is δ or ξ itself, not its half.

`kind` is what files of kernels call each, the name of the table that describes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

AXES = ("two_theta", "roll")
"""Names of the angles δ and ξ that a stop along one axis acts on."""

Axis = Literal["two_theta", "roll"]


@dataclass(frozen=True)
class SquareOpening:
    """Passes where abs(δ) and abs(ξ) are less than `half_width` (rad)."""

    kind: ClassVar[str] = "SquareAperture"
    half_width: float

    def __post_init__(self) -> None:
        """Check the size."""
        _check_size(self, "half_width")


@dataclass(frozen=True)
class KnifeBlade:
    """Passes the rays on one `side` of `position` (rad) and blocks the others."""

    kind: ClassVar[str] = "KnifeEdge"
    position: float
    axis: Axis = "two_theta"
    side: Literal["above", "below"] = "above"

    def __post_init__(self) -> None:
        """Check axis and side."""
        _check_place(self)
        if self.side not in ("above", "below"):
            raise ValueError(f"side {self.side!r} of {self} is neither 'above' nor 'below'")


@dataclass(frozen=True)
class RoundOpening:
    """Passes where √(δ² + ξ²) is less than `radius` (rad)."""

    kind: ClassVar[str] = "RoundAperture"
    radius: float

    def __post_init__(self) -> None:
        """Check the size."""
        _check_size(self, "radius")


@dataclass(frozen=True)
class CentralBlock:
    """Blocks where both abs(δ) and abs(ξ) are less than `half_width` (rad)."""

    kind: ClassVar[str] = "CentralStop"
    half_width: float

    def __post_init__(self) -> None:
        """Check the size."""
        _check_size(self, "half_width")


@dataclass(frozen=True)
class AbsorbingWire:
    """Absorbs exp(-`optical_depth` √(1 - x²/radius²)) at the distance x < `radius` of its centre.

    `radius` and the `position` of the centre are angles (rad). `optical_depth` is attenuation times
    diameter, for the chord of a cylinder is 2√(radius² - x²); ``inf`` makes the wire opaque.
    """

    kind: ClassVar[str] = "Wire"
    radius: float
    position: float = 0.0
    axis: Axis = "two_theta"
    optical_depth: float = math.inf

    def __post_init__(self) -> None:
        """Check sizes and axis."""
        _check_size(self, "radius")
        _check_size(self, "optical_depth")
        _check_place(self)


Stop = SquareOpening | KnifeBlade | RoundOpening | CentralBlock | AbsorbingWire


def _check_size(stop: Any, name: str) -> None:
    if not getattr(stop, name) > 0.0:
        raise ValueError(f"{name} of {stop} is not positive")


def _check_place(stop: Any) -> None:
    if stop.axis not in AXES:
        raise ValueError(f"axis of {stop} is neither 'two_theta' nor 'roll'")
    if math.isnan(stop.position):
        raise ValueError(f"position of {stop} is not a number")
