"""Priors of what is not known exactly of a measured stack, in the units of the physics."""

from __future__ import annotations

from dataclasses import dataclass

from weakbeam.experiment.nuisance import Nuisance
from weakbeam.imaging.motors import ANGLES

_URAD = 1e-6


@dataclass(frozen=True)
class Prior:
    """A normal prior.

    Parameters
    ----------
    mean : float
        Its middle.
    width : float
        Its standard deviation; 0 for what is fixed to the mean.
    """

    mean: float
    width: float

    @property
    def free(self) -> bool:
        """Whether it leaves anything to be fitted."""
        return self.width > 0.0


@dataclass(frozen=True)
class NuisancePriors:
    """What is known beforehand of the nuisances of a stack.

    Parameters
    ----------
    offsets : dict of str to Prior
        Zero offsets of ``phi``, ``chi`` and ``two_theta`` (rad): what is added to the positions
        that are written.
    tilt : float
        Standard deviation of each term of the lattice's rotation about x and y, at the edges of the
        window (rad).
    tilt_degree : int
        Degree of these polynomials; 0 for none.
    dilatation : float
        Standard deviation of each term of the strain along the diffraction vector.
    blur_px : Prior
        Standard deviation of a Gaussian blur (pixels) besides the camera's.
    beam_height, condenser : Prior
        Factors on the height of the beam and the half width of the condenser; the mean is that of
        the factor, the width that of its logarithm.
    brightness : float
        Standard deviation of the brightness from image to image, relative.
    illumination : float
        Standard deviation of each term of the light along y, relative.
    illumination_degree, background_degree : int
        Degrees of polynomials; 0 for what is even.
    model_error, background_error : float
        Standard deviation of the model's error as a share of light and of background.
    bad_pixels : bool
        Whether hot, dead and saturated pixels are to be found.
    """

    offsets: dict[str, Prior]
    tilt: float
    tilt_degree: int
    dilatation: float
    blur_px: Prior
    beam_height: Prior
    condenser: Prior
    brightness: float
    illumination: float
    illumination_degree: int
    background_degree: int
    model_error: float
    background_error: float
    bad_pixels: bool

    @classmethod
    def of(cls, table: Nuisance | None = None) -> NuisancePriors:
        """The priors that an experiment states, the defaults where it states none."""
        t = table or Nuisance()
        return cls(
            offsets={m: _prior(getattr(t, f"{m}_offset_urad"), 0.0, _URAD) for m in ANGLES},
            tilt=_URAD * t.tilt_urad,
            tilt_degree=t.tilt_degree,
            dilatation=_URAD * t.dilatation_urad,
            blur_px=_prior(t.blur_px, 0.0),
            beam_height=_prior(t.beam_height, 1.0),
            condenser=_prior(t.condenser, 1.0),
            brightness=t.brightness,
            illumination=t.illumination,
            illumination_degree=t.illumination_degree,
            background_degree=t.background_degree,
            model_error=t.model_error,
            background_error=t.background_error,
            bad_pixels=t.bad_pixels,
        )


def _prior(value: float | tuple[float, float], mean: float, unit: float = 1.0) -> Prior:
    middle, width = value if isinstance(value, tuple) else (mean, value)
    # A mean that is a factor has no unit to be converted, and a plain width no mean.
    return Prior(unit * middle, unit * width)
