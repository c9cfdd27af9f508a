"""Which dislocation an image shows: libraries of candidates, their ranking, and its confidence.

Imports run one way::

    library -> search -> match, verdict -> study

``library`` makes candidates and images of them, ``search`` finds where they fit images best, the
modules of this package itself prepare images, fit, refine and rank candidates and put the result
into words, and ``study`` tries that out. The statistics of images are in :mod:`weakbeam.fit`, which
imports nothing from here, and rendering in :mod:`weakbeam.run`.

Called, ``weakbeam.identify(images, library)`` ranks the candidates of a library:
:func:`weakbeam.identify.identification.identify`.
"""

from weakbeam.core.callable_room import make_callable

make_callable(__name__)
