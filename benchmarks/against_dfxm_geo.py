"""The same work by weakbeam and by dfxm-geo 3.0.0, each driven by its own commands.

    python -m benchmarks.against_dfxm_geo --dfxm-geo PYTHON [--only help image ...] [--nice 10]

PYTHON is the interpreter of an environment with dfxm-geo, or that environment's folder. dfxm-geo
runs once for each line at low priority: it needs minutes, and 14 GB the first time, when it traces
the kernel that its look-ups need; `benchmarks.raytrace` compares that step.

Both simulate an edge dislocation in aluminium, reflection -1 1 -1 at 17 keV, 170 x 510 pixels, and
its perfect-crystal twin. dfxm-geo samples each pixel's ray at 17 depths; weakbeam at 15, and at up
to 960 where the field is steep.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import _measure as timing
from benchmarks.scan import FRAMES, SCAN

POINTS = 170 * 510 * 17
"""Points of an image of dfxm-geo."""

LINES = 101
"""Random dislocations whose image gives the cost of one."""

CLOSED_FORM_STEPS = (3, 21)

TWIN = ("--set", "output.perfect_crystal=true")

ANALYTIC = """[reciprocal]
beamstop = false
backend = "analytic"
[scan.phi]
range = 6e-4
steps = {steps}
"""

RANDOM = """[crystal]
mode = "random_dislocations"
[crystal.random_dislocations]
ndis = {lines}
sigma = 5.0
min_distance = 0.01
seed = 42
"""


class DfxmGeo:
    """The commands of an environment with dfxm-geo, each run once in `folder`."""

    def __init__(self, python: Path, folder: Path, nice: int) -> None:
        self._programs = python.absolute() / "bin" if python.is_dir() else python.absolute().parent
        self._folder, self._nice = folder, nice

    def run(self, program: str, *arguments: str) -> timing.Cost:
        """Cost of one of its programs."""
        command = [str(self._programs / program), *arguments]
        return timing.run_process(command, folder=self._folder, nice=self._nice)

    def forward(self, config: str, *arguments: str) -> timing.Cost:
        """Cost of an experiment given as TOML text."""
        path = self._folder / "config.toml"
        path.write_text(config)
        return self.run("dfxm-forward", "--config", str(path), "--output", "run", *arguments)

    def templates(self) -> Path:
        """Write its own templates, and the kernel of the default unless there is one."""
        templates = self._folder / "configs"
        if not templates.exists():
            self.run("dfxm-init", "--dest", str(templates))
            self.run("dfxm-bootstrap", "--config", str(templates / "default.toml"), "--if-missing")
        return templates


def forward(folder: Path, repeats: int, *arguments: str) -> timing.Cost:
    """Cost of ``weakbeam forward``."""
    run = str(folder / "weakbeam")
    return timing.run_process(
        timing.weakbeam("forward", "-q", "--overwrite", "-o", run, *arguments), repeats
    )


def measure(repeats: int) -> None:
    """Cost of a point and dislocation in this process, on one core."""
    import numpy as np

    from benchmarks.scaling import random_lines

    field = random_lines(LINES)
    points = np.random.default_rng(1).uniform(-10.0, 10.0, (3, 2048))
    gradient = np.zeros((9, 2048))
    field.add_to(gradient, points)
    cost = timing.time_calls(lambda: [field.add_to(gradient, points) for _ in range(16)], repeats)
    cost = cost.divided_by(LINES * 2048 * 16)
    timing.answer(
        [{"wall": wall, "cpu": cpu} for wall, cpu in zip(cost.walls, cost.cpus, strict=True)]
    )


def compare_help(
    other: DfxmGeo, folder: Path, repeats: int
) -> tuple[str, timing.Cost, timing.Cost]:
    ours = timing.run_process(timing.weakbeam("forward", "--help"), repeats)
    return "forward --help", ours, other.run("dfxm-forward", "--help")


def compare_image(
    other: DfxmGeo, folder: Path, repeats: int
) -> tuple[str, timing.Cost, timing.Cost]:
    other.templates()
    forward(folder, 1)
    # dfxm-geo draws no figure of a single image.
    ours = forward(folder, repeats, *TWIN, "--set", "output.figures=false")
    return "first image and twin, no figures", ours, other.forward("", "--no-postprocess")


def compare_scan(
    other: DfxmGeo, folder: Path, repeats: int
) -> tuple[str, timing.Cost, timing.Cost]:
    config = (other.templates() / "default.toml").read_text()
    settings = [word for setting in SCAN for word in ("--set", setting)]
    ours = forward(folder, min(2, repeats), *settings, *TWIN)
    return f"{FRAMES} frames, twin, figures", ours, other.forward(config)


def compare_closed_form(
    other: DfxmGeo, folder: Path, repeats: int
) -> tuple[str, timing.Cost, timing.Cost]:
    few, many = CLOSED_FORM_STEPS

    def ours(steps: int) -> timing.Cost:
        settings = ("scan.phi.half_range_mrad=0.6", f"scan.phi.steps={steps}")
        chosen = [word for setting in settings for word in ("--set", setting)]
        return forward(folder, repeats, *chosen, *TWIN, "--set", "output.figures=false")

    def theirs(steps: int) -> timing.Cost:
        return other.forward(ANALYTIC.format(steps=steps), "--no-postprocess")

    label = "one more frame and twin, closed form"
    return label, *(_growth(run, few, many) for run in (ours, theirs))


def compare_dislocation(
    other: DfxmGeo, folder: Path, repeats: int
) -> tuple[str, timing.Cost, timing.Cost]:
    other.templates()
    rows = timing.run_part("benchmarks.against_dfxm_geo", "dislocation", "--repeats", str(repeats))
    ours = timing.Cost(
        tuple(row["wall"] for row in rows), tuple(row["cpu"] for row in rows), rows[0]["memory"]
    )

    def theirs(lines: int) -> timing.Cost:
        return other.forward(RANDOM.format(lines=lines), "--no-postprocess")

    return "point and dislocation", ours, _growth(theirs, 1, LINES).divided_by(POINTS)


def _growth(run: Callable[[int], timing.Cost], few: int, many: int) -> timing.Cost:
    """Cost of one step between two sizes of a job."""
    small, large = run(few), run(many)
    return timing.Cost(
        (max(0.0, min(large.walls) - min(small.walls)) / (many - few),),
        (max(0.0, min(large.cpus) - min(small.cpus)) / (many - few),),
        large.memory,
    )


COMPARISONS = {
    "help": compare_help,
    "image": compare_image,
    "scan": compare_scan,
    "closed-form": compare_closed_form,
    "dislocation": compare_dislocation,
}


def main() -> None:
    arguments = timing.parser(__doc__)
    arguments.add_argument("--dfxm-geo", type=Path, metavar="PYTHON", help="its environment")
    arguments.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    arguments.add_argument("--nice", type=int, default=10, help="priority of dfxm-geo")
    options = arguments.parse_args()
    if options.part:
        measure(options.repeats)
        return
    if options.dfxm_geo is None:
        raise SystemExit(arguments.format_usage() + "--dfxm-geo PYTHON is missing")
    print(timing.machine())
    print_comparisons(options)


def print_comparisons(options: argparse.Namespace) -> None:
    rows = []
    with timing.scratch() as folder:
        other = DfxmGeo(options.dfxm_geo, folder, options.nice)
        for name in options.only:
            compare: Callable[[], tuple[str, timing.Cost, timing.Cost]] = partial(
                COMPARISONS[name], other, folder, options.repeats
            )
            label, ours, theirs = compare()
            rows.append([f"{label}: weakbeam", *timing.cost_cells(ours, theirs.cpu, by_cpu=True)])
            rows.append([f"{label}: dfxm-geo", *timing.cost_cells(theirs, theirs.cpu, by_cpu=True)])
            print(
                f"  {label}: {timing.seconds(ours.cpu)} and {timing.seconds(theirs.cpu)} of CPU",
                flush=True,
            )
    timing.print_table(
        "weakbeam beside dfxm-geo (baseline: dfxm-geo, by CPU time)",
        ("", *timing.COST_COLUMNS),
        rows,
    )


if __name__ == "__main__":
    main()
