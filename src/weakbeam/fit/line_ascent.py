"""The way up a likelihood of a line's position and character, to its highest point nearby."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from weakbeam.core.arrays import Floats
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.types import DislocationType
from weakbeam.fit.ascent import ClimbOptions, Slopes, climb
from weakbeam.fit.brightness import Brightness
from weakbeam.fit.line_place import LinePlace
from weakbeam.fit.observation import Observation
from weakbeam.run.render import Renderer

_PER_IMAGE = ClimbOptions(least_gain=4e-3, most_steps=10, most_trials=5, little=0.1)


@dataclass(frozen=True)
class AscentOptions:
    """How the highest place and character of a line are sought.

    Parameters
    ----------
    climb : ClimbOptions
        When a climb along one set of derivatives ends. Every trial of it is an image.
    depths : int
        At how many depths, evenly within those that are possible, the climb of a line in the sheet
        may begin.
    across_um : float
        Shift across it to either side of its start, from which the best one at each depth is
        estimated.
    most_summits : int
        Largest number of them to climb from; only those that are higher than all next to them.
    most_rounds : int
        Largest number of sets of derivatives in a climb.
    held : float
        The samples of images are chosen again where the climb has gone more than this share of the
        longest step from where they were; between, the likelihood is smooth.
    far : float
        Derivatives are taken again where the climb has gone more than this share of the longest
        step from where they were taken.
    kept : float
        They are taken again as well where a step gains less than this share of what they promised.
    near : float
        A round that adds less than this to the log-likelihood has come within a few standard
        deviations of the summit. From there on derivatives are taken over long steps.
    reach : float
        Half-length of such a step, in standard deviations.
    longest_reach : float
        It is no longer than this share of the longest step of a climb.
    alike : float
        Rounds end, converged, when the errors by two sets of derivatives differ by less than this
        factor in their squares, and no step leads higher.
    higher : float
        The climb goes on from where, on the way to derivatives, the log-likelihood is found to be
        higher by this.
    character_step_deg, longest_turn_deg : float
        Steps of the character: that of its first derivatives, and the longest of a climb.
    """

    climb: ClimbOptions = _PER_IMAGE
    depths: int = 5
    across_um: float = 0.03
    most_summits: int = 2
    most_rounds: int = 40
    held: float = 0.5
    far: float = 0.4
    kept: float = 0.3
    near: float = 2.0
    reach: float = 6.0
    longest_reach: float = 0.5
    alike: float = 2.0
    higher: float = 0.1
    character_step_deg: float = 0.2
    longest_turn_deg: float = 5.0


@dataclass(frozen=True, eq=False)
class _State:
    """A point of the search: parameters, images of the model and the best brightness."""

    x: Floats
    model: Floats
    fit: Brightness

    @property
    def log_likelihood(self) -> float:
        return self.fit.log_likelihood


class _Slopes(NamedTuple):
    """Derivatives in the moving parameters, the scales and the backgrounds."""

    gradient: Floats
    expected: Floats
    observed: Floats | None = None


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
    options : AscentOptions
        How the maximum is sought.
    """

    def __init__(
        self,
        observation: Observation,
        renderer: Renderer,
        type: DislocationType,
        place: LinePlace,
        free: Sequence[str],
        options: AscentOptions = AscentOptions(),
    ) -> None:
        self.options = options = options or AscentOptions()
        self.observation, self.renderer = observation, renderer
        self.type, self.place = type, place
        moving = ([0, 1] if "position" in free else []) + ([2] if "character" in free else [])
        self.moving = np.array(moving, dtype=np.intp)
        self.small = np.array([*place.small_steps, options.character_step_deg])
        self.longest = np.array([*place.longest_steps, options.longest_turn_deg])
        reflections = [condition.reflection for condition in renderer.conditions]
        self._of = np.unique(reflections, return_inverse=True)[1]
        self.renderings = 0
        self._fixed: StraightLines | None = None
        self._held: Renderer | None = None

    def summits(self, x: Floats, depth_um: float | None = None) -> list[Summit]:
        """Climb from `x`; for a line in the sheet from the best places at several depths, if asked.

        An image changes little with the depth of such a line, if it is shifted as well, and the
        likelihood may have a maximum to either side of the sheet's middle, and several where pixels
        sample a line along them at few distances. They are sought within a height (µm), if it is
        given.
        """
        self._held = None
        if depth_um is None or not (self.place.in_sheet and 0 in self.moving):
            return [self._climb(self._state(x, self._render([x])[0]))]
        states = self._best_at_depths(x, depth_um)
        height = np.array([state.log_likelihood for state in states])
        around = scipy.ndimage.maximum_filter1d(height, 3, mode="nearest")
        tops = [int(k) for k in np.argsort(-height, kind="stable") if height[k] == around[k]]
        return [self._climb(states[k]) for k in tops[: self.options.most_summits]]

    def slopes(self, x: Floats) -> Slopes:
        """Derivatives of the likelihood at `x` in what moves, the scales and the backgrounds."""
        self._held = None
        state = self._holding(self._states([x])[0])
        return self._slopes(state, self._derivatives(state))

    def _best_at_depths(self, x: Floats, depth_um: float) -> list[_State]:
        """The best state at each depth: near the top of a parabola through three shifts."""
        step, count = self.options.across_um, self.options.depths
        depths = depth_um * ((np.arange(count) + 0.5) / count - 0.5)
        shifts = np.array([-step, 0.0, step])
        tried = self._states([[x[0] + s, depth, x[2]] for depth in depths for s in shifts])
        by_depth = [tried[3 * k : 3 * k + 3] for k in range(count)]
        low, middle, high = (
            np.array([states[k].log_likelihood for states in by_depth]) for k in range(3)
        )
        bend = np.minimum(low + high - 2.0 * middle, -1e-9)
        most = self.place.longest_steps[0]
        tops = np.clip(0.5 * step * (high - low) / -bend, -most, most)
        vertices = self._states([[x[0] + s, d, x[2]] for s, d in zip(tops, depths, strict=True)])
        return [
            max([*states, vertex], key=lambda state: state.log_likelihood)
            for states, vertex in zip(by_depth, vertices, strict=True)
        ]

    def _climb(self, state: _State) -> Summit:
        """Climb to the summit above a state."""
        options, state = self.options, self._holding(state)
        derivatives, converged = self._derivatives(state), self.moving.size == 0
        near = alike = False
        for _ in range(options.most_rounds if self.moving.size else 0):
            start, (state, stopped) = state, self._walked(state, derivatives)
            gained = state.log_likelihood - start.log_likelihood
            if gained > options.near:
                near = alike = False
                if np.any(np.abs(state.x - self._origin) > options.held * self.longest):
                    state = self._holding(state)
                derivatives = self._derivatives(state)
                continue
            # Where the likelihood is rough, derivatives may promise what no step finds.
            stuck, near, former = near and gained < options.climb.least_gain, True, derivatives
            converged = alike and (stopped or stuck)
            if converged:
                break
            higher, derivatives = self._around(state, former)
            before, after = (self._information(state, taken) for taken in (former, derivatives))
            alike = self._alike(before, after)
            if higher.log_likelihood > state.log_likelihood + options.higher:
                state = higher
            elif alike and stuck:
                converged = True
                break
        fisher = self._slopes(state, derivatives).expected
        return Summit(state.x, state.model, state.fit, fisher, converged)

    def _holding(self, state: _State) -> _State:
        """The same state, with the samples that are needed in it and around it kept from now on."""
        places, self._origin, self._held = [state.x], state.x, None
        for k in self.moving:
            for side in (-1.0, 1.0):
                x = state.x.copy()
                x[k] += side * self.options.held * self.longest[k]
                places.append(x)
        self._held = self.renderer.held([self.line(x) for x in places])
        return self._state(state.x, self._render([state.x])[0])

    def _walked(self, state: _State, derivatives: Floats) -> tuple[_State, bool]:
        """Climb along one set of derivatives, and whether they promise nothing more."""
        origin, count, options = state.x, self.moving.size, self.options
        rest = len(state.fit.scales) + len(state.fit.background)
        longest = np.concatenate([self.longest[self.moving], np.full(rest, np.inf)])

        def moved(state: _State, step: Floats) -> _State:
            # Scales and backgrounds are fitted anew in every state.
            x = state.x.copy()
            x[self.moving] += step[:count]
            return self._state(x, self._render([x])[0])

        def outdated(state: _State, gained: float, promised: float) -> bool:
            far = bool(np.any(np.abs(state.x - origin) > options.far * self.longest))
            return far or gained < options.kept * promised

        return climb(
            state,
            lambda state: self._slopes(state, derivatives),
            moved,
            options.climb,
            longest,
            outdated,
        )

    def _around(self, state: _State, derivatives: Floats) -> tuple[_State, Floats]:
        """The highest of some states around, and derivatives from the differences between them.

        The states lie some standard deviations to either side along the axes of the error
        ellipsoid. Pixels and samples along rays cross the core of a line one after the other, so
        that the images change in small jumps. Over shorter steps these would pass for slopes, and
        make errors along a ridge of the likelihood too small.
        """
        longest = self.longest[self.moving]
        values, axes = np.linalg.eigh(self._information(state, derivatives))
        reach, most = self.options.reach, self.options.longest_reach
        reaches = np.minimum(reach / np.sqrt(np.maximum(values, 1e-12)), most)
        points = []
        for reach, axis in zip(reaches, axes.T, strict=True):
            for side in (-reach, reach):
                x = state.x.copy()
                x[self.moving] += side * axis * longest
                points.append(x)
        states = self._states(points)
        low, high = (np.array([state.model for state in states[k::2]]) for k in (0, 1))
        along = (high - low) / (2.0 * reaches[:, None, None, None])
        derivatives = np.tensordot(axes / longest[:, None], along, axes=1)
        return max(states, key=lambda state: state.log_likelihood), derivatives

    def _information(self, state: _State, derivatives: Floats) -> Floats:
        """Fisher matrix of what moves, in longest steps; scale and backgrounds being free."""
        count, longest = self.moving.size, self.longest[self.moving]
        fisher = self._slopes(state, derivatives).expected
        mixed, rest = fisher[:count, count:], fisher[count:, count:]
        own = fisher[:count, :count] - mixed @ np.linalg.pinv(rest, hermitian=True) @ mixed.T
        return np.asarray(own * np.outer(longest, longest))

    def _alike(self, before: Floats, after: Floats) -> bool:
        """Whether two Fisher matrices state the same errors, below the longest step."""
        options = self.options
        least = (options.reach / options.longest_reach) ** 2 * np.eye(len(before))
        ratios = np.linalg.eigvals(np.linalg.solve(before + least, after + least)).real
        return bool(np.all((ratios < options.alike) & (ratios > 1.0 / options.alike)))

    def _render(self, many: Sequence[Floats]) -> list[Floats]:
        self.renderings += len(many)
        drawing = self.renderer if self._held is None else self._held
        images = drawing.images(self.line(x) for x in many)
        return [np.asarray(image, dtype=np.float64) for image in images]

    def line(self, x: Floats) -> StraightLines:
        """The dislocation at some parameters."""
        system, position = (self.type.plane, self.type.burgers), self.place.position(x[:2])
        if 2 in self.moving:
            return self.renderer.lines_of(*system, float(x[2]), position)
        if self._fixed is None:
            self._fixed = self.renderer.lines_of(*system, float(x[2]))
        return replace(self._fixed, positions=position[None])

    def _states(self, many: Sequence[Sequence[float] | Floats]) -> list[_State]:
        points = [np.asarray(x, dtype=np.float64) for x in many]
        images = self._render(points)
        return [self._state(x, image) for x, image in zip(points, images, strict=True)]

    def _state(self, x: Floats, model: Floats) -> _State:
        return _State(x, model, Brightness.best(self.observation, model, self._of))

    def _derivatives(self, state: _State) -> Floats:
        """Derivatives of the model's images, (moving, conditions, rows, columns)."""
        points = []
        for k in self.moving:
            x = state.x.copy()
            x[k] += self.small[k]
            points.append(x)
        differences = [
            (image - state.model) / self.small[k]
            for k, image in zip(self.moving, self._render(points), strict=True)
        ]
        return np.array(differences).reshape(self.moving.size, *state.model.shape)

    def _slopes(self, state: _State, derivatives: Floats) -> _Slopes:
        """How the likelihood of a state changes, given derivatives of its model's images."""
        o, fit = self.observation, state.fit
        signal = fit.signal(state.model)
        variance = o.noise.variance(signal)
        growth = np.where(signal > 0.0, o.noise.gain, 0.0) / variance
        residual = o.images - signal
        weight = np.where(o.good, 1.0 / variance + 0.5 * growth**2, 0.0)
        first = residual / variance + 0.5 * growth * (residual**2 / variance - 1.0)
        first = np.where(o.good, first, 0.0)
        own = np.arange(len(fit.scales))[:, None] == self._of
        scaled = fit.scales[self._of][:, None, None] * derivatives
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
        return _Slopes(gradient, fisher)
