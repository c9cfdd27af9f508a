"""Across the Bragg peak
=====================

One dislocation at 13 settings of φ. In the middle it is a shadow in a bright crystal; at both ends
it is all that is lit. Each frame has colours of its own.
"""

import weakbeam as wb

phi = wb.AngleAxis(half_range_mrad=0.3, steps=13)
experiment = wb.Experiment().replace(camera={"pixels": (60, 180)}, scan={"phi": phi})
figure = wb.simulate(experiment).images.plot()
