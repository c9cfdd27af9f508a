"""A Burgers circuit and what it encloses."""

from __future__ import annotations

from dataclasses import dataclass

from weakbeam.core.arrays import Floats


@dataclass(frozen=True, eq=False)
class Circuit:
    """A Burgers circuit.

    Parameters
    ----------
    vertices : (n, 2) ndarray
        Its corners (µm), right-handed about the normal of the sheet.
    burgers : (3,) ndarray
        ∮β·dl (µm), in the axes of the distortion.
    error : (3,) ndarray
        Standard deviations from the noise of the counts; NaN without noise.
    covariance : (3, 3) ndarray
        Of its components.
    crystal : (3,) ndarray
        The same vector in the crystal frame (µm).
    lattice : (3,) ndarray or None
        Lattice vector [uvw] that it is nearest to, if that is near; zero for no dislocation.
    z : float
        Where the sheet is along its normal (µm), of several layers.
    """

    vertices: Floats
    burgers: Floats
    error: Floats
    covariance: Floats
    crystal: Floats
    lattice: Floats | None
    z: float = 0.0
