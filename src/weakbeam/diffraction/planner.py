r"""Which reflections together determine the whole displacement gradient.

A small distortion β of the lattice changes the diffraction vector by :math:`-\beta^T \hat g`, and
with it the centre of mass over the motors. The positions found are linear in the nine components of
β, so that several reflections make one matrix; its rank tells how many components they determine,
and its condition number how unevenly (docs/explanation/physics.md, D1 and E6).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints

MOST_SETS = 60_000
"""Most sets that are all tried; of more, the promising ones are built up step by step."""

BEAM = 400
"""Sets that are kept at every step where not all are tried."""

_NEGLIGIBLE = 1e-9  # singular value relative to the largest, below which a component is lost
_DEPENDENT = 1e-14  # the same for squares, of motors that move q alike
_SETS_AT_ONCE = 4096
_UNKNOWN = 1e-3  # what is known of β beforehand, relative to a measurement, in comparing few rows


@dataclass(frozen=True)
class ReflectionSet:
    """How well a set of settings determines the displacement gradient.

    Parameters
    ----------
    members : tuple of int
        Numbers of the settings.
    rank : int
        How many of the nine components, or combinations of them, are determined.
    condition : float
        Largest over smallest singular value of the map from β to motor positions; infinite if
        the rank is less than nine.
    error : float
        Rms error of a component of β per rms error of a motor position (1/rad), for independent
        errors; infinite likewise.
    """

    members: tuple[int, ...]
    rank: int
    condition: float
    error: float


def gaussian_response(motor_vectors: ArrayLike, covariance: ArrayLike) -> Floats:
    r"""How far the centre of mass over a wide scan moves when q changes.

    Parameters
    ----------
    motor_vectors : (m, 3) array_like
        Change E of q in the imaging frame per radian of each motor of the scan.
    covariance : (3, 3) array_like
        Of the acceptance, taken as Gaussian.

    Returns
    -------
    (m, 3) ndarray
        :math:`R = (E P E^T)^+ E P` with the precision :math:`P = \Sigma^{-1}`, so that COM = -R q
        (docs/explanation/physics.md, E6). With three motors R = E⁻ᵀ, whatever the acceptance.

    Notes
    -----
    Motors that move q along fewer directions than there are motors, as φ and χ do at η = 90°,
    measure as many combinations only: R has a lower rank then, and gives the smallest motions.
    """
    motors = np.asarray(motor_vectors, dtype=np.float64)
    weighted = np.linalg.solve(np.asarray(covariance, dtype=np.float64), motors.T).T
    stiffness = np.linalg.pinv(weighted @ motors.T, rcond=_DEPENDENT, hermitian=True)
    return np.asarray(stiffness @ weighted)


def measured_rows(
    q_crystal: ArrayLike, imaging_from_crystal: ArrayLike, response: ArrayLike
) -> Floats:
    r"""Map from the displacement gradient to the motor positions of one setting.

    Parameters
    ----------
    q_crystal : (3,) array_like
        Diffraction vector, of any length, in the Cartesian crystal frame.
    imaging_from_crystal : (3, 3) array_like
        Rotation at the setting.
    response : (m, 3) array_like
        Of the centre of mass to q, see :func:`gaussian_response`.

    Returns
    -------
    (m, 9) ndarray
        Columns for β_xx, β_xy, …, β_zz in the crystal frame:
        :math:`\mathrm{COM} = R\,T\,\beta^T \hat g`.
    """
    g = np.asarray(q_crystal, dtype=np.float64)
    g = g / np.linalg.norm(g)
    rows = np.asarray(response) @ np.asarray(imaging_from_crystal)
    return np.asarray(np.einsum("mk,j->mjk", rows, g).reshape(-1, 9))


def best_sets(
    rows: Sequence[ArrayLike], size: int, keep: int = 20
) -> tuple[list[ReflectionSet], bool]:
    """Rank the sets of a given number of settings.

    Parameters
    ----------
    rows : sequence of (m, 9) array_like
        One per setting, from :func:`measured_rows`.
    size : int
        Settings in a set.
    keep : int
        How many sets are returned.

    Returns
    -------
    sets : list of ReflectionSet
        By rank, downwards, then by condition number; equal ones in the order of their members.
    complete : bool
        Whether all sets were tried. Of more than `MOST_SETS` the `BEAM` most promising are built
        up setting by setting, which finds good sets but does not prove them the best.

    Raises
    ------
    ValueError
        If there are fewer settings than a set has, or a set has none.
    """
    stacked = np.stack([np.asarray(row, dtype=np.float64) for row in rows]) if rows else None
    if stacked is None or not 1 <= size <= len(stacked):
        raise ValueError(f"a set of {size} needs as many settings, and there are {len(rows)}")
    # Sums of AᵀA over the members are all that rank, condition and error depend on.
    normal = np.einsum("nmi,nmj->nij", stacked, stacked)
    complete = math.comb(len(normal), size) <= MOST_SETS
    best: list[ReflectionSet] = []
    candidates = combinations(range(len(normal)), size) if complete else _built_up(normal, size)
    while some := list(islice(candidates, _SETS_AT_ONCE)):
        best += _judged(stacked, np.array(some))
        best = sorted(best, key=_order)[:keep]
    return best, complete


def _judged(rows: Floats, members: Ints) -> list[ReflectionSet]:
    matrices = rows[members].reshape(len(members), -1, 9)
    values = np.linalg.svd(matrices, compute_uv=False)
    if values.shape[1] < 9:
        values = np.pad(values, ((0, 0), (0, 9 - values.shape[1])))
    ranks = (values > _NEGLIGIBLE * values[:, :1]).sum(axis=1)
    with np.errstate(divide="ignore"):
        conditions = np.where(ranks == 9, values[:, 0] / values[:, -1], np.inf)
        errors = np.where(ranks == 9, np.sqrt(np.mean(values**-2.0, axis=1)), np.inf)
    return [
        ReflectionSet(tuple(set_), int(rank), float(condition), float(error))
        for set_, rank, condition, error in zip(
            members.tolist(), ranks, conditions, errors, strict=True
        )
    ]


def _order(judged: ReflectionSet) -> tuple[int, float, tuple[int, ...]]:
    # Rounded, so that sets which symmetry makes equal stay in the order of their members.
    condition = judged.condition
    rounded = float(f"{condition:.9g}") if math.isfinite(condition) else condition
    return -judged.rank, rounded, judged.members


def _built_up(normal: Floats, size: int) -> Iterator[tuple[int, ...]]:
    """Sets that leave little of β undetermined, grown from every single setting."""
    known = _UNKNOWN**2 * np.trace(normal[0]) * np.eye(9)
    partial = {(i,) for i in range(len(normal))}
    for _ in range(size - 1):
        grown = sorted(
            {tuple(sorted((*s, i))) for s in partial for i in range(len(normal)) if i not in s}
        )
        sums = normal[np.array(grown)].sum(axis=1) + known
        # The smallest remaining uncertainty, summed over all directions of β.
        open_ = np.trace(np.linalg.inv(sums), axis1=1, axis2=2)
        partial = {grown[i] for i in np.argsort(open_, kind="stable")[:BEAM]}
    return iter(sorted(partial))
