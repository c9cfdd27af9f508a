"""The best position and character of a dislocation of one type, and how well they are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from weakbeam._typing import Floats
from weakbeam.defects.lines import StraightLines
from weakbeam.identify.classes import DislocationType
from weakbeam.identify.likelihood import ScaleFit, fit_scale
from weakbeam.identify.line_place import LinePlace, PositionPrior, place_of
from weakbeam.identify.observation import Bools, Observation
from weakbeam.identify.render import Renderer

CHARACTER = "character_deg"

_CONVERGED = 4e-3
"""The fit ends when a step adds less than this to the log-likelihood, or would."""

_POLISH = 1.5
_SMALL = 0.25
_JUMP = 1.0
"""The last step looks this many standard deviations around itself, if that is less than this share
of the longest step. If the log-likelihood changes by more than this, it was not the last."""

_ROUNDS = 3

_SCOUTED_ACROSS = (-0.05, -0.025, 0.0, 0.025, 0.05)
_SCOUTED_DEPTHS = (-0.08, -0.04, 0.0, 0.04, 0.08)
"""Places around its start (µm) from which the fit of a line in the sheet may begin."""

_MOST_STEPS = 25
_MOST_TRIALS = 6
_STALE = 0.4
"""Derivatives are taken again when the fit has gone more than this share of the longest step,"""

_STALE_AT_END = 0.1
"""and, for the errors, when it ends at more than this share."""

_CHARACTER_STEP = 0.2
_LONGEST_TURN = 5.0
"""Steps of the character (degrees): that of its derivative, and the longest of the fit."""

_LOST = 0.5
"""Share of the prior's standard deviation above which a parameter counts as not determined."""

_SCALE_RANGE = 10.0
"""Width of the prior of the scale, in units of the brightest pixel."""


