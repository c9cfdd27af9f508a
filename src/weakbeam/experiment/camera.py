"""The camera in the experiment file, and the file that describes a camera of one's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictFloat, StrictInt, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.tables import Table
from weakbeam.experiment.toml_text import parse_toml, read_toml
from weakbeam.experiment.values import (
    Allowed,
    FileName,
    PixelCounts,
    Samples,
    SubPixels,
    integer,
    number,
)

QuarterTurn = Annotated[StrictInt, Allowed("0, 90, 180 or 270", lambda n: n in (0, 90, 180, 270))]
Region = Annotated[
    tuple[StrictInt, StrictInt, StrictInt, StrictInt],
    Allowed(
        "four integers: first row and first column, from 0, and numbers of rows and columns, "
        "from 1, to 100000",
        lambda v: min(v) >= 0 and min(v[2:]) >= 1 and max(v) <= 100_000,
    ),
]


class Camera(Table):
    """The camera, seen in the object plane."""

    forms = (("pixel_nm",), ("camera_pixel_um", "magnification"))
    exclusive = (("counts_per_s", "photons_per_s"),)
    instead = (
        ("camera_pixel_um", "pixel_nm"),
        ("magnification", "pixel_nm"),
        ("photons_per_s", "counts_per_s"),
    )

    pixels: PixelCounts = Field((170, 510), description="rows (along 2theta) and columns (along y)")
    pixel_nm: Annotated[StrictFloat, number(0.1, 1e6)] | None = Field(
        40.0, description="pixel size in the object plane", examples=[40.0]
    )
    camera_pixel_um: Annotated[StrictFloat, number(0.01, 1e4)] | None = Field(
        None, description="instead of pixel_nm: pixel size of the camera ...", examples=[6.5]
    )
    magnification: Annotated[StrictFloat, number(0.1, 1e4)] | None = Field(
        None, description="... and magnification of lens and camera optics", examples=[173.0]
    )
    plane: Literal["vertical", "normal"] = Field(
        "vertical", description='camera plane: "vertical", or "normal" to the diffracted beam'
    )
    oversampling: SubPixels = Field(
        "auto",
        description='sub-pixels along each axis; "auto": by accuracy; "point": the centre',
    )
    depth_samples: Samples = Field(
        "auto", description='points through the height of the beam; "auto": by accuracy'
    )
    accuracy: Annotated[StrictFloat, number(1e-4, 0.1)] = Field(
        0.005, description="rms error by sampling, relative to the image, to aim at"
    )
    psf_px: Annotated[StrictFloat, number(0.1, 50)] | None = Field(
        None, description="standard deviation (pixels) of a Gaussian that blurs the image"
    )
    psf: Literal["lens"] | None = Field(
        None, description='"lens": diffraction in the objective blurs the image, too'
    )
    rotation_deg: QuarterTurn = Field(
        0, description="turn of the image; 180: upside down, as the lens makes it"
    )
    binning: Annotated[StrictInt, integer(1, 64)] = Field(
        1, description="pixels along each axis that make one"
    )
    region: Region | None = Field(
        None, description="part of the image that is kept: first row and column, rows and columns"
    )
    model: Literal["ideal", "pco_edge", "file"] = Field(
        "ideal", description='"ideal": intensities; "pco_edge", or one of a "file": counts'
    )
    file: FileName | None = Field(None, description="the file that describes the camera")
    exposure_s: Annotated[StrictFloat, number(1e-9, 1e9)] = Field(
        1.0, description="exposure time of a frame"
    )
    phi_blur_mrad: Annotated[StrictFloat, number(0, 100)] = Field(
        0.0, description="how far phi moves, uniformly, during the exposure of a frame"
    )
    counts_per_s: Annotated[StrictFloat, number(1e-9, 1e12)] | None = Field(
        1.0e3, description="signal in ADU per second where the relative intensity is 1"
    )
    photons_per_s: Annotated[StrictFloat, number(1e-9, 1e12)] | None = Field(
        None, description="instead of counts_per_s: photons that a pixel detects there per second"
    )
    transmission: Annotated[StrictFloat, number(1e-12, 1)] = Field(
        1.0, description="share of the beam that attenuators let pass"
    )
    dark_frames: Annotated[StrictInt, integer(1, 100_000)] | None = Field(
        None, description="frames without light, in a scan of their own"
    )
    flat_frames: Annotated[StrictInt, integer(1, 100_000)] | None = Field(
        None, description="frames of uniform light, in a scan of their own"
    )
    flat_counts: Annotated[StrictFloat, number(1, 65535)] | None = Field(
        None, description="signal in ADU of a pixel in uniform light; default: 20000"
    )
    seed: Annotated[StrictInt, integer(0, 2**63 - 1)] = Field(
        0, description="seed of the camera noise"
    )

    @model_validator(mode="after")
    def _has_one_pixel_size(self) -> Self:
        given = [key for key in self.forms[1] if getattr(self, key) is not None]
        if self.pixel_nm is not None and given:
            raise InputError(
                "pixel_nm",
                self.pixel_nm,
                "give either pixel_nm, or camera_pixel_um and magnification",
            )
        if self.pixel_nm is None and len(given) < 2:
            key = "magnification" if "camera_pixel_um" in given else "camera_pixel_um"
            raise InputError(
                key, None, "missing; give pixel_nm, or camera_pixel_um and magnification"
            )
        return self

    @model_validator(mode="after")
    def _has_its_file(self) -> Self:
        if self.model == "file" and self.file is None:
            raise InputError("file", None, 'missing; model = "file" needs it')
        if self.model != "file" and self.file is not None:
            raise InputError("file", self.file, 'needs model = "file"')
        return self

    @model_validator(mode="after")
    def _counts_something(self) -> Self:
        if self.counts_per_s is None and self.photons_per_s is None:
            raise InputError("counts_per_s", None, "missing; give counts_per_s, or photons_per_s")
        for key in ("dark_frames", "flat_frames"):
            if self.model == "ideal" and (value := getattr(self, key)) is not None:
                raise InputError(key, value, 'needs a camera that counts: model = "pco_edge"')
        if self.flat_frames is None and self.flat_counts is not None:
            raise InputError("flat_counts", self.flat_counts, "needs flat_frames")
        return self

    @model_validator(mode="after")
    def _reads_pixels_that_there_are(self) -> Self:
        if any(count % self.binning for count in self.pixels):
            raise InputError(
                "binning", self.binning, f"must divide the numbers of pixels, {list(self.pixels)}"
            )
        whole = [count // self.binning for count in self.pixels]
        if self.rotation_deg in (90, 270):
            whole.reverse()
        if self.region is not None:
            row, column, rows, columns = self.region
            if row + rows > whole[0] or column + columns > whole[1]:
                raise InputError(
                    "region",
                    list(self.region),
                    f"reaches beyond the image, which has {whole[0]} rows and {whole[1]} columns",
                )
        return self

    @property
    def is_counting(self) -> bool:
        """Whether frames are counts, not intensities."""
        return self.model != "ideal"

    @property
    def pixel_um(self) -> float:
        """Pixel size in the object plane, um."""
        if self.pixel_nm is not None:
            return self.pixel_nm / 1000.0
        assert self.camera_pixel_um is not None
        assert self.magnification is not None
        return self.camera_pixel_um / self.magnification


Adu = Annotated[StrictFloat, number(0, 1e6)]


class Pattern(Table):
    """What a camera adds to every frame alike."""

    rms_adu: Adu = Field(0.0, description="standard deviation from pixel to pixel")
    tail_share: Annotated[StrictFloat, number(0, 1)] = Field(
        0.0, description="share of the pixels that are warm or hot"
    )
    tail_scale_adu: Adu = Field(
        0.0, description="mean of the exponential distribution of their excess counts"
    )
    edge_rows: Annotated[StrictInt, integer(0, 1000)] = Field(
        0, description="rows at either edge that are brighter"
    )
    edge_peak_adu: Adu = Field(0.0, description="excess of the outermost rows")
    edge_decay_rows: Annotated[StrictFloat, number(1e-3, 1e6)] = Field(
        1.0, description="rows over which the excess falls to 1/e"
    )
    serial: Annotated[StrictInt, integer(0, 2**63 - 1)] = Field(
        0, description="tells one camera of a kind from another"
    )


class CameraFile(Table):
    """A camera: gain, noise and fixed pattern."""

    gain_adu_per_photon: Annotated[StrictFloat, number(1e-3, 1e4)] = Field(
        description="counts of a detected photon"
    )
    offset_adu: Adu = Field(description="counts without light or exposure")
    dark_rate_adu_per_s: Adu = Field(0.0, description="growth of the counts without light")
    read_variance_adu2: Adu = Field(description="variance without light or exposure")
    dark_variance_adu2_per_s: Adu = Field(0.0, description="growth of the variance without light")
    full_well_adu: Annotated[StrictInt, integer(1, 65535)] = Field(
        65535, description="largest count"
    )
    pattern: Pattern = Field(Pattern(), description="What it adds to every frame alike.")


def read_camera_file(path: str) -> CameraFile:
    """Read the file of a camera.

    Parameters
    ----------
    path : str
        TOML with the keys of `CameraFile`.

    Raises
    ------
    InputError
        If it cannot be read, or a value is missing, unknown or not allowed: the message begins with
        the file and the key.
    """
    return _checked(read_toml(path), path)


def camera_preset(name: str) -> CameraFile:
    """Return a camera that comes with the program, such as "pco_edge"."""
    from weakbeam.experiment.presets import preset_text

    return _checked(parse_toml(preset_text(f"camera_{name}"), name), name)


def _checked(data: dict[str, Any], source: str) -> CameraFile:
    try:
        return CameraFile.model_validate(data)
    except InputError as mistake:
        raise InputError(f"{source}: {mistake.key}", mistake.value, mistake.allowed) from None
