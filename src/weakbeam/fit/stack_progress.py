"""Progress of a search, whose length nobody knows: phases with a share each, and steps in them."""

from __future__ import annotations

from dataclasses import dataclass

from weakbeam.core.bars import Progress

_OF_THE_REST = 0.125


@dataclass
class Phases:
    """What is told of a search.

    Parameters
    ----------
    progress : callable, optional
        Told the share that is newly done.
    """

    progress: Progress | None = None
    done: float = 0.0
    end: float = 0.0

    def begin(self, end: float) -> None:
        """A phase with which so much will be done; the last one is over."""
        self._to(self.end)
        self.end = end

    def step(self) -> None:
        """Something is done: an eighth of what is left of the phase."""
        self._to(self.done + _OF_THE_REST * (self.end - self.done))

    def _to(self, share: float) -> None:
        new = share - self.done
        if new > 0.0:
            self.done = share
            if self.progress is not None:
                self.progress(new)
