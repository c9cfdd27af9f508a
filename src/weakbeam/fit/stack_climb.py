"""The way up the likelihood of a stack: normal equations, frame by frame, and damped steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.fit.stack_data import StackData
from weakbeam.fit.stack_model import Columns, StackModel, State

_LEAST_GAIN = 0.5
_MOST_STEPS = 20
_FIRST_DAMPING = 1e-2
_ROUGH, _MOST_FAILURES = 10.0, 8
_ALIKE_PX = 4
_MOST_BYTES = 2**25
"""Derivatives that are held at a time."""

_BEFORE_HOPELESS, _OVER_PROMISED = 3, 3.0
"""Steps before a climb may be given up, and how much more than promised it may gain."""


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal equations of a stack at a state.

    Parameters
    ----------
    state : State
        Where.
    chi2 : float
        Sum of squares of the residuals over their variances.
    pixels : int
        How many residuals there are.
    matrix : (n, n) ndarray
        Fisher information of all parameters, that of the frames' brightness eliminated.
    gradient : (n,) ndarray
        Of the log-likelihood, the brightness of frames being the best.
    frame_matrix : (frames,) ndarray
        Information on the brightness of each frame, with its prior.
    frame_gradient : (frames,) ndarray
        Gradient along it.
    mixed : (frames, n) ndarray
        Information on it together with all parameters.
    log_prior : float
        Logarithm of the priors' density, up to a constant.
    scores : (n, pixels) ndarray, optional
        Share of every pixel in the gradient of the likelihood.
    """

    state: State
    chi2: float
    pixels: int
    matrix: Floats
    gradient: Floats
    frame_matrix: Floats
    frame_gradient: Floats
    mixed: Floats
    log_prior: float
    scores: Floats32 | None = None

    @property
    def height(self) -> float:
        """Log-likelihood times prior, up to a constant."""
        return -0.5 * self.chi2 + self.log_prior

    @property
    def reduced(self) -> float:
        """Mean of the squared residuals over their variances."""
        return self.chi2 / max(self.pixels, 1)


