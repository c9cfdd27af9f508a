"""How a camera may sit: four turns, and the mirror."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.fit.observation import Observation


@dataclass(frozen=True)
class Orientation:
    """What a camera has done to images: flipped left to right, and then turned.

    Parameters
    ----------
    turns : int
        Quarter turns, as :func:`numpy.rot90` counts them.
    mirrored : bool
        Whether they were flipped before.
    """

    turns: int = 0
    mirrored: bool = False

    @property
    def name(self) -> str:
        """In words."""
        parts = (["mirrored left to right"] if self.mirrored else []) + (
            [f"turned by {90 * self.turns} degrees"] if self.turns else []
        )
        return " and ".join(parts) or "as the experiment says"

    def undone(self, observation: Observation) -> Observation:
        """The images as they were before."""

        def back(images: NDArray[Any]) -> NDArray[Any]:
            upright = np.rot90(images, -self.turns, (1, 2))
            return np.ascontiguousarray(upright[:, :, ::-1] if self.mirrored else upright)

        return Observation(back(observation.images), observation.noise, back(observation.good))


DISTINCT = (Orientation(), Orientation(0, True), Orientation(1), Orientation(1, True))
"""Those that differ by more than a turn by 180 degrees, which only exchanges b and -b."""
