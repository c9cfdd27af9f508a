"""How accurate images are, and what that costs.

    python -m benchmarks.accuracy [--repeats 3]

Baseline of the first table are the point samples, with depths as they need;
of the second the most accurate images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks import _measure as timing

if TYPE_CHECKING:
    from weakbeam.assemble import Setup

POINT = ("camera.oversampling=point",)
WORKS = {
    "one image, 0 mrad": ("scan.phi.value_mrad=0.0",),
    "one image, 0.15 mrad": ("scan.phi.value_mrad=0.15",),
    "61 x 61 images": (
        "scan.phi={half_range_mrad=0.6, steps=61}",
        "scan.chi={half_range_mrad=2.0, steps=61}",
    ),
}
SIZES = {40: "[170, 510]", 75: "[90, 270]", 150: "[45, 135]"}
LIMIT = 0.0005


def _setup(settings: Sequence[str]) -> Setup:
    from weakbeam import Experiment
    from weakbeam.assemble import assemble

    return assemble(Experiment().with_settings(list(settings)))


def _images(setup: Setup) -> tuple[Any, Any]:
    engine = setup.engine(0.0, 1)
    frames = None
    for _, _, batch in engine.batches(*setup.shifts()):
        frames = batch
    return engine, frames


def measure(part: str, repeats: int) -> None:
    """Do one part of the benchmark in this process."""
    import numpy as np

    _images(_setup(["camera.pixels=[16, 32]"]))
    rows: list[dict[str, Any]] = []
    if part == "time":
        for name, settings in WORKS.items():
            for how in (POINT, ()):
                setup = _setup([*settings, *how])
                cost = timing.time_calls(lambda s=setup: _images(s), repeats)
                engine = setup.engine(0.0, 1)
                rows.append(
                    {"name": name, "cpu": cost.cpu, "samples": engine.rays / engine.grids[0].pixels}
                )
    else:
        for nanometres, pixels in SIZES.items():
            for phi in (0.0, 0.15, 0.2):
                camera = (
                    f"camera.pixels={pixels}",
                    f"camera.pixel_nm={nanometres}.0",
                    f"scan.phi.value_mrad={phi}",
                )
                _, truth = _images(_setup([*camera, f"camera.accuracy={LIMIT}"]))
                for accuracy in (0.02, 0.01, 0.005, 0.0025):
                    setup = _setup([*camera, f"camera.accuracy={accuracy}"])
                    cost = timing.time_calls(lambda s=setup: _images(s), repeats)
                    engine, image = _images(setup)
                    rows.append(
                        {
                            "name": f"{nanometres} nm, {phi} mrad",
                            "accuracy": accuracy,
                            "off": float(np.linalg.norm(image - truth) / np.linalg.norm(truth)),
                            "told": engine.reached,
                            "cpu": cost.cpu,
                            "samples": engine.rays / engine.grids[0].pixels,
                        }
                    )
    timing.answer(rows)


def main() -> None:
    options = timing.parser(__doc__)
    arguments = options.parse_args()
    if arguments.part:
        measure(arguments.part, arguments.repeats)
        return
    print(timing.machine())
    repeats = ["--repeats", str(arguments.repeats)]
    rows = timing.run_part("benchmarks.accuracy", "time", *repeats)
    timing.print_table(
        "CPU time of images of 170 x 510 pixels, one thread (baseline: points)",
        ("", "point", "default", "ratio", "samples", "samples"),
        [
            [
                one["name"],
                timing.seconds(one["cpu"]),
                timing.seconds(two["cpu"]),
                f"{two['cpu'] / one['cpu']:.2f}",
                f"{one['samples']:.1f}",
                f"{two['samples']:.1f}",
            ]
            for one, two in zip(rows[::2], rows[1::2], strict=True)
        ],
    )
    rows = timing.run_part("benchmarks.accuracy", "error", *repeats)
    timing.print_table(
        f"Error against accuracy (truth: accuracy {LIMIT})",
        ("pixel, phi", "accuracy", "error", "told", "CPU", "samples"),
        [
            [
                row["name"],
                f"{100 * row['accuracy']:g} %",
                f"{100 * row['off']:.2f} %",
                f"{100 * row['told']:.2f} %",
                timing.seconds(row["cpu"]),
                f"{row['samples']:.1f}",
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()
