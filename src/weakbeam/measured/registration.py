r"""Shifts of the cameras against each other, from the maps themselves.

Where reflections tell more than the nine components of the distortion, what they tell agrees only
if all cameras look at the same place. A camera that is moved by δ shows :math:`h(r - \delta)
\approx h - \delta\cdot\nabla h` instead of h: linear in δ, which is solved for with the distortion
of every place eliminated. The nearer to a dislocation, the steeper is h and the more it tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.measured.feature_shifts import feature_shifts
from weakbeam.measured.sheet import Correction, Sheet, corrections_of, sampled

NUMBERS = 4
"""Numbers of a correction: shift along x and y, rotation, magnification."""

_MOST_PLACES = 6_000
_SMOOTHING = (6.0, 3.0, 0.0)
"""Gaussians (places) over which the maps are smoothed, while shifts may be large, and at last."""
_SLOPE_SMOOTHING = 3.0
_LEAST_GAIN = 0.05
_INTERPOLATION = 0.05
"""Part of a place by which maps between pixels may be off."""
_OVERLAP = 0.7
"""Part of the places that a step may not lose."""
_ROUNDS = 12
_SETTLED = 2e-3
_OUTLIER = 4.0
_USUAL = 10.0
"""Shift (places) up to which cameras may usually be off, where they show nothing in common."""
_USUAL_TURN = 0.01
"""The same of rotations and magnifications."""
_FEWEST_PLACES = 30
_STEEPEST = 0.9
"""Share of all squared slopes that the places have whose absence must not move a shift."""
_KNOWN = 1e-6
"""Part of the steepest direction's information below which a number is not determined."""


@dataclass(frozen=True, eq=False)
class Registration:
    """Where the cameras look.

    Parameters
    ----------
    corrections : tuple of Correction
        For each reflection; by what each tells, their mean is none.
    errors : (reflections, 4) ndarray
        Standard deviations of their numbers (µm, µm, rad, 1); NaN of what was not fitted.
    places : int
        Places that told them.
    fitted : bool
        Whether anything could be fitted.
    """

    corrections: tuple[Correction, ...]
    errors: Floats
    places: int
    fitted: bool


def register(
    sheet: Sheet,
    directions: Floats,
    changes: Sequence[Floats],
    information: Sequence[Floats],
    numbers: int = 2,
    noisy: bool = True,
) -> Registration:
    """Fit the shifts of the cameras against each other.

    Parameters
    ----------
    sheet : Sheet
        The grid and what each camera sees of it by geometry alone.
    directions : (reflections, 3) ndarray
        Unit diffraction vectors.
    changes : sequence of (rows, columns, 3) ndarray
        Their changes, in each camera's pixels, in one frame.
    information : sequence of (rows, columns, 3, 3) ndarray
        Inverse covariances of these.
    numbers : int
        2: shifts only; 4: rotation and magnification too.
    noisy : bool
        Whether the information is that of the noise, and not only relative.

    Returns
    -------
    Registration
        Without corrections where reflections tell no more than the distortion.
    """
    count = len(changes)
    none = Registration(
        tuple(Correction() for _ in range(count)), np.full((count, NUMBERS), np.nan), 0, False
    )
    values, places = np.zeros((count, NUMBERS)), sheet.places.reshape(-1, 2)
    expected = np.zeros((count, NUMBERS))
    widths = np.tile([_USUAL * sheet.step] * 2 + [_USUAL_TURN] * 2, (count, 1))
    features = feature_shifts(sheet, changes)
    if features is not None:
        expected[:, :2], widths[:, :2] = features
        values = expected.copy()
    prior = expected[:, :numbers], widths[:, :numbers]
    problem = _Problem(sheet, directions, tuple(information), numbers, noisy, prior)
    result = none
    for smoothing in _SMOOTHING:
        # Noise has slopes too, which would be taken for those of the lattice.
        smooth, smoother = (
            [
                _smoothed(change, width * sheet.step / np.linalg.norm(view.steps, axis=1))
                for change, view in zip(changes, sheet.views, strict=True)
            ]
            for width in (smoothing, max(smoothing, _SLOPE_SMOOTHING))
        )
        here = problem.at(values, smooth, smoother, places)
        damping = 1e-3
        for _ in range(_ROUNDS):
            if here is None:
                break
            moved = here.step(damping)
            limit = np.array([4.0 * sheet.step, 4.0 * sheet.step, 0.02, 0.02])[:numbers]
            moved = np.clip(moved, -limit, limit)
            trial = values.copy()
            trial[:, :numbers] += moved
            there = problem.at(trial, smooth, smoother, places, here.spread)
            gain = -1.0 if there is None else there.gain_over(here)
            if there is None or gain <= 0.0:
                damping *= 10.0
                if damping > 1e4:
                    break
                continue
            values, damping = trial, 0.1 * damping
            here = there
            settled = float(np.abs(moved[:, :2]).max(initial=0.0)) < _SETTLED * sheet.step
            # Less than what tells anything.
            if settled or gain < _LEAST_GAIN * here.spread:
                break
        # Where they overlap now more places may tell.
        if smoothing == _SMOOTHING[-1] and here is not None:
            errors = here.errors(sheet.step)
            calmer = problem.at(values, smooth, smoother, places, here.spread, _STEEPEST)
            if errors is not None and calmer is not None:
                # Beside a core means over rays and pixels differ, which looks like a shift there
                # and less so farther on: a true one is the same everywhere.
                errors[:, :numbers] = np.hypot(errors[:, :numbers], calmer.step(1e-3))
                corrections = tuple(corrections_of(values))
                result = Registration(corrections, errors, len(here.index), True)
    return result


