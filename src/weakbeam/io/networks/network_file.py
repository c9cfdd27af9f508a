"""What a file of a dislocation network holds, whatever its format, in the units of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from weakbeam.core.arrays import Floats, Ints

LengthUnit = Literal["burgers vectors", "angstrom", "um"]


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """Nodes, and arms between them.

    Parameters
    ----------
    format : str
        Name of the format, and its version.
    nodes : (n, 3) ndarray
        Positions, in `unit`.
    names : tuple of str
        What the file calls each node.
    arms : (m, 2) ndarray of int
        Nodes at which each arm begins and ends, each arm once.
    steps : (m, 3) ndarray
        From the beginning of each arm to its end, across faces of a periodic box where it does.
    burgers : (m, 3) ndarray
        Burgers vectors along the axes of the file, for arms as they run.
    lines : (m,) ndarray of int
        Number of the line of the file that tells of each arm; 0 where there are none.
    unit : {"burgers vectors", "angstrom", "um"}
        Of all lengths.
    burgers_unit : {"burgers vectors", "lattice constants", "um"}
        Of the Burgers vectors.
    planes : (m, 3) ndarray
        Normals of the glide planes along the axes of the file; NaN where there is none.
    cell : (3, 3) ndarray, optional
        Edges of the box, one a row.
    origin : (3,) ndarray
        Its corner from which they start.
    periodic : tuple of 3 bool
        Along which edges it repeats.
    file_from_crystal : (3, 3) ndarray, optional
        How the crystal lies in the file, where that is told.
    lattice_constant : float, optional
        Å, where that is told.
    clusters : int
        Crystals of different orientation that it tells of.
    """

    format: str
    nodes: Floats
    names: tuple[str, ...]
    arms: Ints
    steps: Floats
    burgers: Floats
    lines: Ints
    unit: LengthUnit
    burgers_unit: Literal["burgers vectors", "lattice constants", "um"]
    planes: Floats
    cell: Floats | None = None
    origin: Floats = field(default_factory=lambda: np.zeros(3))
    periodic: tuple[bool, bool, bool] = (False, False, False)
    file_from_crystal: Floats | None = None
    lattice_constant: float | None = None
    clusters: int = 1

    @property
    def lacks(self) -> tuple[str, ...]:
        """What the file does not tell, and who asks for a simulation has to."""
        lacking = []
        if self.unit == "burgers vectors":
            lacking.append("the length of the Burgers vector, its unit (burgers_length_nm)")
        if self.file_from_crystal is None:
            lacking.append("how its axes lie in the crystal (file_axes; default: along its own)")
        if not np.isfinite(self.planes).all():
            lacking.append("glide planes")
        return tuple(lacking)


def joined_where_they_meet(
    points: Floats,
    cell: Floats | None,
    origin: Floats,
    periodic: tuple[bool, bool, bool],
    tolerance: float,
) -> tuple[Ints, Floats]:
    """Points that are the same place are one node, also across the faces of a periodic box.

    Parameters
    ----------
    points : (n, 3) ndarray
        Ends of arms.
    cell, origin, periodic
        The box, as of a `NetworkFile`.
    tolerance : float
        Distance up to which points are the same.

    Returns
    -------
    numbers : (n,) ndarray of int
        The node that each point is.
    nodes : (k, 3) ndarray
        Positions, inside of a periodic box.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    folded = points.copy()
    places, sizes = points, np.zeros(3)
    if cell is not None:
        edges = np.linalg.norm(cell, axis=1)
        shares = (points - origin) @ np.linalg.inv(cell)
        for axis in np.flatnonzero(periodic):
            turns = np.floor(shares[:, axis] + 1e-9)
            folded -= turns[:, None] * cell[axis]
            shares[:, axis] = np.clip(shares[:, axis] - turns, 0.0, 1.0 - 1e-12)
        places, sizes = shares * edges, np.where(periodic, edges, 0.0)
    pairs = cKDTree(places, boxsize=sizes).query_pairs(tolerance, output_type="ndarray")
    graph = coo_array(
        (np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2
    )
    _, labels = connected_components(graph, directed=False)
    # Numbered as they first occur.
    _, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[numbers], folded[np.sort(first)]
