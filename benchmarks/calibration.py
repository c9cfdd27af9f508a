"""Calibration by the curves of a region: files of 61 and of 1,271 frames of 170 x 510 pixels.

    python -m benchmarks.calibration [--repeats 2]

Baseline is reading the frames once, in the same process.
"""

from __future__ import annotations

from benchmarks import _measure as timing

SCANS = {
    "61 frames over phi": ("scan.phi.half_range_mrad=0.4", "scan.phi.steps=61"),
    "41 x 31 frames over phi, chi": (
        "scan.phi.half_range_mrad=0.3",
        "scan.phi.steps=41",
        "scan.chi.half_range_mrad=2.0",
        "scan.chi.steps=31",
    ),
}


def main() -> None:
    arguments = timing.parser(__doc__)
    repeats = arguments.parse_args().repeats
    import weakbeam as wb
    from weakbeam.io.frames import read_blocks

    rows = []
    with timing.scratch() as folder:
        for name, scan in SCANS.items():
            settings = ["defects=[]", "camera.model=pco_edge", "output.figures=false", *scan]
            path = folder / name.partition(" ")[0]
            wb.record(wb.Experiment().with_settings(settings), path)
            measured = wb.read_scan(path / "weakbeam.h5")
            given = wb.Experiment().with_settings(["beam.divergence_vertical_clip_mrad=0.15"])

            def read(measured: object = measured) -> None:
                for _ in read_blocks(measured):
                    pass

            def calibrate(measured: object = measured, given: object = given) -> None:
                wb.calibrate(measured, given)

            read()
            calibrate()
            baseline = timing.time_calls(read, repeats)
            cost = timing.time_calls(calibrate, repeats)
            rows.append([f"{name}: read", *timing.cost_cells(baseline, baseline.wall)])
            rows.append([f"{name}: calibrate", *timing.cost_cells(cost, baseline.wall, "< 10 s")])
    print(timing.machine())
    timing.print_table("Calibration", ["", *timing.COST_COLUMNS], rows)


if __name__ == "__main__":
    main()
