"""Run the benchmarks one after the other and print their tables.

    python -m benchmarks                        all of them, some three minutes on two free cores
    python -m benchmarks startup scan           some of them
    python -m benchmarks --dfxm-geo PYTHON      also beside dfxm-geo, which takes some ten minutes

PYTHON is the interpreter of an environment in which dfxm-geo is installed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from benchmarks._measure import ROOT

BENCHMARKS = {
    "startup": ["--repeats", "{repeats}"],
    "scan": ["--repeats", "{repeats}"],
    "accuracy": ["--repeats", "1"],
    "scaling": ["--repeats", "{repeats}"],
    "populations": ["--repeats", "1"],
    "anisotropy": ["--repeats", "{repeats}"],
    "networks": ["--repeats", "{repeats}"],
    "grids": ["--repeats", "{repeats}"],
    "raytrace": ["--repeats", "{repeats}", "--rays", "1e7"],
    "compression": ["--frames", "122"],
    "files": ["--repeats", "{repeats}"],
    "identification": ["--draws", "400"],
    "sweeps": ["--tasks", "500"],
    "identify": ["--repeats", "1"],
    "calibration": ["--repeats", "{repeats}"],
    "stack_fit": ["--repeats", "1"],
    "live": ["--repeats", "{repeats}"],
    "distortion": ["--pixels", "27"],
}
OTHER = "against_dfxm_geo"


def main() -> None:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    arguments.add_argument("--repeats", type=int, default=2, help="runs of each measurement")
    arguments.add_argument("--dfxm-geo", metavar="PYTHON", help="environment to compare with")
    options = arguments.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        arguments.error(f"no benchmark {sorted(unknown)[0]!r}; there are {', '.join(BENCHMARKS)}")
    chosen = {name: BENCHMARKS[name] for name in options.names or BENCHMARKS}
    if options.dfxm_geo:
        chosen[OTHER] = ["--repeats", "{repeats}", "--dfxm-geo", os.path.abspath(options.dfxm_geo)]
    failed = []
    for name, extra in chosen.items():
        start = time.monotonic()
        print(f"\n=== {name} ===", flush=True)
        words = [word.format(repeats=options.repeats) for word in extra]
        process = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *words], cwd=ROOT)
        print(f"\n  ({name} took {time.monotonic() - start:.0f} s)", flush=True)
        if process.returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
