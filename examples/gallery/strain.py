"""Axial strain
============

A θ–2θ scan: centre of mass of every pixel over Δ2θ, which is −2 tan θ times the strain along the
diffraction vector.
"""

import weakbeam as wb

scan = {"mode": "strain", "strain": wb.AngleAxis(half_range_mrad=0.5, steps=21)}
experiment = wb.Experiment().replace(camera={"pixels": (60, 180)}, scan=scan)
figure = wb.simulate(experiment).plot()["maps"]
