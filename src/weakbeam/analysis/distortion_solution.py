r"""The distortion of a lattice from the changes of several of its diffraction vectors.

Each reflection tells :math:`h_r = H\,\hat g_r` with :math:`H = F^{-T} - I`, wholly or in some
directions, and with an inverse covariance (an information) each. Together they are a linear problem
for the nine components of H at every place (docs/explanation/physics.md, J).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints

COMPONENTS = 9

_NEGLIGIBLE = 1e-7
"""Singular value relative to the largest below which a combination is not determined."""

_AT_ONCE = 8192
_HUBER = 3.5
"""Deviation, in standard deviations, from which on a reflection counts less."""
_ROUNDS = 4


@dataclass(frozen=True, eq=False)
class ChangeSolution:
    """H at every place.

    Parameters
    ----------
    change : (n, 3, 3) ndarray
        H; what is not determined is left zero in it. NaN where no reflection is seen.
    covariance : (n, 9, 9) ndarray
        Of its components, row by row; zero along what is not determined.
    chi2 : (n,) ndarray
        Weighted sum of the squared residuals.
    freedom : (n,) ndarray of int
        Numbers measured less combinations determined.
    pattern : (n,) ndarray of int
        Which reflections are seen: bit r for reflection r.
    open : mapping of int to (9, k) ndarray
        Orthonormal combinations of H that each pattern leaves open.
    weights : (reflections, n) ndarray
        How much each reflection counts: less than 1 where it contradicts the others.
    """

    change: Floats
    covariance: Floats
    chi2: Floats
    freedom: Ints
    pattern: Ints
    open: dict[int, Floats]
    weights: Floats


def open_combinations(
    directions: Sequence[ArrayLike], measured: Sequence[ArrayLike] | None = None
) -> Floats:
    """Combinations of H that reflections leave open.

    Parameters
    ----------
    directions : sequence of (3,) array_like
        Diffraction vectors, in one frame.
    measured : sequence of (m, 3) array_like, optional
        Directions along which the change of each is measured, in the same frame; all unless given.

    Returns
    -------
    (9, k) ndarray
        Orthonormal columns; none if all nine components are determined.
    """
    if not len(directions):
        return np.eye(COMPONENTS)
    rows = []
    for number, direction in enumerate(directions):
        g = np.asarray(direction, dtype=np.float64)
        along = np.eye(3) if measured is None else np.asarray(measured[number], dtype=np.float64)
        along = along / np.linalg.norm(along, axis=1, keepdims=True)
        rows.append(np.einsum("mi,j->mij", along, g / np.linalg.norm(g)).reshape(-1, COMPONENTS))
    _, values, axes = np.linalg.svd(np.concatenate(rows), full_matrices=True)
    rank = int((values > _NEGLIGIBLE * values[0]).sum())
    return np.asarray(axes[rank:].T)


def solve_changes(
    directions: ArrayLike,
    changes: ArrayLike,
    information: ArrayLike,
    measured: Sequence[ArrayLike] | None = None,
    robust: bool = True,
) -> ChangeSolution:
    """Weighted least squares for H at every place.

    Parameters
    ----------
    directions : (reflections, 3) array_like
        Unit diffraction vectors of the perfect lattice.
    changes : (reflections, n, 3) array_like
        Their changes, relative to their length; NaN where a reflection is not seen.
    information : (reflections, n, 3, 3) array_like
        Inverse covariances of these, zero along directions that are not measured.
    measured : sequence of (m, 3) array_like, optional
        Directions along which each is measured; all unless given.
    robust : bool
        Let a reflection that contradicts the others count less (Huber's weights), where there are
        enough of them to tell which.

    Returns
    -------
    ChangeSolution
    """
    g = np.asarray(directions, dtype=np.float64)
    h = np.asarray(changes, dtype=np.float64)
    w = np.asarray(information, dtype=np.float64)
    count, places = h.shape[:2]
    seen = np.isfinite(h).all(axis=-1) & np.isfinite(w).all(axis=(-2, -1))
    pattern = (seen * (1 << np.arange(count))[:, None]).sum(axis=0)
    ranks = np.array([3] * count if measured is None else [len(np.asarray(m)) for m in measured])
    result = ChangeSolution(
        np.full((places, 3, 3), np.nan),
        np.full((places, COMPONENTS, COMPONENTS), np.nan),
        np.full(places, np.nan),
        np.zeros(places, np.int64),
        pattern,
        {},
        np.asarray(seen, dtype=np.float64),
    )
    for code in np.unique(pattern).tolist():
        members = [r for r in range(count) if code >> r & 1]
        known = None if measured is None else [measured[r] for r in members]
        left = open_combinations([g[r] for r in members], known)
        result.open[code] = left
        if not members:
            continue
        freedom = int(ranks[members].sum()) - (COMPONENTS - left.shape[1])
        (where,) = np.nonzero(pattern == code)
        result.freedom[where] = freedom
        for start in range(0, len(where), _AT_ONCE):
            some = where[start : start + _AT_ONCE]
            part = np.ix_(np.array(members), some)
            # One reflection too many cannot tell which of them is wrong.
            enough = robust and freedom > int(ranks[members].max())
            _solve(result, g[members], h[part], w[part], left, some, members, enough)
    return result


def _solve(
    result: ChangeSolution,
    g: Floats,
    h: Floats,
    w: Floats,
    left: Floats,
    some: Ints,
    members: list[int],
    robust: bool,
) -> None:
    """Solve for some places at which the same reflections are seen."""
    outer = np.einsum("rj,rl->rjl", g, g)
    pulled = np.einsum("rnik,rnk->rni", w, h)
    factor = np.ones(h.shape[:2])
    for _ in range(_ROUNDS if robust else 1):
        normal = np.einsum("rn,rnik,rjl->nijkl", factor, w, outer, optimize=True)
        normal = normal.reshape(-1, COMPONENTS, COMPONENTS)
        right = np.einsum("rn,rni,rj->nij", factor, pulled, g).reshape(-1, COMPONENTS)
        size = np.einsum("nii->n", normal) / COMPONENTS
        size = np.where(size > 0.0, size, 1.0)
        # What is open gets a value of its own, zero, and no part in the covariance.
        filled = normal + size[:, None, None] * (left @ left.T)
        covariance = np.linalg.inv(filled)
        solved = np.einsum("nij,nj->ni", covariance, right)
        solved -= solved @ left @ left.T
        change = solved.reshape(-1, 3, 3)
        away = h - np.einsum("nij,rj->rni", change, g)
        each = np.maximum(np.einsum("rni,rnik,rnk->rn", away, w, away), 0.0)
        if robust:
            deviation = np.sqrt(each / h.shape[-1])
            factor = np.minimum(1.0, _HUBER / np.maximum(deviation, 1e-12))
    result.change[some] = change
    result.covariance[some] = covariance - (left @ left.T) / size[:, None, None]
    result.chi2[some] = (factor * each).sum(axis=0)
    result.weights[np.ix_(np.array(members), some)] = factor


def information_along(covariance: ArrayLike, response: ArrayLike) -> Floats:
    r"""Information on q that centres of mass with a covariance give, :math:`R^T C^{-1} R`.

    Parameters
    ----------
    covariance : (..., m, m) array_like
        C of the centres of mass over m motors.
    response : (m, 3) array_like
        R with COM = -R q.

    Returns
    -------
    (..., 3, 3) ndarray
    """
    r = np.asarray(response, dtype=np.float64)
    inverse = np.linalg.inv(np.asarray(covariance, dtype=np.float64))
    return np.asarray(r.T @ inverse @ r)


def lit(pattern: Ints, number: int) -> NDArray[np.bool_]:
    """Where reflection `number` is seen."""
    return (pattern >> number & 1).astype(bool)
