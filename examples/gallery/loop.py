"""Dislocation loops
=================

A prismatic loop and a glide loop of 1.5 µm radius, cut by the sheet of light.
"""

import weakbeam as wb

base = wb.Experiment().replace(camera={"pixels": (80, 160)}, scan={"phi": {"value_mrad": 0.1}})
images = {}
for name, plane in {"prismatic": (1, 1, 0), "glide": (1, -1, 1)}.items():
    loop = wb.Loop(plane=plane, burgers=(1, 1, 0), radius_um=1.5)
    images[name] = wb.simulate(base.replace(defects=[loop])).images
figure = wb.montage(images)
