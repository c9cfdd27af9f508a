"""How well images of a model explain counts, whatever the brightness and the background."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam._typing import ArrayLike, Floats
from weakbeam.identify.observation import Noise

_STEPS = 30
_HALVINGS = 12
_CONVERGED = 1e-8
"""The fit ends when another step is expected to add less than this to the log-likelihood."""

_NO_CONTRAST = 1e-12
"""Share of its mean square below which the variance of an image is rounding."""


@dataclass(frozen=True, eq=False)
class ScaleFit:
    """The best brightness and background for images of a model.

    Parameters
    ----------
    scale : float
        Counts (ADU) per unit of the model, common to all images; 0 where the model has no contrast
        or only a negative scale would do.
    background : (conditions,) ndarray
        Constant background of each image (ADU).
    log_likelihood : float
        Its maximum, without the prior of the scale.
    covariance : (1 + conditions, 1 + conditions) ndarray
        Of the scale and the backgrounds, the inverse of the Fisher matrix; infinite where the model
        has no contrast.
    misfit : float
        Mean of squared residuals over their variance: about 1 if model and noise are right.
    """

    scale: float
    background: Floats
    log_likelihood: float
    covariance: Floats
    misfit: float

    def signal(self, model: ArrayLike) -> Floats:
        """Expected counts (ADU) of the model's images, shape (conditions, rows, columns)."""
        images = _stacked(model)
        return np.asarray(self.scale * images + self.background[:, None, None])


def fit_scale(
    images: ArrayLike,
    model: ArrayLike,
    noise: Noise,
    good: ArrayLike | None = None,
    prior: tuple[float, float] | None = None,
) -> ScaleFit:
    r"""Fit the brightness of a model and a constant background to counts.

    Parameters
    ----------
    images : (conditions, rows, columns) or (rows, columns) array_like
        Counts above dark (ADU).
    model : array_like, shape of the images
        Intensities of any unit.
    noise : Noise
        Variance of the counts.
    good : array_like of bool, optional
        Pixels that count; all unless given.
    prior : (float, float), optional
        Mean and standard deviation of a normal prior of the scale.

    Returns
    -------
    ScaleFit

    Raises
    ------
    ValueError
        If the shapes do not belong together, or no pixel counts.

    Notes
    -----
    With the expected signal :math:`m = s I + b`, the log-likelihood is

    .. math:: \ln L = -\tfrac12 \sum \left[(d-m)^2/v + \ln 2\pi v\right], \qquad
        v = g \max(m, 0) + f,

    the Poisson statistics of the photons and the noise of the camera taken together as normal. Its
    maximum over s and b is found by Fisher's method of scoring: Newton steps with the expected
    second derivatives :math:`\sum \partial_i m\,\partial_j m\,[1/v + (dv/dm)^2 / 2v^2]`.
    """
    counts, light = _stacked(images), _stacked(model)
    if counts.shape != light.shape:
        raise ValueError(f"images of shape {counts.shape} and model of shape {light.shape}")
    known = np.ones(counts.shape, np.bool_)
    if good is not None:
        known = np.asarray(good, dtype=np.bool_).reshape(counts.shape)
    problem = _Problem(counts, light, known, noise, prior)
    return problem.solve()


