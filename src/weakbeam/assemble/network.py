"""From files of dislocation networks to segments in the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.line_table import translates_lattice
from weakbeam.assemble.placed import (
    Column,
    Host,
    ShownLines,
    Sources,
    angle_words,
    segment_columns,
    typeset,
)
from weakbeam.core.arrays import Floats, Ints
from weakbeam.crystal.elasticity import Medium
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.orientation import sample_from_crystal_euler
from weakbeam.crystal.slip import UM_PER_ANGSTROM
from weakbeam.defects.network import DislocationNetwork
from weakbeam.defects.periodic import RepeatedNetwork
from weakbeam.defects.regions import Box
from weakbeam.defects.segments import Segments
from weakbeam.errors import InputError
from weakbeam.experiment import network as described
from weakbeam.io.networks.network_file import NetworkFile
from weakbeam.io.networks.text import listed

if TYPE_CHECKING:
    from weakbeam.io.defects_file import RepeatedSegments

_BALANCED = 1e-3
"""Share of the Burgers vectors of a node by which they may miss zero."""

_SLOPE = 1e-3
"""Sine of the angle by which a Burgers vector may leave its plane."""

_SQUARE = 1e-3
"""Cosine by which directions of axes may miss a right angle."""

_CONSTANT = 0.05
"""Share by which the lattice constant of extracted lines may differ from the crystal's."""

_MEETING = 1e-6
"""Distance (µm) up to which ends of stored segments are the same node."""

_FRACTIONS = (1, 2, 3, 6)
_MOST_NAMES = 24


@dataclass(frozen=True, eq=False)
class PlacedNetwork:
    """A network in the sample.

    Parameters
    ----------
    kind : str
        What the table is called.
    network : DislocationNetwork
        All of it, each arm once, in the sample frame.
    images : int
        Boxes on each side of the central one, where it repeats.
    cut : Segments, optional
        What is left of it, where it does not repeat.
    names : tuple of str
        Burgers vectors that occur.
    of_name : (m,) ndarray of int
        Which of them each arm of the network has, by either sign.
    medium : Medium
        What it lies in.
    """

    kind: str
    network: DislocationNetwork
    images: int
    cut: Segments | None
    names: tuple[str, ...]
    of_name: Ints
    medium: Medium

    @cached_property
    def sources(self) -> Sources:
        """The segments that are left of it, or all of it for ever."""
        if self.cut is not None:
            return Sources(self.medium, segments=self.cut)
        return Sources(fields=(RepeatedNetwork(self.network, self.images, self.medium),))

    @property
    def periods(self) -> Floats:
        """See :class:`weakbeam.assemble.placed.Repeating`."""
        return self.network.periods if self.cut is None else np.zeros((0, 3))

    def summary(self) -> str:
        """What is in the box of a network that repeats."""
        if self.cut is not None:
            return ""
        angles = angle_words(self.network.segments.lines.angles_deg)
        return (
            f"{len(self.network.arms)} segments in a box that repeats, "
            f"{self.network.density:.3g} per m², b∧t {angles}"
        )

    def turned(self, rotation: Floats) -> PlacedNetwork:
        """The same network in a sample that is turned."""
        cut = None if self.cut is None else self.cut.turned(rotation)
        medium = self.medium.turned(rotation)
        return replace(self, network=self.network.turned(rotation), cut=cut, medium=medium)

    def rows(self) -> dict[str, Column]:
        """A row for each segment; of a network that repeats, for each arm, with its box."""
        if self.cut is not None:
            return segment_columns(self.cut, self.medium)
        rows = segment_columns(self.network.segments, self.medium)
        count = len(self.network.arms)
        rows["periods"] = np.tile(self.network.periods, (count, 1, 1)), "um"
        rows["box_centre"] = np.tile(self.network.centre, (count, 1)), "um"
        rows["images"] = np.full(count, self.images), ""
        return rows

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """The segments that come within reach, in colours of their Burgers vectors."""
        segments = self.network.piece(self.images) if self.cut is None else self.cut
        lengths = np.minimum(segments.lengths, 4.0 * reach)
        middle = segments.starts + 0.5 * lengths[:, None] * segments.directions
        near = np.linalg.norm(middle - centre, axis=1) <= reach + 0.5 * lengths
        segments = segments.chosen(near)
        kind = _nearest_kind(segments.burgers_vectors, self.network.burgers, self.of_name)
        return ShownLines(segments.lines, kind, tuple(map(typeset, self.names)), segments.lengths)