@dataclass(frozen=True, eq=False)
class Refinement:
    """A fitted dislocation.

    Parameters
    ----------
    type : DislocationType
        What was fitted, with the fitted character.
    position_um : (3,) ndarray
        A point on the line (µm, sample frame of the first reflection): where it crosses the middle
        of the beam, or, for a line that lies in the sheet of the beam, beside the origin.
    names : tuple of str
        Free parameters: ``row_px`` and ``column_px``, where the line crosses the middle of the
        beam, counted from the sample's origin; or, of a line in the sheet, ``across_um`` and
        ``depth_um``; perhaps ``character_deg``; then ``scale`` and a ``background`` for each image.
    values : (n,) ndarray
        Their best values.
    covariance : (n, n) ndarray
        The inverse of the Fisher matrix; NaN in rows and columns of parameters that the images do
        not determine.
    undetermined : tuple of str
        Names of those.
    log_likelihood : float
        At the best values.
    log_evidence : float
        Logarithm of the likelihood averaged over the prior, by Laplace's method.
    misfit : float
        Mean of squared residuals over their variance.
    image : (conditions, rows, columns) ndarray
        Expected counts (ADU).
    converged : bool
        Whether the fit reached its end.
    renderings : int
        How many images it took.
    """

    type: DislocationType
    position_um: Floats
    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    undetermined: tuple[str, ...]
    log_likelihood: float
    log_evidence: float
    misfit: float
    image: Floats
    converged: bool
    renderings: int

    @property
    def errors(self) -> Floats:
        """Standard deviations of the parameters; NaN for those that are not determined."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def scale(self) -> float:
        """Counts (ADU) where the relative intensity is 1."""
        return float(self.values[self.names.index("scale")])


def refine(
    observation: Observation,
    renderer: Renderer,
    type: DislocationType,
    shift_px: Sequence[float] = (0.0, 0.0),
    depth_um: float = 0.0,
    free: Sequence[str] = ("position",),
    prior: PositionPrior | None = None,
) -> Refinement:
    r"""Fit a dislocation of one type to images.

    Parameters
    ----------
    observation : Observation
        The images, one for each condition of the renderer.
    renderer : Renderer
        Computes images under the same conditions.
    type : DislocationType
        Slip system and character; the fit starts from that character if it is free.
    shift_px : (float, float)
        Rows and columns by which the fit starts away from the sample's origin.
    depth_um : float
        Height above the middle of the beam at which it starts (µm).
    free : sequence of str
        ``"position"``, ``"character"`` or both; scale and background always are.
    prior : PositionPrior, optional
        Where the line may be; anywhere in the field of view and within 1 µm by default.

    Returns
    -------
    Refinement

    Raises
    ------
    ValueError
        If images and renderer do not belong together, or `free` names something else.

    Notes
    -----
    A straight line has two degrees of freedom of position: a shift along it changes nothing.
    Newton's method with the expected second derivatives (Fisher's scoring) climbs the likelihood of
    :func:`~weakbeam.identify.likelihood.fit_scale`, the scale and the backgrounds being fitted anew
    at every step. The evidence is

    .. math:: \ln Z = \ln L + \ln p(x) + \tfrac12 \ln\det 2\pi (F + P)^{-1}

    with the Fisher matrix F of all free parameters at the maximum, the density p of the prior there
    and P = 2π/w², which limits each parameter to the width w of its prior where the images say
    nothing of it.
    """
    unknown = set(free) - {"position", "character"}
    if unknown:
        raise ValueError(f"free is {sorted(unknown)[0]!r}: choose from position, character")
    if observation.images.shape != (len(renderer.conditions), *renderer.shape):
        raise ValueError(
            f"images of shape {observation.images.shape} do not fit the renderer's "
            f"{len(renderer.conditions)} conditions of {renderer.shape} pixels"
        )
    row, column = renderer.pixel_steps()
    start = shift_px[0] * row + shift_px[1] * column + depth_um * renderer.up
    direction = renderer.lines_of(type.plane, type.burgers, type.character_deg).lines[0]
    place, at = place_of(direction, start, (row, column), renderer.up)
    fit = _Fit(observation, renderer, type, place, free)
    bounds = PositionPrior.of_view(renderer) if prior is None else prior
    return fit.run(np.array([*at, type.character_deg]), bounds)


@dataclass(frozen=True, eq=False)
class _State:
    """A point of the search: parameters, images of the model and the best brightness."""

    x: Floats
    model: Floats
    fit: ScaleFit


class _Fit:
    """The search for the maximum of one likelihood.

    Its parameters x are the two coordinates of the place and the character, of which `moving` are
    free.
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

    def run(self, x: Floats, prior: PositionPrior) -> Refinement:
        """Climb to the maximum from `x` and describe it."""
        state, converged = self._start(x), True
        derivatives = self._derivatives(state)
        for _ in range(_ROUNDS if self.moving.size else 0):
            state, derivatives, converged = self._climbed(state, derivatives)
            below = state.fit.log_likelihood
            state, derivatives = self._polished(state, derivatives)
            if state.fit.log_likelihood < below + _JUMP:
                break
        return self._describe(state, derivatives, converged, prior)

    def _start(self, x: Floats) -> _State:
        """The state at `x`; of a line in the sheet the best one of a grid around it.

        Pixels sample the neighbourhood of such a line at few distances, and the likelihood has
        several maxima.
        """
        points = [x]
        if self.place.in_sheet and 0 in self.moving:
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
            # Fine sampling at the core jumps as the line moves: near the top the derivatives may
            # promise what no step finds.
            if climbed < _CONVERGED:
                converged = True
                break
        if self._far(state.x - origin, _STALE_AT_END):
            derivatives = self._derivatives(state)
        return state, derivatives, converged

    def _polished(self, state: _State, derivatives: Floats) -> tuple[_State, Floats]:
        """Look past the jumps: a last step by the likelihood 1.5 standard deviations away.

        Only where these are a small part of a pixel; elsewhere noise hides the jumps.
        """
        count = self.moving.size
        longest = self.longest[self.moving]
        _, fisher = self._score(state, derivatives)
        inner = fisher[count:, count:]
        cross = np.linalg.lstsq(inner, fisher[count:, :count], rcond=1e-12)[0]
        profile = (fisher[:count, :count] - fisher[:count, count:] @ cross) * np.outer(
            longest, longest
        )
        curvatures, directions = np.linalg.eigh(profile)
        reach = _POLISH / np.sqrt(np.maximum(curvatures, 1e-300))
        if reach.max() > _SMALL:
            return state, derivatives
        points = []
        for k in range(count):
            for sign in (1.0, -1.0):
                x = state.x.copy()
                x[self.moving] += sign * reach[k] * directions[:, k] * longest
                points.append(x)
        states = [
            self._state(x, image) for x, image in zip(points, self._render(points), strict=True)
        ]
        slopes, along = np.empty(count), []
        for k in range(count):
            up, down = states[2 * k], states[2 * k + 1]
            slopes[k] = (up.fit.log_likelihood - down.fit.log_likelihood) / (2.0 * reach[k])
            along.append((up.model - down.model) / (2.0 * reach[k]))
        step = np.clip(slopes / curvatures, -reach, reach)
        x = state.x.copy()
        x[self.moving] += directions @ step * longest
        last = self._state(x, self._render([x])[0])
        smooth = np.tensordot(directions / longest[:, None], np.array(along), axes=1)
        near = last.fit.log_likelihood > state.fit.log_likelihood - _JUMP
        return (last if near else state), smooth

    def _far(self, way: Floats, share: float) -> bool:
        return bool(np.any(np.abs(way) > share * self.longest))

    def _render(self, many: Sequence[Floats]) -> list[Floats]:
        self.renderings += len(many)
        images = self.renderer.images(self._line(x) for x in many)
        return [np.asarray(image, dtype=np.float64) for image in images]

    def _line(self, x: Floats) -> StraightLines:
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

    def _describe(
        self, state: _State, derivatives: Floats, converged: bool, prior: PositionPrior
    ) -> Refinement:
        o = self.observation
        _, fisher = self._score(state, derivatives)
        brightest = max(float(o.images[o.good].max()), math.sqrt(o.noise.floor))
        widths = np.concatenate(
            [
                np.array([*prior.widths(self.place), prior.character_deg])[self.moving],
                np.full(1, _SCALE_RANGE * brightest),
                np.full(len(o), brightest),
            ]
        )
        names = np.array([*self.place.names, CHARACTER])[self.moving].tolist()
        names += ["scale", *background_names(len(o))]
        covariance, lost = _inverse(fisher, widths)
        # The volume that the posterior takes of the prior's box, in units of its widths.
        dimensionless = fisher * np.outer(widths, widths) + 2.0 * math.pi * np.eye(len(widths))
        log_determinant = float(np.linalg.slogdet(dimensionless / (2.0 * math.pi))[1])
        density = 0.0
        if 0 in self.moving:
            line = self._line(state.x)
            density = prior.log_density(self.place, line.positions[0], line.lines[0])
            density += float(np.log(widths[:2]).sum())
        evidence = state.fit.log_likelihood + density - 0.5 * log_determinant
        fitted = 2 in self.moving
        return Refinement(
            type=self.type.turned(float(state.x[2])) if fitted else self.type,
            position_um=self.place.position(state.x[:2]),
            names=tuple(names),
            values=np.array([*state.x[self.moving], state.fit.scale, *state.fit.background]),
            covariance=covariance,
            undetermined=tuple(name for name, gone in zip(names, lost, strict=True) if gone),
            log_likelihood=state.fit.log_likelihood,
            log_evidence=evidence,
            misfit=state.fit.misfit,
            image=state.fit.signal(state.model),
            converged=converged,
            renderings=self.renderings,
        )


