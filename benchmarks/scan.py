"""The mosaicity scan: 61 x 61 frames of 170 x 510 pixels of a dislocation, with and without file.

    python -m benchmarks.scan [--repeats 3]

Baseline of the computing is the plain sum over rays and frames in numpy, measured for a few frames
and scaled; baseline of the whole process is the computing with all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _measure as timing

if TYPE_CHECKING:
    from weakbeam.assemble import Setup

STEPS = 61
FRAMES = STEPS * STEPS
SCAN = (
    "scan.phi.half_range_mrad=0.6",
    f"scan.phi.steps={STEPS}",
    "scan.chi.half_range_mrad=2.0",
    f"scan.chi.steps={STEPS}",
)
OBLIQUE = (
    *SCAN,
    "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
    "reflection.hkl=[-1, -1, 3]",
    "reflection.geometry=oblique",
    "beam.energy_keV=19.1",
    "camera.plane=normal",
)
DIRECT_FRAMES = 3
NOISY = 4 * STEPS


def setup(settings: Sequence[str] = SCAN) -> Setup:
    """The default experiment with settings, assembled, and all code compiled."""
    from weakbeam import Experiment
    from weakbeam.assemble import assemble
    from weakbeam.run.acquisition import Acquisition
    from weakbeam.run.frames import camera_frames
    from weakbeam.run.maps import factor_sums

    for change in (("camera.model=pco_edge",), OBLIQUE[-5:], ()):
        small = assemble(
            Experiment().with_settings(
                ["camera.pixels=[16, 32]", "scan.phi.values_mrad=[0, 0.1]", *change]
            )
        )
        for _ in camera_frames(Acquisition(small, small.scans[0]), small.engine):
            pass
    factor_sums(Acquisition(small, small.scans[0]), small.engine)
    return assemble(Experiment().with_settings(settings))


def measure(part: str, workers: int | None, repeats: int) -> None:
    """Do one part of the benchmark in this process."""
    from weakbeam.run.acquisition import Acquisition
    from weakbeam.run.frames import camera_frames
    from weakbeam.run.maps import factor_sums, scan_maps

    scan_setup = setup()
    scan = Acquisition(scan_setup, scan_setup.scans[0])

    def engine_at(z: float, _: Any) -> Any:
        return scan_setup.engine(z, workers)

    def images() -> None:
        for _ in camera_frames(scan, engine_at, workers=workers):
            pass

    def maps() -> None:
        scan_maps(scan, factor_sums(scan, engine_at))

    noisy = setup([*SCAN[:3], f"scan.chi.steps={NOISY // STEPS}", "camera.model=pco_edge"])

    def counts() -> None:
        for _ in camera_frames(Acquisition(noisy, noisy.scans[0]), noisy.engine):
            pass

    oblique = setup(OBLIQUE)

    def oblique_images() -> None:
        oblique_scan = Acquisition(oblique, oblique.scans[0])
        for _ in camera_frames(oblique_scan, lambda z, _: oblique.engine(z, workers)):
            pass

    works: dict[str, Callable[[], object]] = {
        "images": images,
        "maps": maps,
        "oblique": oblique_images,
        "q": lambda: engine_at(0.0),
        "counts": counts,
        "direct": direct_sum(scan_setup),
    }
    cost = timing.time_calls(works[part], repeats)
    timing.answer([{"walls": cost.walls, "cpus": cost.cpus}])


def direct_sum(scan_setup: Setup) -> Callable[[], object]:
    """The plain sum over the rays of the coarsest grid, for a few frames."""
    import numpy as np

    from weakbeam.imaging.direct import direct_images, q_of_rays

    grid, geometry = scan_setup.grid, scan_setup.geometry
    settings = np.zeros((DIRECT_FRAMES, 3))
    settings[:, 0] = np.linspace(-2e-4, 2e-4, DIRECT_FRAMES)

    def work() -> None:
        q = q_of_rays(scan_setup.field_at(), geometry, grid)
        direct_images(q, grid, geometry, scan_setup.acceptance, settings)

    return work


def computing(part: str, repeats: int, workers: int | None = None) -> timing.Cost:
    """Cost of a part, measured in a process of its own."""
    arguments = ["--repeats", str(repeats)] + (["--workers", str(workers)] if workers else [])
    row: dict[str, Any] = timing.run_part("benchmarks.scan", part, *arguments)[0]
    return timing.Cost(tuple(row["walls"]), tuple(row["cpus"]), row["memory"])


def main() -> None:
    options = timing.parser(__doc__)
    options.add_argument("--workers", type=int, help="threads")
    arguments = options.parse_args()
    if arguments.part:
        measure(arguments.part, arguments.workers, arguments.repeats)
        return
    print(timing.machine())
    repeats = arguments.repeats
    images = computing("images", repeats)
    single = computing("images", repeats, workers=1)
    maps = computing("maps", repeats)
    oblique = computing("oblique", repeats)
    q = computing("q", repeats)
    counts = computing("counts", repeats).divided_by(NOISY / FRAMES)
    direct = computing("direct", 1).divided_by(DIRECT_FRAMES / FRAMES)
    timing.print_table(
        f"{FRAMES} frames of 170 x 510, computing alone (baseline: plain sum, by CPU time)",
        ("", *timing.COST_COLUMNS, "CPU/frame"),
        [
            _row("images, all threads", images, direct.cpu, "3 s"),
            _row("images, one thread", single, direct.cpu),
            _row("maps without images", maps, direct.cpu, "2 s"),
            _row("images, oblique reflection", oblique, direct.cpu, "15 s"),
            _row("q of all rays (part of each)", q, direct.cpu),
            _row(f"counts with noise ({NOISY} frames, scaled)", counts, direct.cpu),
            _row(f"plain sum ({DIRECT_FRAMES} frames, scaled)", direct, direct.cpu),
        ],
    )
    rows, sizes = [], []
    with timing.scratch() as folder:
        for label, target, settings in (
            ("gzip, figures", "10 s, 1.5 GB", ()),
            ("gzip, no figures", "", ("output.figures=false",)),
            ("no compression, figures", "", ("output.compression=none",)),
        ):
            run = folder / "run"
            cost = whole_process(run, settings, max(1, repeats - 1) if not settings else 1)
            rows.append([label, *timing.cost_cells(cost, images.wall, target), _per_frame(cost)])
            sizes.append(f"{(run / 'weakbeam.h5').stat().st_size / 1e6:.0f} MB")
    timing.print_table(
        "The same as a whole process (baseline: computing the images with all threads)",
        ("", *timing.COST_COLUMNS, "CPU/frame", "file"),
        [[*row, size] for row, size in zip(rows, sizes, strict=True)],
    )


def whole_process(run: Path, settings: Sequence[str], repeats: int) -> timing.Cost:
    """Cost of ``weakbeam forward`` for the scan, into the folder `run`."""
    chosen = [word for setting in (*SCAN, *settings) for word in ("--set", setting)]
    return timing.run_process(
        timing.weakbeam("forward", "-q", "--overwrite", "-o", str(run), *chosen), repeats
    )


def _row(label: str, cost: timing.Cost, baseline: float, target: str = "") -> list[str]:
    return [label, *timing.cost_cells(cost, baseline, target, by_cpu=True), _per_frame(cost)]


def _per_frame(cost: timing.Cost) -> str:
    return timing.seconds(cost.cpu / FRAMES)


if __name__ == "__main__":
    main()
