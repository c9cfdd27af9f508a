"""What one ray costs in one frame, and one point for one dislocation; and how both grow.

    python -m benchmarks.scaling [--repeats 3]

One thread, CPU time. The baseline of the rays is the plain sum in numpy, that of the dislocations
the printed formula in numpy, both in the same run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks import _measure as timing

if TYPE_CHECKING:
    from weakbeam.defects.straight import StraightDislocations

PIXELS = (48, 256)
STEPS = (1, 3, 10, 30, 61, 100)
OVERSAMPLING = (1, 2, 3)
LINES = (1, 10, 100, 1_000, 10_000)
LINE_POINTS = 4_000_000
"""Points times dislocations of each measurement, about."""

BLOCK = 2048
"""Points that are computed together, as the engine does."""


def random_lines(count: int) -> StraightDislocations:
    """Mixed dislocations of random places and directions, the same at every call."""
    import numpy as np

    from weakbeam.crystal.elasticity import IsotropicMedium
    from weakbeam.defects.lines import StraightLine
    from weakbeam.defects.straight import StraightDislocations

    numbers = np.random.default_rng(0)
    return StraightDislocations(
        [
            StraightLine(
                burgers_vector=2.86e-4 * numbers.normal(size=3),
                line=numbers.normal(size=3),
                position=numbers.uniform(-10.0, 10.0, 3),
                core_radius=2.86e-4,
            )
            for _ in range(count)
        ],
        IsotropicMedium(0.334),
    )


def frames_and_rays(repeats: int) -> list[dict[str, Any]]:
    """CPU time of square mosaicity scans, per ray and frame."""
    from benchmarks.scan import setup

    rows = []
    cases = [(steps, 1) for steps in STEPS] + [(61, n) for n in OVERSAMPLING[1:]]
    for steps, oversampling in cases:
        scan_setup = setup(
            [
                f"camera.pixels=[{PIXELS[0]}, {PIXELS[1]}]",
                f"camera.oversampling={oversampling}",
                "scan.phi.half_range_mrad=0.6",
                f"scan.phi.steps={steps}",
                "scan.chi.half_range_mrad=2.0",
                f"scan.chi.steps={steps}",
            ]
        )
        engine = scan_setup.engine(0.0, 1)
        layer = next(scan_setup.scans[0].layers(scan_setup.geometry))

        def images(engine: Any = engine, layer: Any = layer) -> None:
            for _ in engine.batches(layer.rock_shifts, layer.roll_shifts):
                pass

        images()
        cost = timing.time_calls(images, repeats if steps > 10 else 5 * repeats)
        plan = timing.time_calls(lambda s=scan_setup: s.engine(0.0, 1), repeats)
        frames = steps * steps
        rows.append(
            {
                "frames": frames,
                "rays": engine.rays,
                "frame": cost.cpu / frames,
                "least": min(cost.cpus) / (frames * engine.rays),
                "median": cost.cpu / (frames * engine.rays),
                "plan": plan.cpu / engine.rays,
            }
        )
    return rows


def plain_sum(repeats: int) -> list[dict[str, Any]]:
    """CPU time of the plain sum, per ray and frame."""
    import numpy as np

    from benchmarks.scan import setup
    from weakbeam.imaging.direct import direct_images, q_of_rays

    scan_setup = setup([f"camera.pixels=[{PIXELS[0]}, {PIXELS[1]}]"])
    grid, geometry = scan_setup.grid, scan_setup.geometry
    q = q_of_rays(scan_setup.field_at(), geometry, grid)
    settings = np.zeros((2, 3))

    def work() -> None:
        direct_images(q, grid, geometry, scan_setup.acceptance, settings)

    cost = timing.time_calls(work, repeats)
    return [{"median": cost.cpu / (len(settings) * q[..., 0].size)}]


def dislocations(repeats: int) -> list[dict[str, Any]]:
    """CPU time of the field of straight lines, per point and line, compiled and in numpy."""
    import numpy as np

    from weakbeam.crystal.elasticity import IsotropicMedium
    from weakbeam.defects.straight import displacement_gradient

    medium = IsotropicMedium(0.334)

    rows = []
    for count in LINES:
        field = random_lines(count)
        blocks = max(1, min(100, LINE_POINTS // (BLOCK * count)))
        points = np.random.default_rng(1).uniform(-10.0, 10.0, (blocks, 3, BLOCK))

        def compiled(field: Any = field, points: Any = points) -> None:
            for block in points:
                field.add_to(np.zeros((9, BLOCK)), block)

        some = [*field.lines][:10]

        def formula(lines: Any = some, points: Any = points[0].T) -> None:
            for line in lines:
                displacement_gradient(points, line, medium)

        compiled()
        ours, plain = timing.time_calls(compiled, repeats), timing.time_calls(formula, 5)
        size = count * points[:, 0].size
        rows.append(
            {
                "lines": count,
                "points": points[:, 0].size,
                "least": min(ours.cpus) / size,
                "median": ours.cpu / size,
                "formula": plain.cpu / (len(some) * BLOCK),
            }
        )
    return rows


PARTS = {"frames": frames_and_rays, "plain": plain_sum, "dislocations": dislocations}


def main() -> None:
    options = timing.parser(__doc__).parse_args()
    if options.part:
        timing.answer(PARTS[options.part](options.repeats))
        return
    print(timing.machine())
    repeats = ["--repeats", str(options.repeats)]
    plain = timing.run_part("benchmarks.scaling", "plain", *repeats)[0]["median"]
    rows = timing.run_part("benchmarks.scaling", "frames", *repeats)
    at_61 = next(row for row in rows if row["frames"] == 61 * 61)
    timing.print_table(
        f"A mosaicity scan of {PIXELS[0]} x {PIXELS[1]} pixels on one core, CPU time "
        f"(baseline: plain sum, {1e9 * plain:.0f} ns per ray and frame)",
        ("frames", "rays", "one frame", "ray, frame: min", "median", "baseline", "target", "q/ray"),
        [
            [
                f"{row['frames']:.0f}",
                f"{row['rays'] / 1e6:.2f} M",
                f"{1e3 * row['frame']:.3g} ms",
                _nanoseconds(row["least"]),
                _nanoseconds(row["median"]),
                timing.ratio(row["median"], plain),
                "1 ns" if row is at_61 else "",
                _nanoseconds(row["plan"]),
            ]
            for row in rows
        ],
    )
    by_frames = [row for row in rows if row["rays"] == rows[0]["rays"] and row["frames"] >= 900]
    by_rays = [row for row in rows if row["frames"] == at_61["frames"]]
    print(
        f"  time ~ frames^{_slope(by_frames, 'frames'):.2f} beyond 900 frames, "
        f"~ rays^{_slope(by_rays, 'rays'):.2f}"
    )
    lines = timing.run_part("benchmarks.scaling", "dislocations", *repeats)
    timing.print_table(
        "The field of straight dislocations on one core, CPU time (baseline: numpy formula)",
        ("dislocations", "points", "point, line: min", "median", "numpy", "baseline", "target"),
        [
            [
                f"{row['lines']:.0f}",
                f"{row['points']:.0f}",
                _nanoseconds(row["least"]),
                _nanoseconds(row["median"]),
                _nanoseconds(row["formula"]),
                timing.ratio(row["median"], row["formula"]),
                "15 ns",
            ]
            for row in lines
        ],
    )


def _nanoseconds(value: float) -> str:
    return f"{1e9 * value:.3g} ns"


def _slope(rows: list[dict[str, Any]], size: str) -> float:
    """Exponent of the growth of the scan's time between the smallest and the largest case."""
    first, last = rows[0], rows[-1]
    time_of = [row["median"] * row["frames"] * row["rays"] for row in (first, last)]
    return math.log(time_of[1] / time_of[0]) / math.log(last[size] / first[size])


if __name__ == "__main__":
    main()
