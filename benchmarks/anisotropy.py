"""What anisotropy costs: lines, walls, many lines and whole images, beside the isotropic ones.

    python -m benchmarks.anisotropy [--repeats 3]

Fields are timed by the CPU time of one thread, the two media in turn, so that what else the machine
does falls on both. The baseline of every row is the isotropic field of the same defects.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import _measure as timing

CONSTANTS = {"Al": (108.2, 61.3, 28.5), "Cu": (168.4, 121.4, 75.4)}
POINTS = 200_000
TARGET = 3.0

IMAGE = """
[crystal]
material = "Cu"
elasticity = "{}"
[scan.phi]
value_mrad = 0.15
[[defects]]
{}
"""
KINDS = {
    "one dislocation": "plane = [1, 1, 1]\nburgers = [1, 0, -1]\nangle_deg = 60",
    "1,000 dislocations": 'kind = "random"\ncount = 1000',
    "wall of 7,501": 'kind = "wall"\nplane = [1, 1, 1]\nburgers = [1, 0, -1]\nangle_deg = 90\n'
    "spacing_um = 0.25\ncount = 7501",
}


def in_turn(first: Callable[[], object], second: Callable[[], object], repeats: int) -> list[float]:
    """The least CPU time (s) of each of two functions, called in turn."""
    first(), second()
    best = [np.inf, np.inf]
    for _ in range(repeats):
        for k, function in enumerate((first, second)):
            start = time.thread_time()
            function()
            best[k] = min(best[k], time.thread_time() - start)
    return best


def fields(repeats: int) -> list[list[str]]:
    """Rows of the table of fields."""
    from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium
    from weakbeam.defects.field_of import field_of
    from weakbeam.defects.lines import StraightLines
    from weakbeam.defects.many import Bounds
    from weakbeam.defects.wall import DislocationWall

    random = np.random.default_rng(1)
    isotropic = IsotropicMedium(0.345)
    points = np.ascontiguousarray(random.uniform(-10, 10, (3, POINTS)) * [[1], [1], [0.1]])

    def some(count: int) -> StraightLines:
        return StraightLines(
            3e-4 * random.normal(size=(count, 3)),
            random.normal(size=(count, 3)),
            random.uniform(-10, 10, (count, 3)),
            3e-4,
        )

    rows = []
    for name, constants in CONSTANTS.items():
        c11, c12, c44 = constants
        matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
        matrix[:3, :3] += c12
        medium = AnisotropicMedium(matrix)
        (line,) = some(1)
        wall = DislocationWall(line, np.cross(line.line, [0.3, 0.2, 0.8]), 0.3, 1001)
        bounds = Bounds([0, 0, 0], np.eye(3), [10.0, 10.0, 1.0])
        lines, many = some(20), some(1000)
        none = some(0)
        cases: dict[str, tuple[Callable[[Any], Any], float, str]] = {
            "a line": (lambda m, x=lines: field_of(x, m), POINTS * 20, f"{TARGET:g}"),
            "a wall of 1,001": (lambda m, w=wall, x=none: field_of(x, m, [w]), POINTS, ""),
            "1,000 lines in boxes": (
                lambda m, x=many, b=bounds: field_of(x, m, bounds=b, points=1_500_000, workers=1),
                POINTS,
                "",
            ),
        }
        for case, (made, share, target) in cases.items():
            pair = [made(m) for m in (isotropic, medium)]
            gradient = np.zeros((9, POINTS))
            plain, own = in_turn(
                lambda f=pair[0], g=gradient: f.add_to(g, points),
                lambda f=pair[1], g=gradient: f.add_to(g, points),
                repeats,
            )
            rows.append(row(f"{name}, {case}, at a point", plain / share, own / share, target))
        plain, own = in_turn(
            lambda x=many: field_of(x, isotropic), lambda x=many, m=medium: field_of(x, m), repeats
        )
        rows.append(row(f"{name}, preparing a line", plain / 1000, own / 1000, ""))
    return rows


def images(repeats: int) -> list[list[str]]:
    """Rows of the table of whole images."""
    import weakbeam as wb

    rows = []
    for name, table in KINDS.items():
        costs = []
        for kind in ("isotropic", "anisotropic"):
            experiment = wb.Experiment.from_toml_text(IMAGE.format(kind, table))
            wb.simulate(experiment.with_settings(["camera.pixels=[8, 8]"]))
            cost = timing.time_calls(lambda e=experiment: wb.simulate(e), repeats)
            costs.append(cost.cpu)
        rows.append(row(name, *costs, ""))
    return rows


def row(name: str, plain: float, own: float, target: str) -> list[str]:
    """A row of a table."""
    return [name, short(plain), short(own), timing.ratio(own, plain), target]


def short(value: float) -> str:
    """A time, in ns where it is short."""
    return f"{1e9 * value:.3g} ns" if value < 1e-6 else timing.seconds(value)


def main() -> None:
    chosen = timing.parser(__doc__).parse_args()
    print(timing.machine())
    columns = ("", "isotropic", "anisotropic", "ratio", "at most")
    timing.print_table("CPU time of fields", columns, fields(chosen.repeats))
    timing.print_table(
        "CPU time of one image of copper, 170 x 510 pixels", columns, images(chosen.repeats)
    )


if __name__ == "__main__":
    main()
