"""The sampling points of dfxm-geo: upright columns of points instead of rays.

The points that one pixel sees lie along the diffracted beam (docs/explanation/physics.md, E1).
dfxm-geo takes them one above the other, which is the same only for a beam of no height. Its points
are given here, so that images of the two programs can be compared point by point.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weakbeam.imaging.rays import RayGrid

REACH = 3.0
"""Standard deviations of the beam's height at which the points of dfxm-geo end."""

LEAST_COLUMNS = 60
"""Fewest columns for which dfxm-geo takes two points or more through the height of the beam."""


def depth_count(columns: int, oversampling: int) -> int:
    """Points through the height of the beam that dfxm-geo takes for an image of that width."""
    return columns // 30 * oversampling


def vertical_rays(grid: RayGrid, height_rms: float, depths: int | None = None) -> RayGrid:
    """Points of an image where dfxm-geo 3.0 takes them.

    Parameters
    ----------
    grid : RayGrid
        The rays of a vertical camera in the symmetric geometry.
    height_rms : float
        Standard deviation of the height of a Gaussian beam (µm).
    depths : int, optional
        Points through the height of the beam, at least 2; `depth_count` unless given.

    Returns
    -------
    RayGrid
        The same pixels, each with points along the vertical, equidistant and including both ends
        at ±3 standard deviations.

    Raises
    ------
    ValueError
        If the image is not three times as wide as high, as dfxm-geo has it, or too small.

    Notes
    -----
    With N columns, n = ⌊N/3⌋ rows and s points along each axis of a pixel, columns are exactly one
    pixel apart, rows (N s − 1) / 3(n s − 1) of one: the outermost points of dfxm-geo stand at a
    third of those across, and the others evenly between. The default image (510 columns, s = 1) is
    0.4 % longer than its pixels.
    """
    n, s = grid.columns, grid.oversampling
    if n < LEAST_COLUMNS or grid.rows != n // 3:
        raise ValueError(
            f"dfxm-geo images N columns, at least {LEAST_COLUMNS}, and N // 3 rows; this image has "
            f"{n} columns and {grid.rows} rows"
        )
    count = depth_count(n, s) if depths is None else depths
    z = np.linspace(-REACH, REACH, count) * height_rms
    weights = np.exp(-0.5 * (z / height_rms) ** 2)
    return replace(
        grid,
        row_step=grid.row_step * ((n * s - 1) / (3.0 * (grid.rows * s - 1))),
        along_ray=grid.height_axis,
        depths=z,
        weights=weights / weights.sum(),
    )
