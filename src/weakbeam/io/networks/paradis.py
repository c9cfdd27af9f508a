"""ParaDiS ``.data`` files, versions 4 and 5.

A header of ``name = value``, the domain decomposition, which is of no interest, and nodes with
their arms. An arm stands with both of its nodes, each time with the Burgers vector seen from there.
Positions are folded into the box: the partner is its nearest image.
"""

from __future__ import annotations

import re

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.io.networks.network_file import NetworkFile
from weakbeam.io.networks.text import TextFile, Tokens, known_planes, listed

_SAME = 1e-4
"""How far Burgers vectors of an arm, seen from its two ends, may differ, in Burgers vectors."""


def read_paradis(file: TextFile) -> NetworkFile:
    """Read a ParaDiS file.

    Raises
    ------
    InputError
        If it ends early, counts or numbers do not fit, or the two ends of an arm contradict each
        other: in one line, with the number of the line.
    """
    header, start = _header(file)
    version = header.get("dataFileVersion", [0.0])[0]
    low, high = (_corner(file, header, name) for name in ("minCoordinates", "maxCoordinates"))
    if not np.all(high > low):
        raise file.mistake(1, f"the box from {listed(low)} to {listed(high)} has no volume")
    files = int(header.get("numFileSegments", [1])[0])
    if files > 1:
        raise file.mistake(1, f"numFileSegments = {files}: nodes of further files are not read")
    nodes, names, half_arms = _nodes(file, start)
    said = header.get("nodeCount")
    if said is not None and int(said[0]) != len(nodes):
        raise file.mistake(0, f"nodeCount = {int(said[0])}, but {len(nodes)} nodes are listed")
    arms, burgers, planes, lines = _arms(file, names, half_arms)
    cell = np.diag(high - low)
    ends = nodes[arms[:, 1]] - nodes[arms[:, 0]] if len(arms) else np.zeros((0, 3))
    steps = ends - np.round(ends / (high - low)) * (high - low)
    return NetworkFile(
        f"ParaDiS, version {version:g}",
        nodes,
        tuple(names),
        arms,
        steps,
        burgers,
        lines,
        "burgers vectors",
        "burgers vectors",
        known_planes(planes),
        cell,
        low,
        (True, True, True),
    )


def _header(file: TextFile) -> tuple[dict[str, list[float]], int]:
    """Numbers of the header by name, and the line after ``nodalData``, from 0."""
    header: dict[str, list[float]] = {}
    name = ""
    for number, line in enumerate(file.lines):
        text = line.split("#", 1)[0]
        match = re.match(r"\s*(\w+)\s*=(.*)", text)
        if match:
            name, text = match[1], match[2]
            if name == "nodalData":
                return header, number + 1
            header[name] = []
        # Values may go on over several lines, in brackets or not.
        for word in text.replace("[", " ").replace("]", " ").split():
            try:
                header.setdefault(name, []).append(float(word))
            except ValueError:
                if name in ("minCoordinates", "maxCoordinates", "nodeCount"):
                    raise file.mistake(number + 1, f"{word!r} is no number, in {name}") from None
    raise file.mistake(0, "nodalData is missing")


def _corner(file: TextFile, header: dict[str, list[float]], name: str) -> Floats:
    values = header.get(name, [])
    if len(values) != 3 or not np.all(np.isfinite(values)):
        raise file.mistake(1, f"{name} needs three numbers, the header has {len(values)}")
    return np.array(values)


def _nodes(
    file: TextFile, start: int
) -> tuple[Floats, dict[str, int], list[tuple[int, str, Floats, int]]]:
    """Positions, numbers by tag, and every arm from either end: node, partner, b and n, line."""
    tokens = Tokens.of(file, start, comment="#", blanks=",[]")
    positions: list[Floats] = []
    names: dict[str, int] = {}
    half_arms: list[tuple[int, str, Floats, int]] = []
    while tokens.left:
        number = tokens.number
        tag = "{},{}".format(*tokens.whole(2, "the tag of a node"))
        if tag in names:
            raise file.mistake(number, f"node {tag} is listed twice")
        values = tokens.floats(3, f"the position of node {tag}")
        count = tokens.size(f"arms of node {tag}", 1000)
        tokens.whole(1, f"the constraint of node {tag}")
        for _ in range(count):
            line = tokens.number
            partner = "{},{}".format(*tokens.whole(2, f"an arm of node {tag}"))
            half_arms.append((len(names), partner, tokens.floats(6, f"an arm of node {tag}"), line))
        names[tag] = len(names)
        positions.append(values)
    return np.array(positions).reshape(-1, 3), names, half_arms


def _arms(
    file: TextFile, names: dict[str, int], half_arms: list[tuple[int, str, Floats, int]]
) -> tuple[Ints, Floats, Floats, Ints]:
    """Every arm once: nodes, Burgers vectors, planes and lines of the file."""
    tags = list(names)
    # Two nodes may have several arms between them, which differ in their Burgers vectors.
    waiting: dict[tuple[int, int], list[tuple[Floats, int]]] = {}
    arms, vectors, lines = [], [], []
    for node, partner, values, line in half_arms:
        if partner not in names:
            raise file.mistake(
                line, f"node {tags[node]} has an arm to {partner}, which is not there"
            )
        other = names[partner]
        if other == node:
            raise file.mistake(line, f"node {partner} has an arm to itself")
        seen = waiting.get((other, node), [])
        for place, (theirs, _) in enumerate(seen):
            if np.abs(theirs[:3] + values[:3]).max() <= _SAME:
                seen.pop(place)
                break
        else:
            if seen:
                raise file.mistake(
                    line,
                    f"the arm from node {tags[node]} to {partner} has b = {listed(values[:3])}, "
                    f"but seen from there it is {listed(seen[0][0][:3])}, not the opposite",
                )
            waiting.setdefault((node, other), []).append((values, line))
            arms.append((node, other))
            vectors.append(values)
            lines.append(line)
    for (node, other), left in waiting.items():
        for _, line in left:
            raise file.mistake(
                line,
                f"node {tags[node]} has an arm to {tags[other]}, which has none back",
            )
    rows = np.array(vectors).reshape(-1, 6)
    return (
        np.array(arms, dtype=np.int64).reshape(-1, 2),
        rows[:, :3],
        rows[:, 3:],
        np.array(lines, dtype=np.int64),
    )
