"""Whole processes, from start to exit: the import, --help, and the first image.

    python -m benchmarks.startup [--repeats 3]

"First run ever" has neither compiled code nor matplotlib's list of fonts on disk. The baseline of
each row is a process that only starts Python, or that only imports the libraries an image needs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping

from benchmarks._measure import (
    COST_COLUMNS,
    cost_cells,
    machine,
    parser,
    print_table,
    run_process,
    scratch,
    weakbeam,
)

LIBRARIES = "numpy, numba, h5py, matplotlib.figure, matplotlib.backends.backend_agg, pydantic"


def main() -> None:
    options = parser(__doc__).parse_args()
    print(machine())
    python = [sys.executable, "-c"]
    with scratch() as folder:

        def empty_caches() -> Mapping[str, str]:
            return {
                name: tempfile.mkdtemp(dir=folder) for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")
            }

        image = weakbeam("forward", "-q", "--overwrite", "-o", str(folder / "run"))
        repeats = options.repeats
        start = run_process([*python, "pass"], 2 * repeats)
        help_text = run_process(weakbeam("--help"), 2 * repeats)
        package = run_process([*python, "import weakbeam"], 2 * repeats)
        names = run_process([*python, "from weakbeam import Experiment, simulate"], repeats)
        libraries = run_process([*python, f"import {LIBRARIES}"], repeats)
        first = run_process(image, max(1, repeats - 1), prepare=empty_caches)
        run_process(image)
        later = run_process(image, repeats)
        bare = run_process([*image, "--set", "output.figures=false"], repeats)
    print_table(
        "Startup (whole processes; baseline: Python alone)",
        ("", *COST_COLUMNS),
        [
            ["python -c pass", *cost_cells(start, start.wall)],
            ["weakbeam --help", *cost_cells(help_text, start.wall, "0.3 s")],
            ["import weakbeam", *cost_cells(package, start.wall, "0.2 s")],
            ["import Experiment, simulate", *cost_cells(names, start.wall)],
        ],
    )
    print_table(
        "First image, 170 x 510 pixels (whole processes; baseline: importing the libraries)",
        ("", *COST_COLUMNS),
        [
            ["libraries alone", *cost_cells(libraries, libraries.wall)],
            ["first run ever", *cost_cells(first, libraries.wall, "8 s")],
            ["later runs", *cost_cells(later, libraries.wall, "2 s")],
            ["later runs, no figures", *cost_cells(bare, libraries.wall)],
        ],
    )


if __name__ == "__main__":
    main()
