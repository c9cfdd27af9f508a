"""The deformation of the crystal at any places."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from weakbeam.assemble import Resolved, assemble_all
from weakbeam.assemble.given import FieldAxes, GivenField, with_field
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment


def displacement_gradient(
    experiment: Experiment | Resolved,
    points: ArrayLike,
    *,
    field: GivenField | None = None,
    field_axes: FieldAxes = "sample",
) -> Floats:
    """The displacement gradient of all defects of an experiment at some places.

    Parameters
    ----------
    experiment : Experiment or Resolved
        Its crystal, mount and defects count; of several reflections the first one's mount.
    points : (..., 3) array_like
        Places (µm, sample frame).
    field, field_axes
        As for :func:`simulate`.

    Returns
    -------
    (..., 3, 3) ndarray
        β_ij = ∂u_i/∂x_j, dimensionless, in the sample frame; NaN where nothing diffracts.

    Raises
    ------
    InputError
        If the experiment contradicts physics, or the points have no three finite components.

    Notes
    -----
    Every line counts, however far away, and is summed by itself: what takes long of thousands of
    lines at millions of points takes short in an image, where far lines are put together. The
    formulas are those of docs/explanation/physics.md, D2 to D12.

    Examples
    --------
    One µm beside a screw along x, b/2πr of shear:

    >>> import weakbeam as wb
    >>> screw = wb.Dislocation(line=(1, 1, 0), burgers=(1, 1, 0))
    >>> experiment = wb.Experiment(crystal={"x_axis": (1, 1, 0)}, defects=[screw])
    >>> beta = wb.displacement_gradient(experiment, [0.0, 0.0, 1.0])
    >>> print(f"{abs(beta[0, 1]):.3e}")
    4.557e-05
    """
    places = np.asarray(points, dtype=np.float64)
    if places.shape[-1:] != (3,) or not np.isfinite(places).all():
        raise InputError("points", None, f"must be finite, (..., 3), not of shape {places.shape}")
    setup = with_field(assemble_all(experiment)[:1], field, field_axes)[0]
    flat = np.ascontiguousarray(places.reshape(-1, 3).T)
    gradient = np.zeros((9, flat.shape[1]))
    setup.defects.field().add_to(gradient, flat)
    return np.ascontiguousarray(gradient.T).reshape(*places.shape[:-1], 3, 3)
