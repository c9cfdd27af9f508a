"""What the images are made of
===========================

The deformation as the microscope sees it: q along the rocking direction, averaged over the sheet.
"""

import weakbeam as wb

q = wb.q_field(wb.Experiment().replace(camera={"pixels": (80, 240)}))
figure = q[0].plot(title="q along the rocking direction")
