"""How surely the curves of a scan will tell where the lattice stands, before it is taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.analysis.curve_loops import densities, term_table
from weakbeam.analysis.distortion_solution import information_along
from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.density import AcceptanceDensity

_AT_ONCE = 2**18


def curve_information(
    acceptance: AcceptanceDensity,
    shifts: ArrayLike,
    signal: float,
    gain: float,
    read_variance: float,
    response: ArrayLike | None = None,
) -> Floats:
    r"""Information on q of the perfect lattice in one pixel's curve over a scan.

    Parameters
    ----------
    acceptance : AcceptanceDensity
        The instrument.
    shifts : (frames, 3) array_like
        Where the perfect crystal stands in the acceptance at each frame.
    signal : float
        Counts above the dark level at the peak.
    gain : float
        Counts per photon.
    read_variance : float
        Variance of the counts without light.
    response : (m, 3) array_like, optional
        R of the moving motors (COM = -R q), where only R q is to count: of fewer than three.

    Returns
    -------
    (3, 3) ndarray
        Inverse covariance of the maximum-likelihood q, with scale and dark level unknown: Fisher's
        information, :math:`\sum J^T J / v` with the variance v of each frame.
    """
    table = term_table(acceptance.terms, acceptance.peak)
    q = np.ascontiguousarray(shifts, dtype=np.float64)
    total = np.zeros((5, 5))
    for start in range(0, len(q), _AT_ONCE):
        part = np.ascontiguousarray(q[start : start + _AT_ONCE])
        values, gradients = np.empty(len(part)), np.empty(part.shape)
        densities(table, part, values, gradients)
        jacobian = np.column_stack([signal * gradients, values, np.ones(len(part))])
        variance = gain * signal * values + max(read_variance, 1e-6 * gain * signal)
        total += np.einsum("na,n,nb->ab", jacobian, 1.0 / variance, jacobian, optimize=True)
    told = total[:3, :3] - total[:3, 3:] @ np.linalg.solve(total[3:, 3:], total[3:, :3])
    if response is None:
        return np.asarray(told)
    r = np.asarray(response, dtype=np.float64)
    precision = np.linalg.inv(acceptance.covariance())
    size = np.trace(told) / np.trace(precision)
    covariance = np.linalg.inv(told + 1e-6 * size * precision)
    return information_along(r @ covariance @ r.T, r)


def expected_covariance(
    directions: Sequence[ArrayLike], information: Sequence[ArrayLike]
) -> Floats | None:
    """Covariance (9, 9) of H from reflections, row by row; None where they leave something open.

    Parameters
    ----------
    directions : sequence of (3,) array_like
        Diffraction vectors, in one frame.
    information : sequence of (3, 3) array_like
        On the change of each, relative to its length, in the same frame.
    """
    normal = np.zeros((9, 9))
    for direction, told in zip(directions, information, strict=True):
        g = np.asarray(direction, dtype=np.float64)
        g = g / np.linalg.norm(g)
        normal += np.einsum("ik,j,l->ijkl", np.asarray(told), g, g).reshape(9, 9)
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    unit = normal / np.outer(scale, scale)
    if np.linalg.eigvalsh(unit)[0] < 1e-11:
        return None
    return np.asarray(np.linalg.inv(unit) / np.outer(scale, scale))
