"""A small-angle boundary
======================

Twelve edge dislocations above one another. Far away their fields cancel, and what is left is a
lattice turned on one side.
"""

import weakbeam as wb

wall = wb.Wall(plane=(1, 1, 1), burgers=(1, -1, 0), character_deg=90, count=12, spacing_um=0.5)
experiment = wb.Experiment().replace(defects=[wall], scan={"phi": {"value_mrad": 0.12}})
figure = wb.simulate(experiment).images.plot()