def place_network(table: described.Network, key: str, host: Host) -> tuple[PlacedNetwork]:
    """A network in the sample frame.

    Raises
    ------
    InputError
        If the file cannot be read, lacks what the table does not tell, or contradicts the crystal
        or itself: with the node, its line in the file and the value.
    """
    from weakbeam.io.networks.reading import read_network

    file = read_network(table.file, f"{key}.file", table.format)
    if not len(file.arms):
        raise InputError(f"{key}.file", table.file, "holds no dislocation")
    network = network_of(file, table, key, host)
    _check_burgers(file, network, table, key, host)
    _check_nodes(file, network, table, key)
    open_ends = network.with_straight_ends()
    names, of_name = burgers_names(network.burgers @ host.sample_from_crystal, host.crystal)
    cut: Segments | None = None
    images = table.shells if len(network.periods) else 0
    if table.region_um is not None:
        region = Box(*map(np.array, table.region_um))
        cut = network.piece(_boxes_to_cover(network, region), region)
        if not len(cut):
            raise InputError(f"{key}.region_um", _lists(table.region_um), "holds no dislocation")
    elif len(network.periods) < 3 or table.images == 0:
        cut = Segments.joined([network.piece(images), open_ends])
    elif len(open_ends):
        raise InputError(
            f"{key}.ends", "straight", "a network that repeats has no ends; give images = 0"
        )
    return (PlacedNetwork(table.kind, network, images, cut, names, of_name, host.medium),)


def network_again(
    kind: str,
    stored: RepeatedSegments,
    medium: Medium,
    sample_from_crystal: Floats,
    crystal: CrystalModel,
) -> PlacedNetwork:
    """A network that repeats, from the list of its segments that an output file has."""
    from weakbeam.io.networks.network_file import joined_where_they_meet

    segments, periods = stored.segments, stored.periods
    steps = segments.lengths[:, None] * segments.directions
    ends = np.stack([segments.starts, segments.starts + steps], axis=1).reshape(-1, 3)
    corner = stored.centre - 0.5 * periods.sum(axis=0)
    numbers, nodes = joined_where_they_meet(ends, periods, corner, (True,) * 3, _MEETING)
    network = DislocationNetwork(
        nodes,
        numbers.reshape(-1, 2),
        steps,
        segments.burgers_vectors,
        segments.core_radii,
        periods,
        stored.centre,
    )
    names, of_name = burgers_names(segments.burgers_vectors @ sample_from_crystal, crystal)
    return PlacedNetwork(kind, network, stored.images, None, names, of_name, medium)


def network_of(
    file: NetworkFile, table: described.Network, key: str, host: Host
) -> DislocationNetwork:
    """The network of a file in µm, in the sample frame."""
    length, burgers_unit = _units(file, table, key, host.crystal)
    turn = host.sample_from_crystal @ _crystal_from_file(file, table, key, host.crystal)
    sign = -1.0 if table.burgers_sense == "reversed" else 1.0
    burgers = sign * burgers_unit * file.burgers @ turn.T
    periods = np.zeros((0, 3))
    centre = np.array(table.position_um)
    if file.cell is not None:
        periods = length * file.cell[list(file.periodic)] @ turn.T
        centre = centre + length * turn @ (file.origin + 0.5 * file.cell.sum(axis=0))
    return DislocationNetwork(
        np.array(table.position_um) + length * file.nodes @ turn.T,
        file.arms,
        length * file.steps @ turn.T,
        burgers,
        np.asarray(host.crystal.core_radii(burgers)),
        periods,
        centre,
    )


