"""Whole processes, from start to exit: the import, --help, and the first image.

    python -m benchmarks.startup [--repeats 3]

"First run ever" has neither compiled code nor matplotlib's list of fonts on disk. The baseline of
each row is a process that only starts Python, or that only imports the libraries an image needs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping

from benchmarks import _measure as timing

LIBRARIES = "numpy, numba, h5py, matplotlib.figure, matplotlib.backends.backend_agg, pydantic"


def main() -> None:
    options = timing.parser(__doc__).parse_args()
    print(timing.machine())
    python = [sys.executable, "-c"]
    with timing.scratch() as folder:

        def empty_caches() -> Mapping[str, str]:
            return {
                name: tempfile.mkdtemp(dir=folder) for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")
            }

        image = timing.weakbeam("forward", "-q", "--overwrite", "-o", str(folder / "run"))
        repeats = options.repeats
        start = timing.run_process([*python, "pass"], 2 * repeats)
        help_text = timing.run_process(timing.weakbeam("--help"), 2 * repeats)
        package = timing.run_process([*python, "import weakbeam"], 2 * repeats)
        names = timing.run_process([*python, "from weakbeam import Experiment, simulate"], repeats)
        libraries = timing.run_process([*python, f"import {LIBRARIES}"], repeats)
        first = timing.run_process(image, max(1, repeats - 1), prepare=empty_caches)
        timing.run_process(image)
        later = timing.run_process(image, repeats)
        bare = timing.run_process([*image, "--set", "output.figures=false"], repeats)
    timing.print_table(
        "Startup (whole processes; baseline: Python alone)",
        ("", *timing.COST_COLUMNS),
        [
            ["python -c pass", *timing.cost_cells(start, start.wall)],
            ["weakbeam --help", *timing.cost_cells(help_text, start.wall, "0.3 s")],
            ["import weakbeam", *timing.cost_cells(package, start.wall, "0.2 s")],
            ["import Experiment, simulate", *timing.cost_cells(names, start.wall)],
        ],
    )
    timing.print_table(
        "First image, 170 x 510 pixels (whole processes; baseline: importing the libraries)",
        ("", *timing.COST_COLUMNS),
        [
            ["libraries alone", *timing.cost_cells(libraries, libraries.wall)],
            ["first run ever", *timing.cost_cells(first, libraries.wall, "8 s")],
            ["later runs", *timing.cost_cells(later, libraries.wall, "2 s")],
            ["later runs, no figures", *timing.cost_cells(bare, libraries.wall)],
        ],
    )


if __name__ == "__main__":
    main()
