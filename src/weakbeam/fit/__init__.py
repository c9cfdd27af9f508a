"""Images as observations with their noise: likelihood, ascent, refinement.

Called, ``weakbeam.fit(scan, experiment)`` finds the dislocations of a stack:
:func:`weakbeam.identify.fit_scan.fit_scan`.
"""

from weakbeam.core.callable_room import make_callable

make_callable(__name__)
