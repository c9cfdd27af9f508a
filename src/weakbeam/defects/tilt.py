"""A lattice whose orientation changes evenly from place to place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled


@dataclass(frozen=True, eq=False)
class TiltGradient:
    """Rotation of the lattice that grows evenly with the place; no strain.

    Parameters
    ----------
    gradient : (3, 3) ndarray
        The lattice at r is turned by the rotation vector ω = gradient · (r − origin) (rad, from
        rad/µm), right-handed.
    origin : (3,) ndarray
        Where it is not turned (µm).
    """

    gradient: Floats
    origin: Floats = field(default_factory=lambda: np.zeros(3))

    def turned(self, rotation: Floats) -> TiltGradient:
        """The same lattice in a frame that is turned."""
        return TiltGradient(rotation @ self.gradient @ rotation.T, rotation @ self.origin)

    def moved(self, by: Floats) -> TiltGradient:
        """The same lattice, displaced (µm)."""
        return TiltGradient(self.gradient, self.origin + by)

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """Add β = R − 1 at `points` (3, n), in µm, to `gradient` (9, n)."""
        add_tilt(gradient, points, self.gradient, self.origin)


@compiled
def add_tilt(gradient: Floats, points: Floats, slopes: Floats, origin: Floats) -> None:
    """Add the β of a `TiltGradient`, of Rodrigues' formula to the fourth order in the angle."""
    for p in range(points.shape[1]):
        x, y, z = points[0, p] - origin[0], points[1, p] - origin[1], points[2, p] - origin[2]
        wx = slopes[0, 0] * x + slopes[0, 1] * y + slopes[0, 2] * z
        wy = slopes[1, 0] * x + slopes[1, 1] * y + slopes[1, 2] * z
        wz = slopes[2, 0] * x + slopes[2, 1] * y + slopes[2, 2] * z
        square = wx * wx + wy * wy + wz * wz
        # sin ω / ω and (1 − cos ω) / ω², whose digits a quotient would lose for small angles.
        s = 1.0 - square * (1.0 - 0.05 * square) / 6.0
        c = 0.5 - square * (1.0 - square / 30.0) / 24.0
        gradient[0, p] += c * (wx * wx - square)
        gradient[1, p] += c * wx * wy - s * wz
        gradient[2, p] += c * wx * wz + s * wy
        gradient[3, p] += c * wx * wy + s * wz
        gradient[4, p] += c * (wy * wy - square)
        gradient[5, p] += c * wy * wz - s * wx
        gradient[6, p] += c * wx * wz - s * wy
        gradient[7, p] += c * wy * wz + s * wx
        gradient[8, p] += c * (wz * wz - square)
