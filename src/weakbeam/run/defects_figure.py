"""The figure of the defects of a run: which lines it shows, and in which colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.assemble import Setup
from weakbeam.assemble.placed import ShownLines
from weakbeam.core.arrays import Floats, Ints
from weakbeam.plot.drawing import Drawing


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
    shown = [defect.shown(lab_from_sample.T @ centre, reach) for defect in setup.defects.placed]
    if sum(len(some.lines) for some in shown) < 2:
        return None
    labels, kinds = _named(shown)
    axes = np.concatenate([some.lines.axes for some in shown])
    # A pure screw has no glide plane of its own.
    burgers = np.concatenate([some.lines.burgers_vectors for some in shown])
    across = np.linalg.norm(np.cross(burgers, axes[:, 2]), axis=1)
    normals = axes[:, 1] * (across > 1e-6 * np.linalg.norm(burgers, axis=1))[:, None]
    positions = np.concatenate([some.lines.positions for some in shown])
    lengths = [
        np.full(len(some.lines), np.nan) if some.lengths is None else some.lengths for some in shown
    ]
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
            "lengths": np.concatenate(lengths),
        },
    )


def _layer(setup: Setup, z: float) -> tuple[Floats, Floats]:
    """Corners of what is seen, along the axes of the laboratory (µm)."""
    grid = replace(setup.grid, lift=z)
    ends = np.array([0, grid.columns - 1])
    corners = grid.points(np.concatenate([ends, ends + grid.pixels - grid.columns]))
    points = corners.reshape(-1, 3) @ setup.geometry.lab_from_sample.T + [0.0, 0.0, z]
    low, high = points.min(axis=0), points.max(axis=0)
    # An image of one row, or a beam of one sample, is drawn a little wider than nothing.
    thin = np.maximum(1e-3 - (high - low), 0.0)
    return low - thin, high + thin


def _named(shown: Sequence[ShownLines]) -> tuple[tuple[str, ...], Ints]:
    """Names of all kinds, each once, and the number of each line's."""
    labels: dict[str, int] = {}
    kinds = []
    for some in shown:
        numbers = np.array([labels.setdefault(name, len(labels)) for name in some.labels], np.int64)
        kinds.append(numbers[some.kind] if len(some.kind) else some.kind)
    return tuple(labels), np.concatenate(kinds)
