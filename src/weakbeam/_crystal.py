"""The crystal in the experiment file: cell, symmetry, elastic constant, mount."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, StrictFloat, model_validator

from weakbeam._fields import Indices, MaterialName, SpaceGroup, Table, between, number
from weakbeam.errors import InputError

Length = Annotated[StrictFloat, number(0.5, 1000)]
CellAngle = Annotated[StrictFloat, number(1, 179)]


class Cell(Table):
    """Unit cell of the undeformed crystal."""

    inline: ClassVar[bool] = True

    a: Length = Field(description="length of the first edge, angstrom")
    b: Length = Field(description="length of the second edge, angstrom")
    c: Length = Field(description="length of the third edge, angstrom")
    alpha: CellAngle = Field(description="angle between b and c, degrees")
    beta: CellAngle = Field(description="angle between a and c, degrees")
    gamma: CellAngle = Field(description="angle between a and b, degrees")

    @model_validator(mode="after")
    def _has_a_volume(self) -> Self:
        angles = self.alpha, self.beta, self.gamma
        if sum(angles) >= 360 or 2 * max(angles) >= sum(angles):
            raise InputError(
                "alpha",
                self.alpha,
                f"with beta = {self.beta:g} and gamma = {self.gamma:g} no cell closes; each angle "
                "must be less than the sum of the other two, and all three less than 360",
            )
        return self


class Crystal(Table):
    """A material of the built-in table, or a unit cell with its space group."""

    # The default material must not lend its elastic constants to another crystal.
    instead = (("cell", "material"),)

    material: MaterialName | None = Field(
        "Al", description="name in the table of materials; keys beside it override it"
    )
    cell: Cell | None = Field(
        None,
        description="unit cell, angstrom and degrees; without a material it needs space_group and "
        "poisson_ratio",
    )
    space_group: SpaceGroup | None = Field(None, description="Hermann-Mauguin symbol")
    poisson_ratio: Annotated[StrictFloat, between(-1, 0.5)] | None = Field(
        None, description="default: the material's", examples=[0.334]
    )
    core_radius_nm: Annotated[StrictFloat, number(0, 1e4)] | None = Field(
        None, description="core of the dislocations; default: |b|; 0: none", examples=[0.286]
    )
    x_axis: Indices = Field((1, 0, -1), description="crystal direction [uvw] along x of the sample")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.material is None:
            if self.cell is None:
                raise InputError("material", None, "missing; give material, or cell")
            for key in ("space_group", "poisson_ratio"):
                if getattr(self, key) is None:
                    raise InputError(key, None, "missing; a cell without a material needs it")
        return self
