r"""What follows from the nine components of the distortion β: strain, rotation, stress, Nye tensor.

Arrays of β have the shape (..., 3, 3) with :math:`\beta_{ij} = \partial u_i/\partial x_j`, maps of
it (rows, columns, 3, 3) with rows along y and columns along x; covariances (..., 9, 9) belong to
its components row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage

from weakbeam.core.arrays import ArrayLike, Floats

COMPONENT_NAMES = tuple(f"{i}{j}" for i in "xyz" for j in "xyz")
"""Indices of the nine components, row by row."""

_PERMUTATION = np.zeros((3, 3, 3))
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _PERMUTATION[_i, _j, _k], _PERMUTATION[_i, _k, _j] = 1.0, -1.0

STRAIN_OF_BETA = 0.5 * (
    np.einsum("ik,jl->ijkl", np.eye(3), np.eye(3)) + np.einsum("il,jk->ijkl", np.eye(3), np.eye(3))
).reshape(9, 9)
"""(9, 9): the strain's components from those of β, to first order."""

ROTATION_OF_BETA = -0.5 * _PERMUTATION.reshape(3, 9)
"""(3, 9): the rotation vector's components from those of β, to first order."""


def strain_of_distortion(beta: ArrayLike) -> Floats:
    r"""Strain :math:`E = \tfrac12(F^T F - I)`, (..., 3, 3), in the axes of β.

    Rotations alone, however large, have none; to first order it is the symmetric part of β.
    """
    b = np.asarray(beta, dtype=np.float64)
    transposed = np.swapaxes(b, -1, -2)
    return np.asarray(0.5 * (b + transposed + transposed @ b))


def rotation_of_distortion(beta: ArrayLike) -> Floats:
    r"""Rotation vector ω (rad) of the lattice, (..., 3): axis times angle, right-handed.

    Of the polar decomposition F = R U; to first order :math:`\omega_i = -\tfrac12
    \epsilon_{ijk} \beta_{jk}`.
    """
    b = np.asarray(beta, dtype=np.float64)
    e = strain_of_distortion(b)
    # U⁻¹ = (I + 2E)^(-1/2), of small strains to third order.
    inverse = np.eye(3) - e + 1.5 * (e @ e)
    turn = (np.eye(3) + b) @ inverse
    sine = -0.5 * np.einsum("ijk,...jk->...i", _PERMUTATION, turn)
    size = np.linalg.norm(sine, axis=-1, keepdims=True)
    small = size < 1e-4
    ratio = np.where(
        small, 1.0 + size**2 / 6.0, np.arcsin(np.minimum(size, 1.0)) / np.where(small, 1.0, size)
    )
    return np.asarray(sine * ratio)


def stress_of_strain(strain: ArrayLike, stiffness: ArrayLike) -> Floats:
    """Stress (..., 3, 3), in the unit of the stiffness (3, 3, 3, 3) and in its axes."""
    return np.asarray(np.einsum("ijkl,...kl->...ij", np.asarray(stiffness), np.asarray(strain)))


def variances(covariance: ArrayLike, combinations: ArrayLike) -> Floats:
    """Variances (..., m) of combinations (m, 9) of the components of β."""
    c = np.asarray(combinations, dtype=np.float64)
    return np.asarray(np.einsum("mi,...ij,mj->...m", c, np.asarray(covariance), c, optimize=True))


def nye_tensor(beta: ArrayLike, step: float, along_normal: ArrayLike | None = None) -> Floats:
    r"""Nye tensor :math:`\alpha_{ij} = -\epsilon_{jkl}\,\partial_l \beta_{ik}` of a map, per µm.

    Parameters
    ----------
    beta : (rows, columns, 3, 3) array_like
        Of one sheet with x along the columns and y along the rows.
    step : float
        Distance of places (µm).
    along_normal : (rows, columns, 3, 3) array_like, optional
        Derivatives along z (per µm), from layers.

    Returns
    -------
    (rows, columns, 3, 3) ndarray
        :math:`\alpha_{iz} = \partial_x\beta_{iy} - \partial_y\beta_{ix}`, whose integral over an
        area is the Burgers vector of what crosses it (central differences). The other columns need
        derivatives along z and are NaN without them.
    """
    b = np.asarray(beta, dtype=np.float64)
    alpha = np.full(b.shape, np.nan)
    alpha[..., 2] = _slope(b[..., 1], step, axis=1) - _slope(b[..., 0], step, axis=0)
    if along_normal is not None:
        up = np.asarray(along_normal, dtype=np.float64)
        alpha[..., 0] = _slope(b[..., 2], step, axis=0) - up[..., 1]
        alpha[..., 1] = up[..., 0] - _slope(b[..., 2], step, axis=1)
    return alpha


