"""A deformed crystal
==================

Random dislocations of all slip systems, 4 · 10¹² per square metre.
"""

import weakbeam as wb

random = wb.RandomDislocations(
    density_per_m2=4e12, region="slab", width_um=22.0, depth_um=2.0, seed=3
)
experiment = wb.Experiment().replace(defects=[random], scan={"phi": {"value_mrad": 0.15}})
figure = wb.simulate(experiment).images.plot()