def background_names(images: int) -> list[str]:
    """Name of the background of each image."""
    return ["background"] if images == 1 else [f"background[{k}]" for k in range(images)]


def _solve(fisher: Floats, gradient: Floats, damping: float) -> Floats:
    """Damped Newton step, in parameters made dimensionless first."""
    size = np.sqrt(np.diag(fisher))
    size[size == 0.0] = 1.0
    matrix = fisher / np.outer(size, size) + damping * np.eye(len(size))
    return np.asarray(np.linalg.lstsq(matrix, gradient / size, rcond=1e-12)[0] / size)


def _inverse(fisher: Floats, widths: Floats) -> tuple[Floats, Bools]:
    """Invert what is determined.

    Parameters
    ----------
    fisher : (n, n) ndarray
        Fisher matrix.
    widths : (n,) ndarray
        Widths of the priors.

    Returns
    -------
    covariance : (n, n) ndarray
        NaN where a parameter is not determined.
    lost : (n,) ndarray of bool
        Which are not: the images narrow their priors by less than a factor of two.
    """
    prior = 2.0 * math.pi * np.eye(len(widths))
    scaled = np.linalg.inv(fisher * np.outer(widths, widths) + prior)
    lost = np.diag(scaled) * prior[0, 0] > _LOST**2
    covariance = scaled * np.outer(widths, widths)
    covariance[lost], covariance[:, lost] = np.nan, np.nan
    return covariance, lost


def merged(modes: Sequence[Refinement]) -> Refinement:
    """The best of several fits of one type, with the evidence of all distinct ones together.

    Two fits are the same where their lines lie within three standard deviations of one another.
    """
    ordered = sorted(modes, key=lambda mode: -mode.log_likelihood)
    distinct: list[Refinement] = []
    for mode in ordered:
        if not any(_same(mode, other) for other in distinct):
            distinct.append(mode)
    total = float(np.logaddexp.reduce([mode.log_evidence for mode in distinct]))
    return replace(distinct[0], log_evidence=total)


def _same(mode: Refinement, other: Refinement) -> bool:
    if mode.names != other.names:
        return False
    kept = [k for k, name in enumerate(mode.names) if name not in mode.undetermined]
    difference = (mode.values - other.values)[kept]
    error = np.sqrt(np.diag(mode.covariance))[kept]
    return bool(np.all(np.abs(difference) < 3.0 * error + 1e-9))
