"""Boxes of any orientation: where a field will be asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats

_MARGIN = 1e-3
"""Of boxes, in half-widths, in which places that touch them may lie by rounding."""


@dataclass(frozen=True)
class Bounds:
    """A box of any orientation.

    Parameters
    ----------
    centre : (3,) array_like
        In µm.
    axes : (3, 3) array_like
        Rows: orthonormal vectors along its edges.
    half : (3,) array_like
        Half its extent along each axis, in µm; zero is allowed, but not everywhere.

    Raises
    ------
    ValueError
        If the axes are not orthonormal, or an extent is negative, or all are zero.
    """

    centre: Floats
    axes: Floats
    half: Floats

    def __post_init__(self) -> None:
        """Check every value."""
        for name, shape in (("centre", (3,)), ("axes", (3, 3)), ("half", (3,))):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != shape or not np.all(np.isfinite(value)):
                raise ValueError(f"{name} must be finite numbers of shape {shape}")
            object.__setattr__(self, name, value)
        if np.abs(self.axes @ self.axes.T - np.eye(3)).max() > 1e-9:
            raise ValueError("axes must be orthonormal rows")
        if self.half.min() < 0.0 or self.half.max() == 0.0:
            raise ValueError("half must not be negative, and not zero along all axes")

    @classmethod
    def of(cls, points: ArrayLike, axes: ArrayLike | None = None) -> Bounds:
        """Return the smallest box with the given axes around `points` (n, 3), in µm.

        Parameters
        ----------
        points : (n, 3) array_like
            Such as the corners of what is seen.
        axes : (3, 3) array_like, optional
            Rows; those of the points' own frame unless given. For rays through a thin beam, the
            axes of the laboratory make the thinnest box.
        """
        rows = np.eye(3) if axes is None else np.array(axes, dtype=np.float64)
        local = np.asarray(points, dtype=np.float64) @ rows.T
        low, high = local.min(axis=0), local.max(axis=0)
        return cls(0.5 * (low + high) @ rows, rows, 0.5 * (high - low))

    def seen_from(self, centre: Floats, frame: Floats) -> Bounds:
        """The same box in coordinates about `centre` along the rows of `frame`."""
        return Bounds((self.centre - centre) @ frame.T, self.axes @ frame.T, self.half)

    def touches(self, centres: Floats, half: Floats) -> NDArray[np.bool_]:
        """Which boxes along the axes of space it may have a point in common with.

        Parameters
        ----------
        centres : (n, 3) ndarray
            Their centres (µm).
        half : (3,) ndarray
            Their half-widths (µm).
        """
        # No plane across an axis of either lies between them.
        away = centres - self.centre
        shares = np.abs(self.axes)
        close = np.abs(away) <= half + self.half @ shares + _MARGIN * half
        along = np.abs(away @ self.axes.T) <= self.half + shares @ half * (1.0 + _MARGIN)
        return np.asarray(close.all(axis=1) & along.all(axis=1))
