"""Through a loop, layer by layer
==============================

A prismatic loop of 2 µm radius seen at nine heights of the sample.
"""

import weakbeam as wb

loop = wb.Loop(plane=(1, 1, 0), burgers=(1, 1, 0), radius_um=2.0)
scan = {"phi": {"value_mrad": 0.1}, "z": wb.HeightAxis(half_range_um=2.4, steps=9)}
experiment = wb.Experiment().replace(camera={"pixels": (60, 180)}, defects=[loop], scan=scan)
figure = wb.simulate(experiment).images.plot()
