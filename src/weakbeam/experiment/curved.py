"""Loops and bowed lines in the experiment file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.defects import BurgersVectorOfDislocation, DefectTable
from weakbeam.experiment.indices import IndicesOrFour
from weakbeam.experiment.values import Allowed, Direction, Position, WholeNumber, integer, number

_DEFAULT_SEGMENTS = 24

_Point = tuple[StrictFloat, StrictFloat, StrictFloat]
Points = Annotated[
    tuple[_Point, ...],
    Allowed(
        "from 2 to 100000 points of three numbers from -1e6 to 1e6",
        lambda rows: 2 <= len(rows) <= 100_000 and all(abs(x) <= 1e6 for row in rows for x in row),
    ),
]


class _Curved(DefectTable, BurgersVectorOfDislocation):
    """What loops and bowed lines have in common."""

    points_um: Points | None
    axes: Literal["sample", "crystal"] = Field(
        "sample",
        description="of points_um; Cartesian: x of the crystal along a, z along c*",
    )
    position_um: Position = Field((0.0, 0.0, 0.0))

    def _check_points(self, closes: bool) -> None:
        """Refuse a point that stands twice in a row, and fewer than a line or a loop has."""
        points = self.points_um
        if points is None:
            return
        if closes and len(points) < 3:
            raise InputError("points_um", [list(p) for p in points], "a closed loop has at least 3")
        for number_, point in enumerate(points):
            after = points[(number_ + 1) % len(points)]
            if point == after and (closes or number_ + 1 < len(points)):
                first = " (it closes by itself)" if number_ + 1 == len(points) else ""
                raise InputError(
                    f"points_um[{number_}]",
                    list(point),
                    f"is the same as the next one{first}; leave one of them out",
                )


class Loop(_Curved):
    """A closed dislocation loop."""

    exclusive = (
        *BurgersVectorOfDislocation.exclusive,
        ("plane", "normal", "points_um"),
        ("radius_um", "points_um"),
        ("segments", "points_um"),
    )

    kind: Literal["loop"] = Field("loop", description="a closed loop: glide, prismatic or any")
    plane: IndicesOrFour | None = Field(
        None,
        description="plane (hkl) of a round loop, which runs right-handed about its normal ...",
        examples=[(1, 1, 1)],
    )
    normal: Direction | None = Field(
        None,
        description="... or instead its normal, in the sample frame",
        examples=[(0.0, 0.0, 1.0)],
    )
    radius_um: Annotated[StrictFloat, number(1e-4, 1e5)] | None = Field(
        None, description="radius of the circle on which its corners are", examples=[1.5]
    )
    segments: Annotated[WholeNumber, integer(3, 10_000)] | None = Field(
        None, description="corners of a round loop; default: 24"
    )
    points_um: Points | None = Field(
        None,
        description="instead of plane and radius: the corners of any loop, in their order",
        examples=[((-1.0, -1.0, 0.0), (1.0, -1.0, 0.0), (0.0, 1.0, 0.5))],
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0),
        description="its centre in the sample frame; where there are points, they start from it",
    )

    @model_validator(mode="after")
    def _has_a_shape(self) -> Self:
        if self.points_um is None:
            if self.plane is None and self.normal is None:
                raise InputError(
                    "plane", None, "missing; give plane (or normal) and radius_um, or points_um"
                )
            if self.radius_um is None:
                raise InputError("radius_um", None, "missing; a round loop has one")
            if "axes" in self.model_fields_set and self.axes != "sample":
                raise InputError("axes", self.axes, "belongs to points_um")
        self._check_points(closes=True)
        return self

    @property
    def corner_count(self) -> int:
        """Corners of a round loop."""
        return self.segments or _DEFAULT_SEGMENTS

    @property
    def line_count(self) -> int:
        """Its segments."""
        return self.corner_count if self.points_um is None else len(self.points_um)


class Polyline(_Curved):
    """A bowed dislocation, or a closed one, given by its corners."""

    exclusive = (*BurgersVectorOfDislocation.exclusive, ("closed", "ends"))

    kind: Literal["polyline"] = Field("polyline", description="a bowed line through given points")
    plane: IndicesOrFour | None = Field(
        None, description="slip plane (hkl), a label held against burgers", examples=[(1, 1, 1)]
    )
    points_um: Points = Field(
        description="its corners, in their order",
        examples=[((-5.0, -1.0, 0.0), (0.0, 1.0, 0.0), (5.0, -1.0, 0.0))],
    )
    closed: StrictBool | None = Field(
        None, description="true: the last point is joined to the first"
    )
    ends: Literal["straight"] | None = Field(
        None, description='instead of closed: "straight", it runs on to infinity as it ends'
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="where the points start from, in the sample frame"
    )

    @model_validator(mode="after")
    def _says_how_it_ends(self) -> Self:
        if not self.closed and self.ends is None:
            raise InputError(
                "ends",
                None,
                "missing; a dislocation does not end in a crystal: give closed = true, or "
                'ends = "straight"',
            )
        self._check_points(closes=bool(self.closed))
        return self

    @property
    def line_count(self) -> int:
        """Its segments, with those beyond its ends."""
        return len(self.points_um) + (0 if self.closed else 1)