def _smoothed(change: Floats, sigmas: Floats) -> Floats:
    """A map smoothed by so many rows and columns."""
    if not sigmas.any():
        return change
    known = np.isfinite(change[..., :1])
    blur = (*sigmas, 0.0)
    weight = scipy.ndimage.gaussian_filter(known.astype(np.float64), blur)
    total = scipy.ndimage.gaussian_filter(np.where(known, change, 0.0), blur)
    return np.asarray(np.where(known, total / np.maximum(weight, 1e-9), np.nan))


@dataclass(frozen=True, eq=False)
class _Problem:
    """What does not change while the shifts do."""

    sheet: Sheet
    directions: Floats
    information: tuple[Floats, ...]
    numbers: int
    noisy: bool
    prior: tuple[Floats, Floats]

    def at(
        self,
        values: Floats,
        changes: Sequence[Floats],
        smoother: Sequence[Floats],
        places: Floats,
        spread: float | None = None,
        without: float = 0.0,
    ) -> _Linear | None:
        """The linear problem about some corrections, at those of the places that all see.

        The steepest places, which have so large a share of all squared slopes, may be left out.
        """
        h, w, slopes = [], [], []
        seen = np.ones(len(places), bool)
        ends = 0.5 * self.sheet.step * np.eye(2)
        for view, correction, change, smooth, told in zip(
            self.sheet.views,
            corrections_of(values),
            changes,
            smoother,
            self.information,
            strict=True,
        ):
            value, inverse = sampled(view, places, correction, change, told)
            assert inverse is not None
            along = [
                sampled(view, places + d, correction, smooth)[0]
                - sampled(view, places - d, correction, smooth)[0]
                for d in ends
            ]
            slope = np.stack(along, axis=-1) / self.sheet.step
            seen &= np.isfinite(value).all(-1) & np.isfinite(slope).all((-1, -2))
            seen &= np.isfinite(inverse).all((-1, -2))
            h.append(value)
            w.append(inverse)
            slopes.append(slope)
        (kept,) = np.nonzero(seen)
        steepness = np.asarray(sum(np.abs(slope[kept]).sum(axis=(-1, -2)) for slope in slopes))
        if without > 0.0 and len(kept):
            order = np.argsort(-steepness, kind="stable")
            total = np.cumsum(steepness[order] ** 2)
            calm = np.sort(order[int(np.searchsorted(total, without * total[-1])) :])
            kept, steepness = kept[calm], steepness[calm]
        if len(kept) < _FEWEST_PLACES:
            return None
        if len(kept) > _MOST_PLACES:
            order = np.argsort(-steepness, kind="stable")
            # The steepest tell most; the others, whether anything else is wrong.
            half = _MOST_PLACES // 2
            rest = order[half:]
            kept = kept[np.concatenate([order[:half], rest[:: max(len(rest) // half, 1)]])]
        h_, w_, s_ = (np.stack([x[kept] for x in some]) for some in (h, w, slopes))
        columns, owners = _columns(s_, places[kept], values, self.numbers)
        found = _eliminated(
            self.directions, h_, w_, columns, owners, self.numbers, places[kept], spread, self.noisy
        )
        return replace(found.held(values[:, : self.numbers], *self.prior), index=kept)


@dataclass(frozen=True, eq=False)
class _Linear:
    """Normal equations of the shifts with the distortion of every place eliminated."""

    matrix: Floats
    vector: Floats
    costs: Floats
    spread: float
    index: NDArray[np.int64]
    cameras: int
    numbers: int
    plain: float
    prior: float = 0.0
    told: float = 0.0

    def held(self, values: Floats, expected: Floats, widths: Floats) -> _Linear:
        """The same with what is known beforehand, which holds what nothing else tells."""
        stiff = (self.spread / widths**2).ravel()
        away = values - expected
        matrix, vector = self.matrix.copy(), self.vector.copy()
        shifts = len(stiff)
        matrix[np.arange(shifts), np.arange(shifts)] += stiff
        vector[:shifts] -= stiff * away.ravel()
        prior = self.spread * float(((away / widths) ** 2).sum())
        told = float(np.max(np.diag(self.matrix)[:shifts]))
        return replace(self, matrix=matrix, vector=vector, prior=prior, told=told)

    def gain_over(self, other: _Linear) -> float:
        """How much better places agree that both have; none if few of the other's are left."""
        _, mine, theirs = np.intersect1d(self.index, other.index, return_indices=True)
        if len(mine) < _OVERLAP * len(other.index):
            return -1.0
        here, there = float(self.costs[mine].sum()), float(other.costs[theirs].sum())
        return there + other.prior - here - self.prior

    def _fixed(self) -> tuple[Floats, Floats]:
        """The matrix in units of its diagonal, with a common move of all cameras held at zero."""
        scale = np.sqrt(np.maximum(np.diag(self.matrix), 1e-300))
        unit = self.matrix / np.outer(scale, scale)
        shifts = self.cameras * self.numbers
        for k in range(self.numbers):
            common = np.zeros(len(scale))
            common[k : shifts : self.numbers] = scale[k : shifts : self.numbers]
            common /= np.linalg.norm(common)
            # As stiff as the rest, in units of the diagonal.
            unit = unit + np.outer(common, common)
        return unit, scale

    def step(self, damping: float) -> Floats:
        """Where the shifts go, (cameras, numbers)."""
        unit, scale = self._fixed()
        solved = np.linalg.solve(unit + damping * np.eye(len(scale)), self.vector / scale) / scale
        moved = solved[: self.cameras * self.numbers].reshape(self.cameras, self.numbers)
        # Cameras that tell little of their place do not move the others.
        weights = np.diag(self.matrix)[: moved.size].reshape(moved.shape)
        return np.asarray(moved - (weights * moved).sum(axis=0) / weights.sum(axis=0))

    def errors(self, step: float) -> Floats | None:
        """Standard deviations of the numbers, for places `step` apart; None if nothing is told."""
        shifts = self.cameras * self.numbers
        if self.told <= _KNOWN * self.plain:
            return None
        unit, scale = self._fixed()
        # What nothing tells is as unsure as it was beforehand.
        covariance = np.linalg.inv(unit) / np.outer(scale, scale)
        errors = np.full((self.cameras, NUMBERS), np.nan)
        variance = np.diag(covariance)[:shifts] * self.spread
        # Between pixels no interpolation is exact.
        least = np.array([_INTERPOLATION * step] * 2 + [0.0] * 2)[: self.numbers]
        told = np.sqrt(variance).reshape(self.cameras, self.numbers)
        errors[:, : self.numbers] = np.hypot(told, least)
        return errors


def _columns(slopes: Floats, at: Floats, values: Floats, numbers: int) -> tuple[Floats, Ints]:
    """What each unknown adds to h of its reflection, (unknowns, n, 3), and whose it is."""
    count = len(slopes)
    columns, owners = [], []
    for r in range(count):
        x, y = at[:, 0] - values[r, 0], at[:, 1] - values[r, 1]
        ways = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
        moves = [np.broadcast_to(way, at.shape) for way in ways]
        moves += [np.stack([-y, x], axis=-1), np.stack([x, y], axis=-1)]
        for move in moves[:numbers]:
            columns.append(np.einsum("nid,nd->ni", slopes[r], move))
            owners.append(r)
    return np.stack(columns), np.array(owners)


def _eliminated(
    g: Floats,
    h: Floats,
    w: Floats,
    columns: Floats,
    owners: NDArray[np.int64],
    numbers: int,
    places: Floats,
    spread: float | None,
    noisy: bool,
) -> _Linear:
    """Sum the normal equations of all places, with H of each place eliminated."""
    outer = np.einsum("rj,rl->rjl", g, g)
    normal = np.einsum("rnik,rjl->nijkl", w, outer, optimize=True).reshape(-1, 9, 9)
    size = np.einsum("nii->n", normal)[:, None, None]
    inverse = np.linalg.inv(normal + 1e-10 * size * np.eye(9))
    pulled = np.einsum("rnik,rnk->rni", w, h)
    right = np.einsum("rni,rj->nij", pulled, g).reshape(-1, 9)
    rest = np.einsum("rni,rni->n", h, pulled) - np.einsum("ni,nij,nj->n", right, inverse, right)
    rest = np.maximum(rest, 0.0) / max(3 * len(g) - 9, 1)
    if spread is None:
        # Smoothed maps scatter less, but then their places are not independent of each other.
        spread = max(float(np.median(rest)), 1.0 if noisy else 1e-30)
    # Near a core cameras see different means over the height of the beam: no sign of a shift.
    weights = 1.0 / (1.0 + rest / (spread * _OUTLIER**2)) ** 2
    costs = rest / (1.0 + rest / (spread * _OUTLIER**2))
    # Each unknown acts on one reflection: its part of the normal equations.
    weighted = np.einsum("anik,ank->ani", w[owners], columns)
    mixed = np.einsum("ani,aj->anij", weighted, g[owners]).reshape(len(columns), -1, 9)
    taken = np.einsum("ani,nij->anj", mixed, inverse)
    same = owners[:, None] == owners[None, :]
    plain = np.einsum("ani,bni,n->ab", weighted, columns, weights, optimize=True) * same
    matrix = plain - np.einsum("ani,bni,n->ab", taken, mixed, weights, optimize=True)
    told = np.einsum("ani,ani->an", weighted, h[owners]) - np.einsum("ani,ni->an", taken, right)
    return _Linear(
        matrix,
        told @ weights,
        costs,
        spread,
        np.arange(len(places)),
        len(g),
        numbers,
        float(np.max(np.diag(plain)[: len(g) * numbers])),
    )
