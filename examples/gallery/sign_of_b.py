"""The sign of the Burgers vector
==============================

Weak-beam images on both sides of the peak, one less the other: the difference changes sign with b.
"""

import weakbeam as wb

phi = wb.AngleAxis(values_mrad=[-0.15, 0.15])
experiment = wb.Experiment().replace(camera={"pixels": (80, 240)}, scan={"phi": phi})
images = wb.simulate(experiment).images
figure = (images[1] - images[0]).plot(title="φ = +0.15 mrad less −0.15 mrad")
