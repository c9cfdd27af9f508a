"""Arrays that know what their axes are, and show themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from weakbeam.core.extras import required
from weakbeam.core.html import table_html
from weakbeam.errors import InputError
from weakbeam.imaging.motors import MOTORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ADDING = (np.add, np.subtract, np.negative, np.positive, np.absolute, np.maximum, np.minimum)
"""What leaves values their unit."""

_SAME = 1e-9
"""Part of their range by which positions of two arrays may differ and be the same."""

_FRAMES = 25
"""Most frames that are drawn side by side."""


@dataclass(frozen=True, eq=False, repr=False)
class LabelledArray(NDArrayOperatorsMixin):
    """Values with named axes and their positions.

    Indices, slices and arithmetic keep the axes: ``images[3]``, ``images[..., 10:20, :]``,
    ``images / images[0]``.

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
    long_names : mapping of str to str
        What axes are, where their name does not tell: ``x`` is along the beam, or along 2θ on the
        camera. ``"values"`` is what the values are.

    Raises
    ------
    ValueError
        If names or positions do not fit the shape.
    """

    values: NDArray[Any]
    dims: tuple[str, ...]
    coords: Mapping[str, NDArray[Any]]
    units: Mapping[str, str] = field(default_factory=dict)
    long_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(len(self.coords[dim]) for dim in self.dims)
        if shape != self.values.shape:
            raise ValueError(f"axes {self.dims} of lengths {shape} for values {self.values.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(self.values.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(self.values.ndim)

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        # NumPy 1 does not know the copy "if needed" of NumPy 2 that None stands for.
        if copy is None:
            return np.asarray(self.values, dtype=dtype)
        return np.array(self.values, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options.get("out") is not None or ufunc.nout != 1:
            return NotImplemented
        for other in inputs:
            if isinstance(other, LabelledArray):
                self._check_same_axes(other)
        values = ufunc(
            *(x.values if isinstance(x, LabelledArray) else x for x in inputs), **options
        )
        if np.shape(values) != self.shape:
            raise ValueError(f"{ufunc.__name__}: the axes {self._axes()} do not have this shape")
        units = self.units
        if ufunc not in _ADDING:
            units = {name: unit for name, unit in units.items() if name != "values"}
        return LabelledArray(values, self.dims, self.coords, units, self.long_names)

    def __getitem__(self, key: Any) -> LabelledArray:
        keys = key if isinstance(key, tuple) else (key,)
        if any(k is not Ellipsis and not isinstance(k, int | np.integer | slice) for k in keys):
            raise TypeError("indices are whole numbers, slices and ...; use .values for others")
        if len(keys) - keys.count(Ellipsis) > self.ndim or keys.count(Ellipsis) > 1:
            raise IndexError(f"too many indices; the axes are {self._axes()}")
        if Ellipsis not in keys:
            keys = (*keys, Ellipsis)
        at = keys.index(Ellipsis)
        keys = keys[:at] + (slice(None),) * (self.ndim - len(keys) + 1) + keys[at + 1 :]
        return self._part(dict(zip(self.dims, keys, strict=True)))

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
        self._check_names(positions)
        return self._part(
            {dim: int(np.argmin(np.abs(self.coords[dim] - x))) for dim, x in positions.items()}
        )

    def within(self, **ranges: tuple[float, float]) -> LabelledArray:
        """The part of the array between two positions of some axes, ends included.

        Parameters
        ----------
        **ranges : (float, float)
            Lowest and highest position along each axis.

        Returns
        -------
        LabelledArray
            With all axes.

        Raises
        ------
        KeyError
            For an axis that the array does not have.
        ValueError
            If nothing lies in a range.
        """
        self._check_names(ranges)
        places: dict[str, int | slice] = {}
        for dim, (low, high) in ranges.items():
            inside = np.flatnonzero((self.coords[dim] >= low) & (self.coords[dim] <= high))
            if not inside.size:
                raise ValueError(f"{dim}: no position lies from {low:g} to {high:g}")
            places[dim] = slice(int(inside[0]), int(inside[-1]) + 1)
        return self._part(places)

    def plot(self, **options: Any) -> Figure:
        """Draw the array: a curve, an image upright, or frames of a scan side by side.

        Parameters
        ----------
        **options
            ``scale`` ("linear", "log", "asinh"), ``limits`` (low, high) and ``title`` of images.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it.

        Raises
        ------
        InputError
            If the axes are neither those of a curve nor of images.
        """
        from weakbeam.run.pictures import labelled_figure

        return labelled_figure(self, _FRAMES, **options)

    def to_xarray(self) -> Any:
        """The same as an `xarray.DataArray`, with units and long names as attributes.

        Raises
        ------
        InputError
            If xarray is not installed.
        """
        xarray = required("xarray", "to_xarray")
        coords = {}
        for dim in self.dims:
            about = {"units": self.units.get(dim, ""), "long_name": self.long_names.get(dim, "")}
            coords[dim] = (dim, self.coords[dim], {k: text for k, text in about.items() if text})
        about = {
            "units": self.units.get("values", ""),
            "long_name": self.long_names.get("values", ""),
        }
        attributes = {key: text for key, text in about.items() if text}
        return xarray.DataArray(
            self.values, dims=self.dims, coords=coords, attrs=attributes, name="intensity"
        )

    def to_dataset(self) -> Any:
        """The same as an `xarray.Dataset` of one variable, ``intensity``."""
        return self.to_xarray().to_dataset()

    def axis_text(self, dim: str) -> str:
        """Name, length and ends of an axis, such as ``"phi: 61 (-0.3 … 0.3 mrad)"``."""
        positions, unit = self.coords[dim], self.units.get(dim, "").replace("um", "µm")
        motor = MOTORS.get(dim)
        if motor is not None:
            positions, unit = motor.shown(positions), motor.shown_unit
        if not len(positions):
            return f"{dim}: 0"
        ends = f"{positions[0]:.4g}" + (f" … {positions[-1]:.4g}" if len(positions) > 1 else "")
        return f"{dim}: {len(positions)} ({ends}{f' {unit}' if unit else ''})"

    def __repr__(self) -> str:
        shown = ", ".join(self.axis_text(dim) for dim in self.dims)
        return f"<LabelledArray {shown}; {self.span}>"

    def _repr_html_(self) -> str:
        from weakbeam.run.pictures import picture_html

        rows = {dim: self.axis_text(dim) for dim in self.dims} | {"values": self.span}
        try:
            picture = picture_html(self.plot()) if np.isfinite(self.values).any() else ""
        except InputError:  # Axes of which there is no picture.
            picture = ""
        return f"<div>{picture}{table_html(rows.items())}</div>"

    @property
    def span(self) -> str:
        """Smallest and largest value with their unit, such as ``"0.1 to 0.9 counts"``."""
        finite = self.values[np.isfinite(self.values)]
        if not finite.size:
            return "no value"
        text = f"{finite.min():.4g} to {finite.max():.4g}"
        return f"{text} {self.units.get('values', '')}".rstrip()

    def _part(self, keys: Mapping[str, Any]) -> LabelledArray:
        index = tuple(keys.get(dim, slice(None)) for dim in self.dims)
        coords = {
            dim: self.coords[dim][key]
            for dim, key in zip(self.dims, index, strict=True)
            if isinstance(key, slice)
        }
        return LabelledArray(
            np.asarray(self.values[index]), tuple(coords), coords, self.units, self.long_names
        )

    def _check_names(self, given: Mapping[str, object]) -> None:
        for dim in given:
            if dim not in self.dims:
                raise KeyError(f"{dim}: the axes are {', '.join(self.dims)}")

    def _check_same_axes(self, other: LabelledArray) -> None:
        if self.dims != other.dims or self.shape != other.shape:
            raise InputError(
                "axes", other._axes(), f"must be those of the other array, {self._axes()}"
            )
        for dim in self.dims:
            places, others = self.coords[dim], other.coords[dim]
            if not np.allclose(places, others, rtol=0.0, atol=_SAME * (np.ptp(places) or 1.0)):
                raise InputError(dim, None, "the two arrays have other positions along this axis")

    def _axes(self) -> str:
        return " × ".join(
            f"{dim} {length}" for dim, length in zip(self.dims, self.shape, strict=True)
        )
