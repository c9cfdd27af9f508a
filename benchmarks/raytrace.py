"""Ray tracing into a kernel: what a ray costs, the whole command, and that of dfxm-geo.

    python -m benchmarks.raytrace [--rays 1e8] [--repeats 3] [--dfxm-geo PYTHON]

PYTHON is the interpreter of an environment with dfxm-geo. Its command ``dfxm-bootstrap`` is then
run once on its own default: 1e8 rays into 400 x 200 x 200 bins, for which it needs 14 GB.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import _measure as timing

COMMAND = [sys.executable, "-c", "from weakbeam.cli.bootstrap import bootstrap; bootstrap()"]

VARIANTS = {
    "one thread": {"workers": 1},
    "all cores": {},
    "  into 40 x 20 x 20 voxels": {"bins": (40, 20, 20)},
    "  exact kinematics": {"exact": True},
    "  under a wire": {"wire": True},
    "  under a square aperture of 94 urad": {"square": True},
}


def measure(variant: str, rays: int, repeats: int) -> None:
    """Trace once to load compiled code and once per repeat, in a process of its own."""
    from weakbeam.assemble import assemble
    from weakbeam.diffraction.raytrace import RayOptics, trace
    from weakbeam.experiment import Experiment
    from weakbeam.instrument.stops import AbsorbingWire, SquareOpening

    options = VARIANTS[variant]
    stops = [AbsorbingWire(1e-4, optical_depth=2.0)] if "wire" in options else []
    stops += [SquareOpening(93.9e-6)] if "square" in options else []
    optics = RayOptics(
        replace(assemble(Experiment()).acceptance, stops=tuple(stops)), exact="exact" in options
    )
    bins = options.get("bins", (400, 200, 200))
    workers = options.get("workers")
    trace(optics, 1000, bins, workers=workers)
    cost = timing.time_calls(lambda: trace(optics, rays, bins, workers=workers), repeats)
    timing.answer(
        [{"wall": wall, "cpu": cpu} for wall, cpu in zip(cost.walls, cost.cpus, strict=True)]
    )


def traced(variant: str, rays: int, repeats: int) -> timing.Cost:
    """Cost of the tracing alone."""
    rows = timing.run_part(
        "benchmarks.raytrace", variant, "--rays", str(rays), "--repeats", str(repeats)
    )
    walls, cpus = (tuple(row[key] for row in rows) for key in ("wall", "cpu"))
    return timing.Cost(walls, cpus, rows[0]["memory"])


def dfxm_geo(python: Path) -> timing.Cost:
    """Cost of dfxm-geo's own command on its default."""
    programs = python.absolute().parent
    with timing.scratch() as folder:
        timing.run_process([programs / "dfxm-init", "--dest", folder], folder=folder)
        return timing.run_process(
            [
                programs / "dfxm-bootstrap",
                *("--config", folder / "default.toml"),
                *("--output", folder / "kernel.npz"),
            ],
            folder=folder,
        )


def main() -> None:
    arguments = timing.parser(__doc__)
    arguments.add_argument("--rays", type=float, default=1e8, help="rays of each measurement")
    arguments.add_argument("--dfxm-geo", type=Path, metavar="PYTHON", help="run it for comparison")
    options = arguments.parse_args()
    rays = int(options.rays)
    if options.part:
        measure(options.part, rays, options.repeats)
        return
    print(timing.machine())
    parts = {variant: traced(variant, rays, options.repeats) for variant in VARIANTS}
    with timing.scratch() as folder:
        command = [*COMMAND, "-q", "--overwrite", "--rays", str(rays), "-o", folder / "kernel.h5"]
        whole = timing.run_process(command, options.repeats)
    other = dfxm_geo(options.dfxm_geo) if options.dfxm_geo else None
    baseline = None if other is None else other.wall
    targets = {"all cores": "10 s, 1000 MB"} if rays == 10**8 else {}
    rows = [
        [name, *timing.cost_cells(cost, baseline, targets.get(name, ""))]
        for name, cost in parts.items()
    ]
    rows.append(["weakbeam bootstrap (process)", *timing.cost_cells(whole, baseline)])
    if other is not None:
        rows.append(["dfxm-bootstrap (process, 1e8 rays)", *timing.cost_cells(other, baseline)])
    title = f"{rays:.3g} rays into 400 x 200 x 200 voxels (baseline: dfxm-geo)"
    timing.print_table(title, ("", *timing.COST_COLUMNS), rows)
    timing.print_table(
        "CPU time for one ray",
        ("", "CPU"),
        [[name, f"{1e9 * cost.cpu / rays:.3g} ns"] for name, cost in parts.items()],
    )


if __name__ == "__main__":
    main()
