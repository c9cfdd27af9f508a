"""Which Burgers vectors are seen
==============================

The six Burgers vectors of aluminium on a line along [1 0 −1], in the weak beam of (−1 1 −1).
"""

import weakbeam as wb

g, line = (-1, 1, -1), (1, 0, -1)
base = wb.Experiment().replace(camera={"pixels": (60, 180)}, scan={"phi": {"value_mrad": 0.15}})
images = {}
for b in [(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]:
    defects = [wb.Dislocation(burgers=b, line=line)]
    gb = sum(x * y for x, y in zip(g, b, strict=True)) / 2
    images[f"b = {b} / 2, g·b = {gb:g}"] = wb.simulate(base.replace(defects=defects)).images
figure = wb.montage(images)
