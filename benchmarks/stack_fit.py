"""Dislocations of measured stacks: what ``weakbeam fit`` takes, and whether it is right.

    python -m benchmarks.stack_fit [--repeats 1] [NAME ...]

The stacks are made by the worlds of ``tests/reference``, which share no code with the package, and
fitted by the command from the file of a beamline. Baseline is reading the frames once; memory is
the largest of the process. Types that a fit says to be as likely count as right.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import _measure as timing

CASES: dict[str, tuple[tuple[int, int], tuple[int, int], int, int, str]] = {
    "three": ((128, 128), (61, 1), 3, 5, "< 60 s"),
    "mosaicity": ((170, 510), (61, 61), 10, 77, "< 15 min, < 4 GB"),
}
"""Shape, settings of φ and χ, dislocations, seed, target."""

PIXEL_UM = 0.1
PHI, CHI = 3e-4, 1.2e-3


def main() -> None:
    arguments = timing.parser(__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    options = arguments.parse_args()
    if options.part:
        {"make": _make, "read": _read, "check": _check}[options.part](*options.names)
        return
    rows, found = [], []
    with timing.scratch() as folder:
        for name in options.names or CASES:
            shape, settings, _, _, target = CASES[name]
            timing.run_part("benchmarks.stack_fit", "make", name, str(folder))
            (read,) = timing.run_part("benchmarks.stack_fit", "read", name, str(folder))
            command = timing.weakbeam("fit", f"{name}.h5", "-c", f"{name}.toml", "-o", name)
            cost = timing.run_process([*command, "--overwrite"], options.repeats, folder=folder)
            title = "{} x {} x {:,}".format(*shape, settings[0] * settings[1])
            rows.append([title, *timing.cost_cells(cost, read["wall"], target)])
            (right,) = timing.run_part("benchmarks.stack_fit", "check", name, str(folder))
            numbers = [f"{right[key]:g}" for key in ("true", "found", "types", "within", "chi2")]
            found.append([title, *numbers, f"{1e3 * right['off']:.2f} nm"])
    print(timing.machine())
    timing.print_table("Fits of stacks", ["", *timing.COST_COLUMNS], rows)
    columns = ["", "true", "found", "types", "within 2 errors", "chi2 of noise", "largest mistake"]
    timing.print_table("What they have found", columns, found)


def _worlds(name: str) -> tuple[Any, Any, list[tuple[Any, Any]]]:
    sys.path.insert(0, str(timing.ROOT / "tests" / "reference"))
    from stack_worlds import drawn  # type: ignore[import-not-found]

    shape, _, count, seed, _ = CASES[name]
    world, experiment, lines = drawn(seed, shape, PIXEL_UM, count=count, apart_um=2.0)
    return world, experiment, lines


def _make(name: str, folder: str) -> None:
    import numpy as np

    world, experiment, _ = _worlds(name)
    from mosaic_worlds import write_mosaic  # type: ignore[import-not-found]

    phi, chi = CASES[name][1]
    settings = np.linspace(-PHI, PHI, phi), np.linspace(-CHI, CHI, chi) if chi > 1 else np.zeros(1)
    write_mosaic(Path(folder) / f"{name}.h5", world, *settings, seed=1)
    (Path(folder) / f"{name}.toml").write_text(experiment.to_toml())
    timing.answer([{}])


def _read(name: str, folder: str) -> None:
    from weakbeam.io.foreign import read_scan
    from weakbeam.io.frames import read_blocks

    measured = read_scan(Path(folder) / f"{name}.h5")

    def read() -> None:
        for _ in read_blocks(measured):
            pass

    timing.answer([{"wall": timing.time_calls(read, 2).wall}])


def _check(name: str, folder: str) -> None:
    """Every true line with the found one that is nearest to it."""
    import numpy as np

    _, experiment, lines = _worlds(name)
    from weakbeam.fit.nuisance_priors import NuisancePriors
    from weakbeam.fit.stack_model import StackModel
    from weakbeam.identify.fit_scan import started
    from weakbeam.run.render import Renderer

    results = Path(folder) / name
    record = json.loads((results / "fit.json").read_text())
    table = list(csv.DictReader((results / "dislocations.csv").read_text().splitlines()))
    renderer = Renderer(experiment, 1)
    model = StackModel(renderer, np.zeros((2, 3)), NuisancePriors.of(), 1)
    types = within = 0
    off = 0.0
    own = started(results / "dislocations.csv", model)
    for kind, point in lines:
        along = model.setup.sample_from_crystal @ kind.line
        away = []
        for line in own:
            axes = np.stack([*line.place.axes, along]).T
            at = np.linalg.lstsq(axes, point - line.place.base, rcond=None)[0][:2]
            away.append(line.at - at)
        best = int(np.argmin([np.linalg.norm(one) for one in away]))
        told = [own[best].type.name]
        others = record["dislocations"][best]["alternatives"]
        told += [other["type"] for other in others if other["log_evidence"] > -5.0]
        types += any(_is(one, kind) for one in told)
        errors = [float(table[best][f"{key}_error"]) for key in ("first", "second")]
        within += int((np.abs(away[best]) < 2.0 * np.array(errors)).sum())
        scale = 1.0 if own[best].place.in_sheet else PIXEL_UM
        off = max(off, scale * float(np.abs(away[best]).max()))
    timing.answer(
        [
            {
                "true": len(lines),
                "found": len(table),
                "types": types,
                "within": within / max(2 * len(lines), 1),
                "chi2": round(record["chi2_of_noise_outside_cores"], 3),
                "off": off,
            }
        ]
    )


def _is(name: str, kind: Any) -> bool:
    """Whether the name of a type is that of another, within 5°."""
    system, _, character = name.removesuffix(" deg").rpartition(" ")
    wanted, _, value = kind.name.removesuffix(" deg").rpartition(" ")
    turn = (float(character) - float(value) + 180.0) % 360.0 - 180.0
    return system == wanted and abs(turn) < 5.0


if __name__ == "__main__":
    main()
