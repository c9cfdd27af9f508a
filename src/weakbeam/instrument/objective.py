"""The objective: a thick compound refractive lens of equal, equally spaced parabolic lenslets.

Lengths are in µm along the beam as across it, angles in rad; heights are measured from the axis of
the lens. How rays run through the stack is computed in `weakbeam.instrument.lens_stack`; distances
to object and image count from its ends, half a pitch outside the centres of the first and the last
lenslet. Formulas: docs/explanation/physics.md, B2, derived in docs/explanation/lens.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.instrument.beam import FWHM_PER_SIGMA, wavelength
from weakbeam.instrument.lens_stack import (
    drift,
    focus_change,
    lenslet_heights,
    object_distance,
    stack_matrix,
    stack_phase,
)
from weakbeam.instrument.matter import attenuation, refractive_decrement

_MOST_LENSLETS = 10_000
# An object distance (µm) from which every lens forms a real image.
_FAR = 1e15


def sharpness(energy_kev: float, acceptance_fwhm: float) -> tuple[float, float]:
    """How sharp a lens of a Gaussian acceptance images.

    Parameters
    ----------
    energy_kev : float
        Photon energy.
    acceptance_fwhm : float
        Full width at half maximum of the angles that pass (rad).

    Returns
    -------
    resolution, depth_of_field : float
        See :attr:`CompoundRefractiveLens.resolution_fwhm` and
        :attr:`~CompoundRefractiveLens.depth_of_field` (µm).
    """
    length, rms = 1e-4 * wavelength(energy_kev), acceptance_fwhm / FWHM_PER_SIGMA
    return FWHM_PER_SIGMA * length / (4.0 * math.pi * rms), length / (2.0 * math.pi * rms**2)


@dataclass(frozen=True)
class CompoundRefractiveLens:
    """A stack of bi-concave parabolic lenslets that images an object at a distance.

    Parameters
    ----------
    lenslets : int
        Number N of lenslets.
    radius : float
        Radius of curvature R at the apex of each of their two surfaces (µm).
    pitch : float
        Distance T from lenslet to lenslet (µm).
    decrement : float
        Decrement δ of the refractive index.
    attenuation : float
        Attenuation coefficient μ of the material (1/µm).
    energy : float
        Photon energy (keV).
    distance : float
        Distance d1 from the object to the entrance of the stack (µm).
    web : float
        Material left between the two apices of a lenslet (µm).
    thickness : float, optional
        Of a lenslet along the beam (µm), which limits its aperture; by default the pitch.

    Raises
    ------
    ValueError
        For values that are not positive, for a stack that focuses inside itself, and for an object
        so close that it has no real image.
    """

    lenslets: int
    radius: float
    pitch: float
    decrement: float
    attenuation: float
    energy: float
    distance: float
    web: float = 0.0
    thickness: float | None = None

    def __post_init__(self) -> None:
        """Check that the values describe a lens, and that it forms an image."""
        for name, unit in (
            ("lenslets", ""),
            ("radius", " µm"),
            ("pitch", " µm"),
            ("decrement", ""),
            ("attenuation", "/µm"),
            ("energy", " keV"),
            ("distance", " µm"),
        ):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise ValueError(f"{name} {value:g}{unit} is not positive and finite")
        if self.lenslets != int(self.lenslets) or self.lenslets > _MOST_LENSLETS:
            raise ValueError(
                f"lenslets {self.lenslets:g} is not a whole number up to {_MOST_LENSLETS}"
            )
        if not 0.0 < self.lenslet_thickness <= self.pitch:
            raise ValueError(
                f"thickness {self.lenslet_thickness:g} µm is not between 0 and the pitch, "
                f"{self.pitch:g} µm"
            )
        if not 0.0 <= self.web < self.lenslet_thickness:
            raise ValueError(
                f"web {self.web:g} µm is not between 0 and the thickness of a lenslet, "
                f"{self.lenslet_thickness:g} µm"
            )
        stack_phase(self.lenslets, self.pitch, self.lenslet_focal_length)
        if self.distance <= self.back_focal_distance:
            raise ValueError(
                f"distance {1e-6 * self.distance:g} m is within the front focal distance, "
                f"{1e-6 * self.back_focal_distance:.4g} m: there is no real image"
            )

    @classmethod
    def of_material(
        cls,
        material: str,
        energy: float,
        *,
        lenslets: int,
        radius: float,
        pitch: float,
        distance: float | None = None,
        magnification: float | None = None,
        web: float = 0.0,
        thickness: float | None = None,
    ) -> Self:
        """Make a lens of a material of the table in `weakbeam.instrument.matter`.

        Parameters
        ----------
        material : str
            Name of the material.
        energy : float
            Photon energy (keV).
        lenslets, radius, pitch, web, thickness
            As those of the class.
        distance, magnification : float
            Either the distance d1 of the object (µm), or the magnification M.

        Raises
        ------
        ValueError
            As the class; also for an unknown material, an energy outside the tables, a
            magnification that is out of reach, and if not exactly one of distance and
            magnification is given.
        """
        if (distance is None) == (magnification is None):
            raise ValueError("a lens needs its distance from the object, or its magnification")
        lens = cls(
            lenslets=lenslets,
            radius=radius,
            pitch=pitch,
            decrement=refractive_decrement(material, energy),
            attenuation=attenuation(material, energy),
            energy=energy,
            distance=_FAR if distance is None else distance,
            web=web,
            thickness=thickness,
        )
        return lens if magnification is None else lens.at_magnification(magnification)

    def at_magnification(self, magnification: float) -> Self:
        """Return the same lens at the distance where it magnifies by `magnification`."""
        return replace(
            self,
            distance=object_distance(
                self.lenslets, self.pitch, self.lenslet_focal_length, magnification
            ),
        )

    # The stack by itself.

    @property
    def lenslet_focal_length(self) -> float:
        """Focal length f = R / 2δ of one lenslet (µm)."""
        return self.radius / (2.0 * self.decrement)

    @property
    def phase(self) -> float:
        """Phase φ = arccos(1 - T / 2f) by which one cell turns a ray (rad)."""
        return stack_phase(1, self.pitch, self.lenslet_focal_length)

    @property
    def characteristic_length(self) -> float:
        """Length Z = f sinφ = √(f T (1 - T / 4f)) that makes an angle a height (µm)."""
        return self.lenslet_focal_length * math.sin(self.phase)

    @property
    def length(self) -> float:
        """Length N T of the stack (µm)."""
        return self.lenslets * self.pitch

    @property
    def ray_transfer_matrix(self) -> Floats:
        """Matrix K of the stack, shape (2, 2): (height µm, angle rad) at exit from entrance."""
        return stack_matrix(self.lenslets, self.pitch, self.lenslet_focal_length)

    @property
    def focal_length(self) -> float:
        """Focal length Z / sin Nφ of the stack, from its principal planes (µm).

        It is also the scale of the back focal plane, in µm per rad: a ray that leaves the object
        at the angle α crosses that plane at the height α Z / sin Nφ, wherever it started.
        """
        return self.characteristic_length / math.sin(self.lenslets * self.phase)

    @property
    def back_focal_distance(self) -> float:
        """Distance f_N = Z cot Nφ from the exit of the stack to its back focal plane (µm)."""
        return self.characteristic_length / math.tan(self.lenslets * self.phase)

    # The image.

    @property
    def magnification(self) -> float:
        """Magnification M, positive; the image is upside down."""
        return self.focal_length / (self.distance - self.back_focal_distance)

    @property
    def image_distance(self) -> float:
        """Distance d2 = Z (M + cos Nφ) / sin Nφ from the exit of the stack to the image (µm)."""
        return self.magnification * self.focal_length + self.back_focal_distance

    @property
    def total_length(self) -> float:
        """Distance d1 + N T + d2 from object to image (µm)."""
        return self.distance + self.length + self.image_distance

    @property
    def imaging_matrix(self) -> Floats:
        """Matrix from object to image, shape (2, 2): [[-M, 0], [-sin Nφ / Z, -1/M]]."""
        return drift(self.image_distance) @ self.ray_transfer_matrix @ drift(self.distance)

    @property
    def chromatic_object_shift(self) -> float:
        """How far the plane in focus moves away from the lens, per ΔE/E, camera fixed (µm).

        From f ∝ E², that is df/f = 2 dE/E, which holds away from absorption edges.
        """
        return 2.0 * self._focus_change / self.magnification

    @property
    def chromatic_image_shift(self) -> float:
        """How far the image moves away from the lens, per ΔE/E, object fixed (µm)."""
        return 2.0 * self._focus_change * self.magnification

    @property
    def _focus_change(self) -> float:
        return focus_change(
            self.lenslets,
            self.pitch,
            self.lenslet_focal_length,
            self.distance,
            self.image_distance,
        )

    # What passes.

    @property
    def acceptance_rms(self) -> float:
        r"""Standard deviation σ_a of the angles that pass from a point on the axis (rad).

        A ray crosses x²/R of material in a lenslet that it meets at the height x, so that the
        transmission is a Gaussian of its angle, alike in both directions across the beam:

        .. math:: \sigma_a^2 = \frac{R}{2\mu\sum_n (\partial x_n/\partial\alpha)^2}
                  = \frac{R}{\mu N (d_1^2 + f^2\varphi^2)
                    [1 - \sin N\varphi\cos(N\varphi + 2\psi) / (N\sin\varphi)]}

        with tan ψ = d1 / fφ (docs/explanation/physics.md, B2); the second form, not used here,
        neglects φ² against 1. The rim of the lenslets is not part of it: see `half_angle`.
        """
        _, _, by_angle = self._squared_heights
        return math.sqrt(self.radius / (2.0 * self.attenuation * by_angle))

    @property
    def acceptance_fwhm(self) -> float:
        """Full width at half maximum of the angles that pass from a point on the axis (rad)."""
        return FWHM_PER_SIGMA * self.acceptance_rms

    @property
    def vignetting(self) -> float:
        """How the centre of the acceptance moves with the height of the object point (rad/µm).

        A point at the height y is seen under angles around `vignetting` · y. The slope is
        negative: the rays that lose least are those that turn towards the axis.
        """
        _, mixed, by_angle = self._squared_heights
        return -mixed / by_angle

    @property
    def field_rms(self) -> float:
        """Standard deviation of the brightness over the field of view, from its vignetting (µm)."""
        by_height, mixed, by_angle = self._squared_heights
        narrowed = by_height - mixed**2 / by_angle
        return math.sqrt(self.radius / (2.0 * self.attenuation * narrowed))

    @property
    def lenslet_thickness(self) -> float:
        """Thickness of a lenslet along the beam (µm)."""
        return self.pitch if self.thickness is None else self.thickness

    @property
    def aperture(self) -> float:
        """Diameter D = 2 √(R (thickness - web)) at which its two parabolas fill a lenslet (µm)."""
        return 2.0 * math.sqrt(self.radius * (self.lenslet_thickness - self.web))

    @property
    def entrance_half_angle(self) -> float:
        """Angle D / 2 d1 of the rim of the entrance, as usually quoted (rad)."""
        return self.aperture / (2.0 * self.distance)

    @property
    def half_angle(self) -> float:
        """Largest angle from a point on the axis that clears the rims of all lenslets (rad).

        It is less than `entrance_half_angle` wherever rays still climb inside the stack.
        """
        _, by_angle = self._heights
        return self.aperture / (2.0 * float(np.abs(by_angle).max()))

    @property
    def axial_transmission(self) -> float:
        """Transmission of the ray along the axis, through the webs of all lenslets."""
        return math.exp(-self.attenuation * self.lenslets * self.web)

    @property
    def effective_transmission(self) -> float:
        """Share that passes of the rays from a point on the axis within the round `half_angle`."""
        reach = 0.5 * (self.half_angle / self.acceptance_rms) ** 2
        return self.axial_transmission * -math.expm1(-reach) / reach

    # How sharp the image is.

    @property
    def resolution_fwhm(self) -> float:
        """Diffraction-limited resolution in the object plane (µm, FWHM).

        The image of a point through a Gaussian pupil is the Gaussian of the standard deviation
        λ / 4π σ_a, whence FWHM = (2 ln 2 / π) λ / FWHM_a = 0.441 λ / FWHM_a for an acceptance of
        the width FWHM_a (Fourier transform of the pupil; docs/explanation/physics.md, B4).
        """
        return sharpness(self.energy, self.acceptance_fwhm)[0]

    @property
    def depth_of_field(self) -> float:
        """Depth along the beam within which a point is sharp (µm).

        From end to end of the range in which the image of a point is at most √2 times as wide as
        in focus: λ / 2π σ_a², twice the Rayleigh range of a Gaussian beam of the divergence σ_a.
        """
        return sharpness(self.energy, self.acceptance_fwhm)[1]

    # Rays.

    def ray_path(self, height: ArrayLike, angle: ArrayLike) -> tuple[Floats, Floats]:
        """Follow rays from the object to the image.

        Parameters
        ----------
        height, angle : array_like, shape (...)
            Where the rays leave the object (µm), and at which angle to the axis (rad).

        Returns
        -------
        along : (N + 2,) ndarray
            Distances from the object (µm): the object, the N lenslets, the image.
        heights : (..., N + 2) ndarray
            Heights of the rays there (µm); between these planes a ray is straight.
        """
        height, angle = np.broadcast_arrays(
            np.asarray(height, dtype=float), np.asarray(angle, dtype=float)
        )
        centers = self.distance + self.pitch * (np.arange(self.lenslets) + 0.5)
        by_height, by_angle = self._heights
        to_image = self.imaging_matrix[0]
        row = np.concatenate([[1.0], by_height, to_image[:1]])
        slope = np.concatenate([[0.0], by_angle, to_image[1:]])
        along = np.concatenate([[0.0], centers, [self.total_length]])
        return along, height[..., None] * row + angle[..., None] * slope

    def transmission(self, height: ArrayLike, angle: ArrayLike) -> Floats:
        """Transmission of rays through the material of all lenslets, rims disregarded.

        Parameters
        ----------
        height, angle
            As for :meth:`ray_path`.

        Returns
        -------
        (...) ndarray
            Between 0 and 1.
        """
        x, a = np.asarray(height, dtype=float), np.asarray(angle, dtype=float)
        by_height, mixed, by_angle = self._squared_heights
        crossed = (by_height * x**2 + 2.0 * mixed * x * a + by_angle * a**2) / self.radius
        return np.asarray(self.axial_transmission * np.exp(-self.attenuation * crossed))

    @property
    def _heights(self) -> tuple[Floats, Floats]:
        """Heights at the N lenslets per height (1) and per angle (µm) at the object."""
        return lenslet_heights(self.lenslets, self.pitch, self.lenslet_focal_length, self.distance)

    @property
    def _squared_heights(self) -> tuple[float, float, float]:
        """Coefficients of Σ x_n² in height² (1), height · angle (µm, half) and angle² (µm²)."""
        by_height, by_angle = self._heights
        return (
            float(by_height @ by_height),
            float(by_height @ by_angle),
            float(by_angle @ by_angle),
        )
