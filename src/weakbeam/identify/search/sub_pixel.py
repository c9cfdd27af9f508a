"""Images of a library moved by fractions of a pixel to where they explain an observation best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.fit.likelihood import (
    Derivatives,
    ScaleFit,
    derivatives,
    fit_scale,
    inverse,
    newton_step,
)
from weakbeam.fit.observation import Bools, Noise

Shape = tuple[int, int]

_STEPS = 10
_CONVERGED = 1e-3
"""The fit ends when a step is expected to add less than this to the log-likelihood."""

_HALVINGS = 6
_LONGEST = 0.7
"""Longest step (pixels): the model is not linear in the shift."""

_REACH = 1.5
"""The fit stays within this many pixels of its start: its pixels are chosen for that range."""

_HELD = 1e12
"""By how much a shift at its bound is stiffer, so that the other parameters move without it."""

_SUPPORT = 2
"""Pixels to either side that a moved image is made of."""

_MARGIN = 2
"""Frame of a model that is not used: there it depends most on how it goes on outside."""

_FRAME = 12
"""Width of the frame by which a model is continued before its spline is made."""


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


def overlap(
    image_shape: Shape, model_shape: Shape, shift: Sequence[int], margin: int = _MARGIN
) -> Bools:
    """Pixels of an image that a moved model covers.

    Parameters
    ----------
    image_shape, model_shape : (int, int)
        Rows and columns; the middles lie on each other at shift 0.
    shift : (int, int)
        Rows and columns by which the model is moved.
    margin : int
        Width of the model's frame that is not used.

    Returns
    -------
    (rows, columns) ndarray of bool
    """
    covered = np.zeros(image_shape, np.bool_)
    spans = [
        slice(max(first + margin, 0), max(first + length - margin, 0))
        for first, length in zip(_corner(image_shape, model_shape, shift), model_shape, strict=True)
    ]
    covered[spans[0], spans[1]] = True
    return covered


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
        Pixels to compare, all of them covered by the model near the start; see :func:`overlap`.
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
    moved = _Moved(np.asarray(model, dtype=np.float64), counts.shape, pixels)
    data = moved.cut(counts)
    rows = np.ascontiguousarray(data.reshape(len(data), -1))
    good_rows = moved.good.reshape(len(data), -1)
    flat = fit_scale(data, np.zeros(moved.shape), noise, moved.good)
    begin = np.asarray(start, dtype=np.float64)
    shift, free = begin, max_shift > 0.0
    low, high = np.maximum(begin - _REACH, -max_shift), np.minimum(begin + _REACH, max_shift)
    light, slopes = moved.at(shift)
    fit = fit_scale(data, light, noise, moved.good)
    state = _State(fit.scale, fit.background)

    def at(state: _State, light: Floats, slopes: tuple[Floats, ...]) -> Derivatives:
        columns = np.stack([light, *(state.scale * slope for slope in slopes)], axis=1)
        factors = np.array([state.scale, 0.0, 0.0])
        stack = columns.reshape(len(data), 3, -1)
        return derivatives(rows, good_rows, stack, factors, state.background, noise)

    here = at(state, light, slopes)
    for _ in range(_STEPS if free and fit.scale > 0.0 else 0):
        outward = here.gradient[1:3]
        held = ((shift <= low) & (outward < 0.0)) | ((shift >= high) & (outward > 0.0))
        step = newton_step(_within(here, max_shift, held))
        if float(step @ here.gradient) < _CONVERGED:
            break
        step *= min(1.0, _LONGEST / max(float(np.abs(step[1:3]).max()), 1e-12))
        for _ in range(_HALVINGS):
            place = np.clip(shift + step[1:3], low, high)
            tried = _State(state.scale + float(step[0]), state.background + step[3:])
            image = moved.at(place)
            there = at(tried, *image)
            if there.log_likelihood > here.log_likelihood and tried.scale > 0.0:
                break
            step = 0.5 * step
        else:
            break
        shift, state, (light, slopes), here = place, tried, image, there
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
        fit = ScaleFit(state.scale, state.background, likelihood, inverse(rest), misfit)
    gain = fit.log_likelihood - flat.log_likelihood
    covariance = np.asarray(
        np.linalg.inv(fisher + 2.0 * math.pi / area * np.eye(2)), dtype=np.float64
    )
    log_volume = math.log(2.0 * math.pi) + 0.5 * math.log(float(np.linalg.det(covariance)))
    return SubPixelFit(shift, covariance, fit, gain, gain + log_volume - math.log(area))


def moved_image(model: ArrayLike, shape: Shape, shift: ArrayLike) -> Floats:
    """A model's images moved by a fraction of a pixel, NaN where it does not reach.

    Parameters
    ----------
    model : (conditions, rows', columns') array_like
        Its images.
    shape : (int, int)
        Rows and columns of the result.
    shift : (2,) array_like
        Rows and columns by which it is moved.

    Returns
    -------
    (conditions, rows, columns) ndarray
    """
    light = np.asarray(model, dtype=np.float64)
    whole = np.floor(np.asarray(shift)).astype(int)
    covered = overlap(shape, (light.shape[1], light.shape[2]), (int(whole[0]), int(whole[1])))
    result = np.full((len(light), *shape), np.nan)
    if not covered.any():
        return result
    pixels = np.broadcast_to(covered, result.shape)
    moved = _Moved(light, result.shape, pixels)
    result[:, moved.rows, moved.columns] = np.where(moved.good, moved.at(shift)[0], np.nan)
    return result


@dataclass(frozen=True, eq=False)
class _State:
    scale: float
    background: Floats


class _Moved:
    """A model's spline, evaluated on the pixels that count and those between them."""

    def __init__(self, model: Floats, image_shape: tuple[int, ...], good: Bools) -> None:
        whole: Bools = np.asarray(good.any(axis=0))
        rows: Bools = np.asarray(whole.any(axis=1))
        columns: Bools = np.asarray(whole.any(axis=0))
        if not rows.any():
            raise ValueError("image and model share no pixel that counts")
        self.rows = slice(int(np.argmax(rows)), len(rows) - int(np.argmax(rows[::-1])))
        self.columns = slice(int(np.argmax(columns)), len(columns) - int(np.argmax(columns[::-1])))
        self.good: Bools = np.ascontiguousarray(good[:, self.rows, self.columns])
        self.shape = self.good.shape
        self._corner = _corner(
            (image_shape[1], image_shape[2]), (model.shape[1], model.shape[2]), (0, 0)
        )
        self._pad = _FRAME
        self._coefficients = np.stack([_spline(image) for image in model])

    def cut(self, values: Floats) -> Floats:
        """The part of images of the observation that is compared."""
        return values[:, self.rows, self.columns]

    def at(self, shift: ArrayLike) -> tuple[Floats, tuple[Floats, Floats]]:
        """The moved model and its derivatives with respect to the shift."""
        whole = np.floor(np.asarray(shift)).astype(int)
        first = [
            span.start - corner - int(n) + self._pad
            for span, corner, n in zip((self.rows, self.columns), self._corner, whole, strict=True)
        ]
        fraction = np.asarray(shift, dtype=np.float64) - whole
        tall, wide = self.shape[1:]
        across, along = _weights(float(fraction[0])), _weights(float(fraction[1]))
        value, slope = (
            sum(
                w * self._coefficients[:, first[0] + j : first[0] + j + tall]
                for j, w in zip(range(-2, 2), weights, strict=True)
            )
            for weights in across
        )

        def columns(values: Floats, weights: Floats) -> Floats:
            total = sum(
                w * values[:, :, first[1] + j : first[1] + j + wide]
                for j, w in zip(range(-2, 2), weights, strict=True)
            )
            return np.asarray(total)

        light = columns(np.asarray(value), along[0])
        slopes = columns(np.asarray(slope), along[0]), columns(np.asarray(value), along[1])
        return light, slopes


