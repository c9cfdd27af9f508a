"""What segments and networks take: a segment at a point, and images of networks.

    python -m benchmarks.networks [--repeats 3] [--file NETWORK.data]

A segment at a point is timed by the CPU time of one thread, beside a straight line, the baseline of
these rows. Images are whole processes: a thousand segments in the field of view, and a ParaDiS file
of a 15 µm box of copper with all images (its Burgers vector is taken to be 0.255 nm).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import _measure as timing

POINTS = 40_000
COUNT = 42
CORNERS = 24
A_UM = 4.0495e-4

THOUSAND = """
[[defects]]
kind = "network"
file = "loops.csv"
[beam]
height_fwhm_um = 0.6
[scan.phi]
value_mrad = 0.12
"""
ENDLESS = """
[crystal]
material = "Cu"
[[defects]]
kind = "network"
file = "{}"
burgers_length_nm = 0.255
[scan.phi]
value_mrad = 0.15
"""


def loops() -> str:
    """A table of 1,008 segments: glide loops in aluminium, all over the field of view."""
    random = np.random.default_rng(1)
    faces = np.array([[1, 0, -1], [1, 1, 0], [0, 1, 1], [1, -1, 0], [0, 1, -1], [1, 0, 1]])
    rows = ["x0,y0,z0,x1,y1,z1,bx,by,bz"]
    angle = 2.0 * np.pi * np.arange(CORNERS)[:, None] / CORNERS
    for _ in range(COUNT):
        normal = random.normal(size=3)
        u = np.cross(normal, [1.0, 0.0, 0.0])
        u /= np.linalg.norm(u)
        v = np.cross(normal / np.linalg.norm(normal), u)
        radius, centre = random.uniform(0.5, 3.0), random.uniform(-8, 8, 3) * [1, 1, 0.25]
        corners = centre + radius * (np.cos(angle) * u + np.sin(angle) * v)
        b = 0.5 * A_UM * random.choice(faces)
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            rows.append(",".join(f"{x:.9g}" for x in (*start, *end, *b)))
    return "\n".join(rows) + "\n"


def per_point(function: Callable[[], object], pieces: int, repeats: int) -> float:
    """Least CPU time (ns) of a source at a point."""
    function()
    best = math.inf
    for _ in range(repeats):
        start = time.thread_time()
        function()
        best = min(best, time.thread_time() - start)
    return 1e9 * best / POINTS / pieces


def fields(repeats: int) -> list[list[str]]:
    """Rows of the table of fields."""
    from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium
    from weakbeam.defects.field_of import field_of
    from weakbeam.defects.lines import StraightLines
    from weakbeam.defects.segments import Segments

    random = np.random.default_rng(0)
    points = np.ascontiguousarray(random.uniform(-3, 3, (3, POINTS)))
    gradient = np.zeros((9, POINTS))
    segments = Segments.polygon(random.normal(scale=2.0, size=(12, 3)), [2e-4, 1e-4, 0.0], 3e-4)
    none = StraightLines.of([])
    media: dict[str, IsotropicMedium | AnisotropicMedium] = {"isotropic": IsotropicMedium(0.34)}
    for name, (c11, c12, c44) in {"Al": (108.2, 61.3, 28.5), "Cu": (168.4, 121.4, 75.4)}.items():
        matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
        matrix[:3, :3] += c12
        media[f"anisotropic, {name}"] = AnisotropicMedium(matrix)
    targets = {"isotropic": "60 ns"}
    rows = []
    for name, medium in media.items():
        line = field_of(segments.lines, medium)
        piece = field_of(none, medium, segments=segments)
        of_line, of_piece = (
            per_point(lambda f=field: f.add_to(gradient, points), len(segments), repeats)  # type: ignore[misc]
            for field in (line, piece)
        )
        rows.append(
            [
                name,
                f"{of_line:.1f} ns",
                f"{of_piece:.1f} ns",
                timing.ratio(of_piece, of_line),
                targets.get(name, "250 ns"),
            ]
        )
    return rows


def image(name: str, text: str, target: str, repeats: int) -> list[str]:
    """Row of a whole process."""
    with timing.scratch() as folder:
        (Path(folder) / "loops.csv").write_text(loops())
        file = Path(folder) / "network.toml"
        file.write_text(text.replace("loops.csv", str(Path(folder) / "loops.csv")))
        command = timing.weakbeam(
            "forward", "-q", "--overwrite", "-c", str(file), "-o", f"{folder}/run"
        )
        cost = timing.run_process(command, repeats)
    memory = f"{(cost.memory or math.nan) / 1e6:.0f} MB"
    return [name, timing.seconds(cost.wall), timing.seconds(cost.cpu), memory, target]


def main() -> None:
    options = timing.parser(__doc__)
    options.add_argument("--file", type=Path, help="a ParaDiS file of a box of 15 µm")
    chosen = options.parse_args()
    print(timing.machine())
    timing.print_table(
        "A segment at a point, CPU time of one thread (baseline: a straight line in that medium)",
        ("medium", "line", "segment", "ratio", "target"),
        fields(chosen.repeats),
    )
    rows = [image("1,008 segments in the field of view", THOUSAND, "15 s", chosen.repeats)]
    if chosen.file is not None:
        text = ENDLESS.format(chosen.file.resolve())
        rows.append(image(chosen.file.name, text, "60 s, 3 GB", chosen.repeats))
        text = text.replace("[[defects]]", 'elasticity = "anisotropic"\n[[defects]]')
        rows.append(image(f"{chosen.file.name}, anisotropic", text, "60 s, 3 GB", chosen.repeats))
    timing.print_table(
        "One image of a network, 170 x 510 pixels", ("", "wall", "CPU", "memory", "target"), rows
    )


if __name__ == "__main__":
    main()
