"""Local changes of orientation from maps of the centre of mass."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats

_ORTHONORMAL = 1e-12


def lattice_turns(maps: ArrayLike, vectors: ArrayLike) -> Floats:
    r"""Turns of the lattice from the motors that bring it back.

    Parameters
    ----------
    maps : (motors, rows, columns) array_like
        Centre of mass along each motor, all in one unit.
    vectors : (motors, 3) array_like
        Change of the unit diffraction vector per radian of each motor, :math:`a_m \times \hat q`
        with its axis :math:`a_m`, in any frame.

    Returns
    -------
    (motors, rows, columns) ndarray
        In the unit of the maps. For two motors the turns about two axes at right angles across the
        diffraction vector.

    Raises
    ------
    ValueError
        If maps and vectors do not belong together.

    Notes
    -----
    Positions c of the motors turn the diffraction vector by :math:`|\sum_m c_m v_m|`, which is
    :math:`\sqrt{c^T G c}` with :math:`G_{mn} = v_m \cdot v_n`. The turns are :math:`G^{1/2} c`,
    which of all coordinates with that length differ least from c. In symmetric geometry φ and χ
    have G = 1; in oblique geometry neither stands across the diffraction vector, nor are they at
    right angles.
    """
    centers = np.asarray(maps, dtype=np.float64)
    v = np.asarray(vectors, dtype=np.float64)
    if centers.ndim != 3 or v.shape != (len(centers), 3):
        raise ValueError(f"maps of shape {centers.shape} and vectors of shape {v.shape}")
    gram = v @ v.T
    if np.allclose(gram, np.eye(len(v)), rtol=0.0, atol=_ORTHONORMAL):
        return centers
    values, axes = np.linalg.eigh(gram)
    root = axes @ np.diag(np.sqrt(np.maximum(values, 0.0))) @ axes.T
    return np.asarray(np.tensordot(root, centers, axes=1))


def kernel_average_misorientation(maps: ArrayLike, size: int = 3) -> Floats:
    r"""Mean angle between a pixel and its neighbours (KAM).

    Parameters
    ----------
    maps : (motors, rows, columns) or (rows, columns) array_like
        Centre of mass along each motor, such as φ and χ, all in one unit; NaN where dark.
    size : int
        Side of the square of neighbours, odd and at least 3.

    Returns
    -------
    (rows, columns) ndarray
        In the unit of the maps; NaN where the pixel or all of its neighbours have no value. At
        the rim the mean runs over the neighbours that there are.

    Raises
    ------
    ValueError
        If the size is even or too small, or the maps are no stack of images.

    Notes
    -----
    The distance of two pixels is :math:`\sqrt{\sum_m (c_m - c'_m)^2}` over the motors m. It is the
    angle between the two diffraction vectors where the motors turn about two axes at right angles
    across it, as in symmetric geometry; elsewhere that of the maps of :func:`lattice_turns` is. It
    is not the whole misorientation: a rotation about the diffraction vector leaves no trace
    (docs/explanation/physics.md, E6).
    """
    centers = np.asarray(maps, dtype=np.float64)
    centers = centers[None] if centers.ndim == 2 else centers
    if centers.ndim != 3:
        raise ValueError(f"maps of shape {centers.shape} are no stack of images")
    if size < 3 or size % 2 == 0:
        raise ValueError(f"size = {size}: must be odd and at least 3")
    reach = size // 2
    rows, columns = centers.shape[1:]
    padded = np.pad(centers, ((0, 0), (reach, reach), (reach, reach)), constant_values=np.nan)
    total, count = np.zeros((rows, columns)), np.zeros((rows, columns))
    for row in range(size):
        for column in range(size):
            if row == column == reach:
                continue
            other = padded[:, row : row + rows, column : column + columns]
            distance = np.sqrt(((other - centers) ** 2).sum(axis=0))
            known = np.isfinite(distance)
            total[known] += distance[known]
            count += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
