"""Where the dislocations of a population are placed: a box, a slab, or a Gaussian cloud.

Boxes and slabs are crossed by lines evenly: those of one direction are spread evenly over the plane
across it, as far as they meet the region, so that all its places have as much line per volume.
Lines through evenly spread points would not do: the longer a line is inside, the more points it
would have, which crowds the middle and leaves the corners empty (Kendall & Moran 1963).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import unit
from weakbeam.defects.lines import axes_across
from weakbeam.defects.vectors import three_numbers

_THINNEST = 1e-9
"""Thickness of a flat region relative to its width, as lines that run along it see it."""


class Region(Protocol):
    """A place with a face: what a population needs to know of it."""

    @property
    def area(self) -> float:
        """Area (µm²) of the face, across the region's normal."""

    @property
    def spread(self) -> tuple[Floats, Floats]:
        """Lowest and highest coordinates (µm) that points can have in the region's frame."""

    def local(self, uniform: Floats, lines: Floats) -> Floats:
        """Points of random lines in the region's frame.

        Parameters
        ----------
        uniform : (n, 3) ndarray
            Uniform random numbers, three for each line.
        lines : (n, 3) ndarray
            Directions in the sample frame, unit vectors.

        Returns
        -------
        (n, 3) ndarray
            A point of each line inside the region, in µm.
        """

    def positions(self, local: Floats) -> Floats:
        """Points (n, 3) of given coordinates, in µm."""

    def shadows(self, lines: Floats) -> Floats:
        """Areas (n,) in µm² of the region as it is seen along lines."""

    def chords(self, positions: Floats, lines: Floats) -> Floats:
        """Lengths (n,) in µm of lines inside the region."""


@dataclass(frozen=True)
class Box:
    """A box along the axes; its face is the one across z.

    Parameters
    ----------
    low, high : (3,) array_like
        Opposite corners, in µm; a thickness of zero is a plane.

    Raises
    ------
    ValueError
        If `high` is below `low` somewhere, or x and y have no extent.
    """

    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        """Check the corners."""
        for name in ("low", "high"):
            object.__setattr__(self, name, three_numbers(name, getattr(self, name)))
        size = self.high - self.low
        if size.min() < 0.0 or size[:2].min() == 0.0:
            raise ValueError(
                f"high {self.high.tolist()} must lie above low {self.low.tolist()} in x and y, and "
                "not below it in z"
            )

    @property
    def area(self) -> float:
        """Area (µm²) across z."""
        return float(np.prod((self.high - self.low)[:2]))

    @property
    def spread(self) -> tuple[Floats, Floats]:
        """The corners."""
        return self.low, self.high

    def local(self, uniform: Floats, lines: Floats) -> Floats:
        """Points of lines that are spread evenly across their directions."""
        return points_of_even_lines(uniform, lines, self.low, self.high)

    def positions(self, local: Floats) -> Floats:
        """Return the points themselves: the box has the frame of the sample."""
        return local

    def shadows(self, lines: Floats) -> Floats:
        """Areas (µm²) of the box as it is seen along lines."""
        return np.asarray(_shadows(lines, self.high - self.low).sum(axis=1))

    def chords(self, positions: Floats, lines: Floats) -> Floats:
        """Lengths (µm) of lines inside the box."""
        enter, leave = ends_inside(positions, lines, self.low, self.high)
        return leave - enter


@dataclass(frozen=True)
class Slab:
    """A square plate of any orientation; its face is the square.

    Parameters
    ----------
    normal : (3,) array_like
        Normal of the plate, of any length.
    width : float
        Edge of the square, in µm; two edges lie along the part of x (or y, for a normal near x)
        across the normal.
    depth : float
        Thickness of the plate, in µm; may be zero.
    centre : (3,) array_like
        In µm; the origin unless given.

    Raises
    ------
    ValueError
        For a zero normal, a width that is not positive or a negative depth.
    """

    normal: Floats
    width: float
    depth: float = 0.0
    centre: Floats = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        """Normalise the normal and check every value."""
        object.__setattr__(self, "normal", unit(three_numbers("normal", self.normal)))
        object.__setattr__(self, "centre", three_numbers("centre", self.centre))
        _check_size("width", self.width, positive=True)
        _check_size("depth", self.depth, positive=False)

    @property
    def area(self) -> float:
        """Area (µm²) of the square."""
        return self.width**2

    @property
    def spread(self) -> tuple[Floats, Floats]:
        """Ends of the plate along its edges and its normal."""
        half = 0.5 * np.array([self.width, self.width, self.depth])
        return -half, half

    def local(self, uniform: Floats, lines: Floats) -> Floats:
        """Points of lines that are spread evenly across their directions."""
        return points_of_even_lines(uniform, lines @ _frame(self.normal).T, *self.spread)

    def positions(self, local: Floats) -> Floats:
        """From the plate's frame to that of the sample."""
        return np.asarray(self.centre + local @ _frame(self.normal))

    def shadows(self, lines: Floats) -> Floats:
        """Areas (µm²) of the plate as it is seen along lines."""
        low, high = self.spread
        return np.asarray(_shadows(lines @ _frame(self.normal).T, high - low).sum(axis=1))

    def chords(self, positions: Floats, lines: Floats) -> Floats:
        """Lengths (µm) of lines inside the plate."""
        frame = _frame(self.normal)
        low, high = self.spread
        local = (positions - self.centre) @ frame.T
        enter, leave = ends_inside(local, lines @ frame.T, low, high)
        return leave - enter


