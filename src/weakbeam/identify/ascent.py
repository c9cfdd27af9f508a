"""The way up a likelihood of position and character, to its highest point nearby."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from weakbeam._typing import Floats
from weakbeam.defects.lines import StraightLines
from weakbeam.identify.classes import DislocationType
from weakbeam.identify.likelihood import ScaleFit, fit_scale
from weakbeam.identify.line_place import LinePlace
from weakbeam.identify.observation import Observation
from weakbeam.identify.render import Renderer

_CONVERGED = 4e-3
"""The climb ends when a step adds less than this to the log-likelihood, or would."""

_SCOUTED_ACROSS = (-0.03, 0.0, 0.03)
_SCOUTED_DEPTHS = (-0.05, 0.0, 0.05)
"""Places around its start (µm) from which the climb of a line in the sheet may begin."""

_MOST_STEPS = 25
_MOST_TRIALS = 6
_STALE = 0.4
"""Derivatives are taken again when the climb has gone more than this share of the longest step,"""

_STALE_AT_END = 0.1
"""and, for the errors, when it ends at more than this share."""

_LOOKED_AT = (-3.0, 3.0)
_SMALL = 0.2
_MOST_LOOKS = 4
_HIGHER = 0.1
"""A climb looks around itself by so many standard deviations, each no larger than this share of the
longest step, and goes on, this often at most, from where the log-likelihood is higher by this."""

_CHARACTER_STEP = 0.2
_LONGEST_TURN = 5.0
"""Steps of the character (degrees): that of its derivative, and the longest of the climb."""


@dataclass(frozen=True, eq=False)
class _State:
    """A point of the search: parameters, images of the model and the best brightness."""

    x: Floats
    model: Floats
    fit: ScaleFit


@dataclass(frozen=True, eq=False)
class Summit:
    """Where a climb has ended.

    Parameters
    ----------
    x : (3,) ndarray
        Both coordinates of the place, and the character (degrees).
    model : (conditions, rows, columns) ndarray
        Relative intensity there.
    fit : ScaleFit
        The best brightness and backgrounds there.
    fisher : (n, n) ndarray
        Fisher matrix of the free ones of x, the scale and the backgrounds.
    converged : bool
        Whether the climb reached its end.
    """

    x: Floats
    model: Floats
    fit: ScaleFit
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
        self.renderings = 0
        self._fixed: StraightLines | None = None

    def climb(self, x: Floats, scout: bool = True) -> Summit:
        """Climb from `x` to a maximum; of a line in the sheet from the best place around, if asked.

        Such a line along the pixels is sampled at few distances, and the likelihood has several
        maxima.
        """
        state = self._start(x, scout)
        derivatives, converged = self._derivatives(state), True
        for _ in range(_MOST_LOOKS if self.moving.size else 0):
            state, derivatives, converged = self._climbed(state, derivatives)
            if not self.place.in_sheet:
                break
            higher = self._highest_around(state, derivatives)
            if higher.fit.log_likelihood < state.fit.log_likelihood + _HIGHER:
                break
            state, derivatives = higher, self._derivatives(higher)
        _, fisher = self._score(state, derivatives)
        return Summit(state.x, state.model, state.fit, fisher, converged)

    def _start(self, x: Floats, scout: bool) -> _State:
        points = [x]
        if scout and self.place.in_sheet and 0 in self.moving:
            grid = product(_SCOUTED_ACROSS, _SCOUTED_DEPTHS, (0.0,))
            points = [x + np.array(step) for step in grid]
        states = (self._state(p, i) for p, i in zip(points, self._render(points), strict=True))
        return max(states, key=lambda state: state.fit.log_likelihood)

    def _climbed(self, state: _State, derivatives: Floats) -> tuple[_State, Floats, bool]:
        """Newton steps that never lower the likelihood."""
        origin, converged, damping = state.x, False, 0.0
        for _ in range(_MOST_STEPS):
            if self._far(state.x - origin, _STALE):
                origin, derivatives = state.x, self._derivatives(state)
            gradient, fisher = self._score(state, derivatives)
            if 0.5 * float(gradient @ _solve(fisher, gradient, 0.0)) < _CONVERGED:
                converged = True
                break
            for _ in range(_MOST_TRIALS):
                step = _solve(fisher, gradient, damping)[: self.moving.size]
                step /= max(1.0, float(np.max(np.abs(step) / self.longest[self.moving])))
                x = state.x.copy()
                x[self.moving] += step
                tried = self._state(x, self._render([x])[0])
                climbed = tried.fit.log_likelihood - state.fit.log_likelihood
                if climbed > 0.0:
                    state, damping = tried, 0.1 * damping
                    break
                damping = max(10.0 * damping, 1e-2)
            # Sampling at the core jumps a little as the line moves: near the top the derivatives
            # may promise what no step finds.
            if climbed < _CONVERGED:
                converged = True
                break
        if self._far(state.x - origin, _STALE_AT_END):
            derivatives = self._derivatives(state)
        return state, derivatives, converged

    def _highest_around(self, state: _State, derivatives: Floats) -> _State:
        """The best of some states a few standard deviations away along the axes of the errors.

        For a line in the sheet the likelihood is not quite smooth, and derivatives at one point may
        not show the way up.
        """
        count = self.moving.size
        longest = self.longest[self.moving]
        _, fisher = self._score(state, derivatives)
        known = np.linalg.pinv(fisher, rcond=1e-12, hermitian=True)[:count, :count]
        variances, axes = np.linalg.eigh(known / np.outer(longest, longest))
        reaches = np.minimum(np.sqrt(np.maximum(variances, 0.0)), _SMALL)
        points = []
        for reach, axis in zip(reaches, axes.T, strict=True):
            for times in _LOOKED_AT:
                x = state.x.copy()
                x[self.moving] += times * reach * axis * longest
                points.append(x)
        images = self._render(points)
        states = (self._state(x, image) for x, image in zip(points, images, strict=True))
        return max(states, key=lambda state: state.fit.log_likelihood)

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
        o = self.observation
        return _State(x, model, fit_scale(o.images, model, o.noise, o.good))

    def _derivatives(self, state: _State) -> Floats:
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

    def _score(self, state: _State, derivatives: Floats) -> tuple[Floats, Floats]:
        """Gradient and Fisher matrix in the moving parameters, the scale and the backgrounds."""
        o = self.observation
        signal = state.fit.signal(state.model)
        variance = o.noise.variance(signal)
        slope = np.where(signal > 0.0, o.noise.gain, 0.0) / variance
        residual = o.images - signal
        weight = np.where(o.good, 1.0 / variance + 0.5 * slope**2, 0.0)
        first = residual / variance + 0.5 * slope * (residual**2 / variance - 1.0)
        first = np.where(o.good, first, 0.0)
        count, images = self.moving.size, len(o)
        shared = np.concatenate([state.fit.scale * derivatives, state.model[None]])
        flat = shared.reshape(count + 1, -1)
        size = count + 1 + images
        fisher, gradient = np.zeros((size, size)), np.zeros(size)
        fisher[: count + 1, : count + 1] = (flat * weight.ravel()) @ flat.T
        cross = np.einsum("kcij,cij->kc", shared, weight)
        fisher[: count + 1, count + 1 :], fisher[count + 1 :, : count + 1] = cross, cross.T
        fisher[range(count + 1, size), range(count + 1, size)] = weight.sum(axis=(1, 2))
        gradient[: count + 1] = flat @ first.ravel()
        gradient[count + 1 :] = first.sum(axis=(1, 2))
        return gradient, fisher


def _solve(fisher: Floats, gradient: Floats, damping: float) -> Floats:
    """Damped Newton step, in parameters made dimensionless first."""
    size = np.sqrt(np.diag(fisher))
    size[size == 0.0] = 1.0
    matrix = fisher / np.outer(size, size) + damping * np.eye(len(size))
    return np.asarray(np.linalg.lstsq(matrix, gradient / size, rcond=1e-12)[0] / size)
