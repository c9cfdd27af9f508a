"""From likelihoods to probabilities of classes, and whether they decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats


def posterior(
    log_evidences: ArrayLike, prior: ArrayLike | None = None, misfit: float = 1.0
) -> Floats:
    r"""Probabilities of classes, one of which is true.

    Parameters
    ----------
    log_evidences : (n,) array_like
        Logarithm of the likelihood of each class, averaged over its free parameters; −inf for one
        that is ruled out. A constant common to all does not matter.
    prior : (n,) array_like, optional
        Probabilities before the images, up to a factor; equal unless given.
    misfit : float
        Mean squared residual of the best class over the variance of the noise. Above 1 the model
        explains the images less well than the noise allows; all variances are then taken to be
        larger by that factor, which divides the differences of the log-likelihoods.

    Returns
    -------
    (n,) ndarray
        :math:`p_k \propto \pi_k \exp(\ln Z_k / \max(1, \chi^2))`, of sum 1.

    Raises
    ------
    ValueError
        If there is no class that is not ruled out.
    """
    evidence = np.asarray(log_evidences, dtype=np.float64) / max(misfit, 1.0)
    with np.errstate(divide="ignore"):
        weight = evidence + (0.0 if prior is None else np.log(np.asarray(prior, dtype=np.float64)))
    highest = float(np.max(weight, initial=-np.inf))
    if not np.isfinite(highest):
        raise ValueError("no class has a finite evidence")
    share = np.exp(weight - highest)
    return np.asarray(share / share.sum())


def largest_misfit(pixels: int) -> float:
    r"""Misfit up to which noise alone may have left the residuals.

    Parameters
    ----------
    pixels : int
        How many were compared.

    Returns
    -------
    float
        :math:`1.02 + 5\sqrt{2/n}`: five standard deviations of :math:`\chi^2/n`, and 2 % by which
        the variance of the noise may be wrong.
    """
    return 1.02 + 5.0 * float(np.sqrt(2.0 / pixels))


def averaged(log_evidences: ArrayLike) -> float:
    """Logarithm of the mean of evidences: that of a class with several members, all as likely."""
    values = np.asarray(log_evidences, dtype=np.float64)
    return float(np.logaddexp.reduce(values) - np.log(values.size))


def credible_set(probabilities: ArrayLike, level: float = 0.95) -> tuple[int, ...]:
    """The fewest classes that hold the truth with the given probability, the likeliest first."""
    values = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    reached = np.cumsum(values[order])
    count = int(np.searchsorted(reached, level * reached[-1])) + 1
    return tuple(int(k) for k in order[:count])


def merged(
    probabilities: ArrayLike, groups: Sequence[Sequence[int]]
) -> tuple[Floats, tuple[tuple[int, ...], ...]]:
    """Probabilities of groups of classes that make the same images.

    Parameters
    ----------
    probabilities : (n,) array_like
        Of single classes.
    groups : sequence of sequences of int
        For each class the others that make the same images.

    Returns
    -------
    probabilities : (m,) ndarray
        Of the groups, in the order of their first classes.
    members : tuple of tuples of int
        Classes of each group.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    grouped: set[int] = set()
    members: list[tuple[int, ...]] = []
    for number, others in enumerate(groups):
        if number not in grouped:
            group = tuple(sorted({number, *others}))
            grouped.update(group)
            members.append(group)
    return np.array([values[list(group)].sum() for group in members]), tuple(members)