def _slope(values: Floats, step: float, axis: int) -> Floats:
    """Central differences; NaN at the rim and beside what is NaN."""
    slope = np.full(values.shape, np.nan)
    n = values.shape[axis]

    def part(start: int, stop: int) -> tuple[slice, ...]:
        return tuple(slice(start, stop) if k == axis else slice(None) for k in range(values.ndim))

    if n > 2:
        slope[part(1, n - 1)] = (values[part(2, n)] - values[part(0, n - 2)]) / (2.0 * step)
    return slope


def smoothed_distortion(
    beta: ArrayLike, covariance: ArrayLike, sigma: float, correlated: float
) -> tuple[Floats, Floats]:
    """Smooth maps of β by a Gaussian, each place weighed alike.

    Parameters
    ----------
    beta, covariance : (rows, columns, 3, 3) and (rows, columns, 9, 9) array_like
        Maps; NaN where dark, which stays dark and tells nothing to its neighbours.
    sigma : float
        Standard deviation of the Gaussian, in places.
    correlated : float
        Variance of a mean over many places over that of as many independent ones.

    Returns
    -------
    beta, covariance : ndarray
        Of the same shapes.
    """
    b, c = np.asarray(beta, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    known = np.isfinite(b).all(axis=(-2, -1))
    weight = scipy.ndimage.gaussian_filter(known.astype(np.float64), sigma, mode="constant")
    narrow = sigma / np.sqrt(2.0)
    # The square of a Gaussian is one of 1/√2 its width, of this height.
    height = 1.0 / (4.0 * np.pi * sigma**2)

    def spread(values: Floats, width: float) -> Floats:
        blur = (width, width) + (0.0,) * (values.ndim - 2)
        kept = np.where(known.reshape(known.shape + (1,) * (values.ndim - 2)), values, 0.0)
        return np.asarray(scipy.ndimage.gaussian_filter(kept, blur, mode="constant"))

    total = np.where(known, weight, np.nan)
    mean = spread(b, sigma) / total[..., None, None]
    factor = correlated * height / total**2
    # Hardly smoothed, nothing becomes surer than it was.
    summed = spread(c, narrow) * factor[..., None, None]
    ratio = np.minimum(1.0, _diagonal(c) / np.maximum(_diagonal(summed), 1e-300))
    scale = np.sqrt(ratio)
    return mean, summed * scale[..., :, None] * scale[..., None, :]


def _diagonal(covariance: Floats) -> Floats:
    return np.asarray(np.einsum("...ii->...i", covariance))


def circuit_points(vertices: Sequence[Sequence[float]], step: float) -> tuple[Floats, Floats]:
    """Points along a closed polygon and the line element of each.

    Parameters
    ----------
    vertices : sequence of (x, y)
        Corners (µm) in either sense.
    step : float
        Longest distance of two points (µm).

    Returns
    -------
    points : (n, 2) ndarray
        Gauss points of every piece, in the right-handed sense about the normal.
    elements : (n, 2) ndarray
        dl at each (µm); they add up to zero.

    Raises
    ------
    ValueError
        If the polygon has fewer than three corners, or no area.
    """
    corners = np.asarray(vertices, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError("a circuit needs three corners (x, y) or more")
    if not np.isfinite(corners).all():
        raise ValueError("corners of a circuit must be finite numbers")
    following = np.roll(corners, -1, axis=0)
    area = 0.5 * float((corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0]).sum())
    if area == 0.0:
        raise ValueError("the corners of a circuit enclose no area")
    if area < 0.0:
        corners = corners[::-1]
        following = np.roll(corners, -1, axis=0)
    nodes = np.array([-0.5, 0.5]) / np.sqrt(3.0) + 0.5
    points, elements = [], []
    for start, end in zip(corners, following, strict=True):
        way = end - start
        pieces = max(int(np.ceil(np.linalg.norm(way) / (2.0 * step))), 1)
        along = ((np.arange(pieces)[:, None] + nodes) / pieces).ravel()
        points.append(start + along[:, None] * way)
        elements.append(np.broadcast_to(way / len(along), (len(along), 2)))
    return np.concatenate(points), np.concatenate(elements)


def circuit_integral(beta: ArrayLike, elements: ArrayLike) -> Floats:
    r""":math:`b_i = \oint \beta_{ij}\,dx_j` from β (n, 3, 3) and in-plane elements (n, 2)."""
    return np.asarray(np.einsum("nij,nj->i", np.asarray(beta)[..., :2], np.asarray(elements)))
