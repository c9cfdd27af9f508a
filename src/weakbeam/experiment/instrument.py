"""The instrument in the experiment file: beam, objective with its stop, acceptance."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.tables import Table, Variant
from weakbeam.experiment.values import (
    FileName,
    MaterialName,
    VoxelCounts,
    WholeNumber,
    integer,
    number,
    numbers,
)

Size = Annotated[StrictFloat, number(1e-3, 1e5)]
Place = Annotated[StrictFloat, number(-1e5, 1e5)]
Axis = Literal["two_theta", "roll"]


class SpectralLine(Table):
    """One Gaussian of the spectrum."""

    inline: ClassVar[bool] = True

    weight: Annotated[StrictFloat, number(1e-9, 1e9)] = Field(
        1.0, description="its share of the intensity, relative to the others"
    )
    center: Annotated[StrictFloat, number(-0.5, 0.5)] = Field(
        0.0, description="relative energy (E - energy_keV) / energy_keV of its centre"
    )
    rms: Annotated[StrictFloat, number(1e-6, 0.1)] = Field(
        description="its standard deviation in relative energy"
    )


class Beam(Table):
    """The incident beam."""

    forms = (("bandwidth_rms",), ("spectrum",))
    instead = (("spectrum", "bandwidth_rms"),)

    energy_keV: Annotated[StrictFloat, number(1, 1000)] = Field(17.0, description="photon energy")
    bandwidth_rms: Annotated[StrictFloat, number(1e-6, 0.1)] | None = Field(
        6.0e-5, description="relative energy spread, rms"
    )
    spectrum: tuple[SpectralLine, ...] | None = Field(
        None,
        description="instead of bandwidth_rms: a sum of Gaussians in relative energy",
        examples=[({"weight": 1.0, "center": 0.0, "rms": 6.0e-5},)],
    )
    divergence_vertical_fwhm_mrad: Annotated[StrictFloat, number(1e-4, 100)] = Field(
        0.53, description="angular spread of the rays, vertical"
    )
    divergence_vertical_profile: Literal["gaussian", "uniform"] = Field(
        "gaussian", description='"gaussian", or "uniform" over that full width'
    )
    divergence_vertical_clip_mrad: Annotated[StrictFloat, number(1e-4, 100, inf=True)] = Field(
        0.14, description="half width of the condenser; inf: none"
    )
    divergence_horizontal_fwhm_mrad: Annotated[StrictFloat, number(0, 100)] = Field(
        0.0, description="angular spread of the rays, horizontal"
    )
    height_fwhm_um: Annotated[StrictFloat, number(1e-3, 1e5)] = Field(
        0.15, description="height of the line beam in the sample"
    )
    profile: Literal["gaussian", "box", "tabulated"] = Field(
        "gaussian",
        description='"gaussian", "box" of that full height, or "tabulated"',
    )
    profile_um: Annotated[tuple[StrictFloat, ...], numbers(-1e5, 1e5, 2)] | None = Field(
        None, description="of a tabulated profile: increasing heights ...", examples=[(-0.5, 0, 1)]
    )
    profile_intensity: Annotated[tuple[StrictFloat, ...], numbers(0, 1e30, 2)] | None = Field(
        None, description="... and intensity there, linear in between", examples=[(0, 1, 0)]
    )

    @model_validator(mode="after")
    def _has_one_spectrum(self) -> Self:
        if self.spectrum is None and self.bandwidth_rms is None:
            raise InputError("bandwidth_rms", None, "missing; give bandwidth_rms, or spectrum")
        if self.spectrum is not None and self.bandwidth_rms is not None:
            raise InputError(
                "bandwidth_rms", self.bandwidth_rms, "give either bandwidth_rms or spectrum"
            )
        if self.spectrum == ():
            raise InputError("spectrum", [], "must be a list of one or more tables")
        return self

    @model_validator(mode="after")
    def _has_the_table_of_its_profile(self) -> Self:
        keys = ("profile_um", "profile_intensity")
        if self.profile != "tabulated":
            for key in keys:
                if (value := getattr(self, key)) is not None:
                    raise InputError(key, list(value), 'needs profile = "tabulated"')
            return self
        for key in keys:
            if getattr(self, key) is None:
                raise InputError(key, None, "missing; a tabulated profile needs it")
        heights, values = self.profile_um or (), self.profile_intensity or ()
        if any(a >= b for a, b in itertools.pairwise(heights)):
            raise InputError("profile_um", list(heights), "must increase")
        if len(values) != len(heights):
            raise InputError(
                "profile_intensity",
                list(values),
                f"must have one value for each of the {len(heights)} heights of profile_um",
            )
        if not any(values):
            raise InputError("profile_intensity", list(values), "must not all be 0")
        return self

    @property
    def lines(self) -> tuple[tuple[float, float, float], ...]:
        """The spectrum as (weight, centre, rms) in relative energy; the weights add up to 1."""
        if self.spectrum is None:
            assert self.bandwidth_rms is not None
            return ((1.0, 0.0, self.bandwidth_rms),)
        total = sum(line.weight for line in self.spectrum)
        return tuple((line.weight / total, line.center, line.rms) for line in self.spectrum)

    @property
    def total_bandwidth_rms(self) -> float:
        """Relative energy spread of the whole spectrum, rms about its mean."""
        if self.bandwidth_rms is not None:
            return self.bandwidth_rms
        mean = sum(weight * center for weight, center, _ in self.lines)
        return math.sqrt(sum(w * (rms**2 + (c - mean) ** 2) for w, c, rms in self.lines))


class Lens(Table):
    """A compound refractive lens: equal, equally spaced parabolic lenslets."""

    inline: ClassVar[bool] = True
    forms = (("distance_m",), ("magnification",))

    lenslets: Annotated[StrictInt, integer(1, 10_000)] = Field(description="number of lenslets")
    radius_um: Annotated[StrictFloat, number(0.1, 1e5)] = Field(
        description="radius of curvature at the apex of each surface"
    )
    pitch_mm: Annotated[StrictFloat, number(1e-3, 1000)] = Field(
        description="distance from lenslet to lenslet"
    )
    material: MaterialName = Field("Be", description='"Be", "Al", "diamond", "SU-8" or "Ni"')
    web_um: Annotated[StrictFloat, number(0, 1e5)] = Field(
        0.0, description="material left between the apices of a lenslet"
    )
    thickness_mm: Annotated[StrictFloat, number(1e-3, 1000)] | None = Field(
        None, description="of a lenslet, which limits its aperture; default: the pitch"
    )
    distance_m: Annotated[StrictFloat, number(1e-4, 1000)] | None = Field(
        None, description="from the sample to the lens"
    )
    magnification: Annotated[StrictFloat, number(1e-3, 1e5)] | None = Field(
        None, description="instead of distance_m: magnification of the lens alone"
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if self.distance_m is None and self.magnification is None:
            raise InputError("distance_m", None, "missing; give distance_m, or magnification")
        if self.distance_m is not None and self.magnification is not None:
            raise InputError(
                "magnification", self.magnification, "give either distance_m or magnification"
            )
        return self


class SquareAperture(Variant):
    """A square hole about the axis."""

    kind: Literal["square_aperture"] = Field("square_aperture", description="a square hole")
    size_um: Size = Field(description="full width of the hole")


class RoundAperture(Variant):
    """A round hole about the axis."""

    kind: Literal["round_aperture"] = Field("round_aperture", description="a round hole")
    diameter_um: Size = Field(description="diameter of the hole")


class KnifeEdge(Variant):
    """An edge that passes what is on one side of it."""

    kind: Literal["knife_edge"] = Field(
        "knife_edge", description="an edge that blocks everything on one side"
    )
    position_um: Place = Field(0.0, description="where the edge stands; 0: on the axis")
    side: Literal["above", "below"] = Field("above", description="the side that passes")
    axis: Axis = Field("two_theta", description="along which it is positioned")


class CentralStop(Variant):
    """A square block about the axis."""

    kind: Literal["central_stop"] = Field("central_stop", description="a square block on the axis")
    size_um: Size = Field(description="full width of the block")


class Wire(Variant):
    """An absorbing cylinder across the beam."""

    kind: Literal["wire"] = Field("wire", description="a cylinder that absorbs")
    diameter_um: Size = Field(description="its diameter")
    position_um: Place = Field(0.0, description="where its centre stands; 0: on the axis")
    axis: Axis = Field("two_theta", description="along which it is positioned")
    material: MaterialName = Field("W", description="what it is made of")


Stop = Annotated[
    SquareAperture | RoundAperture | KnifeEdge | CentralStop | Wire, Field(discriminator="kind")
]


class Objective(Table):
    """The objective lens, as the diffracted rays see it."""

    instead = (("lens", "acceptance_fwhm_mrad"), ("lens", "aperture_mrad"))

    acceptance_fwhm_mrad: Annotated[StrictFloat, number(1e-3, 100)] | None = Field(
        0.731, description="angular acceptance of the lens"
    )
    aperture_mrad: Annotated[StrictFloat, number(1e-3, 100, inf=True)] | None = Field(
        1.0323, description="half width of its square angular aperture; inf: none"
    )
    lens: Lens | None = Field(
        None,
        description="the lens that acceptance_fwhm_mrad and aperture_mrad, unless given, are "
        "computed from",
        examples=[{"lenslets": 88, "radius_um": 50.0, "pitch_mm": 1.6, "distance_m": 0.274}],
    )
    vignetting: StrictBool = Field(
        False, description="the angles that pass move with the place in the field of view"
    )
    stop: Stop | None = Field(
        None,
        description="what stands in the back focal plane of the lens",
        examples=[{"kind": "square_aperture", "size_um": 25.0}],
    )

    @model_validator(mode="after")
    def _has_its_angles(self) -> Self:
        for key in ("acceptance_fwhm_mrad", "aperture_mrad"):
            if self.lens is None and getattr(self, key) is None:
                raise InputError(key, None, "missing; give it, or lens")
        return self


class Acceptance(Table):
    """How the acceptance of the instrument in reciprocal space is computed."""

    method: Literal["closed-form", "ray-trace", "kernel"] = Field(
        "closed-form",
        description='"closed-form", "ray-trace" into a table, or a table from a "kernel" file',
    )
    file: FileName | None = Field(
        None, description="the file of a kernel, from weakbeam bootstrap", examples=["kernel.h5"]
    )
    rays: Annotated[WholeNumber, integer(1, 10**15)] = Field(
        100_000_000, description="number of rays to trace"
    )
    bins: VoxelCounts = Field(
        (400, 200, 200), description="voxels of the table along rock', roll and 2theta"
    )
    seed: Annotated[StrictInt, integer(0, 2**63 - 1)] = Field(0, description="seed of the rays")

    @model_validator(mode="after")
    def _has_its_file(self) -> Self:
        if self.method == "kernel" and self.file is None:
            raise InputError("file", None, 'missing; method = "kernel" needs it')
        if self.method != "kernel" and self.file is not None:
            raise InputError("file", self.file, 'needs method = "kernel"')
        return self
