"""What a sweep of many small experiments takes, beside the bare engine for the same images.

    python -m benchmarks.sweeps [--tasks 500]

500 experiments of 21 images of 128 x 128 pixels, from the start of the program to its end, files
and tables included. The bare engine is given assembled experiments and makes the images in one
thread; all cores could make as many images a second as follows from its CPU time. Beside the share
of that by wall time, which a busy machine lowers, stands the one by CPU time. dfxm-geo reports 79
images/s on 32 cores.
"""

from __future__ import annotations

from typing import Any

from benchmarks import _measure as timing

FRAMES = 21
BASELINE = 79.0
SAMPLES = 25
"""Experiments that the bare engine computes."""

MANIFEST = """
[[axes]]
key = "beam.energy_keV"
start = 16.5
stop = 17.5
steps = {energies}
[[axes]]
key = "defects[0].position_um[1]"
start = -1.0
stop = 1.0
steps = 5
[experiment.camera]
pixels = [128, 128]
[experiment.scan.phi]
half_range_mrad = 0.3
steps = 21
"""


def engine() -> list[dict[str, Any]]:
    """CPU time of the engine for an experiment, and of all else that `simulate` does."""
    import time
    import tomllib

    from weakbeam.assemble import assemble
    from weakbeam.batch.manifest import parse_sweep
    from weakbeam.run.acquisition import acquisitions_of
    from weakbeam.run.frames import camera_frames
    from weakbeam.run.simulate import simulate

    sweep = parse_sweep(tomllib.loads(MANIFEST.format(energies=SAMPLES // 5)))
    experiments = [task.experiment(sweep.base) for task in sweep.tasks()]
    simulate(experiments[0], 1)
    setups = [assemble(experiment) for experiment in experiments]
    start = time.process_time()
    for acquisition in acquisitions_of(setups):
        for _ in camera_frames(
            acquisition, lambda z, _, setup=acquisition.setup: setup.engine(z, 1), workers=1
        ):
            pass
    bare = time.process_time()
    for experiment in experiments:
        assemble(experiment)
    assembled = time.process_time()
    return [{"engine": (bare - start) / SAMPLES, "assemble": (assembled - bare) / SAMPLES}]


def main() -> None:
    import os

    options = timing.parser(__doc__)
    options.add_argument("--tasks", type=int, default=500, help="number of experiments")
    chosen = options.parse_args()
    if chosen.part:
        timing.answer(engine())
        return
    print(timing.machine())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    (alone,) = timing.run_part("benchmarks.sweeps", "engine")
    possible = (cores or 1) * FRAMES / alone["engine"]
    rows = [
        [
            "bare engine",
            "",
            timing.seconds(alone["engine"]),
            f"{possible:.0f}",
            "100 %",
            "100 %",
            "",
            "",
        ],
        ["assembling", "", timing.seconds(alone["assemble"]), "", "", "", "", ""],
    ]
    for count in (chosen.tasks // 10, chosen.tasks):
        with timing.scratch() as folder:
            (folder / "m.toml").write_text(MANIFEST.format(energies=count // 5))
            cost = timing.run_process(timing.weakbeam("sweep", "m.toml", "-q"), folder=folder)
        rate = count * FRAMES / cost.wall
        rows.append(
            [
                f"sweep of {count}",
                timing.seconds(cost.wall),
                timing.seconds(cost.cpu / count),
                f"{rate:.0f}",
                f"{100 * rate / possible:.0f} %",
                f"{100 * count * alone['engine'] / cost.cpu:.0f} %",
                timing.ratio(rate, BASELINE),
                "60 %, 100 images/s" if count == chosen.tasks else "",
            ]
        )
    columns = (
        "",
        "wall",
        "CPU a task",
        "images/s",
        "of the engine",
        "by CPU",
        "baseline",
        "target",
    )
    timing.print_table(
        f"Experiments of {FRAMES} images of 128 x 128 pixels on {cores} cores (baseline: "
        f"{BASELINE:.0f} images/s)",
        columns,
        rows,
    )


if __name__ == "__main__":
    main()
