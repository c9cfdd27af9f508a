"""How well images of a model explain counts, whatever the brightness and the background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.fit.ascent import ClimbOptions, climb
from weakbeam.fit.likelihood_loops import add_image
from weakbeam.fit.observation import Bools, Noise

_CLIMB = ClimbOptions(least_gain=5e-8)
"""Brightness and background cost no image, and the fits of others are built on theirs."""

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
        images = _as_images(model)
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

    the Poisson statistics of the photons and the noise of the camera taken together as normal.
    Newton steps lead to its maximum; the errors come from the expected second derivatives,
    :math:`\sum \partial_i m\,\partial_j m\,[1/v + (dv/dm)^2 / 2v^2]`.
    """
    counts, light = _as_images(images), _as_images(model)
    if counts.shape != light.shape:
        raise ValueError(f"images of shape {counts.shape} and model of shape {light.shape}")
    known = np.ones(counts.shape, np.bool_)
    if good is not None:
        known = np.asarray(good, dtype=np.bool_).reshape(counts.shape)
    pixels = known.reshape(len(known), -1)
    if not pixels.any(axis=1).all():
        raise ValueError("an image has no pixel that counts")
    data, model_row = (np.ascontiguousarray(x.reshape(len(x), -1)) for x in (counts, light))
    middle = (model_row * pixels).sum(axis=1) / pixels.sum(axis=1)
    contrast = float(np.sum((model_row - middle[:, None]) ** 2 * pixels))
    if contrast <= _NO_CONTRAST * float(np.sum(model_row**2 * pixels)):
        return _flat(data, pixels, noise)
    start = _start(data, pixels, model_row, noise)
    top = _climb(data, pixels, model_row[:, None], noise, start, prior)
    (scale,) = top.coefficients
    if scale < 0.0:
        return _flat(data, pixels, noise)
    here, likelihood = top.derivatives, top.log_likelihood
    if prior is not None:
        likelihood += 0.5 * ((scale - prior[0]) / prior[1]) ** 2
    return ScaleFit(float(scale), top.background, likelihood, inverse(here.expected), here.misfit)


class Derivatives(NamedTuple):
    """Log-likelihood of images at some parameters, and its derivatives.

    The parameters are the coefficients of the columns, then the background of each image.
    """

    log_likelihood: float
    gradient: Floats
    observed: Floats
    """Second derivatives with opposite sign."""
    expected: Floats
    """What they are on average: the Fisher matrix."""
    misfit: float
    """Mean of squared residuals over their variance."""


def derivatives(
    counts: Floats,
    good: Bools,
    columns: Floats,
    coefficients: Floats,
    background: Floats,
    noise: Noise,
) -> Derivatives:
    """Log-likelihood of a signal that is linear in its parameters, and its derivatives.

    Parameters
    ----------
    counts : (images, pixels) ndarray
        Counts above dark (ADU).
    good : (images, pixels) ndarray of bool
        Pixels that count.
    columns : (images, k, pixels) ndarray
        What the signal of each image is a linear combination of, beside its background.
    coefficients : (k,) ndarray
        Common to all images.
    background : (images,) ndarray
        In ADU.
    noise : Noise
        Variance of the counts.
    """
    images, k = columns.shape[:2]
    gradient = np.zeros(k + images)
    observed, expected = np.zeros((2, k + images, k + images))
    slope, curvature, information = (
        np.empty(k + 1),
        np.empty((k + 1, k + 1)),
        np.empty((k + 1,) * 2),
    )
    likelihood, chi_square, pixels = 0.0, 0.0, 0
    for number in range(images):
        height, squares, counted = add_image(
            counts[number],
            good[number],
            columns[number],
            coefficients,
            float(background[number]),
            noise.gain,
            noise.floor,
            slope,
            curvature,
            information,
        )
        likelihood += height
        chi_square += squares
        pixels += counted
        own = k + number
        gradient[:k] += slope[:k]
        gradient[own] = slope[k]
        for total, matrix in ((observed, curvature), (expected, information)):
            total[:k, :k] += matrix[:k, :k]
            total[own, :k] = total[:k, own] = matrix[k, :k]
            total[own, own] = matrix[k, k]
    likelihood -= 0.5 * pixels * math.log(2.0 * math.pi)
    return Derivatives(likelihood, gradient, observed, expected, chi_square / max(pixels, 1))


def inverse(matrix: Floats) -> Floats:
    """Inverse of an information matrix; 0 for directions without information."""
    size = np.sqrt(np.abs(np.diag(matrix)))
    size[size == 0.0] = 1.0
    scaled = np.linalg.pinv(matrix / np.outer(size, size), rcond=1e-14, hermitian=True)
    return np.asarray(scaled / np.outer(size, size), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Point:
    """Coefficients and backgrounds, and the likelihood there."""

    coefficients: Floats
    background: Floats
    derivatives: Derivatives

    @property
    def log_likelihood(self) -> float:
        return self.derivatives.log_likelihood


def _climb(
    counts: Floats,
    good: Bools,
    columns: Floats,
    noise: Noise,
    start: tuple[Floats, Floats],
    prior: tuple[float, float] | None = None,
) -> _Point:
    """Coefficients and backgrounds of the maximum."""

    def at(coefficients: Floats, background: Floats) -> _Point:
        here = derivatives(counts, good, columns, coefficients, background, noise)
        if prior is not None:
            here = _with_prior(here, float(coefficients[0]), prior)
        return _Point(coefficients, background, here)

    def moved(point: _Point, step: Floats) -> _Point:
        k = len(point.coefficients)
        return at(point.coefficients + step[:k], point.background + step[k:])

    return climb(at(*start), lambda point: point.derivatives, moved, _CLIMB)[0]


def _with_prior(here: Derivatives, scale: float, prior: tuple[float, float]) -> Derivatives:
    middle, deviation = prior
    away = (scale - middle) / deviation
    gradient, observed, expected = (x.copy() for x in here[1:4])
    gradient[0] -= away / deviation
    observed[0, 0] += deviation**-2
    expected[0, 0] += deviation**-2
    likelihood = here.log_likelihood - 0.5 * away**2
    return Derivatives(likelihood, gradient, observed, expected, here.misfit)


def _start(counts: Floats, good: Bools, model: Floats, noise: Noise) -> tuple[Floats, Floats]:
    """Weighted least squares with the variance of the counts themselves."""
    weight = good / noise.variance(counts)
    total = weight.sum(axis=1)
    mean = (weight * counts).sum(axis=1) / total
    middle = (weight * model).sum(axis=1) / total
    contrast = model - middle[:, None]
    weighted = weight * contrast
    # No BLAS: its threads would wait for each other where several fits run side by side.
    scale = float((weighted * counts).sum()) / float((weighted * contrast).sum())
    return np.array([scale]), mean - scale * middle


def _flat(counts: Floats, good: Bools, noise: Noise) -> ScaleFit:
    """The fit of an even background alone."""
    mean = (counts * good).sum(axis=1) / good.sum(axis=1)
    nothing = np.zeros((len(counts), 0, counts.shape[1]))
    top = _climb(counts, good, nothing, noise, (np.zeros(0), mean))
    here = top.derivatives
    covariance = np.zeros((1 + len(counts), 1 + len(counts)))
    covariance[0, 0] = np.inf
    covariance[1:, 1:] = inverse(here.expected)
    return ScaleFit(0.0, top.background, here.log_likelihood, covariance, here.misfit)


def _as_images(images: ArrayLike) -> Floats:
    array = np.asarray(images, dtype=np.float64)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise ValueError(f"images must have two or three axes, not {array.ndim}")
    return array
