"""Geometrically necessary boundaries: sets of parallel dislocations that satisfy Frank's equation.

For sets i of Burgers vector b_i and line ξ_i in a plane of normal n, with ρ_i lines per length,

    Σ ρ_i b_i [(ξ_i × n)·V] = Δω × V   for every V in the plane,   Δω = 2 sin(θ/2) â,

where Δω turns the side to which n points against the other side. A boundary that satisfies it has
no stress far away (Frank 1950; Hirth & Lothe 1982, 19-4; docs/explanation/physics.md, D5). The
lattice in between is the reference, from which the sides are turned by ±θ/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.slip import burgers_vector, line_direction
from weakbeam.crystal.symmetry import Centring, centring_vectors
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.vectors import three_numbers
from weakbeam.defects.wall import DislocationWall

_IN_PLANE_TOLERANCE = 1e-9
_PARALLEL_TOLERANCE = 1e-6
_NOTHING = 1e-9
"""Share of the largest density below which a set does not take part."""


@dataclass(frozen=True)
class LineSet:
    """A candidate: parallel dislocations of one Burgers vector.

    Parameters
    ----------
    burgers_vector : (3,) array_like
        The true Burgers vector, in µm.
    line : (3,) array_like
        Direction of the lines, in the boundary; stored as a unit vector.
    ratio : float, optional
        Density relative to the other sets; free unless given.

    Raises
    ------
    ValueError
        For a zero vector or a ratio that is not positive.
    """

    burgers_vector: Floats
    line: Floats
    ratio: float | None = None

    def __post_init__(self) -> None:
        """Normalise the line and check every value."""
        burgers = three_numbers("burgers_vector", self.burgers_vector, not_zero=True)
        object.__setattr__(self, "burgers_vector", burgers)
        object.__setattr__(self, "line", unit(self.line))
        if self.ratio is not None and not 0.0 < self.ratio < np.inf:
            raise ValueError(f"ratio {self.ratio} is not positive and finite")


class UnsolvableBoundaryError(ValueError):
    """The sets cannot make the boundary.

    Parameters
    ----------
    residual : float
        What remains of Δω × V with the best densities, relative to it.
    densities : (n,) ndarray
        The best densities, in 1/µm.
    tolerance : float
        Largest residual that was allowed.
    """

    def __init__(self, residual: float, densities: Floats, tolerance: float) -> None:
        self.residual = residual
        self.densities = densities
        best = ", ".join(f"{density:.4g}" for density in densities)
        super().__init__(
            f"the sets leave {residual:.3g} of the misorientation unaccounted for, more than "
            f"{tolerance:g}; the best densities are {best} per um"
        )


@dataclass(frozen=True)
class FrankBoundary:
    """A boundary whose densities are known; all vectors in one Cartesian frame.

    Parameters
    ----------
    normal : (3,) ndarray
        Unit vector n.
    rotation : (3,) ndarray
        Δω: axis times 2 sin(θ/2), of the side of n relative to the other.
    sets : tuple of LineSet
        The candidates.
    densities : (n,) ndarray
        Lines per µm across each set; negative where the Burgers vector is to be reversed.
    residual : float
        Norm of what Frank's equation leaves, relative to that of Δω × V.
    """

    normal: Floats
    rotation: Floats
    sets: tuple[LineSet, ...]
    densities: Floats
    residual: float

    @property
    def spacings(self) -> Floats:
        """Distance (µm) between the lines of each set; infinite for a set without lines."""
        used = np.abs(self.densities) > _NOTHING * np.abs(self.densities).max()
        with np.errstate(divide="ignore"):
            return np.where(used, 1.0 / np.abs(self.densities), np.inf)

    @property
    def stacking(self) -> Floats:
        """Unit vectors n × ξ along which the lines of each set follow each other, (n, 3)."""
        return np.array([np.cross(self.normal, lines.line) for lines in self.sets])

    @property
    def mean_gradient(self) -> Floats:
        """Displacement gradient that both sides share if they are turned and not strained, (3, 3).

        The dislocations of an infinite boundary leave ±[Δω]/2 far from it, with [Δω] r = Δω × r.
        Rotations by ±θ/2 differ by [Δω], too, and from that by (cos(θ/2) - 1)(1 - ââᵀ) on either
        side: by what a boundary cannot make, but the crystal that it is in has.
        """
        square = float(self.rotation @ self.rotation)
        # 1 - cos(θ/2), from sin(θ/2) = |Δω|/2.
        shrinks = 0.25 * square / (1.0 + np.sqrt(1.0 - 0.25 * square))
        axis = self.rotation / np.sqrt(square)
        return np.asarray(shrinks * (np.outer(axis, axis) - np.eye(3)))

    def turned(self, rotation: ArrayLike) -> FrankBoundary:
        """Return the boundary in another frame: vectors v become ``rotation @ v``."""
        turn = np.asarray(rotation, dtype=np.float64)
        sets = tuple(LineSet(turn @ s.burgers_vector, turn @ s.line, s.ratio) for s in self.sets)
        return FrankBoundary(
            turn @ self.normal, turn @ self.rotation, sets, self.densities, self.residual
        )

    def walls(
        self,
        position: ArrayLike,
        core_radius: float = 0.0,
        extent: float | None = None,
    ) -> tuple[DislocationWall, ...]:
        """Walls that make up the boundary, one for each set that takes part.

        Sets with parallel lines are staggered: their first lines share the spacing evenly.

        Parameters
        ----------
        position : (3,) array_like
            Centre of the boundary, in µm.
        core_radius : float
            As of a :class:`~weakbeam.defects.lines.StraightLine`.
        extent : float, optional
            Width (µm) that each set covers across its lines; infinite unless given.

        Returns
        -------
        tuple of DislocationWall

        Raises
        ------
        ValueError
            If the extent is not positive, or lines lie closer than their Burgers vector is long.
        """
        if extent is not None and not 0.0 < extent < np.inf:
            raise ValueError(f"extent {extent} is not positive and finite")
        walls: list[DislocationWall] = []
        centre = np.asarray(position, dtype=np.float64)
        phases = _phases([lines.line for lines in self.sets])
        for lines, density, spacing, stacking, phase in zip(
            self.sets, self.densities, self.spacings, self.stacking, phases, strict=True
        ):
            if spacing == np.inf:
                continue
            length = float(np.linalg.norm(lines.burgers_vector))
            if spacing < length:
                raise ValueError(
                    f"a set of the boundary needs a spacing of {1e3 * spacing:.3g} nm, less than "
                    f"its Burgers vector of {1e3 * length:.3g} nm: the angle is too large"
                )
            line = StraightLine(
                np.sign(density) * lines.burgers_vector,
                lines.line,
                centre + phase * spacing * stacking,
                core_radius,
            )
            count = None if extent is None else max(1, round(extent / spacing))
            walls.append(DislocationWall(line, stacking, float(spacing), count))
        return tuple(walls)


def solve_boundary(
    normal: ArrayLike,
    axis: ArrayLike,
    angle: float,
    sets: Sequence[LineSet],
    *,
    reversible: bool = True,
    tolerance: float = 0.02,
) -> FrankBoundary:
    """Densities of the sets that make a boundary of given misorientation.

    Least squares of Frank's equation over two directions of the boundary. Where many solutions
    exist, the one with the least sum of squared densities is taken. If the sets carry ratios, all
    densities share one factor.

    Parameters
    ----------
    normal : (3,) array_like
        Normal n of the boundary, of any length.
    axis : (3,) array_like
        Rotation axis of the side of n relative to the other, of any length.
    angle : float
        Misorientation θ in rad, not zero.
    sets : sequence of LineSet
        Candidates, in the same frame.
    reversible : bool
        Whether Burgers vectors may be reversed; if not, densities are not negative.
    tolerance : float
        Largest residual, relative to Δω × V.

    Returns
    -------
    FrankBoundary

    Raises
    ------
    UnsolvableBoundaryError
        If the residual is larger than `tolerance`.
    ValueError
        If a line does not lie in the boundary, only some sets have ratios, there is no set, or the
        angle is zero or not a small one.
    """
    n = unit(normal)
    if not 0.0 < abs(angle) < np.pi:
        raise ValueError(f"angle {angle} rad must not be zero and be less than pi")
    if not sets:
        raise ValueError("a boundary needs at least one set of dislocations")
    for number, lines in enumerate(sets):
        if abs(lines.line @ n) > _IN_PLANE_TOLERANCE:
            tilt = np.degrees(np.arcsin(min(abs(float(lines.line @ n)), 1.0)))
            raise ValueError(f"the line of set {number} leaves the boundary by {tilt:.3g} deg")
    rotation = 2.0 * np.sin(0.5 * angle) * unit(axis)
    plane = np.linalg.svd(n[None, :])[2][1:]
    wanted = np.cross(rotation, plane).ravel()
    offered = np.stack(
        [np.outer(plane @ np.cross(s.line, n), s.burgers_vector).ravel() for s in sets], axis=1
    )
    densities = _densities(offered, wanted, [s.ratio for s in sets], reversible)
    residual = float(np.linalg.norm(offered @ densities - wanted) / np.linalg.norm(wanted))
    if residual > tolerance:
        raise UnsolvableBoundaryError(residual, densities, tolerance)
    return FrankBoundary(n, rotation, tuple(sets), densities, residual)


def _densities(
    offered: Floats, wanted: Floats, ratios: list[float | None], reversible: bool
) -> Floats:
    # Columns of about unit size: the rank must not depend on the unit of length.
    scale = float(np.linalg.norm(offered, axis=0).max())
    matrix, given = offered / scale, [r for r in ratios if r is not None]
    if given and len(given) < len(ratios):
        raise ValueError("either all sets of a boundary have a ratio, or none")
    if given:
        column = matrix @ np.array(given)
        factor = float(column @ wanted) / float(column @ column)
        return (factor if reversible else max(factor, 0.0)) * np.array(given) / scale
    if reversible:
        return np.asarray(np.linalg.lstsq(matrix, wanted, rcond=1e-9)[0]) / scale
    from scipy.optimize import nnls

    return np.asarray(nnls(matrix, wanted)[0]) / scale


def _phases(lines: list[Floats]) -> list[float]:
    """Shift of each set in units of its spacing, along its own stacking direction."""
    phases: list[float] = []
    for i, line in enumerate(lines):
        alike = [
            j for j in range(len(lines))
            if np.linalg.norm(np.cross(lines[j], line)) < _PARALLEL_TOLERANCE
        ]  # fmt: skip
        sense = float(np.sign(line @ lines[alike[0]]))
        phases.append(sense * alike.index(i) / len(alike))
    return phases


_RECIPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], list[tuple[tuple[int, ...], ...]]]] = {
    "leds_eq11": (
        (1, 1, 1),
        (1, 1, 1),
        [((1, 0, -1), (2, -1, -1), (1,)), ((0, 1, -1), (-1, 2, -1), (1,))],
    ),
    "leds_eq14": (
        (1, 1, 1),
        (-1, 3, 1),
        [
            ((1, 0, -1), (1, 0, -1), (1,)),
            ((0, 1, -1), (1, 0, -1), (1,)),
            ((1, 0, 1), (1, -1, 0), (3,)),
        ],
    ),
    "frankus": (
        (0, 1, 0),
        (0, 1, 0),
        [
            ((1, -1, 0), (1, 0, -1), (1,)),
            ((0, 1, -1), (1, 0, -1), (1,)),
            ((1, 0, 1), (1, 0, 1), (1,)),
        ],
    ),
}
RECIPES = tuple(_RECIPES)
"""Names of the boundaries that :func:`recipe` knows."""


@dataclass(frozen=True)
class Recipe:
    """Ingredients of a boundary in the Cartesian crystal frame.

    Parameters
    ----------
    normal, axis : (3,) ndarray
        Normal of the boundary and rotation axis, unit vectors.
    sets : tuple of LineSet
        The dislocations, with the true Burgers vectors and with ratios.
    """

    normal: Floats
    axis: Floats
    sets: tuple[LineSet, ...]


def recipe(name: str, cell: UnitCell, centring: Centring) -> Recipe:
    """Boundaries of face-centred cubic metals as the literature builds them.

    Parameters
    ----------
    name : str
        One of `RECIPES`: "leds_eq11" (twist about the normal of (111)), "leds_eq14" (mixed, on
        (111) about [-1 3 1]), "frankus" (twist about the normal of (010)).
    cell : UnitCell
        A cubic cell.
    centring : tuple of tuples of 3 Fraction
        Lattice points inside it, those of F: Burgers vectors are a/2⟨110⟩.

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        For an unknown name, or a crystal that is not face-centred cubic.
    """
    if name not in _RECIPES:
        raise ValueError(f"boundary recipe {name!r} is none of {', '.join(RECIPES)}")
    edges, angles = {cell.a, cell.b, cell.c}, {cell.alpha, cell.beta, cell.gamma}
    face_centred = set(centring) == set(centring_vectors("F m -3 m"))
    if len(edges) > 1 or angles != {90.0} or not face_centred:
        raise ValueError(f"boundary recipe {name!r} is for face-centred cubic crystals only")
    normal, axis, sets = _RECIPES[name]
    return Recipe(
        unit(cell.plane_normal(normal)),
        line_direction(cell, axis),
        tuple(
            LineSet(burgers_vector(cell, centring, b), line_direction(cell, xi), float(ratio[0]))
            for b, xi, ratio in sets
        ),
    )
