"""What is made of a file: maps of a mosaicity scan, pictures and a movie of a rocking scan.

    python -m benchmarks.files [--repeats 3]

Baseline is the whole process of ``weakbeam --version``, which imports nothing.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import _measure as timing

MOSAICITY = ("scan.mode=mosaicity", "scan.phi.steps=41", "scan.chi.steps=41")
ROCKING = ("scan.mode=rocking", "scan.phi.steps=61")
COUNTS = "camera.model=pco_edge"


def recorded(folder: Path, *settings: str) -> str:
    """Simulate a scan of the default experiment, off the clock; return the name of its file."""
    chosen = [word for key in (*settings, "output.figures=false") for word in ("--set", key)]
    timing.run_process(timing.weakbeam("forward", "-q", "-o", str(folder), *chosen))
    return str(folder / "weakbeam.h5")


def main() -> None:
    repeats = timing.parser(__doc__).parse_args().repeats
    print(timing.machine())
    rows = []
    with timing.scratch() as folder:
        ideal = recorded(folder / "ideal", *MOSAICITY)
        counts = recorded(folder / "counts", *MOSAICITY, COUNTS)
        rocking = recorded(folder / "rocking", *ROCKING)
        least = timing.run_process(timing.weakbeam("--version"), repeats).wall
        maps = ("-q", "--overwrite", "-o", str(folder / "maps"))
        shown = ("-o", str(folder / "figures"))
        for label, target, command in (
            ("maps, float32", "3 s", ("maps", ideal, *maps, "--format", "none")),
            ("maps, uint16", "3 s", ("maps", counts, *maps, "--format", "none")),
            (
                "maps, uint16, less the median",
                "",
                ("maps", counts, *maps, "--background", "median"),
            ),
            ("maps and their figures", "", ("maps", ideal, *maps)),
            ("movie of 61 frames", "6 s", ("show", rocking, "--movie", "gif", *shown)),
            ("montage of 25 frames", "", ("show", rocking, "--montage", *shown)),
        ):
            cost = timing.run_process(timing.weakbeam(*command), repeats)
            rows.append([label, *timing.cost_cells(cost, least, target)])
    timing.print_table(
        "From files of 170 x 510 pixels, 1681 frames for maps (baseline: weakbeam --version)",
        ("", *timing.COST_COLUMNS),
        rows,
    )


if __name__ == "__main__":
    main()
