"""The defects in the experiment file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.files import files_named
from weakbeam.experiment.indices import DirectionOrFour, Fraction, IndicesOrFour, check_four_indices
from weakbeam.experiment.tables import Table, Variant
from weakbeam.experiment.values import Position, number


class DefectTable(Variant):
    """What is asked of every table of defects before they are placed."""

    @property
    def line_count(self) -> int | None:
        """Dislocations and walls that it speaks of; None where only drawing or reading it tells."""
        return 1

    @property
    def files(self) -> tuple[str, ...]:
        """Files that it names, by which images change.

        A table whose file leads to further ones adds these, in the folder of the one that it names
        or below it.
        """
        return tuple(name for _, name in files_named(self))


def from_edge(angle_deg: float | None) -> float | None:
    """Character (degrees from edge) of a line at an angle to its Burgers vector."""
    return None if angle_deg is None else 90.0 - angle_deg


class BurgersVectorOfDislocation(Table):
    """What tells the Burgers vector of dislocations."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = (("burgers_nm", "burgers_fraction"),)

    kind: str
    plane: IndicesOrFour | None = Field(
        None,
        description="slip plane (hkl), needed with an angle; otherwise a label",
        examples=[(1, 1, 1)],
    )
    burgers: IndicesOrFour = Field(description="direction [uvw] of the Burgers vector")
    burgers_nm: Annotated[StrictFloat, number(1e-3, 100)] | None = Field(
        None, description="length of the Burgers vector; default: the shortest lattice vector's"
    )
    burgers_fraction: Fraction | None = Field(
        None,
        description="instead of burgers_nm: the Burgers vector is this fraction of [uvw] in cell "
        "edges",
    )
    partial: StrictBool | None = Field(
        None, description="true allows a Burgers vector that is no lattice vector"
    )

    @model_validator(mode="after")
    def _has_a_burgers_vector(self) -> Self:
        check_four_indices(self, "plane", "burgers")
        return self

    @model_validator(mode="after")
    def _says_which_part_a_partial_is(self) -> Self:
        if self.partial and self.burgers_nm is None and self.burgers_fraction is None:
            raise InputError(
                "partial", True, "needs burgers_fraction or burgers_nm, which say how long it is"
            )
        return self


class LineOfDislocation(BurgersVectorOfDislocation):
    """What tells the line and the Burgers vector of straight dislocations."""

    exclusive = (
        ("line", "angle_deg", "character_deg"),
        *BurgersVectorOfDislocation.exclusive,
    )

    line: DirectionOrFour | None = Field(
        None, description="direction [uvw] of the line", examples=[(1.0, -2.0, 1.0)]
    )
    angle_deg: Annotated[StrictFloat, number(-360, 360)] | None = Field(
        None,
        description="instead of line, between it and burgers: 0 screw, 90 edge",
        examples=[60.0],
    )
    character_deg: Annotated[StrictFloat, number(-360, 360)] | None = Field(
        None, description="instead of line: the same counted from edge, 90 - angle_deg"
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="a point of the line in the sample frame"
    )

    @model_validator(mode="after")
    def _has_a_line_of_three_or_four(self) -> Self:
        check_four_indices(self, "line")
        return self

    @model_validator(mode="after")
    def _has_one_line(self) -> Self:
        if self.line is None and self.psi_deg is None:
            raise InputError("line", None, "missing; give line, or plane and angle_deg")
        if self.psi_deg is not None and self.plane is None:
            key = "character_deg" if self.angle_deg is None else "angle_deg"
            raise InputError("plane", None, f"missing; {key} is an angle in that plane")
        return self

    @property
    def psi_deg(self) -> float | None:
        """By how much the line is turned from edge towards screw, whichever key says so."""
        return from_edge(self.angle_deg) if self.character_deg is None else self.character_deg


class Dislocation(DefectTable, LineOfDislocation):
    """A straight dislocation."""

    kind: Literal["dislocation"] = Field("dislocation", description="a straight dislocation")


DEFAULT_DEFECT = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
