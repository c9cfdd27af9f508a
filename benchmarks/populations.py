"""What an image of many dislocations takes, by how many there are; and walls of 5 and of 7501.

    python -m benchmarks.populations [--repeats 1] [--most 10000]

Whole processes, figures included, and the field alone: preparing it, and asking for it once at
every sample of an image before refinement. --most 100000 adds the largest population, which takes
minutes. The baseline is dfxm-geo 3.0 for 1000 random dislocations in the same 170 x 510 pixels, as
measured on 2 cores: 93 s of CPU time and 158 s of wall time. It had not finished a wall of 7501
dislocations after 400 s.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks import _measure as timing

COUNTS = (1, 10, 100, 1_000, 10_000, 100_000)
WALLS = (5, 7501)
BASELINE_LINES = 1_000
BASELINE_CPU = 93.0
TARGETS = {1_000: "6 s", 10_000: "20 s, 2 GB"}

INSTRUMENT = """
[scan.phi]
value_mrad = 0.15
"""
RANDOM = '[[defects]]\nkind = "random"\ncount = {}\n'
WALL = (
    '[[defects]]\nkind = "wall"\nplane = [1, 1, 1]\nburgers = [1, 0, -1]\nline = [1, -2, 1]\n'
    "spacing_um = 0.25\ncount = {}\n"
)


def field(table: str) -> list[dict[str, Any]]:
    """Time of the field alone, on all cores: to prepare it, and to plan an image with it."""
    import time

    from weakbeam.assemble import assemble
    from weakbeam.experiment import Experiment

    experiment = Experiment.from_toml_text(table + INSTRUMENT)
    # Compiled code is loaded, and perhaps compiled, by a small image of the same kind.
    assemble(experiment.with_settings(["camera.pixels=[8, 8]"])).engine(0.0)
    setup = assemble(experiment)
    start = time.perf_counter()
    setup.field_at(0.0)
    prepared = time.perf_counter()
    engine = setup.engine(0.0)
    planned = time.perf_counter()
    samples = engine.rays
    return [
        {
            "prepare": prepared - start,
            "point": (planned - prepared) / samples,
            "samples": engine.rays / engine.grid.pixels,
        }
    ]


def whole(table: str, repeats: int) -> timing.Cost:
    """Cost of ``weakbeam forward`` for some defects."""
    with timing.scratch() as folder:
        file = Path(folder) / "many.toml"
        file.write_text(table + INSTRUMENT)
        command = timing.weakbeam(
            "forward", "-q", "--overwrite", "-c", str(file), "-o", f"{folder}/run"
        )
        return timing.run_process(command, repeats)


def row(name: str, table: str, repeats: int, target: str, baseline: bool) -> list[str]:
    """Measure some defects, and write the row of a table."""
    cost = whole(table, repeats)
    (alone,) = timing.run_part("benchmarks.populations", table)
    return [
        name,
        timing.seconds(cost.wall),
        timing.seconds(cost.cpu),
        f"{(cost.memory or math.nan) / 1e6:.0f} MB",
        timing.seconds(alone["prepare"]),
        timing.seconds(alone["point"]),
        f"{alone['samples']:.0f}",
        timing.ratio(cost.cpu, BASELINE_CPU) if baseline else "",
        target,
    ]


def main() -> None:
    options = timing.parser(__doc__)
    options.add_argument("--most", type=int, default=10_000, help="largest population")
    chosen = options.parse_args()
    if chosen.part:
        timing.answer(field(chosen.part))
        return
    print(timing.machine())
    columns = (
        "", "wall", "CPU", "memory", "field: prepare", "a point", "samples", "baseline", "target",
    )  # fmt: skip
    timing.print_table(
        "One image of random dislocations, 170 x 510 pixels (baseline: CPU time of dfxm-geo 3.0 "
        f"for {BASELINE_LINES}, {BASELINE_CPU:.0f} s)",
        columns,
        [
            row(
                f"{count}",
                RANDOM.format(count),
                chosen.repeats,
                TARGETS.get(count, ""),
                count == BASELINE_LINES,
            )
            for count in COUNTS
            if count <= chosen.most
        ],
    )
    timing.print_table(
        "One image of a wall, 170 x 510 pixels (dfxm-geo 3.0: 7501 not done after 400 s)",
        columns,
        [
            row(f"{count}", WALL.format(count), chosen.repeats, "as 5" if count > 5 else "", False)
            for count in WALLS
        ],
    )


if __name__ == "__main__":
    main()
