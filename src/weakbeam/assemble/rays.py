"""From the experiment's beam and camera to the rays of its pixels, and what they see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam.assemble.instrument import profile_of
from weakbeam.assemble.placed import FieldOfView
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.experiment import Experiment
from weakbeam.imaging.rays import RayGrid, ray_grid
from weakbeam.instrument.beam import BeamProfile


@dataclass(frozen=True)
class DepthSampling:
    """How finely rays are sampled through the beam where the experiment leaves it open.

    Parameters
    ----------
    fewest : int
        A ray has at least so many samples, unless q hardly varies along it.
    thickest_um : float
        No sample stands for a thicker slice of the beam (µm).
    smooth_cut : int
        Where q hardly varies along a ray it has so many times fewer samples.
    refinements : int
        So often may the samples of a ray become four times as many near a defect.
    """

    fewest: int = 15
    thickest_um: float = 0.06
    smooth_cut: int = 3
    refinements: int = 3

    def slices(self, profile: BeamProfile) -> float:
        """Into how many slices the beam is cut for a ray that passes no defect closely."""
        return max(self.fewest, 2.0 * profile.half_reach / self.thickest_um)


DEPTH_SAMPLING = DepthSampling()
"""As measured in docs/explanation/physics.md, E1."""


def ray_grids(
    experiment: Experiment, geometry: DiffractionGeometry
) -> tuple[RayGrid | None, tuple[RayGrid, ...]]:
    """The sampling points of a reflection's image.

    Parameters
    ----------
    experiment : Experiment
        Its beam and camera.
    geometry : DiffractionGeometry
        Frames of the reflection.

    Returns
    -------
    smooth : RayGrid or None
        For rays that pass far from all defects; None where the number of samples is given.
    grids : tuple of RayGrid
        For the other rays, from coarse to fine.

    Raises
    ------
    ValueError
        If the diffracted beam stays in the sheet of the line beam.
    """
    camera, profile = experiment.camera, profile_of(experiment)

    def grid(samples: int) -> RayGrid:
        return ray_grid(
            geometry,
            camera.pixels,
            camera.pixel_um,
            *profile.samples(samples),
            plane=camera.plane,
            oversampling=camera.oversampling,
        )

    if camera.depth_samples != "auto":
        return None, (grid(camera.depth_samples),)
    sampling = DEPTH_SAMPLING
    smooth = math.ceil(math.ceil(sampling.slices(profile)) / sampling.smooth_cut)
    cuts = [sampling.smooth_cut * 4**k for k in range(sampling.refinements + 1)]
    return grid(smooth), tuple(grid(smooth * cut) for cut in cuts)


def field_of_view(experiment: Experiment, geometry: DiffractionGeometry) -> FieldOfView:
    """What the camera sees of the sample in a reflection."""
    rows, columns = experiment.camera.pixels
    pixel = experiment.camera.pixel_um
    normal = geometry.lab_from_sample.T @ np.array([0.0, 0.0, 1.0])
    return FieldOfView(normal, max(rows * pixel / math.sin(2.0 * geometry.theta), columns * pixel))
