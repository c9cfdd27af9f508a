"""Many dislocations in one table of the experiment file: walls, populations, boundaries, lists."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from weakbeam.errors import InputError
from weakbeam.experiment.curved import Loop, Polyline
from weakbeam.experiment.defects import DefectTable, Dislocation, LineOfDislocation, from_edge
from weakbeam.experiment.gridded import Grid
from weakbeam.experiment.indices import DirectionOrFour, Fraction, IndicesOrFour, check_four_indices
from weakbeam.experiment.network import Network
from weakbeam.experiment.tables import Table
from weakbeam.experiment.uniform import Uniform
from weakbeam.experiment.values import (
    Allowed,
    FileName,
    Position,
    WholeNumber,
    integer,
    number,
    numbers,
)

Spacing = Annotated[StrictFloat, number(1e-4, 1e5)]
Count = Annotated[WholeNumber, integer(1, 10_000_000)]
Size = Annotated[StrictFloat, number(1e-3, 1e6)]
Depth = Annotated[StrictFloat, number(0, 1e6)]
Angle = Annotated[StrictFloat, number(-360, 360)]
Angles = Annotated[tuple[StrictFloat, ...], numbers(-360, 360)]
Density = Annotated[StrictFloat, number(1e-12, 1e12)]
Vector = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed(
        "three numbers from -1e6 to 1e6, not all 0",
        lambda v: all(abs(x) <= 1e6 for x in v) and any(abs(x) >= 1e-6 for x in v),
    ),
]
BoxSize = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed(
        "three numbers from 0 to 1e6 (x, y, z), the first two not 0",
        lambda v: all(0.0 <= x <= 1e6 for x in v) and min(v[:2]) >= 1e-3,
    ),
]
MOST_LINES = 1_000_000
"""Most dislocations of a random population."""


class Wall(DefectTable, LineOfDislocation):
    """Equally spaced parallel dislocations."""

    kind: Literal["wall"] = Field("wall", description="equally spaced parallel dislocations")
    spacing_um: Spacing = Field(description="distance from one to the next")
    count: Count | None = Field(
        None, description="how many, evenly about position_um; default: infinitely many"
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="centre of the wall in the sample frame"
    )
    stacking: Literal["wall", "row"] = Field(
        "wall",
        description='"wall": along the normal of its plane; "row": within that plane',
    )
    stacking_direction: Vector | None = Field(
        None,
        description="instead: direction in the sample frame, across the line",
        examples=[(0.0, 0.0, 1.0)],
    )
    order: Literal["one-sided", "bipolar", "dipole", "twist"] = Field(
        "one-sided",
        description='"bipolar": signs alternate; "dipole" and "twist": of two walls',
    )
    dipole_offset_um: Vector | None = Field(
        None,
        description="dipole: from each dislocation to that of opposite sign, in the sample frame",
    )
    second_burgers: IndicesOrFour | None = Field(
        None, description="twist: Burgers vector and line [uvw] of the screws across"
    )
    second_spacing_um: Spacing | None = Field(
        None, description="twist: spacing of the screws across; default: spacing_um"
    )

    @model_validator(mode="after")
    def _has_the_keys_of_its_order(self) -> Self:
        needs = {"dipole": ("dipole_offset_um",), "twist": ("second_burgers",)}
        optional = {"twist": ("second_spacing_um",)}
        own = needs.get(self.order, ()) + optional.get(self.order, ())
        for order, keys in (*needs.items(), *optional.items()):
            for key in keys:
                if getattr(self, key) is not None and key not in own:
                    raise InputError(key, _shown(getattr(self, key)), f'needs order = "{order}"')
        for key in needs.get(self.order, ()):
            if getattr(self, key) is None:
                raise InputError(key, None, f'missing; order = "{self.order}" needs it')
        check_four_indices(self, "second_burgers")
        return self


class RandomDislocations(DefectTable):
    """Straight dislocations at random places."""

    exclusive = (("count", "lines_per_um2", "density_per_m2"), ("angle_deg", "character_deg"))
    own_keys: ClassVar[dict[str, tuple[str, ...]]] = {
        "gaussian": ("sigma_um", "depth_um", "normal"),
        "slab": ("width_um", "depth_um", "normal"),
        "box": ("size_um",),
    }

    kind: Literal["random"] = Field("random", description="straight lines at random places")
    count: Annotated[WholeNumber, integer(1, MOST_LINES)] | None = Field(
        None, description="how many", examples=[100]
    )
    lines_per_um2: Density | None = Field(
        None, description="instead of count: lines per area of the region's face"
    )
    density_per_m2: Annotated[StrictFloat, number(1, 1e20)] | None = Field(
        None, description="instead of count: length of line per volume, m/m3; not for a gaussian"
    )
    region: Literal["gaussian", "slab", "box"] = Field(
        "gaussian",
        description='"gaussian" or "slab" along the lit layer, or "box" along x, y, z',
    )
    sigma_um: Size | None = Field(
        None, description="gaussian: standard deviation; default: a quarter of the field of view"
    )
    width_um: Size | None = Field(
        None, description="slab: edge of its square; default: the field of view"
    )
    depth_um: Depth | None = Field(
        None, description="gaussian, slab: thickness along the normal; default: 0"
    )
    normal: Vector | None = Field(
        None,
        description="gaussian, slab: normal in the sample frame; default: that of the layer which "
        "the beam illuminates",
    )
    size_um: BoxSize | None = Field(
        None, description="box: edges along x, y and z of the sample", examples=[(20, 20, 1)]
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="centre of the region in the sample frame"
    )
    minimum_distance_um: Annotated[StrictFloat, number(0, 1e4)] = Field(
        0.0, description="least distance between the points by which lines are drawn"
    )
    slip_families: (
        Annotated[tuple[StrictStr, ...], Allowed("a list of names, at least one", bool)] | None
    ) = Field(
        None, description="default: all slip systems of the crystal", examples=[("{111}<110>",)]
    )
    weights: Annotated[tuple[StrictFloat, ...], numbers(0, 1e9)] | None = Field(
        None,
        description="how often each slip system is drawn; default: all alike",
    )
    angle_deg: Angle | Angles | None = Field(
        None,
        description="from b to line, or a list: 0 screw, 90 edge; default: any",
        examples=[60.0],
    )
    character_deg: Angle | Angles | None = Field(
        None, description="instead: the same counted from edge, 90 - angle_deg"
    )
    excess: Annotated[StrictFloat, number(-1, 1)] = Field(
        0.0, description="excess of one sign: (n+ - n-) / n"
    )
    seed: Annotated[StrictInt, integer(0, 2**63 - 1)] = Field(
        0,
        description="same seed, same dislocations; tables that share one differ",
    )

    @model_validator(mode="after")
    def _says_how_many_and_where(self) -> Self:
        if self.count is None and self.lines_per_um2 is None and self.density_per_m2 is None:
            raise InputError("count", None, "missing; give count, lines_per_um2 or density_per_m2")
        for region, keys in self.own_keys.items():
            for key in keys:
                value = getattr(self, key)
                if value is not None and key not in self.own_keys[self.region]:
                    raise InputError(key, _shown(value), f'needs region = "{region}"')
        if self.region == "box" and self.size_um is None:
            raise InputError("size_um", None, 'missing; region = "box" needs it')
        if self.density_per_m2 is not None:
            self._has_a_volume()
        return self

    def _has_a_volume(self) -> None:
        if self.region == "gaussian":
            raise InputError(
                "density_per_m2", self.density_per_m2, 'needs region = "slab" or "box"'
            )
        if self.region == "slab" and not self.depth_um:
            raise InputError("depth_um", self.depth_um, "must be above 0 with density_per_m2")
        if self.size_um is not None and self.size_um[2] == 0.0:
            raise InputError("size_um", list(self.size_um), "must not be flat with density_per_m2")

    @property
    def line_count(self) -> int | None:
        """How many are drawn; None where a density tells."""
        return self.count

    @property
    def psi_deg(self) -> float | tuple[float, ...] | None:
        """By how much lines are turned from edge towards screw, whichever key says so."""
        if isinstance(self.angle_deg, tuple):
            return tuple(90.0 - angle for angle in self.angle_deg)
        return from_edge(self.angle_deg) if self.character_deg is None else self.character_deg


class BoundarySet(Table):
    """Parallel dislocations that may take part in a boundary."""

    inline: ClassVar[bool] = True

    burgers: IndicesOrFour = Field(description="direction [uvw] of the Burgers vector")
    burgers_fraction: Fraction | None = Field(
        None, description="length as a fraction of [uvw] in cell edges; default: the shortest"
    )
    line: DirectionOrFour = Field(description="direction [uvw] of the lines, in the boundary")
    ratio: Density | None = Field(
        None, description="density relative to the other sets; default: solved"
    )

    @model_validator(mode="after")
    def _has_vectors(self) -> Self:
        check_four_indices(self, "burgers", "line")
        return self


class Boundary(DefectTable):
    """A geometrically necessary boundary: dislocations after Frank's equation."""

    exclusive = (("recipe", "normal"), ("recipe", "axis"), ("recipe", "sets"))

    kind: Literal["boundary"] = Field("boundary", description="dislocations by Frank's equation")
    recipe: Literal["leds_eq11", "leds_eq14", "frankus"] | None = Field(
        None, description="a boundary of the literature, for FCC", examples=["leds_eq11"]
    )
    normal: IndicesOrFour | None = Field(
        None, description="instead of a recipe: plane (hkl) of the boundary ..."
    )
    axis: DirectionOrFour | None = Field(
        None, description="... rotation axis [uvw] of the upper side against the lower ..."
    )
    sets: tuple[BoundarySet, ...] | None = Field(
        None, description="... and the dislocations that may make it"
    )
    angle_deg: Annotated[StrictFloat, number(-30, 30)] = Field(description="misorientation, not 0")
    extent_um: Size | None = Field(
        None, description="width across the lines of each set; default: infinite"
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="centre of the boundary in the sample frame"
    )
    reversible: StrictBool = Field(
        True, description="sets may take part with the Burgers vector reversed"
    )
    tolerance: Annotated[StrictFloat, number(1e-9, 1)] = Field(
        0.02, description="largest share of the misorientation that may be left unaccounted for"
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.angle_deg == 0.0:
            raise InputError("angle_deg", 0.0, "must not be 0")
        if self.recipe is None:
            for key in ("normal", "axis", "sets"):
                if not getattr(self, key):
                    raise InputError(key, None, "missing; give a recipe, or normal, axis and sets")
        check_four_indices(self, "normal", "axis")
        return self

    @property
    def line_count(self) -> int:
        """Walls that it is made of, as many as recipes have."""
        return 3


class StoredDislocations(DefectTable):
    """The defects that the output file of an earlier run lists."""

    kind: Literal["stored"] = Field("stored", description="all defects of an earlier output file")
    file: FileName = Field(
        description="output file of weakbeam; its defects are taken as they were drawn and placed",
        examples=["run/weakbeam.h5"],
    )

    @property
    def line_count(self) -> None:
        """Known when the file is read."""
        return None


class LineTable(DefectTable):
    """Straight dislocations that a table in a file lists."""

    kind: Literal["table"] = Field("table", description="straight dislocations listed in a file")
    file: FileName = Field(
        description="comma-separated values under a line of names: x, y, z and, of each line, "
        "Burgers vector and direction",
        examples=["lines.csv"],
    )
    axes: Literal["sample", "crystal"] = Field(
        "sample",
        description="of x, y, z and all other Cartesian components; x of the crystal along a, z "
        "along c*",
    )
    partial: StrictBool = Field(
        False, description="true allows Burgers vectors that are no lattice vectors"
    )

    @property
    def line_count(self) -> None:
        """Known when the file is read."""
        return None


def _with_kind(tables: object) -> object:
    """A table that does not say its kind is a dislocation."""
    if not isinstance(tables, list | tuple):
        return tables
    return [
        {"kind": "dislocation", **table} if isinstance(table, dict) else table for table in tables
    ]


AllDefects = Annotated[
    tuple[
        Annotated[
            Dislocation
            | Wall
            | RandomDislocations
            | Boundary
            | StoredDislocations
            | LineTable
            | Uniform
            | Loop
            | Polyline
            | Network
            | Grid,
            Field(discriminator="kind"),
        ],
        ...,
    ],
    BeforeValidator(_with_kind),
]
"""The defects of an experiment, of any kinds."""


def _shown(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
