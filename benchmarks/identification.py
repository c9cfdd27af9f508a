"""How often identification is right, how true its probabilities are, and what it takes.

    python -m benchmarks.identification [--draws 200] [--seed 1] [--all]

Dislocations are drawn at random from a list of types with close neighbours, imaged by the default
camera that counts, and matched as ``weakbeam identify match`` does, with its default options, but
that images are as small as the shifts: 24 x 32 pixels and up to 4. At two exposures; with ``--all``
among all types of the crystal instead, at the exposure of the preset.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks._measure import machine, parser, print_table, seconds
from weakbeam.experiment import Experiment
from weakbeam.fit.refine import refine
from weakbeam.identify.library.candidates import candidates_of
from weakbeam.identify.library.library import make_library
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.study.blind_trials import (
    Camera,
    Trials,
    calibration_error,
    line_at,
    run_trials,
)

EDGES = [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0]
OPTIONS = MatchOptions(max_shift=4)
COUNTS = {1000.0: 2, 10.0: 1}
"""Exposures, and which part of the draws is made there: where all is clear, fewer do."""

FIRST_COLUMNS = (
    "signal",
    "draws",
    "median gap",
    "right",
    "right, gap > 6",
    "stated",
    "calibration error",
)
IMAGE = [
    "camera.pixels=[24,32]",
    "beam.height_fwhm_um=0.15",
    "scan.phi.value_mrad=0.15",
    "camera.model=pco_edge",
]
NEIGHBOURS = [
    "identify.planes=[[1,1,1],[1,-1,1],[1,1,-1]]",
    "identify.burgers=[[1,-1,0],[1,0,-1]]",
    "identify.characters_deg=[0,10,45,90,180,225,270,330]",
]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--draws", type=int, default=200, help="draws where light is short")
    options.add_argument("--seed", type=int, default=1, help="of types and positions")
    options.add_argument("--all", action="store_true", help="all types of the crystal")
    arguments = options.parse_args()
    print(machine())
    rows, tables = [], {}
    exposures = {1000.0: 1} if arguments.all else COUNTS
    for counts, part in exposures.items():
        settings = [] if arguments.all else NEIGHBOURS
        trials, cost = _trials(settings, counts, arguments.draws // part, arguments.seed)
        table = trials.reliability(EDGES)
        tables[counts] = table
        sure = trials.gap > 6.0
        rows.append(
            [
                f"{counts:g} ADU/s",
                str(len(trials)),
                f"{np.median(trials.gap):.3g}",
                f"{trials.accuracy():.1%}",
                f"{trials.accuracy(6.0):.1%} of {sure.sum()}" if sure.any() else "-",
                f"{trials.probability.mean():.1%}",
                f"{calibration_error(table):.1%}",
                f"{trials.error_ratio:.2f}",
                f"{trials.ambiguous.mean():.1%}",
                seconds(cost / len(trials)),
            ]
        )
    print_table(
        f"Identification of draws, seed {arguments.seed}",
        [*FIRST_COLUMNS, "position/bound", "ambiguous", "CPU"],
        rows,
    )
    for counts, table in tables.items():
        print_table(
            f"Reliability at {counts:g} ADU/s: all types of all draws",
            ["probability", "number", "mean", "true"],
            [
                [f"{low:g} to {high:g}", str(number), f"{mean:.3f}", f"{share:.3f}"]
                for low, high, number, mean, share in table
            ],
        )
    if not arguments.all:
        _refinement()


def _trials(settings: list[str], counts: float, draws: int, seed: int) -> tuple[Trials, float]:
    experiment = Experiment().with_settings([*IMAGE, *settings, f"camera.counts_per_s={counts}"])
    library = make_library(experiment, 1)
    start = time.process_time()
    trials = run_trials(library, draws, seed, OPTIONS)
    return trials, time.process_time() - start


def _refinement() -> None:
    """Time of one refinement of a whole image."""
    settings = [
        "beam.height_fwhm_um=0.6",
        "scan.phi.value_mrad=0.15",
        "camera.model=pco_edge",
        "identify.planes=[[1,1,1]]",
        "identify.burgers=[[1,-1,0]]",
        "identify.characters_deg=[30]",
    ]
    candidates = candidates_of(Experiment().with_settings(settings), 1)
    renderer, kind = candidates.renderer, candidates.types[0]
    observation = Camera(renderer).observe(line_at(renderer, kind, (4.3, -7.4, 0.0)), 1)
    rows = []
    for free in (("position",), ("position", "character")):
        refine(observation, renderer, kind, (4.0, -7.0), free=free)
        wall, cpu = time.perf_counter(), time.process_time()
        refined = refine(observation, renderer, kind, (4.0, -7.0), free=free)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rows.append(
            [" and ".join(free), str(refined.renderings), seconds(wall), seconds(cpu), "5 s"]
        )
    print_table(
        "Refinement of one type, 170 x 510 pixels, one image",
        ["free", "images computed", "wall", "CPU", "target"],
        rows,
    )


if __name__ == "__main__":
    main()
