"""What varies from image to image of a training set, in the experiment file."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import Field, StrictFloat, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import Allowed


def _range(low: float, high: float) -> Allowed:
    phrase = f"two numbers from {low:g} to {high:g}, the lower one first"
    return Allowed(phrase, lambda ends: low <= ends[0] <= ends[1] <= high)


_Pair = tuple[StrictFloat, StrictFloat]
_Range = Annotated[
    _Pair, Allowed("two numbers, the lower one first", lambda ends: ends[0] <= ends[1])
]
_Factor = Annotated[_Pair, _range(1e-6, 1e6)]
_Slope = Annotated[_Pair, _range(-1.9, 1.9)]
_Level = Annotated[_Pair, _range(0.0, 65535.0)]
_Levels = Annotated[_Pair, _range(-65535.0, 65535.0)]
_Tilt = Annotated[_Pair, _range(-100.0, 100.0)]
_Drift = Annotated[_Pair, _range(-1e4, 1e4)]

OFFSETS = ("phi_mrad", "chi_mrad", "two_theta_mrad")
"""Keys of what is added to all positions of a motor."""

INSTRUMENT = {
    "height_fwhm_um": "beam",
    "bandwidth_rms": "beam",
    "divergence_vertical_fwhm_mrad": "beam",
    "divergence_vertical_clip_mrad": "beam",
    "divergence_horizontal_fwhm_mrad": "beam",
    "acceptance_fwhm_mrad": "objective",
    "aperture_mrad": "objective",
    "pixel_nm": "camera",
    "psf_px": "camera",
    "phi_blur_mrad": "camera",
}
"""Keys of what takes the place of a key of the experiment, and the table that it stands in."""


class Vary(Table):
    """Ranges from which each image of a training set takes a value, each value equally likely."""

    phi_mrad: _Range | None = Field(None, description="added to all positions of phi")
    chi_mrad: _Range | None = Field(None, description="added to all positions of chi")
    two_theta_mrad: _Range | None = Field(None, description="added to all positions of two_theta")
    height_fwhm_um: _Range | None = Field(None, description="in place of beam.height_fwhm_um")
    bandwidth_rms: _Range | None = Field(None, description="in place of beam.bandwidth_rms")
    divergence_vertical_fwhm_mrad: _Range | None = Field(
        None, description="in place of beam.divergence_vertical_fwhm_mrad"
    )
    divergence_vertical_clip_mrad: _Range | None = Field(
        None, description="in place of beam.divergence_vertical_clip_mrad"
    )
    divergence_horizontal_fwhm_mrad: _Range | None = Field(
        None, description="in place of beam.divergence_horizontal_fwhm_mrad"
    )
    acceptance_fwhm_mrad: _Range | None = Field(
        None, description="in place of objective.acceptance_fwhm_mrad"
    )
    aperture_mrad: _Range | None = Field(None, description="in place of objective.aperture_mrad")
    pixel_nm: _Range | None = Field(None, description="in place of camera.pixel_nm")
    psf_px: _Range | None = Field(None, description="in place of camera.psf_px")
    phi_blur_mrad: _Range | None = Field(None, description="in place of camera.phi_blur_mrad")
    brightness: _Factor | None = Field(
        None, description="factor on the light, like one on camera.counts_per_s"
    )
    illumination_slope: _Slope | None = Field(
        None, description="relative change of the light along y, from edge to edge of the image"
    )
    background_adu: _Level | None = Field(
        None, description="light besides the image, counts of a stored pixel"
    )
    background_slope_adu: _Levels | None = Field(
        None, description="its change from edge to edge, along rows and along columns: two values"
    )
    tilt_gradient_mrad_per_um: _Tilt | None = Field(
        None, description="bending: rotation of the lattice about x and y, along x and y: 2 x 2"
    )
    drift_um: _Drift | None = Field(
        None, description="way of the sample along x and y, from the first frame to the last: two"
    )

    @model_validator(mode="before")
    @classmethod
    def _names_what_can_vary(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key == "z_um":
                raise InputError(
                    key, None, "lines are drawn about the beam's centre: give half_depth_um"
                )
            known = [*cls.model_fields]
            if key not in known and not difflib.get_close_matches(str(key), known, cutoff=0.75):
                raise InputError(
                    str(key), None, f"cannot vary in a training set; {', '.join(known)} can"
                )
        return data

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ranges that are given, by their key."""
        given = {key: getattr(self, key) for key in type(self).model_fields}
        return {key: ends for key, ends in given.items() if ends is not None}
