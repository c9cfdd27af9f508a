"""The plain sum: every ray, every frame, one formula after the other.

Slow and short. It is the truth that the engine is tested against.
"""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.defects.field import DisplacementGradientField, evaluate
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.geometry import DiffractionGeometry, diffraction_vector_change
from weakbeam.diffraction.turned import AT_BRAGG, motor_shifts
from weakbeam.imaging.rays import RayGrid


def q_of_rays(
    field: DisplacementGradientField, geometry: DiffractionGeometry, rays: RayGrid
) -> Floats:
    """Change of the diffraction vector at every sampling point.

    Parameters
    ----------
    field : DisplacementGradientField
        The deformation, in the sample frame.
    geometry : DiffractionGeometry
        The reflection.
    rays : RayGrid
        The sampling points.

    Returns
    -------
    (pixels, samples, 3) ndarray
        (q_rock', q_roll, q_2θ); NaN where the crystal is folded or the field not finite.
    """
    points = rays.points(np.arange(rays.pixels))
    gradient = evaluate(field, points)
    q_sample = diffraction_vector_change(gradient, geometry.q0_sample)
    return q_sample @ geometry.imaging_from_sample.T


def direct_images(
    q_imaging: Floats,
    rays: RayGrid,
    geometry: DiffractionGeometry,
    acceptance: AcceptanceDensity,
    settings: ArrayLike,
) -> Floats:
    """Images of the rays at each motor setting.

    Parameters
    ----------
    q_imaging : (pixels, samples, 3) ndarray
        From :func:`q_of_rays`.
    rays : RayGrid
        The sampling points, for their weights.
    geometry : DiffractionGeometry
        The reflection, for what the motors do.
    acceptance : AcceptanceDensity
        The instrument.
    settings : (n, 3) array_like
        φ, χ, 2θ offsets in rad, small ones.

    Returns
    -------
    (n, rows, columns) ndarray
        Intensity relative to the perfect crystal at its Bragg setting.
    """
    shifts = np.add(*motor_shifts(geometry, AT_BRAGG, settings))
    return shifted_images(q_imaging, rays, acceptance, shifts)


def shifted_images(
    q_imaging: Floats, rays: RayGrid, acceptance: AcceptanceDensity, shifts: Floats
) -> Floats:
    """Images of the rays at each shift of q.

    Parameters
    ----------
    q_imaging, rays, acceptance
        As for :func:`direct_images`.
    shifts : (n, 3) ndarray
        What the motors add to q, in the imaging frame.

    Returns
    -------
    (n, rows, columns) ndarray
        Intensity relative to the perfect crystal at its Bragg setting.
    """
    images = np.empty((len(shifts), rays.rows, rays.columns))
    dark = np.asarray(np.isnan(q_imaging).any(axis=-1))
    q_lit = np.where(dark[..., None], 0.0, q_imaging)
    for image, shift in zip(images, shifts, strict=True):
        intensity = np.where(dark, 0.0, acceptance.relative(q_lit + shift))
        image[:] = (intensity @ rays.sample_weights).reshape(rays.rows, rays.columns)
    return images
