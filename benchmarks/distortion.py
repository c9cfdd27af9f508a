"""The distortion from four reflections: the published scans, 11 x 41 x 41 frames each.

    python -m benchmarks.distortion [--pixels 86]

The published camera has 272 x 272 pixels; 86 x 86 are a tenth of them, and the table has the times
scaled to all. With --pixels 272 everything is run: files are then unpacked once for each band of
rows that fits into memory. Baseline is the simulation.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import _measure as timing

PUBLISHED = 272
SECTION = """
[[reflections]]
hkl = {first}
geometry = "oblique"
solution = 1

[[reflections]]
hkl = {second}
geometry = "oblique"
solution = 2

[scan.{rocking}]
half_range_mrad = 0.35
steps = 41

[scan.{rolling}]
half_range_mrad = 2.3
steps = 41

[scan.two_theta]
half_range_mrad = 0.75
steps = 11
"""
COMMON = """preset = "id06-oblique"

[crystal]
material = "Al"

[camera]
pixels = [{pixels}, {pixels}]
pixel_nm = {pitch}
model = "pco_edge"
photons_per_s = 29000.0

[output]
figures = false

[[defects]]
plane = [1, 1, 1]
burgers = [1, -1, 0]
character_deg = 0.0
"""
PAIRS = (
    ("phi-rocks", [-1, -1, 3], [1, 1, 3], "phi", "chi"),
    ("chi-rocks", [-1, 1, 3], [1, -1, 3], "chi", "phi"),
)


def main() -> None:
    arguments = timing.parser(__doc__)
    arguments.add_argument("--pixels", type=int, default=86, help="pixels along an edge")
    pixels = arguments.parse_args().pixels
    scale = (PUBLISHED / pixels) ** 2
    program = [sys.executable, "-m", "weakbeam"]
    with timing.scratch() as folder:
        files, costs = [], []
        common = COMMON.format(pixels=pixels, pitch=13.5e3 / pixels)
        for name, first, second, rocking, rolling in PAIRS:
            section = SECTION.format(first=first, second=second, rocking=rocking, rolling=rolling)
            (folder / f"{name}.toml").write_text(common + section)
            command = [*program, "forward", "-c", str(folder / f"{name}.toml"), "-q"]
            cost = timing.run_process([*command, "-o", str(folder / name)], folder=folder)
            costs.append(cost)
            files.append(str(Path(name) / "weakbeam.h5"))
        command = [*program, "distortion", *files, "--circuit=-2:2,-2:2", "-q", "-o", "tensor"]
        solved = timing.run_process(command, folder=folder)
    rows = []
    simulated = timing.Cost(
        (sum(cost.wall for cost in costs),),
        (sum(cost.cpu for cost in costs),),
        max(cost.memory or 0.0 for cost in costs),
    )
    for name, cost, target in (
        ("simulate", simulated, "< 1500 s of all"),
        ("distortion", solved, "< 900 s, 3 GB of all"),
    ):
        rows.append([name, *timing.cost_cells(cost, simulated.wall, target)])
        whole = cost.divided_by(1.0 / scale)
        rows.append([f"{name}, scaled to 272 x 272", *timing.cost_cells(whole, simulated.wall, "")])
    print(timing.machine())
    print("memory does not grow with the pixels: frames are held in bands of rows")
    title = f"Four scans of 18,491 frames of {pixels} x {pixels} pixels"
    timing.print_table(title, ["", *timing.COST_COLUMNS], rows)


if __name__ == "__main__":
    main()