def normal_equations(
    model: StackModel,
    data: StackData,
    state: State,
    each: Callable[[Columns, Floats32, Floats32], None] | None = None,
    scored: bool = False,
) -> Normal:
    """Compare a stack with a state of the model, and take derivatives.

    Parameters
    ----------
    model : StackModel
        The model.
    data : StackData
        The stack.
    state : State
        The parameters.
    each : callable, optional
        Told every batch with its residuals and their weights (n, rows, columns).
    scored : bool
        Whether the scores of pixels are wanted.
    """
    known = model.nuisances
    n, frames = len(model.names(state)), len(data)
    matrix, gradient = np.zeros((n, n)), np.zeros(n)
    frame_matrix, frame_gradient = np.zeros(frames), np.zeros(frames)
    mixed = np.zeros((frames, n))
    background = np.tensordot(state.background, model.background_terms, 1).astype(np.float32)
    fixed = _FixedColumns(model)
    chi2, pixels = 0.0, 0
    loose = known.brightness > 0.0
    scores = np.zeros((n, data.good.size), np.float32) if scored else None
    for batch in model.batches(state):
        counts, variance, good = data.read(batch.numbers, known.model_error)
        weights = np.where(good, 1.0 / variance, 0.0).astype(np.float32)
        factor = (1.0 + state.brightness[batch.numbers]).astype(np.float32)[:, None, None]
        residual = counts - factor * batch.signal - background
        chi2 += float((residual * residual * weights).sum(dtype=np.float64))
        pixels += int(good.sum())
        root = np.sqrt(weights)
        rest = (root * residual).reshape(len(root), -1)
        own = (root * batch.signal).reshape(len(root), -1)
        # Several frames at once: one large product instead of many small ones.
        at_once = max(1, _MOST_BYTES // (4 * n * data.good.size))
        for start in range(0, len(root), at_once):
            some = slice(start, start + at_once)
            numbers = batch.numbers[some]
            jacobian = fixed.of(batch, some, factor[some])
            jacobian *= root[some].reshape(1, len(numbers), -1)
            flat = jacobian.reshape(n, -1)
            matrix += flat @ flat.T
            gradient += flat @ rest[some].ravel()
            if scores is not None:
                scores += (jacobian * rest[some]).sum(axis=1)
            if loose:
                mixed[numbers] = np.einsum("nfp,fp->fn", jacobian, own[some])
        if loose:
            frame_matrix[batch.numbers] = (own * own).sum(axis=1) + known.brightness**-2
            frame_gradient[batch.numbers] = (own * rest).sum(axis=1)
            frame_gradient[batch.numbers] -= state.brightness[batch.numbers] / known.brightness**2
        if each is not None:
            each(batch, residual, weights)
    log_prior = 0.0
    if loose:
        log_prior -= 0.5 * float(np.sum((state.brightness / known.brightness) ** 2))
        share = mixed / frame_matrix[:, None]
        matrix -= share.T @ mixed
        gradient -= share.T @ frame_gradient
    values, widths = model.prior(state)
    matrix += np.diag(widths**-2.0)
    gradient -= values / widths**2
    log_prior -= 0.5 * float(np.sum((values / widths) ** 2))
    return Normal(
        state,
        chi2,
        pixels,
        matrix,
        gradient,
        frame_matrix,
        frame_gradient,
        mixed,
        log_prior,
        scores,
    )


class _FixedColumns:
    """Derivatives of a frame by all parameters, made of those that a batch has."""

    def __init__(self, model: StackModel) -> None:
        self._model = model
        self._per_motor = model.per_motor.astype(np.float32)
        self._lattice = model.lattice.astype(np.float32)
        self._terms = model.terms.reshape(len(model.terms), -1).astype(np.float32)
        self._light = model.light_terms.reshape(len(model.light_terms), -1).astype(np.float32)
        self._background = model.background_terms.reshape(len(model.background_terms), -1).astype(
            np.float32
        )

    def of(self, batch: Columns, some: slice, factor: Floats32) -> Floats32:
        """(parameters, frames, pixels) of some frames of a batch, of these brightnesses."""
        model = self._model
        slopes, plain = factor * batch.slopes[:, some], factor * batch.plain[some]
        frames = plain.shape[0]
        slopes, plain = slopes.reshape(len(slopes), frames, -1), plain.reshape(frames, -1)
        by_q = slopes[:3].reshape(3, -1)
        columns = [(self._per_motor @ by_q).reshape(-1, *plain.shape)]
        lattice = (self._lattice @ by_q).reshape(-1, *plain.shape)
        columns += [self._terms[:, None] * lattice[c] for c in model.components]
        if model.blurs:
            curved = np.float32(0.5) * factor * _laplacian(batch.signal[some])
            columns.append(curved.reshape(1, *plain.shape))
        background = np.broadcast_to(
            self._background[:, None], (len(self._background), *plain.shape)
        )
        columns += [self._light[:, None] * plain, background, slopes[3:]]
        return np.concatenate(columns)


def _laplacian(images: Floats32) -> Floats32:
    """Sum of second differences along rows and columns, images mirrored at their edges."""
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
    return np.asarray(around - np.float32(4.0) * images, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """How far a climb has come.

    Parameters
    ----------
    here : Normal
        The highest point so far.
    origin : State
        Where the samples were chosen that are held.
    damping : float
        Of the next step.
    failures, number : int
        Steps in a row that have led down; evaluations of the stack.
    done, converged : bool
        Whether the climb has ended, and at a summit.
    """

    here: Normal
    origin: State
    damping: float = 0.0
    failures: int = 0
    number: int = 0
    done: bool = False
    converged: bool = False


class Record(Protocol):
    """Where a climb is kept, so that it can be carried on."""

    def kept(self) -> Checkpoint | None:
        """How far it has come, if it has begun."""

    def keep(self, point: Checkpoint) -> None:
        """Keep how far it has come."""


def climb_stack(
    model: StackModel,
    data: StackData,
    state: State,
    *,
    least_gain: float = _LEAST_GAIN,
    most_steps: int = _MOST_STEPS,
    to_beat: float = -math.inf,
    around: bool = True,
    tell: Callable[[int, Normal], None] | None = None,
    record: Record | None = None,
) -> tuple[Normal, bool]:
    """Climb from a state to the summit nearby.

    Parameters
    ----------
    model : StackModel
        The model.
    data : StackData
        The stack.
    state : State
        Where to begin.
    least_gain : float
        The climb has converged when a step promises less, or gains less, in units of the misfit.
    most_steps : int
        Most evaluations of the stack.
    to_beat : float
        A height; the climb ends where it does not promise to come near it.
    around : bool
        As of :meth:`weakbeam.fit.stack_model.StackModel.held`.
    tell : callable, optional
        Told the number of each step and where it has led.
    record : Record, optional
        Keeps every step; a climb that it has begun is carried on.

    Returns
    -------
    summit : Normal
        The highest point.
    converged : bool
        Whether nothing more was promised there.
    """
    point = record.kept() if record is not None else None
    if point is not None and point.done:
        return point.here, point.converged
    held = model.held(state if point is None else point.origin, around)
    if point is None:
        point = Checkpoint(normal_equations(held, data, state), state)
        if record is not None:
            record.keep(point)
    if tell is not None:
        tell(point.number, point.here)
    while not point.done:
        before, point = point, _stepped(model, held, data, point, least_gain, to_beat, most_steps)
        if tell is not None and point.number > before.number:
            tell(point.number, point.here)
        if not point.done and model.is_far(point.here.state, point.origin):
            held = model.held(point.here.state, around)
            here = normal_equations(held, data, point.here.state)
            point = replace(point, here=here, origin=here.state)
        if record is not None:
            record.keep(point)
    return point.here, point.converged


def _stepped(
    model: StackModel,
    held: StackModel,
    data: StackData,
    point: Checkpoint,
    least_gain: float,
    to_beat: float,
    most_steps: int,
) -> Checkpoint:
    """One step more, if any is worth it."""
    here, damping = point.here, point.damping
    number = point.number + 1
    if number >= most_steps:
        return replace(point, done=True)
    # What the model does not explain makes the likelihood steeper than it should be.
    scale = max(1.0, here.reduced)
    step, brightness, promised = solved(here, damping)
    if promised < least_gain * scale:
        return replace(point, done=True, converged=True)
    if number > _BEFORE_HOPELESS and here.height + _OVER_PROMISED * promised < to_beat:
        return replace(point, done=True)
    longest = model.longest(here.state)
    shrink = max(1.0, float((np.abs(step) / longest).max()))
    tried = normal_equations(
        held, data, model.moved(here.state, step / shrink, brightness / shrink)
    )
    gained = tried.height - here.height
    if gained > 0.0:
        damping = damping / 10.0 if damping > 1e-4 else 0.0
        end = gained < least_gain * scale and shrink == 1.0
        return Checkpoint(tried, point.origin, damping, 0, number, end, end)
    failed = replace(point, number=number, failures=point.failures + 1)
    # Images are rough by the samples near cores.
    if promised < _ROUGH * least_gain * scale or math.isnan(gained):
        return replace(failed, done=True, converged=not math.isnan(gained))
    if failed.failures == _MOST_FAILURES:
        return replace(failed, done=True, converged=promised < _ROUGH**2 * least_gain * scale)
    return replace(failed, damping=max(10.0 * damping, _FIRST_DAMPING))


def solved(here: Normal, damping: float = 0.0) -> tuple[Floats, Floats, float]:
    """Step of all parameters, that of the frames' brightness, and what it promises to gain."""
    size = np.sqrt(np.maximum(np.diag(here.matrix), 1e-300))
    scaled = here.matrix / np.outer(size, size) + damping * np.eye(len(size))
    step = np.linalg.lstsq(scaled, here.gradient / size, rcond=1e-10)[0] / size
    brightness = np.zeros(len(here.frame_matrix))
    some = here.frame_matrix > 0.0
    rest = here.frame_gradient[some] - here.mixed[some] @ step
    brightness[some] = rest / here.frame_matrix[some]
    promised = 0.5 * float(here.gradient @ step)
    promised += 0.5 * float(np.sum(here.frame_gradient[some] ** 2 / here.frame_matrix[some]))
    return np.asarray(step), brightness, promised


def moved_by_samples(model: StackModel, data: StackData, here: Normal) -> Floats:
    """How far parameters move if averages over pixels are half as accurate.

    Samples near a line are alike along all of it, and so are the errors that they leave, which
    residuals do not tell: the fit has taken them in.
    """
    rougher = model.rougher()
    if rougher is None:
        return np.zeros(len(here.gradient))
    change = normal_equations(rougher, data, here.state).gradient - here.gradient
    return np.asarray(covariance_of(here) @ change)


def honest_covariance(here: Normal, shape: tuple[int, int], least: Floats | float = 0.0) -> Floats:
    r"""Covariance of the parameters, with what the model does not explain.

    Parameters
    ----------
    here : Normal
        With scores.
    shape : (int, int)
        Rows and columns.
    least : (n,) ndarray
        Errors that the model is known to make, added to the others.

    Notes
    -----
    Where a model is slightly wrong its residuals are alike in neighbouring pixels and in all
    frames, and do not average out as noise does. With the sums g of the scores over squares of 4 x
    4 pixels the errors are those of :math:`F^{-1} (\sum g g^T) F^{-1}` (the sandwich estimator of
    P. J. Huber, Proc. 5th Berkeley Symp. 1, 1967, 221), where these are larger than those of
    :math:`F^{-1}` times the misfit; correlations are those of the latter.
    """
    covariance = covariance_of(here) * max(1.0, here.reduced)
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    if here.scores is None:
        grown = np.hypot(1.0, least / size)
        return np.asarray(covariance * np.outer(grown, grown))
    rows, columns = (-(-size // _ALIKE_PX) * _ALIKE_PX for size in shape)
    whole = np.zeros((len(here.scores), rows, columns))
    whole[:, : shape[0], : shape[1]] = here.scores.reshape(-1, *shape)
    parts = whole.reshape(len(whole), rows // _ALIKE_PX, _ALIKE_PX, columns // _ALIKE_PX, _ALIKE_PX)
    sums = parts.sum(axis=(2, 4)).reshape(len(whole), -1)
    moved = covariance_of(here) @ sums
    grown = np.hypot(np.maximum(1.0, np.sqrt((moved**2).sum(axis=1)) / size), least / size)
    return np.asarray(covariance * np.outer(grown, grown))


def covariance_of(here: Normal) -> Floats:
    """Covariance of the parameters by the Fisher information and the priors."""
    size = np.sqrt(np.maximum(np.diag(here.matrix), 1e-300))
    scaled = here.matrix / np.outer(size, size)
    return np.asarray(np.linalg.pinv(scaled, rcond=1e-12, hermitian=True) / np.outer(size, size))


def common_scale(*tried: Normal) -> float:
    """The least misfit of some fits, or 1: by it all of them are compared."""
    return max(1.0, min(one.reduced for one in tried))
