"""How often identification is right, how true its probabilities are, and what it takes.

Dislocations are drawn at random from a list of types with close neighbours, imaged by the default
camera that counts, and identified without being told; at several exposures.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks._measure import machine, parser, print_table, seconds
from weakbeam.experiment import Experiment
from weakbeam.fit.line_place import PositionPrior
from weakbeam.fit.refine import refine
from weakbeam.identify.identifier import Identifier, line_at
from weakbeam.identify.library.candidates import candidates_of
from weakbeam.identify.study.blind_trials import Camera, Trials, calibration_error, run_trials

EDGES = [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0]
COUNTS = {1000.0: 4, 10.0: 1}
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
SMALL = [
    "camera.pixels=[24,32]",
    "beam.height_fwhm_um=0.15",
    "scan.phi.value_mrad=0.15",
    "camera.model=pco_edge",
    "identify.planes=[[1,1,1],[1,-1,1],[1,1,-1]]",
    "identify.burgers=[[1,-1,0],[1,0,-1]]",
    "identify.characters_deg=[0,10,45,90,180,225,270,330]",
]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--draws", type=int, default=400, help="draws where light is short")
    arguments = options.parse_args()
    print(machine())
    rows, tables = [], {}
    for counts, part in COUNTS.items():
        trials, cost = _trials(counts, arguments.draws // part)
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
                seconds(cost / len(trials)),
            ]
        )
    print_table(
        "Identification of draws at two exposures",
        [*FIRST_COLUMNS, "position/bound", "CPU"],
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
    _refinement()


def _identifier(settings: list[str], size: tuple[int, int], depth_um: float) -> Identifier:
    candidates = candidates_of(Experiment().with_settings(settings), 1)
    types = [candidates.types[k] for k in candidates.seen]
    prior = PositionPrior.of_view(candidates.renderer, size, depth_um)
    return Identifier(candidates.renderer, types, prior)


def _trials(counts: float, draws: int) -> tuple[Trials, float]:
    identifier = _identifier([*SMALL, f"camera.counts_per_s={counts}"], (8, 8), 0.15)
    start = time.process_time()
    trials = run_trials(identifier, draws, seed=1)
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
    identifier = _identifier(settings, (1, 1), 0.0)
    renderer, kind = identifier.renderer, identifier.types[0]
    observation = Camera(identifier).observe(line_at(renderer, kind, (4.3, -7.4, 0.0)), 1)
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
