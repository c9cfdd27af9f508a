"""The process in which an :class:`weakbeam.plot.drawing.Artist` draws."""

from __future__ import annotations

import pickle
from typing import IO

# Imported before there is anything to draw, while the other process computes.
from weakbeam.plot import acceptance, image, maps, rocking  # noqa: F401


def work(jobs: IO[bytes], results: IO[bytes]) -> None:
    """Draw all figures that come, and give back their pictures when no more come.

    Parameters
    ----------
    jobs : binary stream
        Pickled pairs of a name and a :class:`weakbeam.plot.drawing.Drawing`.
    results : binary stream
        Gets one pickled mapping of the names to PNG files; without the figures that failed.
    """
    pictures = {}
    while True:
        try:
            name, drawing = pickle.load(jobs)
        except EOFError:
            break
        try:
            pictures[name] = drawing.picture()
        except Exception:
            # It is drawn once more where there is somebody to be told why it fails.
            continue
    pickle.dump(pictures, results)
    results.flush()
