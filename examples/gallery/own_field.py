"""A deformation of your own
=========================

Any function of position bends the lattice: here a crystal that is bent to a radius of 0.2 m, beside
the dislocation.
"""

import numpy as np

import weakbeam as wb


def bent(points_um):
    beta = np.zeros((len(points_um), 3, 3))
    beta[:, 0, 2] = points_um[:, 0] / 0.2e6
    beta[:, 2, 0] = -beta[:, 0, 2]
    return beta


experiment = wb.Experiment().replace(scan={"phi": {"value_mrad": 0.12}})
figure = wb.simulate(experiment, field=bent).images.plot()
