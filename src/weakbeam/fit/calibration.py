"""Fit of the curves of a region that is nearly perfect: zero offsets and optics.

The model is that of :mod:`weakbeam.fit.curve_model`; brightness and dark level of each block, in
which it is linear, are eliminated exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.fit.ascent import ClimbOptions, climb
from weakbeam.fit.curve_model import TILT_TERMS, Blocks, CurveModel

_UNTOLD = 0.5
"""Share of the prior variance from which on a parameter is not determined."""

_SURE = 4.0
_SEEN = 8.0
"""Log-likelihood by which the edge of an aperture must explain curves better than none."""

_OUTLYING, _SIGMAS = 1.5, 6.0
_MOST_LEFT_OUT = 0.4


@dataclass(frozen=True, eq=False)
class _Point:
    z: Floats
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class _Slopes:
    gradient: Floats
    expected: Floats
    observed: None = None


@dataclass(frozen=True, eq=False)
class CurveFit:
    """What a fit of curves has found.

    Parameters
    ----------
    model : CurveModel
        The model.
    z : (n,) ndarray
        Parameters, in units of the widths of their priors; 0 of those that are not determined.
    fisher : (n, n) ndarray
        Information of the curves on the parameters, in the same units, by the noise of the counts.
    determined : (n,) ndarray of bool
        Of which parameters the curves tell at least as much as the prior.
    blocks : Blocks
        The curves.
    used : (blocks,) ndarray of bool
        Which of them are in the fit.
    curves : (blocks, frames) ndarray
        Counts of the model.
    brightness, dark : (blocks,) ndarray
        Counts at the peak above the dark level, and that.
    dark_error : float
        Standard error of the mean dark level.
    chi2 : float
        Sum of squares of the residuals over degrees of freedom.
    freedom : int
        Degrees of freedom.
    chi2_of_mean, freedom_of_mean
        The same of the mean over all blocks, which shows what all of them have in common: light
        that comes and goes, or another instrument than the model's.
    converged : bool
        Whether the fit has ended at a maximum.
    """

    model: CurveModel
    z: Floats
    fisher: Floats
    determined: NDArray[np.bool_]
    blocks: Blocks
    used: NDArray[np.bool_]
    curves: Floats
    brightness: Floats
    dark: Floats
    dark_error: float
    chi2: float
    freedom: int
    chi2_of_mean: float
    freedom_of_mean: int
    converged: bool

    @property
    def inflation(self) -> float:
        """By which variances grow because the model does not explain the curves; 1 if it does."""
        return max(1.0, self.chi2, self.chi2_of_mean if self.mean_deviates else 0.0)

    @property
    def mean_deviates(self) -> bool:
        """Whether the mean curve differs from the model by more than its noise."""
        return self.chi2_of_mean > 1.0 + _SURE * math.sqrt(2.0 / self.freedom_of_mean)

    @property
    def covariance(self) -> Floats:
        r"""Covariance of the errors of the parameters, in units of their priors.

        Notes
        -----
        Those U that the curves do not determine stay where they were, with errors of their prior.
        They move the others D by :math:`G = P_{DD}^{-1} F_{DU}`, where P is the information F with
        that of the prior, so that D has the covariance :math:`P_{DD}^{-1} + G G^T`.
        """
        fisher, told = self.fisher / self.inflation, self.determined
        n = len(fisher)
        matrix = np.eye(n)
        inner = np.linalg.inv(fisher[np.ix_(told, told)] + np.eye(int(told.sum())))
        moved = inner @ fisher[np.ix_(told, ~told)]
        matrix[np.ix_(told, told)] = inner + moved @ moved.T
        matrix[np.ix_(told, ~told)] = -moved
        matrix[np.ix_(~told, told)] = -moved.T
        return matrix

    @property
    def errors(self) -> Floats:
        """Standard errors of the parameters, in units of their priors."""
        return np.sqrt(np.diag(self.covariance))

    def information(self) -> tuple[tuple[str, ...], Floats, Floats]:
        """Eigenvalues of the information on offsets and widths, and their directions.

        Returns
        -------
        names : tuple of str
            Of the parameters: all but the tilt, which is averaged over.
        values : (m,) ndarray
            Increasing; below 1 the prior tells more than the curves.
        vectors : (m, m) ndarray
            A column each, in units of the priors.
        """
        fisher = self.fisher / self.inflation
        m = sum(not name.startswith("tilt_") for name in self.model.names)
        inner = fisher[m:, m:] + np.eye(len(fisher) - m)
        schur = fisher[:m, :m] - fisher[:m, m:] @ np.linalg.solve(inner, fisher[m:, :m])
        values, vectors = np.linalg.eigh(schur)
        return self.model.names[:m], values, vectors


def fit_curves(
    model: CurveModel,
    blocks: Blocks,
    variance: Callable[[Floats], Floats],
    start: Floats | None = None,
) -> CurveFit:
    """Fit the curves of blocks.

    Parameters
    ----------
    model : CurveModel
        The model.
    blocks : Blocks
        The curves, with variances to begin with.
    variance : callable
        Variances of pixels with curves (blocks, frames), by which those of the blocks are then
        computed anew from the model, so that frames do not count for more where noise made them
        darker.
    start : (n,) ndarray, optional
        Parameters from which to climb; by default the middle of the priors.

    Returns
    -------
    CurveFit
    """
    used = np.ones(len(blocks.counts), bool)
    z, told = np.zeros(len(model.names)), np.ones(len(model.names), bool)
    z = z if start is None else start
    # Once from the variances that are given, then from those of the model without the blocks
    # that stand out, then with what is not determined back where it was.
    for number in range(4):
        fitted = _Fitted(model, blocks.kept(used), told)
        point, converged = climb(
            fitted.point(z),
            fitted.slopes,
            fitted.moved,
            ClimbOptions(least_gain=1e-3, most_steps=20),
            longest=np.full(len(z), 2.0),
        )
        z = point.z
        if number == 3:
            break
        every = _Fitted(model, blocks, told)
        curves, _, _ = every.counts(z)
        blocks = replace(blocks, variance=variance(curves) / blocks.pixels[:, None])
        if number < 2:
            used = _alike(blocks, curves)
        else:
            slopes = _Fitted(model, blocks.kept(used), told).slopes(point)
            fisher = slopes.expected - np.eye(len(z))
            freed = _freedom(model, used, told)
            chi2 = float((_squares(blocks, curves)[used]).sum()) / freed
            scaled = fisher / max(1.0, chi2)
            told = np.diag(np.linalg.inv(scaled + np.eye(len(z)))) < _UNTOLD
            z = np.where(told, z, 0.0)
    everything = np.ones(len(z), bool)
    curves, brightness, dark = _Fitted(model, blocks, everything).counts(z)
    inside = _Fitted(model, blocks.kept(used), everything)
    fisher = inside.slopes(point).expected - np.eye(len(z))
    freedom = _freedom(model, used, told)
    weight = 1.0 / blocks.variance[used]
    common = (weight * (blocks.counts - curves)[used]).sum(axis=0)
    freedom_of_mean = max(len(common) - 2 - sum(told[: len(told) - _tilts(model)]), 1)
    return CurveFit(
        model=model,
        z=z,
        fisher=fisher,
        determined=told,
        blocks=blocks,
        used=used,
        curves=curves,
        brightness=brightness,
        dark=dark,
        dark_error=inside.dark_error(z),
        chi2=float(_squares(blocks, curves)[used].sum()) / freedom,
        freedom=freedom,
        chi2_of_mean=float((common**2 / weight.sum(axis=0)).sum()) / freedom_of_mean,
        freedom_of_mean=freedom_of_mean,
        converged=converged,
    )


def _tilts(model: CurveModel) -> int:
    return TILT_TERMS * len(model.moving)


def aperture_cut(fit: CurveFit) -> tuple[float, float] | None:
    """Half width of the aperture of the lens, where the curves over χ end as if cut by a knife.

    Parameters
    ----------
    fit : CurveFit
        A fit of the curves, whatever aperture it was given.

    Returns
    -------
    (float, float) or None
        The middle between the last setting of χ that passes and the first that does not, and the
        standard deviation of a uniform distribution over that interval (rad). None where the scan
        does not reach it, or something blurs it so that :func:`fit_curves` can fit it.
    """
    model, optics = fit.model, fit.model.acceptance.optics
    sharp = model.acceptance.factors is not None and optics.divergence_horizontal == 0.0
    if not sharp or "chi" not in model.moving or math.isinf(optics.aperture):
        return None
    chi = model.positions[:, 1] + model.offsets(fit.z)[1]
    x = 2.0 * math.sin(model.acceptance.theta) * np.abs(chi * model.motors[1, 1])
    ends = np.unique(np.round(x[x > 0.3 * optics.aperture], 9))
    if len(ends) < 2:
        return None
    heights = []
    middles = 0.5 * (ends[1:] + ends[:-1])
    for aperture in (*middles, 1.01 * ends[-1]):
        cut = model.with_aperture(float(aperture), model.priors.aperture)
        inside = _Fitted(cut, fit.blocks.kept(fit.used), fit.determined)
        heights.append(inside.point(fit.z).log_likelihood)
    best = int(np.argmax(heights))
    if best == len(middles) or heights[best] - heights[-1] < _SEEN * fit.inflation:
        return None
    return float(middles[best]), float(ends[best + 1] - ends[best]) / math.sqrt(12.0)


def _squares(blocks: Blocks, curves: Floats) -> Floats:
    """Squares of the residuals over their variances."""
    return (blocks.counts - curves) ** 2 / blocks.variance


def _freedom(model: CurveModel, used: NDArray[np.bool_], told: NDArray[np.bool_]) -> int:
    frames = len(model.positions)
    return max(int(used.sum()) * (frames - 2) - int(told.sum()), 1)


def _alike(blocks: Blocks, curves: Floats) -> NDArray[np.bool_]:
    """Which blocks are explained about as well as most are."""
    frames = curves.shape[1]
    chi2 = _squares(blocks, curves).sum(axis=1) / max(frames - 2, 1)
    middle = float(np.median(chi2))
    most = middle * max(_OUTLYING, 1.0 + _SIGMAS * math.sqrt(2.0 / max(frames - 2, 1)))
    limit = max(most, float(np.quantile(chi2, 1.0 - _MOST_LEFT_OUT)))
    return np.asarray(chi2 <= limit)


class _Fitted:
    """The log-likelihood of some blocks over some free parameters."""

    def __init__(self, model: CurveModel, blocks: Blocks, free: NDArray[np.bool_]) -> None:
        self.model, self.blocks, self.free = model, blocks, free
        self.terms = blocks.tilt_terms
        self.weight = 1.0 / blocks.variance
        # Brightness and dark level may be anything; only a scan that never leaves the peak, or
        # never reaches it, needs this for a solution.
        largest = float(np.abs(blocks.counts).max())
        self.ridge = (1e-3 / max(largest, 1e-300)) ** 2

    def _linear(self, curves: Floats) -> tuple[Floats, Floats, Floats]:
        """Inverse of the normal equations of each block, its brightness and dark level."""
        w, y = self.weight, self.blocks.counts
        matrix = np.empty((len(y), 2, 2))
        matrix[:, 0, 0] = (w * curves**2).sum(axis=1) + self.ridge
        matrix[:, 0, 1] = matrix[:, 1, 0] = (w * curves).sum(axis=1)
        matrix[:, 1, 1] = w.sum(axis=1) + self.ridge
        inverse = np.linalg.inv(matrix)
        right = np.stack([(w * y * curves).sum(axis=1), (w * y).sum(axis=1)], axis=1)
        brightness, dark = np.einsum("bij,bj->ib", inverse, right)
        return np.asarray(inverse, np.float64), brightness, dark

    def counts(self, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Counts of the model, brightness and dark level of each block."""
        curves = self.model.curves(z, self.terms)
        _, brightness, dark = self._linear(curves)
        return brightness[:, None] * curves + dark[:, None], brightness, dark

    def dark_error(self, z: Floats) -> float:
        """Standard error of the mean dark level."""
        inverse, _, _ = self._linear(self.model.curves(z, self.terms))
        return float(np.sqrt(inverse[:, 1, 1].sum())) / len(inverse)

    def point(self, z: Floats) -> _Point:
        """Where these parameters are."""
        try:
            curves, _, _ = self.counts(z)
        except ValueError:
            return _Point(z, -math.inf)
        squares = float((self.weight * (self.blocks.counts - curves) ** 2).sum())
        return _Point(z, -0.5 * squares - 0.5 * float(z @ z))

    def moved(self, point: _Point, step: Floats) -> _Point:
        """The point a step further, whatever is not free staying."""
        return self.point(point.z + np.where(self.free, step, 0.0))

    def slopes(self, point: _Point) -> _Slopes:
        """Derivatives with brightness and dark level at their best (variable projection)."""
        curves, jacobian = self.model.derivatives(point.z, self.terms)
        inverse, brightness, dark = self._linear(curves)
        root = np.sqrt(self.weight)[:, None, :]
        # Block by block: small products, for which no other threads are woken.
        jacobian = np.moveaxis(jacobian, 0, 1) * (brightness[:, None, None] * root)
        linear = np.stack([curves, np.ones_like(curves)], axis=1) * root
        overlap = jacobian @ linear.transpose(0, 2, 1)
        jacobian = jacobian - (overlap @ inverse) @ linear
        rest = self.blocks.counts - brightness[:, None] * curves - dark[:, None]
        gradient = (jacobian @ (rest[:, None, :] * root).transpose(0, 2, 1)).sum(axis=(0, 2))
        gradient = gradient - point.z
        expected = (jacobian @ jacobian.transpose(0, 2, 1)).sum(axis=0) + np.eye(len(gradient))
        free = self.free
        gradient = np.where(free, gradient, 0.0)
        expected = np.where(np.outer(free, free), expected, np.eye(len(free)))
        return _Slopes(gradient, expected)
