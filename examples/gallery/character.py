"""From screw to edge
==================

A dislocation of one Burgers vector turned in its slip plane. ψ is the angle from b to the line.
"""

import weakbeam as wb

base = wb.Experiment().replace(camera={"pixels": (60, 180)}, scan={"phi": {"value_mrad": 0.15}})
images = {}
for angle in (0, 30, 60, 90, 120, 150):
    line = wb.Dislocation(plane=(1, 1, 1), burgers=(1, -1, 0), character_deg=angle)
    images[f"ψ = {angle}°"] = wb.simulate(base.replace(defects=[line])).images
figure = wb.montage(images)
