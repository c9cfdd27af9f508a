"""The default reflection and instrument, and small images through engine and direct sum."""

import math

import numpy as np
from instruments import symmetric_acceptance

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.imaging.direct import direct_images, q_of_rays
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import ray_grid
from weakbeam.instrument.beam import FWHM_PER_SIGMA, BeamProfile

ALUMINIUM = UnitCell.cubic(4.0495)
HKL, X_AXIS = (-1, 1, -1), (1, 0, -1)
NU = 0.334
MEDIUM = IsotropicMedium(NU)
B = 4.0495e-4 / math.sqrt(2)
THETA = bragg_angle(float(ALUMINIUM.d_spacing(HKL)), 17.0)
GEOMETRY = symmetric_geometry(THETA)
SAMPLE_FROM_CRYSTAL = symmetric_orientation(ALUMINIUM, HKL, X_AXIS)
ACCEPTANCE = symmetric_acceptance(
    theta=THETA,
    bandwidth=6e-5,
    divergence_vertical=0.53e-3 / FWHM_PER_SIGMA,
    clip=0.14e-3,
    divergence_horizontal=0.0,
    lens=0.731e-3 / FWHM_PER_SIGMA,
    aperture=1.0323e-3,
)


def dislocation(burgers, line, position=(0.0, 0.0, 0.0), core=B, orientation=SAMPLE_FROM_CRYSTAL):
    """A dislocation of aluminium, Burgers vector a/2 [uvw] and line given in the crystal."""
    vector = orientation @ (np.array(burgers) * 4.0495e-4 / 2)
    return StraightLine(vector, orientation @ np.array(line, float), position, core)


EDGE = dislocation([1, 0, -1], [1, -2, 1])
MIXED = dislocation([1, 0, -1], [2, -1, -1], (0.3, -0.2, 0.1))


def rays(shape=(15, 21), slices=21, height=0.15, oversampling=1, geometry=GEOMETRY):
    depths, weights = BeamProfile(height).samples(slices)
    return ray_grid(geometry, shape, 0.04, depths, weights, "vertical", oversampling)


def plain_images(field, settings, grid=None, geometry=GEOMETRY, acceptance=ACCEPTANCE):
    """Images by the direct sum at settings (φ, χ, 2θ)."""
    grid = grid or rays()
    lines = field if hasattr(field, "add_to") else StraightDislocations(field, MEDIUM)
    q = q_of_rays(lines, geometry, grid)
    return direct_images(q, grid, geometry, acceptance, np.atleast_2d(settings))


def engine_images(field, settings, grid=None, geometry=GEOMETRY, acceptance=ACCEPTANCE):
    """The same by the engine, one setting after the other."""
    lines = field if hasattr(field, "add_to") else StraightDislocations(field, MEDIUM)
    engine = Engine(lines, geometry, grid or rays(), acceptance)
    per_phi, per_chi, per_arm = geometry.motor_vectors
    return np.stack(
        [
            engine.images([phi * per_phi + arm * per_arm], [chi * per_chi])[0, 0]
            for phi, chi, arm in np.atleast_2d(settings)
        ]
    )
