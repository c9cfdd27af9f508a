"""Noise of counts together with the errors of the model that explains them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.fit.observation import Noise


@dataclass(frozen=True)
class ModelNoise:
    r"""Variance of the difference between counts and a model that is slightly wrong.

    Parameters
    ----------
    noise : Noise
        Of the counts.
    light, background : float
        Standard deviation of the model's error, as a share of the light that it expects in a pixel
        and of the background there.

    Notes
    -----
    With light I and background b

    .. math:: v = g\,(I + b) + f + (\kappa I)^2 + (\kappa_b b)^2.

    Without the last two terms every photon more would make the least wrong of several wrong models
    look certain.
    """

    noise: Noise
    light: float = 0.0
    background: float = 0.0

    def variance(self, light: ArrayLike, background: ArrayLike = 0.0) -> Floats:
        """Variance (ADU²) of pixels of expected light and background (ADU).

        Parameters
        ----------
        light, background : (...) array_like
            Of shapes that broadcast.
        """
        shine, floor = np.maximum(light, 0.0), np.asarray(background, dtype=np.float64)
        own = (self.light * shine) ** 2 + (self.background * floor) ** 2
        return np.asarray(self.noise.variance(shine + floor) + own)
