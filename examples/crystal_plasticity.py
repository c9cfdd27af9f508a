"""A deformed grain on a grid, as crystal plasticity leaves it: its image and its maps.

python examples/crystal_plasticity.py [PICTURE]

Made here in place of a simulation: a polycrystal of 40 × 40 × 40 voxels, one grain of which is bent
and has two subgrains. It is written as orientations with grain numbers, and read like any result.
The maps of a scan over φ and χ are compared with the rotations that were put in.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import weakbeam as wb
from weakbeam.crystal.orientation import sample_from_crystal_quaternion
from weakbeam.defects.uniform import uniform_gradient
from weakbeam.plot.panels import Panel, panels_figure
from weakbeam.plot.style import save
from weakbeam.plot.view import View

EXPERIMENT = """
[crystal]
material = "Al"

[camera]
pixels = [48, 144]
pixel_nm = 100

[beam]
height_fwhm_um = 0.4

[scan.phi]
half_range_mrad = 0.8
steps = 33

[scan.chi]
half_range_mrad = 3.0
steps = 25

[[defects]]
kind = "grid"
file = "{file}"
mask = "grain"
grain = 1
axes = "crystal"                 # the grain is turned into reflection
origin_um = "centre"
outside = "dark"
"""
GRAIN = sample_from_crystal_quaternion([0.8, 0.3, -0.4, 0.33])
"""Its orientation: from the axes of the crystal to those of the grid."""

STEP = 0.3


def rotations_mrad(at):
    """Rotation vectors of the lattice at places (..., 3), along the axes of the crystal."""
    x, y, _ = np.moveaxis(at, -1, 0)
    subgrain = np.tanh((x + 0.4 * y) / 0.3)
    return np.stack([0.10 * y, 0.08 * x + 0.15 * subgrain, 0.2 * subgrain], axis=-1)


def write_grid(path):
    """Write orientations at the points of a grid, and which grain each belongs to."""
    ijk = np.stack(np.meshgrid(*map(np.arange, (40, 40, 40)), indexing="ij"), axis=-1)
    at = STEP * (ijk - 19.5)
    seeds = np.array([[0, 0, 0], [7, 1, 1], [-6, -3, 2], [1, 7, -1], [0, -7, 0], [1, 1, 8.0]])
    nearest = np.linalg.norm(at[..., None, :] - seeds, axis=-1).argmin(axis=-1)
    vectors = 1e-3 * rotations_mrad(at @ GRAIN)
    turns = np.array(
        [np.eye(3) + uniform_gradient(np.zeros((3, 3)), v) for v in vectors.reshape(-1, 3)]
    )
    orientation = GRAIN @ turns.reshape(*at.shape, 3)
    np.savez(path, orientation=orientation, grain=nearest + 1, spacing_um=STEP)


def main(picture: str) -> None:
    """Simulate the scan, draw image and maps, and print how far they are from the truth."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "polycrystal.npz"
        write_grid(file)
        experiment = wb.Experiment.from_toml_text(EXPERIMENT.format(file=file.as_posix()))
        run = wb.simulate(experiment)
        maps, q = wb.center_of_mass(run), wb.q_field(experiment).values
    lit = np.isfinite(maps.phi) & np.isfinite(q[0])
    for name, found, expected in (("phi", maps.phi, -q[0]), ("chi", maps.chi, -q[1])):
        error = (found - expected)[lit]
        agreement = np.corrcoef(found[lit], expected[lit])[0, 1]
        print(f"{name}  correlation {agreement:.3f}, rms difference {1e6 * error.std():.1f} µrad")
    view = View(*(1.0 * run.images.coords[axis] for axis in ("x", "y")))
    frame = run.images.nearest(phi=3e-4, chi=0.0).values
    save(
        panels_figure(
            [
                Panel("image, φ = 0.3 mrad", frame, "relative intensity"),
                Panel("centre of mass over φ", 1e3 * maps.phi, "φ (mrad)", diverging=True),
                Panel("centre of mass over χ", 1e3 * maps.chi, "χ (mrad)", diverging=True),
            ],
            view,
            columns=3,
        ),
        picture,
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "crystal-plasticity.png")
