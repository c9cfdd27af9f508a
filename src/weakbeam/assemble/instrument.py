"""From the experiment's description of the instrument to the objects of the physics.

Lengths in the back focal plane become angles by the focal length of the lens
(docs/explanation/lens.md).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.errors import InputError
from weakbeam.experiment import (
    CentralStop,
    Experiment,
    KnifeEdge,
    Lens,
    RoundAperture,
    SquareAperture,
    Wire,
)
from weakbeam.instrument import stops
from weakbeam.instrument.beam import FWHM_PER_SIGMA, BeamProfile
from weakbeam.instrument.lens_stack import stack_matrix
from weakbeam.instrument.matter import attenuation
from weakbeam.instrument.objective import CompoundRefractiveLens
from weakbeam.instrument.optics import Optics

ID06_LENS = Lens(lenslets=88, radius_um=50.0, pitch_mm=1.6, material="Be", distance_m=0.274)
"""The lens that stands in where an experiment gives none (docs/explanation/physics.md, B2)."""

ID06_LENSLET_FOCAL_LENGTH_UM = 21.21467e6
"""Published focal length of its lenslets at 17 keV; it grows with the square of the energy."""

LEAST_SHARE = 1e-9
"""Share of the intensity below which a stop or a spectrum is taken to leave nothing."""

# The first word of a complaint of the lens, and the key that it is about.
_LENS_KEYS = {
    "energy": "beam.energy_keV",
    "lenslets": "objective.lens.lenslets",
    "radius": "objective.lens.radius_um",
    "pitch": "objective.lens.pitch_mm",
    "material": "objective.lens.material",
    "decrement": "objective.lens.material",
    "attenuation": "objective.lens.material",
    "web": "objective.lens.web_um",
    "thickness": "objective.lens.thickness_mm",
    "distance": "objective.lens.distance_m",
    "magnification": "objective.lens.magnification",
}


def lens_of(experiment: Experiment) -> CompoundRefractiveLens | None:
    """Build the lens of an experiment, at its photon energy.

    Returns
    -------
    CompoundRefractiveLens or None
        None if the experiment gives the angles that pass, and no lens.

    Raises
    ------
    InputError
        If there is no such lens, or it forms no image.
    """
    table = experiment.objective.lens
    return None if table is None else _built(table, experiment.beam.energy_keV)


def _built(table: Lens, energy: float) -> CompoundRefractiveLens:
    try:
        return CompoundRefractiveLens.of_material(
            table.material,
            energy,
            lenslets=table.lenslets,
            radius=table.radius_um,
            pitch=1e3 * table.pitch_mm,
            web=table.web_um,
            thickness=None if table.thickness_mm is None else 1e3 * table.thickness_mm,
            distance=None if table.distance_m is None else 1e6 * table.distance_m,
            magnification=table.magnification,
        )
    except ValueError as error:
        # The complaint tells the value itself, in the unit that it compares in.
        key = _LENS_KEYS.get(str(error).partition(" ")[0], "objective.lens")
        raise InputError(key, None, str(error)) from None


def accepted_angles(experiment: Experiment) -> tuple[float, float]:
    """Angles that pass the objective: as given, or else those of its lens.

    Returns
    -------
    acceptance_fwhm_mrad, aperture_mrad : float
        Full width at half maximum of the Gaussian, and half width of the square that cuts it.
        Of a lens, the latter is the largest angle that clears the rims of all lenslets.

    Raises
    ------
    InputError
        As `lens_of`.
    """
    objective, lens = experiment.objective, lens_of(experiment)
    fwhm, aperture = objective.acceptance_fwhm_mrad, objective.aperture_mrad
    if lens is not None:
        fwhm = 1e3 * lens.acceptance_fwhm if fwhm is None else fwhm
        aperture = 1e3 * lens.half_angle if aperture is None else aperture
    assert fwhm is not None
    assert aperture is not None
    return fwhm, aperture


def back_focal_scale(experiment: Experiment) -> float:
    """Height in the back focal plane per angle at the sample: the focal length (µm/rad).

    Where the experiment gives no lens, that of ID06 at its energy, 266.24 mm/rad at 17 keV.

    Raises
    ------
    InputError
        As `lens_of`; or if the lens of ID06 does not work at this energy.
    """
    if (lens := lens_of(experiment)) is not None:
        return lens.focal_length
    energy = experiment.beam.energy_keV
    focal_length = ID06_LENSLET_FOCAL_LENGTH_UM * (energy / 17.0) ** 2
    try:
        matrix = stack_matrix(ID06_LENS.lenslets, 1e3 * ID06_LENS.pitch_mm, focal_length)
    except ValueError:
        raise InputError(
            "beam.energy_keV",
            energy,
            "the 88 lenslets of ID06 focus inside their stack; give objective.lens for the stop",
        ) from None
    return -1.0 / float(matrix[1, 0])


def stops_of(experiment: Experiment) -> tuple[stops.Stop, ...]:
    """Build what stands in the back focal plane, with its lengths as angles.

    Raises
    ------
    InputError
        If it is larger than the lens, of an unknown material, or at an energy outside the tables.
    """
    table = experiment.objective.stop
    if table is None:
        return ()
    _check_size(experiment)
    scale = back_focal_scale(experiment)
    match table:
        case SquareAperture():
            return (stops.SquareOpening(0.5 * table.size_um / scale),)
        case RoundAperture():
            return (stops.RoundOpening(0.5 * table.diameter_um / scale),)
        case KnifeEdge():
            return (stops.KnifeBlade(table.position_um / scale, table.axis, table.side),)
        case CentralStop():
            return (stops.CentralBlock(0.5 * table.size_um / scale),)
        case Wire():
            return (
                stops.AbsorbingWire(
                    0.5 * table.diameter_um / scale,
                    table.position_um / scale,
                    table.axis,
                    _attenuation(table.material, experiment.beam.energy_keV) * table.diameter_um,
                ),
            )


def _check_size(experiment: Experiment) -> None:
    """Refuse a stop that is larger than the lens."""
    name, size = _measure(experiment)
    if name != "position_um" and size > 2.0 * (half_width := _half_width(experiment)):
        raise InputError(
            f"objective.stop.{name}",
            size,
            f"larger than the lens, which passes {2.0 * half_width:.4g} um in its back focal plane",
        )


def _measure(experiment: Experiment) -> tuple[str, float]:
    """Name and value of the length that says how much a stop covers (µm)."""
    table = experiment.objective.stop
    name = next(n for n in ("size_um", "diameter_um", "position_um") if hasattr(table, n))
    return name, getattr(table, name)


def _half_width(experiment: Experiment) -> float:
    """Half width of the lens' aperture in the back focal plane (µm)."""
    return 1e-3 * accepted_angles(experiment)[1] * back_focal_scale(experiment)


