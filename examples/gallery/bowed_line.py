"""A line bowed out between two pins
=================================

A polyline: straight to a pin, an arc to the next one, straight on.
"""

import numpy as np

import weakbeam as wb

s = np.linspace(-1.0, 1.0, 21)
arc = np.stack([2.0 * (1.0 - s**2), 3.0 * s, 0.0 * s], axis=1)
line = wb.Polyline(
    points_um=[(0.0, -4.0, 0.0), *map(tuple, arc), (0.0, 4.0, 0.0)],
    burgers=(1, 0, 1),
    ends="straight",
)
experiment = wb.Experiment().replace(defects=[line], scan={"phi": {"value_mrad": 0.1}})
figure = wb.simulate(experiment).images.plot()
