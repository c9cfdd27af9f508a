"""Images of a library moved by fractions of a pixel to where they explain an observation best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.fit.ascent import ClimbOptions, climb
from weakbeam.fit.likelihood import Derivatives, ScaleFit, derivatives, fit_scale, inverse
from weakbeam.fit.observation import Bools, Noise
from weakbeam.identify.search.moving import MovedModel

_CLIMB = ClimbOptions(least_gain=5e-4, most_steps=10, most_trials=6)
_LONGEST = 0.7
"""Longest step (pixels): the model is not linear in the shift."""

_REACH = 1.5
"""The fit stays within this many pixels of its start: its pixels are chosen for that range."""

_HELD = 1e12
"""By how much a shift at its bound is stiffer, so that the other parameters move without it."""


@dataclass(frozen=True, eq=False)
class SubPixelFit:
    """A member of a library at its best place.

    Parameters
    ----------
    shift : (2,) ndarray
        Rows and columns by which it is moved, its middle lying on that of the image at 0.
    shift_covariance : (2, 2) ndarray
        Of the shift (pixels²), scale and background being free; within the bounds of the search.
    fit : ScaleFit
        Brightness, background and likelihood there, over the pixels that were compared.
    gain : float
        Log-likelihood above that of an even background over the same pixels.
    log_evidence : float
        `gain`, averaged over the shifts of the search by Laplace's method.
    raised : float
        Factor by which `gain` was raised for pixels that the model does not cover.
    """

    shift: Floats
    shift_covariance: Floats
    fit: ScaleFit
    gain: float
    log_evidence: float
    raised: float = 1.0


def fit_shift(
    images: ArrayLike,
    model: ArrayLike,
    noise: Noise,
    good: ArrayLike,
    start: Sequence[int],
    max_shift: float,
) -> SubPixelFit:
    r"""Fit shift, brightness and background of a model to images.

    Parameters
    ----------
    images : (conditions, rows, columns) array_like
        Counts above dark (ADU).
    model : (conditions, rows', columns') array_like
        Its images, of any unit.
    noise : Noise
        Variance of the counts.
    good : (conditions, rows, columns) array_like of bool
        Pixels to compare, all of them covered by the model near the start; see
        :func:`~weakbeam.identify.search.moving.overlap`.
    start : (int, int)
        Shift to start from, within the bound; the best one is sought within 1.5 pixels of it.
    max_shift : float
        Bound of the search (pixels), which the fit keeps to: the prior of the shift is even within
        it. No shift is fitted if it is 0.

    Returns
    -------
    SubPixelFit

    Notes
    -----
    The model between its pixels is a cubic spline; its derivatives come from the same spline, and
    Newton steps with the expected second derivatives lead to the maximum. The evidence is
    :math:`\ln L + \tfrac12 \ln\det 2\pi (F + P)^{-1} - \ln 4M^2` with the Fisher matrix F of the
    shift and :math:`P = 2\pi/4M^2`, which limits shifts that the images do not determine.
    """
    counts, pixels = np.asarray(images, dtype=np.float64), np.asarray(good, dtype=np.bool_)
    shape = (counts.shape[1], counts.shape[2])
    moved = MovedModel(np.asarray(model, dtype=np.float64), shape, pixels)
    data = moved.cut(counts)
    rows = np.ascontiguousarray(data.reshape(len(data), -1))
    good_rows = moved.good.reshape(len(data), -1)
    flat = fit_scale(data, np.zeros(moved.shape), noise, moved.good)
    begin, free = np.asarray(start, dtype=np.float64), max_shift > 0.0
    low, high = np.maximum(begin - _REACH, -max_shift), np.minimum(begin + _REACH, max_shift)

    def at(shift: Floats, scale: float, background: Floats) -> _Point:
        light, slopes = moved.at(shift)
        columns = np.stack([light, *(scale * slope for slope in slopes)], axis=1)
        factors = np.array([scale, 0.0, 0.0])
        here = derivatives(
            rows, good_rows, columns.reshape(len(data), 3, -1), factors, background, noise
        )
        return _Point(shift, scale, background, here, here.log_likelihood)

    def slopes_of(point: _Point) -> Derivatives:
        outward = point.derivatives.gradient[1:3]
        held = ((point.shift <= low) & (outward < 0.0)) | ((point.shift >= high) & (outward > 0.0))
        return _within(point.derivatives, max_shift, held)

    def stepped(point: _Point, step: Floats) -> _Point:
        scale = point.scale + float(step[0])
        if scale <= 0.0:
            return replace(point, log_likelihood=-math.inf)
        return at(np.clip(point.shift + step[1:3], low, high), scale, point.background + step[3:])

    fit = fit_scale(data, moved.at(begin)[0], noise, moved.good)
    top = at(begin, fit.scale, fit.background)
    if free and fit.scale > 0.0:
        longest = np.full(3 + len(data), np.inf)
        longest[1:3] = _LONGEST
        top = climb(top, slopes_of, stepped, _CLIMB, longest)[0]
    shift, here = top.shift, top.derivatives
    if not free:
        gain = fit.log_likelihood - flat.log_likelihood
        return SubPixelFit(shift, np.zeros((2, 2)), fit, gain, gain)
    area = 4.0 * max_shift**2
    information = here.expected
    mixed = information[1:3][:, [0, *range(3, len(information))]]
    rest = np.delete(np.delete(information, [1, 2], axis=0), [1, 2], axis=1)
    fisher = information[1:3, 1:3] - mixed @ inverse(rest) @ mixed.T
    if fit.scale > 0.0:
        likelihood, misfit = here.log_likelihood, here.misfit
        fit = ScaleFit(top.scale, top.background, likelihood, inverse(rest), misfit)
    gain = fit.log_likelihood - flat.log_likelihood
    covariance = np.asarray(
        np.linalg.inv(fisher + 2.0 * math.pi / area * np.eye(2)), dtype=np.float64
    )
    log_volume = math.log(2.0 * math.pi) + 0.5 * math.log(float(np.linalg.det(covariance)))
    return SubPixelFit(shift, covariance, fit, gain, gain + log_volume - math.log(area))


@dataclass(frozen=True, eq=False)
class _Point:
    """Shift, brightness and background, and the likelihood there."""

    shift: Floats
    scale: float
    background: Floats
    derivatives: Derivatives
    log_likelihood: float


def _within(here: Derivatives, max_shift: float, held: Bools) -> Derivatives:
    """Bound the steps of shifts that the images do not determine, and hold those at a bound."""
    observed, expected = here.observed.copy(), here.expected.copy()
    for matrix in (observed, expected):
        size = np.maximum(np.abs(matrix[[1, 2], [1, 2]]), 1.0 / max_shift**2)
        matrix[[1, 2], [1, 2]] += np.where(held, _HELD * size, 3.0 / max_shift**2)
    return here._replace(observed=observed, expected=expected)
