"""Dislocations extracted from atoms, as OVITO writes them: ``.ca`` files.

Lengths are in Å. A Burgers vector is told in lattice constants along the axes of the crystal in its
cluster, which has an orientation of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.networks.network_file import NetworkFile, joined_where_they_meet
from weakbeam.io.networks.text import TextFile, Tokens, unknown_planes

_MEETING = 1e-3
"""Distance (Å) up to which ends of lines are the same node."""

_PURE = 0.2
"""How far an orientation without any scale may be from a rotation, by its determinant."""


def read_dxa(file: TextFile) -> NetworkFile:
    """Read a ``.ca`` file.

    Raises
    ------
    InputError
        If it ends early, or names a cluster or a line that is not there.
    """
    tokens = Tokens.of(file)
    tokens.expect("CA_FILE_VERSION")
    version = tokens.size("version", 1000)
    cell, origin, periodic = None, np.zeros(3), (False, False, False)
    clusters: dict[int, Floats] = {}
    lines: list[_Line] = []
    while tokens.left:
        section = tokens.word("a section")
        if section == "SIMULATION_CELL_ORIGIN":
            origin = tokens.floats(3, section)
        elif section == "SIMULATION_CELL_MATRIX":
            # The edges are its columns.
            cell = tokens.floats(9, section).reshape(3, 3).T
        elif section == "PBC_FLAGS":
            flags = tokens.whole(3, section)
            periodic = (bool(flags[0]), bool(flags[1]), bool(flags[2]))
        elif section == "CLUSTER":
            clusters |= _cluster(tokens)
        elif section == "DISLOCATIONS":
            lines = [_line(tokens, clusters) for _ in range(tokens.size("dislocations"))]
            break
    else:
        raise file.mistake(0, "DISLOCATIONS is missing")
    if cell is None or abs(np.linalg.det(cell)) < 1e-12 * np.abs(cell).max() ** 3:
        raise file.mistake(0, "SIMULATION_CELL_MATRIX is missing or has no volume")
    lattice = _lattice_constant(clusters)
    ends = np.concatenate(
        [np.stack([line.points[:-1], line.points[1:]], axis=1) for line in lines]
        or [np.zeros((0, 2, 3))]
    )
    counts = [len(line.points) - 1 for line in lines]
    turned = [_turn(clusters[line.cluster]) @ line.burgers for line in lines]
    burgers = np.repeat(np.array(turned).reshape(-1, 3), counts, axis=0)
    where = np.repeat(np.array([line.number for line in lines], dtype=np.int64), counts)
    steps = ends[:, 1] - ends[:, 0]
    there = (np.linalg.norm(steps, axis=1) > _MEETING) & np.any(burgers != 0.0, axis=1)
    numbers, nodes = joined_where_they_meet(
        ends[there].reshape(-1, 3), cell, origin, periodic, _MEETING
    )
    used = sorted({line.cluster for line in lines})
    longest = max(
        used, key=lambda c: sum(len(x.points) for x in lines if x.cluster == c), default=0
    )
    turns = {tuple(np.round(_turn(clusters[c]), 6).ravel()) for c in used}
    return NetworkFile(
        f"OVITO, DXA, version {version}",
        nodes,
        _names(lines, counts, there, numbers, len(nodes)),
        numbers.reshape(-1, 2),
        steps[there],
        burgers[there],
        where[there],
        "angstrom",
        "lattice constants",
        unknown_planes(int(there.sum())),
        cell,
        origin,
        periodic,
        _turn(clusters.get(longest, np.eye(3))),
        lattice,
        max(len(turns), 1),
    )


@dataclass(frozen=True, eq=False)
class _Line:
    """A dislocation: its name, b along the axes of its cluster, points (Å), line of the file."""

    name: str
    burgers: Floats
    cluster: int
    points: Floats
    number: int


def _cluster(tokens: Tokens) -> dict[int, Floats]:
    """Number and orientation of a cluster."""
    number = int(tokens.whole(1, "the number of a cluster")[0])
    orientation = np.eye(3)
    while (word := tokens.word("END_CLUSTER")) != "END_CLUSTER":
        if word == "CLUSTER_ORIENTATION":
            at = tokens.number
            orientation = tokens.floats(9, word).reshape(3, 3)
            if np.linalg.det(orientation) < 1e-9:
                raise tokens.file.mistake(at, "the orientation of a cluster is no rotation")
    return {number: orientation}


def _turn(orientation: Floats) -> Floats:
    """The rotation in an orientation, which may have the lattice constant and a strain in it."""
    left, _, right = np.linalg.svd(orientation)
    return np.asarray(left @ right)


def _line(tokens: Tokens, clusters: dict[int, Floats]) -> _Line:
    number = tokens.number
    name = tokens.word("the number of a dislocation")
    burgers = tokens.floats(3, f"the Burgers vector of dislocation {name}")
    cluster = int(tokens.whole(1, f"the cluster of dislocation {name}")[0])
    if cluster not in clusters:
        raise tokens.file.mistake(
            number, f"dislocation {name} is in cluster {cluster}, which is not there"
        )
    count = tokens.size(f"points of dislocation {name}")
    if count < 2:
        raise tokens.file.mistake(number, f"dislocation {name} has {count} points, not two or more")
    rows = []
    for _ in range(count):
        line = tokens.number
        rows.append(tokens.floats(3, f"a point of dislocation {name}"))
        # Some versions tell the size of the core as well.
        while tokens.left and tokens.number == line:
            tokens.word("the size of the core")
    return _Line(name, burgers, cluster, np.array(rows), number)


def _lattice_constant(clusters: dict[int, Floats]) -> float | None:
    """What orientations tell of it (Å); None if they are pure rotations."""
    scales = [np.cbrt(np.linalg.det(matrix)) for number, matrix in clusters.items() if number]
    found = [float(scale) for scale in scales if abs(scale - 1.0) > _PURE]
    return float(np.median(found)) if found else None


def _names(
    lines: list[_Line],
    counts: list[int],
    there: np.ndarray,
    numbers: np.ndarray,
    nodes: int,
) -> tuple[str, ...]:
    """Nodes by the dislocation, and the place along it, at which they first occur."""
    names = [""] * nodes
    every = [
        f"{line.name}, point {place + which}"
        for line, count in zip(lines, counts, strict=True)
        for place in range(count)
        for which in (0, 1)
    ]
    kept = np.repeat(there, 2)
    for node, name in zip(numbers.tolist(), np.array(every)[kept].tolist(), strict=True):
        names[node] = names[node] or name
    return tuple(names)
