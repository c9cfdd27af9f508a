"""Files of ExaDiS and OpenDiS: legacy VTK, and restart files."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.networks.network_file import NetworkFile, joined_where_they_meet
from weakbeam.io.networks.text import TextFile, Tokens, known_planes, unknown_planes

_MEETING = 5e-6
"""Distance up to which ends of arms are the same node, in edges of the box: of single precision."""

_BOX, _LINE, _POLYLINE = 12, 3, 4
"""VTK's numbers of cells."""


def read_vtk(file: TextFile) -> NetworkFile:
    """Read a network of legacy VTK: a box as the first cell, and arms with points of their own.

    Arms are cut at the faces of the box; they are joined again.

    Raises
    ------
    InputError
        If it is no such file.
    """
    if len(file.lines) < 4 or file.lines[2].strip().upper() != "ASCII":
        raise file.mistake(3, "only VTK files in ASCII are read")
    tokens = Tokens.of(file, 3)
    tokens.expect("DATASET", "UNSTRUCTURED_GRID")
    points, cells, types = np.zeros((0, 3)), [], np.zeros(0, np.int64)
    lines: list[int] = []
    vectors: dict[str, Floats] = {}
    while tokens.left:
        number = tokens.number
        section = tokens.word("a section").upper()
        if section == "POINTS":
            count = tokens.size("points")
            tokens.word("the type of points")
            points = tokens.floats(3 * count, "POINTS").reshape(-1, 3)
        elif section == "CELLS":
            count, _ = tokens.size("cells"), tokens.size("numbers")
            for _ in range(count):
                lines.append(tokens.number)
                cells.append(tokens.whole(tokens.size("points of a cell", 10**6), "CELLS"))
        elif section == "CELL_TYPES":
            types = tokens.whole(tokens.size("cells"), "CELL_TYPES")
        elif section in ("CELL_DATA", "POINT_DATA"):
            tokens.size("values")
        elif section == "VECTORS":
            name = tokens.word("a name")
            tokens.word("a type")
            vectors[name.upper()] = tokens.floats(3 * len(cells), name).reshape(-1, 3)
        elif section == "SCALARS":
            name = tokens.word("a name")
            tokens.word("a type")
            wide = 1 if tokens.peek().upper() == "LOOKUP_TABLE" else tokens.size("components", 100)
            tokens.expect("LOOKUP_TABLE")
            tokens.word("a name")
            tokens.floats(wide * len(cells), name)
        else:
            raise file.mistake(number, f"{section!r} is no section that networks have")
    burgers = vectors.get("BURGERS")
    if burgers is None:
        raise file.mistake(0, "the vectors Burgers of the cells are missing")
    if len(types) != len(cells):
        raise file.mistake(0, f"there are {len(types)} CELL_TYPES for {len(cells)} CELLS")
    planes = vectors.get("PLANES", unknown_planes(len(cells)))
    cell: Floats | None = None
    origin = np.zeros(3)
    ends, kept = [], []
    for which, (corners, kind) in enumerate(zip(cells, types.tolist(), strict=True)):
        if len(corners) and not 0 <= corners.min() <= corners.max() < len(points):
            raise file.mistake(lines[which], f"a cell names a point that is none of {len(points)}")
        if kind == _BOX and len(corners) == 8:
            if cell is not None:
                raise file.mistake(lines[which], "there are two boxes")
            origin = points[corners[0]]
            cell = points[corners[[1, 3, 4]]] - origin
            if abs(np.linalg.det(cell)) < 1e-12 * np.abs(cell).max() ** 3:
                raise file.mistake(lines[which], "the box has no volume")
        elif kind in (_LINE, _POLYLINE) and len(corners) >= 2:
            for first, second in pairwise(corners.tolist()):
                ends.append((first, second))
                kept.append(which)
        else:
            raise file.mistake(lines[which], f"a cell of type {kind} with {len(corners)} points")
    periodic = (cell is not None,) * 3
    pairs = points[np.array(ends, dtype=np.int64).reshape(-1, 2)].reshape(-1, 2, 3)
    rows = np.array(kept, dtype=np.int64)
    return _from_ends(
        "ExaDiS or OpenDiS, VTK",
        pairs,
        burgers[rows],
        known_planes(planes[rows]),
        np.array(lines, dtype=np.int64)[rows],
        cell,
        origin,
        (periodic[0], periodic[1], periodic[2]),
    )


def _from_ends(
    name: str,
    ends: Floats,
    burgers: Floats,
    planes: Floats,
    lines: np.ndarray,
    cell: Floats | None,
    origin: Floats,
    periodic: tuple[bool, bool, bool],
) -> NetworkFile:
    size = 1.0 if not len(ends) else float(np.ptp(ends.reshape(-1, 3), axis=0).max())
    if cell is not None:
        size = float(np.linalg.norm(cell, axis=1).max())
    tolerance = _MEETING * size
    steps = ends[:, 1] - ends[:, 0]
    there = np.linalg.norm(steps, axis=1) > tolerance
    there &= np.any(burgers != 0.0, axis=1)
    numbers, nodes = joined_where_they_meet(
        ends[there].reshape(-1, 3), cell, origin, periodic, tolerance
    )
    return NetworkFile(
        name,
        nodes,
        tuple(map(str, range(len(nodes)))),
        numbers.reshape(-1, 2),
        steps[there],
        burgers[there],
        lines[there],
        "burgers vectors",
        "burgers vectors",
        planes[there],
        cell,
        origin,
        periodic,
    )