def _spline(image: Floats) -> Floats:
    """Coefficients of the cubic spline through an image that goes on straight beyond its edges."""
    framed = np.pad(image, _FRAME, mode="reflect", reflect_type="odd")
    return np.asarray(scipy.ndimage.spline_filter(framed, order=3))


def _corner(image_shape: Shape, model_shape: Shape, shift: Sequence[int]) -> tuple[int, int]:
    """Pixel of the image on which the model's first pixel lies."""
    rows, columns = (
        (image - model) // 2 + int(moved)
        for image, model, moved in zip(image_shape, model_shape, shift, strict=True)
    )
    return rows, columns


def _weights(fraction: float) -> tuple[Floats, Floats]:
    """Cubic B-spline and its derivative by the shift, at the distances of the nearest four."""
    distance = fraction + np.arange(-2.0, 2.0)
    near, size = np.abs(distance) < 1.0, np.abs(distance)
    value = np.where(near, 2.0 / 3.0 - size**2 + 0.5 * size**3, (2.0 - size) ** 3 / 6.0)
    slope = np.where(near, -2.0 * size + 1.5 * size**2, -0.5 * (2.0 - size) ** 2)
    return value, np.sign(distance) * slope


def _within(found: Derivatives, max_shift: float, held: Bools) -> Derivatives:
    """Bound the steps of shifts that the images do not determine, and hold those at a bound."""
    observed, expected = found.observed.copy(), found.expected.copy()
    for matrix in (observed, expected):
        size = np.maximum(np.abs(matrix[[1, 2], [1, 2]]), 1.0 / max_shift**2)
        matrix[[1, 2], [1, 2]] += np.where(held, _HELD * size, 3.0 / max_shift**2)
    return found._replace(observed=observed, expected=expected)
