"""Local changes of orientation from maps of the centre of mass."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats


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
    angle between the two diffraction vectors, not the whole misorientation: a rotation about the
    diffraction vector leaves no trace (docs/explanation/physics.md, E6).
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