def _units(
    file: NetworkFile, table: described.Network, key: str, crystal: CrystalModel
) -> tuple[float, float]:
    """Units of lengths and of Burgers vectors, in µm."""
    given = table.burgers_length_nm
    if file.unit == "burgers vectors":
        if given is None:
            raise InputError(
                f"{key}.burgers_length_nm",
                None,
                f"missing; {file.format} counts lengths in Burgers vectors, whose length it does "
                "not tell",
            )
        return 1e-3 * given, 1e-3 * given
    if given is not None:
        unit_name = "µm" if file.unit == "um" else "Å"
        raise InputError(
            f"{key}.burgers_length_nm", given, f"does not belong to a file in {unit_name}"
        )
    if file.unit == "um":
        return 1.0, 1.0
    # Lattice constants of hexagonal crystals are told as those of the cubic stacking.
    hexagonal = abs(crystal.cell.gamma - 120.0) < 1e-6
    constant = crystal.cell.a * (math.sqrt(2.0) if hexagonal else 1.0)
    told = file.lattice_constant
    if told is not None and abs(told / constant - 1.0) > _CONSTANT:
        raise InputError(
            f"{key}.file",
            table.file,
            f"has a lattice constant of {told:.4g} Å, {crystal.name} one of {constant:.4g} Å",
        )
    return UM_PER_ANGSTROM, constant * UM_PER_ANGSTROM


def _crystal_from_file(
    file: NetworkFile, table: described.Network, key: str, crystal: CrystalModel
) -> Floats:
    """Rotation from the axes of the file to the Cartesian ones of the crystal."""
    if table.euler_deg is not None:
        return sample_from_crystal_euler(*np.radians(table.euler_deg).tolist()).T
    if table.file_axes is None:
        return np.eye(3) if file.file_from_crystal is None else file.file_from_crystal.T
    axes = np.stack([unit(crystal.cell.direction(axis)) for axis in table.file_axes])
    for first, second in ((0, 1), (0, 2), (1, 2)):
        cosine = float(axes[first] @ axes[second])
        if abs(cosine) > _SQUARE:
            raise InputError(
                f"{key}.file_axes",
                _lists(table.file_axes),
                f"axes {'xyz'[first]} and {'xyz'[second]} make "
                f"{math.degrees(math.acos(cosine)):.4g} deg, not 90",
            )
    if np.linalg.det(axes) < 0.0:
        raise InputError(f"{key}.file_axes", _lists(table.file_axes), "must be right-handed")
    left, _, right = np.linalg.svd(axes.T)
    return np.asarray(left @ right)


def _check_burgers(
    file: NetworkFile, network: DislocationNetwork, table: described.Network, key: str, host: Host
) -> None:
    """Every Burgers vector is one of the lattice, and lies in its plane."""
    in_crystal = network.burgers @ host.sample_from_crystal
    rounded, first = np.unique(np.round(in_crystal, 9), axis=0, return_index=True)
    for vector, arm in zip(rounded, first.tolist(), strict=True):
        if table.partial or translates_lattice(host.crystal, vector):
            continue
        length = 1e3 * float(np.linalg.norm(vector))
        others = (
            f"; it tells of {file.clusters} crystals of different orientation, and a network lies "
            "in one of them"
            if file.clusters > 1
            else "; a partial dislocation needs partial = true"
        )
        raise InputError(
            f"{key}.file",
            table.file,
            f"{_where(file, arm)}: the file's axes or its unit do not fit: b = "
            f"{listed(file.burgers[arm])}, {length:.4g} nm, is no lattice vector of "
            f"{host.crystal.name}{others}",
        )
    sizes = np.linalg.norm(file.burgers, axis=1) * np.linalg.norm(file.planes, axis=1)
    with np.errstate(invalid="ignore"):
        slopes = np.abs(np.sum(file.burgers * file.planes, axis=1)) / sizes
    steep = np.flatnonzero(slopes > _SLOPE)
    if len(steep):
        arm = int(steep[0])
        raise InputError(
            f"{key}.file",
            table.file,
            f"{_where(file, arm)}: b = {listed(file.burgers[arm])} leaves its plane "
            f"{listed(file.planes[arm])} by {math.degrees(math.asin(min(slopes[arm], 1.0))):.3g} "
            "deg",
        )


