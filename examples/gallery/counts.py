"""Counts of a camera
==================

The same image as a camera counts it, in one second and in a hundred.
"""

import weakbeam as wb

base = wb.Experiment().replace(scan={"phi": {"value_mrad": 0.15}}, camera={"pixels": (80, 240)})
images = {}
for seconds in (1.0, 100.0):
    camera = {"model": "pco_edge", "exposure_s": seconds}
    images[f"{seconds:g} s"] = wb.simulate(base.replace(camera=camera)).images
figure = wb.montage(images)
