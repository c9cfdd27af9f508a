"""How well the images of a dislocation stand out of those of the perfect crystal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import Floats32
from weakbeam.fit.frame_noise import FrameNoise
from weakbeam.identify.library.candidates import Candidates

FAINT = 1e-6
"""An image that differs from that of the perfect crystal by less (rms) shows nothing."""

DETECTABLE = 3.0
"""Signal-to-noise ratio of all pixels together from which a dislocation can be seen."""


class Contrast(NamedTuple):
    """How much images of a member differ from those of the perfect crystal.

    Attributes
    ----------
    visibility : float
        Rms of the difference over all pixels and conditions, relative intensity.
    signal_to_noise : float
        Root of the sum of its squares over the variance of the noise; NaN for a camera that does
        not count.
    """

    visibility: float
    signal_to_noise: float


def frame_noises(candidates: Candidates) -> tuple[FrameNoise, ...]:
    """The noise of the camera in each condition."""
    renderer = candidates.renderer
    every = [FrameNoise(setup.detector) for setup in renderer.setups]
    return tuple(every[condition.reflection] for condition in renderer.conditions)


def contrast_of(images: Floats32, perfect: Floats32, noises: Sequence[FrameNoise]) -> Contrast:
    """How much images differ from those of the perfect crystal, all (conditions, rows, columns)."""
    total = ratio = 0.0
    for image, background, noise in zip(images, perfect, noises, strict=True):
        # Not as a product of vectors: the threads of BLAS would take the cores of the others.
        square = float(np.square(image - background).sum(dtype=np.float64))
        total += square
        sigma = float(noise.sigma(background.mean())) if noise.noise is not None else np.nan
        ratio += square / sigma**2
    return Contrast(float(np.sqrt(total / images.size)), float(np.sqrt(ratio)))
