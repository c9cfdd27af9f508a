"""Weak beam
=========

An edge dislocation in aluminium. The crystal is turned 0.15 mrad off its Bragg peak: what is still
lit is the lattice that the dislocation has turned towards it.
"""

import weakbeam as wb

experiment = wb.Experiment().replace(scan={"phi": {"value_mrad": 0.15}})
figure = wb.simulate(experiment).images.plot()
