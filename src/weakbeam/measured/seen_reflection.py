"""A reflection, and what was measured of it in the pixels of its camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import Miller


@dataclass(frozen=True, eq=False)
class SeenReflection:
    """A reflection and what was measured of it.

    Parameters
    ----------
    hkl : tuple of int
        Miller indices.
    source : str
        Its scans.
    direction : (3,) ndarray
        Unit diffraction vector, crystal frame.
    measured : (m, 3) ndarray
        Directions along which its change is known, crystal frame.
    change : (rows, columns, 3) ndarray
        Of the unit diffraction vector in the pixels of the camera, crystal frame.
    information : (rows, columns, 3, 3) ndarray
        Inverse covariance of that.
    frames : int
        How many frames it took.
    height_variance : float
        Of the beam's height (µm²).
    along : (float, float)
        How far its rays go along x and y of the grid per height.
    facts : mapping of str to float
        Gain, noise and χ² of its curves.
    """

    hkl: Miller
    source: str
    direction: Floats
    measured: Floats
    change: Floats
    information: Floats
    frames: int
    height_variance: float = 0.0
    along: tuple[float, float] = (0.0, 0.0)
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Such as ``(1 -1 3)``."""
        return "(" + " ".join(str(index) for index in self.hkl) + ")"
