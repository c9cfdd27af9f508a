"""A rocking curve
===============

Intensity over φ at a pixel close to the dislocation.
"""

import weakbeam as wb

phi = wb.AngleAxis(half_range_mrad=0.4, steps=81)
experiment = wb.Experiment().replace(camera={"pixels": (41, 121)}, scan={"phi": phi})
images = wb.simulate(experiment).images
figure = images.nearest(x=0.3, y=0.2).plot(title="0.36 µm from the line")
