"""From the experiment's beam and camera to the rays of its pixels, and what they see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from weakbeam.assemble.instrument import profile_of
from weakbeam.assemble.placed import FieldOfView
from weakbeam.core.arrays import Floats
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.experiment import Experiment
from weakbeam.imaging.averaging import Averaging, few_depths
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


FEWEST_SLICES, THICKEST_UM, WIDEST_UM = 9, 0.1, 0.17
"""Slices of the beam in pixels that are averaged, before they are cut; none is larger."""

_THIN_SLICES = 4096


class Rays(NamedTuple):
    """The sampling points of a reflection's image."""

    smooth: RayGrid | None
    """For rays that pass far from all defects; None where the number of samples is given."""
    grids: tuple[RayGrid, ...]
    """For the other rays, from coarse to fine."""
    averaging: Averaging | None
    """How accurate the averages over pixels shall be; None where pixels stand for points."""


def slices_of(experiment: Experiment) -> int:
    """Into how many slices the beam is cut where a ray passes no defect closely."""
    camera, profile = experiment.camera, profile_of(experiment)
    if camera.depth_samples != "auto":
        return camera.depth_samples
    if camera.oversampling == "auto":
        low, high = profile.ends
        return max(FEWEST_SLICES, math.ceil((high - low) / THICKEST_UM))
    sampling = DEPTH_SAMPLING
    return sampling.smooth_cut * math.ceil(
        math.ceil(sampling.slices(profile)) / sampling.smooth_cut
    )


def rays_of(experiment: Experiment, geometry: DiffractionGeometry) -> Rays:
    """The sampling points of a reflection's image.

    Parameters
    ----------
    experiment : Experiment
        Its beam and camera.
    geometry : DiffractionGeometry
        Frames of the reflection.

    Raises
    ------
    ValueError
        If the diffracted beam stays in the sheet of the line beam.
    """
    camera, profile = experiment.camera, profile_of(experiment)
    deep = camera.depth_samples == "auto"

    def grid(depths: Floats, weights: Floats, sub_pixels: int) -> RayGrid:
        return ray_grid(
            geometry,
            camera.pixels,
            camera.pixel_um,
            depths,
            weights,
            plane=camera.plane,
            oversampling=sub_pixels,
        )

    slices, across = slices_of(experiment), 1
    if isinstance(camera.oversampling, int):
        across = camera.oversampling
    elif camera.oversampling == "auto":
        across = math.ceil(camera.pixel_um / WIDEST_UM)
    coarsest = grid(*profile.samples(slices), across)
    if camera.oversampling == "auto" and deep:
        heights = np.linspace(*profile.ends, _THIN_SLICES + 1)
        below = np.append(0.0, np.cumsum(profile.samples(_THIN_SLICES)[1]))
        return Rays(
            grid(*few_depths(heights, below), 1),
            (coarsest,),
            Averaging(camera.accuracy, heights, below),
        )
    if camera.oversampling == "auto":
        return Rays(None, (coarsest,), Averaging(camera.accuracy))
    if not deep:
        return Rays(None, (coarsest,), None)
    cuts = [4**k for k in range(1, DEPTH_SAMPLING.refinements + 1)]
    finer = [grid(*profile.samples(slices * cut), across) for cut in cuts]
    smooth = grid(*profile.samples(slices // DEPTH_SAMPLING.smooth_cut), across)
    return Rays(smooth, (coarsest, *finer), None)


def field_of_view(experiment: Experiment, geometry: DiffractionGeometry) -> FieldOfView:
    """What the camera sees of the sample in a reflection."""
    rows, columns = experiment.camera.pixels
    pixel = experiment.camera.pixel_um
    normal = geometry.lab_from_sample.T @ np.array([0.0, 0.0, 1.0])
    return FieldOfView(normal, max(rows * pixel / math.sin(2.0 * geometry.theta), columns * pixel))
