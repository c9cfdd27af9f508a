"""Small files with deformation on grids, in the layouts of the programs that write them."""

from __future__ import annotations

import h5py
import numpy as np

CELLS = (4, 3, 5)
SIZE_M = np.array([4e-6, 6e-6, 5e-6])
ORIGIN_M = np.array([1e-6, 0.0, -2e-6])


def rotation(axis, angle):
    """Rotation matrix about an axis by an angle (rad), after Rodrigues."""
    x, y, z = np.array(axis, dtype=float) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


GRAINS = (rotation([1, 2, 3], 0.8), rotation([1, 0, 0], 0.1), rotation([0, 1, 1], 1.9))
"""Orientations, from the axes of the crystal to those of the grid."""


def strained(at_um):
    """A lattice gradient at places (..., 3): a strain along x that grows along z."""
    beta = np.zeros((*at_um.shape[:-1], 3, 3))
    beta[..., 0, 0] = 1e-4 * at_um[..., 2]
    beta[..., 0, 1] = 2e-4 * at_um[..., 0]
    return beta


def write_damask(
    path, *, increments=(0, 9, 10), fields=("F", "F_e", "F_p", "O"), constituents=1, mesh=False
):
    """A result of two phases; grain 1 of phase B is strained at the last increment.

    Returns the phase and the grain of each cell, (nx, ny, nz), and the middles of the cells (µm).
    """
    number = np.arange(np.prod(CELLS))
    # Phase A has every third cell; of the others half of the box is one grain.
    grain = np.where(number % 3 == 0, 0, np.where(number < number.size // 2, 1, 2))
    label = np.where(grain == 0, b"A", b"B")
    entry = np.zeros(number.size, np.int64)
    for name in (b"A", b"B"):
        mine = np.flatnonzero(label == name)
        # Rows of a phase need not be in the order of the cells.
        entry[mine] = np.arange(mine.size)[::-1]
    step = SIZE_M / CELLS
    ijk = np.stack(np.unravel_index(number, CELLS, order="F"), axis=-1)
    middles = 1e6 * (ORIGIN_M + (ijk + 0.5) * step)
    with h5py.File(path, "w") as file:
        file.attrs["DADF5_version_major"] = 1
        file.attrs["DADF5_version_minor"] = 0
        geometry = file.create_group("geometry")
        if not mesh:
            geometry.attrs["cells"] = np.array(CELLS, np.int32)
            geometry.attrs["size"] = SIZE_M
            geometry.attrs["origin"] = ORIGIN_M
        mapping = np.zeros((number.size, constituents), [("label", "S8"), ("entry", "<i8")])
        mapping["label"], mapping["entry"] = label[:, None], entry[:, None]
        file["cell_to/phase"] = mapping
        for increment in increments:
            for name in (b"A", b"B"):
                mine = np.flatnonzero(label == name)
                rows = mine[np.argsort(entry[mine])]
                lattice = np.array([GRAINS[g] for g in grain[rows]])
                if increment == increments[-1]:
                    lattice = (np.eye(3) + strained(middles[rows])) @ lattice
                values = {
                    "F": np.tile(np.diag([1.4, 0.8, 0.9]), (rows.size, 1, 1)),
                    "F_e": lattice,
                    "F_p": np.swapaxes(lattice, 1, 2),
                    "O": np.zeros((rows.size, 4)),
                }
                place = f"increment_{increment}/phase/{name.decode()}/mechanical"
                group = file.create_group(place)
                for field in fields:
                    group[field] = values[field]

    def placed(values):
        return values.reshape(*CELLS, *values.shape[1:], order="F")

    return placed(label), placed(grain), placed(middles)


def write_xdmf(path, points, tensors, name="F"):
    """Points (n, 3) and tensors (n, 3, 3) in XDMF, and HDF5 of the same name beside it."""
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["points"], file["tensors"] = points, tensors.reshape(-1, 9)
    data = path.with_suffix(".h5").name
    item = '<DataItem Format="HDF" Dimensions="{} {}">{}:/{}</DataItem>'
    path.write_text(
        '<Xdmf Version="3.0"><Domain><Grid Name="Grid"><Geometry GeometryType="XYZ">'
        + item.format(len(points), 3, data, "points")
        + f'</Geometry><Attribute Name="{name}" AttributeType="Tensor" Center="Node">'
        + item.format(len(points), 9, data, "tensors")
        + "</Attribute></Grid></Domain></Xdmf>"
    )
