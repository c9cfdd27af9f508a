"""The way up a likelihood of position and character, to its highest point nearby."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import scipy.ndimage

from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.types import DislocationType
from weakbeam.fit.likelihood import fit_scale
from weakbeam.fit.line_place import LinePlace
from weakbeam.fit.observation import Observation
from weakbeam.run.render import Renderer

_CONVERGED = 4e-3
"""The climb ends when a step adds less than this to the log-likelihood, or would."""

_SCOUTED_ACROSS = (-0.03, 0.0, 0.03)
_SCOUTED_DEPTHS = (-0.05, 0.0, 0.05)
"""Places around its start (µm) from which the climb of a line in the sheet may begin."""

_MOST_SUMMITS = 2
"""From so many of those at most that are higher than all next to them."""

_MOST_ROUNDS = 40
_MOST_STEPS = 10
_MOST_TRIALS = 5
"""Most sets of derivatives, most steps with one set, and most attempts at a step."""

_LITTLE = 0.1
"""A step that promises less than this is tried once: it is shorter than half an error."""

_FAR = 0.4
"""Derivatives are taken again where the climb has gone more than this share of the longest step,"""

_KEPT = 0.3
"""and where a step gains less than this share of what they promised."""

_NEAR = 2.0
"""A round that gains less than this has come within a few standard deviations of the summit."""

_REACH = 6.0
_LONGEST_REACH = 0.5
"""Derivatives near the summit are taken over so many standard deviations to either side, and over
no more than this share of the longest step."""

_ALIKE = 2.0
"""Variances that change by less than this factor count as the same."""

_HIGHER = 0.1
"""The climb goes on from where, on the way to derivatives, the log-likelihood is higher by this."""

_CHARACTER_STEP = 0.2
_LONGEST_TURN = 5.0
"""Steps of the character (degrees): that of its derivative, and the longest of the climb."""


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


@dataclass(frozen=True, eq=False)
class _State:
    """A point of the search: parameters, images of the model and the best brightness."""

    x: Floats
    model: Floats
    fit: Brightness


@dataclass(frozen=True, eq=False)
class Summit:
    """Where a climb has ended.

    Parameters
    ----------
    x : (3,) ndarray
        Both coordinates of the place, and the character (degrees).
    model : (conditions, rows, columns) ndarray
        Relative intensity there.
    fit : Brightness
        The best scales and backgrounds there.
    fisher : (n, n) ndarray
        Fisher matrix of the free ones of x, the scales and the backgrounds.
    converged : bool
        Whether the climb reached its end.
    """

    x: Floats
    model: Floats
    fit: Brightness
    fisher: Floats
    converged: bool


class Ascent:
    """The search for the maximum of one likelihood by Newton's method with expected curvatures.

    Parameters
    ----------
    observation : Observation
        The images.
    renderer : Renderer
        Computes images under the same conditions.
    type : DislocationType
        What is fitted.
    place : LinePlace
        Its coordinates. With the character they are the parameters x.
    free : sequence of str
        Which of them may change: ``"position"``, ``"character"``.
    """

    def __init__(
        self,
        observation: Observation,
        renderer: Renderer,
        type: DislocationType,
        place: LinePlace,
        free: Sequence[str],
    ) -> None:
        self.observation, self.renderer = observation, renderer
        self.type, self.place = type, place
        moving = ([0, 1] if "position" in free else []) + ([2] if "character" in free else [])
        self.moving = np.array(moving, dtype=np.intp)
        self.small = np.array([*place.small_steps, _CHARACTER_STEP])
        self.longest = np.array([*place.longest_steps, _LONGEST_TURN])
        reflections = [condition.reflection for condition in renderer.conditions]
        self._of = np.unique(reflections, return_inverse=True)[1]
        self.renderings = 0
        self._fixed: StraightLines | None = None

    def summits(self, x: Floats, scout: bool = True) -> list[Summit]:
        """Climb from `x`; for a line in the sheet from the best places around, if asked.

        Such a line along the pixels is sampled at few distances, and the likelihood may have
        several maxima.
        """
        if not (scout and self.place.in_sheet and 0 in self.moving):
            return [self._climb(self._state(x, self._render([x])[0]))]
        grid = list(product(_SCOUTED_ACROSS, _SCOUTED_DEPTHS))
        points = [x + np.array([*step, 0.0]) for step in grid]
        images = self._render(points)
        states = [self._state(x, image) for x, image in zip(points, images, strict=True)]
        height = np.array([state.fit.log_likelihood for state in states])
        shape = (len(_SCOUTED_ACROSS), len(_SCOUTED_DEPTHS))
        around = scipy.ndimage.maximum_filter(height.reshape(shape), 3, mode="nearest").ravel()
        tops = [int(k) for k in np.argsort(-height, kind="stable") if height[k] == around[k]]
        return [self._climb(states[k]) for k in tops[:_MOST_SUMMITS]]

    def _climb(self, state: _State) -> Summit:
        """Climb to the summit above a state."""
        slopes, converged = self._slopes(state), self.moving.size == 0
        near = alike = False
        for _ in range(_MOST_ROUNDS if self.moving.size else 0):
            start, (state, stopped) = state, self._walked(state, slopes)
            gained = state.fit.log_likelihood - start.fit.log_likelihood
            if gained > _NEAR:
                near = alike = False
                slopes = self._slopes(state)
                continue
            # Where the likelihood is rough, derivatives may promise what no step finds.
            stuck, near, former = near and gained < _CONVERGED, True, slopes
            converged = alike and (stopped or stuck)
            if converged:
                break
            higher, slopes = self._around(state, former)
            alike = self._alike(self._information(state, former), self._information(state, slopes))
            if higher.fit.log_likelihood > state.fit.log_likelihood + _HIGHER:
                state = higher
            elif alike and stuck:
                converged = True
                break
        _, fisher = self._score(state, slopes)
        return Summit(state.x, state.model, state.fit, fisher, converged)

    def _walked(self, state: _State, slopes: Floats) -> tuple[_State, bool]:
        """Newton steps that never lower the likelihood, and whether nothing more is promised."""
        origin, damping = state.x, 0.0
        for _ in range(_MOST_STEPS):
            gradient, fisher = self._score(state, slopes)
            rest = 0.5 * float(gradient @ _solve(fisher, gradient, 0.0))
            if rest < _CONVERGED:
                return state, True
            for _ in range(_MOST_TRIALS if rest > _LITTLE else 1):
                step = _solve(fisher, gradient, damping)
                share = np.abs(step[: self.moving.size]) / self.longest[self.moving]
                step /= max(1.0, float(share.max()))
                x = state.x.copy()
                x[self.moving] += step[: self.moving.size]
                tried = self._state(x, self._render([x])[0])
                climbed = tried.fit.log_likelihood - state.fit.log_likelihood
                if climbed > 0.0:
                    state, damping = tried, 0.1 * damping
                    break
                damping = max(10.0 * damping, 1e-2)
            promised = float(step @ gradient - 0.5 * step @ fisher @ step)
            if climbed < _KEPT * promised or self._far(state.x - origin, _FAR):
                break
        return state, False

    def _around(self, state: _State, slopes: Floats) -> tuple[_State, Floats]:
        """The highest of some states around, and derivatives from the differences between them.

        The states lie some standard deviations to either side along the axes of the error
        ellipsoid. Pixels and samples along rays cross the core of a line one after the other, so
        that the images change in small jumps. Over shorter steps these would pass for slopes, and
        make errors along a ridge of the likelihood too small.
        """
        longest = self.longest[self.moving]
        values, axes = np.linalg.eigh(self._information(state, slopes))
        reaches = np.minimum(_REACH / np.sqrt(np.maximum(values, 1e-12)), _LONGEST_REACH)
        points = []
        for reach, axis in zip(reaches, axes.T, strict=True):
            for side in (-reach, reach):
                x = state.x.copy()
                x[self.moving] += side * axis * longest
                points.append(x)
        images = self._render(points)
        states = [self._state(x, image) for x, image in zip(points, images, strict=True)]
        low, high = np.array(images[::2]), np.array(images[1::2])
        along = (high - low) / (2.0 * reaches[:, None, None, None])
        slopes = np.tensordot(axes / longest[:, None], along, axes=1)
        return max(states, key=lambda state: state.fit.log_likelihood), slopes

    def _information(self, state: _State, slopes: Floats) -> Floats:
        """Fisher matrix of what moves, in longest steps; scale and backgrounds being free."""
        count, longest = self.moving.size, self.longest[self.moving]
        _, fisher = self._score(state, slopes)
        mixed, rest = fisher[:count, count:], fisher[count:, count:]
        own = fisher[:count, :count] - mixed @ np.linalg.pinv(rest, hermitian=True) @ mixed.T
        return np.asarray(own * np.outer(longest, longest))

    def _alike(self, one: Floats, other: Floats) -> bool:
        """Whether two Fisher matrices state the same errors, below the longest step."""
        least = (_REACH / _LONGEST_REACH) ** 2 * np.eye(len(one))
        ratios = np.linalg.eigvals(np.linalg.solve(one + least, other + least)).real
        return bool(np.all((ratios < _ALIKE) & (ratios > 1.0 / _ALIKE)))

    def _far(self, way: Floats, share: float) -> bool:
        return bool(np.any(np.abs(way) > share * self.longest))

    def _render(self, many: Sequence[Floats]) -> list[Floats]:
        self.renderings += len(many)
        images = self.renderer.images(self.line(x) for x in many)
        return [np.asarray(image, dtype=np.float64) for image in images]

    def line(self, x: Floats) -> StraightLines:
        """The dislocation at some parameters."""
        system, position = (self.type.plane, self.type.burgers), self.place.position(x[:2])
        if 2 in self.moving:
            return self.renderer.lines_of(*system, float(x[2]), position)
        if self._fixed is None:
            self._fixed = self.renderer.lines_of(*system, float(x[2]))
        return replace(self._fixed, positions=position[None])

    def _state(self, x: Floats, model: Floats) -> _State:
        return _State(x, model, Brightness.best(self.observation, model, self._of))

    def _slopes(self, state: _State) -> Floats:
        """Derivatives of the model's images, (moving, conditions, rows, columns)."""
        points = []
        for k in self.moving:
            x = state.x.copy()
            x[k] += self.small[k]
            points.append(x)
        found = [
            (image - state.model) / self.small[k]
            for k, image in zip(self.moving, self._render(points), strict=True)
        ]
        return np.array(found).reshape(self.moving.size, *state.model.shape)

    def _score(self, state: _State, slopes: Floats) -> tuple[Floats, Floats]:
        """Gradient and Fisher matrix in the moving parameters, the scales and the backgrounds."""
        o, fit = self.observation, state.fit
        signal = fit.signal(state.model)
        variance = o.noise.variance(signal)
        slope = np.where(signal > 0.0, o.noise.gain, 0.0) / variance
        residual = o.images - signal
        weight = np.where(o.good, 1.0 / variance + 0.5 * slope**2, 0.0)
        first = residual / variance + 0.5 * slope * (residual**2 / variance - 1.0)
        first = np.where(o.good, first, 0.0)
        own = np.arange(len(fit.scales))[:, None] == self._of
        scaled = fit.scales[self._of][:, None, None] * slopes
        shared = np.concatenate([scaled, own[..., None, None] * state.model])
        flat, common, images = shared.reshape(len(shared), -1), len(shared), len(o)
        size = common + images
        fisher, gradient = np.zeros((size, size)), np.zeros(size)
        fisher[:common, :common] = (flat * weight.ravel()) @ flat.T
        cross = np.einsum("kcij,cij->kc", shared, weight)
        fisher[:common, common:], fisher[common:, :common] = cross, cross.T
        fisher[range(common, size), range(common, size)] = weight.sum(axis=(1, 2))
        gradient[:common] = flat @ first.ravel()
        gradient[common:] = first.sum(axis=(1, 2))
        return gradient, fisher


def _solve(fisher: Floats, gradient: Floats, damping: float) -> Floats:
    """Damped Newton step, in parameters made dimensionless first."""
    size = np.sqrt(np.diag(fisher))
    size[size == 0.0] = 1.0
    matrix = fisher / np.outer(size, size) + damping * np.eye(len(size))
    return np.asarray(np.linalg.lstsq(matrix, gradient / size, rcond=1e-12)[0] / size)
