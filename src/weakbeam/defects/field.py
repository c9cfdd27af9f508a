"""What every defect offers: its displacement gradient, added up over blocks of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats

if TYPE_CHECKING:
    from weakbeam.defects.many import Bounds


class DisplacementGradientField(Protocol):
    """Anything that has a displacement gradient β at points of the sample."""

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """Add the displacement gradient at `points` to `gradient`, in place.

        Parameters
        ----------
        gradient : (9, n) ndarray
            Rows are the components xx, xy, xz, yx, ... of β; modified.
        points : (3, n) ndarray
            In µm, C-contiguous.
        """


class _HasRayConstants(type):
    """Tells fields along rays by what they have; a protocol would take ten times as long."""

    def __instancecheck__(cls, instance: object) -> bool:
        return hasattr(instance, "ray_constants")


class FieldAlongRays(metaclass=_HasRayConstants):
    """A field of straight lines alone, which compiled loops sum along rays without a detour.

    The engine asks for it, at every block of rays; any other field adds its β at every point. Not
    to be inherited: what has `ray_constants` is one.
    """

    ray_constants: tuple[Floats, Floats, Floats]
    """What :func:`weakbeam.defects.straight.add_lines` needs to know of each line."""


@runtime_checkable
class PreparedField(Protocol):
    """A field that is faster, or less memory, where it is known where it will be asked for."""

    def prepared(
        self, bounds: Bounds, points: int, workers: int | None
    ) -> DisplacementGradientField:
        """The same field for a region, as those of lines are made by `field_of`.

        Parameters
        ----------
        bounds : Bounds
            Where it will be asked for.
        points : int
            About how often.
        workers : int, optional
            Threads that prepare it.
        """


class Superposition:
    """The sum of several fields: linear elasticity adds displacement gradients.

    Parameters
    ----------
    fields : sequence of DisplacementGradientField
        May be empty: the perfect crystal.
    """

    def __init__(self, fields: Sequence[DisplacementGradientField] = ()) -> None:
        self.fields = tuple(fields)

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """Add the β of every field at `points` (3, n), in µm, to `gradient` (9, n)."""
        for field in self.fields:
            field.add_to(gradient, points)


class UniformGradient:
    """A homogeneous displacement gradient, such as a rotation or an expansion of the whole crystal.

    Parameters
    ----------
    gradient : (3, 3) array_like
        β, dimensionless, in the frame of the points.
    """

    def __init__(self, gradient: ArrayLike) -> None:
        self.gradient = np.array(gradient, dtype=np.float64).reshape(3, 3)

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """Add β to every column of `gradient` (9, n)."""
        gradient += self.gradient.reshape(9, 1)


def evaluate(field: DisplacementGradientField, points: ArrayLike) -> Floats:
    """Displacement gradient of `field` at `points`.

    Parameters
    ----------
    field : DisplacementGradientField
        The field.
    points : (..., 3) array_like
        In µm, in the frame of the field.

    Returns
    -------
    (..., 3, 3) ndarray
        β, dimensionless.
    """
    where = np.asarray(points, dtype=np.float64)
    flat = np.ascontiguousarray(where.reshape(-1, 3).T)
    gradient = np.zeros((9, flat.shape[1]))
    block = 1024
    for start in range(0, flat.shape[1], block):
        part = slice(start, start + block)
        field.add_to(gradient[:, part], np.ascontiguousarray(flat[:, part]))
    return np.ascontiguousarray(gradient.T).reshape(*where.shape[:-1], 3, 3)
