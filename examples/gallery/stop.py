"""A knife edge in the back focal plane
====================================

A stop lets one side of the diffracted beam pass: contrast for rotations of one sign.
"""

import weakbeam as wb

base = wb.Experiment().replace(camera={"pixels": (80, 240)}, scan={"phi": {"value_mrad": 0.1}})
images = {"open": wb.simulate(base).images}
for side in ("above", "below"):
    stop = {"kind": "knife_edge", "side": side}
    images[f"only {side} the axis"] = wb.simulate(base.replace(objective={"stop": stop})).images
figure = wb.montage(images)