class _Problem:
    """Counts and model, pixel by pixel in one row, with the number of the image of each."""

    def __init__(
        self,
        counts: Floats,
        model: Floats,
        good: NDArray[np.bool_],
        noise: Noise,
        prior: tuple[float, float] | None,
    ) -> None:
        self.images = len(counts)
        per_image = good.reshape(self.images, -1).sum(axis=1)
        if not per_image.all():
            raise ValueError("an image has no pixel that counts")
        # Where the pixels of each image begin in the row.
        self.starts = np.concatenate([[0], np.cumsum(per_image)[:-1]])
        self.sizes = per_image
        whole = bool(good.all())
        self.counts = counts.ravel() if whole else counts[good]
        self.model = model.ravel() if whole else model[good]
        self.noise = noise
        self.prior = prior

    def solve(self) -> ScaleFit:
        """Newton steps that never lower the likelihood, then the error matrix."""
        contrast = self.model - self._spread(self._sums(self.model) / self.sizes)
        flat = float(contrast @ contrast) <= _NO_CONTRAST * float(self.model @ self.model)
        if flat:
            return self._fit(np.zeros(1 + self.images), scale_free=False)
        found = self._fit(self._start(), scale_free=True)
        if found.scale < 0.0:
            return self._fit(np.zeros(1 + self.images), scale_free=False)
        return found

    def _start(self) -> Floats:
        """Weighted least squares with the variance of the counts themselves."""
        weight = 1.0 / self.noise.variance(self.counts)
        gradient = self._gradient(weight * self.counts)
        return self._solve(self._fisher(weight), gradient)

    def _fit(self, parameters: Floats, *, scale_free: bool) -> ScaleFit:
        if not scale_free:
            parameters[1:] = self._sums(self.counts) / self.sizes
        value, residual, signal, variance = self._evaluate(parameters)
        for _ in range(_STEPS):
            slope = np.where(signal > 0.0, self.noise.gain, 0.0) / variance
            scaled = residual / variance
            gradient = self._gradient(scaled + 0.5 * slope * (residual * scaled - 1.0))
            fisher = self._fisher(1.0 / variance + 0.5 * slope**2)
            if self.prior is not None:
                gradient[0] -= (parameters[0] - self.prior[0]) / self.prior[1] ** 2
                fisher[0, 0] += self.prior[1] ** -2
            if not scale_free:
                gradient[0] = 0.0
                fisher[0, :], fisher[:, 0], fisher[0, 0] = 0.0, 0.0, 1.0
            step = self._solve(fisher, gradient)
            if float(step @ gradient) < _CONVERGED:
                break
            for _ in range(_HALVINGS):
                tried = self._evaluate(parameters + step)
                if tried[0] >= value:
                    break
                step = 0.5 * step
            else:
                break
            parameters = parameters + step
            value, residual, signal, variance = tried
        covariance = self._inverse(fisher)
        if not scale_free:
            covariance[0, 0] = np.inf
        likelihood = value
        if self.prior is not None:
            likelihood += 0.5 * ((parameters[0] - self.prior[0]) / self.prior[1]) ** 2
        return ScaleFit(
            float(parameters[0]),
            parameters[1:].copy(),
            likelihood,
            covariance,
            float(np.mean(residual**2 / variance)),
        )

    def _evaluate(self, parameters: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Log-likelihood with the prior; residual, signal and variance of every pixel."""
        signal = parameters[0] * self.model + self._spread(parameters[1:])
        variance = self.noise.variance(signal)
        residual = self.counts - signal
        value = -0.5 * float(np.sum(residual * residual / variance + np.log(variance)))
        value -= 0.5 * len(signal) * math.log(2.0 * math.pi)
        if self.prior is not None:
            value -= 0.5 * ((parameters[0] - self.prior[0]) / self.prior[1]) ** 2
        return value, residual, signal, variance

    def _gradient(self, score: Floats) -> Floats:
        return np.concatenate([[score @ self.model], self._sums(score)])

    def _fisher(self, weight: Floats) -> Floats:
        matrix = np.zeros((1 + self.images, 1 + self.images))
        weighted = weight * self.model
        matrix[0, 0] = weighted @ self.model
        matrix[0, 1:] = matrix[1:, 0] = self._sums(weighted)
        matrix[range(1, 1 + self.images), range(1, 1 + self.images)] = self._sums(weight)
        return matrix

    def _solve(self, matrix: Floats, vector: Floats) -> Floats:
        return self._inverse(matrix) @ vector

    @staticmethod
    def _inverse(matrix: Floats) -> Floats:
        # Scale and backgrounds have sizes of their own: the matrix is made dimensionless first.
        size = np.sqrt(np.diag(matrix))
        size[size == 0.0] = 1.0
        scaled = np.linalg.pinv(matrix / np.outer(size, size), rcond=1e-14, hermitian=True)
        return np.asarray(scaled / np.outer(size, size), dtype=np.float64)

    def _sums(self, values: Floats) -> Floats:
        return np.add.reduceat(values, self.starts)

    def _spread(self, per_image: Floats) -> Floats:
        if self.images == 1:
            return np.asarray(per_image[0])
        return np.repeat(per_image, self.sizes)


def _stacked(images: ArrayLike) -> Floats:
    array = np.asarray(images, dtype=np.float64)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise ValueError(f"images must have two or three axes, not {array.ndim}")
    return array
