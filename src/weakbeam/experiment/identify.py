"""Libraries and training sets for identification in the experiment file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.indices import IndicesOrFour
from weakbeam.experiment.nuisance import Nuisance
from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import (
    Allowed,
    MicrometrePositions,
    Position,
    integer,
    number,
    numbers,
)
from weakbeam.experiment.vary import Vary

_Planes = Annotated[tuple[IndicesOrFour, ...], Allowed("a list of planes, at least one", bool)]
_Directions = Annotated[
    tuple[IndicesOrFour, ...], Allowed("a list of directions, at least one", bool)
]
_Positions = Annotated[
    tuple[Position, ...], Allowed("a list of positions (x, y, z), at least one", bool)
]
_Angles = Annotated[tuple[StrictFloat, ...], numbers(-360, 360)]

_Shares = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed(
        "three shares that add up to 1: of images to train with, to validate with, to test with",
        lambda shares: min(shares) >= 0.0 and abs(sum(shares) - 1.0) < 1e-9,
    ),
]

SPLIT_NAMES = ("train", "validation", "test")
"""What the parts of a split set are called."""

_OF_MODE = {
    "multi": (
        "images",
        "dislocations",
        "fewest_dislocations",
        "half_depth_um",
        "margin_px",
        "labels",
        "mask_fraction",
        "mask_sigma",
        "vary",
        "split",
        "format",
        "images_per_shard",
    ),
    "library": ("positions_um", "depths_um"),
}
"""Keys that have a meaning in training sets only, or in libraries only."""


class Identify(Table):
    """The candidates of an identification and their images."""

    exclusive = (("characters_deg", "angles_deg"),)
    instead = (("characters_deg", "character_step_deg"), ("angles_deg", "character_step_deg"))

    mode: Literal["single", "z-scan", "multi"] = Field(
        "single", description='"single", "z-scan": a library; "multi": a training set'
    )
    planes: _Planes | None = Field(
        None, description="slip planes (hkl); default: all of the crystal", examples=[((1, 1, 1),)]
    )
    burgers: _Directions | None = Field(
        None,
        description="Burgers vectors [uvw]; default: all of the crystal",
        examples=[((1, 0, -1),)],
    )
    character_step_deg: Annotated[StrictFloat, number(0.01, 360)] | None = Field(
        10.0, description="step around the circle: 0 edge, 90 screw"
    )
    characters_deg: _Angles | None = Field(
        None,
        description="instead: a list; what is in it twice counts once",
        examples=[(0.0, 90.0, 180.0, 270.0)],
    )
    angles_deg: _Angles | None = Field(
        None,
        description="instead: angles between Burgers vector and line, 0 screw, 90 edge, which are "
        "90 - characters_deg",
    )
    positions_um: _Positions = Field(
        ((0.0, 0.0, 0.0),), description="libraries: points of the lines, sample frame"
    )
    depths_um: MicrometrePositions = Field(
        (0.0,), description="libraries: heights that the lines are raised by"
    )
    images: Annotated[StrictInt, integer(1, 10_000_000)] = Field(
        1000, description="multi: number of images"
    )
    dislocations: Annotated[StrictInt, integer(1, 100)] = Field(
        2, description="multi: dislocations in an image, at most"
    )
    fewest_dislocations: Annotated[StrictInt, integer(1, 100)] | None = Field(
        None, description="multi: at least; default: as many as at most"
    )
    half_depth_um: Annotated[StrictFloat, number(0, 1e4)] = Field(
        0.0, description="multi: heights are drawn from -this to this"
    )
    margin_px: Annotated[StrictFloat, number(0, 1e5)] = Field(
        0.0, description="multi: distance of drawn points from the edges"
    )
    labels: StrictBool = Field(True, description="multi: store what each one adds alone, and masks")
    mask_fraction: Annotated[StrictFloat, number(0, 1)] = Field(
        0.2, description="multi: least part of a mask, of what is added at most"
    )
    mask_sigma: Annotated[StrictFloat, number(0.01, 1e4)] = Field(
        3.0, description="multi: and in standard deviations of the noise"
    )
    noise: StrictBool | None = Field(
        None,
        description="counts with noise; default: multi, if the camera counts",
        examples=[False],
    )
    seed: Annotated[StrictInt, integer(0, 2**63 - 1)] = Field(
        0, description="multi: seed of what is drawn; noise has camera.seed"
    )

    split: _Shares | None = Field(
        None, description="multi: shares of the images to train, validate and test with"
    )
    format: Literal["hdf5", "webdataset", "zarr"] = Field(
        "hdf5", description='multi: "hdf5" file, or shards: "webdataset" (tar), "zarr"'
    )
    images_per_shard: Annotated[StrictInt, integer(1, 1_000_000)] = Field(
        1000, description="multi: images in a shard of the other formats"
    )
    vary: Annotated[Vary | None, Allowed("a table of ranges", lambda table: True)] = Field(
        None, description="multi: what else differs from image to image"
    )
    nuisance: Annotated[Nuisance | None, Allowed("a table of priors", lambda table: True)] = Field(
        None, description="match, fit: what is not known exactly of measured images"
    )

    @property
    def is_training(self) -> bool:
        """Whether a training set is asked for, not a library."""
        return self.mode == "multi"

    @model_validator(mode="after")
    def _has_keys_of_its_mode(self) -> Self:
        other = "library" if self.is_training else "multi"
        for key in _OF_MODE[other]:
            value = getattr(self, key)
            if value != type(self).model_fields[key].default:
                shown = list(map(list, value)) if key == "positions_um" else value
                shown = list(value) if key in ("depths_um", "split") else shown
                shown = None if key == "vary" else shown
                needed = 'mode = "multi"' if other == "multi" else 'mode = "single" or "z-scan"'
                raise InputError(key, shown, f"needs {needed}")
        fewest = self.fewest_dislocations
        if fewest is not None and fewest > self.dislocations:
            raise InputError(
                "fewest_dislocations", fewest, f"must not exceed dislocations = {self.dislocations}"
            )
        return self
