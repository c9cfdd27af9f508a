"""An array that knows what its axes are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelledArray:
    """Values with named axes and their positions.

    Parameters
    ----------
    values : ndarray
        The numbers; ``numpy.asarray(labelled)`` gives them too.
    dims : tuple of str
        Name of each axis.
    coords : mapping of str to (n,) ndarray
        Position of each index along each axis.
    units : mapping of str to str
        Unit of the positions of each axis, and of the values under ``"values"``.

    Raises
    ------
    ValueError
        If names or positions do not fit the shape.
    """

    values: NDArray[Any]
    dims: tuple[str, ...]
    coords: Mapping[str, NDArray[Any]]
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(len(self.coords[dim]) for dim in self.dims)
        if shape != self.values.shape:
            raise ValueError(f"axes {self.dims} of lengths {shape} for values {self.values.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(self.values.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        # NumPy 1 does not know the copy "if needed" of NumPy 2 that None stands for.
        if copy is None:
            return np.asarray(self.values, dtype=dtype)
        return np.array(self.values, dtype=dtype, copy=copy)

    def nearest(self, **positions: float) -> LabelledArray:
        """The part of the array nearest to the given positions.

        Parameters
        ----------
        **positions : float
            A position for each axis that is to be left out of the result.

        Returns
        -------
        LabelledArray
            With the remaining axes.

        Raises
        ------
        KeyError
            For an axis that the array does not have.
        """
        for dim in positions:
            if dim not in self.dims:
                raise KeyError(f"{dim}: the axes are {', '.join(self.dims)}")
        index = tuple(
            int(np.argmin(np.abs(self.coords[dim] - positions[dim])))
            if dim in positions
            else slice(None)
            for dim in self.dims
        )
        kept = tuple(dim for dim in self.dims if dim not in positions)
        coords = {dim: self.coords[dim] for dim in kept}
        return LabelledArray(self.values[index], kept, coords, self.units)
