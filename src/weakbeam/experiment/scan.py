"""The scan: what each motor does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, overload

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import MicrometrePositions, MilliradianPositions, integer, number

Milliradians = Annotated[StrictFloat, number(-1000, 1000)]
Micrometres = Annotated[StrictFloat, number(-1e6, 1e6)]
Steps = Annotated[StrictInt, integer(1, 1_000_000)]


class Axis(Table, init=False):
    """One motor of a scan: standing, moving over a range, or visiting listed positions.

    ``Axis(...)`` is an `AngleAxis`, or a `HeightAxis` where keys are in µm.

    Examples
    --------
    >>> Axis(half_range_mrad=0.3, steps=61)
    AngleAxis(half_range_mrad=0.3, steps=61)
    >>> Axis(values_um=[-1.0, 0.0, 2.0]).count
    3
    """

    unit: ClassVar[str]

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            *,
            value_mrad: float | None = None,
            half_range_mrad: float | None = None,
            steps: int | None = None,
            center_mrad: float | None = None,
            values_mrad: Sequence[float] | None = None,
        ) -> AngleAxis: ...

        @overload
        def __new__(
            cls,
            *,
            value_um: float | None = None,
            half_range_um: float | None = None,
            steps: int | None = None,
            center_um: float | None = None,
            values_um: Sequence[float] | None = None,
        ) -> HeightAxis: ...

        def __new__(cls, **_: Any) -> Any:
            """Make the axis that has these keys."""

    else:

        def __new__(cls, **keys: Any) -> Axis:
            """Make the axis that has these keys."""
            if cls is Axis:
                cls = HeightAxis if any(key.endswith("_um") for key in keys) else AngleAxis
            return super().__new__(cls)

    def _get(self, name: str) -> Any:
        return getattr(self, f"{name}_{self.unit}")

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        value, half_range, values = (f"{n}_{self.unit}" for n in ("value", "half_range", "values"))
        choice = f"give one of {value}; {half_range} and steps; {values}"
        given = [form for form in self.forms if any(getattr(self, k) is not None for k in form)]
        if not given:
            raise InputError(value, None, f"missing; {choice}")
        if len(given) > 1:
            key = next(k for k in given[1] if getattr(self, k) is not None)
            raise InputError(key, getattr(self, key), choice)
        if given[0][0] == half_range:
            for key in (half_range, "steps"):
                if getattr(self, key) is None:
                    raise InputError(key, None, f"missing; a range is {half_range} and steps")
        return self

    @property
    def count(self) -> int:
        """Number of positions, known without listing them."""
        if (values := self._get("values")) is not None:
            return len(values)
        steps: int | None = getattr(self, "steps", None)
        return 1 if steps is None else steps

    @property
    def positions(self) -> tuple[float, ...]:
        """The positions in the order of the scan, in the unit of the file.

        A range runs from ``center - half_range`` to ``center + half_range``, both included; one
        step is the centre alone.
        """
        if (values := self._get("values")) is not None:
            return tuple(values)
        if (value := self._get("value")) is not None:
            return (value,)
        half_range, center, n = self._get("half_range"), self._get("center") or 0.0, self.count
        if n == 1:
            return (center,)
        # Odd integers over n - 1: the positions are exactly symmetric about the centre.
        return tuple(center + half_range * ((2 * i - n + 1) / (n - 1)) for i in range(n))

    @property
    def moving(self) -> bool:
        """Whether the motor visits more than one position."""
        return self.count > 1


class AngleAxis(Axis):
    """A rotation in a scan."""

    unit: ClassVar[str] = "mrad"
    forms = (
        ("value_mrad",),
        ("half_range_mrad", "steps", "center_mrad"),
        ("values_mrad",),
    )

    value_mrad: Milliradians | None = Field(None, description="where the motor stands")
    half_range_mrad: Annotated[StrictFloat, number(1e-9, 1000)] | None = Field(
        None, description="the motor moves by this much to either side"
    )
    steps: Steps | None = Field(None, description="number of positions in the range")
    center_mrad: Milliradians | None = Field(None, description="centre of the range; default: 0")
    values_mrad: MilliradianPositions | None = Field(None, description="list of positions")


class HeightAxis(Axis):
    """The height of the sample in a scan."""

    unit: ClassVar[str] = "um"
    forms = (
        ("value_um",),
        ("half_range_um", "steps", "center_um"),
        ("values_um",),
    )

    value_um: Micrometres | None = Field(None, description="where the sample stands")
    half_range_um: Annotated[StrictFloat, number(1e-9, 1e6)] | None = Field(
        None, description="the sample moves by this much to either side"
    )
    steps: Steps | None = Field(None, description="number of positions in the range")
    center_um: Micrometres | None = Field(None, description="centre of the range; default: 0")
    values_um: MicrometrePositions | None = Field(None, description="list of positions")


Mode = Literal[
    "single",
    "rocking",
    "rolling",
    "strain",
    "mosaicity",
    "mosaicity-strain",
    "layers",
    "mosaicity-layers",
]

_MODES: dict[str, tuple[str, ...]] = {
    "single": (),
    "rocking": ("phi",),
    "rolling": ("chi",),
    "strain": ("strain",),
    "mosaicity": ("chi", "phi"),
    "mosaicity-strain": ("strain", "chi", "phi"),
    "layers": ("z",),
    "mosaicity-layers": ("z", "chi", "phi"),
}
"""What moves in each mode, the slowest first."""

_RANGES: dict[str, dict[str, Any]] = {
    "phi": {"half_range_mrad": 0.6, "steps": 61},
    "chi": {"half_range_mrad": 2.0, "steps": 61},
    "strain": {"half_range_mrad": 1.0, "steps": 21},
    "z": {"half_range_um": 1.0, "steps": 11},
}
"""How far the motors of a mode move where the file does not say."""


class Scan(Table):
    """The motors; one that is absent stands at 0."""

    mode: Mode | None = Field(
        None,
        description="what moves, over usual ranges where they are not given",
    )
    order: Literal["rewind", "zigzag"] = Field(
        "rewind", description="rows of two motors all run the same way, or back and forth"
    )
    continuous: StrictBool = Field(
        False, description="the fastest motor moves during the exposure, by one step"
    )
    phi: AngleAxis = Field(
        AngleAxis(value_mrad=0.0), description="rocking: the sample turns about y"
    )
    chi: AngleAxis = Field(
        AngleAxis(value_mrad=0.0), description="rolling: the sample turns about x, left-handed"
    )
    two_theta: AngleAxis = Field(
        AngleAxis(value_mrad=0.0), description="detector arm; positive: to larger angle"
    )
    strain: AngleAxis = Field(
        AngleAxis(value_mrad=0.0),
        description="detector arm with phi = -two_theta/2 along, a theta-2theta scan",
    )
    z: HeightAxis = Field(HeightAxis(value_um=0.0), description="height of the sample")

    @model_validator(mode="before")
    @classmethod
    def _has_the_ranges_of_its_mode(cls, data: Any) -> Any:
        mode = data.get("mode") if isinstance(data, dict) else None
        if not isinstance(mode, str) or mode not in _MODES:
            return data
        ranges = {name: _RANGES[name] for name in _MODES[mode]}
        return ranges | {name: _completed(given, ranges.get(name)) for name, given in data.items()}

    @model_validator(mode="after")
    def _moves_as_it_says(self) -> Self:
        if self.strain.moving and self.two_theta.moving:
            raise InputError("two_theta", None, "moves in a strain scan already; give only one")
        for axis in ("value_mrad", "values_mrad"):
            stands = getattr(self.strain, axis)
            if not self.strain.moving and stands not in (None, 0.0):
                raise InputError(f"strain.{axis}", _shown(stands), "strain is a range to scan over")
        if self.order == "zigzag" and sum(a.moving for a in (self.phi, self.chi, self.arm)) < 2:
            raise InputError("order", self.order, "needs two angles that move; else use rewind")
        if self.mode is None:
            return self
        for name in ("phi", "chi", "two_theta", "strain", "z"):
            if getattr(self, name).moving != (name in _MODES[self.mode]):
                does = "must not move" if getattr(self, name).moving else "must move"
                raise InputError("mode", self.mode, f"{name} {does} in this mode")
        return self

    @property
    def arm(self) -> AngleAxis:
        """What the detector arm does: `strain` if that moves, else `two_theta`."""
        return self.strain if self.strain.moving else self.two_theta

    @property
    def frames(self) -> int:
        """Number of frames: the product over the axes."""
        return math.prod(a.count for a in (self.phi, self.chi, self.arm, self.z))


def _completed(given: Any, usual: dict[str, Any] | None) -> Any:
    """A part of a range with what is left out of it from the usual one."""
    if usual is None or not isinstance(given, dict):
        return given
    unit = next(iter(usual)).removeprefix("half_range_")
    if not set(given) <= {*usual, f"center_{unit}"}:
        return given
    return usual | given


def _shown(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
