"""A boundary by Frank’s equation
==============================

Two grains turned by 0.02° against each other, by the dislocations that their boundary needs.
"""

import weakbeam as wb

boundary = wb.Boundary(recipe="leds_eq11", angle_deg=0.02)
experiment = wb.Experiment().replace(defects=[boundary], scan={"phi": {"value_mrad": 0.1}})
figure = wb.simulate(experiment).images.plot()
