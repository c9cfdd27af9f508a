"""What nuisances of motors and lattice add to q, the same for all rays of a pixel."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.diffraction.geometry import DiffractionGeometry

LATTICE = ("tilt_x", "tilt_y", "dilatation")
"""Small rotations of the lattice about x and y of the sample, and a strain along q."""


def lattice_vectors(geometry: DiffractionGeometry) -> Floats:
    """Change of q in the imaging frame per radian of tilt about x and y, and per dilatation.

    Parameters
    ----------
    geometry : DiffractionGeometry
        The reflection.

    Returns
    -------
    (3, 3) ndarray
        Rows in the order of :data:`LATTICE`. A rotation ω of the lattice adds ω x q₀, about y of
        the symmetric geometry what φ adds; a dilatation ε along the diffraction vector takes εq₀
        away. (docs/explanation/physics.md, A3.)
    """
    q0 = geometry.q0_sample
    turned = [np.cross(axis, q0) for axis in np.eye(3)[:2]]
    return np.stack([*turned, -q0]) @ geometry.imaging_from_sample.T
