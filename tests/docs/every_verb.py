"""Every verb of the face as a user calls it: type checkers accept it, and it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import weakbeam as wb


def bent(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A lattice that turns about y along x."""
    beta = np.zeros((len(points), 3, 3))
    beta[:, 0, 2] = 2e-5 * points[:, 0]
    beta[:, 2, 0] = -beta[:, 0, 2]
    return beta


def main(folder: Path) -> dict[str, object]:
    """Use all of them, and return what each gave."""
    line = wb.Dislocation(plane=(1, 1, 1), burgers=(1, -1, 0), character_deg=90.0)
    experiment = wb.Experiment(
        crystal={"material": "Al"},
        beam=wb.Beam(energy_keV=17),
        reflection={"hkl": (-1, 1, -1)},
        camera={"pixels": (20, 30)},
        defects=[line],
        scan=wb.Scan(phi=wb.Axis(half_range_mrad=0.3, steps=13)),
        identify={"planes": [(1, 1, 1)], "character_step_deg": 90},
        output={"figures": False},
    )
    still = experiment.replace(scan={"phi": wb.Axis(value_mrad=0.15)}, camera={"model": "pco_edge"})
    turned = experiment.replace(defects=[{"burgers": (1, 1, 0), "line": (1, 0, -1)}])

    done: list[float] = []
    run: wb.Run = wb.simulate(experiment, 2, progress=done.append)
    image: wb.LabelledArray = wb.simulate(still, field=bent).images
    maps: wb.Maps = wb.center_of_mass(run)
    found: wb.Identification = wb.identify(wb.simulate(still), still, refine=0, max_shift=3)
    record: wb.Record = wb.record(turned, folder / "run", overwrite=True)
    scan = wb.read_scan(record.file)
    shown: dict[str, object] = {
        "simulate": run,
        "center_of_mass": maps,
        "record": record,
        "q_field": wb.q_field(experiment),
        "displacement_gradient": wb.displacement_gradient(experiment, [(0.0, 0.0, 1.0)]),
        "montage": wb.montage({"bent": image}),
        "find_reflections": wb.find_reflections(experiment, theta_max_deg=12),
        "optics": wb.optics(experiment, magnification=17.31),
        "plan": wb.plan(experiment, wb.Timing(readout_s=0.02)),
        "read_scan": scan,
        "map_scan": wb.map_scan(scan, background="minimum"),
        "compare": wb.compare([record.file, folder / "run"]),
        "calibrate": wb.calibrate(record.file, turned),
        "identify": found,
        "fit": wb.fit(record.file, turned, start=[]),
        "sweep": wb.sweep(still, folder / "sweep", axes={"scan.phi.value_mrad": [0.1, 0.2]}),
    }
    return shown


def at_length(scans: list[str], experiment: wb.Experiment) -> tuple[object, ...]:
    """The others, which take several scans or a browser: for the type checker alone."""
    found = wb.distortion(scans, experiment, registration="full")
    fitted = wb.fit_scan(scans[0], experiment, start="dislocations.csv")
    microscope = wb.live(experiment, port=0)
    microscope.close()
    return found, fitted