def read_restart(file: TextFile) -> NetworkFile:
    """Read a restart file of ExaDiS: header, ``H``, nodes, segments.

    Raises
    ------
    InputError
        If it ends early, or numbers do not fit.
    """
    periodic, cell, origin, turn = (True, True, True), None, np.zeros(3), None
    number, count = 0, None
    for number, line in enumerate(file.lines):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        told = Tokens(file, words[1:], [number + 1] * (len(words) - 1))
        if words[0] == "pbc":
            flags = told.whole(3, "pbc")
            periodic = (bool(flags[0]), bool(flags[1]), bool(flags[2]))
        elif words[0] == "H":
            # The edges are the columns of H.
            cell = told.floats(9, "H").reshape(3, 3).T
        elif words[0] == "origin":
            origin = told.floats(3, "origin")
        elif words[:2] == ["crystal", "orientation"]:
            told.word("orientation")
            turn = told.floats(9, "crystal orientation").reshape(3, 3)
        elif words[0] == "Nnodes":
            count = told.size("nodes")
            break
    if count is None:
        raise file.mistake(0, "Nnodes is missing")
    if cell is None or abs(np.linalg.det(cell)) < 1e-12 * np.abs(cell).max() ** 3:
        raise file.mistake(number + 1, "H, the edges of the box, is missing or has no volume")
    names, nodes, after = _restart_nodes(file, number + 1, count)
    arms, vectors, planes, lines = [], [], [], []
    tokens = Tokens.of(file, after, comment="#")
    tokens.expect("Nsegs")
    segments, first = tokens.size("segments"), tokens.number
    rows = [
        (place, line.split("#", 1)[0].split())
        for place, line in enumerate(file.lines[max(first - 1, 0) :], max(first, 1))
        if line.split("#", 1)[0].strip()
    ]
    if len(rows) < segments:
        raise file.mistake(0, f"{len(rows)} of {segments} segments are listed")
    for place, words in rows[:segments]:
        if len(words) < 8:
            raise file.mistake(place, f"a segment has at least 8 numbers, not {len(words)}")
        told = Tokens(file, words, [place] * len(words))
        pair = [told.word("a node") for _ in range(2)]
        for name in pair:
            if name not in names:
                raise file.mistake(place, f"a segment ends at node {name}, which is not there")
        arms.append([names[name] for name in pair])
        values = told.floats(6, "a segment")
        vectors.append(values[:3])
        planes.append(values[3:])
        lines.append(place)
    pairs = np.array(arms, dtype=np.int64).reshape(-1, 2)
    ends = nodes[pairs[:, 1]] - nodes[pairs[:, 0]]
    turns = np.round(ends @ np.linalg.inv(cell)) * np.array(periodic)
    return NetworkFile(
        "ExaDiS, restart",
        nodes,
        tuple(names),
        pairs,
        ends - turns @ cell,
        np.array(vectors).reshape(-1, 3),
        np.array(lines, dtype=np.int64),
        "burgers vectors",
        "burgers vectors",
        known_planes(np.array(planes).reshape(-1, 3)),
        cell,
        origin,
        periodic,
        None if turn is None else _rotation(file, turn),
    )


def _restart_nodes(file: TextFile, start: int, count: int) -> tuple[dict[str, int], Floats, int]:
    """Nodes by name, positions, and the line after them, from 0."""
    names: dict[str, int] = {}
    positions = []
    place = start
    while len(names) < count:
        if place >= len(file.lines):
            raise file.mistake(0, f"{len(names)} of {count} nodes are listed")
        words = file.lines[place].split("#", 1)[0].split()
        place += 1
        if not words:
            continue
        # A number, perhaps domain and index, the position, a constraint.
        if len(words) not in (5, 7):
            raise file.mistake(place, f"a node has 5 or 7 numbers, not {len(words)}")
        told = Tokens(file, words[-4:-1], [place] * 3)
        positions.append(told.floats(3, f"node {words[0]}"))
        if words[0] in names:
            raise file.mistake(place, f"node {words[0]} is listed twice")
        names[words[0]] = len(names)
    return names, np.array(positions).reshape(-1, 3), place


def _rotation(file: TextFile, turn: Floats) -> Floats | None:
    """A rotation, or None where the file has the unit matrix."""
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-4 or np.linalg.det(turn) < 0.0:
        raise file.mistake(0, "crystal orientation is no rotation")
    left, _, right = np.linalg.svd(turn)
    return np.asarray(left @ right)
