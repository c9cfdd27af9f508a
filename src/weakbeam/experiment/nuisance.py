"""What is not known exactly of a measured stack, in the experiment file: priors of nuisances."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import Allowed, integer, number

_Pair = tuple[StrictFloat, StrictFloat]


def _prior(most: float, least: float = 0.0) -> Allowed:
    def fits(value: float | tuple[float, float]) -> bool:
        middle, width = value if isinstance(value, tuple) else (max(0.0, least), value)
        return least <= middle <= most and 0.0 <= width <= most

    phrase = f"a standard deviation from 0 to {most:g}, or a value from {least:g} to {most:g} and "
    return Allowed(phrase + "its standard deviation", fits)


_Offset = Annotated[StrictFloat | _Pair, _prior(1e4, -1e4)]
_Width = Annotated[StrictFloat | _Pair, _prior(100.0)]
_Factor = Annotated[StrictFloat | _Pair, _prior(10.0, 0.01)]
_Deviation = Annotated[StrictFloat, number(0.0, 1e4)]
_Share = Annotated[StrictFloat, number(0.0, 10.0)]
_Error = Annotated[StrictFloat, number(0.0, 1.0)]


class Nuisance(Table):
    """What is fitted along with dislocations, and how well it is known beforehand.

    A prior is a standard deviation, or a value and its standard deviation. A standard deviation of
    0 fixes a nuisance: to its value, or to what the rest of the experiment says.
    """

    phi_offset_urad: _Offset = Field(20.0, description="zero offset of phi")
    chi_offset_urad: _Offset = Field(20.0, description="zero offset of chi")
    two_theta_offset_urad: _Offset = Field(20.0, description="zero offset of two_theta")
    tilt_urad: _Deviation = Field(
        60.0,
        description="rotation of the lattice about x and y: each term of its polynomial over the "
        "window, at the window's edges",
    )
    tilt_degree: Annotated[StrictInt, integer(0, 3)] = Field(
        2, description="degree of that polynomial; 0: none"
    )
    dilatation_urad: _Deviation = Field(
        0.0, description="strain along the diffraction vector, likewise; millionths"
    )
    blur_px: _Width = Field(1.0, description="blur besides camera.psf_px, standard deviation")
    beam_height: _Factor = Field(0.35, description="factor on beam.height_fwhm_um (its logarithm)")
    condenser: _Factor = Field(
        0.1, description="factor on beam.divergence_vertical_clip_mrad (its logarithm)"
    )
    brightness: _Share = Field(0.1, description="brightness from image to image, relative")
    illumination: _Share = Field(
        0.4, description="light along y: each term of its polynomial, relative, at the edges"
    )
    illumination_degree: Annotated[StrictInt, integer(0, 4)] = Field(
        2, description="degree of that polynomial; 0: even light"
    )
    background_degree: Annotated[StrictInt, integer(0, 3)] = Field(
        1, description="degree of the background of each image; 0: even"
    )
    model_error: _Error = Field(
        0.04, description="error of the model, as a share of the light of each pixel"
    )
    background_error: _Error = Field(0.02, description="likewise, of its background")
    bad_pixels: StrictBool = Field(
        True, description="find hot, dead and saturated pixels, and leave them out"
    )