def _check_nodes(
    file: NetworkFile, network: DislocationNetwork, table: described.Network, key: str
) -> None:
    """At every node the Burgers vectors add up to zero; lines end only where that is said."""
    off = np.linalg.norm(network.imbalance, axis=1)
    size = float(np.linalg.norm(network.burgers, axis=1).max())
    single = network.degrees == 1
    allowed = single if table.ends is not None else np.zeros(len(off), bool)
    wrong = np.flatnonzero((off > _BALANCED * size) & ~allowed)
    if not len(wrong):
        return
    node = int(wrong[0])
    total = np.zeros(3)
    theirs = np.flatnonzero((network.arms == node).any(axis=1))
    for arm in theirs:
        total += file.burgers[arm] * (1.0 if network.arms[arm, 0] == node else -1.0)
    number = int(file.lines[theirs[0]])
    where = f"line {number}, " if number else ""
    many = f", as at {len(wrong) - 1} more nodes" if len(wrong) > 1 else ""
    if single[node]:
        said = (
            f'a line with b = {listed(total)} ends there{many}; ends = "straight" lets lines run on'
        )
    else:
        count = int(network.degrees[node])
        said = f"the Burgers vectors of its {count} arms add up to {listed(total)}, not 0{many}"
    raise InputError(f"{key}.file", table.file, f"{where}node {file.names[node]}: {said}")


def _where(file: NetworkFile, arm: int) -> str:
    first, last = (file.names[node] for node in file.arms[arm])
    number = int(file.lines[arm])
    return f"{f'line {number}, ' if number else ''}arm from node {first} to {last}"


def _boxes_to_cover(network: DislocationNetwork, region: Box) -> int:
    """How many boxes around the central one a region reaches into."""
    if not len(network.periods):
        return 0
    corners = np.array(
        [[x, y, z] for x in _pair(region, 0) for y in _pair(region, 1) for z in _pair(region, 2)]
    )
    shares = (corners - network.centre) @ np.linalg.pinv(network.periods)
    # An arm may begin a box away from where it is.
    return max(1 + int(np.ceil(np.abs(shares).max() - 0.5)), 1)


def _pair(region: Box, axis: int) -> tuple[float, float]:
    return float(region.low[axis]), float(region.high[axis])


def burgers_names(burgers: Floats, crystal: CrystalModel) -> tuple[tuple[str, ...], Ints]:
    """Burgers vectors (m, 3), µm, crystal frame, by name, either sign as one.

    Returns
    -------
    names : tuple of str
        Such as "1/2[1 0 -1]"; the most frequent first.
    of_name : (m,) ndarray of int
        Number of each one's name.
    """
    components = np.linalg.solve(crystal.cell.direct, burgers.T / UM_PER_ANGSTROM).T
    rounded = np.round(components, 2) + 0.0
    # The first component that is not zero is positive.
    first = np.argmax(np.abs(rounded) > 0.05, axis=1)
    signs = np.sign(rounded[np.arange(len(rounded)), first])
    signs[signs == 0.0] = 1.0
    rows, inverse, counts = np.unique(
        rounded * signs[:, None] + 0.0, axis=0, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    place = np.argsort(order)
    named = [_name(rows[k], crystal.cell) for k in order]
    of_name = place[inverse.ravel()]
    if len(named) > _MOST_NAMES:
        named = [*named[: _MOST_NAMES - 1], "other"]
        of_name = np.minimum(of_name, _MOST_NAMES - 1)
    return tuple(named), of_name


def _name(components: Floats, cell: UnitCell) -> str:
    for factor in _FRACTIONS:
        whole = factor * components
        if np.abs(whole - np.round(whole)).max() <= 0.03 * factor:
            uvw = " ".join(str(int(n)) for n in np.round(whole))
            return f"[{uvw}]" if factor == 1 else f"{Fraction(1, factor)}[{uvw}]"
    return f"[{' '.join(f'{x:.3g}' for x in components)}]"


def _nearest_kind(burgers: Floats, known: Floats, of_known: Ints) -> Ints:
    """Kind of each of some Burgers vectors, by the known one that it is."""
    digits = 9
    table: dict[tuple[float, ...], int] = {}
    for vector, kind in zip(np.round(known, digits).tolist(), of_known.tolist(), strict=True):
        table.setdefault(tuple(vector), kind)
        table.setdefault(tuple(-x for x in vector), kind)
    rows = np.round(burgers, digits).tolist()
    return np.array([table.get(tuple(row), 0) for row in rows], dtype=np.int64)


def _lists(rows: tuple[tuple[float, ...], ...]) -> list[list[float]]:
    return [list(row) for row in rows]
