"""Walls and rows of equally spaced parallel dislocations, at a cost that the count does not enter.

With ξ along the stacking direction u and η = (t × u)·r, all cores of a wall share η, and so each of
them has q_n = (ξ − n h)² + Y² with Y² = η² + a². Sums over n of ξ_n/q_n, 1/q_n, ξ_n/q_n² and 1/q_n²
are therefore real and imaginary parts of the row sums F and G of
:mod:`weakbeam.defects.lattice_sums` at w = (ξ + iY)/h. This holds for every stacking direction
across the line, and with the spread cores of docs/explanation/physics.md, D3, without approximation
(D4 is the case a = 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.lattice_sums import finite_row, infinite_row
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.vectors import three_numbers

_ACROSS_TOLERANCE = 1e-9


@dataclass(frozen=True)
class DislocationWall:
    """Equally spaced copies of one straight dislocation.

    Parameters
    ----------
    dislocation : StraightLine
        One of them; its position is the centre of the wall.
    stacking : (3,) array_like
        Direction from one to the next, perpendicular to the line; stored as a unit vector.
        :func:`stacking_direction` gives those of a tilt wall and of a row in the glide plane.
    spacing : float
        Distance h between neighbours, in µm.
    count : int, optional
        Number of dislocations, evenly about the centre; infinitely many, with one of them at the
        centre and summed symmetrically, unless given.

    Raises
    ------
    ValueError
        If the stacking direction is not perpendicular to the line, or spacing or count are not
        positive.
    """

    dislocation: StraightLine
    stacking: Floats
    spacing: float
    count: int | None = None

    def __post_init__(self) -> None:
        """Normalise the stacking direction and check every value."""
        stacking = three_numbers("stacking", self.stacking, not_zero=True)
        length = np.linalg.norm(stacking)
        if abs(length - 1.0) > 1e-15:  # Unit vectors keep every digit.
            stacking = stacking / length
        slope = float(stacking @ self.dislocation.line)
        if abs(slope) > _ACROSS_TOLERANCE:
            angle = np.degrees(np.arccos(min(abs(slope), 1.0)))
            raise ValueError(
                f"stacking makes {angle:.4g} deg with the line: it must be perpendicular to it"
            )
        object.__setattr__(self, "stacking", stacking)
        if not 0.0 < self.spacing < np.inf:
            raise ValueError(f"spacing {self.spacing} is not positive and finite")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count {self.count} is less than 1")

    @property
    def first(self) -> Floats:
        """Position (µm) of the first dislocation; of any of them if the wall is infinite."""
        before = 0.0 if self.count is None else 0.5 * (self.count - 1)
        return np.asarray(self.dislocation.position - before * self.spacing * self.stacking)

    def lines(self) -> StraightLines:
        """Every dislocation of a finite wall.

        Raises
        ------
        ValueError
            If the wall is infinite.
        """
        if self.count is None:
            raise ValueError("an infinite wall cannot be listed line by line")
        return self.chosen(np.arange(self.count))

    def chosen(self, numbers: Ints) -> StraightLines:
        """Some of the dislocations, counted from `first`; of an infinite wall to both sides."""
        line, count = self.dislocation, len(numbers)
        steps = self.spacing * numbers[:, None] * self.stacking
        return StraightLines(
            np.tile(line.burgers_vector, (count, 1)),
            np.tile(line.line, (count, 1)),
            self.first + steps,
            np.full(count, line.core_radius),
        )

    def turned(self, rotation: Floats) -> DislocationWall:
        """Return the same wall in a frame, or a crystal, that is turned."""
        line = self.dislocation.turned(rotation)
        return replace(self, dislocation=line, stacking=rotation @ self.stacking)

    def with_core(self, radius: float) -> DislocationWall:
        """Return the same wall with cores of another radius (µm)."""
        return replace(self, dislocation=replace(self.dislocation, core_radius=radius))

    def moved(self, offset: ArrayLike) -> DislocationWall:
        """Return the same wall displaced by `offset` (µm)."""
        position = self.dislocation.position + np.asarray(offset, dtype=np.float64)
        return replace(self, dislocation=replace(self.dislocation, position=position))

    def reversed(self) -> DislocationWall:
        """Return the wall of the opposite Burgers vectors."""
        burgers = -self.dislocation.burgers_vector
        return replace(self, dislocation=replace(self.dislocation, burgers_vector=burgers))


def stacking_direction(dislocation: StraightLine, kind: Literal["wall", "row"]) -> Floats:
    """Direction in which dislocations are stacked to form a wall, or a row in their glide plane.

    Parameters
    ----------
    dislocation : StraightLine
        One of them. A pure screw has no glide plane of its own: give its direction oneself.
    kind : {"wall", "row"}
        "wall": normal to the glide plane, a tilt boundary of edges; "row": across the lines in the
        glide plane, as in a pile-up.

    Returns
    -------
    (3,) ndarray
        Unit vector.

    Raises
    ------
    ValueError
        For a pure screw, or an unknown kind.
    """
    if dislocation.edge_part < 1e-9 * np.linalg.norm(dislocation.burgers_vector):
        raise ValueError("a pure screw has no glide plane of its own: give the stacking direction")
    x, y, _ = dislocation.axes
    if kind == "wall":
        return y
    if kind == "row":
        return x
    raise ValueError(f"kind {kind!r} is neither 'wall' nor 'row'")


def bipolar_wall(wall: DislocationWall) -> tuple[DislocationWall, ...]:
    """Alternate the signs of the Burgers vectors: two walls of twice the spacing.

    Parameters
    ----------
    wall : DislocationWall
        Its dislocation is that of the first place, or of the centre if the wall is infinite.

    Returns
    -------
    tuple of DislocationWall
        Two walls; one if there is only one dislocation.
    """
    step = wall.spacing * wall.stacking
    if wall.count is None:
        twice = replace(wall, spacing=2.0 * wall.spacing)
        return twice, twice.reversed().moved(step)
    parts = []
    for start, sign in ((0, 1.0), (1, -1.0)):
        count = (wall.count - start + 1) // 2
        if count == 0:
            continue
        line = replace(
            wall.dislocation,
            burgers_vector=sign * wall.dislocation.burgers_vector,
            position=wall.first + (start + count - 1) * step,
        )
        parts.append(DislocationWall(line, wall.stacking, 2.0 * wall.spacing, count))
    return tuple(parts)


def dipole_wall(
    wall: DislocationWall, offset: ArrayLike
) -> tuple[DislocationWall, DislocationWall]:
    """Add the wall of opposite sign, displaced by `offset` (µm): a dipolar wall.

    Parameters
    ----------
    wall : DislocationWall
        The first wall, which stays in its place.
    offset : (3,) array_like
        From each dislocation to its opposite, in µm.

    Returns
    -------
    tuple of DislocationWall
    """
    return wall, wall.reversed().moved(offset)


def twist_wall(
    burgers_vectors: Sequence[ArrayLike],
    position: ArrayLike,
    spacings: Sequence[float],
    core_radius: float = 0.0,
    counts: Sequence[int | None] = (None, None),
) -> tuple[DislocationWall, DislocationWall]:
    """Two crossing arrays of screws: a twist boundary.

    Parameters
    ----------
    burgers_vectors : sequence of two (3,) array_like
        In µm; each array's lines run along its Burgers vector, and the wall contains both.
    position : (3,) array_like
        Centre of the wall, in µm.
    spacings : sequence of two float
        Of the two arrays, in µm.
    core_radius : float
        As of a :class:`~weakbeam.defects.lines.StraightLine`.
    counts : sequence of two int or None
        Of the two arrays; infinite unless given.

    Returns
    -------
    tuple of DislocationWall

    Raises
    ------
    ValueError
        If the Burgers vectors are parallel.
    """
    first, second = (np.array(b, dtype=np.float64) for b in burgers_vectors)
    normal = np.cross(first, second)
    if np.linalg.norm(normal) < 1e-9 * np.linalg.norm(first) * np.linalg.norm(second):
        raise ValueError("the Burgers vectors of a twist wall must not be parallel")
    lower, upper = (
        DislocationWall(
            StraightLine(b, b, np.asarray(position), core_radius),
            np.cross(normal, b),
            spacing,
            count,
        )
        for b, spacing, count in zip((first, second), spacings, counts, strict=True)
    )
    return lower, upper


class WallField:
    """The summed displacement gradient of walls, in compiled code.

    Parameters
    ----------
    walls : sequence of DislocationWall
        All in one frame.
    medium : IsotropicMedium
        What they lie in.
    """

    def __init__(self, walls: Sequence[DislocationWall], medium: IsotropicMedium) -> None:
        self.walls = tuple(walls)
        shape = len(self.walls)
        self._across = np.zeros((shape, 2, 4))
        self._scales = np.zeros((shape, 2))
        self._counts = np.zeros(shape, dtype=np.int64)
        self._matrices = np.zeros((shape, 8, 9))
        lines = StraightLines.of([wall.dislocation for wall in self.walls])
        for i, (wall, six) in enumerate(zip(self.walls, lines.matrices(medium), strict=True)):
            along = wall.stacking
            across = np.cross(wall.dislocation.line, along)
            self._across[i, :, :3] = along, across
            self._across[i, :, 3] = -(along @ wall.first), -(across @ wall.first)
            self._scales[i] = wall.spacing, wall.dislocation.core_radius**2
            self._counts[i] = wall.count or 0
            x_axis, _, _ = wall.dislocation.axes
            self._matrices[i] = (
                _six_from_eight(float(x_axis @ along), float(x_axis @ across)).T @ six
            )

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        _add_walls(gradient, points, self._across, self._scales, self._counts, self._matrices)


def _six_from_eight(c: float, s: float) -> Floats:
    """Return the six functions of a line as combinations of the eight sums of a wall, (6, 8).

    The line's own axes are x = cξ + sη and y = cη − sξ. The sums are those of
    (ξ, η)/q, (ξ³, ξ²η, ξη², η³)/q² and a²(ξ, η)/q².
    """
    return np.array(
        [
            [-s, c, 0, 0, 0, 0, 0, 0],
            [c, s, 0, 0, 0, 0, 0, 0],
            [0, 0, *_product(2.0, (c, s), (c, s), (-s, c)), 0, 0],
            [0, 0, *_product(2.0, (c, s), (c, s), (c, s)), 0, 0],
            [0, 0, 0, 0, 0, 0, -s, c],
            [0, 0, 0, 0, 0, 0, c, s],
        ]
    )


def _product(factor: float, *forms: tuple[float, float]) -> Floats:
    """Coefficients of ξ³, ξ²η, ξη², η³ in the product of linear forms pξ + qη."""
    result = np.array([factor])
    for form in forms:
        result = np.convolve(result, form)
    return result


@compiled
def _add_walls(
    gradient: Floats,
    points: Floats,
    across: Floats,
    scales: Floats,
    counts: Ints,
    matrices: Floats,
) -> None:
    n = points.shape[1]
    px, py, pz = points[0], points[1], points[2]
    sums = np.empty((8, n))
    s0, s1, s2, s3 = sums[0], sums[1], sums[2], sums[3]
    s4, s5, s6, s7 = sums[4], sums[5], sums[6], sums[7]
    for i in range(across.shape[0]):
        inverse, a2 = 1.0 / scales[i, 0], scales[i, 1]
        for p in range(n):
            xi = across[i, 0, 0] * px[p] + across[i, 0, 1] * py[p] + across[i, 0, 2] * pz[p]
            eta = across[i, 1, 0] * px[p] + across[i, 1, 1] * py[p] + across[i, 1, 2] * pz[p]
            xi, eta = xi + across[i, 0, 3], eta + across[i, 1, 3]
            y = np.sqrt(eta * eta + a2)
            w = complex(xi * inverse, y * inverse)
            f, g = infinite_row(w) if counts[i] == 0 else finite_row(w, counts[i])
            f, g = f * inverse, g * (inverse * inverse)
            # In the plane of a wall of singular cores η/Y has no value, and nothing to multiply.
            sine = eta / y if y > 0.0 else 0.0
            xi_q, eta_q = f.real, -sine * f.imag
            odd, even = -0.5 * y * g.imag, 0.5 * (eta_q - eta * g.real)
            s0[p], s1[p], s2[p], s3[p] = xi_q, eta_q, xi_q - odd, eta_q - even
            s4[p], s5[p] = sine * sine * odd, sine * sine * even
            spread = a2 / (y * y) if y > 0.0 else 0.0
            s6[p], s7[p] = spread * odd, spread * even
        for k in range(9):
            m, row = matrices[i, :, k], gradient[k]
            m0, m1, m2, m3, m4, m5, m6, m7 = m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]
            for p in range(n):
                row[p] += (m0 * s0[p] + m1 * s1[p] + m2 * s2[p] + m3 * s3[p]) + (
                    m4 * s4[p] + m5 * s5[p] + m6 * s6[p] + m7 * s7[p]
                )
