"""The defects in the experiment file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictFloat, model_validator

from weakbeam._fields import Direction, Indices, Position, Table, number
from weakbeam.errors import InputError


class Dislocation(Table):
    """A straight dislocation."""

    forms = (("line",), ("character_deg",))

    kind: Literal["dislocation"] = Field("dislocation", description="kind of defect")
    plane: Indices | None = Field(
        None,
        description="slip plane (hkl), needed with character_deg; otherwise a label",
        examples=[(1, 1, 1)],
    )
    burgers: Indices = Field(description="direction [uvw] of the Burgers vector")
    burgers_nm: Annotated[StrictFloat, number(1e-3, 100)] | None = Field(
        None, description="length of the Burgers vector; default: from the structure"
    )
    line: Direction | None = Field(
        None, description="direction [uvw] of the line", examples=[(1.0, -2.0, 1.0)]
    )
    character_deg: Annotated[StrictFloat, number(-360, 360)] | None = Field(
        None, description="instead of line: 0 edge, 90 screw", examples=[0.0]
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="a point of the line in the sample frame"
    )

    @model_validator(mode="after")
    def _has_one_line(self) -> Self:
        if self.line is not None and self.character_deg is not None:
            raise InputError(
                "character_deg", self.character_deg, "give either line or character_deg"
            )
        if self.line is None and self.character_deg is None:
            raise InputError("line", None, "missing; give line, or plane and character_deg")
        if self.character_deg is not None and self.plane is None:
            raise InputError("plane", None, "missing; character_deg is an angle in that plane")
        return self


DEFAULT_DEFECT = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
