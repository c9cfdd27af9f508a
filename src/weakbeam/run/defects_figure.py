"""The figure of the defects of a run: which lines it shows, and in which colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.assemble import Setup
from weakbeam.assemble.placed import PlacedDislocation, PlacedLines, PlacedWalls
from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.wall import DislocationWall
from weakbeam.plot.drawing import Drawing

_MOST_OF_A_WALL = 2000
"""Lines of one wall that are drawn at most; of a denser one every second, third ... of them."""


@dataclass(frozen=True)
class _Shown:
    """Lines of one defect, in the sample frame, and what kind each is."""

    lines: StraightLines
    kind: Ints
    labels: tuple[str, ...]


def defects_drawing(setup: Setup, z: float) -> Drawing | None:
    """Describe the figure of the defects in the illuminated layer.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    z : float
        Height of the sample (µm).

    Returns
    -------
    Drawing or None
        None where the only defect is one dislocation, which needs no picture.
    """
    lab_from_sample = setup.geometry.lab_from_sample
    lift = np.array([0.0, 0.0, z])
    low, high = _layer(setup, z)
    centre, reach = 0.5 * (low + high) - lift, 0.5 * float(np.linalg.norm(high - low))
    shown = [_shown(one, lab_from_sample.T @ centre, reach) for one in setup.defects.placed]
    if sum(len(some.lines) for some in shown) < 2:
        return None
    labels, kinds = _named(shown)
    axes = np.concatenate([some.lines.axes for some in shown])
    # A pure screw has no glide plane of its own.
    burgers = np.concatenate([some.lines.burgers_vectors for some in shown])
    across = np.linalg.norm(np.cross(burgers, axes[:, 2]), axis=1)
    normals = axes[:, 1] * (across > 1e-6 * np.linalg.norm(burgers, axis=1))[:, None]
    positions = np.concatenate([some.lines.positions for some in shown])
    return Drawing(
        "weakbeam.plot.defects.defects_figure",
        (
            positions @ lab_from_sample.T + lift,
            axes[:, 2] @ lab_from_sample.T,
            low,
            high,
        ),
        {
            "kinds": kinds,
            "labels": labels,
            "burgers_lab": burgers @ lab_from_sample.T,
            "normals_lab": normals @ lab_from_sample.T,
        },
    )


def _layer(setup: Setup, z: float) -> tuple[Floats, Floats]:
    """Corners of what is seen, along the axes of the laboratory (µm)."""
    grid = replace(setup.grids[0], lift=z)
    ends = np.array([0, grid.columns - 1])
    corners = grid.points(np.concatenate([ends, ends + grid.pixels - grid.columns]))
    points = corners.reshape(-1, 3) @ setup.geometry.lab_from_sample.T + [0.0, 0.0, z]
    low, high = points.min(axis=0), points.max(axis=0)
    # An image of one row, or a beam of one sample, is drawn a little wider than nothing.
    thin = np.maximum(1e-3 - (high - low), 0.0)
    return low - thin, high + thin


def _shown(
    one: PlacedDislocation | PlacedLines | PlacedWalls, centre: Floats, reach: float
) -> _Shown:
    """Lines of a defect; of walls, those that may come within `reach` of `centre`."""
    if isinstance(one, PlacedLines):
        # Lines of no slip system take the last name.
        kind = np.where(one.system < 0, len(one.labels), one.system)
        return _Shown(one.lines, kind, (*map(_pretty, one.labels), one.description.kind))
    if isinstance(one, PlacedDislocation):
        plane = "" if one.plane is None else f"({_indices(one.plane)})"
        label = _pretty(f"{plane}[{_indices(one.burgers)}]")
        return _Shown(StraightLines.of([one.line]), np.zeros(1, np.int64), (label,))
    walls = [_near(wall, centre, reach) for wall in one.walls]
    if not walls:
        return _Shown(StraightLines.of([]), np.zeros(0, np.int64), ())
    kind = np.repeat(np.arange(len(walls)), [len(lines) for lines in walls])
    return _Shown(StraightLines.joined(walls), kind, tuple(_wall_names(one)))


def _wall_names(one: PlacedWalls) -> Iterator[str]:
    name = one.description.kind
    for number, wall in enumerate(one.walls, 1):
        which = f" {number}" if len(one.walls) > 1 else ""
        yield f"{name}{which}, {wall.spacing:.3g} µm"


def _near(wall: DislocationWall, centre: Floats, reach: float) -> StraightLines:
    """The lines of a wall, as far as they may be seen."""
    middle = float((centre - wall.first) @ wall.stacking) / wall.spacing
    first = math.ceil(middle - reach / wall.spacing)
    last = math.floor(middle + reach / wall.spacing)
    if wall.count is not None:
        first, last = max(first, 0), min(last, wall.count - 1)
    return wall.chosen(np.arange(first, last + 1, max(1, (last - first) // _MOST_OF_A_WALL)))


def _named(shown: Sequence[_Shown]) -> tuple[tuple[str, ...], Ints]:
    """Names of all kinds, each once, and the number of each line's."""
    labels: dict[str, int] = {}
    kinds = []
    for some in shown:
        numbers = np.array([labels.setdefault(name, len(labels)) for name in some.labels], np.int64)
        kinds.append(numbers[some.kind] if len(some.kind) else some.kind)
    return tuple(labels), np.concatenate(kinds)


def _indices(miller: Sequence[int]) -> str:
    return " ".join(map(str, miller))


def _pretty(name: str) -> str:
    """Minus signs as they are printed, and thin spaces between indices."""
    return name.replace("-", "−").replace(" ", "\u2009")
