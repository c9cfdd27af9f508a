"""Displacement gradient of straight pieces of dislocations: loops, bowed lines, networks.

A piece alone has no field of its own: it is the part that a piece takes in the line integral of
Mura (1987), and only sums over closed lines, or lines whose ends go on to infinity, mean something.
Formulas: docs/explanation/physics.md, D10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import unit
from weakbeam.defects.lines import StraightLines

ENDLESS = 1e12
"""Length (µm) of half-lines in the loops: what is left out adds less than 1e-15 to β."""

_TILE = 256
"""Points at once: what compiled loops keep of them fits in the fastest memory."""


@dataclass(frozen=True)
class Segments:
    """Straight pieces of dislocations, one a row, all vectors in one Cartesian frame.

    Parameters
    ----------
    burgers_vectors : (n, 3) array_like
        In µm: closures of right-handed circuits about the directions.
    starts : (n, 3) array_like
        Where each begins, in µm.
    directions : (n, 3) array_like
        Towards its end, of any length; stored as unit vectors.
    lengths : (n,) array_like
        In µm; infinite for half-lines.
    core_radii : (n,) array_like or float
        Radii in µm over which the cores are spread; 0 is the classical singular line.

    Raises
    ------
    ValueError
        For shapes that do not belong together, numbers that are not finite, a zero Burgers vector
        or direction, an impossible length or core radius.
    """

    burgers_vectors: Floats
    starts: Floats
    directions: Floats
    lengths: Floats
    core_radii: Floats

    def __post_init__(self) -> None:
        """Normalise the directions and check every value."""
        # The same vectors and radii as those of infinite lines, checked in the same way.
        lines = StraightLines(self.burgers_vectors, self.directions, self.starts, self.core_radii)
        lengths = np.array(self.lengths, dtype=np.float64)
        if lengths.shape != (len(lines),) or not np.all(lengths > 0.0):
            raise ValueError("lengths must be positive, one for each segment")
        for name, value in (
            ("burgers_vectors", lines.burgers_vectors),
            ("starts", lines.positions),
            ("directions", lines.lines),
            ("lengths", lengths),
            ("core_radii", lines.core_radii),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def between(
        cls, starts: ArrayLike, ends: ArrayLike, burgers: ArrayLike, core_radii: ArrayLike = 0.0
    ) -> Segments:
        """Pieces from `starts` (n, 3) to `ends` (n, 3), µm, with `burgers` (n, 3) or (3,)."""
        first = np.asarray(starts, dtype=np.float64).reshape(-1, 3)
        steps = np.asarray(ends, dtype=np.float64).reshape(-1, 3) - first
        vectors = np.broadcast_to(np.asarray(burgers, dtype=np.float64), first.shape)
        radii = np.asarray(core_radii, dtype=np.float64)
        return cls(vectors, first, steps, np.linalg.norm(steps, axis=1), radii)

    @classmethod
    def polygon(cls, points: ArrayLike, burgers: ArrayLike, core_radius: float = 0.0) -> Segments:
        """A closed loop through `points` (n, 3), µm, in their order."""
        corners = np.asarray(points, dtype=np.float64)
        return cls.between(corners, np.roll(corners, -1, axis=0), burgers, core_radius)

    @classmethod
    def polyline(cls, points: ArrayLike, burgers: ArrayLike, core_radius: float = 0.0) -> Segments:
        """A line through `points` (n, 3), µm, that runs on straight beyond the first and last."""
        corners = np.asarray(points, dtype=np.float64)
        vector = np.asarray(burgers, dtype=np.float64)
        within = cls.between(corners[:-1], corners[1:], vector, core_radius)
        # What comes from infinity along t is what leaves for it along -t, with -b.
        beyond = cls(
            np.stack([-vector, vector]),
            corners[[0, -1]],
            np.stack([corners[0] - corners[1], corners[-1] - corners[-2]]),
            np.full(2, np.inf),
            np.full(2, core_radius),
        )
        return cls.joined([within, beyond])

    @classmethod
    def joined(cls, parts: Sequence[Segments]) -> Segments:
        """Return the segments of all parts, one part after the other."""
        if not parts:
            return cls(*(np.zeros((0, 3)),) * 3, np.zeros(0), np.zeros(0))
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def ends(self) -> Floats:
        """Where each ends (n, 3), µm; infinitely far along the direction for half-lines."""
        with np.errstate(invalid="ignore"):
            steps = self.lengths[:, None] * self.directions
        steps[np.isnan(steps)] = 0.0
        return self.starts + steps

    @property
    def lines(self) -> StraightLines:
        """The infinite lines that they are pieces of."""
        return StraightLines(self.burgers_vectors, self.directions, self.starts, self.core_radii)

    def turned(self, rotation: Floats) -> Segments:
        """Return the same segments in a frame, or a crystal, that is turned."""
        return Segments(
            self.burgers_vectors @ rotation.T,
            self.starts @ rotation.T,
            self.directions @ rotation.T,
            self.lengths,
            self.core_radii,
        )

    def chosen(self, which: ArrayLike) -> Segments:
        """Return some of the segments, given by a mask or by indices."""
        rows = np.asarray(which)
        return Segments(*(getattr(self, field.name)[rows] for field in fields(self)))


def circle(normal: Floats, radius: float, count: int) -> Floats:
    """Corners (n, 3) of a regular polygon about the origin, right-handed about a unit vector."""
    least = np.eye(3)[np.argmin(np.abs(normal))]
    across = unit(np.cross(normal, least))
    angles = 2.0 * math.pi * np.arange(count)[:, None] / count
    flat = np.cos(angles) * across + np.sin(angles) * np.cross(normal, across)
    return np.asarray(radius * flat)


class IsotropicSegments:
    r"""The summed field of many segments in an isotropic medium, in compiled code.

    With :math:`R = P - x'` from a point of the segment and :math:`R_a^2 = R^2 + a^2` (Cai et al.
    2006), Mura's integral has five scalar integrals along the segment: those of
    :math:`R_a^{-3}, s R_a^{-3}, R_a^{-5}, s R_a^{-5}, s^2 R_a^{-5}`. They are written such that no
    digits are lost anywhere: far away, beyond an end, or close to the middle.

    Parameters
    ----------
    segments : Segments
        All in one frame.
    medium : IsotropicMedium
        What they lie in.
    """

    def __init__(self, segments: Segments, medium: IsotropicMedium) -> None:
        self.segments = segments
        self.medium = medium
        self.constants = constants(segments, medium.poisson_ratio)

    @property
    def lines(self) -> StraightLines:
        """The infinite lines that they are pieces of."""
        return self.segments.lines

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        every = np.arange(len(self.segments))
        add_segments(gradient, points, *self.constants, self.medium.poisson_ratio, every)


def constants(segments: Segments, poisson_ratio: float) -> tuple[Floats, Floats]:
    """Return what the compiled sum needs to know of each segment.

    Returns
    -------
    places : (n, 8) ndarray
        Start (µm), direction, length (µm), squared core radius (µm²).
    burgers : (n, 3) ndarray
        Burgers vector over 8π(1 − ν), µm.
    """
    places = np.column_stack(
        [
            segments.starts,
            segments.directions,
            np.minimum(segments.lengths, ENDLESS),
            segments.core_radii**2,
        ]
    )
    return places, segments.burgers_vectors / (8.0 * np.pi * (1.0 - poisson_ratio))


@compiled
def add_segments(
    gradient: Floats, points: Floats, places: Floats, burgers: Floats, nu: float, chosen: Ints
) -> None:
    """Add the field of the `chosen` segments at `points` (3, n) to `gradient` (9, n)."""
    n = points.shape[1]
    where, total = np.empty((3, _TILE)), np.empty((9, _TILE))
    for start in range(0, n, _TILE):
        width = min(_TILE, n - start)
        for k in range(3):
            for p in range(width):
                where[k, p] = points[k, start + p]
        total[:] = 0.0
        for i in chosen:
            sx, sy, sz = places[i, 0], places[i, 1], places[i, 2]
            tx, ty, tz = places[i, 3], places[i, 4], places[i, 5]
            length, a2 = places[i, 6], places[i, 7]
            bx, by, bz = burgers[i, 0], burgers[i, 1], burgers[i, 2]
            screw = bx * tx + by * ty + bz * tz
            # c = b × t
            cx, cy, cz = by * tz - bz * ty, bz * tx - bx * tz, bx * ty - by * tx
            alpha = 1.0 - 2.0 * nu
            core_p, core_q = -3.0 * nu * a2, 3.0 * (1.0 - nu) * a2
            for p in range(width):
                x, y, z = where[0, p] - sx, where[1, p] - sy, where[2, p] - sz
                u1 = x * tx + y * ty + z * tz
                # d, from the line to the point; q is its square, with that of the core.
                x, y, z = x - u1 * tx, y - u1 * ty, z - u1 * tz
                q = x * x + y * y + z * z + a2
                u2 = u1 - length
                square1, square2 = u1 * u1 + q, u2 * u2 + q
                r1, r2 = np.sqrt(square1), np.sqrt(square2)
                product, u = r1 * r2, u1 * u2
                beyond = u >= 0.0
                # r1 r2 ± u1 u2 without cancellation: one as it stands, the other from their
                # product, which is q (u1² + u2² + q).
                larger, other = product + abs(u), u1 * u1 + square2
                first = 1.0 / (larger if beyond else q)
                second = 1.0 / ((q if beyond else other) + larger)
                kept = (other if beyond else larger) * first
                i12 = 1.0 / product
                i1, i2 = square2 * i12 * i12, square1 * i12 * i12
                third = length * i12
                a3 = third * (r1 + r2) * second * (1.0 if beyond else kept)
                b3 = third * (u1 + u2) / (r1 + r2)
                a5 = (i1 + i2 + kept * i12) * a3  # three times the integral
                b5 = (i1 + i2 + i12) * b3  # three times the integral
                c5 = 3.0 * a3 - q * a5
                edge = x * bx + y * by + z * bz
                g, h = alpha * a3 + core_q * a5 / 3.0, alpha * b3 + core_q * b5 / 3.0
                v, w = alpha * a3 + core_p * a5 / 3.0, alpha * b3 + core_p * b5 / 3.0
                across, along = edge * a5 + screw * b5, edge * b5 + screw * c5
                s = g * edge + h * screw
                ex, ey, ez = y * tz - z * ty, z * tx - x * tz, x * ty - y * tx
                px, py, pz = v * x + w * tx, v * y + w * ty, v * z + w * tz
                qx = g * bx + across * x + along * tx
                qy = g * by + across * y + along * ty
                qz = g * bz + across * z + along * tz
                total[0, p] += px * cx - qx * ex
                total[1, p] += px * cy - qx * ey + s * tz
                total[2, p] += px * cz - qx * ez - s * ty
                total[3, p] += py * cx - qy * ex - s * tz
                total[4, p] += py * cy - qy * ey
                total[5, p] += py * cz - qy * ez + s * tx
                total[6, p] += pz * cx - qz * ex + s * ty
                total[7, p] += pz * cy - qz * ey - s * tx
                total[8, p] += pz * cz - qz * ez
        for k in range(9):
            for p in range(width):
                gradient[k, start + p] += total[k, p]
