"""A small instrument and crystal that the tests of this room share."""

import math
from types import SimpleNamespace

import numpy as np

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.geometry import diffraction_vector_change, symmetric_geometry
from weakbeam.imaging.rays import ray_grid
from weakbeam.imaging.refinement import Refinement
from weakbeam.instrument.beam import BeamProfile
from weakbeam.instrument.optics import Optics

THETA = math.radians(8.97317)
B = 2.8634e-4


def line(burgers, direction, position=(0.0, 0.0, 0.0), core=B):
    """A dislocation of aluminium; Burgers vector in units of its length."""
    return StraightLine(B * np.array(burgers), direction, position, core)


EDGE = line([1, 0, 0], [0, 1, 0])
MIXED = line([0.6, 0.0, 0.8], [0.5, 0.2, 0.8], (0.3, -0.2, 0.1))
SINGULAR = line([0.8, 0.6, 0.0], [0.0, 1.0, 0.0], core=0.0)


def make(
    lines=(EDGE,), shape=(12, 17), slices=11, height=0.15, oversampling=1, plane="vertical",
    clip=0.14e-3, aperture=1.0323e-3, horizontal=0.0, accuracy=None, pixels=True,
):  # fmt: skip
    """Field, geometry, rays, refinement and acceptance of a small image."""
    geometry = symmetric_geometry(THETA)
    beam = BeamProfile(height)
    depths, weights = beam.samples(slices)
    # Rounded, so that the middle depth of an odd number is 0 and meets the origin exactly.
    depths = np.round(depths, 12)
    rays = ray_grid(geometry, shape, 0.04, depths, weights, plane, oversampling)
    acceptance = SymmetricAcceptance(
        THETA, Optics(6e-5, 2.25e-4, clip, horizontal, 3.1e-4, aperture)
    )
    return SimpleNamespace(
        field=StraightDislocations(lines, IsotropicMedium(0.334)),
        geometry=geometry,
        rays=rays,
        refinement=refined(beam, accuracy, pixels),
        acceptance=acceptance,
    )


def refined(beam, accuracy, pixels=True):
    """A refinement to an accuracy, if there is one."""
    if accuracy is None:
        return None
    below = np.append(0.0, np.cumsum(beam.samples(4096)[1]))
    return Refinement(accuracy, pixels, np.linspace(*beam.ends, 4097), below)


def plain_images(case, engine, settings):
    """The direct sum over the very samples of an engine, (frames, rows, columns)."""
    shifts = np.asarray(settings) @ case.geometry.motor_vectors
    images = np.empty((len(shifts), math.prod(engine.shape)))
    for pixel in range(images.shape[1]):
        points, weights = engine.sampling.of_pixel(pixel)
        gradient = evaluate(case.field, points)
        q_sample = diffraction_vector_change(gradient, case.geometry.q0_sample)
        q = q_sample @ case.geometry.imaging_from_sample.T
        # On a line without a core q is no number.
        with np.errstate(invalid="ignore"):
            intensity = np.nan_to_num(case.acceptance.relative(q + shifts[:, None]), nan=0.0)
        images[:, pixel] = intensity @ weights
    return images.reshape(-1, *engine.shape)
