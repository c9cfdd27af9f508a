"""Random populations of straight dislocations on chosen slip systems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.slip import burgers_vector, slip_systems
from weakbeam.crystal.symmetry import Centring
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.regions import Region

MOST_LINES = 1_000_000
"""Largest population."""

_TRIES = 200
"""Points tried for each line, at most, to keep a minimum distance."""

_IN_PLANE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class GlideSystem:
    """A Burgers vector and its glide plane, as vectors.

    Parameters
    ----------
    burgers_vector : (3,) array_like
        In µm.
    normal : (3,) array_like
        Normal of the glide plane, perpendicular to the Burgers vector; stored as a unit vector.
    weight : float
        How often the system is drawn, relative to others.
    label : str
        A name for tables and pictures.

    Raises
    ------
    ValueError
        If the Burgers vector is zero or leaves the plane, or the weight is negative.
    """

    burgers_vector: Floats
    normal: Floats
    weight: float = 1.0
    label: str = ""

    def __post_init__(self) -> None:
        """Normalise the normal and check every value."""
        burgers = np.array(self.burgers_vector, dtype=np.float64)
        normal = unit(self.normal)
        if abs(unit(burgers) @ normal) > _IN_PLANE_TOLERANCE:
            raise ValueError("burgers_vector of a glide system must lie in its plane")
        if not 0.0 <= self.weight < np.inf:
            raise ValueError(f"weight {self.weight} is negative or not finite")
        object.__setattr__(self, "burgers_vector", burgers)
        object.__setattr__(self, "normal", normal)


def glide_systems(
    cell: UnitCell,
    centring: Centring,
    structure: str,
    families: Sequence[str] | None = None,
    sample_from_crystal: ArrayLike | None = None,
) -> tuple[GlideSystem, ...]:
    """Slip systems of a structure as vectors, all with the same weight.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    centring : tuple of tuples of 3 Fraction
        Lattice points inside the cell, for the lengths of the Burgers vectors.
    structure : str
        "fcc", "bcc", "hcp", ...: see :func:`weakbeam.crystal.slip.slip_families`.
    families : sequence of str, optional
        Families to take; all of them unless given.
    sample_from_crystal : (3, 3) array_like, optional
        Rotation to the frame of the sample; the crystal's unless given.

    Returns
    -------
    tuple of GlideSystem

    Raises
    ------
    ValueError
        For an unknown structure or family.
    """
    turn = np.eye(3) if sample_from_crystal is None else np.asarray(sample_from_crystal)
    return tuple(
        GlideSystem(
            turn @ burgers_vector(cell, centring, system.direction),
            turn @ cell.plane_normal(system.plane),
            label=f"({_indices(system.plane)})[{_indices(system.direction)}]",
        )
        for system in slip_systems(structure, families)
    )


@dataclass(frozen=True)
class Population:
    """What was drawn, line by line.

    Parameters
    ----------
    lines : StraightLines
        The dislocations.
    system : (n,) ndarray of int
        Index of each one's glide system.
    character_deg : (n,) ndarray
        Angle ψ of the line in its plane: 0 edge, 90 screw.
    sign : (n,) ndarray of int
        +1, or −1 where the system's Burgers vector is reversed.
    """

    lines: StraightLines
    system: Ints
    character_deg: Floats
    sign: Ints


def draw_population(
    seed: int,
    region: Region,
    systems: Sequence[GlideSystem],
    *,
    count: int | None = None,
    lines_per_area: float | None = None,
    length_per_volume: float | None = None,
    character_deg: float | Sequence[float] | None = None,
    excess: float = 0.0,
    minimum_distance: float = 0.0,
    core_radius: float = 0.0,
    stream: int = 0,
) -> Population:
    """Draw straight dislocations at random places of a region.

    Boxes and slabs are crossed evenly: wherever in the region, there is as much line per volume.
    Through each point of a Gaussian cloud runs one line. All lines run on without end. A larger
    count adds to the lines of a smaller one.

    Parameters
    ----------
    seed : int
        The same seed and stream give the same population; not negative.
    region : Region
        A :class:`~weakbeam.defects.regions.Box`, `Slab` or `Gaussian`.
    systems : sequence of GlideSystem
        What to choose from, in proportion to the weights: those are shares of the number of lines,
        or of their length per volume if that is given.
    count : int, optional
        Number of lines. Exactly one of this and the two densities is to be given.
    lines_per_area : float, optional
        Lines per µm² of the region's face; of a Gaussian at its centre.
    length_per_volume : float, optional
        Length of line inside the region over its volume, in µm/µm³ (10¹² m/m³): lines are drawn
        until their lengths add up to this, to the nearest line.
    character_deg : float or sequence of float, optional
        ψ of all lines, or values to choose from with equal shares; uniform in [0, 180) unless
        given. ψ turns the line from pure edge (0) to pure screw (90) about the plane normal
        (docs/explanation/physics.md, D2).
    excess : float
        (n₊ − n₋)/n, from −1 to 1, for the numbers of lines with the systems' own and with the
        reversed Burgers vectors; met to the nearest line.
    minimum_distance : float
        Least distance between the points by which lines are drawn, in µm: one inside the region
        for each line.
    core_radius : float
        As of a :class:`~weakbeam.defects.lines.StraightLine`.
    stream : int
        Number of the population among several of one seed, which share no random number.

    Returns
    -------
    Population

    Raises
    ------
    ValueError
        For contradictory or impossible values, more than `MOST_LINES` lines, or a minimum distance
        for which there is no room.
    """
    given = [value for value in (count, lines_per_area, length_per_volume) if value is not None]
    if len(given) != 1:
        raise ValueError("give exactly one of count, lines_per_area and length_per_volume")
    if not 0.0 < given[0] < np.inf:
        raise ValueError(f"a count or density of {given[0]} is not positive and finite")
    if not -1.0 <= excess <= 1.0:
        raise ValueError(f"excess {excess} is not between -1 and 1")
    if not 0.0 <= minimum_distance < np.inf:
        raise ValueError(f"minimum_distance {minimum_distance} is negative or not finite")
    draws = _Draws(
        seed,
        stream,
        region,
        tuple(systems),
        _characters(character_deg),
        minimum_distance,
        by_length=length_per_volume is not None,
    )
    if length_per_volume is not None:
        number = draws.number_of_length(length_per_volume)
    else:
        number = _checked(given[0] if count is not None else given[0] * region.area)
    points, system, psi, directions = draws.first(number)
    sign = np.ones(number, dtype=np.int64)
    negative = number - math.floor(0.5 * number * (1.0 + excess) + 0.5)
    sign[draws.stream(3).permutation(number)[:negative]] = -1
    burgers: Floats = np.array([s.burgers_vector for s in systems])[system] * sign[:, None]
    lines = StraightLines(burgers, directions, points, np.full(number, core_radius))
    return Population(lines, system, psi, sign)


@dataclass(frozen=True)
class _Draws:
    """Endless sequences of lines; each asks for the first so many.

    Places, systems, characters and signs have streams of their own, whose numbers are taken in one
    order whatever the size of the blocks. A line that comes too close to others, or is too rare, is
    left out with all that it is.
    """

    seed: int
    population: int
    region: Region
    systems: tuple[GlideSystem, ...]
    characters: Floats | None
    distance: float
    by_length: bool

    def stream(self, number: int) -> np.random.Generator:
        """One of five independent streams, from its start."""
        key = (self.population, number) if self.population else (number,)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def first(self, number: int) -> tuple[Floats, Ints, Floats, Floats]:
        """Points, indices of systems, characters and directions of the first `number` lines."""
        weights = np.array([s.weight for s in self.systems], dtype=np.float64)
        if not weights.sum() > 0.0:
            raise ValueError("systems needs at least one glide system with a weight above 0")
        shares = np.cumsum(weights) / weights.sum()
        places, systems, turns, chances = (self.stream(k) for k in (0, 1, 2, 4))
        b = unit([s.burgers_vector for s in self.systems])
        edge = np.cross(b, [s.normal for s in self.systems])
        room = _Room(self.region, self.distance, number)
        largest = self._largest_shadow(edge[weights > 0.0], b[weights > 0.0])
        system = np.empty(number, np.int64)
        psi, directions = np.empty(number), np.empty((number, 3))
        while room.placed < number:
            drawn = np.searchsorted(shares, systems.random(number), side="right")
            turn = turns.random(number)
            if self.characters is None:
                angle = 180.0 * turn
            else:
                angle = self.characters[(turn * self.characters.size).astype(np.int64)]
            radians = np.radians(angle)[:, None]
            lines = np.cos(radians) * edge[drawn] + np.sin(radians) * b[drawn]
            uniform = places.random((number, 3))
            if self.by_length:
                # Of a direction in which the region is small fewer lines meet it.
                meets = chances.random(number) * largest < self.region.shadows(lines)
                drawn, angle = drawn[meets], angle[meets]
                lines, uniform = lines[meets], uniform[meets]
            before = room.placed
            chosen = room.add(self.region.local(uniform, lines))
            new = slice(before, room.placed)
            system[new], psi[new], directions[new] = drawn[chosen], angle[chosen], lines[chosen]
        return self.region.positions(room.points), system, psi, directions

    def _largest_shadow(self, edge: Floats, b: Floats) -> float:
        """An area that the region has along no direction that is drawn."""
        if not self.by_length:
            return 0.0
        if self.characters is None:
            # That along cosψ e + sinψ b is no more than |cosψ| times that along e, and so on.
            return float(np.hypot(self.region.shadows(edge), self.region.shadows(b)).max())
        angles = np.radians(self.characters)[:, None, None]
        lines = np.cos(angles) * edge + np.sin(angles) * b
        return float(self.region.shadows(lines.reshape(-1, 3)).max()) * (1.0 + 1e-12)

    def number_of_length(self, length_per_volume: float) -> int:
        """How many lines bring their length per volume closest to what is wanted."""
        low, high = self.region.spread
        volume = float(np.prod(high - low))
        if volume == 0.0:
            raise ValueError("a region without depth has no volume: give a count or lines per area")
        number = 64
        while True:
            points, _, _, directions = self.first(number)
            density = np.cumsum(self.region.chords(points, directions)) / volume
            if density[-1] >= length_per_volume:
                enough = int(np.searchsorted(density, length_per_volume))
                before = density[enough - 1] if enough else 0.0
                nearer = length_per_volume - before < density[enough] - length_per_volume
                return max(1, enough if nearer else enough + 1)
            # What is still missing, judged by the lines so far.
            guess = number * length_per_volume / max(float(density[-1]), 1e-12 * length_per_volume)
            number = _checked(max(min(1.1 * guess, 4.0 * MOST_LINES), number + 64))


class _Room:
    """Places in a region that keep a distance from each other.

    Parameters
    ----------
    region : Region
        Where they are.
    distance : float
        Least distance (µm); 0 for none.
    number : int
        How many there is to be room for.
    """

    def __init__(self, region: Region, distance: float, number: int) -> None:
        self.points = np.empty((number, 3))
        self.placed = 0
        self._tried = 0
        self._distance = distance
        self._low, high = region.spread
        size = high - self._low
        # Cells of a grid, not smaller than the distance: only neighbours need to be looked at.
        most = math.ceil(math.sqrt(number)) + 1 if distance > 0.0 else 1
        cells = np.clip(size // (distance or np.inf), 1, most).astype(np.int64)
        self._scale = cells / np.where(size > 0.0, size, 1.0)
        self._heads = np.full(cells, -1)
        self._links = np.full(number, -1)

    def add(self, candidates: Floats) -> Ints:
        """Take points (n, 3) one by one as long as there is room; the numbers of those taken.

        Raises
        ------
        ValueError
            If there is hardly any room left.
        """
        number, before = len(self.points), self.placed
        if self._distance == 0.0:
            chosen = np.arange(min(len(candidates), number - before))
            self.placed += len(chosen)
            self.points[before : self.placed] = candidates[chosen]
            return chosen
        if self._tried > _TRIES * number + 10_000:
            raise ValueError(
                f"a minimum distance of {self._distance:g} um leaves room for about {before} of "
                f"{number} lines only"
            )
        chosen = np.empty(number, np.int64)
        self.placed = _place(
            candidates,
            self._distance**2,
            self._low,
            self._scale,
            self.points,
            self._heads,
            self._links,
            before,
            chosen,
        )
        self._tried += len(candidates)
        return chosen[before : self.placed]


def _characters(character_deg: float | Sequence[float] | None) -> Floats | None:
    if character_deg is None:
        return None
    values = np.atleast_1d(np.asarray(character_deg, dtype=np.float64))
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values)):
        raise ValueError("character_deg must be one or more finite numbers")
    return values


def _checked(number: float) -> int:
    if number > MOST_LINES:
        raise ValueError(f"{number:.3g} dislocations are more than {MOST_LINES} at a time")
    return max(1, round(number))


def _indices(miller: Sequence[int]) -> str:
    return " ".join(str(index) for index in miller)


@compiled
def _place(
    candidates: Floats,
    least_squared: float,
    low: Floats,
    scale: Floats,
    points: Floats,
    heads: Ints,
    links: Ints,
    placed: int,
    chosen: Ints,
) -> int:
    """Add candidates one by one unless a point is too close; how many points there are then.

    Which candidate became each point is written to `chosen`.

    The points of a cell form a chain: `heads` holds its last one, `links` what came before each.
    """
    shape = heads.shape
    cell = np.empty(3, np.int64)
    for c in range(candidates.shape[0]):
        if placed == points.shape[0]:
            break
        x, y, z = candidates[c, 0], candidates[c, 1], candidates[c, 2]
        for axis in range(3):
            place = int((candidates[c, axis] - low[axis]) * scale[axis])
            cell[axis] = min(max(place, 0), shape[axis] - 1)
        free = True
        for i in range(max(cell[0] - 1, 0), min(cell[0] + 2, shape[0])):
            for j in range(max(cell[1] - 1, 0), min(cell[1] + 2, shape[1])):
                for k in range(max(cell[2] - 1, 0), min(cell[2] + 2, shape[2])):
                    other = heads[i, j, k]
                    while free and other >= 0:
                        dx, dy, dz = (
                            x - points[other, 0],
                            y - points[other, 1],
                            z - points[other, 2],
                        )
                        free = dx * dx + dy * dy + dz * dz >= least_squared
                        other = links[other]
        if free:
            points[placed, 0], points[placed, 1], points[placed, 2] = x, y, z
            links[placed] = heads[cell[0], cell[1], cell[2]]
            heads[cell[0], cell[1], cell[2]] = placed
            chosen[placed] = c
            placed += 1
    return placed
