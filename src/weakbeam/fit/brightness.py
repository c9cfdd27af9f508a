"""The brightness and the background of images of several reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.fit.likelihood import fit_scale
from weakbeam.fit.observation import Observation


@dataclass(frozen=True, eq=False)
class Brightness:
    """The best scales and backgrounds of images of a model.

    Parameters
    ----------
    of : (conditions,) ndarray of int
        Which scale each image has; those of one reflection share one.
    scales : (reflections,) ndarray
        Counts (ADU) per unit of the model.
    background : (conditions,) ndarray
        Constant background of each image (ADU).
    log_likelihood, misfit : float
        As of a :class:`~weakbeam.fit.likelihood.ScaleFit`.
    """

    of: Ints
    scales: Floats
    background: Floats
    log_likelihood: float
    misfit: float

    @classmethod
    def best(cls, observation: Observation, model: Floats, of: Ints) -> Brightness:
        """Fit the scales and backgrounds of a model."""
        o, scales, background = observation, np.empty(of.max() + 1), np.empty(len(of))
        log_likelihood = squares = 0.0
        for number in range(len(scales)):
            own = of == number
            fit = fit_scale(o.images[own], model[own], o.noise, o.good[own])
            scales[number], background[own] = fit.scale, fit.background
            log_likelihood += fit.log_likelihood
            squares += fit.misfit * float(o.good[own].sum())
        return cls(of, scales, background, log_likelihood, squares / float(o.good.sum()))

    def signal(self, model: Floats) -> Floats:
        """Expected counts (ADU) of the model's images, (conditions, rows, columns)."""
        scale, background = self.scales[self.of], self.background
        return np.asarray(scale[:, None, None] * model + background[:, None, None])
