"""Deformation on a grid, computed elsewhere or measured, in the experiment file."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal, Self

from pydantic import Field, StrictFloat, StrictInt, StrictStr, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.defects import DefectTable
from weakbeam.experiment.values import Allowed, FileName, Position, integer, number, text

_XDMF = (".xdmf", ".xmf")
_LARGEST_TEXT = 2**22

_Spacing = Annotated[StrictFloat, number(1e-6, 1e6)]
_Spacings = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed("three numbers from 1e-6 to 1e6", lambda v: all(1e-6 <= x <= 1e6 for x in v)),
]
_Quaternion = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat, StrictFloat],
    Allowed(
        "four numbers from -1 to 1, not all 0",
        lambda q: all(abs(x) <= 1 for x in q) and any(abs(x) > 1e-6 for x in q),
    ),
]
_Name = Annotated[StrictStr, text("the name of an array")]


class Grid(DefectTable):
    """Deformation at the points of a regular grid, from a file."""

    kind: Literal["grid"] = Field("grid", description="deformation on a regular grid, of a file")
    file: FileName = Field(
        description="result of DAMASK (.hdf5), XDMF with HDF5 beside it, or arrays in .npz or HDF5",
        examples=["grain.npz"],
    )
    quantity: Literal["lattice_F", "beta", "u", "orientation"] | None = Field(
        None,
        description="deformation gradient of the lattice, its displacement gradient, displacement "
        "or orientation (with strain, if the file has that); default: what the file has",
    )
    dataset: _Name | None = Field(
        None, description="name of the array; default: F, beta, u or orientation"
    )
    increment: Annotated[StrictInt, integer(0, 10**9)] | None = Field(
        None, description="increment of a DAMASK result; default: the last"
    )
    mask: _Name | None = Field(
        None,
        description="phase of a DAMASK result; of other files an array, 0 where nothing diffracts",
    )
    grain: Annotated[StrictInt, integer(0, 10**9)] | None = Field(
        None,
        description="grain that diffracts; of a DAMASK result by its orientation at the first "
        "increment (weakbeam show lists them), of other files the number in mask",
    )
    axes: Literal["sample", "crystal"] = Field(
        "sample",
        description="what the axes of the grid are: those of the sample, or such that the grid "
        "turns with its lattice until that is mounted as crystal and reflection say",
    )
    reference: Literal["mean", "none", "mount"] | _Quaternion | None = Field(
        None,
        description='orientation of the lattice without deformation: "mean" of what diffracts, '
        '"none" if F tells changes alone, "mount" of the crystal, or w, x, y, z of the rotation '
        "from the axes of the grid to those of the crystal; default: mean where the file has "
        "orientations",
    )
    origin_um: Literal["centre"] | Position | None = Field(
        None,
        description='where the first point is along the axes of the grid; "centre": the middle of '
        "what diffracts is at the origin of the sample; default: as the file says, else centre",
    )
    spacing_um: _Spacing | _Spacings | None = Field(
        None, description="from point to point, or along each axis; default: as the file says"
    )
    outside: Literal["perfect", "dark", "extend"] = Field(
        "perfect",
        description="beyond the grid: no deformation, nothing that diffracts, or what is at its "
        "face",
    )
    interpolation: Literal["linear", "cubic"] = Field(
        "linear", description="between the points; cubic is smoother, and four times slower"
    )
    derivative: Literal["differences", "spectral"] | None = Field(
        None,
        description="of u: differences of fourth order (default), or Fourier for what is periodic",
    )

    @model_validator(mode="after")
    def _is_not_beside_the_point(self) -> Self:
        if self.derivative is not None and self.quantity not in (None, "u"):
            raise InputError("derivative", self.derivative, 'needs quantity = "u"')
        if self.reference is not None and self.quantity in ("beta", "u"):
            shown = list(self.reference) if isinstance(self.reference, tuple) else self.reference
            raise InputError("reference", shown, f"{self.quantity} has none: it tells changes")
        return self

    @property
    def line_count(self) -> int:
        """What interpolation costs, in lines that are summed at a point."""
        return 40 if self.interpolation == "cubic" else 10

    @property
    def files(self) -> tuple[str, ...]:
        """The file, and those beside it that an XDMF names."""
        if not self.file.lower().endswith(_XDMF):
            return (self.file,)
        try:
            with open(self.file, "rb") as opened:
                told = opened.read(_LARGEST_TEXT).decode("utf-8", "replace")
        except OSError:
            return (self.file,)
        named = re.findall(r">\s*([^<>]+?):[^<>:]*<", told)
        folder = os.path.dirname(self.file)
        beside = [os.path.join(folder, name) for name in dict.fromkeys(named)]
        alike = os.path.splitext(self.file)[0] + ".h5"
        there = [name for name in (*beside, alike) if os.path.isfile(name)]
        return (self.file, *there[:1])
