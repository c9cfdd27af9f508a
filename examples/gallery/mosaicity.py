"""Maps of a mosaicity scan
========================

Centres of mass over φ and χ of every pixel, around five dislocations.
"""

import weakbeam as wb

axes = {
    "phi": wb.AngleAxis(half_range_mrad=0.4, steps=17),
    "chi": wb.AngleAxis(half_range_mrad=2.0, steps=17),
}
experiment = wb.Experiment().replace(
    camera={"pixels": (60, 180)},
    defects=[wb.RandomDislocations(count=5, seed=2)],
    scan=axes,
)
figure = wb.simulate(experiment).plot()["maps"]
