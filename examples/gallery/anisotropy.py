"""Copper is anisotropic
=====================

The same dislocation in copper as an isotropic medium and with its elastic constants.
"""

import weakbeam as wb

line = wb.Dislocation(plane=(1, 1, 1), burgers=(1, -1, 0), character_deg=60)
base = wb.Experiment().replace(
    crystal={"material": "Cu"},
    camera={"pixels": (80, 240)},
    defects=[line],
    scan={"phi": {"value_mrad": 0.15}},
)
images = {
    kind: wb.simulate(base.replace(crystal={"elasticity": kind})).images
    for kind in ("isotropic", "anisotropic")
}
figure = wb.montage(images)
