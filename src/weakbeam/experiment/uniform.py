"""A uniform deformation in the experiment file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictFloat, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.defects import DefectTable
from weakbeam.experiment.values import Allowed

_LARGEST_STRAIN = 0.1
_LARGEST_ROTATION_MRAD = 100.0

_Row = tuple[StrictFloat, StrictFloat, StrictFloat]
_Tensor = Annotated[
    tuple[_Row, _Row, _Row],
    Allowed(
        "three rows of three numbers from -0.1 to 0.1",
        lambda rows: all(abs(x) <= _LARGEST_STRAIN for row in rows for x in row),
    ),
]
_Voigt = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat, StrictFloat, StrictFloat, StrictFloat],
    Allowed(
        "six numbers from -0.1 to 0.1",
        lambda six: all(abs(x) <= _LARGEST_STRAIN for x in six),
    ),
]
_Rotation = Annotated[
    _Row,
    Allowed(
        "three numbers from -100 to 100",
        lambda v: all(abs(x) <= _LARGEST_ROTATION_MRAD for x in v),
    ),
]


class Uniform(DefectTable):
    """A strain and a rotation that are the same everywhere."""

    exclusive = (("strain", "strain_voigt"),)

    kind: Literal["uniform"] = Field(
        "uniform", description="the whole crystal is strained and turned alike"
    )
    strain: _Tensor | None = Field(
        None,
        description="strain tensor, three rows, symmetric",
        examples=[((1e-4, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))],
    )
    strain_voigt: _Voigt | None = Field(
        None, description="instead: xx, yy, zz, 2 yz, 2 xz, 2 xy of it"
    )
    rotation_mrad: _Rotation | None = Field(
        None,
        description="rotation vector of the lattice, right-handed; after the strain",
        examples=[(0.0, 0.1, 0.0)],
    )
    axes: Literal["sample", "crystal"] = Field(
        "sample", description="of the components; Cartesian: x of the crystal along a, z along c*"
    )

    @model_validator(mode="after")
    def _is_a_deformation(self) -> Self:
        if self.strain is None and self.strain_voigt is None and self.rotation_mrad is None:
            raise InputError(
                "strain", None, "missing; give strain or strain_voigt, rotation_mrad, or both"
            )
        tensor = self.strain
        if tensor is not None and any(
            tensor[i][j] != tensor[j][i] for i, j in ((0, 1), (0, 2), (1, 2))
        ):
            raise InputError(
                "strain",
                [list(row) for row in tensor],
                "must be symmetric; what is not belongs into rotation_mrad",
            )
        return self

    @property
    def strain_rows(self) -> tuple[_Row, _Row, _Row]:
        """The strain tensor, whichever key says it."""
        if self.strain_voigt is not None:
            xx, yy, zz, yz, xz, xy = self.strain_voigt
            yz, xz, xy = 0.5 * yz, 0.5 * xz, 0.5 * xy
            return (xx, xy, xz), (xy, yy, yz), (xz, yz, zz)
        zero = (0.0, 0.0, 0.0)
        return self.strain or (zero, zero, zero)
