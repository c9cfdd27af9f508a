"""What the plans of libraries and of training sets have in common: how their frames are made."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats32
from weakbeam.defects.lines import StraightLines
from weakbeam.fit.frame_noise import FrameNoise
from weakbeam.identify.library.candidates import Candidates
from weakbeam.identify.library.contrast import frame_noises


class ImagePlan:
    """Frames of candidates, with noise or without.

    Attributes
    ----------
    candidates : Candidates
        The types, and what makes their images.
    noise : bool
        Whether frames are counts with noise.
    """

    candidates: Candidates
    noise: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a frame's pixel."""
        return np.dtype(np.uint16 if self.noise else np.float32)

    @cached_property
    def perfect(self) -> Floats32:
        """Images of the perfect crystal, (conditions, rows, columns)."""
        return self.candidates.renderer.image(StraightLines.of([]))

    @cached_property
    def _noises(self) -> tuple[FrameNoise, ...]:
        return frame_noises(self.candidates)
