"""Reflections on a mount
======================

Every reflection of aluminium that an oblique geometry reaches at 19.1 keV, with the visibility of a
dislocation in each.
"""

import matplotlib.pyplot as plt

import weakbeam as wb

experiment = wb.Experiment().replace(beam={"energy_keV": 19.1})
table = wb.find_reflections(experiment, geometry="oblique", theta_max_deg=20)
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
seen = [1e6 * value for value in table.column("visibility_0")]
points = axes.scatter(
    table.column("two_theta_deg"), table.column("structure_factor"), c=seen, cmap="viridis"
)
axes.set(xlabel="2θ (°)", ylabel="structure factor |F| (electrons)")
figure.colorbar(points, label="visibility, rms |δq| at 1 µm (10⁻⁶)")
