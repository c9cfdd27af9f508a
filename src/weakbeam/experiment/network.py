"""Networks of dislocation dynamics in the experiment file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.defects import DefectTable
from weakbeam.experiment.values import Allowed, Direction, FileName, Position, number

_Row = tuple[StrictFloat, StrictFloat, StrictFloat]
Axes = Annotated[tuple[Direction, Direction, Direction], Allowed("three directions", bool)]
Corners = Annotated[
    tuple[_Row, _Row],
    Allowed(
        "two corners of three numbers from -1e6 to 1e6, the second above the first",
        lambda rows: all(
            -1e6 <= low < high <= 1e6 for low, high in zip(rows[0], rows[1], strict=True)
        ),
    ),
]
Images = Annotated[
    StrictInt | Literal["near"],
    Allowed('"near", or an integer from 0 to 3', lambda n: n == "near" or 0 <= n <= 3),
]


class Network(DefectTable):
    """A network of dislocations that another program has computed."""

    exclusive = (("file_axes", "euler_deg"),)

    kind: Literal["network"] = Field(
        "network", description="a network of dislocation dynamics, or extracted from atoms"
    )
    file: FileName = Field(
        description="ParaDiS .data, ExaDiS or OpenDiS VTK or restart, OVITO .ca, or a table of "
        "segments (CSV, HDF5)",
        examples=["config.data"],
    )
    format: Literal["auto", "paradis", "exadis", "dxa", "table"] = Field(
        "auto", description="of the file; by default it tells by itself"
    )
    burgers_length_nm: Annotated[StrictFloat, number(1e-3, 100)] | None = Field(
        None,
        description="the unit of lengths and Burgers vectors in files of dislocation dynamics, "
        "burgMag; needed with them",
        examples=[0.2556],
    )
    file_axes: Axes | None = Field(
        None,
        description="directions [uvw] of the crystal along x, y, z of the file; default: as the "
        "file tells, or its Cartesian axes, x along a, z along c*",
        examples=[((1.0, 1.0, 0.0), (-1.0, 1.0, 0.0), (0.0, 0.0, 1.0))],
    )
    euler_deg: _Row | None = Field(
        None, description="instead: Bunge's angles of the crystal in the axes of the file"
    )
    burgers_sense: Literal["as-is", "reversed"] = Field(
        "as-is", description='"reversed" turns all Burgers vectors about: the other convention'
    )
    partial: StrictBool = Field(
        False, description="true allows Burgers vectors that are no lattice vectors"
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="where the origin of the file is in the sample frame"
    )
    images: Images | None = Field(
        None,
        description='boxes around a periodic one: "near" (1) makes it endless; 0 is the box '
        'alone, its lines run on straight; default: "near"',
    )
    region_um: Corners | None = Field(
        None,
        description="only what lies between these corners, in the sample frame; cut lines run on "
        "straight",
        examples=[((-15.0, -15.0, -3.0), (15.0, 15.0, 3.0))],
    )
    ends: Literal["straight"] | None = Field(
        None, description='"straight": lines that end in the file run on as they end'
    )

    @model_validator(mode="after")
    def _has_one_way_to_be_cut(self) -> Self:
        if self.region_um is not None and self.images is not None:
            raise InputError("images", self.images, "give either region_um or images")
        return self

    @property
    def line_count(self) -> None:
        """Known when the file is read."""
        return None

    @property
    def files(self) -> tuple[str, ...]:
        """The file."""
        return (self.file,)

    @property
    def shells(self) -> int:
        """Boxes on each side of a periodic one."""
        return 1 if self.images is None or self.images == "near" else self.images
