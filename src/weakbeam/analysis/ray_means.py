r"""What a camera sees of a distortion that varies along its rays.

A pixel shows the mean over the height of the beam, along the diffracted beam. To second order that
is the value in the middle of the sheet plus :math:`\tfrac12 \sigma_z^2 D^2 \beta` with the
derivative D per height along the ray. Where there is no dislocation β is compatible and in
equilibrium, so that derivatives along the normal follow from those in the sheet:
:math:`\partial_z\beta_{ij} = \partial_j\beta_{iz}` for j = x, y, and :math:`C_{izkz}\,\partial_z
\beta_{kz}` from :math:`C_{ijkl}\,\partial_j\beta_{kl} = 0`.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from weakbeam.core.arrays import ArrayLike, Floats

_SMOOTHING = 1.5
"""Gaussian (places) over a map before its second derivatives are taken."""


def derivative_along(
    beta: ArrayLike, step: float, along: ArrayLike, stiffness: ArrayLike
) -> Floats:
    """Derivative of a map of β along a line that leaves the sheet, per height.

    Parameters
    ----------
    beta : (rows, columns, 3, 3) array_like
        Rows along y, columns along x; axes x, y and the normal of the sheet.
    step : float
        Distance of places (µm).
    along : (2,) array_like
        How far the line goes along x and y per height.
    stiffness : (3, 3, 3, 3) array_like
        C_ijkl in these axes, in any unit.

    Returns
    -------
    (rows, columns, 3, 3) ndarray
        Per µm; NaN at the rim and beside what is NaN.
    """
    b, c = np.asarray(beta, dtype=np.float64), np.asarray(stiffness, dtype=np.float64)
    slopes = [_slope(b, step, axis) for axis in (1, 0)]
    up = np.empty_like(b)
    for j in (0, 1):
        up[..., j] = slopes[j][..., 2]
    pull = np.zeros(b.shape[:-1])
    for j in (0, 1):
        pull += np.einsum("ikl,...kl->...i", c[:, j], slopes[j])
        pull += np.einsum("ik,...k->...i", c[:, 2, :, j], up[..., j])
    up[..., 2] = -np.einsum("ik,...k->...i", np.linalg.inv(c[:, 2, :, 2]), pull)
    x, y = np.asarray(along, dtype=np.float64)
    return np.asarray(x * slopes[0] + y * slopes[1] + up)


def excess_of_mean(
    beta: ArrayLike, step: float, along: ArrayLike, variance: float, stiffness: ArrayLike
) -> tuple[Floats, Floats]:
    """By how much the mean along rays exceeds the value in the middle of the sheet.

    Parameters
    ----------
    beta, step, along, stiffness
        As for :func:`derivative_along`; the map is smoothed a little first.
    variance : float
        Of the height, over the beam (µm²).

    Returns
    -------
    excess : (rows, columns, 3, 3) ndarray
        At the rim, where derivatives are not known, that of the nearest place; zero where β is not
        known.
    doubt : (rows, columns) ndarray
        What the next order may be, relative to the excess.
    """
    b = np.asarray(beta, dtype=np.float64)
    known = np.asarray(np.isfinite(b).all(axis=(-2, -1)))
    blur = (_SMOOTHING, _SMOOTHING)
    weight = scipy.ndimage.gaussian_filter(known.astype(np.float64), blur)
    total = scipy.ndimage.gaussian_filter(
        np.where(known[..., None, None], b, 0.0), (*blur, 0.0, 0.0)
    )
    smooth = total / np.where(known, weight, np.nan)[..., None, None]
    first = derivative_along(smooth, step, along, stiffness)
    second = derivative_along(first, step, along, stiffness)
    excess = 0.5 * variance * second
    missing = ~np.isfinite(excess).all(axis=(-2, -1))
    if missing.all():
        return np.zeros(b.shape), np.zeros(known.shape)
    nearest = scipy.ndimage.distance_transform_edt(
        missing, return_distances=False, return_indices=True
    )
    excess = np.where(known[..., None, None], excess[tuple(nearest)], 0.0)
    # Of a field that falls as 1/r, order n + 1 is three times the square of order n.
    size = np.linalg.norm(np.nan_to_num(smooth), axis=(-2, -1))
    doubt = 3.0 * np.linalg.norm(excess, axis=(-2, -1)) / np.maximum(size, 1e-30)
    return excess, np.where(known, doubt, 0.0)


def _slope(values: Floats, step: float, axis: int) -> Floats:
    """Central differences; NaN at the rim."""
    slope = np.full(values.shape, np.nan)
    inner = [slice(None)] * values.ndim
    inner[axis] = slice(1, -1)
    before, after = inner.copy(), inner.copy()
    before[axis], after[axis] = slice(None, -2), slice(2, None)
    slope[tuple(inner)] = (values[tuple(after)] - values[tuple(before)]) / (2.0 * step)
    return slope
