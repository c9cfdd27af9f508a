"""The way up a log-likelihood to its highest point nearby: damped Newton steps, one rule to stop.

All fits climb by :func:`climb`: that of brightness and background, that of a shift between pixels,
and that of a line's place and character. What differs is how a step is carried out and how
derivatives are come by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from weakbeam.core.arrays import Floats

_FIRST_DAMPING = 1e-2
_DAMPING_FACTOR = 10.0
_RANK = 1e-12
"""Share of the largest singular value below which a direction holds no information."""


@dataclass(frozen=True)
class ClimbOptions:
    """When a climb ends, and how hard it tries.

    Parameters
    ----------
    least_gain : float
        The climb has converged when the next undamped step promises to add less than this to the
        log-likelihood, by the paraboloid of its derivatives.
    most_steps : int
        It ends without having converged after so many steps.
    most_trials : int
        It ends so as well when so many attempts at one step, each damped more than the one before,
        have all failed to raise the log-likelihood.
    little : float
        A step that promises less than this is tried only once: where each trial is expensive, the
        rest is not worth more.
    """

    least_gain: float = 1e-3
    most_steps: int = 30
    most_trials: int = 12
    little: float = 0.0


class Point(Protocol):
    """Where a climb stands."""

    @property
    def log_likelihood(self) -> float:
        """Its height; minus infinity where it must not go."""


class Slopes(Protocol):
    """Derivatives of a log-likelihood at a point."""

    @property
    def gradient(self) -> Floats:
        """First derivatives, (n,)."""

    @property
    def observed(self) -> Floats | None:
        """Second derivatives with opposite sign, (n, n); None where they are not known."""

    @property
    def expected(self) -> Floats:
        """What they are on average, the Fisher matrix, (n, n)."""


P = TypeVar("P", bound=Point)


def climb(
    start: P,
    slopes: Callable[[P], Slopes],
    moved: Callable[[P, Floats], P],
    options: ClimbOptions = ClimbOptions(),
    longest: Floats | None = None,
    outdated: Callable[[P, float, float], bool] | None = None,
) -> tuple[P, bool]:
    r"""Climb to the maximum of a log-likelihood nearby, never going down.

    Parameters
    ----------
    start : point
        Where the climb begins.
    slopes : callable
        Derivatives at a point.
    moved : callable
        The point at which a step, (n,) ndarray, leads from another.
    options : ClimbOptions
        When it ends.
    longest : (n,) ndarray, optional
        Longest step of each parameter; a longer one is shortened as a whole.
    outdated : callable, optional
        Told the new point and what a step has gained and had promised; whether the derivatives no
        longer hold, which ends the climb before it has converged.

    Returns
    -------
    top : point
        The highest point that was reached.
    converged : bool
        Whether nothing more was promised there.

    Notes
    -----
    Steps solve :math:`(A + \lambda\,\mathrm{diag}\,A)\,\delta = g` with the gradient g and the
    matrix A of second derivatives, or of their expectation where those are not positive (Levenberg
    and Marquardt; Fisher's scoring with expected ones, which for normal noise of fixed variance is
    the method of Gauss and Newton). :math:`\lambda` is 0 at first, a hundredth and then ten times
    more after every step that does not lead up, and ten times less after one that does.
    """
    point, damping = start, 0.0
    for _ in range(options.most_steps):
        here = slopes(point)
        newton = step_up(here)
        rest = 0.5 * float(here.gradient @ newton)
        if rest < options.least_gain:
            return point, True
        for _ in range(options.most_trials if rest > options.little else 1):
            step = newton if damping == 0.0 else step_up(here, damping)
            if longest is not None:
                step = step / max(1.0, float((np.abs(step) / longest).max()))
            tried = moved(point, step)
            gained = tried.log_likelihood - point.log_likelihood
            if gained > 0.0:
                point, damping = tried, damping / _DAMPING_FACTOR
                break
            damping = max(_DAMPING_FACTOR * damping, _FIRST_DAMPING)
        else:
            return point, False
        if outdated is not None:
            promised = float(step @ here.gradient - 0.5 * step @ here.expected @ step)
            if outdated(point, gained, promised):
                return point, False
    return point, False


def step_up(slopes: Slopes, damping: float = 0.0) -> Floats:
    """Damped Newton step by second derivatives, or by expected ones where those are not positive.

    Parameters
    ----------
    slopes : Slopes
        Derivatives at some parameters.
    damping : float
        Share of its diagonal that is added to the matrix.

    Returns
    -------
    (n,) ndarray
        The step of all parameters; along it the log-likelihood rises at first.
    """
    gradient = slopes.gradient
    if slopes.observed is not None:
        scaled, size = _dimensionless(slopes.observed, damping)
        try:
            np.linalg.cholesky(scaled)
        except np.linalg.LinAlgError:
            pass
        else:
            return np.asarray(np.linalg.solve(scaled, gradient / size) / size)
    scaled, size = _dimensionless(slopes.expected, damping)
    return np.asarray(np.linalg.lstsq(scaled, gradient / size, rcond=_RANK)[0] / size)


def _dimensionless(matrix: Floats, damping: float) -> tuple[Floats, Floats]:
    """A damped matrix of parameters of unlike sizes, of unit diagonal, and those sizes."""
    size = np.sqrt(np.abs(np.diag(matrix)))
    size[size == 0.0] = 1.0
    scaled = matrix / np.outer(size, size)
    return (scaled + damping * np.eye(len(size)) if damping else scaled), size
