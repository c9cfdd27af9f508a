"""Deformation on a grid: what a point costs, and a grid of 128³ read and imaged.

    python -m benchmarks.grids [--repeats 3]

Points are timed by the CPU time of one thread, beside an isotropic line at the same points, the two
in turn. Whole processes stand beside that of the default experiment, one line and the same camera.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _measure as timing

POINTS = 400_000
CELLS = 128
TARGET = "10 s"

EXPERIMENT_OF_LINE = "[scan.phi]\nvalue_mrad = 0.05\n"
EXPERIMENT = """
[scan.phi]
value_mrad = 0.05
[[defects]]
kind = "grid"
file = "{file}"
origin_um = "centre"
{keys}
"""
KINDS = {
    "DAMASK result, one grain": ("result.hdf5", 'grain = 0\naxes = "crystal"\noutside = "dark"'),
    "npz, β": ("beta.npz", 'outside = "extend"'),
    "npz, β, cubic": ("beta.npz", 'outside = "extend"\ninterpolation = "cubic"'),
    "HDF5, β": ("beta.h5", 'outside = "extend"'),
}


def deformation() -> np.ndarray:
    """β of a crystal that is bent in waves."""
    x = np.linspace(-1.0, 1.0, CELLS)
    x, y, z = np.meshgrid(x, x, x, indexing="ij")
    beta = np.zeros((CELLS, CELLS, CELLS, 3, 3))
    beta[..., 0, 2] = 2e-4 * np.sin(4.0 * x) * np.cos(3.0 * y)
    beta[..., 2, 0] = -beta[..., 0, 2]
    beta[..., 2, 2] = 5e-5 * np.cos(5.0 * y + z)
    return beta


def write_files(folder: Path) -> None:
    """Write the same deformation in every format."""
    import h5py

    beta = deformation()
    np.savez(folder / "beta.npz", beta=beta, spacing_um=0.1)
    with h5py.File(folder / "beta.h5", "w") as file:
        file["beta"], file["spacing_um"] = beta, 0.1
    turn = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
    half = np.arange(CELLS**3) < 0.7 * CELLS**3
    # x runs fastest in the rows of a result.
    rows = beta.transpose(2, 1, 0, 3, 4).reshape(-1, 3, 3)
    first = np.where(half[:, None, None], turn, turn.T)
    with h5py.File(folder / "result.hdf5", "w") as file:
        file.attrs["DADF5_version_major"] = 1
        geometry = file.create_group("geometry")
        geometry.attrs["cells"] = np.full(3, CELLS)
        geometry.attrs["size"] = np.full(3, CELLS * 0.1e-6)
        geometry.attrs["origin"] = np.zeros(3)
        mapping = np.zeros((CELLS**3, 1), [("label", "S2"), ("entry", "<i8")])
        mapping["label"], mapping["entry"] = b"Al", np.arange(CELLS**3)[:, None]
        file["cell_to/phase"] = mapping
        file["increment_0/phase/Al/mechanical/F_e"] = first
        file["increment_9/phase/Al/mechanical/F_e"] = (np.eye(3) + rows) @ first


def in_turn(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """The least CPU time (s) of each function, called in turn."""
    best = [np.inf] * len(functions)
    for _ in range(repeats + 1):
        for k, function in enumerate(functions):
            start = time.thread_time()
            function()
            best[k] = min(best[k], time.thread_time() - start)
    return best


def points(repeats: int) -> list[dict[str, object]]:
    """Seconds for all points, of each field."""
    from weakbeam.crystal.elasticity import IsotropicMedium
    from weakbeam.defects.gridded import GriddedGradient
    from weakbeam.defects.lines import StraightLine, StraightLines
    from weakbeam.defects.straight import StraightDislocations

    line = StraightLine([3e-4, 0, 0], [0, 0.6, 0.8], [0, 0, 0], 3e-4)
    fields: dict[str, Any] = {
        "one line": StraightDislocations(StraightLines.of([line]), IsotropicMedium(0.34))
    }
    beta = deformation()
    for name in ("linear", "cubic"):
        fields[f"grid, {name}"] = GriddedGradient(beta, -6.35, 0.1, interpolation=name)
    # Neighbours in a block of the engine are neighbours in the sample.
    t = np.linspace(0.0, 1.0, POINTS)
    at = 12.0 * np.stack([t, (29.0 * t) % 1.0, (661.0 * t) % 1.0]) - 6.0
    blocks = [np.ascontiguousarray(at[:, k : k + 4096]) for k in range(0, POINTS, 4096)]

    def evaluated(field: Any) -> Callable[[], object]:
        def run() -> None:
            for block in blocks:
                field.add_to(np.zeros((9, block.shape[1])), block)

        return run

    times = in_turn([evaluated(field) for field in fields.values()], repeats)
    return [{"name": name, "time": t} for name, t in zip(fields, times, strict=True)]


def main() -> None:
    chosen = timing.parser(__doc__).parse_args()
    if chosen.part == "points":
        timing.answer(points(chosen.repeats))
        return
    if chosen.part:
        write_files(Path(chosen.part))
        timing.answer([])
        return
    print(timing.machine())
    rows = timing.run_part("benchmarks.grids", "points", "--repeats", str(chosen.repeats))
    timing.print_table(
        f"CPU time of β at a point, grid of {CELLS}³",
        ("", "time", "ratio"),
        [
            [
                str(row["name"]),
                timing.seconds(row["time"] / POINTS),
                timing.ratio(row["time"], rows[0]["time"]),
            ]
            for row in rows
        ],
    )
    with timing.scratch() as folder:
        timing.run_part("benchmarks.grids", str(folder))
        texts = {"one line": EXPERIMENT_OF_LINE} | {
            name: EXPERIMENT.format(file=file, keys=keys) for name, (file, keys) in KINDS.items()
        }
        costs = {}
        for number, (name, text) in enumerate(texts.items()):
            (folder / f"{number}.toml").write_text(text)
            command = timing.weakbeam(
                "forward", "-c", f"{number}.toml", "-o", f"run{number}", "--overwrite"
            )
            costs[name] = timing.run_process(command, chosen.repeats, folder=folder)
    baseline = costs["one line"].wall
    timing.print_table(
        f"One image of {CELLS}³ points, 170 x 510 pixels, whole process (baseline: one line)",
        ("", *timing.COST_COLUMNS),
        [
            [name, *timing.cost_cells(cost, baseline, TARGET if name in KINDS else "")]
            for name, cost in costs.items()
        ],
    )


if __name__ == "__main__":
    main()
