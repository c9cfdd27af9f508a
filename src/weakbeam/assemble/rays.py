"""From the experiment's beam and camera to the rays of its pixels, and what they see."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.assemble.instrument import profile_of
from weakbeam.assemble.placed import FieldOfView
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.experiment import Experiment
from weakbeam.imaging.rays import RayGrid, ray_grid
from weakbeam.imaging.refinement import Refinement
from weakbeam.instrument.beam import BeamProfile

FEWEST_SLICES = 15
"""Slices of a ray along which q varies, before they are cut again."""

THICKEST_UM = 0.2
"""No slice is thicker than this (µm)."""

_THIN_SLICES = 4096


def slices_of(profile: BeamProfile) -> int:
    """Into how many slices the beam is cut where q varies along a ray."""
    low, high = profile.ends
    return max(FEWEST_SLICES, math.ceil((high - low) / THICKEST_UM))


def ray_grid_of(
    experiment: Experiment, geometry: DiffractionGeometry
) -> tuple[RayGrid, Refinement | None]:
    """The sampling points of a reflection's image.

    Parameters
    ----------
    experiment : Experiment
        Its beam and camera.
    geometry : DiffractionGeometry
        Frames of the reflection.

    Returns
    -------
    grid : RayGrid
        Those that there are before anything is cut.
    refinement : Refinement or None
        How it is cut; None where the experiment gives the samples.

    Raises
    ------
    ValueError
        If the diffracted beam stays in the sheet of the line beam.
    """
    camera, profile = experiment.camera, profile_of(experiment)
    deep, wide = camera.depth_samples == "auto", camera.oversampling == "auto"
    grid = ray_grid(
        geometry,
        camera.pixels,
        camera.pixel_um,
        *profile.samples(
            slices_of(profile) if camera.depth_samples == "auto" else camera.depth_samples
        ),
        plane=camera.plane,
        oversampling=camera.oversampling if isinstance(camera.oversampling, int) else 1,
    )
    if not deep and not wide:
        return grid, None
    heights = below = None
    if deep:
        heights = np.linspace(*profile.ends, _THIN_SLICES + 1)
        below = np.append(0.0, np.cumsum(profile.samples(_THIN_SLICES)[1]))
    return grid, Refinement(camera.accuracy, wide, heights, below)


def field_of_view(experiment: Experiment, geometry: DiffractionGeometry) -> FieldOfView:
    """What the camera sees of the sample in a reflection."""
    rows, columns = experiment.camera.pixels
    pixel = experiment.camera.pixel_um
    normal = geometry.lab_from_sample.T @ np.array([0.0, 0.0, 1.0])
    return FieldOfView(normal, max(rows * pixel / math.sin(2.0 * geometry.theta), columns * pixel))