@dataclass(frozen=True)
class Gaussian:
    """A round cloud: normally distributed across its normal, evenly along it.

    Parameters
    ----------
    sigma : float
        Standard deviation along each direction across the normal, in µm.
    depth : float
        Thickness along the normal, in µm; may be zero.
    centre : (3,) array_like
        In µm; the origin unless given.
    normal : (3,) array_like
        Of any length; z unless given.

    Raises
    ------
    ValueError
        For a zero normal, a sigma that is not positive or a negative depth.
    """

    sigma: float
    depth: float = 0.0
    centre: Floats = field(default_factory=lambda: np.zeros(3))
    normal: Floats = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))

    def __post_init__(self) -> None:
        """Normalise the normal and check every value."""
        object.__setattr__(self, "normal", unit(three_numbers("normal", self.normal)))
        object.__setattr__(self, "centre", three_numbers("centre", self.centre))
        _check_size("sigma", self.sigma, positive=True)
        _check_size("depth", self.depth, positive=False)

    @property
    def area(self) -> float:
        """Area 2πσ² (µm²): the number of points over their density at the centre."""
        return float(2.0 * np.pi * self.sigma**2)

    @property
    def spread(self) -> tuple[Floats, Floats]:
        """Ends that no double-precision draw passes: 9 σ."""
        half = np.array([9.0 * self.sigma, 9.0 * self.sigma, 0.5 * self.depth])
        return -half, half

    def local(self, uniform: Floats, lines: Floats) -> Floats:
        """Points after Box and Muller (1958), whatever the directions."""
        radius = self.sigma * np.sqrt(-2.0 * np.log1p(-uniform[:, 0]))
        angle = 2.0 * np.pi * uniform[:, 1]
        height = self.depth * (uniform[:, 2] - 0.5)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)

    def positions(self, local: Floats) -> Floats:
        """From the cloud's frame to that of the sample."""
        return np.asarray(self.centre + local @ _frame(self.normal))

    def shadows(self, lines: Floats) -> Floats:
        """Refuse, as `chords` does."""
        return self.chords(lines, lines)

    def chords(self, positions: Floats, lines: Floats) -> Floats:
        """Refuse: a cloud has no surface.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("a Gaussian region has no volume: give a count or lines per area")


def _frame(normal: Floats) -> Floats:
    """Rows: two unit vectors across the normal, and the normal; the axes for a normal along z."""
    x, y = axes_across(np.eye(3)[0 if abs(normal[0]) < 0.9 else 1], normal)
    return np.stack([x, y, normal])


def points_of_even_lines(uniform: Floats, lines: Floats, low: Floats, high: Floats) -> Floats:
    """Points of lines that cross a box along the axes evenly.

    A line enters through one of three faces. Of lines that are spread evenly over the plane across
    them each face lets in as many as it has area across the line; where they enter a face, and
    where along the line the point lies, is even as well.

    Parameters
    ----------
    uniform : (n, 3) ndarray
        Uniform random numbers from 0 to 1: of where the line enters, and of the point along it.
    lines : (n, 3) ndarray
        Unit vectors.
    low, high : (3,) ndarray
        Corners of the box. A flat one is a sheet, which lines along it enter through its edges.

    Returns
    -------
    (n, 3) ndarray
        In the box.
    """
    shares = _shadows(lines, high - low)
    ends = np.cumsum(shares, axis=1)
    mark = uniform[:, 0] * ends[:, 2]
    face = np.sum(mark[:, None] >= ends[:, :2], axis=1)
    row = np.arange(len(lines))
    within = 1.0 - (ends[row, face] - mark) / shares[row, face]
    fraction = np.empty_like(lines)
    fraction[row, face] = lines[row, face] < 0.0
    fraction[row, (face + 1) % 3] = within
    fraction[row, (face + 2) % 3] = uniform[:, 1]
    entry = low + (high - low) * fraction
    _, leave = ends_inside(entry, lines, low, high)
    along = (uniform[:, 2] * leave)[:, None] * lines
    return np.asarray(np.clip(entry + along, low, high))


def _shadows(lines: Floats, size: Floats) -> Floats:
    """Areas of a box's faces across x, y and z as they are seen along lines, (n, 3)."""
    solid = np.maximum(size, _THINNEST * size.max())
    return np.asarray(np.abs(lines) * (np.prod(solid) / solid))


def ends_inside(
    positions: Floats, lines: Floats, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Where straight lines enter and leave a box along the axes.

    Parameters
    ----------
    positions, lines : (n, 3) ndarray
        A point on each line, and its direction as a unit vector.
    low, high : (3,) ndarray
        Corners of the box.

    Returns
    -------
    enter, leave : (n,) ndarray
        Distances along the line from its point; equal for a line that misses the box.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (np.stack([low, high])[:, None, :] - positions) / lines
    # A line along a pair of faces never crosses them: it stays between them, or outside.
    parallel = lines == 0.0
    between = np.where((positions >= low) & (positions <= high), np.inf, -np.inf)
    enter = np.where(parallel, -between, np.minimum(*ends)).max(axis=1)
    leave = np.where(parallel, between, np.maximum(*ends)).min(axis=1)
    missed = ~(leave > enter)
    enter[missed] = leave[missed] = 0.0
    return enter, leave


def _check_size(name: str, value: float, *, positive: bool) -> None:
    if not (0.0 < value < np.inf or (value == 0.0 and not positive)):
        allowed = "positive" if positive else "zero or positive"
        raise ValueError(f"{name} {value} must be {allowed} and finite")
