"""The crystal in the experiment file: cell, symmetry, atoms, slip, mount."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StrictFloat, StrictStr, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.indices import (
    AtomPosition,
    Element,
    EulerAngles,
    IndicesOrFour,
    Matrix,
    Mount,
    Quaternion,
    check_four_indices,
)
from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import (
    Allowed,
    FileName,
    MaterialName,
    SpaceGroup,
    between,
    number,
    text,
)

Length = Annotated[
    StrictFloat,
    Allowed(
        "a number from 1.5 to 1000 in angstrom, such as 4.05 for 0.405 nm",
        lambda x: 1.5 <= x <= 1000,
    ),
]
CellAngle = Annotated[StrictFloat, number(1, 179)]
Structure = Literal["fcc", "bcc", "hcp", "diamond", "zincblende", "wurtzite"]

ORIENTATIONS = ("mount", "ub", "euler_deg", "quaternion")
"""The keys that fix the orientation once for all reflections."""


class Cell(Table):
    """Unit cell of the undeformed crystal; edges and angles that its system fixes may be left out.

    A cubic cell needs a; a tetragonal, hexagonal or trigonal one a and c; rhombohedral axes need a
    and alpha.
    """

    inline: ClassVar[bool] = True

    a: Length = Field(description="length of the first edge, angstrom")
    b: Length | None = Field(
        None, description="length of the second edge, angstrom; default: what the system fixes"
    )
    c: Length | None = Field(
        None, description="length of the third edge, angstrom; default: what the system fixes"
    )
    alpha: CellAngle | None = Field(
        None, description="angle between b and c, degrees; default: what the system fixes"
    )
    beta: CellAngle | None = Field(
        None, description="angle between a and c, degrees; default: what the system fixes"
    )
    gamma: CellAngle | None = Field(
        None, description="angle between a and b, degrees; default: what the system fixes"
    )

    @model_validator(mode="after")
    def _has_a_volume(self) -> Self:
        if self.alpha is None or self.beta is None or self.gamma is None:
            return self
        angles = self.alpha, self.beta, self.gamma
        if sum(angles) >= 360 or 2 * max(angles) >= sum(angles):
            raise InputError(
                "alpha",
                self.alpha,
                f"with beta = {self.beta:g} and gamma = {self.gamma:g} no cell closes; each angle "
                "must be less than the sum of the other two, and all three less than 360",
            )
        return self


class Atom(Table):
    """An atom of the asymmetric unit."""

    inline: ClassVar[bool] = True

    element: Element = Field(description="chemical symbol")
    position: AtomPosition = Field(description="fractional coordinates")
    occupancy: Annotated[StrictFloat, number(1e-6, 1)] = Field(
        1.0, description="fraction of its places that are occupied"
    )
    b_factor: Annotated[StrictFloat, number(0, 100)] = Field(
        0.0, description="isotropic temperature factor B, square angstrom"
    )


class OwnSlipSystem(Table):
    """A slip system that the tables of structures do not have."""

    inline: ClassVar[bool] = True

    plane: IndicesOrFour = Field(description="glide plane (hkl) or (hkil)")
    burgers: IndicesOrFour = Field(
        description="direction [uvw] or [uvtw] of the Burgers vector, whose length is that of the "
        "shortest lattice vector"
    )
    name: Annotated[StrictStr, text("a short name")] = Field(
        "own", description="name of the family that it belongs to"
    )

    @model_validator(mode="after")
    def _has_vectors(self) -> Self:
        check_four_indices(self, "plane", "burgers")
        return self


def _is_stiffness(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(re.fullmatch("c[1-6][1-6]", name) for name in value)
    return True


def _is_moderate(value: dict[str, float] | tuple[tuple[float, ...], ...]) -> bool:
    rows = [tuple(value.values())] if isinstance(value, dict) else value
    return all(abs(number) <= 1e5 for row in rows for number in row)


_StiffnessRow = tuple[StrictFloat, StrictFloat, StrictFloat, StrictFloat, StrictFloat, StrictFloat]
Stiffness = Annotated[
    dict[StrictStr, StrictFloat]
    | tuple[
        _StiffnessRow, _StiffnessRow, _StiffnessRow, _StiffnessRow, _StiffnessRow, _StiffnessRow
    ],
    Allowed(
        "a table of constants such as { c11 = 168.4, c12 = 121.4, c44 = 75.4 }, or 6 rows of 6 "
        "numbers, none beyond 1e5",
        lambda v: _is_stiffness(v) and _is_moderate(v),
    ),
]


class Crystal(Table):
    """A material, a unit cell with its space group, or a CIF file; and how it is mounted."""

    # The default material must not lend its elastic constants to another crystal, nor the default
    # mount its axis to a crystal whose orientation is given.
    instead = (
        ("cell", "material"),
        ("cif", "material"),
        *((key, "x_axis") for key in ORIENTATIONS),
    )
    exclusive = (
        ("x_axis", *ORIENTATIONS),
        ("material", "cif"),
        ("cell", "cif"),
        ("space_group", "cif"),
        ("atoms", "cif"),
    )

    material: MaterialName | None = Field(
        "Al", description="name in the table; keys beside it override it"
    )
    cell: Cell | None = Field(
        None,
        description="unit cell, angstrom and degrees; without a material it needs space_group and "
        "poisson_ratio",
    )
    space_group: SpaceGroup | None = Field(None, description="Hermann-Mauguin symbol")
    atoms: tuple[Atom, ...] | None = Field(
        None, description="asymmetric unit of an own cell, from which |F| follows"
    )
    cif: FileName | None = Field(
        None, description="CIF file with cell, symmetry and atoms; needs poisson_ratio"
    )
    structure: Structure | None = Field(
        None, description="which slip systems it has; default: the material's"
    )
    slip_families: (
        Annotated[tuple[StrictStr, ...], Allowed("a list of names, at least one", bool)] | None
    ) = Field(None, description="families of the structure's slip systems; default: all")
    slip_systems: tuple[OwnSlipSystem, ...] | None = Field(
        None, description="own slip systems; alone, or beside slip_families"
    )
    poisson_ratio: Annotated[StrictFloat, between(-1, 0.5)] | None = Field(
        None,
        description="default: that of stiffness_GPa, or the material's",
        examples=[0.334],
    )
    elasticity: Literal["isotropic", "anisotropic"] = Field(
        "isotropic",
        description="fields by poisson_ratio, or by all constants",
    )
    stiffness_GPa: Stiffness | None = Field(
        None,
        description="constants that symmetry leaves free, or 6 rows of 6; default: the material's",
    )
    core_radius_nm: Annotated[StrictFloat, number(0, 1e4)] | None = Field(
        None, description="core of the dislocations; default: |b|; 0: none", examples=[0.286]
    )
    x_axis: IndicesOrFour | None = Field(
        (1, 0, -1), description="crystal direction [uvw] along x of the sample"
    )
    mount: Mount | None = Field(
        None,
        description="instead of x_axis: planes with normals along x, y, z",
        examples=[((1, 0, 0), (0, 1, 0), (0, 0, 1))],
    )
    ub: Matrix | None = Field(
        None,
        description="instead of x_axis: UB as ImageD11 has it, without 2π; columns a*, b*, c*",
    )
    euler_deg: EulerAngles | None = Field(
        None, description="instead of x_axis: Bunge's angles phi1, Phi, phi2"
    )
    quaternion: Quaternion | None = Field(
        None,
        description="instead of x_axis: w, x, y, z of the rotation from the sample's axes to the "
        "crystal's",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.material is None:
            if self.cell is None and self.cif is None:
                raise InputError("material", None, "missing; give material, cif or cell")
            if self.space_group is None and self.cif is None:
                raise InputError("space_group", None, "missing; a cell without a material needs it")
            kind = "cell without a material" if self.cif is None else "CIF file"
            if self.stiffness_GPa is None and self.elasticity == "anisotropic":
                needs = f"missing; anisotropic elasticity of a {kind} needs it"
                raise InputError("stiffness_GPa", None, needs)
            if self.poisson_ratio is None and self.stiffness_GPa is None:
                raise InputError("poisson_ratio", None, f"missing; a {kind} needs it")
        if self.atoms is not None and self.cell is None:
            raise InputError("atoms", None, "need a cell; a material has its own")
        if all(getattr(self, key) is None for key in ("x_axis", *ORIENTATIONS)):
            raise InputError("x_axis", None, f"missing; give x_axis, {', '.join(ORIENTATIONS)}")
        check_four_indices(self, "x_axis")
        for normal in self.mount or ():
            if len(normal) == 4 and sum(normal[:3]) != 0:
                raise InputError(
                    "mount",
                    list(map(list, self.mount or ())),
                    f"the first three of {list(normal)} must add up to 0",
                )
        return self
