"""Identification: libraries of candidates, matches and training sets, as whole processes.

    python -m benchmarks.identify [--repeats 1] [--images 2000]

The library is that of an FCC crystal in one reflection: 432 types, 170 x 510 pixels, one phi. The
baseline is dfxm-geo, which makes some three such images a second on two cores. Training sets are
of 128 x 128 pixels with two dislocations, noise, masks and contributions; the time for 10,000
images is scaled from fewer, but for what a process takes to start.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import _measure as timing

TYPES = 432
WHOLE_SET = 10_000
DFXM_GEO_PER_SECOND = 3.0
WEAK = ("scan.phi.value_mrad=0.15",)
PAIR = ("scan.phi.values_mrad=[-0.15, 0.15]", "beam.height_fwhm_um=0.6")
LEARN = (*WEAK, "camera.pixels=[128, 128]", "camera.model=pco_edge", "identify.mode=multi")

VARY = (
    "identify.vary.phi_mrad=[-0.05, 0.05]",
    "identify.vary.height_fwhm_um=[0.1, 0.3]",
    "identify.vary.bandwidth_rms=[5e-5, 8e-5]",
    "identify.vary.psf_px=[0.5, 1.5]",
    "identify.vary.background_adu=[0, 20]",
)


def read(library: str, repeats: int) -> None:
    """Read all images of a library, in this process."""
    from weakbeam.identify.library.library_files import read_library

    read_library(library)
    cost = timing.time_calls(lambda: read_library(library), repeats)
    timing.answer([{"walls": cost.walls, "cpus": cost.cpus}])


def generate(folder: Path, settings: tuple[str, ...], repeats: int) -> timing.Cost:
    """Cost of ``weakbeam identify generate`` into a folder."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    command = timing.weakbeam(
        "identify", "generate", "-q", "--overwrite", "-o", str(folder), *chosen
    )
    return timing.run_process(command, repeats)


def match(
    library: Path,
    refined: int,
    repeats: int,
    scan: tuple[str, ...] = WEAK,
    more: tuple[str, ...] = ("--exact",),
) -> timing.Cost:
    """Cost of ``weakbeam identify match`` of an image, or two, with the counts of a camera."""
    run = library / "run"
    if not run.exists():
        defect = "defects=[{plane=[1,1,1],burgers=[1,-1,0],character_deg=60}]"
        settings = (*scan, "camera.model=pco_edge", "output.figures=false", defect)
        chosen = [word for setting in settings for word in ("--set", setting)]
        timing.run_process(timing.weakbeam("forward", "-q", "-o", str(run), *chosen), 1)
    place = str(library / f"match-{refined}")
    image = str(run / "weakbeam.h5")
    options = ("-q", "--overwrite", "--library", str(library), "-o", place)
    command = timing.weakbeam("identify", "match", image, *options, "--refine", str(refined), *more)
    return timing.run_process(command, repeats)


def main() -> None:
    options = timing.parser(__doc__)
    options.add_argument("--images", type=int, default=2000, help="of the training set")
    options.add_argument("--library", help="the library that a part reads")
    arguments = options.parse_args()
    if arguments.part:
        read(arguments.library, arguments.repeats)
        return
    print(timing.machine())
    repeats, rows = arguments.repeats, []
    with timing.scratch() as folder:
        library = generate(folder, WEAK, repeats)
        file = folder / "library.h5"
        baseline = TYPES / DFXM_GEO_PER_SECOND
        rows.append(_row(f"library, {TYPES} images of 170 x 510", library, baseline, "15 s", file))
        row = timing.run_part(
            "benchmarks.identify", "read", "--library", str(file), "--repeats", "3"
        )[0]
        reading = timing.Cost(tuple(row["walls"]), tuple(row["cpus"]), row["memory"])
        rows.append(_row("reading it", reading, None, "0.7 s", file))
        for label, refined, target in (
            ("matching an image of 170 x 510", 0, "3 s"),
            ("and refining the best three", 3, ""),
        ):
            matched = folder / f"match-{refined}"
            rows.append(
                _row(label, match(folder, refined, repeats), None, target, matched / "match.json")
            )
    with timing.scratch() as folder:
        generate(folder, PAIR, 1)
        cost = match(folder, 12, repeats, PAIR, ("--nuisances",))
        row = _row(
            "a pair, with what is not known", cost, None, "10 s", folder / "match-12" / "match.json"
        )
        rows.append(row)
    with timing.scratch() as folder:
        file = folder / "training.h5"
        start = generate(folder, (*LEARN, "identify.images=1"), 1)
        some = generate(folder, (*LEARN, f"identify.images={arguments.images}"), 1)
        rows.append(
            _row(f"training set, {arguments.images} images of 128 x 128", some, None, "", file)
        )
        factor = (WHOLE_SET - 1) / max(arguments.images - 1, 1)
        whole = timing.Cost(
            tuple(start.wall + factor * (wall - start.wall) for wall in some.walls),
            tuple(start.cpu + factor * (cpu - start.cpu) for cpu in some.cpus),
            some.memory,
        )
        label = f"training set, {WHOLE_SET} images (scaled)"
        rows.append([label, *timing.cost_cells(whole, None, "75 s, 2 GB"), ""])
        plain = (*LEARN, f"identify.images={arguments.images}", "identify.labels=false")
        rows.append(_row("the same without labels", generate(folder, plain, 1), None, "", file))
        varied = (*LEARN, f"identify.images={arguments.images}", *VARY)
        label = "the same with labels and another instrument each"
        rows.append(_row(label, generate(folder, varied, 1), None, "", file))
    timing.print_table("weakbeam identify generate", ("", *timing.COST_COLUMNS, "file"), rows)


def _row(
    label: str, cost: timing.Cost, baseline: float | None, target: str, file: Path
) -> list[str]:
    size = f"{file.stat().st_size / 1e6:.0f} MB"
    return [label, *timing.cost_cells(cost, baseline, target), size]


if __name__ == "__main__":
    main()
