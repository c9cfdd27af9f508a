"""Types of dislocation loops: a plane and a Burgers vector of slip systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import Miller, unit
from weakbeam.defects.types import DislocationType, Vector

_ALONG = 1e-6
"""Sine or cosine below which vectors are perpendicular or parallel."""


@dataclass(frozen=True)
class LoopType:
    """A plane and a Burgers vector of a loop, which runs right-handed about the plane's normal.

    A loop of the opposite Burgers vector is another one: interstitial for vacancies.

    Parameters
    ----------
    plane : tuple of 3 int, optional
        Plane (hkl); none of a prismatic loop, which lies across its Burgers vector.
    burgers : tuple of 3 int
        Direction [uvw] of the Burgers vector.
    burgers_vector : tuple of 3 float
        In µm, in the Cartesian crystal frame.
    normal : tuple of 3 float
        Unit vector, in that frame.
    """

    plane: Miller | None
    burgers: Miller
    burgers_vector: Vector
    normal: Vector

    @property
    def habit(self) -> str:
        """How its Burgers vector lies: ``glide`` (in its plane), ``prismatic`` or ``mixed``."""
        if self.plane is None:
            return "prismatic"
        along = float(np.dot(unit(self.burgers_vector), self.normal))
        return "glide" if abs(along) < _ALONG else "mixed"

    @property
    def name(self) -> str:
        """Habit, plane and Burgers vector, such as "glide loop (1 1 1) [1 0 -1]"."""
        plane = "" if self.plane is None else "({} {} {}) ".format(*self.plane)
        return "{} loop {}[{} {} {}]".format(self.habit, plane, *self.burgers)


def loop_types(types: Sequence[DislocationType]) -> tuple[LoopType, ...]:
    """Loops of the planes and Burgers vectors of some straight dislocations, of both signs.

    Every Burgers vector on every plane, and on the one across it.
    """
    normals: dict[Miller, Floats] = {}
    vectors: dict[Miller, Floats] = {}
    for kind in types:
        along = unit(np.array(kind.burgers_vector))
        normals.setdefault(kind.plane, np.cross(kind.edge, along))
        vectors.setdefault(kind.burgers, np.array(kind.burgers_vector))
    found = []
    for burgers, vector in vectors.items():
        u, v, w = burgers
        for sign in (1, -1):
            signed, own = (sign * u, sign * v, sign * w), three_floats(sign * vector)
            planes: list[tuple[Miller | None, Floats]] = list(normals.items())
            across = all(abs(unit(vector) @ normal) < 1.0 - _ALONG for normal in normals.values())
            if across:
                planes.append((None, unit(vector)))
            found += [
                LoopType(plane, signed, own, three_floats(normal)) for plane, normal in planes
            ]
    return tuple(found)


def three_floats(values: Floats) -> Vector:
    """Of an array."""
    x, y, z = map(float, values)
    return x, y, z