def _attenuation(material: str, energy_kev: float) -> float:
    try:
        return attenuation(material, energy_kev)
    except ValueError as error:
        if str(error).startswith("energy"):
            raise InputError("beam.energy_keV", energy_kev, str(error)) from None
        raise InputError("objective.stop.material", material, str(error)) from None


def acceptance_of(
    experiment: Experiment, theta: float, motion: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> SymmetricAcceptance:
    """Build the acceptance of an experiment in the symmetric geometry.

    Parameters
    ----------
    experiment : Experiment
        The description.
    theta : float
        Bragg angle (rad).
    motion : tuple of 3 float
        How far q moves during the exposure, from `motion_of`.

    Raises
    ------
    InputError
        If lens or stop are impossible, or let nothing through.
    """
    beam = experiment.beam
    per_fwhm = 1e-3 / FWHM_PER_SIGMA
    fwhm_mrad, aperture_mrad = accepted_angles(experiment)
    divergence = beam.divergence_vertical_fwhm_mrad * per_fwhm
    clip = beam.divergence_vertical_clip_mrad * 1e-3
    if beam.divergence_vertical_profile == "uniform":
        # Whatever its full width, a uniform spread is an infinitely wide one that is cut.
        divergence, clip = math.inf, min(clip, 0.5e-3 * beam.divergence_vertical_fwhm_mrad)
    without_stop = Optics(
        bandwidth=beam.total_bandwidth_rms,
        divergence_vertical=divergence,
        clip=clip,
        divergence_horizontal=beam.divergence_horizontal_fwhm_mrad * per_fwhm,
        lens=fwhm_mrad * per_fwhm,
        aperture=aperture_mrad * 1e-3,
        spectrum=() if beam.spectrum is None else beam.lines,
    )
    centred = tuple((weight, 0.0, rms) for weight, _, rms in beam.lines)
    peak = SymmetricAcceptance(theta, without_stop).peak
    peak_centred = SymmetricAcceptance(theta, replace(without_stop, spectrum=centred)).peak
    if peak < LEAST_SHARE * peak_centred:
        raise InputError(
            "beam.spectrum",
            [line.center for line in beam.spectrum or ()],
            "the perfect crystal is dark at its Bragg setting: no centre is near energy_keV",
        )
    stop = stops_of(experiment)
    try:
        optics = replace(without_stop, stops=stop)
        passes = optics.throughput > LEAST_SHARE
    except ValueError:
        passes = False
    if not passes:
        name, value = _measure(experiment)
        raise InputError(
            f"objective.stop.{name}",
            value,
            f"lets nothing through; the lens passes {-_half_width(experiment):.4g} to "
            f"{_half_width(experiment):.4g} um in its back focal plane",
        )
    return SymmetricAcceptance(theta, optics, motion)


def motion_of(experiment: Experiment, geometry: DiffractionGeometry) -> tuple[float, float, float]:
    """How far (q_rock', q_roll, q_2θ) moves during the exposure of a frame.

    Parameters
    ----------
    experiment : Experiment
        The description.
    geometry : DiffractionGeometry
        The reflection, for what the motors do.

    Raises
    ------
    InputError
        For a continuous scan in which no angle moves, or unevenly, or beside a blur of φ.
    """
    scan, blur = experiment.scan, experiment.camera.phi_blur_mrad
    phi, chi, arm = geometry.motor_vectors
    if not scan.continuous:
        return _three(1e-3 * blur * phi)
    if blur:
        raise InputError(
            "camera.phi_blur_mrad", blur, "scan.continuous moves the motor already; choose one"
        )
    vectors = {"phi": phi, "chi": chi, "two_theta": arm, "strain": arm - 0.5 * phi}
    moving = [name for name in ("strain", "two_theta", "chi", "phi") if getattr(scan, name).moving]
    if not moving:
        raise InputError("scan.continuous", True, "needs phi, chi, two_theta or strain to move")
    # The last one is the fastest.
    steps = 1e-3 * np.diff(getattr(scan, moving[-1]).positions)
    if np.ptp(steps) > 1e-6 * abs(steps[0]):
        raise InputError(
            f"scan.{moving[-1]}.values_mrad",
            None,
            "a continuous scan needs equal steps of its fastest motor",
        )
    return _three(steps[0] * vectors[moving[-1]])


def _three(vector: Floats) -> tuple[float, float, float]:
    rock, roll, two_theta = (float(part) + 0.0 for part in vector)
    return rock, roll, two_theta


def profile_of(experiment: Experiment) -> BeamProfile:
    """Build the height profile of the beam of an experiment."""
    beam = experiment.beam
    return BeamProfile(
        beam.height_fwhm_um,
        beam.profile,
        beam.profile_um or (),
        beam.profile_intensity or (),
    )


def vignetting_of(experiment: Experiment) -> float:
    """Angle by which the centre of the acceptance moves per µm of the field of view (rad/µm).

    Returns
    -------
    float
        0 unless the experiment asks for vignetting; that of the lens of ID06 where it has none.

    Raises
    ------
    InputError
        As `lens_of`; or for vignetting with a stop: the stop selects angles, which stay, while the
        centre of the lens moves.
    """
    if not experiment.objective.vignetting:
        return 0.0
    if experiment.objective.stop is not None:
        raise InputError("objective.vignetting", True, "cannot go with a stop; choose one")
    if experiment.acceptance.method != "closed-form":
        raise InputError("objective.vignetting", True, 'needs acceptance.method = "closed-form"')
    return _built(experiment.objective.lens or ID06_LENS, experiment.beam.energy_keV).vignetting
